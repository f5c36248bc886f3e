"""Measure whether people who stand still for a minute stay people, and whether portraits stay pictures.

The second of each clip in which least moves is shown forwards and backwards for a minute. The portraits are
still pictures with the noise of a camera.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice, pairwise
from pathlib import Path

import numpy as np

from gatecam.app import build_pipeline
from gatecam.capture.images import read_image
from gatecam.capture.recording import open_recording
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config
from gatecam.training.drawing import Wear, draw_mask, pick_makes
from gatecam.types import Frame, Image
from tests.clips import LANDMARKS, PORTRAIT

LENGTH_S, CALM_S, FPS = 60.0, 1.0, 10.0
NOISE = 3.0  # standard deviation, of 255
NAMES = ("again.mkv", "bird.mkv", "book.mkv", "eat.mkv", "learn.mkv", "mask-off.mp4", "classroom.mp4")


@dataclass(frozen=True, slots=True)
class Stood:
    """Holds since when a clip had a person, how often after that, and how many people became pictures."""

    name: str
    from_s: float | None  # when it was a person first, None if never
    person_share: float  # of the frames with a face since then
    lapses: int  # tracks of people that became pictures
    events: tuple[str, ...]


def stand(config: Config, analyzer: FaceAnalyzer, name: str, images: Iterable[Image]) -> Stood:
    """Show pictures to a new pipeline, and count the frames in which somebody is a person."""
    pipeline = build_pipeline(config, analyzer, name, Telemetry(), batch=1)
    frames = (Frame(name, index, index / FPS, image) for index, image in enumerate(images))
    alive: list[bool] = []
    times_s, events, people, lapses = [], [], set(), 0
    for step in pipeline.steps(frames):
        events += [str(event.kind) for event in step.events]
        seen = [track for track in step.tracks if track.faces]
        now = {track.id for track in seen if not track.is_picture}
        fallen = people & {track.id for track in seen if track.is_picture}
        people, lapses = people - fallen | now, lapses + len(fallen)
        if seen:
            alive.append(bool(now))
            times_s.append(step.frame.time_s)
    if True not in alive:
        return Stood(name, None, 0.0, 0, tuple(events))
    first = alive.index(True)
    since = alive[first:]
    return Stood(name, times_s[first], sum(since) / len(since), lapses, tuple(events))


def calm(path: Path) -> list[Image]:
    """Return the pictures of the second in which least moves, at `FPS`."""
    with open_recording(path, FPS) as frames:
        taken: list[Image] = []
        for frame in frames:
            if frame.time_s >= len(taken) / FPS:
                taken.append(frame.image)
    count = round(CALM_S * FPS)
    greens = [image[::8, ::8, 1].astype(np.float32) for image in taken]
    moved = [float(np.abs(a - b).mean()) for a, b in pairwise(greens)]
    start = min(range(max(1, len(moved) - count + 1)), key=lambda at: sum(moved[at : at + count]))
    return taken[start : start + count + 1]


def minute(images: list[Image]) -> Iterator[Image]:
    """Yield pictures forwards and backwards for `LENGTH_S`."""
    return islice(cycle([*images, *images[-2:0:-1]]), round(LENGTH_S * FPS))


def portraits() -> Iterator[tuple[str, Iterator[Image]]]:
    """Yield the bare and the masked portrait with the noise of a camera."""
    bare = read_image(PORTRAIT)
    (make,) = pick_makes(1, np.random.default_rng(1))
    masked = draw_mask(bare, LANDMARKS, make, Wear.RIGHT, np.random.default_rng(1)).image
    for name, picture in (("portrait, bare", bare), ("portrait, masked", masked)):
        yield name, _noisy(picture)


def _noisy(picture: Image) -> Iterator[Image]:
    rng = np.random.default_rng(5)
    grain = rng.normal(0, NOISE, (picture.shape[0] + 32, picture.shape[1] + 32, 3))
    for _ in range(round(LENGTH_S * FPS)):
        dx, dy = rng.integers(0, 32, 2)
        shown = picture + grain[dy : dy + picture.shape[0], dx : dx + picture.shape[1]]
        yield np.clip(shown.round(), 0, 255).astype(np.uint8)


def all_stood(config: Config, analyzer: FaceAnalyzer, videos: Path) -> list[Stood]:
    """Measure the clips that are there, and the portraits."""
    clips = [(name, minute(calm(videos / name))) for name in NAMES if (videos / name).exists()]
    return [stand(config, analyzer, name, images) for name, images in [*clips, *portraits()]]
