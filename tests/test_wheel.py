"""The wheel holds all that gatecam needs, and its weights are found from wherever it is unpacked."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation"]
    options = ["--quiet", "--no-index", "--disable-pip-version-check", "--wheel-dir", str(folder)]
    subprocess.run([*command, *options], check=True, cwd=folder, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_weights_font_and_licences_and_no_tests(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for name in (
        "gatecam/__main__.py",
        "gatecam/models/gatecam-faces.safetensors",
        "gatecam/models/gatecam-faces.json",
        "gatecam/assets/fonts/NanumSquareB.ttf",
        "gatecam/assets/fonts/OFL.txt",
    ):
        assert names.count(name) == 1
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"gatecam"}
    assert not [name for name in names if "test_" in name or "tests/" in name]
    assert not [name for name in names if name.endswith((".pyc", ".yaml"))]


@pytest.mark.slow
def test_an_unpacked_wheel_finds_whole_weights_and_font_from_another_folder(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    (tmp_path / "elsewhere").mkdir()
    code = """
from gatecam.pictures.draw import FONT_PATH
from gatecam.vision.weights import find_weights, load_weights, verify_all
path = find_weights("gatecam-faces")
load_weights(path)
assert [status.ok for status in verify_all()] == 4 * [True], verify_all()
assert FONT_PATH.is_file()
print(path)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "elsewhere",
        env={**os.environ, "PYTHONPATH": str(tmp_path / "unpacked")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = Path(done.stdout.strip())
    assert found == tmp_path / "unpacked/gatecam/models/gatecam-faces.safetensors"
