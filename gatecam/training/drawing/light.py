"""Estimate from a face the light on it, its skin colour, and the picture's blur and noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gatecam.training.drawing.head import Pose, around
from gatecam.types import Floats, Image

_THETA, _Y = np.meshgrid(np.linspace(-0.8, 0.8, 9), np.linspace(-0.5, 1.5, 11))
_SKIN_POINTS = around(_THETA.ravel().astype(np.float32), _Y.ravel().astype(np.float32))
_SKIN_NORMALS = np.stack([np.sin(_THETA), 0.25 * (_Y - 0.6), np.cos(_THETA)], -1).reshape(-1, 3)
_SKIN_NORMALS = _SKIN_NORMALS / np.linalg.norm(_SKIN_NORMALS, axis=1, keepdims=True)
_USUAL_SKIN = np.array([1.24, 0.95, 0.80])  # red, green and blue relative to luminance, in white light
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_REBLUR = 1.0  # standard deviation, in px, of the second blur that measures the first
# the preferred slope of the light (x, y, offset), and how strongly each value is drawn to it
_FROM_ABOVE, _LEANING = np.array([0.0, -0.25, 0.0]), np.diag([1.0, 4.0, 1e-3])
_NEIGHBOURS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """Describes the light at a face, and the camera's blur and noise."""

    white: float  # brightness of white cloth that faces the camera, 0 to 255
    cast: Floats  # (3,) factors of red, green and blue
    slope: Floats  # (2,) change of log brightness with the normal's x and y
    skin: Floats  # (3,) RGB of the skin
    gray: bool  # the picture has shades of only one colour
    blur_px: float  # standard deviation of the picture's blur
    noise: float  # standard deviation of its noise

    @classmethod
    def of(cls, image: Image, pose: Pose) -> Light:
        """Estimate the light of the face with this pose. The picture may have any size."""
        height, width = image.shape[:2]
        at = np.round(pose.px(_SKIN_POINTS)).astype(int)
        inside = (at[:, 0] >= 0) & (at[:, 0] < width) & (at[:, 1] >= 0) & (at[:, 1] < height)
        if inside.sum() < 6:
            at, inside = np.clip(at, 0, (width - 1, height - 1)), np.ones(len(at), bool)
        near = _around_face(image, pose)
        smooth = cv2.blur(near.image, (3, 3))[
            np.clip((at[inside, 1] - near.y) // near.step, 0, near.image.shape[0] - 1),
            np.clip((at[inside, 0] - near.x) // near.step, 0, near.image.shape[1] - 1),
        ].astype(np.float32)
        luma = np.maximum(smooth @ LUMA, 4)
        normals = (_SKIN_NORMALS @ pose.rotation.T)[inside]
        slope, skin_like = _slope(np.log(luma), normals)
        skin = np.median(smooth[skin_like], axis=0)
        level = max(float(skin @ LUMA), 8.0)
        bright = float(_quantile(near.image @ LUMA, 0.97))
        white = min(max(1.55 * level, 0.85 * level + 0.6 * bright), 280.0)
        cast = np.clip(skin / level / _USUAL_SKIN, 0.6, 1.6) ** 0.4
        gray = _is_gray(near.image)
        cast = skin / level if gray else cast / float(cast @ LUMA)
        return cls(white, cast, slope, skin, gray, _blur_px(near.full), _noise(near.full))

    def on(self, colors: Floats) -> Floats:
        """Return colours (..., 3) of white light as they look in this light, facing the camera."""
        seen = colors.mean(-1, keepdims=True) if self.gray else colors
        lit = seen * (self.cast * (self.white / 250)).astype(np.float32)
        over = np.maximum(lit - 200, 0)  # compressed below 255, as cameras do
        return np.asarray(np.minimum(lit, 200) + 55 * (1 - np.exp(-over / 55)), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Near:
    """Holds the picture around a face at full size, and thinned out by `step`. Its corner is (x, y)."""

    full: Image
    image: Image
    x: int
    y: int
    step: int


def _around_face(image: Image, pose: Pose) -> _Near:
    middle, reach = pose.px(np.array([0, 0.6, 0], np.float32)), 1.3 * pose.unit_px
    height, width = image.shape[:2]
    x1, y1 = (int(np.clip(m - reach, 0, n - 1)) for m, n in zip(middle, (width, height), strict=True))
    x2, y2 = (int(np.clip(m + reach + 1, 1, n)) for m, n in zip(middle, (width, height), strict=True))
    full = image[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
    step = max(1, int(pose.unit_px / 24))
    return _Near(full, np.ascontiguousarray(full[::step, ::step]), x1, y1, step)


def _slope(log_luma: Floats, normals: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return how brightness changes with the normal's x and y, and which points are bare skin.

    The least-squares fit prefers light from above where the face shows little. A second fit leaves out points
    far darker or brighter than the first one expects: hair, nostrils, teeth.
    """
    known = np.stack([normals[:, 0], normals[:, 1], np.ones(len(normals))], 1)
    skin = log_luma >= _quantile(log_luma, 0.1)
    for _ in range(2):
        some, values = known[skin], log_luma[skin]
        found = np.linalg.solve(some.T @ some + _LEANING, some.T @ values + _LEANING @ _FROM_ABOVE)
        rest = log_luma - known @ found
        skin = (rest >= _quantile(rest, 0.25)) & (rest <= _quantile(rest, 0.97))
    return np.clip(found[:2], (-0.8, -0.6), (0.8, 0.2)).astype(np.float32), skin


def _quantile(values: Floats, share: float) -> float:
    """Return the value that a share of the values lies below.

    NumPy's function interpolates between two values, and is slow.
    """
    flat = values.ravel()
    at = int(share * (flat.size - 1))
    return float(np.partition(flat, at)[at])


def _is_gray(image: Image) -> bool:
    """Return whether red and blue follow from green, as in black-and-white and sepia pictures."""
    red, green, blue = (image[..., i].astype(np.float32).ravel() for i in range(3))
    scale = float(green @ green) + 1.0
    rest = [channel - green * (float(channel @ green) / scale) for channel in (red, blue)]
    return all(float(np.sqrt(np.mean(r * r))) < 4.0 for r in rest)


def _blur_px(image: Image) -> float:
    """Estimate the blur of the strongest edges by blurring them again (Zhuo and Sim 2011, section 3)."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    if min(gray.shape) < 8:
        return 0.6
    sharp, soft = (
        _gradient(g) for g in (gray, np.asarray(cv2.GaussianBlur(gray, (0, 0), _REBLUR), np.float32))
    )
    edges = sharp >= _quantile(sharp[::2, ::2], 0.96)
    ratio = float(np.median(sharp[edges] / np.maximum(soft[edges], 1e-3)))
    return float(np.clip(_REBLUR / np.sqrt(max(ratio * ratio - 1, 0.05)), 0.45, 4.0))


def _gradient(gray: Floats) -> Floats:
    return np.asarray(
        cv2.magnitude(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)), np.float32
    )


def _noise(image: Image) -> float:
    """Estimate the noise of a picture (Immerkær 1996). The median replaces the mean, to ignore edges."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    rest = np.abs(cv2.filter2D(gray, cv2.CV_32F, _NEIGHBOURS))
    return float(np.clip(np.median(rest[::2, ::2]) / 0.6745 / 6, 0.3, 10.0))
