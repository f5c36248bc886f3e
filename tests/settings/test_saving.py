"""Changes in the settings file: the new values are there, and everything else is as it was."""

from __future__ import annotations

import difflib
import errno
import os
from unittest.mock import Mock

import pytest

from gatecam.errors import ConfigError, OutputError
from gatecam.settings.loading import load
from gatecam.settings.saving import OverriddenError, camera_key, edited, save
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


def save_places(file, camera: str, places) -> None:
    save(file, {camera_key(load(file, {}).config, camera, "ignore"): places})


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
                f"+   - {{name: back, source: rtsp://192.0.2.7/x, {NEW}}} # by the yard\n",
            ],
        ),
        ("", "entrance", ["+ detector:\n", f"+   {NEW}\n"]),
        ("# none yet", "entrance", ["- # none yet", "+ # none yet\n", "+ detector:\n", f"+   {NEW}\n"]),
        ("web: {}\n", "entrance", ["+ detector:\n", f"+   {NEW}\n"]),
        ("web: {}\r\n", "entrance", ["+ detector:\r\n", f"+   {NEW}\r\n"]),
        ("# mine\n--- # now\nweb: {}\n", "entrance", ["+ detector:\n", f"+   {NEW}\n"]),
        ("policy:\n  # remind_s: 20\nweb: {}\n", "entrance", ["+ detector:\n", f"+   {NEW}\n"]),
        ("detector:\n  # min_face_px: 12\nweb: {}\n", "entrance", [f"+   {NEW}\n"]),
        (
            "detector: null # x\n",
            "entrance",
            ["- detector: null # x\n", "+ detector:      # x\n", f"+   {NEW}\n"],
        ),
        ("detector: &x {}\n", "entrance", ["- detector: &x {}\n", "+ detector:\n", f"+   {NEW}\n"]),
        ("detector: {}\n", "entrance", ["- detector: {}\n", "+ detector:\n", f"+   {NEW}\n"]),
        ("detector:\n  ignore: [] # x\n", "entrance", ["-   ignore: [] # x\n", f"+   {NEW} # x\n"]),
        (
            "detector:\n  ignore:\n  # poster\n  - [0, 0, 1, 0.5]\n  # next\n  region: null\n",
            "entrance",
            ["-   - [0, 0, 1, 0.5]\n", "+   - [0.1, 0.2, 0.3, 0.4]\n"],
        ),
    ],
)
def test_only_the_line_of_the_ignored_places_changes(text, camera, lines, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_bytes(text.encode())
    before = load(file, {}).config
    save_places(file, camera, (PLACE,))
    after = file.read_bytes().decode()
    assert difference(text, after) == lines
    config = load(file, {}).config
    assert config.watched == edited(before, {camera_key(before, camera, "ignore"): (PLACE,)}).watched
    assert {one.camera.name: one.detector.ignore for one in config.watched}[camera] == (PLACE,)
    save_places(file, camera, ())
    assert all(one.detector.ignore == () for one in load(file, {}).config.watched)


def test_all_comments_of_the_whole_file_stay(tmp_path):
    file = tmp_path / "config.yaml"
    text = to_yaml(Config())
    file.write_text(text)
    save_places(file, "entrance", (PLACE, (0.5, 0.5, 0.75, 1.0)))
    assert difference(text, file.read_text()) == [
        "-   ignore: []\n",
        "+   ignore: [[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.75, 1.0]]\n",
    ]
    save_places(file, "entrance", ())
    assert file.read_text() == text


def test_a_file_that_would_change_otherwise_is_left_alone(tmp_path):
    file = tmp_path / "config.yaml"
    text = "cameras: [&a {name: a, source: '0'}, {<<: *a, name: b, source: '1'}]"
    file.write_text(text)
    camera = load(file, {}).config.watched[0].camera.name
    with pytest.raises(ConfigError, match="edit it yourself"):
        save_places(file, camera, (PLACE,))
    assert file.read_text() == text


def test_a_value_of_the_environment_is_not_saved_in_vain(tmp_path, monkeypatch):
    file = tmp_path / "config.yaml"
    file.write_text(SINGLE)
    monkeypatch.setenv("GATECAM_DETECTOR_IGNORE", "0, 0, 0.5, 0.5")
    with pytest.raises(OverriddenError, match="GATECAM_DETECTOR_IGNORE sets this: remove that variable"):
        save_places(file, "entrance", (PLACE,))
    assert file.read_text() == SINGLE


def test_a_file_without_the_camera_is_left_alone(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(SEVERAL)
    with pytest.raises(ConfigError, match="there is no camera side"):
        save(file, {("cameras", "side", "ignore"): (PLACE,)})


def test_a_link_to_the_file_stays_a_link(tmp_path):
    file, link = tmp_path / "own.yaml", tmp_path / "config.yaml"
    file.write_text(SINGLE)
    file.chmod(0o640)
    link.symlink_to(file)
    save_places(link, "entrance", (PLACE,))
    assert link.is_symlink()
    assert NEW in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_camera_among_several_keeps_the_common_places_beside_its_own():
    one = CameraEntry(name="a", source="0")
    config = Config(cameras=(one, CameraEntry(name="b", source="1")), detector={"ignore": (PLACE,)})
    other = (0.5, 0.5, 1.0, 1.0)
    first, second = edited(config, {("cameras", "a", "ignore"): (PLACE, other)}).watched
    assert (first.detector.ignore, second.detector.ignore) == ((PLACE, other), (PLACE,))


NEW_CAMERA = {"name": "on", "source": "rtsp://u:p%40@10.0.0.5/live", "region": [0, 0, 0.5, 1]}
NEW_LINES = ["- name: 'on'\n", "  source: rtsp://u:p%40@10.0.0.5/live\n", "  region: [0, 0, 0.5, 1]\n"]


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("cameras:\n- name: a\n  source: '0'\n\n# the pages\nweb: {}\n", 0),
        (SEVERAL, 2),
        ("cameras:\n  - {name: a, source: '0'}", 2),
        ("# none yet\n", None),
        (to_yaml(Config()), None),
    ],
)
def test_a_new_camera_is_written_below_the_last_one_and_is_removed_without_a_trace(text, column, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    save(file, {("cameras", "on"): NEW_CAMERA})
    lines = [f"+ {' ' * (2 if column is None else column)}{line}" for line in NEW_LINES]
    added = difference(text, file.read_text())
    assert [line for line in added if line in lines] == lines
    assert [line for line in added if "#" in line] == []
    assert load(file, {}).config.cameras[-1].source == "rtsp://u:p%40@10.0.0.5/live"
    if column is not None:
        save(file, {("cameras", "on"): None})
        assert file.read_text().rstrip("\n") == text.rstrip("\n")


def test_a_removed_camera_leaves_the_comments_of_the_others(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(SEVERAL)
    save(file, {("cameras", "front"): None})
    assert difference(SEVERAL, file.read_text()) == [
        "-   - name: front  # in the hall\n",
        "-     source: '0'\n",
        "-     region: null\n",
    ]


def test_several_values_of_several_sections_are_written_together(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(SEVERAL)
    save(
        file, {("policy", "remind_s"): 20, ("privacy", "blur_door"): False, ("cameras", "back", "name"): "no"}
    )
    config = load(file, {}).config
    assert (config.policy.remind_s, config.privacy.blur_door, config.cameras[1].name) == (20, False, "no")
    assert [line for line in difference(SEVERAL, file.read_text()) if line[0] == "-"] == [
        "-   - {name: back, source: rtsp://192.0.2.7/x}  # by the yard\n"
    ]


def test_a_file_that_does_not_exist_is_created_for_its_owner_alone(tmp_path):
    file = tmp_path / "config.yaml"
    save(file, {("policy", "remind_s"): 20}, is_new=True)
    assert file.read_text() == "policy:\n  remind_s: 20\n"
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(OutputError, match="File exists"):
        save(file, {("policy", "remind_s"): 30}, is_new=True)


def test_a_file_that_cannot_be_begun_is_not_left_behind_empty(tmp_path, monkeypatch):
    monkeypatch.setenv("GATECAM_POLICY_REMIND_S", "20")
    file = tmp_path / "config.yaml"
    with pytest.raises(OverriddenError):
        save(file, {("policy", "remind_s"): 30.0}, is_new=True)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", Mock(side_effect=OSError(errno.ENOSPC, "no space left")))
        with pytest.raises(OutputError, match="no space left"):
            save(file, {("policy", "cooldown_s"): 5.0}, is_new=True)
    assert list(tmp_path.iterdir()) == []
    save(file, {("policy", "cooldown_s"): 5.0}, is_new=True)
    assert file.read_text() == "policy:\n  cooldown_s: 5.0\n"


DASHES = (
    "cameras:\n  -  # front - left\n    name: front\n    source: '0'\n  -\n    name: back\n    source: '1'\n"
)


def test_cameras_whose_dashes_stand_alone_can_be_changed(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(DASHES)
    save(file, {("cameras", "side"): {"name": "side", "source": "2"}, ("policy", "remind_s"): 20.0})
    assert [one.name for one in load(file, {}).config.cameras] == ["front", "back", "side"]
    assert "# front - left" in file.read_text()
    for text in (DASHES, file.read_text()):
        file.write_text(text)
        save(file, {("cameras", "front"): None})
        assert load(file, {}).config.cameras[0].name == "back"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (("policy", "remind_s"), 0.5, "policy.remind_s: expected 1 to 3600, got 0.5"),
        (("tracker", "min_hits"), 2.5, "tracker.min_hits: expected a whole number 1 to 100, got 2.5"),
        (
            ("detector", "door_width_m"),
            2.0,
            "detector.door_width_m: needs door_distance_m as well, give both",
        ),
        (
            ("cameras", "b"),
            {"name": "b", "source": "ftp://u:s3cret@x"},
            "cameras.0.source: expected an index",
        ),
    ],
)
def test_a_wrong_value_is_told_with_what_was_expected_and_without_a_password(key, value, said):
    with pytest.raises(ConfigError) as caught:
        edited(Config(), {key: value})
    assert str(caught.value).startswith(said)
    assert "s3cret" not in str(caught.value)
