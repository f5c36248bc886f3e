"""Make training windows for P-Net from scenes at one pyramid level, with a target for each cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gatecam.training.data.rows import UNKNOWN
from gatecam.training.detector.augment import TIGHT_SHARE, View, covered_some, look, tightened, turn
from gatecam.training.detector.scenes import Scene
from gatecam.types import Floats, Image
from gatecam.vision.detector.pyramid import Picture
from gatecam.vision.detector.sizes import CELL_FACE_PX, FACE_PX, STRIDE_PX
from gatecam.vision.on_torch import normalized

WINDOW_PX = 160  # px of the level
CELLS = WINDOW_PX // STRIDE_PX
# sides of the faces that a level must detect; neighbouring levels overlap
OWN_SIDES = (0.65 * FACE_PX, 2.4 * FACE_PX)
OTHER_SIDES = (0.4 * FACE_PX, 3.6 * FACE_PX)  # faces in this range but not in `OWN_SIDES` have no target
POSITIVE_REACH, DOUBTFUL_REACH = 0.22, 0.5  # from a face's middle, in parts of its side
SHARES = (0.6, 0.26, 0.14)  # of the windows: scenes, collages of portraits, pictures without faces


@dataclass(frozen=True, slots=True)
class Windows:
    """Holds B windows and the targets of their cells."""

    pixels: Tensor  # (B, 3, WINDOW_PX, WINDOW_PX) normalized
    faces: Tensor  # (B, CELLS, CELLS): 1 face, 0 no face, -1 no target
    boxes: Tensor  # (B, 4, CELLS, CELLS), as offsets like P-Net's output


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Holds the scenes that windows are cut from."""

    scenes: Sequence[Scene]
    portrait: Callable[[], Scene] | None  # chooses a scene of one face
    empty: Sequence[Scene]


def windows(sources: Sources, count: int, rng: np.random.Generator) -> Windows:
    """Make a batch of windows. The same state of `rng` gives the same batch."""
    shares = np.array(SHARES) * [bool(sources.scenes), sources.portrait is not None, bool(sources.empty)]
    kinds = rng.choice(3, count, p=shares / shares.sum())
    cut = [(_scene_windows, _collage, _empty_window)[kind](sources, rng) for kind in kinds]
    shown = covered_some(cut, rng)
    levels = [Picture(look(window.image, rng)).level(0.5, (WINDOW_PX, WINDOW_PX)) for window in shown]
    targets = [_targets(window) for window in cut]
    return Windows(
        normalized(torch.from_numpy(np.stack(levels)).permute(0, 3, 1, 2)),
        torch.from_numpy(np.stack([faces for faces, _ in targets])),
        torch.from_numpy(np.stack([boxes for _, boxes in targets])),
    )


def _scene_windows(sources: Sources, rng: np.random.Generator) -> Scene:
    """Cut one window from a scene, or four of half the side from several scenes.

    A picture that one face fills would leave most of a large window grey.
    """
    if rng.random() < 0.5:
        return _scene_window(sources, 2 * WINDOW_PX, rng)
    return _tiled([_scene_window(sources, WINDOW_PX, rng) for _ in range(4)])


def _scene_window(sources: Sources, size: int, rng: np.random.Generator) -> Scene:
    scene = sources.scenes[int(rng.integers(len(sources.scenes)))]
    if not len(scene.boxes):
        return _anywhere(scene, size, rng)
    x1, y1, x2, y2 = scene.boxes[int(rng.integers(len(scene.boxes)))]
    side = float(np.sqrt((x2 - x1) * (y2 - y1)))
    wanted = float(np.exp(rng.uniform(*np.log(OWN_SIDES))))
    scale = min(2 * wanted / max(side, 1.0), 2.5)
    off = rng.uniform(-0.42, 0.42, 2) * size / scale
    middle = np.array([(x1 + x2) / 2, (y1 + y2) / 2]) + off
    return View(middle, scale, size, turn(rng), rng.random() < 0.5).cut(scene)


def _anywhere(scene: Scene, size: int, rng: np.random.Generator) -> Scene:
    height, width = scene.image.shape[:2]
    smallest = min(1.0, size / max(height, width))
    scale = float(np.exp(rng.uniform(np.log(smallest), np.log(1.2))))
    middle = np.array([rng.uniform(0, width), rng.uniform(0, height)])
    return View(middle, scale, size, turn(rng), rng.random() < 0.5).cut(scene)


def _empty_window(sources: Sources, rng: np.random.Generator) -> Scene:
    return _anywhere(sources.empty[int(rng.integers(len(sources.empty)))], 2 * WINDOW_PX, rng)


def _collage(sources: Sources, rng: np.random.Generator) -> Scene:
    """Arrange portraits side by side, each at a random scale."""
    assert sources.portrait is not None
    count = int(rng.integers(2, 5))
    size = 2 * WINDOW_PX // count
    tiles = []
    for _ in range(count**2):
        scene = sources.portrait()
        x1, y1, x2, y2 = scene.boxes[0]
        side = float(np.sqrt((x2 - x1) * (y2 - y1)))
        wanted = 2 * float(np.exp(rng.uniform(*np.log(OWN_SIDES))))
        scale = max(min(wanted, 0.85 * size), 0.4 * size) / side
        middle = np.array([(x1 + x2) / 2, (y1 + y2) / 2]) + rng.normal(0, 0.05, 2) * side
        tile = View(middle, scale, size, turn(rng), rng.random() < 0.5).cut(scene)
        tiles.append(tightened(tile, rng) if rng.random() < TIGHT_SHARE else tile)
    return _tiled(tiles)


def _tiled(tiles: Sequence[Scene]) -> Scene:
    """Arrange windows of one size as the tiles of one square window."""
    count, size = int(len(tiles) ** 0.5), tiles[0].image.shape[0]
    canvas: Image = np.full((2 * WINDOW_PX, 2 * WINDOW_PX, 3), 127, np.uint8)
    boxes: list[Floats] = []
    ignored: list[Floats] = []
    for i, tile in enumerate(tiles):
        y, x = i // count * size, i % count * size
        canvas[y : y + size, x : x + size] = tile.image
        for moved, own in ((boxes, tile.boxes), (ignored, tile.ignored)):
            middle = (own[:, :2] + own[:, 2:]) / 2
            within = ((middle >= 0) & (middle < size)).all(1)
            moved.append(own[within] + np.array([x, y, x, y], np.float32))
    joined = np.concatenate(boxes)
    landmarks = np.full((len(joined), 5, 2), np.nan, np.float32)
    return Scene(canvas, joined, landmarks, np.full(len(joined), UNKNOWN), np.concatenate(ignored))


def _targets(window: Scene) -> tuple[Floats, Floats]:
    """Return each cell's targets for a window twice the level's size: faces (CELLS, CELLS), boxes (4, …)."""
    faces = np.zeros((CELLS, CELLS), np.float32)
    boxes = np.zeros((4, CELLS, CELLS), np.float32)
    at = np.arange(CELLS, dtype=np.float32) * STRIDE_PX + 0.5
    for x1, y1, x2, y2 in window.ignored / 2:
        reach = 0.1 * (x2 - x1) + STRIDE_PX
        inside = _between(at, y1 - reach, y2 + reach)[:, None] & _between(at, x1 - reach, x2 + reach)[None]
        faces[inside] = -1
    own = window.boxes / 2
    side = np.sqrt(np.maximum((own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1]), 1e-6))
    nearest = np.full((CELLS, CELLS), np.inf, np.float32)
    for i in np.argsort(-side):
        if not OTHER_SIDES[0] <= side[i] <= OTHER_SIDES[1]:
            continue
        x1, y1, x2, y2 = own[i]
        distance = np.hypot(at[:, None] - (y1 + y2) / 2, at[None] - (x1 + x2) / 2) / side[i]
        doubtful = (distance < DOUBTFUL_REACH) & (faces == 0)
        faces[doubtful] = -1
        if not OWN_SIDES[0] <= side[i] <= OWN_SIDES[1]:
            continue
        reach = max(POSITIVE_REACH, 0.71 * STRIDE_PX / side[i])
        mine = (distance < reach) & (distance < nearest)
        faces[mine], nearest[mine] = 1, distance[mine]
        half = CELL_FACE_PX / 2
        left, top = at[None] - half, at[:, None] - half
        square = (left, top, left + CELL_FACE_PX, top + CELL_FACE_PX)
        for k, (corner, edge) in enumerate(zip((x1, y1, x2, y2), square, strict=True)):
            boxes[k][mine] = np.broadcast_to((corner - edge) / CELL_FACE_PX, mine.shape)[mine]
    return faces, boxes


def _between(values: Floats, low: float, high: float) -> np.ndarray:
    return (values >= low) & (values <= high)
