"""Frames to judged faces without leaving the GPU: one upload, and one transfer back that is waited for.

    upload ─► cascade (rows of fixed length) ─► the best rows of all ─► crops ─► classifier ─► one table

How many faces there are is not known before the table is here, so a fixed number of rows is judged,
`JUDGED` a frame and the best of all frames first; a crowd's further faces follow in further tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gatecam.types import Box, Detection, Floats, Prediction
from gatecam.vision.classifier import FaceClassifier
from gatecam.vision.crops import crop_gathered
from gatecam.vision.detector.cascade_fixed import FixedCascade
from gatecam.vision.upload import Uploaded, sent

JUDGED = 8  # rows a frame that are judged at once

Judged = tuple[Detection, Prediction]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What is looked at: of each frame its part, hints in px of that part, and the smallest face there."""

    parts: Sequence[Box]
    hints: Sequence[Sequence[Box] | None]
    smallest_px: Sequence[int]

    def views(self, frames: Sequence[Tensor]) -> list[Tensor]:
        """The parts of the frames, nothing copied."""
        return [
            frame[int(part.y1) : int(part.y2), int(part.x1) : int(part.x2)]
            for frame, part in zip(frames, self.parts, strict=True)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """The faces of all frames on the device, best first: R rows, of which some hold none."""

    frames: Tensor  # (R,) int64: which frame a face is of
    faces: Tensor  # (R, 15) px of the frame: box, score (0 where there is none), landmarks


class ResidentAnalysis:
    """Finds and judges faces of frames that are on the device.

    Args:
        detector: with its networks.
        classifier: the same device's.
        device: where both compute.
    """

    def __init__(self, detector: FixedCascade, classifier: FaceClassifier, device: torch.device) -> None:
        self._detector, self._classifier, self._device = detector, classifier, device

    @torch.inference_mode()
    def analyze(self, uploaded: Uploaded, asked: Asked) -> list[list[Judged]]:
        """The faces of each frame, best first."""
        found: list[list[Judged]] = [[] for _ in uploaded.sizes]
        ranked = self.rank(uploaded, asked)
        start, end = 0, 1
        while ranked is not None and start < end:
            table = self.judge(uploaded, ranked, start).cpu().numpy()  # the CPU waits here
            end = int(table[0, 0])
            for frame, face in _judged(table[: end - start]):
                found[frame].append(face)
            start += len(table)
        return found

    def rank(self, uploaded: Uploaded, asked: Asked) -> Ranked | None:
        """Detect; None where nothing can be found. Does not wait for the device."""
        rows = self._detector.rows(asked.views(uploaded.frames()), asked.hints, asked.smallest_px)
        if rows is None or not rows.faces.shape[1]:
            return None
        parts = [asked.parts[i] for i in rows.frames]
        corners = [
            (view.x1 + int(p.x1), view.y1 + int(p.y1)) for view, p in zip(rows.views, parts, strict=True)
        ]
        by_point = self._sent(corners).float()[:, None, :].repeat(1, 1, 7)  # of a box two, five landmarks
        boxes, scores, points = rows.faces[..., :4], rows.faces[..., 4:5], rows.faces[..., 5:]
        faces = torch.cat([boxes + by_point[..., :4], scores, points + by_point[..., 4:]], 2)
        count, length = faces.shape[:2]
        _, order = faces[..., 4].flatten().sort(descending=True, stable=True)
        frames = self._sent(rows.frames)[:, None].expand(count, length).flatten()
        return Ranked(frames[order], faces.flatten(0, 1)[order])

    def judge(self, uploaded: Uploaded, ranked: Ranked, start: int) -> Tensor:
        """A table (T, 25) of the rows from `start` on: count of all faces, frame, face (15), classes (8).

        Does not wait for the device.
        """
        end = min(start + JUDGED * len(uploaded.sizes), len(ranked.frames))
        frames, faces = ranked.frames[start:end], ranked.faces[start:end]
        places = self._sent([(at, *size) for at, size in zip(uploaded.starts, uploaded.sizes, strict=True)])
        crops = crop_gathered(uploaded.pixels, places[frames], faces[:, :4], self._classifier.spec.crop)
        total = (ranked.faces[:, 4] > 0).sum().float().expand(len(frames), 1)
        classes = self._classifier.probabilities(crops)
        return torch.cat([total, frames[:, None].float(), faces, classes], 1)

    def _sent(self, values: Sequence[object]) -> Tensor:
        """Whole numbers, on the device; not waited for."""
        return sent(torch.tensor(values, dtype=torch.int64), self._device)


def _judged(table: Floats) -> Iterator[tuple[int, Judged]]:
    for row in table.astype(np.float32):
        x1, y1, x2, y2, score = row[2:7].tolist()
        detection = Detection(Box(x1, y1, x2, y2), score, row[7:17].reshape(5, 2))
        yield int(row[1]), (detection, Prediction(row[17:20], row[20:22], row[22:25]))
