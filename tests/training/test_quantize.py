"""Quantised networks compute nearly the same, and stand beside the float32 ones in the weights file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("nncf")

from gatecam.training.data.split import hashed_parts
from gatecam.training.weights import quantize
from gatecam.vision.detector.build import compiled_network, save_detector
from gatecam.vision.detector.networks import Networks
from gatecam.vision.detector.sizes import ARCHITECTURE
from gatecam.vision.device import Backend
from gatecam.vision.weights import DetectorSpec, find_weights, load_stored, read_detector_spec


def test_graphs_for_int8_join_a_weights_file(tmp_path, monkeypatch):
    torch.manual_seed(0)
    path = tmp_path / "w.safetensors"
    before = save_detector(path, Networks(), DetectorSpec("w", ARCHITECTURE))
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(4, 3, 48, 48)).astype(np.float32) for _ in range(3)]
    monkeypatch.setattr(quantize, "_detector_inputs", lambda *asked: {"onet": batches})
    quantize.main([str(path), "--data", str(tmp_path)])
    stored = load_stored(path)
    assert set(stored.graphs) == {"pnet", "rnet", "onet", "onet.int8"}
    assert read_detector_spec(path).sha256 == stored.sha256 != before.sha256
    pixels = rng.integers(0, 256, (6, 48, 48, 3), np.uint8)
    exact, int8 = (
        compiled_network(stored, "onet", Backend("openvino", precision=precision))(pixels)
        for precision in ("float32", "int8")
    )
    for one, other in zip(exact, int8, strict=True):
        assert 0 < np.abs(one - other).max() < 0.1 * max(1.0, np.abs(one).max())


def test_ranges_are_measured_on_pictures_that_trained(tmp_path, astronaut, monkeypatch):
    from gatecam.training.data.layouts import open_collections
    from tests.portraits import write_portraits

    write_portraits(tmp_path, astronaut, 8, 256)
    folder: Path = tmp_path / "masks"
    (collection,) = open_collections([folder])
    read: list[Path] = []
    real = quantize.read_image
    monkeypatch.setattr(quantize, "read_image", lambda path: read.append(path) or real(path))
    inputs = quantize._detector_inputs(find_weights("gatecam-mtcnn"), [folder], 0)
    parts = hashed_parts(collection, 0)
    learnt = {row.image for row, part in zip(collection.rows, parts, strict=True) if part == "train"}
    assert set(read) == learnt
    assert set(inputs) == {"onet"}
    assert all(batch.shape[1:] == (3, 48, 48) for batch in inputs["onet"])
