"""The command line in this process, on tiny videos and pictures, with an analyzer that follows a script."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from gatecam.cli import main as cli
from gatecam.pictures.video import VideoWriter
from gatecam.runtime.logs import set_up
from gatecam.types import Face, Image
from gatecam.vision.fake import FakeAnalyzer
from tests.finder import FakeFinder

WIDTH, HEIGHT, FPS = 128, 96, 25.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it said."""

    code: int | str | None
    out: str
    err: str


RunGatecam = Callable[..., Ended]
MakeVideo = Callable[..., Path]
Analyze = Callable[[Iterable[Sequence[Face]]], FakeAnalyzer]


@pytest.fixture
def gatecam(monkeypatch, capsys, tmp_path) -> RunGatecam:
    """Runs a command in `tmp_path` without any settings from outside, and silent."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GATECAM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GATECAM_NOTIFY_SOUND", "false")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("gatecam.runtime.folders.SERVICE_STATE", tmp_path / "no-service")
    monkeypatch.delenv("DISPLAY", raising=False)

    def run(*words: str | Path) -> Ended:
        set_up()  # says what other tests' words were left out
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["gatecam", *map(str, words)])
        code: int | str | None = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run


@pytest.fixture
def analyze(monkeypatch) -> Analyze:
    """Makes every command use a `FakeAnalyzer` of the script, which it returns.

    What is blurred are that one's faces alone.
    """

    def script(faces: Iterable[Sequence[Face]]) -> FakeAnalyzer:
        analyzer, finder = FakeAnalyzer(faces), FakeFinder()
        monkeypatch.setattr("gatecam.app.build_analyzer", lambda *parts: analyzer)
        monkeypatch.setattr("gatecam.app.build_finder", lambda *parts, **options: finder)
        return analyzer

    return script


@pytest.fixture
def bare_face(make_face) -> Face:
    """A face without a mask in the middle of the test videos."""
    return make_face(x=WIDTH / 2, y=HEIGHT / 2, side=40)


@pytest.fixture
def without_mask(analyze, bare_face) -> FakeAnalyzer:
    """Every command sees one person without a mask in every picture."""
    return analyze(itertools.repeat([bare_face]))


def picture(seed: int = 0) -> Image:
    """Blocks of 4 px in greys of chance: lossy coding keeps them, blurring does not."""
    blocks = np.random.default_rng(seed).integers(0, 256, (HEIGHT // 4, WIDTH // 4, 1), np.uint8)
    return blocks.repeat(4, axis=0).repeat(4, axis=1).repeat(3, axis=2)


@pytest.fixture
def make_video(tmp_path) -> MakeVideo:
    """Writes a video of some frames: one picture, or each another one."""

    def make(name: str, frames: int = 30, still: bool = True) -> Path:
        path = tmp_path / name
        with VideoWriter(path, FPS) as writer:
            for index in range(frames):
                writer.write(picture(0 if still else index), index / FPS)
        return path

    return make


@pytest.fixture
def save_picture(tmp_path) -> Callable[..., Path]:
    """Saves a picture, of `picture()` unless it is given."""

    def save(name: str, image: PIL.Image.Image | None = None, **options) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (image or PIL.Image.fromarray(picture())).save(path, **options)
        return path

    return save
