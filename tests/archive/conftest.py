"""A short drawn recording in which people come and go, and an analyzer that finds them by their color."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from gatecam.archive.cluster import _ALONE
from gatecam.archive.parts import Outcome, Part, analyze
from gatecam.archive.worker import Lost
from gatecam.settings.schema import Config
from gatecam.types import Box, Detection, Expected, Face, Image, Prediction
from gatecam.vision.looks import looks_of

# What a process with Ray needs before it imports Ray, which reads it only once.
RAY_WORDS = {**_ALONE, "RAY_AUTH_TOKEN": "5" * 64}
WIDTH, HEIGHT, FPS, SECONDS, KEY_FRAMES = 160, 120, 8, 36, 8
SIDE = 28
# Each visit: first and last second, height of the face in the picture, and from when on a mask is worn.
VISITS = ((1.0, 5.0, 30, 3.5), (4.0, 13.0, 70, 99.0), (15.5, 18.5, 40, 0.0), (21.0, 27.0, 35, 23.5))
VISITS += ((30.5, 34.0, 60, 99.0),)


FOUND: dict[bytes, list[Face]] = {}


class ColorAnalyzer:
    """Finds the people of `draw`: red faces are bare, blue ones wear a mask. It remembers nothing."""

    device, reason = "cpu", "a test"

    def apply(self, config: object) -> None: ...

    def analyze(
        self,
        images: Sequence[Image],
        hints: Sequence[Sequence[Box] | None] | None = None,
        cameras: Sequence[str] | None = None,
        expected: Sequence[Sequence[Expected]] | None = None,
    ) -> list[list[Face]]:
        given = [None] * len(images) if hints is None else hints
        return [self._faces(image, boxes) for image, boxes in zip(images, given, strict=True)]

    def _faces(self, image: Image, boxes: Sequence[Box] | None) -> list[Face]:
        if boxes is not None and not boxes:
            return []
        key = hashlib.blake2b(image.data).digest()
        if key not in FOUND:  # tests look at the same frames again and again
            FOUND[key] = self._search(image)
        return [
            face
            for face in FOUND[key]
            if boxes is None or any(abs(face.detection.box.center[1] - one.center[1]) < SIDE for one in boxes)
        ]

    def _search(self, image: Image) -> list[Face]:
        red, green, blue = (image[..., channel].astype(np.int16) for channel in range(3))
        colorful = abs(red - blue) - green > 60
        rows = colorful.sum(axis=1) > SIDE // 3
        edges = np.flatnonzero(np.diff(np.concatenate([[0], rows, [0]]).astype(int)))
        faces = []
        for top, bottom in edges.reshape(-1, 2):
            columns = np.flatnonzero(colorful[top:bottom].any(axis=0))
            box = Box(float(columns[0]), float(top), float(columns[-1] + 1), float(bottom))
            faces.append(self._face(image, box, blue[top:bottom].mean() > red[top:bottom].mean()))
        return faces

    def _face(self, image: Image, box: Box, masked: bool) -> Face:
        mask = np.float32([0.9, 0.05, 0.05] if masked else [0.02, 0.03, 0.95])
        gender, age = np.float32([0.7, 0.3]), np.float32([0.2, 0.5, 0.3])
        return Face(Detection(box, 0.99), Prediction(mask, gender, age), looks=looks_of(image, box))


def draw(index: int) -> Image:
    """Draw a frame: people are squares that walk from left to right."""
    time_s = index / FPS
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    image[::7] += np.uint8(index % 3)
    for start_s, end_s, y, masked_s in VISITS:
        if start_s <= time_s < end_s:
            x = int((WIDTH - SIDE) * min(1.0, (time_s - start_s) / 3.0))
            image[y : y + SIDE, x : x + SIDE] = (20, 20, 220) if time_s >= masked_s else (220, 20, 20)
            image[y + SIDE :, x : x + SIDE, 1] = y + 60
    return image


def write_recording(path: Path, frames: int = FPS * SECONDS) -> Path:
    """Write the recording, with a key frame each second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p"
        stream.options = {
            "g": str(KEY_FRAMES),
            "keyint_min": str(KEY_FRAMES),
            "preset": "ultrafast",
            "crf": "10",
        }
        for index in range(frames):
            picture = av.VideoFrame.from_ndarray(draw(index), format="rgb24")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


class Alone:
    """Workers that take turns in this process. The first `losses` of them are lost at work."""

    def __init__(self, size: int = 1, losses: int = 0, config: Config | None = None) -> None:
        self.size, self.losses, self._config = size, losses, config or Config()
        self._given: list[Part] = []
        self.submitted: list[Part] = []

    @property
    def is_free(self) -> bool:
        return len(self._given) < self.size

    def submit(self, part: Part) -> None:
        self._given.append(part)
        self.submitted.append(part)

    def finished(self, timeout_s: float) -> list[tuple[Part, Outcome | Lost, str]]:
        part = self._given.pop()
        if self.losses:
            self.losses -= 1
            return [(part, Lost("out of memory"), "")]
        return [(part, analyze(part, ColorAnalyzer(), self._config), "cpu")]

    def shares(self) -> dict[Part, float]:
        return dict.fromkeys(self._given, 0.5)


@pytest.fixture(scope="session")
def recording(tmp_path_factory) -> Path:
    """A recording of 36 s in which five people come, some together, and some put a mask on. Only read it."""
    return write_recording(tmp_path_factory.mktemp("archive") / "door.mkv")
