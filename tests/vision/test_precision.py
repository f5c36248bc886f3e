"""The precision: forced by the settings, or the fastest in a measurement that is kept."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest

pytest.importorskip("openvino")

from gatecam.runtime import cores
from gatecam.settings.schema import Config, Device
from gatecam.vision import device as devices
from gatecam.vision import precision
from gatecam.vision.classifier import FaceClassifier
from gatecam.vision.detector.build import compiled_cascade
from gatecam.vision.device import Backend
from gatecam.vision.openvino import processor_computes
from gatecam.vision.precision import _possible, pick_precise_backend
from gatecam.vision.weights import find_weights, load_stored, load_weights, save_weights

INT8_IS_FAST = {"float32": 0.002, "bf16": 0.0013, "int8": 0.001}


@pytest.fixture
def measuring(tmp_path, monkeypatch) -> list[str]:
    """Measurements that were made, each of the same seconds, on a machine without a GPU or kept ones."""
    made = []

    def measured(backend, detector, classifier):
        made.append(backend.name)
        return dict(INT8_IS_FAST)

    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(devices, "describe_cuda", lambda: (False, "no GPU"))
    monkeypatch.setattr(precision, "_measured", measured)
    return made


def test_auto_takes_the_fastest_says_so_and_measures_once(measuring, tmp_path):
    for _ in range(2):
        backend = pick_precise_backend(Config())
        assert (backend.setting, backend.precision) == ("openvino-int8", "int8")
        assert backend.reason.startswith("OpenVINO 20")
        assert backend.reason.endswith(", int8, which takes 0.50 of float32's time on this machine")
    assert measuring == ["openvino"]
    file = min(
        (tmp_path / "compiled").iterdir(), key=lambda path: path.stat().st_size
    )  # the others are networks
    file.write_text("{damaged")
    assert pick_precise_backend(Config()).precision == "int8"
    assert len(measuring) == 2
    assert json.loads(file.read_text()) == INT8_IS_FAST


def test_float32_stays_where_nothing_is_clearly_faster(measuring, monkeypatch):
    monkeypatch.setitem(INT8_IS_FAST, "int8", 0.00195)
    monkeypatch.setitem(INT8_IS_FAST, "bf16", 0.0021)
    backend = pick_precise_backend(Config())
    assert backend.setting == "openvino"
    assert backend.reason.endswith(", float32, because nothing is faster on this machine")


def test_a_precision_that_cannot_be_measured_leaves_float32(measuring, monkeypatch):
    def fail(*parts: object) -> None:
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(precision, "_measured", fail)
    assert pick_precise_backend(Config()).precision == "float32"


@pytest.mark.parametrize("setting", sorted(set(get_args(Device)) - {"auto", "cuda"}))
def test_a_setting_that_names_the_backend_gets_it_without_a_measurement(measuring, setting):
    assert pick_precise_backend(Config(device=setting)).setting == setting
    assert measuring == []


@pytest.mark.parametrize(
    ("flags", "has_bf16", "has_int8", "possible"),
    [
        ("sse2 avx2 avx_vnni", False, True, ["float32", "int8"]),
        ("avx512_vnni amx_int8", True, True, ["float32", "bf16"]),
        ("avx512_vnni", False, False, ["float32"]),
        ("sse2 avx2", False, True, ["float32"]),
    ],
)
def test_only_precisions_with_instructions_and_graphs_are_measured(
    tmp_path, monkeypatch, flags, has_bf16, has_int8, possible
):
    info = tmp_path / "cpuinfo"
    info.write_text(f"model name\t: any\nflags\t\t: {flags}\nflags\t\t: other\n")
    monkeypatch.setattr(cores, "CPU_INFO", info)
    monkeypatch.setattr(precision, "processor_computes", lambda what: has_bf16)
    assert _possible(has_int8) == possible
    monkeypatch.setattr(cores, "CPU_INFO", tmp_path / "missing")
    assert _possible(has_int8) == [one for one in possible if one != "int8"]


@pytest.mark.parametrize("possible", [["float32", "bf16"], ["float32", "int8"], ["float32"]])
def test_the_measurement_runs_every_precision(monkeypatch, possible):
    monkeypatch.setattr(precision, "_possible", lambda has_int8: possible)
    monkeypatch.setattr(precision, "ROUNDS", 2)
    shipped = [find_weights(name) for name in ("gatecam-mtcnn", "gatecam-faces")]
    seconds = precision._measured(Backend("openvino"), *shipped)
    assert list(seconds) == possible
    assert min(seconds.values()) > 0
    assert (max(seconds.values()) < 60) is (len(possible) > 1)


def test_weights_without_graphs_for_int8_compute_without(tmp_path):
    path = tmp_path / "w.safetensors"
    tensors, spec = load_weights(find_weights("gatecam-faces"))
    graphs = load_stored(find_weights("gatecam-faces")).graphs
    save_weights(path, tensors, spec, {"classifier": graphs["classifier"]})
    crops = np.random.default_rng(0).normal(size=(2, 192, 192, 3)).astype(np.float32)
    of_each = [
        FaceClassifier(str(path), Backend("openvino", precision=one)).probabilities(crops)[0]
        for one in ("float32", "int8")
    ]
    np.testing.assert_allclose(*of_each, atol=0.05)


@pytest.mark.parametrize(("name", "tolerance"), [("bf16", 0.1), ("int8", 0.25)])
def test_each_precision_computes_in_its_own_way_and_nearly_the_same(astronaut, name, tolerance):
    """Float32 is no bf16 in disguise, which OpenVINO takes by default where the processor has it.

    Without bf16 in the processor, bf16 is float32, and so is int8 in the detector, which has no such graphs.
    """
    has_bf16 = processor_computes("BF16")
    exact, other = Backend("openvino"), Backend("openvino", precision=name)
    crop = np.ascontiguousarray(astronaut[:192, 128:320][None].astype(np.float32) - 127.5) / 128
    for one, same in zip(
        FaceClassifier("gatecam-faces", exact).probabilities(crop),
        FaceClassifier("gatecam-faces", other).probabilities(crop),
        strict=True,
    ):
        apart = np.abs(one - same).max()
        assert apart < tolerance
        assert bool(apart > 1e-6) is (has_bf16 or name == "int8")
    squares = np.ascontiguousarray(astronaut[None, 40:184:3, 160:304:3])
    path = find_weights("gatecam-mtcnn")
    (one, *_), (same, *_) = (compiled_cascade(path, b).onet(squares) for b in (exact, other))
    apart = np.abs(one - same).max()
    assert apart < 1.5
    assert bool(apart > 1e-6) is has_bf16
