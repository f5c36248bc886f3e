"""The face detector whose networks see masks: a cascade as Zhang et al. 2016 have it, on a pyramid of halves.

    frames ─► pyramid ─► one sheet of levels ─► P-Net ─► NMS ┐
                                                 crops ─► R-Net ─► NMS ◄─┘
    hints (boxes of the frame before) ───────────────────────┴► crops ─► O-Net ─► NMS

OpenCV cuts and numpy sorts on the CPU, as their calls cost less than torch's on so few numbers (ADR 10). Each
of the three networks is a callable, which torch runs on the CPU or a GPU, or OpenVINO.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatecam.settings.config import DetectorConfig
from gatecam.types import Box, Detection, Floats, Image
from gatecam.vision.detector.networks import (
    CELL_FACE_PX,
    FACE_PX,
    O_MARGIN,
    O_SIZE,
    R_MARGIN,
    R_SIZE,
    STRIDE_PX,
    CompiledNetworks,
    Network,
    Networks,
    ONet,
    RNet,
)
from gatecam.vision.detector.pyramid import GREY, Picture, Place, normalised, sheet_places
from gatecam.vision.memory import Trimmer
from gatecam.vision.ops import nms

PROPOSED, REFINED, FACES = 400, 128, 96  # candidates of a frame that P-Net, R-Net and O-Net may hand on
P_IOU, R_IOU = 0.6, 0.6  # above which the weaker of two boxes goes
FACE_SHARE = 0.6  # of the smaller of two faces within the other, above which the weaker goes
CHUNK = 512  # crops that a network takes at once, which bounds memory in a crowd
SIZES_KEPT = 8  # sizes of frames whose sheets are remembered

Hints = Sequence[Sequence[Box] | None]


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Where the levels of frames of one size lie for P-Net, and what its cells stand for."""

    places: tuple[Place, ...]  # none where a frame is too small for a face
    height: int
    width: int
    squares: Floats  # (C, 4): of each cell the square of the frame from which P-Net moves the box
    sides: Floats  # (C, 4) of those squares, twice across and down
    within: NDArray[np.bool_]  # (C,): whether the cell lies in a level


@lru_cache(maxsize=SIZES_KEPT)
def sheet_of(height: int, width: int, smallest_face_px: int) -> Sheet:
    """The sheet of frames of a size; a frame is searched from faces of `smallest_face_px` on."""
    places, sheet_height, sheet_width = sheet_places(height, width, FACE_PX / smallest_face_px)
    cells = np.zeros((sheet_height // STRIDE_PX, sheet_width // STRIDE_PX, 4), np.float32)
    within = np.zeros(cells.shape[:2], np.bool_)
    half = CELL_FACE_PX / 2
    for place in places:
        top, left = place.y // STRIDE_PX, place.x // STRIDE_PX
        rows, columns = -(-place.height // STRIDE_PX), -(-place.width // STRIDE_PX)
        y = np.arange(rows, dtype=np.float32)[:, None] * STRIDE_PX + 0.5
        x = np.arange(columns, dtype=np.float32)[None] * STRIDE_PX + 0.5
        x1, x2 = (x - half) / place.scale, (x + half) / place.scale
        y1, y2 = (y - half) / place.scale_down, (y + half) / place.scale_down
        part = cells[top : top + rows, left : left + columns]
        part[:] = np.stack(np.broadcast_arrays(x1, y1, x2, y2), 2)
        within[top : top + rows, left : left + columns] = True
    squares = cells.reshape(-1, 4)
    sides = np.tile(squares[:, 2:] - squares[:, :2], 2)
    return Sheet(tuple(places), sheet_height, sheet_width, squares, sides, within.reshape(-1))


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Boxes of one stage, of all frames together; every field has N rows."""

    frames: NDArray[np.int64]  # (N,): which frame a box is of
    boxes: Floats  # (N, 4) px
    scores: Floats  # (N,)

    def at(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Candidates:
        """Some of them."""
        return Candidates(self.frames[rows], self.boxes[rows], self.scores[rows])

    def moved(self, boxes: Floats, scores: Floats) -> Candidates:
        """The same with other boxes and scores."""
        return Candidates(self.frames, boxes, scores)

    @staticmethod
    def joined(parts: Sequence[Candidates]) -> Candidates:
        """All of some."""
        return Candidates(
            np.concatenate([part.frames for part in parts]),
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )


class CascadeDetector:
    """Finds faces in batches of frames, bare or masked. Implements `Detector`.

    Args:
        config: thresholds, and the smallest face.
        networks: with weights.
        device: where torch computes the networks. The frames lie on the CPU.
    """

    def __init__(
        self, config: DetectorConfig, networks: Networks | CompiledNetworks, device: torch.device
    ) -> None:
        self._config = config
        self._device = device
        self._nets: Networks | CompiledNetworks = networks
        if isinstance(networks, Networks):
            self._nets = networks.to(device).to(memory_format=torch.channels_last).eval()
        self._trimmer = Trimmer()

    def apply(self, config: DetectorConfig) -> None:
        """Go on by other thresholds and another smallest face."""
        self._config = config

    @torch.inference_mode()
    def detect(
        self,
        images: Sequence[Image],
        hints: Hints | None = None,
        smallest_px: Sequence[int] | None = None,
    ) -> list[list[Detection]]:
        """Return the faces of each image, best first; see `Detector.detect`."""
        found: list[list[Detection]] = [[] for _ in images]
        given = [None] * len(images) if hints is None else hints
        smallest = smallest_px or [self._config.smallest_face_px(image.shape[1]) for image in images]
        asked = [
            i
            for i, image in enumerate(images)
            if (given[i] is None or len(given[i] or ())) and min(image.shape[:2]) > 1
        ]
        if not asked:
            return found
        pictures = [Picture(images[i]) for i in asked]
        at_hints = [given[i] for i in asked]
        refined = self._refine(pictures, self._propose(pictures, at_hints, [smallest[i] for i in asked]))
        faces, landmarks = self._output(pictures, Candidates.joined([refined, _hinted(at_hints)]))
        for frame, box, score, points in zip(faces.frames, faces.boxes, faces.scores, landmarks, strict=True):
            found[asked[frame]].append(Detection(Box(*box.tolist()), float(score), points))
        self._trimmer.after(len(asked))
        return found

    def _propose(self, pictures: Sequence[Picture], hints: Hints, smallest_px: Sequence[int]) -> Candidates:
        """Run P-Net over the sheets of the frames without hints."""
        groups: dict[tuple[int, int, int], list[int]] = {}
        for i, (picture, boxes, least_px) in enumerate(zip(pictures, hints, smallest_px, strict=True)):
            if boxes is None:
                groups.setdefault((*picture.size, least_px), []).append(i)
        parts = [self._propose_alike(pictures, frames, sheet_of(*key)) for key, frames in groups.items()]
        return Candidates.joined([*parts, _hinted([])])

    def _propose_alike(self, pictures: Sequence[Picture], frames: list[int], sheet: Sheet) -> Candidates:
        """The proposals of frames of one size, which share a batch of sheets; NMS within a frame."""
        if not sheet.places:
            return _hinted([])
        pixels = np.full((len(frames), sheet.height, sheet.width, 3), GREY, np.uint8)
        for row, i in enumerate(frames):
            for place in sheet.places:
                level = pictures[i].level(place.scale, (place.height, place.width))
                pixels[row, place.y : place.y + place.height, place.x : place.x + place.width] = level
        logits, offsets = self._nets.pnet(self._uploaded(pixels))
        scores = logits.flatten(1).sigmoid().cpu().numpy()  # (n, C)
        rows, cells = np.nonzero((scores >= self._config.pnet_threshold) & sheet.within)
        moves = offsets.flatten(2).permute(0, 2, 1).cpu().numpy()[rows, cells]
        boxes = sheet.squares[cells] + moves * sheet.sides[cells]
        found = Candidates(np.array(frames, np.int64)[rows], boxes, scores[rows, cells])
        return _thinned(found, PROPOSED, P_IOU, REFINED)

    def _refine(self, pictures: Sequence[Picture], found: Candidates) -> Candidates:
        """R-Net on each candidate; the survivors with their boxes moved."""
        outputs, squares = self._judged(self._nets.rnet, pictures, found, R_SIZE, R_MARGIN)
        scores = outputs[:, 0]
        passed = scores >= self._config.rnet_threshold
        moved = found.moved(_moved(squares, outputs[:, 1:5]), scores)
        return _thinned(moved.at(passed), PROPOSED, R_IOU, FACES)

    def _output(self, pictures: Sequence[Picture], found: Candidates) -> tuple[Candidates, Floats]:
        """O-Net on each candidate: the faces, best first within a frame, and their landmarks (N, 5, 2).

        Hints are candidates too, as they were faces a frame ago.
        """
        outputs, squares = self._judged(self._nets.onet, pictures, found, O_SIZE, O_MARGIN)
        side = (squares[:, 2:3] - squares[:, 0:1])[:, None]
        landmarks = squares[:, None, :2] + outputs[:, 5:].reshape(-1, 5, 2) * side
        judged = found.moved(_moved(squares, outputs[:, 1:5]), outputs[:, 0])
        kept = []
        for rows in _by_frame(judged):
            rows = rows[judged.scores[rows] >= self._config.onet_threshold]
            kept.append(rows[_apart(judged.boxes[rows])])
        faces = np.concatenate(kept) if kept else np.zeros(0, np.int64)
        return judged.at(faces), landmarks[faces]

    def _judged(
        self,
        net: Network,
        pictures: Sequence[Picture],
        found: Candidates,
        size: int,
        margin: float,
    ) -> tuple[Floats, Floats]:
        """A network's outputs (N, 1 + m), the score first, and the squares (N, 4) that it saw."""
        squares = crop_squares(found.boxes, margin)
        parts = [np.zeros((0, RNet.outputs if size == R_SIZE else ONet.outputs), np.float32)]
        for start in range(0, len(squares), CHUNK):
            part = slice(start, start + CHUNK)
            pixels = np.empty((len(squares[part]), size, size, 3), np.uint8)
            for frame, square, out in zip(found.frames[part], squares[part], pixels, strict=True):
                pictures[frame].cut(square, out)
            logits, *others = net(self._uploaded(pixels))
            parts.append(torch.cat([logits.sigmoid()[:, None], *others], 1).cpu().numpy())
        return np.concatenate(parts), squares

    def _uploaded(self, pixels: NDArray[np.uint8]) -> Tensor:
        """(n, H, W, 3) uint8 as the networks take them: (n, 3, H, W) float, channels last."""
        return normalised(torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2))


def crop_squares(boxes: Floats, margin: float) -> Floats:
    """The square that R-Net and O-Net are shown for each box: (n, 4) to (n, 4)."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True) * ((1 + margin) / 2)
    return np.concatenate([middle - half, middle + half], 1)


def _hinted(hints: Hints) -> Candidates:
    """The hints as candidates of their frames."""
    given = [(i, box) for i, boxes in enumerate(hints) for box in boxes or ()]
    corners = [(box.x1, box.y1, box.x2, box.y2) for _, box in given if box.width > 0 and box.height > 0]
    frames = [i for i, box in given if box.width > 0 and box.height > 0]
    return Candidates(
        np.array(frames, np.int64),
        np.array(corners, np.float32).reshape(-1, 4),
        np.ones(len(frames), np.float32),
    )


def _moved(squares: Floats, offsets: Floats) -> Floats:
    """Boxes (N, 4) from a network's offsets, which are in parts of the square that it was shown."""
    return np.asarray(squares + offsets * (squares[:, 2:3] - squares[:, 0:1]))


def _by_frame(found: Candidates) -> list[NDArray[np.int64]]:
    """The rows of each frame that has any, best first."""
    groups = [np.flatnonzero(found.frames == frame) for frame in dict.fromkeys(found.frames.tolist())]
    return [rows[np.argsort(-found.scores[rows], kind="stable")] for rows in groups]


def _thinned(found: Candidates, considered: int, iou: float, kept: int) -> Candidates:
    """Of each frame's best `considered` those that overlap no better one, at most `kept`."""
    rows = [rows[:considered] for rows in _by_frame(found)]
    apart = [
        best[nms(torch.from_numpy(found.boxes[best]), torch.from_numpy(found.scores[best]), iou).numpy()]
        for best in rows
    ]
    return found.at(np.concatenate([best[:kept] for best in apart]) if apart else np.zeros(0, np.int64))


def _apart(boxes: Floats) -> list[int]:
    """Which of boxes, best first, stay where each removes the weaker ones that share too much with it."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
    area = sides.prod(1)
    corner = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    end = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    inside = np.maximum(end - corner, 0).prod(2)
    near = inside > FACE_SHARE * np.minimum(area[:, None], area[None])
    kept: list[int] = []
    for row in range(len(boxes)):
        if not near[row, kept].any():
            kept.append(row)
    return kept
