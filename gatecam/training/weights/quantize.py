"""Quantize a classifier to int8 for OpenVINO with NNCF, and store the result beside the float32 weights.

Ranges of values are measured on faces of the training part. The detector's networks are left out, because in
int8 they lose faces, and a child with a mask caused an alert (ADR 28).

`python -m gatecam.training.weights.quantize FILE --data PATH...` does this for an existing weights file.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatecam.runtime.progress import progress
from gatecam.training.classifier.augment import patch_of
from gatecam.training.data.loading import load_all
from gatecam.training.data.patches import SHIPPED
from gatecam.training.data.split import parts_of
from gatecam.training.extras import require
from gatecam.types import Floats
from gatecam.vision.crops import crop_faces
from gatecam.vision.openvino import filled_model, pack_graph
from gatecam.vision.weights import (
    INT8,
    ModelSpec,
    load_stored,
    load_weights,
    save_weights,
)

SAMPLES = 300  # faces that ranges are measured on, as many from each collection
CLASSIFIER = "classifier"  # the name of its graph
TRAIN = "train"


def quantize(path: Path, data: Sequence[Path], cache: Path, seed: int, detector: str = SHIPPED) -> None:
    """Add a graph for int8 to a classifier with a float32 graph, and write its spec with the new hash.

    Args:
        path: the weights.
        data: the collections that they learnt from.
        cache: folder of cropped faces.
        seed: splits the collections by hash, as in training.
        detector: the weights that crop the faces.

    Raises:
        DataError: a collection cannot be used.
        MissingExtraError: NNCF is not installed.
        ModelError: the weights cannot be used.
    """
    require("nncf", "Quantizing")
    stored, (tensors, spec) = load_stored(path), load_weights(path)
    batches = _face_crops(spec, data, cache, seed, detector)
    with progress("quantize", None, "batches"):
        model = filled_model(stored.graphs[CLASSIFIER], stored.tensors)
        graph = pack_graph(quantized(model, batches))
    save_weights(path, tensors, spec, {**stored.graphs, CLASSIFIER + INT8: graph})
    print(f"{path}: has its graph for int8")


def quantized(model: Any, batches: Sequence[Floats]) -> Any:
    """Return a copy of a model that computes in int8, with ranges measured on batches (n, 3, H, W).

    The first and the last layers stay as they are. They cost next to nothing, and with the first one in int8
    some held-out faces were classified differently (ADR 28).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NNCF's libraries warn about each other
        import nncf
        from openvino._offline_transformations import apply_moc_transformations

        logging.getLogger("nncf").setLevel(logging.ERROR)
        apply_moc_transformations(
            model, cf=True
        )  # folds batch norms, so that kernels are quantized with them
        return nncf.quantize(
            model,
            nncf.Dataset(list(batches)),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(batches),
            ignored_scope=nncf.IgnoredScope(names=_kept_layers(model)),
        )


def _kept_layers(model: Any) -> list[str]:
    """Return the names of the layers that read the pixels or compute the model's outputs."""
    layers = [node for node in model.get_ordered_ops() if node.get_type_name() in ("MatMul", "Convolution")]
    kept = {layers[0].get_friendly_name()}
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


def _some(values: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose at most `most` of the values."""
    return np.sort(rng.permutation(values)[:most])


def main(words: Sequence[str] | None = None) -> None:
    """Quantize the classifier that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m gatecam.training.weights.quantize", description=quantize.__doc__
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--data", action="append", required=True, type=Path, metavar="PATH")
    parser.add_argument("--cache", default=Path("runs/cache"), type=Path, metavar="DIR")
    parser.add_argument("--split-seed", default=0, type=int, metavar="N")
    asked = parser.parse_args(words)
    quantize(asked.file, asked.data, asked.cache, asked.split_seed)


if __name__ == "__main__":
    main()
