"""A quantized classifier computes nearly the same, and stands beside the float32 one in the weights file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("nncf")

from gatecam.training.data.layouts import open_collections
from gatecam.training.data.split import hashed_parts
from gatecam.training.weights import quantize
from gatecam.vision import graphs
from gatecam.vision.classifier import FaceClassifier
from gatecam.vision.device import Backend
from gatecam.vision.network import build_network, served_weights
from gatecam.vision.weights import load_stored, read_spec, save_weights
from tests.portraits import write_portraits
from tests.vision.test_graphs import SPEC


def test_a_graph_for_int8_joins_a_weights_file(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    torch.manual_seed(0)
    network = build_network("mobilefacenet", "three").eval()
    before = save_weights(path, served_weights(network), SPEC, graphs.graphs_to_store(SPEC))
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(4, 3, 48, 48)).astype(np.float32) for _ in range(3)]
    monkeypatch.setattr(quantize, "_face_crops", lambda *asked: batches)
    quantize.main([str(path), "--data", str(tmp_path)])
    stored = load_stored(path)
    assert set(stored.graphs) == {"classifier", "classifier.int8"}
    assert read_spec(path).sha256 == stored.sha256 != before.sha256
    crops = np.ascontiguousarray(batches[0].transpose(0, 2, 3, 1))
    exact, int8 = (
        FaceClassifier(str(path), replace(Backend("openvino"), precision=one)).probabilities(crops)
        for one in ("float32", "int8")
    )
    for one, other in zip(exact, int8, strict=True):
        assert 0 < np.abs(one - other).max() < 0.2


def test_ranges_are_measured_on_faces_that_trained(tmp_path, astronaut, monkeypatch):
    write_portraits(tmp_path, astronaut, 20, 96)
    (collection,) = open_collections([tmp_path / "people"])
    taken = []
    monkeypatch.setattr(quantize, "patch_of", lambda faces, row: taken.append(int(faces.rows[row])) or _Patch)
    monkeypatch.setattr(quantize, "crop_faces", lambda *asked: np.zeros((1, 48, 48, 3), np.float32))
    crops = quantize._face_crops(SPEC, [tmp_path / "people"], tmp_path / "cache", 0, "gatecam-mtcnn")
    parts = hashed_parts(collection, 0)
    assert taken
    assert {parts[row] for row in taken} == {"train"}
    assert len(crops) == len(taken)


class _Patch:
    image, box = np.zeros((2, 2, 3), np.uint8), np.zeros(4)
