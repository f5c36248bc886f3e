"""Reload settings while gatecam runs: notice a saved file, compare its settings and apply them.

A wrong file is reported once, and the running settings stay.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gatecam.errors import ConfigError, OutputError
from gatecam.kiosk.notify_socket import Notifier
from gatecam.live.control import Saving, SavingProblem, require_same
from gatecam.live.page_settings import (
    LIVE_DETECTOR,
    LIVE_GROUPS,
    differences,
    lines_of,
    page_edits,
    page_settings,
)
from gatecam.live.parts import Live
from gatecam.live.reports import Troubles, pace_of
from gatecam.runtime.logs import say
from gatecam.settings.loading import DEFAULT_PATH, LoadedConfig, load
from gatecam.settings.saving import CAMERAS, BrokenError, Edits, OverriddenError, camera_key, edited, save
from gatecam.settings.schema import Config, DetectorConfig, Region, Regions

if TYPE_CHECKING:
    from gatecam.live.screen import Screen

POLL_S = 1.0
RETRY_S = 10.0  # time between two attempts to watch a camera that another gatecam uses
TRIAL_S = 10.0  # a camera is tried out until nobody has asked for it for this long


@dataclass(frozen=True, slots=True)
class Changes:
    """Holds the dotted names of changed settings: those applied live and those that need a restart."""

    live: tuple[str, ...]
    restart: tuple[str, ...]

    def __str__(self) -> str:
        """Return one sentence that says what was applied and what needs a restart."""
        if not (self.live or self.restart):
            return "settings read again: nothing has changed"
        applied = f"settings applied: {', '.join(self.live)}" if self.live else "settings read again"
        needs = f"; restart gatecam for {', '.join(self.restart)}" if self.restart else ""
        return applied + needs


def changes(before: Config, after: Config) -> Changes:
    """Compare two settings."""
    old, new = dict(_flat(before.model_dump())), dict(_flat(after.model_dump()))
    names = [name for name in {**old, **new} if old.get(name, _MISSING) != new.get(name, _MISSING)]
    if [one.name for one in before.cameras] != [one.name for one in after.cameras]:
        names = list(dict.fromkeys(CAMERAS if name.startswith(CAMERAS) else name for name in names))
    live = tuple(name for name in names if _is_live(name, before, after))
    return Changes(live, tuple(name for name in names if name not in live))


def merged(running: Config, wanted: Config) -> Config:
    """Return the running settings with the wanted value of every setting that can change live."""
    detector = {name: getattr(wanted.detector, name) for name in LIVE_DETECTOR}
    update: dict[str, Any] = {name: getattr(wanted, name) for name in LIVE_GROUPS}
    if _lacks_pictures(running, wanted):
        update["evidence"] = running.evidence
    update["detector"] = running.detector.model_copy(update=detector)
    return running.model_copy(update=update)


def changed_places(config: Config, camera: str, place: Region, is_ignored: bool) -> Regions:
    """Return the ignored places of a camera after one is added or removed.

    Raises:
        ConfigError: there is no such camera, the place is not valid, or the camera has too many places.
    """
    before = {one.camera.name: one.detector.ignore for one in config.watched}
    if camera not in before:
        raise ConfigError(f"{camera[:60]!r}: expected one of the cameras {', '.join(before)}")
    places = tuple(one for one in before[camera] if one != place)
    if not is_ignored:
        return places
    try:
        return DetectorConfig(ignore=(*places, place)).ignore
    except ValidationError as error:
        raise ConfigError(f"ignore: {error.errors()[0]['msg']}") from None


_MISSING = object()


def _is_live(name: str, before: Config, after: Config) -> bool:
    group, _, key = name.partition(".")
    if group == "evidence" and _lacks_pictures(before, after):
        return False
    if group in LIVE_GROUPS:
        return True
    return group == "detector" and key in LIVE_DETECTOR


def _lacks_pictures(before: Config, after: Config) -> bool:
    """Return whether a running output sends pictures that new settings no longer keep."""
    return before.sends_pictures != "" and not after.evidence.snapshots


def _flat(tree: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield every setting with its dotted name. List entries are named by their index."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(tree, tuple) and tree and isinstance(tree[0], dict):
        for index, value in enumerate(tree):
            yield from _flat(value, f"{prefix}.{index}")
    else:
        yield prefix, tree


class ConfigWatch:
    """Reads a settings file again when it was saved or when asked to.

    Args:
        loaded: the running settings and their file. Without a file nothing is read.
        now_s: monotonic time.
    """

    def __init__(self, loaded: LoadedConfig, now_s: float) -> None:
        self._path = loaded.path
        self._asked = False
        self._looked_s = now_s
        self._known = self._pending = _signature(self._path)

    def ask(self) -> None:
        """Read the file at the next `poll`, saved or not. A signal handler may call this."""
        self._asked = True

    def poll(self, now_s: float) -> Config | ConfigError | None:
        """Return the settings if the file was saved, the error if they are wrong, and None otherwise.

        A changed file counts as saved once it stays the same for a second, so that no half-written file is
        read.
        """
        if self._path is None or not (self._asked or now_s - self._looked_s >= POLL_S):
            return None
        self._looked_s = now_s
        before, self._pending = self._pending, _signature(self._path)
        if not self._asked and (self._pending == self._known or self._pending != before):
            return None
        self._asked, self._known = False, self._pending
        try:
            return load(self._path).config
        except ConfigError as error:
            return error

    @property
    def has_file(self) -> bool:
        """Return whether there is a file to read."""
        return self._path is not None

    @contextmanager
    def writing(self, path: Path) -> Iterator[None]:
        """Write the file at `path` in this block, and do not reload it afterwards. Any thread may do this.

        The file is reloaded if somebody else has saved it since it was last read. If there was no file, the
        block may create it.
        """
        is_known = _signature(self._path) == self._known
        yield
        self._path = path
        if is_known:
            self._known = self._pending = _signature(self._path)


def _signature(path: Path | None) -> tuple[int, int, int] | None:
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return None if status is None else (status.st_mtime_ns, status.st_size, status.st_ino)


def with_source(config: Config, source: str | None) -> Config:
    """Return the settings with `source` as the only camera, or unchanged if it is None."""
    if source is None:
        return config
    camera = config.camera.model_copy(update={"source": source})
    return config.model_copy(update={"camera": camera, "cameras": ()})


class Reloading:
    """Applies changes of the settings by the pages and in the file, and reports what needs a restart.

    The file is read when it is saved or on SIGHUP. The pages change `running` at once, and `poll`
    applies it to the live loop.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        source: str | None,
        live: Live,
        screen: Screen | None,
        notifier: Notifier,
        troubles: Troubles,
    ) -> None:
        """Begin with the loaded settings.

        Args:
            loaded: the settings and their file.
            source: the camera from `--camera`, or None to watch those of the settings.
            live: applies new settings to the live loop.
            screen: the window, if there is one.
            notifier: reports a reload to the service manager.
            troubles: takes a sentence about wrong settings and settings that need a restart.
        """
        self.source, self._path = source, Path.cwd() / (loaded.path or DEFAULT_PATH)
        self._running = self._wanted = with_source(loaded.config, source)
        self._file = ConfigWatch(loaded, time.monotonic())
        self._live, self._screen, self._notifier, self._troubles = live, screen, notifier, troubles
        self._lock = threading.Lock()  # the pages' threads and `poll` both change settings
        self._saving = threading.Lock()  # one thread at a time writes the file
        self._applied = self._running
        self._is_asked = False  # whether the pages have changed `_running` or `_trial` since the last poll
        self._trial: Callable[[Config], Edits] | None = None  # adds the camera that is tried out
        self._tried_s = 0.0  # when somebody last asked for it
        self._retried_s = -RETRY_S  # when cameras that another gatecam uses were last tried
        self.observers: list[Callable[[Config], None]] = []
        self.viewers: list[Callable[[Config], None]] = []  # these also get the camera that is tried out

    def ask(self) -> None:
        """Read the file at the next poll. Safe in a signal handler."""
        self._file.ask()

    def change(self, values: Mapping[str, object], seen: Mapping[str, object] | None = None) -> Saving:
        """Change settings at the next poll, and save them into the settings file. Safe in any thread.

        Args:
            values: the new values by dotted name.
            seen: the values that a person saw before the change, or None to change whatever is there.

        Raises:
            ConfigError: a setting cannot be changed while running, or a value is not valid.
            ConflictError: the values are not those that the person saw.
        """

        def edits(config: Config) -> Edits:
            require_same(seen, {name: one["value"] for name, one in page_settings(config).items()})
            return page_edits(values)

        return self.edit(edits)

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return the settings that can be changed while running."""
        return page_settings(self._running)

    def ignored(self) -> dict[str, Regions]:
        """Return the places of each camera in which faces are ignored."""
        return {one.camera.name: one.detector.ignore for one in self._running.watched}

    def ignore(self, camera: str, place: Region, is_ignored: bool) -> Saving:
        """Ignore faces in a place of a camera, or no longer. Safe in any thread.

        Raises:
            ConfigError: there is no such camera, the place is not valid, or the camera has too many places.
        """

        def edits(config: Config) -> Edits:
            places = changed_places(config, camera, place, is_ignored)
            return {camera_key(config, camera, "ignore"): places}

        return self.edit(edits, is_of_camera=True)

    def edit(self, edits_of: Callable[[Config], Edits], is_of_camera: bool = False) -> Saving:
        """Apply edits at the next poll, and save them into the settings file if it can be written.

        Raises:
            ConfigError: a value is not valid.
        """
        with self._saving:
            with self._lock:
                before, edits = self._running, edits_of(self._running)
                self._running = edited(before, edits)
                self._is_asked = True
                changed = differences(before, self._running)
            problem, why = self._save(edits, is_of_camera)
        if problem:
            names = ", ".join(one.name for one in changed)
            say(f"{names} is applied but not saved: {why}", level=logging.WARNING)
        return Saving(str(self._path), problem, lines_of(edits), changed)

    def _save(self, edits: Edits, is_of_camera: bool) -> tuple[SavingProblem, str]:
        """Save edits. If that is impossible, return why, also as a text for the log."""
        if is_of_camera and self.source is not None:
            return SavingProblem.OTHER_CAMERA, "the camera comes from --camera, not from the settings file"
        try:
            with self._file.writing(self._path):
                save(self._path, edits, is_new=not self._file.has_file)
        except OutputError as error:
            return SavingProblem.NOT_WRITABLE, str(error)
        except OverriddenError as error:
            return SavingProblem.OVERRIDDEN, str(error)
        except BrokenError as error:
            return SavingProblem.BROKEN, str(error)
        except ConfigError as error:
            return SavingProblem.FORM, str(error)
        with self._lock:
            self._wanted = edited(self._wanted, edits)
        return SavingProblem.NONE, ""

    @property
    def running(self) -> Config:
        """Return the settings that apply, or will at the next poll."""
        return self._running

    def attempt(self, edits_of: Callable[[Config], Edits], now_s: float) -> None:
        """Try out a camera at the next poll, beside the others. Safe in any thread.

        Raises:
            ConfigError: a value is not valid.
        """
        with self._lock:
            edited(self._running, edits_of(self._running))
            self._trial, self._tried_s, self._is_asked = edits_of, now_s, True

    def trial(self, now_s: float) -> Config | None:
        """Return the settings with the camera that is tried out as the last one, or None.

        Each call keeps the camera open for another `TRIAL_S`.
        """
        with self._lock:
            self._tried_s = now_s
            return self._with_trial(self._running)

    def _with_trial(self, config: Config) -> Config | None:
        """Return settings with the camera that is tried out, or None. The lock must be held.

        The trial ends if another camera has the same source by now, or if the camera that it changes was
        removed.
        """
        try:
            return None if self._trial is None else edited(config, self._trial(config))
        except ConfigError:
            self._trial = None
            return None

    def poll(self, now_s: float) -> None:
        """Apply changes from the pages, and read the file if it was saved or requested. Reject a broken file.

        Cameras that another gatecam uses are tried again now and then.
        """
        with self._lock:
            if self._trial and now_s - self._tried_s > TRIAL_S:
                self._trial, self._is_asked = None, True
            is_asked, asked, self._is_asked = self._is_asked, self._running, False
        if self._live.refused and now_s - self._retried_s >= RETRY_S:
            is_asked, self._retried_s = True, now_s
        if is_asked:
            if asked != self._applied:
                say(str(changes(self._applied, asked)))
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
            wanted = with_source(wanted, self.source)
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
        gone = {one.camera.name for one in self._applied.watched}
        for name in gone - {one.camera.name for one in config.watched}:
            self._troubles.note(pace_of(name), None)
        self._applied = config
        with self._lock:
            shown = self._with_trial(config) or config
        self._troubles.note("cameras", self._live.apply(shown))
        for viewer in self.viewers:
            viewer(shown)
        for observer in self.observers:
            observer(config)
        if self._screen:
            self._screen.apply(config)
