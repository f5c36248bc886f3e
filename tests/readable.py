"""Looks for faces that can still be read in pictures that gatecam gives away.

Every box is taken that our cascade finds in such a picture at thresholds of 0.3, 0.3 and 0.2 from 12 px on,
or facenet-pytorch's cascade on its defaults. It is compared with the picture as the camera gave it:

- where the pixels are as they were, it is a readable face if one of the two finds a face there in the
  camera's picture on their defaults (hands and prints on clothes pass the low thresholds alone);
- where they are not, it is one if the landmarks are within a tenth of the eyes' distance of those of the
  camera's picture, or if the classifier says of the mask what it says there, as surely as a verdict wants.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import av
import numpy as np
import PIL.Image

from gatecam.app import build_analyzer, build_finder, open_replay
from gatecam.geometry import iou
from gatecam.live.evidence import Recorder
from gatecam.pictures.blur import AHEAD_S, Cover, Veil
from gatecam.pictures.draw import annotate
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config, DetectorConfig, EvidenceConfig
from gatecam.store.evidence import EvidenceFolder
from gatecam.types import Event, EventKind, Face, Image, Step, Verdict
from gatecam.web.painting import LARGEST_PX, draw
from gatecam.web.tokens import Role

SMALLEST_PX = 12
LOW = DetectorConfig(min_face_px=SMALLEST_PX, pnet_threshold=0.3, rnet_threshold=0.3, onet_threshold=0.2)
STOCK = DetectorConfig(weights="stock", min_face_px=20)
SAME = 8.0  # mean difference of pixels, of 255, up to which nothing was blurred: JPEG and scaling change some
NEAR, EYES = 0.3, 0.1
SURE_FACE, SURE_VERDICT = 0.7, Config().tracker.confidence


@dataclass
class Reader:
    """The two cascades and the classifier."""

    low: FaceAnalyzer
    stock: FaceAnalyzer
    known: dict[bytes, list[Face]] = field(default_factory=dict)  # several tests look at the same frames

    @classmethod
    def load(cls) -> Reader:
        low = build_analyzer(Config(detector=LOW), Telemetry())
        # facenet-pytorch itself, because its cascade on OpenVINO finds the faces to blur
        return cls(low, build_analyzer(Config(detector=STOCK, device="cpu"), Telemetry()))

    def faces(self, true: Image) -> list[Face]:
        """The faces of a camera's picture."""
        key = hashlib.sha256(true).digest()
        if key not in self.known:
            low = [face for face in self.low.analyze([true])[0] if face.detection.box.width >= SMALLEST_PX]
            sure = [face for face in low if face.detection.score >= SURE_FACE]
            self.known[key] = sure + self.stock.analyze([true])[0]
        return self.known[key]

    def readable(self, sent: Image, true: Image, faces: list[Face]) -> Iterator[str]:
        """A line for each face of `faces`, those of `true`, that can be read in `sent`."""
        for found in self.low.analyze([sent])[0] + self.stock.analyze([sent])[0]:
            box = found.detection.box
            for face in faces:
                if iou(face.detection.box, box) > NEAR and (why := _how(found, face, sent, true)):
                    yield f"{why}: {box.width:.0f} px at {box.x1:.0f}, {box.y1:.0f}"


def _how(found: Face, face: Face, sent: Image, true: Image) -> str:
    box = found.detection.box
    place = np.s_[max(0, int(box.y1)) : int(box.y2) + 1, max(0, int(box.x1)) : int(box.x2) + 1]
    if np.abs(sent[place].astype(int) - true[place]).mean() < SAME:
        return "not blurred"
    here, there = found.detection.landmarks, face.detection.landmarks
    if here is not None and there is not None:
        eyes = np.linalg.norm(there[0] - there[1])
        if np.linalg.norm(here - there, axis=1).mean() < EYES * eyes:
            return "landmarks"
    here_mask, there_mask = found.prediction.mask, face.prediction.mask
    if here_mask.argmax() == there_mask.argmax() and here_mask.max() >= SURE_VERDICT:
        return "classifier"
    return ""


def live_pictures(path: Path, analyzer: FaceAnalyzer, role: Role, every: int) -> Iterator[tuple[Step, bytes]]:
    """The live pictures that somebody gets while a camera shows a clip, each `every` frames, as JPEG."""
    config, veil, held = Config(), Veil(), []
    finder = build_finder(config)
    with open_replay(config, path, analyzer, Telemetry()) as replay:
        for i, step in enumerate(replay.steps):
            now_s = step.frame.time_s
            veil.note(step)
            if i % every == 0:
                held.append(step)
            if veil.wants_search(now_s):
                veil.note_search(now_s, finder.find(step.frame.image, LARGEST_PX))
            while held and held[0].frame.time_s <= now_s - AHEAD_S:
                shown = held.pop(0)
                hidden = veil.boxes(shown.frame.time_s)
                assert hidden is not None
                yield shown, draw(shown, hidden, role)


def annotated_pictures(path: Path, analyzer: FaceAnalyzer) -> Iterator[tuple[Step, Image]]:
    """What `gatecam replay --video` and `--sheet` draw."""
    cover = Cover[None](build_finder(Config()))
    with open_replay(Config(), path, analyzer, Telemetry()) as replay:
        for step in replay.steps:
            yield from (
                (one, annotate(one, banner=None, blur=boxes)) for one, _, boxes in cover.add(step, None)
            )
        yield from ((one, annotate(one, banner=None, blur=boxes)) for one, _, boxes in cover.rest())


FRAMES = 200  # of a clip that are shown to the recorder


def kept_pictures(
    path: Path, analyzer: FaceAnalyzer, folder: Path, every: int
) -> Iterator[tuple[Step, Image, bool]]:
    """What is kept of alerts by default, each with whether it is of a video.

    Every so many frames with a person count as an alert. The first of them has a video too.
    """
    evidence = EvidenceConfig(snapshots=True, clip_before_s=1, clip_after_s=2)
    config, kept = Config(evidence=evidence), EvidenceFolder(folder)
    finders = build_finder(config), build_finder(config, thorough=True)
    alerts: dict[str, Step] = {}
    is_wanted = alerts.__contains__
    recorder = Recorder(config, kept, lambda: finders, is_wanted, clock=lambda: 0.0)
    steps: list[Step] = []
    with open_replay(config, path, analyzer, Telemetry(), "entrance") as replay:
        for step in islice(replay.steps, FRAMES):
            events: tuple[Event, ...] = ()
            if step.tracks and step.frame.index % every == 0:
                key, at = f"{step.frame.index:032x}", "2026-11-24T12:00:00+00:00"
                alerts[key] = step
                time_s = step.frame.time_s
                events = (Event(EventKind.MASK_MISSING, "entrance", 1, Verdict.NONE, time_s, at=at, key=key),)
            while len(recorder._jobs) > 8 or recorder._frames:
                threading.Event().wait(0.01)
            recorder.note(step, events)
            steps.append(step)
    recorder.close(600)
    for key, step in alerts.items():
        with PIL.Image.open(kept.snapshot(key)) as picture:
            yield step, np.array(picture), False
    key, first = next(iter(alerts.items()))
    shown = [step for step in steps if step.frame.time_s >= first.frame.time_s - 1]
    for step, image in _frames_of(kept.clip(key), shown):
        yield step, image, True


def _frames_of(clip: Path, steps: list[Step]) -> Iterator[tuple[Step, Image]]:
    """Pair every third frame of a video with the step that it resembles most, among those near its time."""
    with av.open(str(clip)) as video:
        shown = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in video.decode(video=0)]
    height, width = steps[0].frame.image.shape[:2]
    for time_s, image in shown[::3]:  # looking at every frame would take minutes
        sent = image[:height, :width]
        near = [one for one in steps if -0.05 <= one.frame.time_s - steps[0].frame.time_s - time_s <= 0.25]
        yield (
            min(near, key=lambda one: np.abs(one.frame.image[::8, ::8].astype(int) - sent[::8, ::8]).mean()),
            sent,
        )
