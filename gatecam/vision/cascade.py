"""The face detector whose networks see masks: a cascade as Zhang et al. 2016 have it, on a pyramid of halves.

    frames ─► pyramid ─► one sheet of levels ─► P-Net ─► NMS ┐
    hints (boxes of the frame before) ───────────────────────┴► crops ─► R-Net ─► NMS ─► crops ─► O-Net ─► NMS

Candidates stand in rows of equal length, one row a frame, with a mask of those that count. On the CPU a row
is as long as it must be and only what counts is cut out; on CUDA lengths are fixed, so that nothing waits for
a count to come back: the one transfer is that of the faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from gatecam.config import DetectorConfig
from gatecam.geometry import shift
from gatecam.types import Box, Detection
from gatecam.vision.detector_networks import (
    CELL_FACE_PX,
    FACE_PX,
    O_MARGIN,
    O_SIZE,
    R_MARGIN,
    R_SIZE,
    STRIDE_PX,
    Networks,
    ONet,
    RNet,
)
from gatecam.vision.pyramid import GREY, Place, Pyramid, normalised, sheet_places

PROPOSED, REFINED, FACES = 400, 128, 96  # candidates of a frame that P-Net, R-Net and O-Net may hand on
P_IOU, R_IOU = 0.6, 0.6  # above which the weaker of two boxes goes
FACE_SHARE = 0.6  # of the smaller of two faces within the other, above which the weaker goes
ROUNDS = 12  # of suppression where their number must not depend on the boxes
CHUNK = 512  # crops that a network takes at once, which bounds memory in a crowd
GRID_PX = 32  # to which the corner of a part of an image is rounded down
GAP_PX = 16  # between levels on a sheet, so that one hardly sees into another
SIZES_KEPT = 8  # sizes of frames whose sheets are remembered


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes of one stage: n frames in rows of K."""

    boxes: Tensor  # (n, K, 4) px
    scores: Tensor  # (n, K)
    real: Tensor  # (n, K) bool: whether there is one

    def best(self, limit: int, fixed: bool) -> Candidates:
        """At most `limit` a frame, best first; no more than the fullest row has, unless lengths are fixed."""
        scores = self.scores.masked_fill(~self.real, -1.0)
        if not fixed:
            limit = min(limit, int(self.real.sum(1).max()) if self.real.numel() else 0)
        limit = min(limit, scores.shape[1])
        scores, at = scores.topk(limit, 1)
        return Candidates(self.boxes.gather(1, at[..., None].expand(-1, -1, 4)), scores, scores >= 0)

    def row(self, frame: int) -> Candidates:
        """Those of one frame."""
        part = slice(frame, frame + 1)
        return Candidates(self.boxes[part], self.scores[part], self.real[part])

    @staticmethod
    def none(frames: int, device: torch.device) -> Candidates:
        """None at all, of some frames."""
        boxes = torch.zeros(frames, 0, 4, device=device)
        return Candidates(boxes, boxes[..., 0], boxes[..., 0].bool())

    @staticmethod
    def stacked(rows: Sequence[Candidates]) -> Candidates:
        """Rows of unlike lengths one under the other, filled up with none."""
        longest = max(row.scores.shape[1] for row in rows)
        missing = [longest - row.scores.shape[1] for row in rows]
        return Candidates(
            torch.cat([nnf.pad(row.boxes, (0, 0, 0, n)) for row, n in zip(rows, missing, strict=True)]),
            torch.cat([nnf.pad(row.scores, (0, n)) for row, n in zip(rows, missing, strict=True)]),
            torch.cat([nnf.pad(row.real, (0, n)) for row, n in zip(rows, missing, strict=True)]),
        )


@dataclass(frozen=True, slots=True)
class _View:
    """The part of an image that is looked at: all of it, or what lies around its hints."""

    image: Tensor
    hints: Sequence[Box] | None
    x: int = 0
    y: int = 0

    @staticmethod
    def of(image: Tensor, hints: Sequence[Box] | None) -> _View:
        """The view of an image; its corner lies on the grid of the pyramid's levels."""
        if hints is None:
            return _View(image, None)
        height, width = image.shape[:2]
        reach = max(max(box.width, box.height) for box in hints)
        x1 = min(max(min(box.x1 for box in hints) - reach, 0), width - 2)
        y1 = min(max(min(box.y1 for box in hints) - reach, 0), height - 2)
        x, y = int(x1) // GRID_PX * GRID_PX, int(y1) // GRID_PX * GRID_PX
        x2 = max(int(max(box.x2 for box in hints) + reach), x + GRID_PX)
        y2 = max(int(max(box.y2 for box in hints) + reach), y + GRID_PX)
        return _View(image[y:y2, x:x2], [shift(box, -x, -y) for box in hints], x, y)


class CascadeDetector:
    """Finds faces in batches of frames, bare or masked. Implements `Detector`.

    Args:
        config: thresholds, and the smallest face.
        networks: with weights.
        device: where the images lie.
        fixed: whether lengths are fixed; by itself on all devices but the CPU.
    """

    def __init__(
        self, config: DetectorConfig, networks: Networks, device: torch.device, fixed: bool | None = None
    ) -> None:
        self._config = config
        self._device = device
        self._fixed = device.type != "cpu" if fixed is None else fixed
        self._nets = networks.to(device).to(memory_format=torch.channels_last).eval()

    @torch.inference_mode()
    def detect(
        self, images: Sequence[Tensor], hints: Sequence[Sequence[Box] | None] | None = None
    ) -> list[list[Detection]]:
        """The faces of each image, best first; see `Detector.detect`."""
        found: list[list[Detection]] = [[] for _ in images]
        asked = [None] * len(images) if hints is None else list(hints)
        wanted = [i for i, boxes in enumerate(asked) if boxes is None or len(boxes)]
        wanted = [i for i in wanted if min(images[i].shape[:2]) > 1]
        if not wanted:
            return found
        views = [_View.of(images[i], asked[i]) for i in wanted]
        rows = self._cascade([view.image for view in views], [view.hints for view in views]).cpu().numpy()
        for i, view, faces in zip(wanted, views, rows, strict=True):
            for row in faces[faces[:, 4] > 0]:
                x1, y1, x2, y2, score = row[:5].tolist()
                box = shift(Box(x1, y1, x2, y2), view.x, view.y)
                landmarks = row[5:].reshape(5, 2) + np.array([view.x, view.y], np.float32)
                found[i].append(Detection(box, score, landmarks))
        return found

    def _cascade(self, images: Sequence[Tensor], hints: Sequence[Sequence[Box] | None]) -> Tensor:
        """Faces (n, K, 15), best first: box, score (0 where there is none), landmarks."""
        pyramid = Pyramid(images)
        given = max(len(boxes or ()) for boxes in hints)
        candidates = self._with_hints(self._propose(pyramid, hints), hints, given)
        return self._output(pyramid, self._refine(pyramid, candidates, given))

    def _propose(self, pyramid: Pyramid, hints: Sequence[Sequence[Box] | None]) -> Candidates:
        """P-Net over the sheets of the frames without hints; NMS within a frame."""
        groups: dict[tuple[int, int], list[int]] = {}
        for i, size in enumerate(pyramid.sizes):
            if hints[i] is None:
                groups.setdefault(size, []).append(i)
        found: dict[int, Candidates] = {}
        for size, frames in groups.items():
            alike = self._propose_alike(pyramid, size, frames)
            found |= {i: alike.row(at) for at, i in enumerate(frames)}
        nothing = Candidates.none(1, self._device)
        return Candidates.stacked([found.get(i, nothing) for i in range(len(hints))])

    def _propose_alike(self, pyramid: Pyramid, size: tuple[int, int], frames: list[int]) -> Candidates:
        """The proposals of frames of one size, which share a batch of sheets."""
        scale = FACE_PX / self._config.smallest_face_px(size[1])
        places, height, width = sheet_places(*size, scale, GAP_PX, STRIDE_PX)
        if not places:
            return Candidates.none(len(frames), self._device)
        logits, offsets = self._nets.pnet(_sheets(pyramid, frames, places, height, width))
        squares, sides, within = _cells(tuple(places), height, width, self._device)
        scores = logits.flatten(1).sigmoid()  # (n, C)
        real = (scores >= self._config.pnet_threshold) & within
        boxes = squares + offsets.flatten(2).transpose(1, 2) * sides  # (n, C, 4)
        proposed = Candidates(boxes, scores, real).best(PROPOSED, self._fixed)
        return _suppressed(proposed, P_IOU, self._fixed).best(REFINED, self._fixed)

    def _with_hints(
        self, proposed: Candidates, hints: Sequence[Sequence[Box] | None], longest: int
    ) -> Candidates:
        """The proposals, and after them the hints as candidates of their frames."""
        if not longest:
            return proposed
        nothing = (0.0, 0.0, 0.0, 0.0)
        rows = [
            [(b.x1, b.y1, b.x2, b.y2) for b in boxes or ()] + [nothing] * (longest - len(boxes or ()))
            for boxes in hints
        ]
        corners = torch.tensor(rows).to(self._device, non_blocking=True)
        real = (corners[..., 2:] > corners[..., :2]).all(2)
        return Candidates(
            torch.cat([proposed.boxes, corners], 1),
            torch.cat([proposed.scores, real.float()], 1),
            torch.cat([proposed.real, real], 1),
        )

    def _refine(self, pyramid: Pyramid, candidates: Candidates, given: int) -> Candidates:
        """R-Net on each candidate; the survivors with their boxes moved.

        The last `given` of each row are hints, which were faces a frame ago: of these O-Net alone decides.
        """
        logits, offsets, squares = self._judged(self._nets.rnet, pyramid, candidates, R_SIZE, R_MARGIN)
        scores = logits[..., 0].sigmoid()
        passed = scores >= self._config.rnet_threshold
        passed[:, passed.shape[1] - given :] = True
        real = candidates.real & passed
        moved = Candidates(_moved(squares, offsets[..., :4]), scores, real).best(PROPOSED, self._fixed)
        return _suppressed(moved, R_IOU, self._fixed).best(FACES, self._fixed)

    def _output(self, pyramid: Pyramid, candidates: Candidates) -> Tensor:
        """O-Net on each candidate: faces (n, K, 15)."""
        logits, outputs, squares = self._judged(self._nets.onet, pyramid, candidates, O_SIZE, O_MARGIN)
        scores = logits[..., 0].sigmoid()
        real = candidates.real & (scores >= self._config.onet_threshold)
        side = (squares[..., 2:3] - squares[..., 0:1])[..., None]
        landmarks = squares[..., None, :2] + outputs[..., 4:].view(*scores.shape, 5, 2) * side
        boxes = _moved(squares, outputs[..., :4])
        scores, order = scores.masked_fill(~real, 0.0).sort(dim=1, descending=True, stable=True)
        ordered = Candidates(boxes.gather(1, order[..., None].expand(-1, -1, 4)), scores, scores > 0)
        kept = _kept(_share_of_smaller(ordered.boxes) > FACE_SHARE, ordered.real, self._fixed)
        points = landmarks.flatten(2).gather(1, order[..., None].expand(-1, -1, 10))
        return torch.cat([ordered.boxes, (scores * kept)[..., None], points], 2)

    def _judged(
        self, net: RNet | ONet, pyramid: Pyramid, candidates: Candidates, size: int, margin: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A network's logits (n, K, 1), its other outputs (n, K, m), and the squares (n, K, 4) it saw."""
        count, length = candidates.scores.shape
        squares = crop_squares(candidates.boxes.flatten(0, 1), margin)
        frames = torch.arange(count * length, device=self._device) // max(length, 1)
        if not self._fixed:
            at = candidates.real.flatten().nonzero()[:, 0]
            outputs = torch.zeros(count * length, net.outputs)
            if len(at):
                outputs[at] = _in_chunks(net, pyramid, squares[at], frames[at], size)
        else:
            outputs = _in_chunks(net, pyramid, squares, frames, size)
        outputs = outputs.view(count, length, net.outputs)
        return outputs[..., :1], outputs[..., 1:], squares.view(count, length, 4)


def _in_chunks(net: RNet | ONet, pyramid: Pyramid, squares: Tensor, frames: Tensor, size: int) -> Tensor:
    """A network's outputs for squares of frames, side by side: (N, 1 + m), the logit first."""
    parts = []
    for square, frame in zip(torch.split(squares, CHUNK), torch.split(frames, CHUNK), strict=True):
        logits, *others = net(pyramid.crop(square, frame, size))
        parts.append(torch.cat([logits[:, None], *others], 1))
    return torch.cat(parts)


def crop_squares(boxes: Tensor, margin: float) -> Tensor:
    """The square that R-Net and O-Net are shown for each box: (n, 4) to (n, 4)."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True) * (1 + margin) / 2
    return torch.cat([middle - half, middle + half], 1)


def _sheets(
    pyramid: Pyramid, frames: Sequence[int], places: Sequence[Place], height: int, width: int
) -> Tensor:
    """What P-Net sees of frames of one size: (n, 3, height, width), all levels side by side on grey."""
    shape = (len(frames), height, width, 3)
    sheet = torch.full(shape, GREY, dtype=torch.uint8, device=pyramid.device).permute(0, 3, 1, 2)
    for place in places:
        level = pyramid.level(frames, place.scale, (place.height, place.width))
        sheet[:, :, place.y : place.y + place.height, place.x : place.x + place.width] = level
    return normalised(sheet)


@lru_cache(maxsize=SIZES_KEPT)
def _cells(places: tuple[Place, ...], height: int, width: int, device: torch.device) -> tuple[Tensor, ...]:
    """Of each cell of a sheet: the square (C, 4) of the frame that it stands for, that square's sides (C, 4),
    and whether it lies in a level (C,).
    """
    squares = torch.zeros(height // STRIDE_PX, width // STRIDE_PX, 4)
    within = torch.zeros(height // STRIDE_PX, width // STRIDE_PX, dtype=torch.bool)
    half = CELL_FACE_PX / 2
    for place in places:
        top, left = place.y // STRIDE_PX, place.x // STRIDE_PX
        rows, columns = -(-place.height // STRIDE_PX), -(-place.width // STRIDE_PX)
        y = torch.arange(rows)[:, None] * STRIDE_PX + 0.5
        x = torch.arange(columns)[None] * STRIDE_PX + 0.5
        x1, x2 = (x - half) / place.scale, (x + half) / place.scale
        y1, y2 = (y - half) / place.scale_down, (y + half) / place.scale_down
        part = torch.stack([v.expand(rows, columns) for v in (x1, y1, x2, y2)], 2)
        squares[top : top + rows, left : left + columns] = part
        within[top : top + rows, left : left + columns] = True
    squares = squares.flatten(0, 1).to(device)
    return squares, (squares[:, 2:] - squares[:, :2]).repeat(1, 2), within.flatten().to(device)


def _moved(squares: Tensor, offsets: Tensor) -> Tensor:
    """Boxes (…, 4) from a network's offsets, which are in parts of the square that it was shown."""
    side = squares[..., 2:3] - squares[..., 0:1]
    return squares + offsets * side


def _suppressed(candidates: Candidates, iou: float, fixed: bool) -> Candidates:
    """Greedy suppression within a frame; rows must come best first."""
    overlaps = _iou(candidates.boxes) > iou
    return Candidates(candidates.boxes, candidates.scores, _kept(overlaps, candidates.real, fixed))


def _kept(overlaps: Tensor, real: Tensor, fixed: bool) -> Tensor:
    """Which of K boxes, best first, stay where each removes the weaker ones it overlaps: (n, K) bool.

    Repeated until nothing changes, which takes as many rounds as the longest chain of overlaps.
    """
    if real.shape[1] < 2:
        return real
    removes = overlaps.triu(1) & real[:, :, None]
    kept = real
    for _ in range(ROUNDS if fixed else real.shape[1]):
        after = real & ~(removes & kept[:, :, None]).any(1)
        if not fixed and torch.equal(after, kept):
            break
        kept = after
    return kept


def _intersections(boxes: Tensor) -> tuple[Tensor, Tensor]:
    corner = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    end = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    area = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3).prod(2)
    return (end - corner).clamp(min=0).prod(3), area


def _iou(boxes: Tensor) -> Tensor:
    inside, area = _intersections(boxes)
    return inside / (area[:, :, None] + area[:, None] - inside)


def _share_of_smaller(boxes: Tensor) -> Tensor:
    inside, area = _intersections(boxes)
    return inside / torch.minimum(area[:, :, None], area[:, None])
