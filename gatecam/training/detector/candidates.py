"""Make training crops for R-Net and O-Net: around and near faces, and at mistakes of earlier networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatecam.training.detector.augment import TIGHT_SHARE, View, covered_some, look, tightened, turn
from gatecam.training.detector.scenes import Scene
from gatecam.types import Floats
from gatecam.vision.crops import squares_of
from gatecam.vision.detector.pyramid import Picture
from gatecam.vision.on_torch import normalized

# IoU of a crop's square with a face's: face target 1 from FACE_IOU on, 0 below NONE_IOU, none between.
# Box and landmark targets need PART_IOU.
FACE_IOU, PART_IOU, NONE_IOU = 0.45, 0.35, 0.3
IGNORED_SHARE = 0.3  # share of a crop inside an ignored face; above it the crop is not a negative example
FACES_A_SCENE, NEGATIVES_A_SCENE = 4, 9
VIEW_PX = 288  # side of the window that is cut from a scene
VIEWED_SIDES = (22.0, 110.0)  # px of the chosen face in the window


@dataclass(frozen=True, slots=True)
class Crops:
    """Holds N crops and their targets. Offsets and landmarks are in parts of the crop's square."""

    pixels: Tensor  # (N, 3, S, S)
    faces: Tensor  # (N,): 1 face, 0 no face, -1 no target
    boxes: Tensor  # (N, 4) offsets from the square's corners
    has_box: Tensor  # (N,) bool
    landmarks: Tensor  # (N, 10)
    has_landmarks: Tensor  # (N,) bool


def squares(boxes: Floats) -> Floats:
    """Return squares (n, 4) of the boxes' longer sides."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True) / 2
    return np.concatenate([middle - half, middle + half], 1)


def pairwise_iou(a: Floats, b: Floats) -> Floats:
    """Return the IoU (n, m) of boxes (n, 4) and (m, 4)."""
    inside = _inside(a, b)
    area_a, area_b = (np.maximum(np.prod(x[:, 2:] - x[:, :2], axis=1), 1e-6) for x in (a, b))
    return np.asarray(inside / (area_a[:, None] + area_b[None] - inside))


def _inside(a: Floats, b: Floats) -> Floats:
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    end = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.maximum(end - corner, 0).prod(2))


def crops(
    scenes: Sequence[Scene], mined: Sequence[Floats], size: int, margin: float, rng: np.random.Generator
) -> Crops:
    """Make one batch of crops.

    Args:
        scenes: pictures of the batch.
        mined: for each scene the boxes (k, 5) that the earlier networks took for faces, with their scores.
        size: side of the crops in px.
        margin: added around a box, in parts of its side.
        rng: makes all random choices.
    """
    views = [_view(scene, boxes, rng) for scene, boxes in zip(scenes, mined, strict=True)]
    chosen = [_pick(scene, boxes, rng) for scene, boxes in views]
    shown = covered_some([scene for scene, _ in views], rng)
    pictures = [Picture(look(scene.image, rng)) for scene in shown]
    pixels = np.empty((sum(map(len, chosen)), size, size, 3), np.uint8)
    rows = iter(pixels)
    for picture, boxes in zip(pictures, chosen, strict=True):
        for square in squares_of(boxes, margin):
            picture.cut(square, next(rows))
    targets = [_targets(scene, boxes, margin) for (scene, _), boxes in zip(views, chosen, strict=True)]
    faces, offsets, has_box, landmarks, has_landmarks = (
        torch.from_numpy(np.concatenate(parts)) for parts in zip(*targets, strict=True)
    )
    inputs = normalized(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    return Crops(inputs, faces, offsets, has_box, landmarks, has_landmarks)


def _view(scene: Scene, mined: Floats, rng: np.random.Generator) -> tuple[Scene, Floats]:
    """Cut a window of the scene around a face or a mistake at a random scale, with the mined boxes in it."""
    at_face = len(scene.boxes) > 0 and (not len(mined) or rng.random() < 0.7)
    if at_face:
        anchor = scene.boxes[rng.integers(len(scene.boxes))]
    elif len(mined):
        anchor = mined[rng.integers(len(mined)), :4]
    else:
        anchor = _random_box(scene, rng)
    side = max(1.0, float((anchor[2:] - anchor[:2]).max()))
    scale = min(float(np.exp(rng.uniform(*np.log(VIEWED_SIDES)))) / side, 1.3)
    middle = (anchor[:2] + anchor[2:]) / 2 + rng.uniform(-0.3, 0.3, 2) * VIEW_PX / scale
    view = View(middle, scale, VIEW_PX, turn(rng), rng.random() < 0.5)
    along = np.concatenate([view.boxes(mined[:, :4]), mined[:, 4:]], 1)
    window = view.cut(scene)
    if len(scene.boxes) == 1 and at_face and rng.random() < TIGHT_SHARE:
        window = tightened(window, rng)
    return window, along[_within(along, np.array([0, 0, VIEW_PX, VIEW_PX]))].astype(np.float32)


def _within(boxes: Floats, area: Floats) -> NDArray[np.bool_]:
    """Return whether the middles of boxes are in an area (4,)."""
    middle = (boxes[:, :2] + boxes[:, 2:4]) / 2
    return np.asarray((middle >= area[:2]).all(1) & (middle <= area[2:]).all(1))


def _pick(scene: Scene, mined: Floats, rng: np.random.Generator) -> Floats:
    """Choose boxes: around some faces, only near a face, and where there is no face."""
    chosen = []
    faces = np.flatnonzero(_within(scene.boxes, np.array([0, 0, VIEW_PX, VIEW_PX])))
    overlap = pairwise_iou(mined[:, :4], scene.boxes).max(1) if len(scene.boxes) else np.zeros(len(mined))
    for i in rng.permutation(faces)[:FACES_A_SCENE]:
        chosen += [_near(scene.boxes[i], rng, loose) for loose in (0.1, 0.16, 0.3)]
    found = np.flatnonzero(overlap >= PART_IOU)
    chosen += list(mined[rng.permutation(found)[:FACES_A_SCENE], :4])
    wrong = np.flatnonzero(overlap < NONE_IOU)
    if len(wrong):
        weight = mined[wrong, 4] + 0.02
        picks = rng.choice(wrong, min(len(wrong), NEGATIVES_A_SCENE), replace=False, p=weight / weight.sum())
        chosen += [_near(mined[i, :4], rng, 0.05) for i in picks]
    chosen += [_random_box(scene, rng) for _ in range(3)]
    return np.array(chosen, np.float32).reshape(-1, 4)


def _near(box: Floats, rng: np.random.Generator, loose: float) -> Floats:
    """Move and resize a box at random by about `loose` of its side."""
    side = max(float(np.max(box[2:] - box[:2])), 1.0)
    middle = (box[:2] + box[2:]) / 2 + rng.normal(0, loose, 2) * side
    half = (box[2:] - box[:2]) / 2 * np.exp(rng.normal(0, loose))
    return np.concatenate([middle - half, middle + half])


def _random_box(scene: Scene, rng: np.random.Generator) -> Floats:
    height, width = scene.image.shape[:2]
    if len(scene.boxes) and rng.random() < 0.5:  # such as chin, ear, neck or hair
        return _near(scene.boxes[rng.integers(len(scene.boxes))], rng, 0.55)
    side = float(np.exp(rng.uniform(np.log(14), np.log(max(32.0, min(height, width) * 0.7)))))
    corner = rng.uniform(0, 1, 2) * [max(1.0, width - side), max(1.0, height - side)]
    return np.concatenate([corner, corner + side])


def _targets(scene: Scene, picked: Floats, margin: float) -> tuple[Floats, ...]:
    """Return the targets of the picked boxes, one row each.

    These are the faces, box offsets, whether they are known, landmarks, and whether they are known.
    """
    count = len(picked)
    faces, offsets = np.zeros(count, np.float32), np.zeros((count, 4), np.float32)
    landmarks, has_landmarks = np.zeros((count, 10), np.float32), np.zeros(count, bool)
    has_box = np.zeros(count, bool)
    ours = squares(picked)
    if len(scene.boxes):
        overlap = pairwise_iou(ours, squares(scene.boxes))
        best = overlap.argmax(1)
        iou = overlap[np.arange(count), best]
        faces[iou >= NONE_IOU] = -1
        faces[iou >= FACE_IOU] = 1
        has_box = iou >= PART_IOU
        square = squares_of(picked, margin)
        side = square[:, 2:3] - square[:, 0:1]
        offsets = ((scene.boxes[best] - square) / side).astype(np.float32)
        points = (scene.landmarks[best] - square[:, None, :2]) / side[:, None]
        has_landmarks = (iou >= PART_IOU) & ~np.isnan(points).any((1, 2))
        landmarks = np.nan_to_num(points.reshape(count, 10)).astype(np.float32)
    if len(scene.ignored):
        area = np.maximum(np.prod(ours[:, 2:] - ours[:, :2], axis=1), 1e-6)
        within = (_inside(ours, scene.ignored) / area[:, None]).max(1) > IGNORED_SHARE
        faces[within & (faces == 0)] = -1
    return faces, offsets, has_box, landmarks, has_landmarks
