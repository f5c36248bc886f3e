"""Floor 6: the work of `gatecam run`: steps to sinks and window, until someone ends it."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack

from gatecam.app import Live, build_analyzer, build_live_sinks, open_live, time_of_day
from gatecam.cli.report import open_console, print_latencies, print_people, print_searches
from gatecam.cli.stopping import Stop
from gatecam.cli.window import Window, open_window
from gatecam.config import Config, Region
from gatecam.draw import Banner, annotate
from gatecam.notify.queue import FanOut
from gatecam.pipeline import People
from gatecam.telemetry import Telemetry
from gatecam.types import Step

RATE_FRAMES = 30  # over which the frame rate on the screen is averaged


def watch(config: Config, headless: bool, stop: Stop) -> None:
    """Watch the camera until `stop`, a key or the window's button ends it, then print the summary.

    Raises:
        CameraError: the camera cannot be opened.
    """
    telemetry, people = Telemetry(), People()
    with ExitStack() as stack:
        window = None if headless else open_window(stack)
        screen = _Screen(window, stop, config.detector.region) if window else None
        analyzer = build_analyzer(config, telemetry)
        sinks = build_live_sinks(config, telemetry, print_events=window is None)
        stack.callback(sinks.close)
        idle = screen.idle if screen else lambda: None
        live = stack.enter_context(open_live(config, analyzer, telemetry, _tell, idle))
        stop.reach(live.stop)
        _tell(f"watching camera {config.camera.name}; Ctrl-C ends")
        _watch(live, people, telemetry, sinks, screen)
        telemetry.count("frames_dropped", live.camera.dropped)
    _print_summary(people, telemetry)


def _watch(live: Live, people: People, telemetry: Telemetry, sinks: FanOut, screen: _Screen | None) -> None:
    for step in live.steps:
        telemetry.record("capture to decision", time.monotonic() - step.frame.time_s)
        people.add(step)
        for event in step.events:
            sinks.send(event)
        if screen:
            screen.show(step)


def _tell(text: str) -> None:
    print(f"gatecam: {text}", file=sys.stderr, flush=True)


def _print_summary(people: People, telemetry: Telemetry) -> None:
    """To standard error, as standard output holds nothing but events."""
    console = open_console(stderr=True)
    print_people(console, people.latest(), people.count, time_of_day)
    print_latencies(console, telemetry.latencies())
    print_searches(console, telemetry)
    counts = {name: telemetry.counter(f"{name}_dropped") for name in ("frames", "print", "log", "tone")}
    lost = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    console.print(f"Dropped: {lost or 'nothing'}.")


class _Screen:
    """What the visitor sees: the annotated picture, with frame rate and age in the corner."""

    def __init__(self, window: Window, stop: Callable[[], None], region: Region | None) -> None:
        self._window = window
        self._stop = stop
        self._region = region
        self._banner = Banner()
        self._shown_s: deque[float] = deque(maxlen=RATE_FRAMES)

    def show(self, step: Step) -> None:
        """Show a step, and answer the keys."""
        now_s = time.monotonic()
        self._shown_s.append(now_s)
        age_ms = (now_s - step.frame.time_s) * 1000
        corner = f"{self._rate():.0f} frames/s  {age_ms:.0f} ms old"
        banner = self._banner.update(step.events, step.frame.time_s)
        picture = annotate(step, banner=banner, blur=False, corner=corner, region=self._region)
        if not self._window.show(picture):
            self._stop()

    def idle(self) -> None:
        """Answer the keys while no frame comes."""
        if not self._window.is_open():
            self._stop()

    def _rate(self) -> float:
        seconds = self._shown_s[-1] - self._shown_s[0]
        return (len(self._shown_s) - 1) / seconds if seconds > 0 else 0.0
