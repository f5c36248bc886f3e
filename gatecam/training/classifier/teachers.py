"""Compute what published networks see in bare faces, for the classifier to learn.

A teacher gets the bare face at 224 px. The classifier gets the same face smaller, blurred or behind a drawn
mask, and learns to find the teacher's features nevertheless. These are the hints of Romero et al. 2015
(arXiv 1412.6550, section 2.2), taken from the last layer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from torch import Tensor

from gatecam.errors import DataError
from gatecam.runtime.files import replacing
from gatecam.training.classifier.augment import patch_of
from gatecam.training.classifier.sampler import Hints
from gatecam.training.data.patches import Faces
from gatecam.training.data.rows import BARE, Progress
from gatecam.training.runs import make_folder
from gatecam.types import Floats
from gatecam.vision.crops import PIXEL_MEAN, PIXEL_STD, CropSpec, crop_faces
from gatecam.vision.graphs import graph_of
from gatecam.vision.mobilenet import FEATURES, MobileNet, read_tensorflow_js
from gatecam.vision.openvino import OpenVinoNetwork
from gatecam.vision.weights import Stored

CROP = CropSpec(224, 0.3, PIXEL_MEAN, PIXEL_STD)  # 224 px is the published networks' own size
BATCH = 64
NAME = "teacher"


def hints_of(paths: Sequence[Path], sets: Sequence[Faces], cache: Path, progress: Progress) -> Hints:
    """Return the teachers' features of each face, the mean of the face and its mirror image.

    They come from a file in the folder `cache`, or are computed again if that is of other faces or teachers.

    Args:
        paths: published networks, such as `faceres.json`.

    Returns:
        (N, 1024 × teachers), over the faces of all sets. Each feature has mean 0 and standard deviation 1
        over the bare faces. Faces that are not bare have NaN.

    Raises:
        DataError: no face is bare.
        ModelError: a teacher cannot be read.
        DeviceError: OpenVINO is not installed, or cannot run a teacher.
        OutputError: the file cannot be written.
    """
    tensors = [read_tensorflow_js(path) for path in paths]
    file = cache / f"hints-{_key(tensors, sets)}.npy"
    with suppress(OSError, ValueError, EOFError):
        return np.asarray(np.load(file, allow_pickle=False), np.float16)
    hints = _computed([_compiled(of_one) for of_one in tensors], sets, progress)
    make_folder(cache)
    with replacing(file) as part, part.open("wb") as opened:
        np.save(opened, hints)
    return hints


def _key(teachers: Sequence[dict[str, Tensor]], sets: Sequence[Faces]) -> str:
    """Hash all that the hints depend on."""
    digest = hashlib.sha256(repr(CROP).encode())
    for tensor in (tensor for of_one in teachers for tensor in of_one.values()):
        digest.update(tensor.numpy().tobytes())
    for faces in sets:
        for values in (faces.patches, faces.boxes, faces.mask):
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()[:16]


def _compiled(tensors: dict[str, Tensor]) -> OpenVinoNetwork:
    """Compile a teacher for OpenVINO, in bf16 where the processor can."""
    network = MobileNet()
    network.load_state_dict(tensors)
    graph = graph_of(network, CROP.size)
    stored = Stored({}, {NAME: graph}, hashlib.sha256(graph.encode()).hexdigest())
    return OpenVinoNetwork(stored, NAME, CROP.size, precision="bf16")


def _computed(teachers: Sequence[OpenVinoNetwork], sets: Sequence[Faces], progress: Progress) -> Hints:
    """Return the standardized features, with NaN for faces that are not bare."""
    starts = np.cumsum([0, *(len(faces) for faces in sets)])
    found = np.full((starts[-1], FEATURES * len(teachers)), np.nan, np.float32)
    places = [(s, int(row)) for s, faces in enumerate(sets) for row in np.flatnonzero(faces.mask == BARE)]
    if not places:
        raise DataError(
            "--teacher: no face to learn from is bare. Add pictures of bare faces, or leave it out."
        )
    for begin in range(0, len(places), BATCH):
        batch = places[begin : begin + BATCH]
        crops = np.concatenate([_crop(sets[s], row) for s, row in batch])
        both = np.concatenate([crops, crops[:, :, ::-1]])
        features = np.concatenate([teacher(both)[0] for teacher in teachers], 1)
        found[[starts[s] + row for s, row in batch]] = features.reshape(2, len(batch), -1).mean(0)
        progress(begin + len(batch), len(places))
    found -= np.nanmean(found, 0)
    found /= np.nanstd(found, 0) + 1e-6
    return found.astype(np.float16)


def _crop(faces: Faces, row: int) -> Floats:
    patch = patch_of(faces, row)
    return crop_faces([patch.image], [patch.box[None]], CROP)
