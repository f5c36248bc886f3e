"""Builders that several rooms' tests share, as fixtures."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# Torch on one thread: small pictures gain nothing from more, and tests run side by side. OpenMP reads it when
# torch is loaded, here and in the programs that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from filelock import FileLock

from gatecam.capture.images import read_image
from gatecam.labels import MASK_LABELS
from gatecam.types import Box, Detection, Face, Floats, Image, Looks, Prediction, Track, Verdict
from gatecam.vision.looks import WEIGHTS

# OpenVINO reports each network that it converts to its maker, from a forked process that takes seconds.
# gatecam keeps it from that, but not where a test imports it first.
sys.modules.setdefault("openvino_telemetry", None)

MakeFace = Callable[..., Face]
MakeTrack = Callable[..., Track]
Color = tuple[float, float, float]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Keep what a report holds of a test's output in UTF-8: a worker cannot send surrogates."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory) -> Iterator[None]:
    """Keep gatecam's data, sockets and locks in folders of the tests, also for the programs that they start.

    So tests that run side by side do not meet at the lock of a camera, nor with a gatecam of the developer's.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATA_HOME", "RUNTIME_DIR"):
            patch.setenv(f"XDG_{name}", str(tmp_path_factory.mktemp("xdg")))
        yield


@pytest.fixture(scope="session", autouse=True)
def same_precision() -> Iterator[None]:
    """Let `device: auto` compute in float32, so that tests do not depend on a measurement."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gatecam.vision.precision._possible", lambda has_int8: ["float32"])
        yield


@pytest.fixture(scope="session", autouse=True)
def stock_graphs_without_a_process() -> Iterator[None]:
    """Make the graphs of the stock networks in this process, where torch is mostly loaded already."""

    def made() -> bytes:
        from gatecam.vision.stock_graphs import stock_graphs

        return stock_graphs().encode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gatecam.vision.detector.stock_compiled._made_graphs", made)
        yield


@pytest.fixture
def no_umask() -> Iterator[None]:
    """A user who lets others read and write all that his programs make."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def make_face() -> MakeFace:
    """Builds a face from its middle, side and mask state, with probability `sure` for that state."""

    def build(
        x: float = 100,
        y: float = 100,
        side: float = 80,
        mask: str = "none",
        sure: float = 0.95,
        score: float = 0.99,
        landmarks: Floats | None = None,
        looks: Looks | None = None,
    ) -> Face:
        probabilities = np.full(3, (1 - sure) / 2, np.float32)
        probabilities[MASK_LABELS.index(mask)] = sure
        box = Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        gender, age = np.full(2, 1 / 2, np.float32), np.full(3, 1 / 3, np.float32)
        return Face(Detection(box, score, landmarks), Prediction(probabilities, gender, age), looks=looks)

    return build


@pytest.fixture
def make_looks() -> Callable[[Color], Looks]:
    """Builds the looks of a person in clothes of one color (CIE Lab), before a gray wall."""

    def build(clothes: Color) -> Looks:
        colors = np.tile(np.float32(clothes), (*WEIGHTS.shape, 1))
        colors[:3] = (60, 0, 0)
        return Looks(colors, WEIGHTS)

    return build


@pytest.fixture
def make_track() -> MakeTrack:
    """Builds a track from its id, verdict, and the middle and side of its box."""

    def build(
        track_id: int = 1,
        verdict: Verdict = Verdict.NONE,
        x: float = 100,
        y: float = 100,
        side: float = 80,
        missing_s: float = 0.0,
        probability: float = 0.9,
        looks: Looks | None = None,
    ) -> Track:
        box = Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        return Track(
            track_id, box, 3, 0.1, verdict, probability=probability, missing_s=missing_s, looks=looks
        )

    return build


@pytest.fixture(scope="session")
def astronaut() -> Image:
    """A portrait, (512, 512, 3), read-only, with one bare face near (224, 116) that is some 90 px wide."""
    image = read_image(Path(__file__).parent / "data" / "astronaut.png")
    image.flags.writeable = False
    return image


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """The clip of `make demo`: a visitor comes without a mask, puts it on wrong, then right. Only read it.

    It takes seconds to draw, so that workers side by side share one.
    """
    from tests.clips import write_demo

    folder = tmp_path_factory.getbasetemp()
    path = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "clip.mp4"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            write_demo(path)
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of training data and clips, which most machines do not have."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data folder is not here")
    return folder
