"""Measure the time per frame of detectors and of facenet-pytorch's detector, in turns on the same frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import facenet_pytorch
import numpy as np
import torch

from gatecam.settings.schema import DetectorConfig
from gatecam.training.data.rows import Progress
from gatecam.training.detector.teachers import Teacher
from gatecam.types import Image

SIZES_PX = ((640, 480), (1280, 720))
FRAMES = 6
REPEATS = 5
LIBRARY = "facenet_pytorch.MTCNN"


@dataclass(frozen=True, slots=True)
class Speed:
    """Holds the time per frame, with one frame per call.

    The time is the median over repeats of the mean over the frames.
    """

    width_px: int
    height_px: int
    min_face_px: int
    frames: int
    repeats: int
    ms: dict[str, float]  # by detector
    times_as_fast: dict[str, float]  # compared with the library's `detect`, by detector


def measure_speed(
    detectors: Mapping[str, Teacher],
    min_face_px: int,
    images: Sequence[Image],
    device: torch.device,
    progress: Progress,
) -> list[Speed]:
    """Measure the speed of the detectors and of the library's detector for each frame size.

    Args:
        detectors: detectors by name, built for the minimum face size `min_face_px`.
        min_face_px: minimum face size for the library's detector.
        images: (H, W, 3) RGB. Their centres are scaled to frames.
    """
    thresholds = DetectorConfig()
    library = facenet_pytorch.MTCNN(
        keep_all=True,
        min_face_size=min_face_px,
        thresholds=[thresholds.pnet_threshold, thresholds.rnet_threshold, thresholds.onet_threshold],
        factor=thresholds.pyramid_factor,
        device=device,
    )
    runs: dict[str, Callable[[Image], object]] = {
        name: partial(_detect, detector) for name, detector in detectors.items()
    }
    runs[LIBRARY] = library.detect
    speeds = []
    for index, (width, height) in enumerate(SIZES_PX):
        frames = [_frame(image, width, height) for image in images[:FRAMES]]
        ms = _medians(runs, frames, index, progress)
        ratios = {name: round(ms[LIBRARY] / ms[name], 2) for name in detectors}
        rounded = {name: round(value, 2) for name, value in ms.items()}
        speeds.append(Speed(width, height, min_face_px, len(frames), REPEATS, rounded, ratios))
    return speeds


def _medians(
    runs: Mapping[str, Callable[[Image], object]], frames: Sequence[Image], size: int, progress: Progress
) -> dict[str, float]:
    """Return the milliseconds per frame by name. The first round warms up and does not count."""
    rounds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(REPEATS + 1):
        for name, run in runs.items():
            begun_s = time.perf_counter()
            for frame in frames:
                run(frame)  # the faces arrive on the CPU, so the device has finished as well
            rounds[name].append((time.perf_counter() - begun_s) / len(frames) * 1000)
        progress(size * REPEATS + number, len(SIZES_PX) * REPEATS)
    return {name: float(np.median(times[1:])) for name, times in rounds.items()}


def _frame(image: Image, width: int, height: int) -> Image:
    """Scale and crop the centre of a picture to a frame (height, width, 3)."""
    scale = max(width / image.shape[1], height / image.shape[0])
    size = (max(width, round(image.shape[1] * scale)), max(height, round(image.shape[0] * scale)))
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    x, y = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(scaled[y : y + height, x : x + width], np.uint8)


def _detect(detector: Teacher, frame: Image) -> object:
    return detector.detect([frame])
