"""Graphs: with them OpenVINO computes what torch computes, and they travel with the weights."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("openvino")

from gatecam.errors import ModelError
from gatecam.settings.schema import DetectorConfig
from gatecam.vision import graphs
from gatecam.vision.classifier import FaceClassifier
from gatecam.vision.crops import CropSpec
from gatecam.vision.detector.build import build_detector, save_detector
from gatecam.vision.detector.networks import Networks
from gatecam.vision.detector.sizes import ARCHITECTURE
from gatecam.vision.device import Backend
from gatecam.vision.network import served_weights
from gatecam.vision.weights import (
    INT8,
    DetectorSpec,
    ModelSpec,
    find_weights,
    load_stored,
    load_weights,
    save_weights,
)

SPEC = ModelSpec(
    name="lively",
    architecture="mobilefacenet/three",
    crop=CropSpec(size=48, margin=0.15, mean=127.5, std=128.0),
    temperature={"mask": 1.0, "gender": 2.0, "age": 3.0},
)


@pytest.mark.parametrize("name", ["gatecam-faces", "gatecam-mtcnn"])
def test_the_shipped_weights_have_the_graphs_of_their_networks(name):
    networks = {"classifier", "classifier" + INT8}
    expected = {"gatecam-faces": networks, "gatecam-mtcnn": {"pnet", "rnet", "onet"}}[name]
    assert set(load_stored(find_weights(name)).graphs) == expected, "run `make graphs` and `make int8`"
    assert find_weights(name).stat().st_size < 12e6


@pytest.mark.parametrize("architecture", ["mobilefacenet/three", "resnet18/joint18"])
@pytest.mark.parametrize("is_stored", [True, False])
def test_a_classifier_gives_what_torch_gives(tmp_path, make_lively, caplog, architecture, is_stored):
    path, spec = tmp_path / "w.safetensors", replace(SPEC, architecture=architecture)
    stored = graphs.graphs_to_store(spec) if is_stored else None
    save_weights(path, served_weights(make_lively(architecture)), spec, stored)
    crops = np.random.default_rng(0).normal(size=(3, 48, 48, 3)).astype(np.float32)
    of_torch, of_openvino = (
        FaceClassifier(str(path), Backend(name)).probabilities(crops) for name in ("cpu", "openvino")
    )
    for one, other in zip(of_torch, of_openvino, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_weights_in_half_precision_give_what_torch_gives(tmp_path, lively_network):
    path = tmp_path / "w.safetensors"
    half = {name: tensor.half() for name, tensor in served_weights(lively_network).items()}
    save_weights(path, half, SPEC, graphs.graphs_to_store(SPEC))
    crops = np.random.default_rng(0).normal(size=(2, 48, 48, 3)).astype(np.float32)
    of_torch, of_openvino = (
        FaceClassifier(str(path), Backend(name)).probabilities(crops) for name in ("cpu", "openvino")
    )
    np.testing.assert_allclose(of_torch[0], of_openvino[0], atol=1e-4)


def test_a_saved_detector_has_its_graphs(tmp_path):
    path = tmp_path / "w.safetensors"
    save_detector(path, Networks(), DetectorSpec("w", ARCHITECTURE))
    assert set(load_stored(path).graphs) == {"pnet", "rnet", "onet"}
    build_detector(DetectorConfig(weights=str(path)), Backend("openvino"))


def test_weights_of_another_network_are_one_sentence(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.zeros(1)}, SPEC, graphs.graphs_to_store(SPEC))
    with pytest.raises(ModelError, match=r"w\.safetensors: not the weights of the network"):
        FaceClassifier(str(path), Backend("openvino"))


def test_the_command_stores_graphs_and_keeps_the_weights(tmp_path, lively_network, capsys):
    path = tmp_path / "w.safetensors"
    save_weights(path, served_weights(lively_network), SPEC, {"classifier.int8": "kept"})
    before, spec = load_weights(path)
    graphs.main([str(path)])
    after, new = load_weights(path)
    assert replace(new, sha256=spec.sha256) == spec
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert load_stored(path).graphs["classifier.int8"] == "kept"
    assert load_stored(path).graphs["classifier"]


def test_without_openvino_weights_are_saved_without_graphs(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "openvino", None)
    graphs._classifier_graph.cache_clear()
    assert graphs.graphs_to_store(SPEC) == {}
    assert "The weights get no graphs for OpenVINO" in caplog.text


def test_the_same_weights_and_graphs_give_the_same_file(tmp_path):
    spec, tensors = DetectorSpec("same", ARCHITECTURE), {"pnet.weight": torch.ones(2)}
    found = {name: f"graph of {name}" for name in ("pnet", "rnet", "onet", "a", "b")}
    paths = [tmp_path / f"{number}.safetensors" for number in range(8)]
    assert len({save_weights(path, tensors, spec, found).sha256 for path in paths}) == 1
    assert load_stored(paths[0]).graphs == found
