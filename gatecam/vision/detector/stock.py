"""The face detector: MTCNN (Zhang et al. 2016, "Joint Face Detection and Alignment Using Multi-task Cascaded
Convolutional Networks") with facenet-pytorch's networks and weights in a cascade without a loop over boxes.

    frames ─► integral images ─► pyramid ─► P-Net ─► NMS ─► crops ─► R-Net ─► NMS
                                                           ─► crops ─► O-Net ─► NMS ─► faces

The library resizes by averaging whole pixels ("area"). An integral image gives each such average from four
values, so every pyramid level and every crop, of all frames together, is one gather.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import facenet_pytorch
import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms

from gatecam.config import DetectorConfig
from gatecam.errors import ModelError
from gatecam.types import Box, Detection
from gatecam.vision.memory import Trimmer

CELL_PX = 12  # P-Net sees 12 × 12 px, every 2 px (Zhang et al. 2016, section 2.2)
STRIDE_PX = 2
NMS_WITHIN_LEVEL, NMS_WITHIN_FRAME = 0.5, 0.7  # the library's; the paper does not give them
CHUNK = 512  # crops a network takes at once, which bounds memory in a crowd


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes of one stage, of all frames together; every field has N rows."""

    boxes: Tensor  # (N, 4)
    scores: Tensor  # (N,)
    frames: Tensor  # (N,) int64: which frame a box is of

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: Tensor) -> Candidates:
        """The candidates at `rows`, a mask or indices."""
        return Candidates(self.boxes[rows], self.scores[rows], self.frames[rows])


class IntegralImages:
    """Sums over every top-left rectangle of a batch of frames, unlike sizes in one flat buffer.

    `area` averages come out exactly as `interpolate(mode="area")` gives them.
    """

    def __init__(self, images: Sequence[Tensor]) -> None:
        self.device = device = images[0].device
        self.sizes = [(image.shape[0], image.shape[1]) for image in images]
        lengths = [(height + 1) * (width + 1) for height, width in self.sizes]
        dtype = torch.int32 if max(lengths) * 255 < 2**31 else torch.int64  # 32 bits hold 8.4 megapixels
        self._flat = torch.empty(sum(lengths), 3, dtype=dtype, device=device)
        for image, table in zip(images, torch.split(self._flat, lengths), strict=True):
            _sum_into(table.view(image.shape[0] + 1, image.shape[1] + 1, 3), image)
        self._offsets = torch.tensor([0, *lengths[:-1]], device=device).cumsum(0)
        size = torch.tensor(self.sizes, device=device)
        self._heights, self._widths = size[:, 0], size[:, 1]

    def resize(self, frames: Tensor, height: int, width: int) -> Tensor:
        """Whole frames resized: (n, 3, height, width) float, normalised for the networks."""
        top_left = torch.zeros_like(frames)
        return self._average(
            frames, top_left, top_left, self._heights[frames], self._widths[frames], height, width
        )

    def crop(self, candidates: Candidates, size: int) -> tuple[Tensor, Tensor]:
        """Crops (n, 3, size, size) of the candidates that cover a pixel, and which those are, (N,) bool.

        Coordinates are rounded and clipped to the frame as the library does (`pad`).
        """
        x1, y1, x2, y2 = candidates.boxes.trunc().long().unbind(1)
        x1, y1 = x1.clamp(min=1) - 1, y1.clamp(min=1) - 1
        x2 = torch.minimum(x2, self._widths[candidates.frames])
        y2 = torch.minimum(y2, self._heights[candidates.frames])
        real = (x2 > x1) & (y2 > y1)
        x1, y1, x2, y2 = x1[real], y1[real], x2[real], y2[real]
        return self._average(candidates.frames[real], y1, x1, y2 - y1, x2 - x1, size, size), real

    def _average(
        self,
        frames: Tensor,
        top: Tensor,
        left: Tensor,
        heights: Tensor,
        widths: Tensor,
        out_h: int,
        out_w: int,
    ) -> Tensor:
        y1, y2 = _bins(top, heights, out_h)  # (n, out_h)
        x1, x2 = _bins(left, widths, out_w)  # (n, out_w)
        row = (self._widths[frames] + 1)[:, None]
        start = self._offsets[frames][:, None]
        y1_at, y2_at = start + y1 * row, start + y2 * row

        def at(y: Tensor, x: Tensor) -> Tensor:
            rows = (y[:, :, None] + x[:, None, :]).flatten()
            return self._flat.index_select(0, rows)

        total = at(y2_at, x2) - at(y1_at, x2) - at(y2_at, x1) + at(y1_at, x1)  # (n·h·w, 3)
        area = ((y2 - y1)[:, :, None] * (x2 - x1)[:, None, :]).flatten()[:, None]
        mean = (total.float() / area).view(len(frames), out_h, out_w, 3)
        return ((mean - 127.5) * 0.0078125).permute(0, 3, 1, 2)  # channels last, as the networks are


def _sum_into(table: Tensor, image: Tensor) -> None:
    """Fill a (H+1, W+1, 3) table with the sums of a (H, W, 3) uint8 image."""
    table[0], table[:, 0] = 0, 0
    rows = image.to(table.dtype).cumsum(1, dtype=table.dtype)
    torch.cumsum(rows, 0, dtype=table.dtype, out=table[1:, 1:])


def _bins(start: Tensor, length: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """First and last + 1 pixel of each of `count` averages over `length` pixels: two (n, count) tensors."""
    step = torch.arange(count + 1, device=start.device)
    first = length[:, None] * step[:-1] // count
    last = -(-length[:, None] * step[1:] // count)
    return start[:, None] + first, start[:, None] + last


class MtcnnDetector:
    """Finds faces in batches of frames.

    On equal weights, thresholds and smallest face it finds what `facenet_pytorch.MTCNN.detect` finds, and
    goes on where the library fails: frames smaller than the pyramid, no faces, boxes over the edge, unlike
    sizes.
    """

    def __init__(self, config: DetectorConfig, device: torch.device) -> None:
        self._config = config
        self._pnet = _load(facenet_pytorch.PNet(pretrained=False), "pnet", device)
        self._rnet = _load(facenet_pytorch.RNet(pretrained=False), "rnet", device)
        self._onet = _load(facenet_pytorch.ONet(pretrained=False), "onet", device)
        self._trimmer = Trimmer()

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
        """The faces of each image, best score first; see `Detector.detect`."""
        found: list[list[Detection]] = [[] for _ in images]
        asked = [None] * len(images) if hints is None else list(hints)
        smallest = smallest_px or [self._config.smallest_face_px(image.shape[1]) for image in images]
        scales = [
            self._scales(image.shape[0], image.shape[1], least_px) if boxes is None else ()
            for image, boxes, least_px in zip(images, asked, smallest, strict=True)
        ]
        kept = [i for i in range(len(images)) if scales[i] or asked[i]]
        if not kept:
            return found
        faces, landmarks = self._cascade(
            IntegralImages([images[i] for i in kept]), [asked[i] for i in kept], [scales[i] for i in kept]
        )
        rows = torch.cat([faces.boxes, faces.scores[:, None], landmarks.flatten(1)], 1).cpu().numpy()
        for at, row in zip(faces.frames.tolist(), rows, strict=True):  # the only way back from the device
            x1, y1, x2, y2, score = row[:5].tolist()
            found[kept[at]].append(Detection(Box(x1, y1, x2, y2), score, row[5:].reshape(5, 2)))
        self._trimmer.after(len(kept))
        return found

    def _cascade(
        self,
        images: IntegralImages,
        hints: Sequence[Sequence[Box] | None],
        scales: Sequence[tuple[float, ...]],
    ) -> tuple[Candidates, Tensor]:
        proposed = self._propose(images, scales)
        given = _given(hints, images.device)
        candidates = Candidates(
            *(torch.cat([getattr(proposed, name), getattr(given, name)]) for name in Candidates.__slots__)
        )
        return self._output(images, self._refine(images, candidates))

    def _propose(self, images: IntegralImages, scales: Sequence[tuple[float, ...]]) -> Candidates:
        """P-Net over the pyramid of each size of frame, then NMS within a level and within a frame."""
        alike: dict[tuple[tuple[int, int], tuple[float, ...]], list[int]] = {}
        for i, key in enumerate(zip(images.sizes, scales, strict=True)):
            alike.setdefault(key, []).append(i)
        levels = []
        for ((height, width), levels_of_size), of_size in alike.items():
            frames = torch.tensor(of_size, device=images.device)
            for scale in levels_of_size:
                level = images.resize(frames, int(height * scale + 1), int(width * scale + 1))
                levels.append(self._propose_level(level, frames, scale))
        if not levels:
            return _given([], images.device)
        boxes, reg, scores, frame = (torch.cat(parts) for parts in zip(*levels, strict=True))
        keep = batched_nms(boxes, scores, frame, NMS_WITHIN_FRAME)
        boxes, reg, scores, frame = boxes[keep], reg[keep], scores[keep], frame[keep]
        size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
        return Candidates(_squared(boxes + reg * size), scores, frame)

    def _scales(self, height: int, width: int, smallest_px: int) -> tuple[float, ...]:
        """The pyramid's levels, as ratios of the frame; none for one too small to hold a face."""
        scales, scale = [], CELL_PX / smallest_px
        side = min(height, width) * scale
        while side >= CELL_PX:
            scales.append(scale)
            scale *= self._config.pyramid_factor
            side *= self._config.pyramid_factor
        return tuple(scales)

    def _propose_level(self, level: Tensor, frames: Tensor, scale: float) -> tuple[Tensor, ...]:
        """Boxes (N, 4) before regression, the regression (N, 4), scores (N,) and frames (N,) of one level."""
        reg, probability = self._pnet(level)  # (n, 4, h, w), (n, 2, h, w)
        score = probability[:, 1]
        which, y, x = (score >= self._config.pnet_threshold).nonzero(as_tuple=True)
        corner = torch.stack([x, y], 1).float() * STRIDE_PX
        boxes = torch.cat([((corner + 1) / scale).floor(), ((corner + CELL_PX) / scale).floor()], 1)
        scores = score[which, y, x]
        keep = batched_nms(boxes, scores, which, NMS_WITHIN_LEVEL)
        return boxes[keep], reg[which, :, y, x][keep], scores[keep], frames[which[keep]]

    def _refine(self, images: IntegralImages, candidates: Candidates) -> Candidates:
        """R-Net on each proposal; the survivors' boxes moved and squared."""
        crops, real = images.crop(candidates, 24)
        reg, probability = _in_chunks(self._rnet, crops, (4, 2))
        candidates = candidates.take(real)
        scores = probability[:, 1]
        passed = scores > self._config.rnet_threshold
        boxes, scores, frames = candidates.boxes[passed], scores[passed], candidates.frames[passed]
        keep = batched_nms(boxes, scores, frames, NMS_WITHIN_FRAME)
        moved = _squared(_moved(boxes[keep], reg[passed][keep]))
        return Candidates(moved, scores[keep], frames[keep])

    def _output(self, images: IntegralImages, candidates: Candidates) -> tuple[Candidates, Tensor]:
        """O-Net: final boxes and landmarks (N, 5, 2)."""
        crops, real = images.crop(candidates, 48)
        reg, points, probability = _in_chunks(self._onet, crops, (4, 10, 2))
        candidates = candidates.take(real)
        scores = probability[:, 1]
        passed = scores > self._config.onet_threshold
        boxes, points = candidates.boxes[passed], points[passed]
        size = boxes[:, 2:] - boxes[:, :2] + 1
        landmarks = points.view(-1, 2, 5).permute(0, 2, 1) * size[:, None] + boxes[:, None, :2] - 1
        faces = Candidates(_moved(boxes, reg[passed]), scores[passed], candidates.frames[passed])
        keep = _nms_by_smaller(faces, NMS_WITHIN_FRAME)
        return faces.take(keep), landmarks[keep]


def _given(hints: Sequence[Sequence[Box] | None], device: torch.device) -> Candidates:
    """The hints of all frames as candidates, squared as proposals are."""
    rows = [(b.x1, b.y1, b.x2, b.y2) for boxes in hints for b in boxes or ()]
    frames = [i for i, boxes in enumerate(hints) for _ in boxes or ()]
    boxes = torch.tensor(rows, dtype=torch.float32, device=device).reshape(-1, 4)
    return Candidates(
        _squared(boxes),
        torch.ones(len(rows), device=device),
        torch.tensor(frames, dtype=torch.int64, device=device),
    )


def _load(network: nn.Module, name: str, device: torch.device) -> nn.Module:
    """A cascade network with facenet-pytorch's bundled weights, read without unpickling code."""
    path = Path(facenet_pytorch.__file__).parent / "data" / f"{name}.pt"
    try:
        network.load_state_dict(torch.load(path, weights_only=True))
    except (OSError, EOFError, RuntimeError, ValueError, UnpicklingError) as error:
        raise ModelError(
            f"{path.name} of facenet-pytorch cannot be loaded ({type(error).__name__}): "
            "reinstall it with `pip install --force-reinstall --no-deps facenet-pytorch==2.5.3`."
        ) from error
    return network.to(device).to(memory_format=torch.channels_last).eval()


def _in_chunks(network: nn.Module, crops: Tensor, widths: tuple[int, ...]) -> list[Tensor]:
    """The network's outputs for all crops; with none, empty outputs of the right widths."""
    if len(crops) == 0:
        return [crops.new_zeros(0, width) for width in widths]
    outputs = [network(chunk) for chunk in torch.split(crops, CHUNK)]
    return [torch.cat(parts) for parts in zip(*outputs, strict=True)]


def _squared(boxes: Tensor) -> Tensor:
    """Boxes (N, 4) grown to squares around their middles."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.amax(1, keepdim=True)
    corner = boxes[:, :2] + size * 0.5 - side * 0.5
    return torch.cat([corner, corner + side], 1)


def _moved(boxes: Tensor, reg: Tensor) -> Tensor:
    """Boxes shifted by a network's regression, which is in parts of their size."""
    return boxes + reg * (boxes[:, 2:] - boxes[:, :2] + 1).repeat(1, 2)


def _nms_by_smaller(faces: Candidates, threshold: float) -> Tensor:
    """Greedy suppression by overlap over the smaller of two areas; returns rows, best score first.

    Suppression runs down a chain of overlapping boxes, so repeating it until nothing changes takes as many
    rounds as the longest chain, not as many as there are boxes.
    """
    order = faces.scores.argsort(descending=True, stable=True)
    boxes, frames = faces.boxes[order], faces.frames[order]
    corner = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    overlap = (torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - corner + 1).clamp(min=0).prod(2)
    area = (boxes[:, 2:] - boxes[:, :2] + 1).prod(1)
    ratio = overlap / torch.minimum(area[:, None], area[None])
    suppresses = ((ratio > threshold) & (frames[:, None] == frames[None])).triu(1)  # row beats column
    keep = torch.ones(len(order), dtype=torch.bool, device=order.device)
    while True:
        after = ~(suppresses & keep[:, None]).any(0)
        if torch.equal(after, keep):
            return order[keep]
        keep = after
