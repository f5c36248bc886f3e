"""Ignored places in the settings file: the new ones are there, and everything else is as it was."""

from __future__ import annotations

import difflib

import pytest

from gatecam.errors import ConfigError
from gatecam.settings.loading import load
from gatecam.settings.saving import save_ignored, with_ignored
from gatecam.settings.schema import CameraEntry, Config
from gatecam.settings.text import to_yaml

PLACE = (0.1, 0.2, 0.3, 0.4)
NEW = "ignore: [[0.1, 0.2, 0.3, 0.4]]"

SINGLE = """\
# mine
detector:  # the cascade
  # small
  min_face_px: 40  # enough

# the pages
web: {enabled: true}  # always
"""
SEVERAL = """\
cameras:
  # front
  - name: front  # in the hall
    source: '0'
    region: null

  # back
  - {name: back, source: rtsp://192.0.2.7/x}  # by the yard
web:
    port: 0x2256
"""


def difference(before: str, after: str) -> list[str]:
    """Return the lines that went, with a minus, and those that came, with a plus."""
    found = difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True))
    return [line for line in found if line[0] in "+-"]


@pytest.mark.parametrize(
    ("text", "camera", "lines"),
    [
        (SINGLE, "entrance", [f"+   {NEW}\n"]),
        (SEVERAL, "front", [f"+     {NEW}\n"]),
        (
            SEVERAL,
            "back",
            [
                "-   - {name: back, source: rtsp://192.0.2.7/x}  # by the yard\n",
                f"+   - {{{NEW}, name: back, source: rtsp://192.0.2.7/x}}  # by the yard\n",
            ],
        ),
        ("", "entrance", ["+ detector:\n", f"+   {NEW}\n"]),
        ("# none yet", "entrance", ["- # none yet", "+ # none yet\n", "+ detector:\n", f"+   {NEW}\n"]),
        ("web: {}\n", "entrance", ["+ detector:\n", f"+   {NEW}\n"]),
        ("web: {}\r\n", "entrance", ["+ detector:\r\n", f"+   {NEW}\r\n"]),
        ("detector:\n  # min_face_px: 12\nweb: {}\n", "entrance", [f"+   {NEW}\n"]),
        (
            "detector: null # x\n",
            "entrance",
            ["- detector: null # x\n", "+ detector:  # x\n", f"+   {NEW}\n"],
        ),
        ("detector: &x {}\n", "entrance", ["- detector: &x {}\n", f"+ detector: &x {{{NEW}}}\n"]),
        ("detector: {}\n", "entrance", ["- detector: {}\n", f"+ detector: {{{NEW}}}\n"]),
        ("detector:\n  ignore: [] # x\n", "entrance", ["-   ignore: [] # x\n", f"+   {NEW} # x\n"]),
        (
            "detector:\n  ignore:\n  # poster\n  - [0, 0, 1, 0.5]\n  # next\n  region: null\n",
            "entrance",
            ["-   - [0, 0, 1, 0.5]\n", "+     [[0.1, 0.2, 0.3, 0.4]]\n"],
        ),
    ],
)
def test_only_the_line_of_the_ignored_places_changes(text, camera, lines, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_bytes(text.encode())
    before = load(file, {}).config
    save_ignored(file, camera, (PLACE,))
    after = file.read_bytes().decode()
    assert difference(text, after) == lines
    config = load(file, {}).config
    assert config.watched == with_ignored(before, camera, (PLACE,)).watched
    assert {one.camera.name: one.detector.ignore for one in config.watched}[camera] == (PLACE,)
    save_ignored(file, camera, ())
    assert all(one.detector.ignore == () for one in load(file, {}).config.watched)


def test_all_comments_of_the_whole_file_stay(tmp_path):
    file = tmp_path / "config.yaml"
    text = to_yaml(Config())
    file.write_text(text)
    save_ignored(file, "entrance", (PLACE, (0.5, 0.5, 0.75, 1.0)))
    assert difference(text, file.read_text()) == [
        "-   ignore: []\n",
        "+   ignore: [[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.75, 1.0]]\n",
    ]
    save_ignored(file, "entrance", ())
    assert file.read_text() == text


@pytest.mark.parametrize(
    "text",
    [
        "{web: {enabled: true}}",
        "web: {}\n...\n",
        "cameras: [&a {name: a, source: '0'}, {<<: *a, name: b, source: '1'}]",
    ],
)
def test_a_file_that_would_change_otherwise_is_left_alone(text, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    camera = load(file, {}).config.watched[0].camera.name
    with pytest.raises(ConfigError, match="edit it yourself"):
        save_ignored(file, camera, (PLACE,))
    assert file.read_text() == text


def test_a_value_of_the_environment_is_not_saved_in_vain(tmp_path, monkeypatch):
    file = tmp_path / "config.yaml"
    file.write_text(SINGLE)
    monkeypatch.setenv("GATECAM_DETECTOR_IGNORE", "0, 0, 0.5, 0.5")
    with pytest.raises(ConfigError, match="edit it yourself"):
        save_ignored(file, "entrance", (PLACE,))
    assert file.read_text() == SINGLE


def test_a_file_without_the_camera_is_left_alone(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(SEVERAL)
    with pytest.raises(ConfigError, match="has no camera side"):
        save_ignored(file, "side", (PLACE,))


def test_a_link_to_the_file_stays_a_link(tmp_path):
    file, link = tmp_path / "own.yaml", tmp_path / "config.yaml"
    file.write_text(SINGLE)
    file.chmod(0o640)
    link.symlink_to(file)
    save_ignored(link, "entrance", (PLACE,))
    assert link.is_symlink()
    assert NEW in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_camera_among_several_keeps_the_common_places_beside_its_own():
    one = CameraEntry(name="a", source="0")
    config = Config(cameras=(one, CameraEntry(name="b", source="1")), detector={"ignore": (PLACE,)})
    other = (0.5, 0.5, 1.0, 1.0)
    first, second = with_ignored(config, "a", (PLACE, other)).watched
    assert (first.detector.ignore, second.detector.ignore) == ((PLACE, other), (PLACE,))
