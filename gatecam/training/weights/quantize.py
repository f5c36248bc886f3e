"""Quantise networks to int8 for OpenVINO with NNCF, and store the result beside the float32 weights.

Ranges of values are measured on faces and pictures of the training part. P-Net, R-Net and O-Net's first layer
are left out, because the detector would lose faces (ADR 28).

`python -m gatecam.training.weights.quantize FILE... --data PATH...` does this for existing weights files.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatecam.capture.images import read_image
from gatecam.errors import DataError, SourceError
from gatecam.runtime.progress import progress
from gatecam.settings.schema import DetectorConfig
from gatecam.training.classifier.augment import patch_of
from gatecam.training.data.loading import load_all, open_all
from gatecam.training.data.patches import SHIPPED
from gatecam.training.data.split import parts_of
from gatecam.training.extras import require
from gatecam.types import Floats
from gatecam.vision.crops import crop_faces
from gatecam.vision.detector.build import compiled_cascade
from gatecam.vision.detector.cascade import CascadeDetector
from gatecam.vision.detector.sizes import MEAN, STD, Network
from gatecam.vision.device import Backend
from gatecam.vision.openvino import filled_model, pack_graph
from gatecam.vision.weights import (
    INT8,
    ModelSpec,
    Stored,
    load_detector_weights,
    load_stored,
    load_weights,
    read_spec,
    save_weights,
)

SAMPLES = 300  # pictures or faces that ranges are measured on, as many from each collection
MOST_CROPS = 16  # of one picture
TRAIN = "train"


def quantise(path: Path, data: Sequence[Path], cache: Path, seed: int, detector: str = SHIPPED) -> None:
    """Add graphs for int8 to a weights file with float32 graphs, and write its spec with the new hash.

    Args:
        path: the weights of a detector or classifier.
        data: the collections that they learnt from, with boxes for a detector.
        cache: folder of cropped faces.
        seed: splits the collections by hash, as in training.
        detector: the weights that crop faces for a classifier.

    Raises:
        DataError: a collection cannot be used.
        MissingExtraError: NNCF is not installed.
        ModelError: the weights cannot be used.
    """
    require("nncf", "Quantising")
    stored = load_stored(path)
    if stored.is_detector:
        inputs = _detector_inputs(path, data, seed)
        tensors, spec = load_detector_weights(path)
        save_weights(path, tensors, spec, _with_int8(stored, inputs))
    else:
        faces = {"classifier": _face_crops(read_spec(path), data, cache, seed, detector)}
        tensors, of_classifier = load_weights(path)
        save_weights(path, tensors, of_classifier, _with_int8(stored, faces))
    print(f"{path}: has its graphs for int8")


def _with_int8(stored: Stored, inputs: dict[str, list[Floats]]) -> dict[str, str]:
    """Return a file's graphs and one for int8 for each network. `inputs` holds batches (n, 3, H, W)."""
    found = dict(stored.graphs)
    for name, batches in inputs.items():
        with progress(f"quantise {name}", None, "batches"):
            model = filled_model(stored.graphs[name], stored.tensors)
            found[name + INT8] = pack_graph(quantised(model, batches, keep_first=stored.is_detector))
    return found


def quantised(model: Any, batches: Sequence[Floats], keep_first: bool) -> Any:
    """Return a copy of a model that computes in int8, with ranges measured on batches (n, 3, H, W).

    The last layers stay as they are, since they cost next to nothing. So does the first if `keep_first`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NNCF's libraries warn about each other
        import nncf
        from openvino._offline_transformations import apply_moc_transformations

        logging.getLogger("nncf").setLevel(logging.ERROR)
        apply_moc_transformations(
            model, cf=True
        )  # folds batch norms, so that kernels are quantised with them
        return nncf.quantize(
            model,
            nncf.Dataset(list(batches)),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(batches),
            ignored_scope=nncf.IgnoredScope(names=_kept_layers(model, keep_first)),
        )


def _kept_layers(model: Any, keep_first: bool) -> list[str]:
    """Return the names of the layers that compute the model's outputs, and of the first one if asked."""
    layers = [node for node in model.get_ordered_ops() if node.get_type_name() in ("MatMul", "Convolution")]
    kept = {layers[0].get_friendly_name()} if keep_first else set()
    for result in model.get_results():
        node = result.input_value(0).get_node()
        while node.get_type_name() not in ("MatMul", "Convolution"):
            node = node.input_value(0).get_node()
        kept.add(node.get_friendly_name())
    return sorted(kept)


def _face_crops(spec: ModelSpec, data: Sequence[Path], cache: Path, seed: int, detector: str) -> list[Floats]:
    """Return crops (1, 3, size, size) of training faces for the classifier."""
    loaded = load_all(data, cache, detector)
    rng = np.random.default_rng(seed)
    parts = parts_of([collection for collection, _ in loaded], None, seed)
    crops = []
    for (_, faces), of_rows in zip(loaded, parts, strict=True):
        learnt = np.flatnonzero((np.array(of_rows) == TRAIN)[faces.rows])
        for row in _some(learnt, SAMPLES // len(loaded), rng):
            patch = patch_of(faces, int(row))
            crop = crop_faces([patch.image], [patch.box[None]], spec.crop)
            crops.append(np.ascontiguousarray(crop.transpose(0, 3, 1, 2)))
    return crops


class _Recorder:
    """Runs a network of the cascade, and records some of its inputs."""

    def __init__(self, network: Network, rng: np.random.Generator) -> None:
        self._network, self._rng = network, rng
        self.inputs: list[Floats] = []

    def __call__(self, pixels: NDArray[Any]) -> tuple[Floats, ...]:
        """Return what the network returns for pixels (n, H, W, 3)."""
        if len(pixels):
            some = pixels[_some(np.arange(len(pixels)), MOST_CROPS, self._rng)]
            normal = (some.astype(np.float32) - MEAN) / STD
            self.inputs.append(np.ascontiguousarray(normal.transpose(0, 3, 1, 2)))
        return self._network(pixels)


def _detector_inputs(path: Path, data: Sequence[Path], seed: int) -> dict[str, list[Floats]]:
    """Return what O-Net sees in training pictures."""
    rng = np.random.default_rng(seed)
    networks = compiled_cascade(path, Backend("openvino"))
    recorder = _Recorder(networks.onet, rng)
    detector = CascadeDetector(DetectorConfig(), replace(networks, onet=recorder))
    collections = open_all(data)
    for collection, parts in zip(collections, parts_of(collections, None, seed), strict=True):
        pairs = zip(collection.rows, parts, strict=True)
        images = sorted({row.image for row, part in pairs if part == TRAIN})
        for number in _some(np.arange(len(images)), SAMPLES // len(collections), rng):
            with suppress(SourceError):  # training leaves such pictures out too
                detector.detect([read_image(images[number])])
    if not recorder.inputs:
        raise DataError("the detector finds no face in these pictures. Add pictures of faces.")
    return {"onet": recorder.inputs}


def _some(values: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose at most `most` of the values."""
    return np.sort(rng.permutation(values)[:most])


def main(words: Sequence[str] | None = None) -> None:
    """Quantise the weights files that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m gatecam.training.weights.quantize", description=quantise.__doc__
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--data", action="append", required=True, type=Path, metavar="PATH")
    parser.add_argument("--cache", default=Path("runs/cache"), type=Path, metavar="DIR")
    parser.add_argument("--split-seed", default=0, type=int, metavar="N")
    asked = parser.parse_args(words)
    for file in asked.files:
        quantise(file, asked.data, asked.cache, asked.split_seed)


if __name__ == "__main__":
    main()
