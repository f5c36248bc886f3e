"""What the tests of `gatecam.training` share."""

from collections.abc import Callable

import numpy as np
import pytest

from gatecam.training.data.patches import PATCH_PX, Faces
from gatecam.types import Floats

MakeFaces = Callable[..., Faces]


def frontal(eye_px: float = 50, x: float = 100, y: float = 80) -> Floats:
    """Landmarks of a face that looks ahead: eyes `eye_px` apart around (x, y), mouth 1.1 of that below."""
    parts = [(-0.5, 0), (0.5, 0), (0, 0.6), (-0.4, 1.1), (0.4, 1.1)]
    return (np.array(parts) * eye_px + (x, y)).astype(np.float32)


@pytest.fixture(name="frontal")
def _frontal() -> Callable[..., Floats]:
    return frontal


@pytest.fixture
def make_faces() -> MakeFaces:
    """Builds faces with the labels given; each picture is of one colour, its red the row's number."""

    def build(
        mask: list[int],
        gender: list[int] | None = None,
        age: list[int] | None = None,
        suspect: list[bool] | None = None,
        keys: list[str] | None = None,
        face_px: float = 80,
        side: int = 120,
    ) -> Faces:
        count = len(mask)
        patches = np.zeros((count, PATCH_PX, PATCH_PX, 3), np.uint8)
        patches[:, :side, :side] = (0, 150, 120)
        patches[:, :side, :side, 0] = np.arange(count)[:, None, None]
        landmarks = frontal(side / 4, side / 2, side * 0.4)
        unknown = [-1] * count
        return Faces(
            patches=patches,
            sizes=np.full((count, 2), side, np.int32),
            boxes=np.tile(np.array([0.2, 0.1, 0.8, 0.9], np.float32) * side, (count, 1)),
            landmarks=np.tile(landmarks, (count, 1, 1)),
            mask=np.array(mask, np.int64),
            gender=np.array(gender or unknown, np.int64),
            age=np.array(age or unknown, np.int64),
            face_px=np.full(count, face_px, np.float32),
            suspect=np.array(suspect or [False] * count),
            detected=np.ones(count, bool),
            keys=np.array(keys or [str(i) for i in range(count)]),
            images=np.array([f"{i}.png" for i in range(count)]),
            years=np.full(count, -1),
            races=np.full(count, ""),
            kinds=np.full(count, ""),
            rows=np.arange(count),
        )

    return build
