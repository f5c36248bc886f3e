"""Describe a face in its picture for everything that is drawn on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatecam.training.drawing.head import Pose
from gatecam.training.drawing.light import LUMA, Light
from gatecam.training.drawing.mesh import Layer
from gatecam.types import Floats, Image


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Holds a picture (H, W, 3), the pose of a face in it and the light on that face."""

    image: Image
    pose: Pose
    light: Light

    @classmethod
    def of(cls, image: Image, landmarks: Floats) -> Scene:
        """Describe the face with these landmarks (5, 2): eyes, nose, mouth corners.

        Raises:
            ValueError: a landmark was not found.
        """
        pose = Pose.of(landmarks)
        return cls(image, pose, Light.of(image, pose))

    @property
    def shape(self) -> tuple[int, int]:
        """Return the picture's height and width."""
        return self.image.shape[0], self.image.shape[1]

    def under_hair(self, layer: Layer, beyond: float, unlike: bool = False) -> Layer:
        """Return a layer without the parts that the hair beside the face covers.

        Args:
            beyond: distance from the face's middle line beyond which pixels may be hair, in units.
            unlike: also remove parts over pixels that are brighter than skin.
        """
        h, w = layer.cover.shape
        right, down = self.pose.matrix[:, 0], self.pose.matrix[:, 1]
        across = np.array([down[1], -down[0]], np.float32) / max(float(np.hypot(*down)), 1e-6)
        x = np.arange(layer.x, layer.x + w, dtype=np.float32) + 0.5 - self.pose.origin[0]
        y = np.arange(layer.y, layer.y + h, dtype=np.float32) + 0.5 - self.pose.origin[1]
        aside = x[None] * across[0] + y[:, None] * across[1]
        aside = aside / max(float(abs(right @ across)), 1.0)
        skin = max(float(self.light.skin @ LUMA), 1.0)
        # darker on the side away from the light
        skin = skin * np.exp(np.minimum(self.light.slope[0] * np.clip(aside, -1, 1), 0))
        aside = np.abs(aside)
        luma = self.image[layer.y : layer.y + h, layer.x : layer.x + w] @ LUMA
        shown = _step(luma / skin, 0.28, 0.5)
        if unlike:
            shown = shown * (1 - _step(luma / skin, 1.4, 1.8))
        inner = 1 - _step(aside, beyond, beyond + 0.15)
        return Layer(
            layer.colors, layer.cover * np.maximum(shown, inner).astype(np.float32), layer.x, layer.y
        )


def _step(values: Floats, low: float, high: float) -> Floats:
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
