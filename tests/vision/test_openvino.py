"""OpenVINO gives what eager torch gives: the same faces, verdicts and events; and says what is wrong."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("openvino")

from gatecam.app import build_analyzer, build_crop_classifier, open_replay
from gatecam.errors import DeviceError, ModelError
from gatecam.ports import FaceAnalyzer
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config, DetectorConfig
from gatecam.types import Image as Pixels
from gatecam.vision import device as devices
from gatecam.vision import graphs
from gatecam.vision.detector.sizes import CompiledNetworks
from gatecam.vision.device import pick_backend
from gatecam.vision.finder import LowFaceFinder
from gatecam.vision.openvino import OpenVinoNetwork, describe_openvino, kept_file
from gatecam.vision.weights import Stored
from tests.streams import MjpegServer

CLIPS = ("again.mkv", "bird.mkv", "book.mkv", "eat.mkv", "learn.mkv", "face-demographics-walking.gif")
LESS_PRECISE = ("openvino-bf16", "openvino-int8")
WHOLE = DetectorConfig(detect_every=1)


def analyzer(device: str, detector: DetectorConfig | None = None) -> FaceAnalyzer:
    return build_analyzer(Config(device=device, detector=detector or DetectorConfig()), Telemetry())


@pytest.fixture(scope="module")
def pair() -> tuple[FaceAnalyzer, FaceAnalyzer]:
    return analyzer("cpu", WHOLE), analyzer("openvino", WHOLE)


Told = Callable[[Path, str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def told() -> Told:
    """Returns what a device tells about a video, which it replays once."""
    on = cache(analyzer)

    @cache
    def events(path: Path, device: str) -> list[tuple[Any, ...]]:
        with open_replay(Config(device=device), path, on(device), Telemetry()) as replay:
            return [
                (event.kind, event.track_id, event.verdict, event.frame, round(event.probability, 2))
                for step in replay.steps
                for event in step.events
            ]

    return events


def assert_same(pair: tuple[FaceAnalyzer, FaceAnalyzer], images: list[Pixels]) -> int:
    """That both find and judge alike; how many faces they found."""
    torchs, openvinos = (one.analyze(images) for one in pair)
    for of_torch, of_openvino in zip(torchs, openvinos, strict=True):
        assert len(of_torch) == len(of_openvino)
        for one, other in zip(of_torch, of_openvino, strict=True):
            for corner in ("x1", "y1", "x2", "y2"):
                assert getattr(one.detection.box, corner) == pytest.approx(
                    getattr(other.detection.box, corner), abs=0.05
                )
            assert one.detection.score == pytest.approx(other.detection.score, abs=1e-3)
            np.testing.assert_allclose(one.detection.landmarks, other.detection.landmarks, atol=0.05)
            for head in ("mask", "gender", "age"):
                np.testing.assert_allclose(
                    getattr(one.prediction, head), getattr(other.prediction, head), atol=1e-3
                )
    return sum(map(len, torchs))


def test_faces_and_verdicts_are_those_of_torch(pair, astronaut):
    shifted = np.roll(astronaut, 40, axis=1)
    small = np.ascontiguousarray(astronaut[:300, 100:420])
    empty = np.full((200, 320, 3), 90, np.uint8)
    assert assert_same(pair, [astronaut, shifted, small, empty]) >= 3
    assert assert_same(pair, [empty]) == 0
    assert assert_same(pair, [small]) >= 1


def assert_told_alike(path: Path, device: str, told: Told) -> None:
    """That the same is told about the same people, a few frames sooner or later at most."""
    seen, expected = told(path, device), told(path, "openvino")
    assert [event[:3] for event in seen] == [event[:3] for event in expected]
    for (*_, frame, probability), (*_, expected_frame, expected_probability) in zip(
        seen, expected, strict=True
    ):
        assert frame == pytest.approx(expected_frame, abs=4)
        assert probability == pytest.approx(expected_probability, abs=0.05)


@pytest.mark.data
@pytest.mark.parametrize("clip", CLIPS)
def test_the_clips_give_the_same_events(clip, shared_data, told):
    path = shared_data / "videos" / clip
    assert told(path, "openvino") == told(path, "cpu")


@pytest.mark.data
@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("device", LESS_PRECISE)
def test_the_clips_tell_the_same_in_less_precision(clip, device, shared_data, told):
    assert_told_alike(shared_data / "videos" / clip, device, told)


@pytest.mark.parametrize("device", LESS_PRECISE)
def test_the_demo_tells_the_same_in_less_precision(demo, device, told):
    assert_told_alike(demo, device, told)


def test_the_demo_gives_the_same_events(demo, told):
    assert told(demo, "openvino") == told(demo, "cpu")
    assert len(told(demo, "openvino")) >= 3


@pytest.fixture(scope="module")
def mean_graph() -> str:
    return graphs.graph_of(_Mean(), 8, "")


@pytest.fixture
def compiled(tmp_path, monkeypatch) -> Path:
    """The folder of compiled networks, which is empty at first."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    return tmp_path / "compiled"


def weights_of(graph: str, tensors: dict[str, np.ndarray] | None = None) -> Stored:
    return Stored(TENSORS if tensors is None else tensors, {"mean": graph}, f"hash of {tensors}")


def test_any_number_and_size_of_pictures_can_be_asked(mean_graph):
    network = OpenVinoNetwork(weights_of(mean_graph), "mean")
    for shape in ((1, 8, 8, 3), (5, 16, 40, 3), (2, 8, 8, 3)):
        pixels = np.random.default_rng(0).random(shape, np.float32)
        for given in (pixels, pixels.transpose(0, 2, 1, 3)):
            (mean,) = network(given)
            np.testing.assert_allclose(mean, 2 * given.mean((1, 2, 3)), rtol=1e-5)


def test_pixels_are_normalized_where_that_is_asked(mean_graph):
    network = OpenVinoNetwork(weights_of(mean_graph), "mean", normalize=(127.5, 128.0))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 8, 3), np.uint8)
    np.testing.assert_allclose(network(pixels)[0], (pixels.mean((1, 2, 3)) - 127.5) / 64, rtol=1e-4)


def test_threads_that_share_a_batch_give_what_one_gives(mean_graph):
    shared, alone = (
        OpenVinoNetwork(weights_of(mean_graph), "mean", threads=threads, is_small=True) for threads in (3, 1)
    )
    for count in (1, 2, 3, 4, 7, 64):
        pixels = np.random.default_rng(count).random((count, 8, 8, 3), np.float32)
        assert np.array_equal(shared(pixels)[0], alone(pixels)[0])
        np.testing.assert_allclose(shared(pixels)[0], 2 * pixels.mean((1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize(("threads", "cores"), [(1, 1), (1, 2), (2, 2), (2, 3)])
def test_threads_are_bound_to_cores_only_where_they_take_all(
    mean_graph, compiled, monkeypatch, threads, cores
):
    """Every process would bind them to the first cores, where those of other processes are too."""
    monkeypatch.setattr("gatecam.vision.openvino.allowed_cores", lambda: cores)
    for _ in ("compiled", "loaded"):
        network = OpenVinoNetwork(weights_of(mean_graph), "mean", threads=threads)
        model = network._requests[0].get_compiled_model()
        assert model.get_property("ENABLE_CPU_PINNING") is (threads == cores)


def test_what_one_call_gave_outlives_the_next(mean_graph):
    network = OpenVinoNetwork(weights_of(mean_graph), "mean", threads=2, is_small=True)
    for count in (1, 4):
        (first,) = network(np.ones((count, 8, 8, 3), np.float32))
        network(np.zeros((count, 8, 8, 3), np.float32))
        assert first.tolist() == [2.0] * count


def test_a_compiled_network_is_kept_for_the_next_start(mean_graph, compiled, monkeypatch):
    pixels = np.random.default_rng(0).random((3, 8, 8, 3), np.float32)
    before = OpenVinoNetwork(weights_of(mean_graph), "mean")(pixels)[0]
    (file,) = compiled.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr("gatecam.vision.openvino.filled_model", None)  # nothing is built again
    assert np.array_equal(OpenVinoNetwork(weights_of(mean_graph), "mean")(pixels)[0], before)
    monkeypatch.undo()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-100],
        lambda content: content[:200] + bytes(100) + content[300:],
        lambda content: bytes(len(content)),
        lambda content: b"",
    ],
)
def test_a_damaged_compiled_network_is_made_anew(mean_graph, compiled, damage):
    pixels = np.random.default_rng(0).random((3, 8, 8, 3), np.float32)
    before = OpenVinoNetwork(weights_of(mean_graph), "mean")(pixels)[0]
    (file,) = compiled.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert np.array_equal(OpenVinoNetwork(weights_of(mean_graph), "mean")(pixels)[0], before)
    content = file.read_bytes()
    assert hashlib.sha256(content[32:]).digest() == content[:32]


def test_other_weights_and_settings_are_compiled_apart_and_old_ones_go(mean_graph, compiled, monkeypatch):
    monkeypatch.setattr("gatecam.vision.openvino.COMPILED_KEPT", 2)
    tensors = {"scale": np.full((1,), 4, np.float32)}
    pixels = np.ones((1, 8, 8, 3), np.float32)
    for given, threads, kept in ((None, 1, 1), (tensors, 1, 2), (tensors, 2, 3), (None, 1, 1)):
        (mean,) = OpenVinoNetwork(weights_of(mean_graph, given), "mean", threads=threads)(pixels)
        assert mean.tolist() == [4.0 if given else 2.0]
        assert len(list(compiled.iterdir())) == kept


def test_without_a_folder_of_its_own_nothing_is_kept(mean_graph, compiled):
    compiled.mkdir()
    compiled.chmod(0o777)
    pixels = np.ones((1, 8, 8, 3), np.float32)
    assert OpenVinoNetwork(weights_of(mean_graph), "mean")(pixels)[0].tolist() == [2.0]
    assert list(compiled.iterdir()) == []


def test_a_user_without_a_home_has_no_kept_networks(monkeypatch):
    for name in ("STATE_DIRECTORY", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert kept_file("speed") is None


@pytest.mark.parametrize("tensors", [{}, {"scale": np.ones((2,), np.float32)}])
def test_tensors_of_another_network_are_refused(mean_graph, tensors):
    with pytest.raises(ModelError, match="the tensor scale is missing or has another shape"):
        OpenVinoNetwork(weights_of(mean_graph, tensors), "mean")


class _Mean(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        return (x.mean((1, 2, 3)) * self.scale,)


TENSORS = {"scale": np.full((1,), 2, np.float16)}


@pytest.mark.parametrize("device", ["openvino", "auto"])
def test_no_command_imports_torch_where_openvino_serves(tmp_path, demo, device):
    """One program runs the commands one after another. `run` ends with its first frame and its finder.

    The first search for faces to blur in a single picture makes the stock networks' graphs.
    """
    picture = tmp_path / "picture.png"
    Image.fromarray(np.zeros((90, 160, 3), np.uint8)).save(picture)
    settings = tmp_path / "config.yaml"
    settings.write_text(f"device: {device}\nevidence: {{snapshots: true, clip_after_s: 1}}\n")
    code = (
        "import signal, sys, threading\n"
        "import gatecam.app as parts\n"
        "from gatecam.cli.main import app\n"
        "from gatecam.people.pipeline import People\n"
        "is_built, build_finder = threading.Event(), parts.build_finder\n"
        "def build(config, thorough=False):\n"
        "    finder = build_finder(config, thorough)\n"
        "    thorough and is_built.set()\n"
        "    return finder\n"
        "heavy = {'torch', 'torchvision', 'facenet_pytorch'}\n"
        "for words in sys.argv[1:]:\n"
        "    if words.startswith('run'):\n"
        "        parts.build_finder = build\n"
        "        People.add = lambda *_: is_built.wait(600) and signal.raise_signal(signal.SIGTERM)\n"
        f"    app([*words.split(), '--config', {str(settings)!r}], standalone_mode=False)\n"
        "    print(words.split()[0], 'imports', *sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    commands = [
        f"predict {picture}",
        f"predict {picture} --annotate {tmp_path / 'drawn'}",
        f"predict {picture} --crops",
        f"predict {picture} --submission {tmp_path / 'ans.csv'}",
        f"replay {demo} --events {tmp_path / 'events.jsonl'}",
    ]
    env = {**os.environ, "STATE_DIRECTORY": str(tmp_path), "RUNTIME_DIRECTORY": str(tmp_path)}
    with MjpegServer() as server:
        commands.append(f"run --headless --camera {server.url}")
        result = subprocess.run(
            [sys.executable, "-c", code, *commands], env=env, capture_output=True, text=True
        )
    said = re.findall(r"^\w+ imports.*$", result.stderr, re.MULTILINE)
    assert said == ["predict imports"] * 4 + ["replay imports", "run imports"], result.stderr


def test_auto_takes_it_where_there_is_no_gpu_and_says_why(monkeypatch):
    monkeypatch.setattr(devices, "describe_cuda", lambda: (False, "no GPU"))
    backend = pick_backend("auto")
    assert (backend.name, backend.device) == ("openvino", torch.device("cpu"))
    assert backend.reason.startswith("OpenVINO 20")
    monkeypatch.setattr(devices, "describe_cuda", lambda: (True, "a GPU"))
    assert (pick_backend("auto").name, pick_backend("auto").reason) == ("cuda", "a GPU")
    assert pick_backend("openvino").name == "openvino"
    assert pick_backend("cpu").name == "cpu"


def test_where_it_is_not_installed_auto_goes_without_and_else_it_is_told(monkeypatch):
    describe_openvino.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    try:
        monkeypatch.setattr(devices, "describe_cuda", lambda: (False, "no GPU"))
        backend = pick_backend("auto")
        assert backend.name == "cpu"
        assert backend.reason == (
            "no CUDA (no GPU), no OpenVINO (it is not installed, `pip install 'gatecam[openvino]'`)"
        )
        with pytest.raises(
            DeviceError, match=r"OpenVINO cannot be used: it is not installed.*gatecam\[openvino\]"
        ):
            pick_backend("openvino")
    finally:
        describe_openvino.cache_clear()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ValueError('numpy.dtype size\\nchanged')", r"ValueError: numpy\.dtype size changed"),
        ("import missing_library", "ModuleNotFoundError: No module named 'missing_library'"),
        ("raise ImportError('libtbb.so.12: cannot open')", "ImportError: libtbb.so.12: cannot open"),
        ("__version__ = '2022.1'", "Core"),
    ],
)
def test_a_broken_installation_is_told_and_auto_goes_without(tmp_path, code, said):
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino" / "__init__.py").write_text(code + "\n")
    asked = (
        "from gatecam.vision.device import cpu_backend\n"
        "from gatecam.vision.openvino import describe_openvino\n"
        "print(cpu_backend('no GPU').name, *describe_openvino())"
    )
    paths = (str(tmp_path), str(Path(__file__).parents[2]))
    result = subprocess.run(
        [sys.executable, "-c", asked],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert result.stdout.startswith("cpu False it does not run here ("), result.stderr
    assert re.search(said, result.stdout)
    assert result.stdout.endswith("`pip install --upgrade --force-reinstall openvino`\n")


def test_networks_that_do_not_convert_are_told_in_a_sentence(monkeypatch):
    def filled(*given):
        raise ValueError("unknown\noperator")

    assert describe_openvino()[0]  # and that is remembered: a small network runs
    monkeypatch.setattr("gatecam.vision.openvino.filled_model", filled)
    with pytest.raises(DeviceError, match=r"cannot run the networks \(ValueError: unknown operator\): set"):
        OpenVinoNetwork(Stored({}, {"mean": ""}, ""), "mean")
    finder = LowFaceFinder(Config(device="auto"))
    assert finder.find(np.zeros((60, 60, 3), np.uint8)) == []


def test_its_maker_is_told_nothing(tmp_path):
    """OpenVINO reports its import by default, and leaves a number for the machine in the home folder."""
    code = "import sys, gatecam.vision.openvino as o; print(o.describe_openvino(), sorted(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.stdout.startswith("(True, "), result.stderr
    assert "'openvino_telemetry." not in result.stdout
    assert not (tmp_path / "intel").exists()


def test_signals_are_heard_after_networks_have_gone_in_any_thread():
    code = (
        "import signal, threading\n"
        "from gatecam.vision.openvino import _core, _sum\n"
        "signal.signal(signal.SIGTERM, lambda *given: print('heard'))\n"
        "for _ in range(3):\n"
        "    networks = [_core().compile_model(_sum(), 'CPU').create_infer_request() for _ in range(2)]\n"
        "    thread = threading.Thread(target=networks.clear)\n"
        "    thread.start(), thread.join()\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout.split()) == (0, ["heard"] * 3), result.stderr


class _Broken:
    def __call__(self, pixels):
        raise RuntimeError("Exception from src/infer_request.cpp:1\nmore")


def test_what_fails_in_midst_of_a_search_for_faces_to_blur_goes_on_by_torch(astronaut, caplog):
    finder = LowFaceFinder(Config(device="openvino"))
    expected = finder.find(astronaut)
    (detector,) = finder._detectors
    detector._nets = CompiledNetworks(_Broken(), _Broken(), _Broken())
    found = finder.find(astronaut)
    assert len(found) == len(expected) > 0
    assert (
        "OpenVINO failed (Exception from src/infer_request.cpp:1): torch finds the faces to blur"
        in caplog.text
    )
    finder._detectors[0]._nets = CompiledNetworks(_Broken(), _Broken(), _Broken())
    with pytest.raises(RuntimeError, match="infer_request"):
        finder.find(astronaut)


def test_what_fails_among_crops_goes_on_by_torch(astronaut, caplog):
    analyzer = build_crop_classifier(Config(device="openvino"))
    (expected,) = analyzer.classify_crops([astronaut])
    analyzer._classifier._network = _Broken()
    (judged,) = analyzer.classify_crops([astronaut])
    assert analyzer.device == "cpu"
    np.testing.assert_allclose(judged.mask, expected.mask, atol=1e-3)
    assert "OpenVINO failed (Exception from src/infer_request.cpp:1)" in caplog.text
