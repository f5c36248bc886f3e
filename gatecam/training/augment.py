"""What training does to a patch before the classifier's crop is cut: worn cameras, odd light, loose boxes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from gatecam.training.masks import Wear, draw_hand, draw_mask
from gatecam.types import Floats, Image
from gatecam.vision.crops import CropSpec, crop_faces

BORDERS = (cv2.BORDER_REFLECT_101, cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT)
WRONG = (Wear.UNDER_NOSE, Wear.UNDER_NOSE, Wear.NOSE_HALF_OUT, Wear.ON_MOUTH, Wear.UNDER_CHIN)


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A picture of one face: its box (4,) and landmarks (5, 2) in pixels, NaN where not found."""

    image: Image
    box: Floats
    landmarks: Floats


def dress(patch: Patch, state: int, rng: np.random.Generator) -> Patch:
    """The same bare face in a mask state: 0 worn right, 1 worn wrong, 2 bare, at times behind a hand."""
    if not np.isfinite(patch.landmarks).all():
        raise ValueError("landmarks: expected found ones, got NaN")
    if state == 2:
        image = draw_hand(patch.image, patch.landmarks, rng) if rng.random() < 0.25 else patch.image
    else:
        wear = Wear.RIGHT if state == 0 else WRONG[rng.integers(len(WRONG))]
        image = draw_mask(patch.image, patch.landmarks, wear, rng)
    return Patch(image, patch.box, patch.landmarks)


def augmented_crop(patch: Patch, spec: CropSpec, rng: np.random.Generator) -> Tensor:
    """The classifier's input (3, size, size) of a patch as some camera might have seen it."""
    image, box = _bordered(patch.image, patch.box, rng)
    image, box = _rotated(image, box, rng)
    image = _worn(image, box, rng)
    box = _loose(box, spec.margin, rng)
    tensor = torch.from_numpy(np.ascontiguousarray(image))
    crop = crop_faces([tensor], [torch.from_numpy(box)[None]], spec)[0]
    crop = crop.flip(2) if rng.random() < 0.5 else crop
    return _erased(crop, rng)


def plain_crop(patch: Patch, spec: CropSpec) -> Tensor:
    """The classifier's input (3, size, size) of a patch as it is."""
    return crop_faces([torch.from_numpy(patch.image)], [torch.from_numpy(patch.box)[None]], spec)[0]


def _bordered(image: Image, box: Floats, rng: np.random.Generator) -> tuple[Image, Floats]:
    """Surroundings that a cut-out face lacks, so that its edge tells nothing."""
    border = int(max(image.shape[:2]) * 0.25)
    kind = BORDERS[rng.integers(len(BORDERS))]
    value = tuple(int(v) for v in rng.integers(0, 255, 3))
    wide = cv2.copyMakeBorder(image, border, border, border, border, kind, value=value)
    return np.asarray(wide, np.uint8), box + border


def _rotated(image: Image, box: Floats, rng: np.random.Generator) -> tuple[Image, Floats]:
    if rng.random() < 0.4:
        return image, box
    middle = (float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2)
    matrix = cv2.getRotationMatrix2D(middle, float(rng.normal(0, 9)), 1.0)
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT_101), np.uint8), box


def _loose(box: Floats, margin: float, rng: np.random.Generator) -> Floats:
    """The box as another detector, or another hand, would have put it."""
    side = float(max(box[2] - box[0], box[3] - box[1]))
    grow = rng.triangular(0.86, 1.0, 1.16) if rng.random() < 0.65 else rng.uniform(0.7, 1.2)
    shift = rng.normal(0, 0.045, 2) * side
    middle = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]) + shift
    half = side * grow / 2
    return np.concatenate([middle - half, middle + half]).astype(np.float32)


def _worn(image: Image, box: Floats, rng: np.random.Generator) -> Image:
    """Light, colour, focus, resolution, noise and compression of worse cameras."""
    image = _light(image, box, rng)
    side = max(8.0, float(box[3] - box[1]))
    if rng.random() < 0.4:
        target = rng.uniform(20, 70)  # px a face: someone far away
        scale = min(1.0, target / side)
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        back = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
        image = np.asarray(cv2.resize(small, image.shape[1::-1], interpolation=back), np.uint8)
    if rng.random() < 0.2:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, side * 0.02 + 0.5)), np.uint8)
    if rng.random() < 0.1:
        length = int(rng.integers(3, max(4, int(side * 0.08) + 4)))
        image = np.asarray(cv2.blur(image, (length, 1) if rng.random() < 0.7 else (1, length)), np.uint8)
    if rng.random() < 0.25:
        noise = rng.normal(0, rng.uniform(2, 14), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = int(rng.integers(25, 85))
        _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return image


def _light(image: Image, box: Floats, rng: np.random.Generator) -> Image:
    pixels = image.astype(np.float32) / 255
    if rng.random() < 0.12:  # light from behind: a dark face before a bright room
        y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
        middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        far = np.hypot(x - middle[0], y - middle[1]) / max(float(box[3] - box[1]), 1.0)
        pixels = pixels * (
            rng.uniform(0.35, 0.7) + np.clip(far - 0.45, 0, 1)[..., None] * rng.uniform(0.5, 2)
        )
    if rng.random() < 0.7:
        pixels = pixels ** rng.uniform(0.65, 1.5) * rng.uniform(0.75, 1.2) + rng.uniform(-0.06, 0.06)
        pixels = pixels * rng.uniform(0.88, 1.12, 3)
    if rng.random() < 0.5:
        gray = pixels.mean(2, keepdims=True)
        keep = 0.0 if rng.random() < 0.12 else rng.uniform(0.4, 1.3)
        pixels = gray + (pixels - gray) * keep
    return np.clip(pixels * 255, 0, 255).astype(np.uint8)


def _erased(crop: Tensor, rng: np.random.Generator) -> Tensor:
    """Random erasing (Zhong et al. 2017), kept small: a whole mouth erased would lie about the mask."""
    if rng.random() < 0.15:
        size = crop.shape[1]
        height, width = (int(rng.integers(size // 10, size // 4)) for _ in range(2))
        y, x = int(rng.integers(0, size - height)), int(rng.integers(0, size - width))
        crop[:, y : y + height, x : x + width] = torch.from_numpy(
            rng.uniform(-1, 1, (3, 1, 1)).astype(np.float32)
        )
    return crop
