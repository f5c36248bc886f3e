"""The plain loop and the roofline of `benchmarks/`, at their smallest."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks import plain_loop, roofline
from benchmarks.plain_loop import PlainLoop
from benchmarks.roofline import Layer, Machine, layers_of
from gatecam.bench.scene import write_clip
from gatecam.errors import SourceError
from gatecam.vision.device import Backend


@pytest.fixture
def small(monkeypatch):
    """Few frames, small matrices, and no time for repeats."""
    monkeypatch.setattr(plain_loop, "FRAMES", 2)
    monkeypatch.setattr(roofline, "LEAST_S", 0.0)
    monkeypatch.setitem(roofline.MATRIX, "cpu", 64)
    monkeypatch.setitem(roofline.COPY_BYTES, "cpu", 4096)


def test_the_plain_loop_finds_the_face(tmp_path):
    write_clip(tmp_path / "clip.mp4", 320, 240, 1, 4)
    ran = PlainLoop("cpu").run(tmp_path / "clip.mp4", 3)
    assert ran.faces == (1, 1, 1)
    assert ran.seconds > 0


def test_the_plain_loop_finds_nothing_in_pictures_too_small_for_it(tmp_path):
    write_clip(tmp_path / "clip.mp4", 40, 16, 0, 2)
    assert PlainLoop("cpu").run(tmp_path / "clip.mp4", 3).faces == (0, 0)


def test_the_plain_loop_tells_of_a_file_that_it_cannot_read(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    with pytest.raises(SourceError, match=r"cannot decode it\. Export it again as H\.264"):
        PlainLoop("cpu").run(tmp_path / "clip.mp4", 3)


@pytest.mark.parametrize(
    ("size", "found"), [((320, 240), (1.0, 1.0)), ((162, 81), (0.0, 1.0))], ids=["large", "18 px"]
)
def test_replays_are_compared_with_the_plain_loop(tmp_path, small, size, found):
    clip = tmp_path / "clip.mp4"
    write_clip(clip, *size, 1, 6)
    of = {(one.backend, one.figure): one for one in plain_loop.compare({"x": clip}, ["cpu"], 1)}
    names = ("cpu", "cpu, alike")
    assert tuple(of[name, "found"].median for name in names) == found
    for name in names:
        ratio = of[name, "speed"].median / of["plain loop", "speed"].median
        assert of[name, "times the plain loop"].median == pytest.approx(ratio)


def test_operations_and_bytes_of_a_layer_are_counted():
    network = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, groups=2), nn.Flatten(), nn.Linear(8 * 36, 5))
    convolution, product = layers_of(network, torch.zeros(3, 4, 6, 6))
    assert convolution.flops == 2 * (3 * 8 * 6 * 6) * 9 * 2
    assert convolution.size_bytes == 4 * (3 * 4 * 36 + 3 * 8 * 36 + 8 * 2 * 9 + 8)
    assert product.flops == 2 * 3 * 5 * 288
    assert product.size_bytes == 4 * (3 * 288 + 3 * 5 + 5 * 288 + 5)


def test_the_bound_of_each_layer_is_what_takes_longer():
    machine = Machine(flops=100.0, bytes_s=10.0)
    assert machine.bound_s([Layer(1000.0, 1.0), Layer(1.0, 1000.0)]) == 10 + 100


def test_networks_are_measured_beside_their_bound(small):
    measures = roofline.networks([Backend("cpu")], 2)
    of = {(one.case, one.figure): one.values for one in measures}
    cases = [case for case, figure in of if figure == "time"]
    assert cases[0] == "P-Net, a 720p picture"
    assert cases[-1] == "classifier, 16 faces"
    for case in cases:
        times, bounds = of[case, "time"], of[case, "bound"]
        assert of[case, "times the bound"] == pytest.approx(
            [t / b for t, b in zip(times, bounds, strict=True)]
        )
    many, one = (of[case, "operations"][0] for case in ("R-Net, 16 faces", "R-Net, 1 face"))
    assert many == pytest.approx(16 * one)


def test_one_machine_has_one_roofline_measured_anew_in_each_round(small, monkeypatch):
    machines = iter([Machine(9e9, 9e9), Machine(1e9, 1e9), Machine(2e9, 2e9)])  # first a warm-up
    monkeypatch.setattr(roofline.Rates, "measure", lambda self: next(machines))
    monkeypatch.setattr(roofline, "cases", lambda config, backend: iter(()))
    measures = roofline.networks([Backend("openvino"), Backend("cpu")], 2)
    assert [(one.case, one.backend, one.figure) for one in measures] == [
        ("this machine", "cpu", "product"),
        ("this machine", "cpu", "copy"),
    ]
    assert measures[0].values == (1.0, 2.0)
