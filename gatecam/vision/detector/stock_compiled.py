"""Search pictures with the stock networks on OpenVINO, as facenet-pytorch's MTCNN does on torch.

Pictures of alerts are searched with them too (`vision/finder.py`). On torch that would take four times the
memory of everything else. The steps and constants are those of the library (Zhang et al. 2016), which is the
reference in the tests. The library fails on candidates that cover no pixel. Here they are dropped.

Making the networks' graphs needs torch, so a separate process makes them once (`vision/stock_graphs.py`).
They are kept in the state folder.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

import cv2
import numpy as np
from numpy.typing import NDArray

from gatecam.errors import DeviceError
from gatecam.runtime.children import child_environment
from gatecam.settings.schema import DetectorConfig
from gatecam.types import Box, Detection, Floats, Image
from gatecam.vision.detector.cascade import apart
from gatecam.vision.detector.sizes import MEAN, O_SIZE, R_SIZE, STD, CompiledNetworks, Network
from gatecam.vision.device import Backend, first_line
from gatecam.vision.memory import FRAMES_BETWEEN, Trimmer
from gatecam.vision.openvino import OpenVinoNetwork, kept_or_made
from gatecam.vision.weights import Stored

CELL_PX, STRIDE_PX = 12, 2  # P-Net's input, and the distance between its cells
LEVEL_IOU, IOU, FACE_SHARE = 0.5, 0.7, 0.7  # NMS removes the weaker of two boxes above this overlap
CHUNK = 64  # crops in one forward pass. O-Net takes 300 kB for each.
GRAPHS_LIMIT_S = 600.0  # making the graphs takes seconds, or minutes on a busy machine

Search = Callable[[Image, int], list[Detection]]


class CompiledStockDetector:
    """Finds faces with facenet-pytorch's weights on a given backend, one frame after the other."""

    def __init__(self, config: DetectorConfig, networks: CompiledNetworks) -> None:
        self._config, self._nets, self._trimmer = config, networks, Trimmer()

    def apply(self, config: DetectorConfig) -> None:
        """Use new thresholds and a new smallest face from the next frame on."""
        self._config = config

    def detect(
        self,
        images: Sequence[Image],
        hints: Sequence[Sequence[Box] | None] | None = None,
        smallest_px: Sequence[int] | None = None,
    ) -> list[list[Detection]]:
        """Return the faces of each image, best score first. See `Detector.detect`.

        An image with hints is searched whole.
        """
        faces = search_each(images, hints, smallest_px, self._config, self._faces)
        self._trimmer.after(FRAMES_BETWEEN)  # at once, because one search frees some 100 MB
        return faces

    def _faces(self, image: Image, smallest_px: int) -> list[Detection]:
        """Search one image (H, W, 3)."""
        height, width = image.shape[:2]
        sums = _sums(image)
        boxes = _seen(self._proposed(sums, height, width, smallest_px), height, width)
        scores, offsets, _ = self._scored(self._nets.rnet, sums, boxes, R_SIZE)
        kept = np.flatnonzero(scores > self._config.rnet_threshold)
        kept = kept[_thinned(boxes[kept], scores[kept], IOU)]
        boxes = _seen(_squares(_moved(boxes[kept], offsets[kept])), height, width)
        scores, offsets, places = self._scored(self._nets.onet, sums, boxes, O_SIZE)
        kept = np.flatnonzero(scores > self._config.onet_threshold)
        kept = kept[np.argsort(-scores[kept], kind="stable")]
        corners, sides = boxes[kept, None, :2], boxes[kept, None, 2:] - boxes[kept, None, :2] + 1
        landmarks = places[kept].reshape(-1, 2, 5).transpose(0, 2, 1) * sides + corners - 1
        boxes, scores = _moved(boxes[kept], offsets[kept]), scores[kept]
        return [
            Detection(Box(*boxes[row].tolist()), float(scores[row]), landmarks[row])
            for row in apart(boxes, FACE_SHARE)
        ]

    def _proposed(self, sums: NDArray[np.uint32], height: int, width: int, smallest_px: int) -> Floats:
        """Return the squares (N, 4) that P-Net proposes on all levels of the pyramid."""
        whole = np.array([[0, 0, width, height]])
        found = [np.zeros((0, 9), np.float32)]
        scale = CELL_PX / smallest_px
        while min(height, width) * scale >= CELL_PX:
            level = _means(sums, whole, int(height * scale + 1), int(width * scale + 1))
            offsets, probabilities = self._nets.pnet(level)
            rows, columns = np.nonzero(probabilities[0, 1] >= self._config.pnet_threshold)
            first = np.stack([columns, rows], 1).astype(np.float32) * STRIDE_PX
            corners = np.floor(np.concatenate([first + 1, first + CELL_PX], 1) / np.float32(scale))
            scores = probabilities[0, 1, rows, columns]
            cells = np.concatenate([corners, scores[:, None], offsets[0, :, rows, columns]], 1)
            found.append(cells[_thinned(corners, scores, LEVEL_IOU)])
            scale *= self._config.pyramid_factor
        cells = np.concatenate(found)
        cells = cells[_thinned(cells[:, :4], cells[:, 4], IOU)]
        return _squares(cells[:, :4] + cells[:, 5:] * np.tile(cells[:, 2:4] - cells[:, :2], 2))

    def _scored(
        self, net: Network, sums: NDArray[np.uint32], boxes: Floats, size: int
    ) -> tuple[Floats, Floats, Floats]:
        """Run R-Net or O-Net on boxes that lie partly in the picture.

        Returns:
            The scores (N,), the offsets (N, 4), and O-Net's landmarks (N, 10) or R-Net's scores once more.
        """
        parts: list[tuple[Floats, ...]] = []
        for start in range(0, len(boxes), CHUNK):
            parts.append(net(_means(sums, _covered(boxes[start : start + CHUNK], sums), size, size)))
        if not parts:
            return np.zeros(0, np.float32), np.zeros((0, 4), np.float32), np.zeros((0, 10), np.float32)
        offsets, *others = (np.concatenate(of_parts) for of_parts in zip(*parts, strict=True))
        return others[-1][:, 1], offsets, others[0]


def search_each(
    images: Sequence[Image],
    hints: Sequence[Sequence[Box] | None] | None,
    smallest_px: Sequence[int] | None,
    config: DetectorConfig,
    search: Search,
) -> list[list[Detection]]:
    """Search each image whole, except those with empty hints. See `Detector.detect` for the arguments."""
    asked = [None] * len(images) if hints is None else hints
    smallest = smallest_px or [config.smallest_face_px(image.shape[1]) for image in images]
    return [
        search(image, least_px) if boxes is None or len(boxes) else []
        for image, boxes, least_px in zip(images, asked, smallest, strict=True)
    ]


def _sums(image: Image) -> NDArray[np.uint32]:
    """Return the sums (H + 1, W + 1, 3) of all pixels above and left. They wrap around in large pictures."""
    sums = np.zeros((image.shape[0] + 1, image.shape[1] + 1, 3), np.uint32)
    np.cumsum(image, 0, np.uint32, out=sums[1:, 1:])
    np.cumsum(sums[1:, 1:], 1, np.uint32, out=sums[1:, 1:])
    return sums


def _means(sums: NDArray[np.uint32], boxes: NDArray[np.int64], height: int, width: int) -> Floats:
    """Resize parts (N, 4) of a picture to (N, height, width, 3), and normalize them for the networks.

    A pixel is the mean of those that it touches, as in torch's `interpolate(mode="area")`.
    """
    left, right = _edges(boxes[:, 0], boxes[:, 2], width)
    top, bottom = _edges(boxes[:, 1], boxes[:, 3], height)
    left, right, top, bottom = left[:, None], right[:, None], top[:, :, None], bottom[:, :, None]
    total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    area = ((bottom - top) * (right - left))[..., None]
    means = total.astype(np.float32) / area.astype(np.float32)
    return np.asarray((means - MEAN) / STD, np.float32)


def _edges(
    first: NDArray[np.int64], last: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide ranges (N,) into `count` parts each. Return where the parts start and end: (N, count) each."""
    at, length = np.arange(count + 1), (last - first)[:, None]
    return first[:, None] + at[:-1] * length // count, first[:, None] - (-at[1:] * length) // count


def _covered(boxes: Floats, sums: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return the pixels (N, 4) of a picture that boxes cover, as the library rounds them."""
    height, width = sums.shape[0] - 1, sums.shape[1] - 1
    whole = np.trunc(boxes).astype(np.int64)
    return np.concatenate([np.maximum(whole[:, :2], 1) - 1, np.minimum(whole[:, 2:], (width, height))], 1)


def _seen(boxes: Floats, height: int, width: int) -> Floats:
    """Return the boxes that cover pixels of a picture."""
    whole = np.trunc(boxes)
    return boxes[(np.minimum(whole[:, 2:], (width, height)) >= np.maximum(whole[:, :2], 1)).all(1)]


def _squares(boxes: Floats) -> Floats:
    """Grow boxes (N, 4) to squares with the same middle."""
    sides = boxes[:, 2:] - boxes[:, :2]
    longest = sides.max(1, keepdims=True)
    first = boxes[:, :2] + (sides - longest) / 2
    return np.concatenate([first, first + longest], 1)


def _moved(boxes: Floats, offsets: Floats) -> Floats:
    """Move the corners of boxes by a network's offsets, which are in parts of the sides."""
    return np.asarray(boxes + offsets * np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2))


def _thinned(boxes: Floats, scores: Floats, iou: float) -> NDArray[np.int64]:
    """Return the rows of boxes that NMS keeps, best first."""
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    return np.asarray(cv2.dnn.NMSBoxes(sides, scores, 0.0, iou), np.int64).reshape(-1)  # type: ignore[arg-type]


def stock_networks(backend: Backend) -> CompiledNetworks:
    """Compile the stock networks for OpenVINO, always in float32.

    Raises:
        DeviceError: OpenVINO cannot run them, or their graphs cannot be made.
    """
    try:
        packed = kept_or_made(f"stock graphs of {version('facenet-pytorch')}", _made_graphs)
    except PackageNotFoundError as error:
        raise DeviceError("facenet-pytorch is not installed: reinstall gatecam.") from error
    weights = Stored({}, json.loads(packed), hashlib.sha256(packed).hexdigest())

    def compiled(name: str, size: int | None) -> OpenVinoNetwork:
        return OpenVinoNetwork(weights, name, size, threads=backend.threads, is_small=size is not None)

    return CompiledNetworks(compiled("pnet", None), compiled("rnet", R_SIZE), compiled("onet", O_SIZE))


def _made_graphs() -> bytes:
    """Make the graphs in a separate process, so that this one does not load torch.

    Raises:
        DeviceError: the process failed.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "gatecam.vision.stock_graphs"],
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=GRAPHS_LIMIT_S,
        )
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise DeviceError(
            f"OpenVINO cannot load the stock detector ({first_line(*last or [error])}): set `device: cpu`."
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(
            f"OpenVINO cannot load the stock detector ({first_line(error)}): set `device: cpu`."
        ) from error
    return done.stdout
