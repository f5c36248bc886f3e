"""Keep the health of the running program up to date for `gatecam status` and the pages."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from gatecam import __version__
from gatecam.capture.camera import Camera
from gatecam.live.health import (
    STALE_S,
    CameraHealth,
    Health,
    LastAlert,
    QueueHealth,
    free_disk_mb,
    own_memory_mib,
    own_open_files,
)
from gatecam.live.parts import Live, LiveSinks
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.cores import CoresInUse
from gatecam.runtime.wall_clock import wall_clock
from gatecam.settings.schema import TRIAL
from gatecam.types import CameraCondition, EventKind, Round, Verdict

RATE_FRAMES = 100  # the frame rate is averaged over at most this many frames ...
RATE_S = 10.0  # ... and this many seconds
FIRST_VERDICTS = (Verdict.CORRECT.value, Verdict.INCORRECT.value, Verdict.NONE.value)


class Board:
    """Records the rounds and summarizes them as health. Any thread may read the health.

    `troubles` returns one sentence for each current trouble. `folder` is the folder of the store.
    """

    def __init__(
        self,
        live: Live,
        analyzer: FaceAnalyzer,
        sinks: LiveSinks,
        troubles: Callable[[], tuple[str, ...]],
        folder: Path,
    ) -> None:
        self._folder = folder
        self._live, self._analyzer, self._sinks, self._troubles = live, analyzer, sinks, troubles
        self._started_s = time.monotonic()
        self._judged_s: dict[str, deque[float]] = defaultdict(partial(deque, maxlen=RATE_FRAMES))
        self._faces: dict[str, int] = {}
        self._frames: Counter[str] = Counter()
        self._events: dict[str, Counter[str]] = defaultdict(Counter)
        self._people: dict[str, Counter[str]] = defaultdict(Counter)
        self._last_alert: LastAlert | None = None
        self._cores = CoresInUse()

    def note(self, turn: Round) -> None:
        """Add a round to the counts."""
        self._cores.note(turn.time_s)
        for step in turn.steps:
            self._judged_s[step.frame.camera].append(step.frame.time_s)
            self._frames[step.frame.camera] += 1
            self._faces[step.frame.camera] = sum(track.in_view for track in step.tracks)
        for event in turn.events:
            self._events[event.camera][event.kind.value] += 1
            if event.first:
                self._people[event.camera][event.verdict.value] += 1
            if event.kind.is_alert:
                self._last_alert = LastAlert(event.kind, event.camera, wall_clock())

    def health(self) -> Health:
        """Return the health of the program now."""
        now_s = time.monotonic()
        return Health(
            __version__,
            os.getpid(),
            now_s - self._started_s,
            self._analyzer.device,
            own_memory_mib(),
            own_open_files(),
            tuple(self._each_camera(now_s)),
            tuple(QueueHealth(q.name, q.waiting, q.sent, q.failed, q.dropped) for q in self._sinks.queues),
            self._last_alert,
            self._troubles(),
            self._cores.share,
            free_disk_mb(self._folder),
        )

    def _each_camera(self, now_s: float) -> Iterator[CameraHealth]:
        """Yield the health of each camera of the settings. One that another gatecam uses counts as lost."""
        opened, refused = {one.name: one for one in self._live.cameras.cameras}, dict(self._live.refused)
        for name in [name for name in self._live.names if name != TRIAL]:
            if name in opened:
                yield self._camera(opened[name], now_s)
            elif name in refused:
                yield CameraHealth(name, CameraCondition.LOST, refused[name])
            else:  # it is opened with other settings right now
                yield CameraHealth(name, CameraCondition.OPENING)

    def _camera(self, camera: Camera, now_s: float) -> CameraHealth:
        judged_s = tuple(self._judged_s[camera.name])
        state = camera.state
        reason = state.reason if state.kind is CameraCondition.LOST else state.blindness
        age_s = now_s - judged_s[-1] if judged_s else None
        is_fresh = age_s is not None and age_s < RATE_S
        return CameraHealth(
            camera.name,
            state.kind,
            reason,
            now_s - state.since_s,
            age_s,
            _rate(judged_s) if is_fresh else 0.0,
            camera.dropped,
            camera.restarts,
            self._faces.get(camera.name, 0) if is_fresh else 0,
            self._frames[camera.name],
            {kind.value: self._events[camera.name][kind.value] for kind in EventKind},
            {verdict: self._people[camera.name][verdict] for verdict in FIRST_VERDICTS},
            self._live.alerts.slow.get(camera.name, ""),
            max(STALE_S, camera.config.read_timeout_s),
        )


def _rate(times_s: Sequence[float]) -> float:
    """Return the frames per second over the last `RATE_S`."""
    recent = [time_s for time_s in times_s if times_s[-1] - time_s <= RATE_S]
    seconds = recent[-1] - recent[0] if recent else 0.0
    return (len(recent) - 1) / seconds if seconds > 0 else 0.0
