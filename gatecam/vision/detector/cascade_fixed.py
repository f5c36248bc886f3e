"""Our cascade for frames on a GPU: every length is fixed, so that nothing waits for a count to come back.

Candidates stand in rows of equal length, one row a frame, with a mask of those that count; suppression
takes a fixed number of rounds. The one transfer is that of the faces. `cascade` says what is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as nnf
from torch import Tensor

from gatecam.config import DetectorConfig
from gatecam.types import Box, Detection
from gatecam.vision.crops import squares_of
from gatecam.vision.detector.cascade_parts import (
    CHUNK,
    FACE_SHARE,
    FACES,
    P_IOU,
    PROPOSED,
    R_IOU,
    REFINED,
    SIZES_KEPT,
    Sheet,
    View,
    sheet_of,
    views_of,
)
from gatecam.vision.detector.networks import (
    O_MARGIN,
    O_SIZE,
    R_MARGIN,
    R_SIZE,
    CompiledNetworks,
    Network,
    Networks,
    ONet,
    RNet,
)
from gatecam.vision.detector.pyramid import GREY, Pyramid, normalised
from gatecam.vision.upload import sent

ROUNDS = 12  # of suppression, so that their number does not depend on the boxes


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes of one stage: n frames in rows of K."""

    boxes: Tensor  # (n, K, 4) px
    scores: Tensor  # (n, K)
    real: Tensor  # (n, K) bool: whether there is one

    def best(self, limit: int) -> Candidates:
        """At most `limit` a frame, best first."""
        scores = self.scores.masked_fill(~self.real, -1.0)
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
class Rows:
    """What was found, on the device: of each frame that was looked at a row of places for faces."""

    frames: list[int]
    views: list[View]
    faces: Tensor  # (n, K, 15), best first, px of the view: box, score (0 where there is none), landmarks


class FixedCascade:
    """Finds faces in batches of frames, bare or masked. Implements `Detector`.

    Args:
        config: thresholds, and the smallest face.
        networks: with weights.
        device: where the images lie.
    """

    def __init__(
        self, config: DetectorConfig, networks: Networks | CompiledNetworks, device: torch.device
    ) -> None:
        self._config = config
        self._device = device
        self._nets: Networks | CompiledNetworks = networks
        if isinstance(networks, Networks):
            self._nets = networks.to(device).to(memory_format=torch.channels_last).eval()

    def apply(self, config: DetectorConfig) -> None:
        """Go on by other thresholds and another smallest face."""
        self._config = config

    @torch.inference_mode()
    def detect(
        self,
        images: Sequence[Tensor],
        hints: Sequence[Sequence[Box] | None] | None = None,
        smallest_px: Sequence[int] | None = None,
    ) -> list[list[Detection]]:
        """The faces of each image, best first; see `Detector.detect`."""
        found: list[list[Detection]] = [[] for _ in images]
        rows = self.rows(images, hints, smallest_px)
        if rows is None:
            return found
        for i, view, faces in zip(rows.frames, rows.views, rows.faces.cpu().numpy(), strict=True):
            for row in faces[faces[:, 4] > 0]:
                found[i].append(view.detection(row[:4], float(row[4]), row[5:].reshape(5, 2)))
        return found

    @torch.inference_mode()
    def rows(
        self,
        images: Sequence[Tensor],
        hints: Sequence[Sequence[Box] | None] | None = None,
        smallest_px: Sequence[int] | None = None,
    ) -> Rows | None:
        """The same on the device, where nothing waits for it; None where nothing is looked at."""
        views = views_of(self._config, [image.shape for image in images], hints, smallest_px)
        if not views:
            return None
        seen = [images[i][view.y1 : view.y2, view.x1 : view.x2] for i, view in views.items()]
        return Rows(list(views), list(views.values()), self._cascade(seen, list(views.values())))

    def _cascade(self, images: Sequence[Tensor], views: Sequence[View]) -> Tensor:
        """Faces (n, K, 15), best first: box, score (0 where there is none), landmarks."""
        pyramid, hints = Pyramid(images), [view.hints for view in views]
        refined = self._refine(pyramid, self._propose(pyramid, views))
        return self._output(pyramid, self._with_hints(refined, hints))

    def _propose(self, pyramid: Pyramid, views: Sequence[View]) -> Candidates:
        """P-Net over the sheets of the frames without hints; NMS within a frame."""
        groups: dict[tuple[int, int, int], list[int]] = {}
        for i, (size, view) in enumerate(zip(pyramid.sizes, views, strict=True)):
            if view.hints is None:
                groups.setdefault((*size, view.smallest_px), []).append(i)
        found: dict[int, Candidates] = {}
        for key, frames in groups.items():
            alike = self._propose_alike(pyramid, key, frames)
            found |= {i: alike.row(at) for at, i in enumerate(frames)}
        nothing = Candidates.none(1, self._device)
        return Candidates.stacked([found.get(i, nothing) for i in range(len(views))])

    def _propose_alike(self, pyramid: Pyramid, key: tuple[int, int, int], frames: list[int]) -> Candidates:
        """The proposals of frames of one size and smallest face, which share a batch of sheets."""
        sheet = sheet_of(*key)
        if not sheet.places:
            return Candidates.none(len(frames), self._device)
        logits, offsets = self._nets.pnet(_sheets(pyramid, frames, sheet))
        squares, sides, within = _cells(*key, self._device)
        scores = logits.flatten(1).sigmoid()  # (n, C)
        real = (scores >= self._config.pnet_threshold) & within
        boxes = squares + offsets.flatten(2).transpose(1, 2) * sides  # (n, C, 4)
        proposed = Candidates(boxes, scores, real).best(PROPOSED)
        return _suppressed(proposed, P_IOU).best(REFINED)

    def _with_hints(self, refined: Candidates, hints: Sequence[Sequence[Box] | None]) -> Candidates:
        """What R-Net has left, and after it the hints, which were faces a frame ago."""
        longest = max(len(boxes or ()) for boxes in hints)
        if not longest:
            return refined
        nothing = (0.0, 0.0, 0.0, 0.0)
        rows = [
            [(b.x1, b.y1, b.x2, b.y2) for b in boxes or ()] + [nothing] * (longest - len(boxes or ()))
            for boxes in hints
        ]
        corners = sent(torch.tensor(rows), self._device)
        real = (corners[..., 2:] > corners[..., :2]).all(2)
        return Candidates(
            torch.cat([refined.boxes, corners], 1),
            torch.cat([refined.scores, real.float()], 1),
            torch.cat([refined.real, real], 1),
        )

    def _refine(self, pyramid: Pyramid, candidates: Candidates) -> Candidates:
        """R-Net on each candidate; the survivors with their boxes moved."""
        if not candidates.scores.shape[1]:
            return candidates
        logits, offsets, squares = self._judged(self._nets.rnet, pyramid, candidates, R_SIZE, R_MARGIN)
        scores = logits[..., 0].sigmoid()
        real = candidates.real & (scores >= self._config.rnet_threshold)
        moved = Candidates(_moved(squares, offsets[..., :4]), scores, real).best(PROPOSED)
        return _suppressed(moved, R_IOU).best(FACES)

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
        kept = _kept(_share_of_smaller(ordered.boxes) > FACE_SHARE, ordered.real)
        points = landmarks.flatten(2).gather(1, order[..., None].expand(-1, -1, 10))
        return torch.cat([ordered.boxes, (scores * kept)[..., None], points], 2)

    def _judged(
        self, net: Network, pyramid: Pyramid, candidates: Candidates, size: int, margin: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A network's logits (n, K, 1), its other outputs (n, K, m), and the squares (n, K, 4) it saw."""
        count, length = candidates.scores.shape
        squares = squares_of(candidates.boxes.flatten(0, 1), margin)
        frames = torch.arange(count * length, device=self._device) // max(length, 1)
        outputs = _in_chunks(net, pyramid, squares, frames, size)
        outputs = outputs.view(count, length, RNet.outputs if size == R_SIZE else ONet.outputs)
        return outputs[..., :1], outputs[..., 1:], squares.view(count, length, 4)


def _in_chunks(net: Network, pyramid: Pyramid, squares: Tensor, frames: Tensor, size: int) -> Tensor:
    """A network's outputs for squares of frames, side by side: (N, 1 + m), the logit first."""
    parts = []
    for square, frame in zip(torch.split(squares, CHUNK), torch.split(frames, CHUNK), strict=True):
        logits, *others = net(pyramid.crop(square, frame, size))
        parts.append(torch.cat([logits[:, None], *others], 1))
    return torch.cat(parts)


def _sheets(pyramid: Pyramid, frames: Sequence[int], sheet: Sheet) -> Tensor:
    """What P-Net sees of frames of one size: (n, 3, height, width), all levels side by side on grey."""
    shape = (len(frames), sheet.height, sheet.width, 3)
    pixels = torch.full(shape, GREY, dtype=torch.uint8, device=pyramid.device).permute(0, 3, 1, 2)
    for place in sheet.places:
        level = pyramid.level(frames, place.scale, (place.height, place.width))
        pixels[:, :, place.y : place.y + place.height, place.x : place.x + place.width] = level
    return normalised(pixels)


@lru_cache(maxsize=SIZES_KEPT)
def _cells(height: int, width: int, smallest_face_px: int, device: torch.device) -> tuple[Tensor, ...]:
    """Squares, sides and within of a sheet, on the device."""
    sheet = sheet_of(height, width, smallest_face_px)
    parts = (sheet.squares, sheet.sides, sheet.within)
    return tuple(torch.from_numpy(part).to(device) for part in parts)


def _moved(squares: Tensor, offsets: Tensor) -> Tensor:
    """Boxes (…, 4) from a network's offsets, which are in parts of the square that it was shown."""
    side = squares[..., 2:3] - squares[..., 0:1]
    return squares + offsets * side


def _suppressed(candidates: Candidates, iou: float) -> Candidates:
    """Greedy suppression within a frame; rows must come best first."""
    overlaps = _iou(candidates.boxes) > iou
    return Candidates(candidates.boxes, candidates.scores, _kept(overlaps, candidates.real))


def _kept(overlaps: Tensor, real: Tensor) -> Tensor:
    """Which of K boxes, best first, stay where each removes the weaker ones it overlaps: (n, K) bool.

    It takes as many rounds as the longest chain of overlaps is long until nothing changes any more.
    """
    if real.shape[1] < 2:
        return real
    removes = overlaps.triu(1) & real[:, :, None]
    kept = real
    for _ in range(ROUNDS):
        kept = real & ~(removes & kept[:, :, None]).any(1)
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
