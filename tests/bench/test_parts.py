"""The parts of a run, at their smallest: what they measure is there, and right where it can be known."""

from __future__ import annotations

import json
import re

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from gatecam.bench import parts, roofline
from gatecam.bench.plain import PlainLoop
from gatecam.bench.roofline import Layer, Machine, layers_of
from gatecam.bench.scene import draw, write_clip
from gatecam.cli.main import app
from gatecam.config import Config
from gatecam.errors import ConfigError, DeviceError, SourceError
from gatecam.telemetry import Telemetry
from gatecam.vision.analyzer import TorchAnalyzer
from gatecam.vision.device import Backend

PLAN = parts.Plan(("cpu",), 2, 0.6)


@pytest.fixture
def ticks() -> list[int]:
    return []


@pytest.fixture
def tick(ticks):
    return lambda: ticks.append(1)


@pytest.fixture
def small(monkeypatch):
    """Small pictures, few frames, and no time for repeats."""
    monkeypatch.setattr(parts, "RESOLUTIONS", {"480p": (320, 240), "720p": (480, 270)})
    monkeypatch.setattr(parts, "FACES", (0, 1, 2))
    monkeypatch.setattr(parts, "CAMERAS", (1, 2))
    monkeypatch.setattr(parts, "CLIP_FRAMES", 12)
    monkeypatch.setattr(parts, "PLAIN_FRAMES", 2)
    monkeypatch.setattr(roofline, "LEAST_S", 0.0)
    monkeypatch.setitem(roofline.MATRIX, "cpu", 64)
    monkeypatch.setitem(roofline.COPY_BYTES, "cpu", 4096)


@pytest.mark.parametrize(
    ("width", "height", "count"),
    [(640, 480, 1), (640, 480, 2), (1920, 1080, 1), *((1280, 720, count) for count in (0, 1, 4, 16))],
)
def test_all_faces_of_a_drawn_scene_are_found_and_no_more(width, height, count):
    analyzer = TorchAnalyzer(Config(device="cpu"), Telemetry())
    (picture,) = draw(width, height, count, 1)
    assert picture.shape == (height, width, 3)
    (faces,) = analyzer.analyze([picture])
    assert len(faces) == count


def test_a_scene_is_the_same_each_time_and_an_empty_one_is_still():
    first, again = (list(draw(160, 120, 1, 3)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not (first[0] == first[2]).all()
    one, other = draw(160, 120, 0, 2)
    assert (one == other).all()


def test_the_plain_loop_finds_the_face(tmp_path):
    write_clip(tmp_path / "clip.mp4", 320, 240, 1, 4)
    frames, faces, seconds = PlainLoop("cpu").run(tmp_path / "clip.mp4", 3)
    assert (frames, faces) == (3, 3)
    assert seconds > 0


def test_replays_are_measured_beside_the_plain_loop(tmp_path, small, ticks, tick):
    clip = tmp_path / "clip.mp4"
    write_clip(clip, 320, 240, 1, 12)
    measures = parts.resolutions(PLAN, {"480p": clip}, 1, tick)
    of = {(one.backend, one.figure): one for one in measures}
    assert of["plain loop", "found"].values == of["cpu", "found"].values == (1.0, 1.0)
    ratio = of["cpu", "times the plain loop"].values[0]
    assert ratio == pytest.approx(of["cpu", "speed"].values[0] / of["plain loop", "speed"].values[0])
    for stage in ("decode", "plan", "detect", "classify", "track"):
        spread = [of["cpu", f"{stage} {name}"].median for name in ("p50", "p95", "p99")]
        assert spread == sorted(spread)
    assert len(ticks) == 2


def test_faces_and_cameras_are_measured(small, ticks, tick):
    measures = parts.by_faces(PLAN, tick)
    cost = {one.case: one.values for one in measures if one.figure == "frame"}
    assert list(cost) == ["no face", "1 face", "2 faces", "each further face"]
    assert cost["each further face"][0] == pytest.approx(cost["2 faces"][0] - cost["1 face"][0])
    means = [one for one in measures if one.figure.endswith(" mean")]
    for case in ("no face", "1 face", "2 faces"):
        parts_ms = [sum(values) for values in zip(*(m.values for m in means if m.case == case), strict=True)]
        assert all(0 < part <= whole for part, whole in zip(parts_ms, cost[case], strict=True))
    measures = parts.cameras(PLAN, tick)
    slowest = {one.case: one.values for one in measures if one.figure == "slowest"}
    assert list(slowest) == ["1 camera", "2 cameras"]
    rates = [value for values in slowest.values() for value in values]
    assert all(0 <= value <= 15 for value in rates)
    assert max(rates) > 0
    assert len(ticks) == 4


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


def test_networks_are_measured_beside_their_bound(small, ticks, tick):
    measures = parts.networks(PLAN, Config(), tick)
    of = {(one.case, one.figure): one.median for one in measures}
    cases = [case for case, figure in of if figure == "time"]
    assert cases[0] == "P-Net, a 720p picture"
    assert cases[-1] == "classifier, 16 faces"
    for case in cases:
        assert of[case, "times the bound"] == pytest.approx(of[case, "time"] / of[case, "bound"], rel=0.9)
    assert of["R-Net, 16 faces", "operations"] == pytest.approx(16 * of["R-Net, 1 face", "operations"])
    assert roofline.times(lambda: None, Backend("cpu"), 3) == pytest.approx([0, 0, 0], abs=0.1)


def test_a_start_is_timed_until_the_first_verdict(small, ticks, tick, monkeypatch):
    monkeypatch.setattr(parts, "CLIP_FRAMES", 40)
    measures = parts.starts(parts.Plan(("cpu",), 1, 1.0), tick)
    of = {one.figure: one.median for one in measures}
    assert 0.3 < of["time"] < parts.START_LIMIT_S
    assert of["memory"] > 200


def run(*words: str):
    return CliRunner().invoke(app, ["bench", *words])


def test_a_run_writes_table_page_figures_and_chart(small, tmp_path):
    page, figures, chart = (tmp_path / name for name in ("b.html", "b.json", "b.svg"))
    files = ("--page", str(page), "--json", str(figures), "--chart", str(chart))
    result = run("--quick", "--device", "cpu", "--parts", "faces", *files)
    assert result.exit_code == 0, result.output
    assert "Analysis at 720p, by faces" in result.output
    assert page.is_file()
    assert chart.is_file()
    machine = json.loads(figures.read_text())["machine"]
    assert set(machine) == {"processor", "cores", "GPU", "Python", "torch", "torchvision", "OpenVINO"}
    result = run("compare", str(figures), str(figures))
    assert result.exit_code == 0
    assert "1.00" in result.output
    assert "not the same" not in result.output


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (("--parts", "speed"), ConfigError, r"--parts: expected some of .*, got 'speed'"),
        (("--device", "tpu"), ConfigError, "--device: expected all, auto, cpu, openvino or cuda, got 'tpu'"),
        (("--video", "none.mp4"), SourceError, "none.mp4: there is no such file"),
        (("compare", "a.json", "b.json"), ConfigError, "a.json: cannot be read"),
    ],
)
def test_what_cannot_be_is_told(words, kind, said):
    result = run(*words)
    assert isinstance(result.exception, kind)
    assert re.search(said, str(result.exception))


@pytest.mark.skipif(torch.cuda.is_available(), reason="here a GPU is")
def test_a_gpu_that_is_not_there_is_told():
    assert isinstance(run("--device", "cuda").exception, DeviceError)
