"""Keep a picture of each alert about a person, and on request a short video, without slowing the live loop.

LiveSinks ─► note (references only) ─► a thread shrinks and compresses some frames ─► the last seconds
                                                                                          │ a little later
folder ◄─ a thread finds the faces, blurs them and encodes ◄─ a bounded queue of alerts ◄─┘

Both queues are bounded. What does not fit is dropped and counted, because nothing may wait for evidence.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from gatecam.errors import GatecamError, OutputError
from gatecam.pictures.blur import AHEAD_S, cover_each
from gatecam.pictures.draw import blur_faces
from gatecam.pictures.snapshots import shrunk_step, snapshot_jpeg
from gatecam.pictures.video import VideoWriter
from gatecam.ports import FaceFinder
from gatecam.runtime.telemetry import Delivering, Telemetry
from gatecam.settings.schema import Config
from gatecam.store.evidence import EvidenceFolder
from gatecam.types import Box, Event, Image, Step

PERIOD_S = 0.2  # time between two kept frames, which is also the time between two frames of a video
AROUND_S = 0.5  # faces to blur in a snapshot are also searched for in the frames of this time before it
LATE_S = 2.0  # longest time that alerts wait for later frames of a camera that gives no more
FRAMES_WAITING = 12  # frames that may wait to be compressed
ALERTS_WAITING = 16  # pictures and videos that may wait to be made
JPEG_QUALITY = 95  # of frames in memory
STORED_S, POLL_S = 5.0, 0.2  # longest wait until an alert's event is in the store
NO_IMAGE: Image = np.zeros((0, 0, 3), np.uint8)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """Holds a frame of the last seconds: a step without its picture, and the picture as JPEG."""

    step: Step
    jpeg: bytes
    events: tuple[Event, ...] = ()

    def whole(self) -> Step:
        """Return the step with its picture."""
        bgr = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert bgr is not None
        image = np.ascontiguousarray(bgr[:, :, ::-1], np.uint8)
        return replace(self.step, frame=replace(self.step.frame, image=image))


@dataclass(frozen=True, slots=True)
class _Due:
    """Says when enough frames after an alert have come for its snapshot or video."""

    event: Event
    is_clip: bool
    at_s: float


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """Holds an alert and the frames around it."""

    event: Event
    is_clip: bool
    frames: tuple[_Kept, ...]


@dataclass(slots=True)
class _Camera:
    """Holds one camera's last seconds, and its alerts that wait for later frames."""

    frames: deque[_Kept] = field(default_factory=deque)
    due: list[_Due] = field(default_factory=list)
    taken_s: float = -1.0  # time of the last frame that was taken, only used by the live loop


class Recorder(Delivering):
    """Keeps pictures and videos of alerts in a folder, in two daemon threads. It counts them like a sink."""

    name = "evidence"

    def __init__(
        self,
        config: Config,
        folder: EvidenceFolder,
        build_finders: Callable[[], tuple[FaceFinder, FaceFinder]],
        is_stored: Callable[[str], bool],
        telemetry: Telemetry | None = None,
        on_trouble: Callable[[str | None], None] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the threads.

        Args:
            config: the settings of evidence, cameras and privacy.
            folder: takes the pictures and videos.
            build_finders: returns the finder of the faces to blur in every frame, and a more thorough one for
                snapshots. It is called once, in a thread, because it may take seconds.
            is_stored: returns whether the event with a key is in the store. Evidence of others is dropped.
            telemetry: counts what was kept, dropped and failed.
            on_trouble: called with a sentence if evidence cannot be kept, and with None when it can again.
            clock: the clock of the frames' times.
        """
        self._config, self._folder, self._is_stored = config.evidence, folder, is_stored
        self._build_finders = build_finders
        self._finders: tuple[FaceFinder, FaceFinder] | None = None
        self._telemetry, self._on_trouble, self._clock = telemetry or Telemetry(), on_trouble, clock
        self._blurs = config.privacy.blur_evidence
        self._cameras = {one.camera.name: _Camera() for one in config.watched}
        self._frames: deque[tuple[Step, tuple[Event, ...]]] = deque()
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closing = self._has_all = False
        self._is_loading = True  # the finders are wanted before the first alert
        self._job: _Job | None = None  # the one that is being done
        self._trouble: str | None = None
        self.saved: Callable[[str, bytes], None] = lambda camera, jpeg: None
        self._threads = [
            threading.Thread(target=work, name=f"evidence {name}", daemon=True)
            for name, work in (("frames", self._compress_all), ("alerts", self._keep_all))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Return how many alerts wait for their pictures."""
        due = sum(len(one.due) for one in self._cameras.values())
        return due + len(self._jobs) + (self._job is not None)

    def apply(self, config: Config) -> None:
        """Apply new settings. If they want no snapshots, drop everything that waits."""
        names = [one.camera.name for one in config.watched]
        with self._changed:
            self._config, self._blurs = config.evidence, config.privacy.blur_evidence
            if not self._config.snapshots:
                self._cameras = {}
                self._frames.clear()
                self._jobs.clear()
                if self._trouble is not None:
                    self._trouble = None
                    self._on_trouble(None)
                return
            self._cameras = {name: self._cameras.get(name) or _Camera() for name in names}

    def note(self, step: Step, events: Sequence[Event]) -> None:
        """Take a step and its events with their keys. This keeps references and never blocks or raises."""
        if (camera := self._cameras.get(step.frame.camera)) is None:
            return  # it was just removed, or nothing is kept
        now_s = step.frame.time_s
        alerts = tuple(event for event in events if event.kind.is_alert)
        if not alerts and 0 <= now_s - camera.taken_s < 0.9 * PERIOD_S:
            return
        with self._changed:
            if len(self._frames) >= FRAMES_WAITING:
                self._count("dropped", len(alerts))
                return
            camera.taken_s = now_s
            self._frames.append((step, alerts))
            self._changed.notify_all()

    def close(self, timeout_s: float = 3.0) -> None:
        """Finish the waiting alerts with the frames so far, and end the threads within `timeout_s`."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        end_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end_s - time.monotonic()))
        with self._changed:
            left = self.waiting
        if left:
            self._count("dropped", left)
            log.warning(
                "Pictures or videos of alerts are lost (%d): gatecam ended before they were made.", left
            )

    # In the thread that compresses frames --------------------------------------------------------

    def _compress_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._frames, AHEAD_S)
                frames, is_last = list(self._frames), self._closing
                self._frames.clear()
            for step, events in frames:
                try:
                    self._compress(step, events)
                except Exception:  # one broken frame must not stop all others
                    log.exception("A frame could not be kept as evidence.")
            self._promote(is_last)
            if is_last:
                with self._changed:
                    self._has_all = True
                    self._changed.notify_all()
                return

    def _compress(self, step: Step, events: tuple[Event, ...]) -> None:
        if (camera := self._cameras.get(step.frame.camera)) is None:
            return  # it was just removed
        small = shrunk_step(step)
        bgr = small.frame.image[:, :, ::-1]
        good, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        assert good
        bare = replace(small, frame=replace(small.frame, image=NO_IMAGE), events=(), addressed=None)
        now_s, config = step.frame.time_s, self._config
        with self._changed:
            camera.frames.append(_Kept(bare, jpeg.tobytes(), events))
            for event in events:
                camera.due.append(_Due(event, False, now_s + AHEAD_S))
                if config.has_clips:
                    camera.due.append(_Due(event, True, now_s + config.clip_after_s + AHEAD_S))
            kept_s = config.clip_before_s + config.clip_after_s + AROUND_S + AHEAD_S + LATE_S
            while not 0 <= now_s - camera.frames[0].step.frame.time_s <= kept_s:
                camera.frames.popleft()

    def _promote(self, is_last: bool) -> None:
        """Turn alerts that have enough frames into jobs."""
        now_s = self._clock()
        with self._changed:
            for camera in self._cameras.values():
                newest_s = camera.frames[-1].step.frame.time_s if camera.frames else now_s
                ready = [
                    one for one in camera.due if is_last or newest_s >= one.at_s or now_s >= one.at_s + LATE_S
                ]
                camera.due = [one for one in camera.due if one not in ready]
                for one in ready:
                    self._add_job(one, camera)

    def _add_job(self, due: _Due, camera: _Camera) -> None:
        if len(self._jobs) >= ALERTS_WAITING:
            self._count("dropped")
            return
        before_s, after_s = AROUND_S, 0.0
        if due.is_clip:
            before_s, after_s = self._config.clip_before_s, self._config.clip_after_s
        first_s, last_s = due.event.time_s - before_s, due.event.time_s + after_s + AHEAD_S + PERIOD_S
        frames = tuple(one for one in camera.frames if first_s <= one.step.frame.time_s <= last_s)
        self._jobs.append(_Job(due.event, due.is_clip, frames))
        self._changed.notify_all()

    # In the thread that keeps pictures -----------------------------------------------------------

    def _keep_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._has_all or self._is_loading)
                if not (self._jobs or self._is_loading):
                    return
                self._job, self._is_loading = self._jobs.popleft() if self._jobs else None, False
            try:
                self._load_finders()
                if self._job is not None:
                    self._keep(self._job)
            except GatecamError as error:
                self._tell(str(error))
            except Exception as error:  # an alert that fails must not stop the next ones
                log.exception("A picture of an alert could not be kept.")
                self._tell(f"pictures of alerts fail ({type(error).__name__}: {error}); see the log.")
            else:
                self._tell(None)
            self._job = None

    def _load_finders(self) -> tuple[FaceFinder, FaceFinder]:
        if self._finders is None:
            self._finders = self._build_finders()
        return self._finders

    def _keep(self, job: _Job) -> None:
        self._folder.make_ready()
        made = None if job.is_clip else self._snapshot(job)
        if not self._is_stored_soon(job.event.key):
            self._count("dropped")  # erased, or waiting for space on the disk
            return
        problem = self._problem_of_writing(job, made)
        if self._is_erased(job.event.key):  # meanwhile, perhaps with the folder
            self._folder.remove(job.event.key)
            self._count("dropped")
            return
        if problem is not None:
            raise problem
        if made is not None:
            self.saved(job.event.camera, made)
        self._count("sent")

    def _problem_of_writing(self, job: _Job, made: bytes | None) -> OutputError | None:
        """Write a snapshot that was made, or else the video of a job. Return why that failed, or None."""
        try:
            if made is None:
                self._folder.save_clip(job.event.key, partial(self._write_clip, job))
            else:
                self._folder.save_snapshot(job.event.key, made)
        except OutputError as error:
            return error
        return None

    def _is_erased(self, key: str) -> bool:
        try:
            return not self._is_stored(key)
        except OutputError:
            return False

    def _is_stored_soon(self, key: str) -> bool:
        for _ in range(round(STORED_S / POLL_S)):
            with suppress(OutputError):
                if self._is_stored(key):
                    return True
            time.sleep(POLL_S)  # not a wait for `_changed`, which each new frame would end
        return False

    def _snapshot(self, job: _Job) -> bytes:
        """Return the picture of the alert's own frame, blurred if the settings say so."""
        blurs = self._blurs
        for step, is_own, boxes in self._covered(job, blurs):
            if is_own:
                image = step.frame.image
                hidden = [*boxes, *self._load_finders()[1].find(image)] if blurs else None
                return snapshot_jpeg(image, _face(step, job.event), hidden)
        raise OutputError(f"camera {job.event.camera}: an alert has no picture, because its frame was lost.")

    def _write_clip(self, job: _Job, path: Path) -> None:
        last_s = job.event.time_s + self._config.clip_after_s
        with VideoWriter(path, 1 / PERIOD_S) as video:
            for step, _, boxes in self._covered(job, self._blurs):
                if step.frame.time_s <= last_s:
                    video.write(blur_faces(step.frame.image, boxes), step.frame.time_s)

    def _covered(self, job: _Job, blurs: bool) -> Iterator[tuple[Step, bool, tuple[Box, ...]]]:
        """Yield the job's steps, whether each is the alert's own, and the boxes to blur in it."""
        steps = ((one.whole(), any(event.key == job.event.key for event in one.events)) for one in job.frames)
        if blurs:
            yield from cover_each(steps, self._load_finders()[0])
        else:
            yield from ((step, is_own, ()) for step, is_own in steps)

    def _tell(self, trouble: str | None) -> None:
        if trouble is not None:
            self._count("failed")
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble is not None:
            log.warning("%s", trouble)
        else:
            log.warning("Pictures of alerts are kept again.")
        self._on_trouble(trouble)


def _face(step: Step, event: Event) -> Box | None:
    """Return the box of an event's person in a step, or None if the person is not in it."""
    return next((track.box for track in step.tracks if track.id == event.track_id), None)
