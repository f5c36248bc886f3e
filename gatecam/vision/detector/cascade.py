"""Detect bare and masked faces with a cascade of three networks, after Zhang et al. 2016.

    frames ─► pyramid ─► one sheet of levels ─► P-Net ─► NMS ┐
                                                 crops ─► R-Net ─► NMS ◄─┘
    hints (boxes of the frame before) ───────────────────────┴► crops ─► O-Net ─► NMS

OpenCV cuts crops and suppresses boxes, and numpy sorts them, because torch's calls cost more for so few
numbers (ADR 10). Each network is a callable that runs on torch (CPU or GPU) or on OpenVINO.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from gatecam.settings.schema import DetectorConfig
from gatecam.types import Box, Detection, Floats, Image
from gatecam.vision.crops import squares_of
from gatecam.vision.detector.pyramid import GREY, Picture, Place, sheet_places
from gatecam.vision.detector.sizes import (
    CELL_FACE_PX,
    FACE_PX,
    O_MARGIN,
    O_OUTPUTS,
    O_SIZE,
    R_MARGIN,
    R_OUTPUTS,
    R_SIZE,
    STRIDE_PX,
    CompiledNetworks,
    Network,
)
from gatecam.vision.memory import Trimmer

NMS_CANDIDATES, PNET_KEPT, RNET_KEPT = 400, 128, 96  # boxes per frame: before NMS, then after each NMS
P_IOU, R_IOU = 0.6, 0.6  # NMS removes the weaker of two boxes above this IoU
FACE_SHARE = 0.6  # the weaker of two faces is removed above this overlap, as a share of the smaller face
UNSURE = (0.1, 0.85)  # scores of O-Net between which a candidate is cut again
AGAIN = (1.0, 0.88, 1.15)  # sizes at which it is cut again, in parts of the corrected box
CHUNK = 512  # crops in one forward pass, which bounds memory in a crowd
SIZES_KEPT = 8  # frame sizes whose sheets stay in the cache

Hints = Sequence[Sequence[Box] | None]


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Says where the pyramid levels of a frame lie on P-Net's input, and what each P-Net cell stands for.

    All frames of one size share a sheet. C is the number of cells.
    """

    places: tuple[Place, ...]  # empty where a frame is too small for a face
    height: int
    width: int
    squares: Floats  # (C, 4) px of the frame: the square that P-Net's offsets of a cell refer to
    sides: Floats  # (C, 4): width, height, width, height of those squares
    within: NDArray[np.bool_]  # (C,): whether the cell lies in a level


@lru_cache(maxsize=SIZES_KEPT)
def sheet_of(height: int, width: int, smallest_face_px: int) -> Sheet:
    """Return the sheet for frames of one size, for faces of at least `smallest_face_px`."""
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
    """Holds the boxes of one stage for all frames of a batch. Every field has N rows."""

    frames: NDArray[np.int64]  # (N,): index of the box's frame
    boxes: Floats  # (N, 4) px
    scores: Floats  # (N,)

    def at(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Candidates:
        """Select rows of every field."""
        return Candidates(self.frames[rows], self.boxes[rows], self.scores[rows])

    def moved(self, boxes: Floats, scores: Floats) -> Candidates:
        """Return a copy with other boxes and scores."""
        return Candidates(self.frames, boxes, scores)

    @staticmethod
    def joined(parts: Sequence[Candidates]) -> Candidates:
        """Concatenate candidates."""
        return Candidates(
            np.concatenate([part.frames for part in parts]),
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )


class CascadeDetector:
    """Finds bare and masked faces in batches of frames. Implements `Detector`.

    Args:
        config: thresholds and the smallest face.
        networks: the networks with their weights, on a backend. The frames stay on the CPU.
    """

    def __init__(self, config: DetectorConfig, networks: CompiledNetworks) -> None:
        self._config = config
        self._nets = networks
        self._trimmer = Trimmer()

    def apply(self, config: DetectorConfig) -> None:
        """Use new thresholds and a new smallest face from the next frame on."""
        self._config = config

    def detect(
        self,
        images: Sequence[Image],
        hints: Hints | None = None,
        smallest_px: Sequence[int] | None = None,
    ) -> list[list[Detection]]:
        """Return the faces of each image, best first. See `Detector.detect`."""
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
        """Run P-Net over the sheets of the frames that have no hints."""
        groups: dict[tuple[int, int, int], list[int]] = {}
        for i, (picture, boxes, least_px) in enumerate(zip(pictures, hints, smallest_px, strict=True)):
            if boxes is None:
                groups.setdefault((*picture.size, least_px), []).append(i)
        parts = [self._propose_alike(pictures, frames, sheet_of(*key)) for key, frames in groups.items()]
        return Candidates.joined([*parts, _hinted([])])

    def _propose_alike(self, pictures: Sequence[Picture], frames: list[int], sheet: Sheet) -> Candidates:
        """Run P-Net on a batch of frames of one size, then NMS within each frame."""
        if not sheet.places:
            return _hinted([])
        pixels = np.full((len(frames), sheet.height, sheet.width, 3), GREY, np.uint8)
        for row, i in enumerate(frames):
            for place in sheet.places:
                level = pictures[i].level(place.scale, (place.height, place.width))
                pixels[row, place.y : place.y + place.height, place.x : place.x + place.width] = level
        logits, offsets = self._nets.pnet(pixels)
        scores = _sigmoid(logits.reshape(len(frames), -1))  # (n, C)
        rows, cells = np.nonzero((scores >= self._config.pnet_threshold) & sheet.within)
        moves = offsets.reshape(len(frames), 4, -1)[rows, :, cells]
        boxes = sheet.squares[cells] + moves * sheet.sides[cells]
        found = Candidates(np.array(frames, np.int64)[rows], boxes, scores[rows, cells])
        return _thinned(found, NMS_CANDIDATES, P_IOU, PNET_KEPT)

    def _refine(self, pictures: Sequence[Picture], found: Candidates) -> Candidates:
        """Run R-Net on each candidate. Return those that pass, with corrected boxes."""
        outputs, squares = self._outputs(self._nets.rnet, pictures, found, R_SIZE, R_MARGIN)
        scores = outputs[:, 0]
        passed = scores >= self._config.rnet_threshold
        moved = found.moved(_moved(squares, outputs[:, 1:5]), scores)
        return _thinned(moved.at(passed), NMS_CANDIDATES, R_IOU, RNET_KEPT)

    def _output(self, pictures: Sequence[Picture], found: Candidates) -> tuple[Candidates, Floats]:
        """Run O-Net on each candidate. Return each frame's faces, best first, and landmarks (N, 5, 2).

        The candidates include the hints, because those were faces in the frame before. If O-Net is unsure of
        a candidate, the candidate is cut again at the box that O-Net corrected, at several sizes, and the
        best result counts.
        """
        outputs, squares = self._outputs(self._nets.onet, pictures, found, O_SIZE, O_MARGIN)
        unsure = np.flatnonzero((outputs[:, 0] > UNSURE[0]) & (outputs[:, 0] < UNSURE[1]))
        if len(unsure):
            corrected = _moved(squares[unsure], outputs[unsure, 1:5])
            sizes = [found.at(unsure).moved(_resized(corrected, size), outputs[unsure, 0]) for size in AGAIN]
            again, cut = self._outputs(self._nets.onet, pictures, Candidates.joined(sizes), O_SIZE, O_MARGIN)
            for part in np.split(np.arange(len(again)), len(AGAIN)):
                better = again[part, 0] > outputs[unsure, 0]
                outputs[unsure[better]], squares[unsure[better]] = again[part][better], cut[part][better]
        side = (squares[:, 2:3] - squares[:, 0:1])[:, None]
        landmarks = squares[:, None, :2] + outputs[:, 5:].reshape(-1, 5, 2) * side
        scored = found.moved(_moved(squares, outputs[:, 1:5]), outputs[:, 0])
        kept = []
        for rows in _by_frame(scored):
            rows = rows[scored.scores[rows] >= self._config.onet_threshold]
            kept.append(rows[apart(scored.boxes[rows], FACE_SHARE)])
        faces = np.concatenate(kept) if kept else np.zeros(0, np.int64)
        return scored.at(faces), landmarks[faces]

    def _outputs(
        self,
        net: Network,
        pictures: Sequence[Picture],
        found: Candidates,
        size: int,
        margin: float,
    ) -> tuple[Floats, Floats]:
        """Run R-Net or O-Net on the candidates.

        Returns:
            The outputs (N, 1 + m) with the score first, and the squares (N, 4) that the network saw.
        """
        squares = squares_of(found.boxes, margin)
        parts = [np.zeros((0, R_OUTPUTS if size == R_SIZE else O_OUTPUTS), np.float32)]
        for start in range(0, len(squares), CHUNK):
            part = slice(start, start + CHUNK)
            pixels = np.empty((len(squares[part]), size, size, 3), np.uint8)
            for frame, square, out in zip(found.frames[part], squares[part], pixels, strict=True):
                pictures[frame].cut(square, out)
            logits, *others = net(pixels)
            parts.append(np.concatenate([_sigmoid(logits)[:, None], *others], 1))
        return np.concatenate(parts), squares


def _sigmoid(logits: Floats) -> Floats:
    """Return the probabilities of logits. The formula with tanh cannot overflow."""
    return np.asarray(0.5 * np.tanh(0.5 * logits) + 0.5)


def _hinted(hints: Hints) -> Candidates:
    """Turn hints into candidates of their frames. Empty boxes are left out."""
    given = [(i, box) for i, boxes in enumerate(hints) for box in boxes or ()]
    corners = [(box.x1, box.y1, box.x2, box.y2) for _, box in given if box.width > 0 and box.height > 0]
    frames = [i for i, box in given if box.width > 0 and box.height > 0]
    return Candidates(
        np.array(frames, np.int64),
        np.array(corners, np.float32).reshape(-1, 4),
        np.ones(len(frames), np.float32),
    )


def _moved(squares: Floats, offsets: Floats) -> Floats:
    """Compute boxes (N, 4) from a network's offsets, which are in parts of the square's side."""
    return np.asarray(squares + offsets * (squares[:, 2:3] - squares[:, 0:1]))


def _resized(boxes: Floats, size: float) -> Floats:
    """Scale boxes (N, 4) around their centres."""
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) * np.float32(size / 2)
    return np.concatenate([middle - half, middle + half], 1)


def _by_frame(found: Candidates) -> list[NDArray[np.int64]]:
    """Return the rows of each frame that has candidates, best first."""
    groups = [np.flatnonzero(found.frames == frame) for frame in dict.fromkeys(found.frames.tolist())]
    return [rows[np.argsort(-found.scores[rows], kind="stable")] for rows in groups]


def _thinned(found: Candidates, considered: int, iou: float, kept: int) -> Candidates:
    """Apply NMS with threshold `iou` to each frame's best `considered` boxes. Keep at most `kept` of them."""
    sides = np.concatenate([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]], 1)
    apart = [np.zeros(0, np.int64)]
    for rows in _by_frame(found):
        best = rows[:considered]
        chosen = cv2.dnn.NMSBoxes(sides[best], found.scores[best], 0.0, iou)  # type: ignore[arg-type]
        apart.append(best[np.asarray(chosen, np.int64)][:kept])
    return found.at(np.concatenate(apart))


def apart(boxes: Floats, share: float) -> list[int]:
    """Return the rows of boxes that do not overlap a better box too much.

    Args:
        boxes: (n, 4) corners, best first.
        share: a box is removed if a better one that stays shares more than this part of the smaller of both.
    """
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
    area = sides.prod(1)
    corner = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    end = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    inside = np.maximum(end - corner, 0).prod(2)
    near = inside > share * np.minimum(area[:, None], area[None])
    kept: list[int] = []
    for row in range(len(boxes)):
        if not near[row, kept].any():
            kept.append(row)
    return kept
