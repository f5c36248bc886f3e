"""Implement `gatecam run`: pass rounds to sinks, the window and the service manager until it is ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from gatecam.app import (
    build_analyzer,
    build_live_sinks,
    build_site,
    open_live,
    store_path,
)
from gatecam.cli.summary import print_latencies, print_people, print_searches
from gatecam.errors import ConfigError
from gatecam.kiosk.notify_socket import Notifier, Watchdog
from gatecam.kiosk.restarts import forget_starts, in_service
from gatecam.live.board import Board
from gatecam.live.control import Running
from gatecam.live.pace import too_slow
from gatecam.live.parts import Live, LiveSinks
from gatecam.live.reload import ConfigWatch, changes, live_settings, merged, with_setting
from gatecam.live.screen import Screen
from gatecam.live.status import StatusServer
from gatecam.live.window import open_window
from gatecam.people.pipeline import People
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.console import open_console
from gatecam.runtime.logs import say
from gatecam.runtime.stopping import Stop
from gatecam.runtime.telemetry import Telemetry
from gatecam.runtime.wall_clock import time_of_day
from gatecam.settings.loading import LoadedConfig
from gatecam.settings.schema import Config
from gatecam.types import CameraCondition, CameraState, EventKind, Round

if TYPE_CHECKING:
    from gatecam.web.site import Site


def watch(loaded: LoadedConfig, source: str | None, headless: bool, web: bool, stop: Stop) -> None:
    """Watch the cameras until `stop`, a key or the window's button ends it, and then print the summary.

    A service prints no summary, because its journal is for single lines.

    Args:
        loaded: the settings, and the file from which they are read again.
        source: the only camera to watch, or None for the cameras of the settings.
        headless: whether to open no window.
        web: whether to serve the pages even if the settings do not say so.
        stop: passes on requests to end and to read the settings again.

    Raises:
        CameraError: another gatecam uses a camera, or the only camera cannot be opened outside a service.
        OutputError: the store or the event log cannot be written, or another gatecam writes to the log.
    """
    config = _of_source(loaded.config, source)
    for sentence in config.exposed(is_served=web or config.web.enabled):
        say(sentence, level=logging.WARNING)
    telemetry, people, notifier = Telemetry(), People(), Notifier()
    serving = in_service()
    with ExitStack() as stack:
        window = None if headless else open_window(stack)
        analyzer = build_analyzer(config, telemetry)
        troubles = _Troubles()
        sinks = build_live_sinks(config, telemetry, window is None, troubles.note)
        stack.callback(sinks.close)
        live = stack.enter_context(open_live(config, analyzer, telemetry, _CameraLog(), wait=serving))
        screen = None if window is None else Screen(window, stop, config)
        board = Board(live, analyzer, sinks, troubles.sentences, store_path(config).parent)
        stack.enter_context(StatusServer(board.health))
        reloading = _Reloading(loaded, source, live, screen, notifier, troubles)
        on_trouble = partial(troubles.note, "web")
        running = Running(
            board.health, telemetry.histograms, reloading.settings, reloading.change, on_trouble
        )
        pages = _serve_pages(config, running, sinks, reloading, stack) if web or config.web.enabled else None
        stop.reach(live.stop, reloading.ask)
        say(f"watching camera {', '.join(camera.name for camera in live.cameras.cameras)}; Ctrl-C ends")
        say(f"the networks run on {analyzer.device}: {analyzer.reason}")
        notifier.ready()
        supervised = _Supervised(notifier)
        for turn in live.rounds:
            _take(turn, people, sinks)
            sinks.note(turn, live.alerts.states, live.alerts.slow)
            _tell_pace(turn, live, analyzer, troubles)
            board.note(turn)
            if pages:
                pages.note(turn)
            if screen:
                screen.show(turn, live)
            supervised.note(turn, live)
            reloading.poll(turn.time_s)
        notifier.stopping()
        telemetry.count("frames_dropped", live.cameras.dropped)
    if serving:
        forget_starts()
    else:
        _print_summary(people, telemetry)


def _serve_pages(
    config: Config, running: Running, sinks: LiveSinks, reloading: _Reloading, stack: ExitStack
) -> Site:
    site = stack.enter_context(build_site(config, running))
    sinks.presence.add(site.tell)
    reloading.applied = site.apply
    own, *others = site.urls
    named = "".join(f", for other machines at {url}" for url in others)
    say(f"the pages are at {own} and {own}door{named}; `gatecam token` prints the access token")
    return site


def _of_source(config: Config, source: str | None) -> Config:
    """Return the settings with another camera as the only one, or unchanged if `source` is None."""
    if source is None:
        return config
    camera = config.camera.model_copy(update={"source": source})
    return config.model_copy(update={"camera": camera, "cameras": ()})


def _take(turn: Round, people: People, sinks: LiveSinks) -> None:
    for step in turn.steps:
        people.add(step)
    for event in turn.events:
        sinks.send(event)


def _tell_pace(turn: Round, live: Live, analyzer: FaceAnalyzer, troubles: _Troubles) -> None:
    """Log when a camera becomes too slow, and report that as a trouble until it ends."""
    for event in turn.camera_events:
        camera, what = event.camera, f"pace of {event.camera}"
        if event.kind is EventKind.TOO_SLOW:
            text = too_slow(camera, live.alerts.pace(camera), analyzer.device)
            say(text, level=logging.WARNING, camera=camera, reason=event.reason)
            troubles.note(what, text)
        elif event.kind is EventKind.FAST_ENOUGH:
            say(f"camera {camera}: its frames are classified in time again", camera=camera)
            troubles.note(what, None)


class _Troubles:
    """Holds the current troubles as sentences for `gatecam status`."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}

    def sentences(self) -> tuple[str, ...]:
        """Return the current troubles."""
        return tuple(self._of.values())

    def note(self, what: str, text: str | None) -> None:
        """Set the sentence about something, replacing an earlier one. None removes it."""
        if text is None:
            self._of.pop(what, None)
        else:
            self._of[what] = text


class _CameraLog:
    """Logs when a camera goes blind and when it sees again, but no change of the reason in between."""

    def __init__(self) -> None:
        self._told: dict[str, CameraState] = {}

    def __call__(self, name: str, state: CameraState) -> None:
        """Take a camera's new state."""
        told, reason = self._told.get(name), state.blindness
        if reason and (told is None or told.blindness != reason):
            self._told[name] = state
            text = f"camera {name} does not see: {reason}."
            if state.kind is CameraCondition.LOST:
                text = f"{state.reason} It is tried again until it is back."
            say(text, level=logging.WARNING, camera=name, reason=reason)
        elif state.sees and told is not None:
            del self._told[name]
            after_s = round(state.since_s - told.since_s, 1)
            say(f"camera {name} sees again, after {after_s:g} s", camera=name, after_s=after_s)


class _Supervised:
    """Reports progress and blind or slow cameras to the service manager."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier, self._watchdog = notifier, Watchdog(notifier)
        self._said = ""

    def note(self, turn: Round, live: Live) -> None:
        """Take a round."""
        states = live.alerts.states
        if turn.steps:
            self._watchdog.judged(turn.time_s)
        elif not any(state.sees for state in states.values()):
            self._watchdog.idle(turn.time_s)
        blind = [
            f"{name} does not see since {time_of_day(state.since_s)} ({reason})"
            for name, state in states.items()
            if (reason := state.blindness)
        ]
        slow = [f"{name} is judged too slowly ({reason})" for name, reason in live.alerts.slow.items()]
        text = "; ".join([*blind, *slow]) or f"watches {len(states)} camera{'s' * (len(states) != 1)}"
        if text != self._said:
            self._said = text
            self._notifier.status(text)


class _Reloading:
    """Applies the settings file when it is saved or on SIGHUP, and reports what needs a restart."""

    def __init__(
        self,
        loaded: LoadedConfig,
        source: str | None,
        live: Live,
        screen: Screen | None,
        notifier: Notifier,
        troubles: _Troubles,
    ) -> None:
        self._source = source
        self._running = self._wanted = _of_source(loaded.config, source)
        self._file = ConfigWatch(loaded, time.monotonic())
        self._live, self._screen, self._notifier, self._troubles = live, screen, notifier, troubles
        self._lock = threading.Lock()  # the pages' threads and `poll` both change settings
        self._is_asked = False  # by the operator's page
        self.applied: Callable[[Config], None] = lambda config: None

    def ask(self) -> None:
        """Read the file at the next poll. Safe in a signal handler."""
        self._file.ask()

    def change(self, name: str, value: float) -> None:
        """Change a setting at the next poll. Safe in any thread.

        Raises:
            ConfigError: this setting cannot be changed while running, or the value is out of bounds.
        """
        with self._lock:
            self._running = with_setting(self._running, name, value)
            self._is_asked = True

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return the settings that can be changed while running."""
        return live_settings(self._running)

    def poll(self, now_s: float) -> None:
        """Apply changes from the page, and the file if it was saved or requested. Reject a broken file."""
        with self._lock:
            is_asked, asked, self._is_asked = self._is_asked, self._running, False
        if is_asked:
            say(str(changes(self._wanted, asked)))
            self._apply(asked)
        wanted = self._file.poll(now_s)
        if wanted is None:
            return
        self._notifier.reloading()
        if isinstance(wanted, ConfigError):
            text = f"settings rejected, the previous ones stay in use: {wanted}"
            say(text, level=logging.WARNING)
            self._troubles.note("settings", text)
        else:
            wanted = _of_source(wanted, self._source)
            say(str(changes(self._wanted, wanted)))
            self._wanted = wanted
            with self._lock:
                self._running = running = merged(self._running, wanted)
                self._is_asked = False
            self._apply(running)
            later = changes(running, wanted).restart
            self._troubles.note("settings", f"restart gatecam for {', '.join(later)}" if later else None)
        self._notifier.ready()

    def _apply(self, config: Config) -> None:
        self._live.apply(config)
        self.applied(config)
        if self._screen:
            self._screen.apply(config)


def _print_summary(people: People, telemetry: Telemetry) -> None:
    """Print the summary to standard error, because standard output holds only events."""
    console = open_console(stderr=True)
    print_people(console, people, time_of_day)
    print_latencies(console, telemetry.latencies())
    print_searches(console, telemetry)
    counts = {
        name: telemetry.counter(f"{name}_dropped") for name in ("frames", "print", "log", "store", "sound")
    }
    lost = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    console.print(f"Dropped: {lost or 'nothing'}.")
