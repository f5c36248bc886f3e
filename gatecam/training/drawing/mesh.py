"""Draw a bent sheet into a picture, by finding the place of its texture that each pixel shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gatecam.training.drawing.head import Pose
from gatecam.types import Floats

FINE_PX = 40  # least pixels per unit to draw with; smaller faces are drawn larger and shrunk


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Lies over a picture from (x, y) on: colours (h, w, 3), 0 to 255, and cover (h, w), 0 to 1."""

    colors: Floats
    cover: Floats
    x: int
    y: int


def draw_sheet(
    points: Floats, texture: Floats, pose: Pose, shape: tuple[int, ...], opacity: Floats | None = None
) -> Layer | None:
    """Draw the sheet as the camera sees it, or return None if none of it is seen.

    Args:
        points: (rows, columns, 3) places in space of a regular net of the texture.
        texture: (h, w, 3) colours, light included.
        opacity: (h, w), 0 to 1. None hides everything behind the sheet.
    """
    px = pose.px(points)
    box = box_in(px, shape, 2)
    if box is None:
        return None
    x1, y1, x2, y2 = box
    fine = max(1, int(np.ceil(FINE_PX / pose.unit_px)))
    fine = min(fine, max(1, 900 // max(x2 - x1, y2 - y1)))
    local = ((px - (x1, y1)) * fine).astype(np.float32)
    ids, triangles, spots = _rasterize(local, points @ pose.rotation[2], ((y2 - y1) * fine, (x2 - x1) * fine))
    seen = ids > 0
    u, v = _places(ids, triangles, spots, texture.shape)
    colors = np.asarray(
        cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
    )
    cover = _rounded(seen)
    if opacity is not None:
        cover *= cv2.remap(opacity, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return shrunk(colors, cover, (x1, y1, x2, y2))


def box_in(px: Floats, shape: tuple[int, ...], border: float) -> tuple[int, int, int, int] | None:
    """Return the whole pixels around points that lie in a picture, or None if none do."""
    flat = px.reshape(-1, 2)
    x1, y1 = np.floor(np.maximum(flat.min(0) - border, 0)).astype(int)
    x2, y2 = np.ceil(np.minimum(flat.max(0) + border, (shape[1], shape[0]))).astype(int)
    return (int(x1), int(y1), int(x2), int(y2)) if x2 > x1 and y2 > y1 else None


def shrunk(colors: Floats, cover: Floats, box: tuple[int, int, int, int]) -> Layer:
    """Shrink a layer that was drawn larger to a box of the picture."""
    x1, y1, x2, y2 = box
    size = (x2 - x1, y2 - y1)
    if size != (cover.shape[1], cover.shape[0]):
        weighted = cv2.resize(colors * cover[..., None], size, interpolation=cv2.INTER_AREA)
        cover = np.asarray(cv2.resize(cover, size, interpolation=cv2.INTER_AREA), np.float32)
        colors = np.asarray(weighted / np.maximum(cover, 1e-3)[..., None], np.float32)
    return Layer(colors, cover, x1, y1)


def filled(outlines: Sequence[Floats], color: Floats, shape: tuple[int, ...]) -> Layer | None:
    """Fill outlines (n, 2) in pixels with one colour (3,). Return None if the picture shows none of them."""
    box = box_in(np.concatenate(outlines), shape, 1) if outlines else None
    if box is None:
        return None
    x1, y1, x2, y2 = box
    canvas = np.zeros((y2 - y1, x2 - x1), np.uint8)
    for outline in outlines:
        local = np.round((outline - (x1, y1) - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(canvas, [local], 255, cv2.LINE_AA, 4)
    cover = canvas.astype(np.float32) / np.float32(255)
    return Layer(np.broadcast_to(color, (*cover.shape, 3)).astype(np.float32), cover, x1, y1)


def _rounded(seen: NDArray[np.bool_]) -> Floats:
    """Return a cover, 0 to 1, with smooth edges instead of pixel steps."""
    soft = cv2.GaussianBlur(seen.astype(np.float32), (0, 0), 1.2)
    return np.asarray(np.clip((soft - 0.5) * 2 + 0.5, 0, 1), np.float32)


def _rasterize(px: Floats, depth: Floats, shape: tuple[int, int]) -> tuple[NDArray[np.int32], Floats, Floats]:
    """Find the triangle that each pixel shows, numbered from 1.

    Return the numbers, and the triangles' corners in pixels and in the net.
    """
    rows, columns = depth.shape
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (i.ravel() for i in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]))
    corners = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])  # (T, 3)
    corners = corners[np.argsort(depth.ravel()[corners].mean(1), kind="stable")]
    triangles = px.reshape(-1, 2)[corners]  # (T, 3, 2)
    ids = np.zeros(shape, np.int32)
    for number, points in enumerate(np.round((triangles - 0.5) * 16).astype(np.int32), 1):
        cv2.fillConvexPoly(ids, points, number, cv2.LINE_8, 4)
    spots = np.stack([corners % columns / (columns - 1), corners // columns / (rows - 1)], -1)
    return ids, triangles, spots.astype(np.float32)


def _places(
    ids: NDArray[np.int32], triangles: Floats, spots: Floats, texture_shape: tuple[int, ...]
) -> tuple[Floats, Floats]:
    """Return where in the texture each pixel lies, by barycentric coordinates in its triangle."""
    ones = np.ones((*triangles.shape[:2], 1), np.float32)
    homogeneous = np.concatenate([triangles, ones], 2).astype(np.float64)
    flat = np.abs(np.linalg.det(homogeneous)) < 1e-6
    homogeneous[flat] += np.diag([1.0, 1.0, 0.0])  # seen edge on, so any place of it will do
    affine = np.linalg.pinv(homogeneous) @ spots if flat.any() else np.linalg.solve(homogeneous, spots)
    affine = affine * (texture_shape[1] - 1, texture_shape[0] - 1)  # (T, 3, 2)
    table = np.vstack([np.zeros((1, 6)), affine.reshape(-1, 6)]).astype(np.float32)
    rows, columns = np.nonzero(ids)
    of = table[ids[rows, columns]]
    x, y = columns.astype(np.float32) + np.float32(0.5), rows.astype(np.float32) + np.float32(0.5)
    u, v = np.zeros(ids.shape, np.float32), np.zeros(ids.shape, np.float32)
    u[rows, columns] = of[:, 0] * x + of[:, 2] * y + of[:, 4]
    v[rows, columns] = of[:, 1] * x + of[:, 3] * y + of[:, 5]
    return u, v
