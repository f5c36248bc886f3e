"""The parts of a run, at their smallest: what they measure is there, and right where it can be known."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from gatecam.bench import parts, replays, start
from gatecam.bench import run as benching
from gatecam.bench.memory import Peak
from gatecam.bench.replays import resolutions
from gatecam.bench.result import Measure, Origin, Result, read_result
from gatecam.bench.run import Asked, measure_all
from gatecam.bench.scene import draw, write_clip
from gatecam.cli.main import app
from gatecam.errors import ConfigError, DeviceError, OutputError, SourceError
from gatecam.runtime import outputs
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config
from gatecam.vision.analyzer import NetworkAnalyzer
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
    monkeypatch.setattr(start, "CLIP_FRAMES", 12)
    monkeypatch.setattr(parts, "WALK_FIRST", 4)
    monkeypatch.setattr(parts, "WALK_FRAMES", 14)
    monkeypatch.setattr(replays, "PACED_FRAMES", 6)
    monkeypatch.setattr(benching, "WATCH_S", 0.6)


@pytest.fixture(scope="module")
def analyzer() -> NetworkAnalyzer:
    return NetworkAnalyzer(Config(device="cpu"), Telemetry())


@pytest.mark.parametrize(
    ("width", "height", "count"),
    [(640, 480, 1), (640, 480, 2), (1920, 1080, 1), *((1280, 720, count) for count in (0, 1, 4, 16))],
)
def test_all_faces_of_a_drawn_scene_are_found_and_no_more(analyzer, width, height, count):
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


def test_replays_are_measured(tmp_path, small, ticks, tick):
    clip = tmp_path / "clip.mp4"
    write_clip(clip, 320, 240, 1, 12)
    measures = resolutions(PLAN, {"480p": clip}, tick)
    of = {one.figure: one for one in measures}
    assert all(len(one.values) == 2 for one in measures)
    for stage in ("decode", "plan", "detect", "classify", "track", "capture to decision"):
        spread = [of[f"{stage} {name}"].median for name in ("p50", "p95", "p99")]
        assert spread == sorted(spread)
        assert spread[0] > 0
    assert of["speed"].median > 0
    assert of["memory"].median > 100
    assert len(ticks) == 2


def test_the_most_memory_is_of_the_time_since_it_was_begun():
    before = Peak()
    held = np.ones(2**26)  # 512 MB
    large = before.held_mb()
    del held
    again = Peak().held_mb()
    if large is None:
        pytest.skip("this system does not count it anew")
    assert again is not None
    assert large - again > 400


def test_faces_are_measured(small, ticks, tick):
    measures = parts.by_faces(PLAN, tick)
    cost = {one.case: one.values for one in measures if one.figure == "frame"}
    assert list(cost) == ["no face", "1 face", "2 faces", "each further face"]
    assert cost["each further face"][0] == pytest.approx(cost["2 faces"][0] - cost["1 face"][0])
    means = [one for one in measures if re.fullmatch("(plan|detect|classify|track) mean", one.figure)]
    for case in ("no face", "1 face", "2 faces"):
        parts_ms = [sum(values) for values in zip(*(m.values for m in means if m.case == case), strict=True)]
        assert all(0 < part <= whole for part, whole in zip(parts_ms, cost[case], strict=True))
    assert {one.case for one in measures if one.figure == "memory"} == {"no face", "1 face", "2 faces"}
    assert {one.case for one in measures if one.figure == "capture to decision p99"} == set(list(cost)[:3])
    assert len(ticks) == 2


def test_cameras_are_measured_on_every_backend(small, ticks, tick, monkeypatch):
    built = []

    def build(config, telemetry):
        built.append(config.device)
        analyzer = torch_analyzer(telemetry)
        monkeypatch.setattr(analyzer, "_backend", Backend(config.device))
        return analyzer

    monkeypatch.setattr(parts, "build_analyzer", build)
    plan = parts.Plan(("openvino", "cpu"), 1, 0.6)
    measures = parts.cameras(plan, parts.drawn_camera(), tick)
    assert built == ["openvino", "cpu"]
    slowest = {(one.case, one.backend): one.median for one in measures if one.figure == "slowest"}
    assert list(slowest) == [
        (case, backend) for backend in plan.backends for case in ("1 camera", "2 cameras")
    ]
    assert all(0 <= rate <= 12 for rate in slowest.values())
    assert max(slowest.values()) > 0
    figures = {one.figure for one in measures}
    assert {"detect p95", "track p99", "capture to decision p50", "memory"} <= figures
    assert len(ticks) == 2


@pytest.mark.parametrize("part", ["resolutions", "faces", "cameras"])
def test_the_figures_of_a_backend_that_fails_are_not_told_as_its_own(
    tmp_path, small, tick, monkeypatch, part
):
    clip, plan = tmp_path / "clip.mp4", parts.Plan(("openvino",), 1, 0.2)
    write_clip(clip, 320, 240, 1, 4)
    measures = {
        "resolutions": lambda: resolutions(plan, {"480p": clip}, tick),
        "faces": lambda: parts.by_faces(plan, tick),
        "cameras": lambda: parts.cameras(plan, parts.drawn_camera(), tick),
    }
    for module in (parts, replays):
        monkeypatch.setattr(module, "build_analyzer", lambda _, telemetry: torch_analyzer(telemetry))
    with pytest.raises(DeviceError, match="openvino failed during the measurement, and cpu replaced it"):
        measures[part]()


def torch_analyzer(telemetry):
    return NetworkAnalyzer(Config(device="cpu"), telemetry)


def test_a_camera_shows_a_clip_at_its_own_rate(tmp_path):
    write_clip(tmp_path / "clip.mp4", 64, 48, 0, 30)  # a second
    assert len(parts.camera_of(tmp_path / "clip.mp4")) == parts.CAMERA_FPS
    write_clip(tmp_path / "long.mp4", 64, 48, 0, 120)
    assert len(parts.camera_of(tmp_path / "long.mp4")) == parts.CAMERA_PICTURES


def test_a_start_is_timed_until_the_first_verdict(small, ticks, tick, monkeypatch, tmp_path):
    monkeypatch.setattr(start, "CLIP_FRAMES", 40)
    monkeypatch.setenv("GATECAM_DETECTOR__MIN_FACE_PX", "not a number")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("no: such setting\n")
    measures = start.starts(parts.Plan(("cpu",), 1, 1.0), tick)
    of = {one.figure: one.median for one in measures}
    assert 0.3 < of["time"] < start.START_LIMIT_S
    assert of["memory"] > 200


def test_why_a_start_gave_no_verdict_is_told(small, tick, monkeypatch):
    monkeypatch.setattr(start, "CLIP_FRAMES", 1)
    monkeypatch.setattr(start, "write_clip", lambda path, *_: path.write_bytes(b"no video"))
    with pytest.raises(
        OutputError, match=r"a replay on cpu gave no verdict \(.*not a video.*\): run `gatecam"
    ):
        start.starts(parts.Plan(("cpu",), 1, 1.0), tick)


def test_an_interrupted_start_leaves_no_process(small, tick, monkeypatch):
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *words, **options):
            super().__init__(*words, **options)
            started.append(self)

    def interrupted(process, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(start.subprocess, "Popen", Noted)
    monkeypatch.setattr(start, "_watched", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start.starts(parts.Plan(("cpu",), 1, 1.0), tick)
    (process,) = started
    assert process.returncode is not None


def run(*words: str):
    return CliRunner().invoke(app, ["bench", *words])


def test_a_run_writes_table_page_figures_and_chart(small, tmp_path):
    page, figures, chart = (tmp_path / name for name in ("b.html", "b.json", "b.svg"))
    files = ("--page", str(page), "--json", str(figures), "--chart", str(chart))
    result = run("--quick", "--device", "cpu", "--parts", "faces", *files)
    assert result.exit_code == 0, result.output
    assert "Analysis at 720p, by faces" in result.output
    assert "device: cpu picks cpu: " in result.output
    assert page.is_file()
    assert chart.is_file()
    raw = json.loads(figures.read_text())
    assert set(raw["machine"]) == {"processor", "cores", "GPU", "Python", "torch", "torchvision", "OpenVINO"}
    assert raw["origin"]["rounds"] == 1
    result = run("compare", str(figures), str(figures))
    assert result.exit_code == 0
    assert "1.00" in result.output
    assert "not the same" not in result.output
    assert "no verdict with one round" in result.output


def test_a_clip_is_measured_and_the_parts_that_draw_are_named(small, tmp_path):
    clip, page, figures = (tmp_path / name for name in ("clip.mp4", "b.html", "b.json"))
    write_clip(clip, 320, 240, 1, 12)
    files = ("--page", str(page), "--json", str(figures))
    result = run("--quick", "--device", "cpu", "--video", str(clip), *files)
    assert result.exit_code == 0, result.output
    assert "clip.mp4: used for resolutions and cameras. Choose parts without a clip" in result.output
    assert "with --parts: faces, start, archive" in result.output
    assert "Live cameras that show clip.mp4" in result.output
    raw = json.loads(figures.read_text())
    assert {one["part"] for one in raw["measures"]} == {"resolutions", "cameras"}
    clip_told = raw["origin"]["clip"]
    assert (clip_told["frames"], clip_told["size"]) == (12, "320 × 240")
    assert hashlib.sha256(clip.read_bytes()).hexdigest().startswith(clip_told["sha256"])


def test_nothing_in_common_is_a_failed_comparison(tmp_path):
    for name, part in (("a", "faces"), ("b", "start")):
        measure = Measure(part, "1 face", "cpu", "frame", "ms", (1.0,))
        origin = Origin("0.1.0", "", "", 1, None)
        Result(origin, {}, (measure,)).write(tmp_path / f"{name}.json")
    result = run("compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"))
    assert result.exit_code == 1
    assert "nothing to compare" in result.output


def measured(*_):
    return [Measure("faces", "1 face", "cpu", "frame", "ms", (1.0,))]


@pytest.mark.parametrize("end", [KeyboardInterrupt, OutputError("the disk is full.")])
def test_what_was_done_before_an_early_end_is_written(tmp_path, monkeypatch, caplog, end):
    def ended(*_):
        raise end

    monkeypatch.setattr(parts, "by_faces", measured)
    monkeypatch.setattr(parts, "cameras", ended)
    figures = tmp_path / "b.json"
    asked = Asked(None, "cpu", "faces,cameras", 1, figures, tmp_path / "b.html", None)
    caplog.set_level("INFO", "gatecam")
    with pytest.raises(type(end) if isinstance(end, Exception) else end):
        measure_all(asked)
    assert [one.part for one in read_result(figures).measures] == ["faces"]
    assert (tmp_path / "b.html").is_file()
    assert "stopped early. The results contain only faces." in caplog.text


def test_an_end_while_the_backends_load_is_told(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(benching, "build_analyzer", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    caplog.set_level("INFO", "gatecam")
    with pytest.raises(KeyboardInterrupt):
        measure_all(Asked(None, "cpu", "faces", 1, None, tmp_path / "b.html", None))
    assert caplog.messages == [benching.NOTHING_DONE]


def test_sigterm_ends_a_run_as_ctrl_c_does(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(parts, "by_faces", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    asked = Asked(None, "cpu", "faces", 1, None, tmp_path / "b.html", None)
    caplog.set_level("INFO", "gatecam")
    with pytest.raises(KeyboardInterrupt):
        measure_all(asked)
    assert not (tmp_path / "b.html").exists()
    assert "stopped before a part was done. Nothing was written." in caplog.text


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (("--parts", "speed"), ConfigError, r"--parts: expected some of .*, got 'speed'"),
        (("--parts", ""), ConfigError, r"--parts: expected some of .*, got none"),
        (("--parts", ","), ConfigError, r"--parts: expected some of .*, got none"),
        (("--device", "tpu"), ConfigError, "openvino-int8, got 'tpu'"),
        (("--video", "none.mp4"), SourceError, "none.mp4: there is no such file"),
        (("--video", "."), SourceError, "is a folder; give --video a file"),
        (("--page", "no/b.html"), OutputError, "no/b.html: its folder does not exist"),
        (("--json", "no/b.json"), OutputError, "no/b.json: its folder does not exist"),
        (("--chart", "no/b.svg"), OutputError, "no/b.svg: its folder does not exist"),
        (("--json", "b", "--page", "b"), OutputError, "b: is asked for twice"),
        (("compare", "a.json", "b.json"), SourceError, "a.json: there is no such file"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_measured(words, kind, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert isinstance(result.exception, kind)
    assert re.search(said, str(result.exception))
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_it_is_told_before(tmp_path, monkeypatch):
    def refused(path):
        raise OutputError(f"{path}: cannot be written (Permission denied)")

    monkeypatch.setattr(outputs, "Replacement", refused)
    result = run("--page", str(tmp_path / "b.html"))
    assert isinstance(result.exception, OutputError)
    assert re.search(r"cannot be written \(Permission denied\)", str(result.exception))


@pytest.mark.skipif(torch.cuda.is_available(), reason="here a GPU is")
def test_a_gpu_that_is_not_there_is_told(tmp_path):
    page = ("--page", str(tmp_path / "b.html"))
    assert isinstance(run("--device", "cuda", *page).exception, DeviceError)
    result = run("--device", "cpu", "--parts", "archive", *page)
    assert isinstance(result.exception, ConfigError)
    assert "archive: skipped, because it needs a GPU" in result.output
    assert not (tmp_path / "b.html").exists()
