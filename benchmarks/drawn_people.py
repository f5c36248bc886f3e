"""Draw people for scenes: a photographed face on a drawn head with hair, neck and clothes, masked or not.

All lengths are in units of the distance between the eyes, and counted from the middle between them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gatecam.capture.images import read_image
from gatecam.errors import DataError
from gatecam.training.drawing import Wear, draw_mask, draw_thing, pick_makes
from gatecam.types import Floats, Image
from tests.clips import LANDMARKS, PORTRAIT

UNIT = 40  # px between the eyes of a portrait
EYES = (128, 120)  # px in the portrait
WIDTH, HEIGHT = 256, 760  # px of a portrait, from above the hair to the shoes
FACE_WIDTH = 2.2  # of a face as a detector boxes it
DRESSED = 340  # rows of the portrait that masks and hands may change
CHANGED = 12  # of 255
GREY = 128  # beside the person while something is drawn over them
TRIES, LIKE = 5, 60  # of masks, for one whose color differs by less
DARKEST, BRIGHTEST = 50, 225  # skin of pictures that are taken as faces
LEAST_SCORE, LEAST_EYES_PX, MOST_TURNED = 0.9, 36, 0.14  # of pictures that are taken as faces
YOUNGEST = 12
LOOKS = ("bare", "right", "under_nose", "under_chin", "hand", "phone", "held")
HELD_TURN, HELD_AWAY, HELD_SIZE = 30.0, 12.0, 1.25  # at most: degrees, px and scale of a mask in a hand


@dataclass(frozen=True, slots=True)
class FaceFile:
    """A picture of one face, with its landmarks (5, 2)."""

    path: Path
    landmarks: tuple[tuple[float, float], ...]


@cache
def read_faces(table: Path | None) -> list[FaceFile]:
    """Those of a table from `gatecam data label` that look into the camera, or the portrait of the tests."""
    if table is None:
        return [FaceFile(PORTRAIT, tuple(map(tuple, LANDMARKS.tolist())))]
    found = []
    names = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    with table.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if line.get("decision") != "placed" or not line["nose_x"] or float(line["score"]) < LEAST_SCORE:
                continue
            points = [(float(line[f"{name}_x"]), float(line[f"{name}_y"])) for name in names]
            (x1, y1), (x2, y2), (nose, _) = points[:3]
            apart = x2 - x1
            turned = abs(nose - (x1 + x2) / 2) / max(apart, 1)
            old = not line["age"] or float(line["age"]) >= YOUNGEST
            if apart >= LEAST_EYES_PX and abs(y2 - y1) < 0.15 * apart and turned < MOST_TURNED and old:
                found.append(FaceFile(table.parent / line["image"], tuple(points)))
    if not found:
        raise DataError(f"{table}: has no face that looks into the camera; give a table of `data label`.")
    return found


def pick_face(faces: list[FaceFile], rng: np.random.Generator) -> FaceFile:
    """Choose a face at random whose skin is neither black nor white in the picture."""
    for _ in range(50):
        face = faces[rng.integers(len(faces))]
        (x1, y1), (x2, _), (_, y3) = face.landmarks[:3]
        cheeks = read_image(face.path)[int(y1) : int(y3) + 1, int(x1) : int(x2) + 1]
        if DARKEST <= np.median(cheeks) <= BRIGHTEST:
            return face
    return face


@dataclass(frozen=True, slots=True)
class Figure:
    """Who somebody is: a face, and a seed for hair, clothes, mask and size."""

    face: FaceFile
    seed: int

    def portrait(self, look: str, blinks: bool = False, soft_px: float = 0.0) -> Image:
        """The person (HEIGHT, WIDTH, 4) with a look: RGB times alpha, and alpha. `soft_px` blurs it."""
        return _softened(self, look, blinks, soft_px)


@dataclass(frozen=True, slots=True)
class Pot:
    """Is a pot on a shelf, which detectors take for a face, and classifiers for one in a mask."""

    seed: int

    def portrait(self, look: str, blinks: bool = False, soft_px: float = 0.0) -> Image:
        """Return the pot as `Figure.portrait` returns a person. It has only one look."""
        return _softened(self, look, blinks, soft_px)


@lru_cache(maxsize=64)
def _softened(figure: Figure | Pot, look: str, blinks: bool, soft_px: float) -> Image:
    drawn = _pot(figure) if isinstance(figure, Pot) else _portrait(figure, look, blinks)
    return cv2.GaussianBlur(drawn, (0, 0), soft_px) if soft_px else drawn


@lru_cache(maxsize=8)
def _pot(pot: Pot) -> Image:
    """Draw a round pot with two dark spots, whose lower half is glazed, on a piece of a shelf."""
    rng = np.random.default_rng(pot.seed)
    clay = rng.uniform(120, 220) * np.array((1, rng.uniform(0.65, 0.85), rng.uniform(0.5, 0.75)))
    glaze, wood = (
        rng.uniform(150, 240) * rng.uniform(0.85, 1.05, 3),
        rng.uniform(60, 150) * np.array((1, 0.8, 0.6)),
    )
    color, cover = np.zeros((HEIGHT, WIDTH, 3), np.float32), np.zeros((HEIGHT, WIDTH, 1), np.float32)
    wide, high, middle = 1.1, rng.uniform(1.25, 1.5), 0.42
    body = _ellipse((0, middle), (wide, high), 0.05)
    x, y = _units()
    glazed = np.where((y > middle + rng.uniform(-0.1, 0.2))[..., None], glaze, clay)
    layers = [(body, glazed * (1 - 0.35 * (x / wide) ** 2)[..., None])]
    spot = (0.19 * rng.uniform(0.8, 1.2), 0.12)
    layers += [(_ellipse((side * 0.46, middle - 0.22 * high), spot, 0.3), clay * 0.3) for side in (-1, 1)]
    layers += [(_ellipse((0, middle - 0.92 * high), (0.6 * wide, 0.12 * high), 0.2), clay * 0.4)]
    layers += [(_block((-2, middle + 0.97 * high), (2, middle + 1.12 * high), 0.05), wood)]
    for shape, paint in layers:
        color = color * (1 - shape[..., None]) + paint * shape[..., None]
        cover = np.maximum(cover, shape[..., None])
    return np.clip(np.concatenate([color, cover * 255], axis=2) + 0.5, 0, 255).astype(np.uint8)


@lru_cache(maxsize=32)
def _portrait(figure: Figure, look: str, blinks: bool) -> Image:
    color, alpha, points = _bare(figure)
    color, alpha = color.copy(), alpha.copy()
    if blinks:
        _close_eyes(color, points)
    if look != "bare":
        _dress(color, alpha, points, look, figure.seed)
    return np.clip(np.concatenate([color * (alpha / 255), alpha], axis=2) + 0.5, 0, 255).astype(np.uint8)


def _dress(color: Floats, alpha: Floats, points: Floats, look: str, seed: int) -> None:
    """Draw a mask or a thing, and make opaque what it covers."""
    before: Image = np.clip(np.where(alpha[:DRESSED] > 0, color[:DRESSED], np.float32(GREY)), 0, 255).astype(
        np.uint8
    )
    if look in ("hand", "phone"):
        after = draw_thing(before, points, look, np.random.default_rng(seed)).image
    elif look == "held":
        after = _held(before, points, seed)
    else:
        after = _masked(before, points, Wear(look), seed)
    changed = _changed(before, after).astype(np.float32) * 255
    color[:DRESSED] = after
    alpha[:DRESSED, :, 0] = np.maximum(alpha[:DRESSED, :, 0], cv2.GaussianBlur(changed, (0, 0), 0.8))


def _changed(before: Image, after: Image) -> NDArray[np.bool_]:
    return np.asarray(np.abs(after.astype(np.int16) - before).max(2) > CHANGED)


def _masked(before: Image, points: Floats, wear: Wear, seed: int) -> Image:
    """Draw somebody's mask. The drawing picks other colors when it is worn wrong: try for like ones."""
    (make,) = pick_makes(1, np.random.default_rng(seed))
    right = draw_mask(before, points, make, Wear.RIGHT, np.random.default_rng(seed)).image
    if wear is Wear.RIGHT:
        return right
    wanted = right[_changed(before, right)].mean(0)
    best, unlike = right, np.inf
    for attempt in range(TRIES):
        drawn = draw_mask(before, points, make, wear, np.random.default_rng(seed + attempt)).image
        changed = _changed(before, drawn)
        away = float(np.abs(drawn[changed].mean(0) - wanted).sum()) if changed.any() else np.inf
        if away < unlike:
            best, unlike = drawn, away
        if unlike < LIKE:
            break
    return best


def _held(before: Image, points: Floats, seed: int) -> Image:
    """Draw somebody's mask as a hand holds it before the face: turned, shifted, larger, under fingers."""
    rng = np.random.default_rng(seed)
    worn = _masked(before, points, Wear.RIGHT, seed)
    sheet = _changed(before, worn).astype(np.uint8) * 255
    sheet = cv2.morphologyEx(sheet, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))  # without the loops
    middle = points[2:].mean(0)
    moved = cv2.getRotationMatrix2D(
        middle.tolist(), rng.choice([-1, 1]) * rng.uniform(0.3, 1) * HELD_TURN, rng.uniform(1, HELD_SIZE)
    )
    moved[:, 2] += rng.uniform(-HELD_AWAY, HELD_AWAY, 2)
    size = before.shape[1::-1]
    share = (
        cv2.GaussianBlur(cv2.warpAffine(sheet, moved, size), (0, 0), 0.8).astype(np.float32)[..., None] / 255
    )
    after = before * (1 - share) + cv2.warpAffine(worn, moved, size) * share
    skin = np.median(
        before[int(points[2][1]) - 10 : int(points[2][1]), EYES[0] - 5 : EYES[0] + 6], axis=(0, 1)
    )
    side = int(rng.choice([-1, 1]))
    for finger in range(3):
        x, y = moved @ np.append(middle + np.array((side * 34, 8 + 11 * finger)), 1)
        cv2.ellipse(
            after, (int(x), int(y)), (19, 6), 8 * side, 0, 360, (skin * 0.92).tolist(), -1, cv2.LINE_AA
        )
        cv2.ellipse(after, (int(x), int(y)), (19, 6), 8 * side, 0, 360, (skin * 0.6).tolist(), 1, cv2.LINE_AA)
    return np.asarray(after.clip(0, 255), np.uint8)


@lru_cache(maxsize=32)
def _bare(figure: Figure) -> tuple[Floats, Floats, Floats]:
    """Colors (H, W, 3), alpha (H, W, 1) and landmarks (5, 2) of a person without a mask."""
    rng = np.random.default_rng(figure.seed)
    photo = read_image(figure.face.path)
    points = np.array(figure.face.landmarks, np.float32)
    if rng.random() < 0.5:
        photo = np.ascontiguousarray(photo[:, ::-1])
        points = points[[1, 0, 2, 4, 3]] * (-1, 1) + (photo.shape[1] - 1, 0)
    (x1, y1), (x2, y2) = points[:2]
    scale = UNIT / float(np.hypot(x2 - x1, y2 - y1))
    turn = np.degrees(np.arctan2(y2 - y1, x2 - x1))
    to_portrait = cv2.getRotationMatrix2D(((x1 + x2) / 2, (y1 + y2) / 2), turn, scale)
    to_portrait[:, 2] += np.array(EYES) - ((x1 + x2) / 2, (y1 + y2) / 2)
    laid = cv2.warpAffine(
        photo, to_portrait, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)
    points = points @ to_portrait[:, :2].T.astype(np.float32) + to_portrait[:, 2].astype(np.float32)
    skin = np.median(laid[EYES[1] + 16 : EYES[1] + 36, EYES[0] - 26 : EYES[0] + 26].reshape(-1, 3), axis=0)
    color, alpha = _body(skin, rng)
    face = _ellipse((0, 0.42), (1.14, 1.34), 0.14)[..., None]
    color = color * (1 - face) + laid * face
    return color, alpha, np.asarray(points, np.float32)


def _body(skin: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Hair, neck, clothes and legs, from the back to the front."""
    hair = np.array(
        [(28, 24, 22), (52, 36, 26), (96, 66, 40), (150, 120, 78), (140, 140, 140), (60, 22, 18)]
    )[rng.integers(6)] * rng.uniform(0.7, 1.2)
    top, legs = (_color(rng) for _ in range(2))
    color, cover = np.zeros((HEIGHT, WIDTH, 3), np.float32), np.zeros((HEIGHT, WIDTH), np.float32)
    strands = cv2.GaussianBlur(rng.normal(1, 0.6, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.2, sigmaY=9)

    def lay(shape: Floats, paint: Floats) -> None:
        whole = np.maximum(cover, shape)  # where nothing lies below, the paint keeps its full color
        share = (shape / np.maximum(whole, 1e-6))[..., None]
        color[:] = color * (1 - share) + paint * share
        cover[:] = whole

    volume, length = rng.uniform(1.16, 1.5), rng.choice([0.0, 0.0, 1.2, 2.2])
    hairs = strands[..., None] * hair
    lay(_ellipse((0, -0.05), (volume, volume + 0.1), 0.06), hairs)
    if length:
        lay(_block((-volume, 0), (volume, length), 0.1), hairs)
    broad = rng.uniform(2.3, 2.9)
    waist = broad * 0.86
    lay(_block((-waist * 0.7, 8), (waist * 0.7, 16), 0.1), legs)
    cloth = np.broadcast_to(top, color.shape) * np.ones((HEIGHT, WIDTH, 1))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    pattern = rng.choice(["plain", "stripes", "upright", "jacket"])
    second = _color(rng)
    if pattern == "stripes":
        cloth = np.where((rows // rng.integers(8, 22) % 2)[..., None] > 0, second, cloth)
    elif pattern == "upright":
        cloth = np.where((columns // rng.integers(8, 18) % 2)[..., None] > 0, second, cloth)
    elif pattern == "jacket":
        cloth = np.where(np.abs(columns - EYES[0])[..., None] < 22 + (rows[..., None] % 3), second, cloth)
    shade = 1 - 0.25 * ((columns - EYES[0]) / (broad * UNIT)) ** 2
    cloth = cloth * shade[..., None]
    lay(_ellipse((0, 4.1), (broad, 1.75), 0.08), cloth)
    lay(_block((-broad * 0.97, 4.2), (broad * 0.97, 8.2), 0.1), cloth)
    lay(_block((-0.62, 1.0), (0.62, 2.5), 0.08), skin * 0.72)
    lay(_ellipse((0, 2.5), (0.72, 0.45), 0.08), skin * 0.8)
    lay(_ellipse((0, 0.42), (1.1, 1.36), 0.05), skin)
    return color, cover[..., None] * 255


def _color(rng: np.random.Generator) -> Floats:
    hsv = np.array([[[rng.integers(180), rng.integers(20, 200), rng.integers(40, 230)]]], np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)


def _close_eyes(color: Floats, points: Floats) -> None:
    for x, y in points[:2]:
        middle = (int(x), int(y))
        skin = np.median(color[int(y) + 8 : int(y) + 13, int(x) - 6 : int(x) + 7].reshape(-1, 3), axis=0)
        lid = np.zeros(color.shape[:2], np.float32)
        cv2.ellipse(lid, middle, (9, 5), 0, 0, 360, 1.0, -1)
        lid = cv2.GaussianBlur(lid, (0, 0), 1.2)[..., None]
        color[:] = color * (1 - lid) + skin * lid
        cv2.ellipse(
            color, (middle[0], middle[1] + 2), (8, 2), 0, 0, 180, (skin * 0.5).tolist(), 1, cv2.LINE_AA
        )


def _units() -> tuple[Floats, Floats]:
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    return (x - EYES[0]) / UNIT, (y - EYES[1]) / UNIT


def _ellipse(center: tuple[float, float], radii: tuple[float, float], soft: float) -> Floats:
    """A soft ellipse (H, W), 0 to 1."""
    x, y = _units()
    away = np.hypot((x - center[0]) / radii[0], (y - center[1]) / radii[1])
    return np.clip((1 - away) / soft, 0, 1).astype(np.float32)


def _block(low: tuple[float, float], high: tuple[float, float], soft: float) -> Floats:
    """A soft rectangle (H, W), 0 to 1."""
    x, y = _units()
    inside = np.minimum(np.minimum(x - low[0], high[0] - x), np.minimum(y - low[1], high[1] - y))
    return np.clip(inside / soft, 0, 1).astype(np.float32)
