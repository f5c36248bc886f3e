"""Analyze one part of a video, and join the parts so that the results are those of one replay.

Every part is first analyzed on its own, as if nobody had been there before. At each check, ten seconds apart,
it notes the fingerprint of its memory. Then the part before it continues beyond the cut, until its memory is
the same as that of the later part at the same check. From there on, both would give the same results, so
those of the later part are used. If their memories are never the same, the earlier part continues to the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path

from gatecam.app import build_pipeline
from gatecam.archive.memory import Memory, fingerprint
from gatecam.capture.part import CannotCutError, Cut, VideoPart
from gatecam.capture.prefetch import prefetch
from gatecam.capture.recording import Recording, open_recording
from gatecam.errors import SourceError
from gatecam.people.keyframes import is_anchor
from gatecam.people.tracker import FaceTracker
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config
from gatecam.types import Event, Face, Frame, Step, Verdict

IDS_PER_MS = 1000  # number of ids for the tracks that begin within one ms
UNITS = 1_000_000  # probabilities are added as whole numbers, so that the order of adding changes nothing


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Asks for the analysis of the frames of a video from one cut to another.

    `start` and `end` are None at the start and end of the video. `memory` is the memory that the part before
    has at the cut, or None to begin as if nobody had been there. `checks` are the fingerprints of an earlier
    analysis by the time of their frame. The analysis ends at the first check where its own fingerprint is the
    same.
    """

    path: Path
    camera: str
    start: Cut | None = None
    end: Cut | None = None
    memory: Memory | None = None
    checks: Mapping[float, str] = field(default_factory=dict)


@dataclass(slots=True)
class Seen:
    """Sums up one track over some frames. `gender` and `age` add up probabilities in millionths."""

    first_s: float
    last_s: float
    verdicts: list[tuple[float, Verdict]] = field(default_factory=list)
    gender: list[int] = field(default_factory=lambda: [0, 0])
    age: list[int] = field(default_factory=lambda: [0, 0, 0])

    def add(self, face: Face) -> None:
        """Add the probabilities of a face."""
        self.gender = _sums(self.gender, (round(UNITS * float(one)) for one in face.prediction.gender))
        self.age = _sums(self.age, (round(UNITS * float(one)) for one in face.prediction.age))

    def turn(self, time_s: float, verdict: Verdict) -> None:
        """Note a verdict if it differs from the one before."""
        if not self.verdicts or self.verdicts[-1][1] is not verdict:
            self.verdicts.append((time_s, verdict))

    def go_on(self, later: Seen) -> None:
        """Add what was seen of the same track in the frames that follow."""
        self.last_s = later.last_s
        for time_s, verdict in later.verdicts:
            self.turn(time_s, verdict)
        self.gender, self.age = _sums(self.gender, later.gender), _sums(self.age, later.age)


@dataclass(slots=True)
class Stretch:
    """Holds the results of the frames after one check up to the next.

    Events count frames from the first of the stretch. `tracks` has the ids of all tracks, and `people` what
    was seen of those that are not pictures. `check_s` and `memory` are the time and the fingerprint at the
    end. They are 0 and empty if the part ends there without a check.
    """

    frames: int = 0
    end_s: float = 0.0
    events: list[Event] = field(default_factory=list)
    tracks: set[int] = field(default_factory=set)
    people: dict[int, Seen] = field(default_factory=dict)
    check_s: float = 0.0
    memory: str = ""

    def add(self, step: Step, events: list[Event]) -> None:
        """Add the result of the next frame."""
        now_s = step.frame.time_s
        self.frames, self.end_s = self.frames + 1, now_s
        self.events += events
        for track in step.tracks:
            self.tracks.add(track.id)
            if track.is_picture:
                continue
            seen = self.people.setdefault(track.id, Seen(now_s - track.age_s, now_s))
            seen.last_s = now_s - track.missing_s
            seen.turn(now_s, track.verdict)
            for face in (face for face in track.faces if face.judged):
                seen.add(face)


@dataclass(slots=True, eq=False)
class Outcome:
    """Holds the outcome of a part.

    `memory` is the pipeline's memory after the last frame. `met` says whether the part ended early because it
    met one of its checks. `loss` says what could not be read. `error` says why nothing could be read at all.
    `uncut` says that the video must be analyzed whole.
    """

    stretches: list[Stretch] = field(default_factory=list)
    memory: Memory | None = None
    met: bool = False
    loss: str | None = None
    error: str | None = None
    uncut: bool = False


def analyze(
    part: Part, analyzer: FaceAnalyzer, config: Config, on_share: Callable[[float], None] = lambda share: None
) -> Outcome:
    """Analyze a part. `on_share` is called with the share of its frames that are done, 0 to 1."""
    try:
        return _analyze(part, analyzer, config, on_share)
    except SourceError as error:
        return Outcome(error=str(error))
    except CannotCutError:
        return Outcome(uncut=True)


def _analyze(
    part: Part, analyzer: FaceAnalyzer, config: Config, on_share: Callable[[float], None]
) -> Outcome:
    whole, batch, telemetry = analyzer.device == "cuda", config.replay.batch, Telemetry()
    pipeline = build_pipeline(config, analyzer, part.camera, telemetry, batch, whole)
    assert isinstance(pipeline.tracker, FaceTracker)
    if part.memory is not None:
        part.memory.give_to(pipeline)
    recording = _open(part, config, whole and config.replay.hardware)
    outcome, stretch, before_s = Outcome(), Stretch(), None
    with (
        recording as frames,
        closing(prefetch(frames, 2 * batch, attrgetter("pixels"))) as ahead,
    ):
        for done, step in enumerate(pipeline.steps(_numbered(ahead, pipeline.tracker)), start=1):
            now_s, first = step.frame.time_s, step.frame.index - stretch.frames
            stretch.add(step, [replace(event, frame=event.frame - first) for event in step.events])
            if before_s is not None and is_anchor(before_s, now_s) and pipeline.planner is not None:
                memory = Memory.of(pipeline)
                stretch.check_s, stretch.memory = now_s, fingerprint(memory, step.frame.image)
                outcome.stretches.append(stretch)
                outcome.met = part.checks.get(now_s) == stretch.memory
                stretch = Stretch()
                if outcome.met:
                    break
            before_s = now_s
            on_share(done / max(done, recording.expected_frames or done))
    if stretch.frames:
        outcome.stretches.append(stretch)
    outcome.memory, outcome.loss = Memory.of(pipeline), recording.loss
    return outcome


def _open(part: Part, config: Config, on_gpu: bool) -> Recording:
    if part.start is None and part.end is None:
        return open_recording(part.path, config.replay.image_fps, part.camera, on_gpu)
    return VideoPart(part.path, part.camera, part.start, part.end, runs_up=part.memory is not None)


def _numbered(frames: Iterator[Frame], tracker: FaceTracker) -> Iterator[Frame]:
    """Yield the same frames, and derive the ids of new tracks from the frames' times.

    So the ids do not depend on how many people came before. `assembly.joined` numbers the tracks from 1.
    """
    for frame in frames:
        tracker.count_from(IDS_PER_MS * int(1000 * frame.time_s))
        yield frame


def _sums(a: Iterable[int], b: Iterable[int]) -> list[int]:
    return [one + other for one, other in zip(a, b, strict=True)]
