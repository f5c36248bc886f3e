"""Settings that change while gatecam runs: when they are read again, and what holds at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gatecam.errors import ConfigError
from gatecam.live.page_settings import differences, lines_of, page_edits, page_settings
from gatecam.live.reload import ConfigWatch, _is_live, changes, merged
from gatecam.settings.fields import leaves
from gatecam.settings.loading import load
from gatecam.settings.saving import edited
from gatecam.settings.schema import CameraEntry, Config


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("policy: {remind_s: 10}")
    return path


def save(path: Path, text: str, at_s: int) -> None:
    path.write_text(text)
    os.utime(path, (at_s, at_s))


def test_a_saved_file_is_read_once_it_stays_the_same(file):
    watch = ConfigWatch(load(file, {}), 0.0)
    assert watch.poll(1.0) is None
    save(file, "policy: {remind_s: 20}", 100)
    assert watch.poll(1.5) is None, "looked at a moment ago"
    assert watch.poll(2.1) is None, "perhaps half written"
    config = watch.poll(3.2)
    assert isinstance(config, Config)
    assert config.policy.remind_s == 20
    assert watch.poll(9.0) is None


def test_when_asked_it_is_read_at_once_saved_or_not(file):
    watch = ConfigWatch(load(file, {}), 0.0)
    watch.ask()
    assert isinstance(watch.poll(0.1), Config)
    assert watch.poll(0.2) is None


@pytest.mark.parametrize("text", ["policy: {remind_s: soon}", "{", None])
def test_a_broken_file_is_told_once(file, text):
    watch = ConfigWatch(load(file, {}), 0.0)
    if text is None:
        file.unlink()
    else:
        save(file, text, 100)
    assert watch.poll(1.1) is None
    assert isinstance(watch.poll(2.2), ConfigError)
    assert [watch.poll(float(second)) for second in range(4, 9)] == [None] * 5


def test_without_a_file_there_is_nothing_to_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    watch = ConfigWatch(load(None, {}), 0.0)
    watch.ask()
    assert watch.poll(5.0) is None


def settings(**groups) -> Config:
    return Config.model_validate(groups)


def test_what_differs_is_told_with_what_needs_a_restart():
    after = settings(device="cpu", policy={"remind_s": 5.0}, detector={"min_face_px": 40, "weights": "stock"})
    found = changes(Config(), after)
    assert set(found.live) == {"policy.remind_s", "detector.min_face_px"}
    assert set(found.restart) == {"device", "detector.weights"}
    assert str(found) == (
        "settings applied: detector.min_face_px, policy.remind_s; "
        "restart gatecam for device, detector.weights"
    )
    assert str(changes(Config(), Config())) == "settings read again: nothing has changed"
    now = merged(Config(), after)
    assert (now.device, now.detector.weights) == ("auto", "gatecam-mtcnn")
    assert (now.policy.remind_s, now.detector.min_face_px) == (5, 40)


def test_cameras_come_and_go_and_change_while_gatecam_runs():
    one = CameraEntry(name="a", source="0", fps=10.0)
    moved = CameraEntry(name="a", source="0", fps=20.0, min_face_px=50)
    before, after = Config(cameras=(one,)), Config(cameras=(moved,))
    assert changes(before, after).live == ("cameras.0.fps", "cameras.0.min_face_px")
    assert merged(before, after).watched[0].detector.min_face_px == 50
    other = Config(camera={"width": 1280}, cameras=(CameraEntry(name="b", source="0"),))
    assert merged(before, other) == other
    assert str(changes(before, other)) == "settings applied: camera.width, cameras"
    assert not changes(before, other).restart


def test_pictures_that_a_running_output_sends_cannot_be_turned_off_in_between():
    kept = {"snapshots": True, "keep_days": 3}
    sending = settings(evidence=kept, mqtt={"host": "broker.example", "snapshots": True})
    off = settings(mqtt={"host": "broker.example"})
    assert changes(settings(evidence=kept), off).live == ("evidence.snapshots", "evidence.keep_days")
    assert changes(sending, off).restart == ("evidence.snapshots", "evidence.keep_days", "mqtt.snapshots")
    assert merged(sending, off) == sending
    assert merged(settings(evidence=kept), Config()) == Config()


@pytest.mark.parametrize("name", page_settings(Config()))
def test_every_setting_of_the_page_has_its_meaning_and_holds_at_once(name):
    one = page_settings(Config())[name]
    assert one["help"]
    assert one["value"] == one["default"] or one["value"] is one["default"] is None
    given = not one["value"] if one["kind"] == "bool" else one["high"]
    other = {"detector.door_width_m": "door_distance_m", "detector.door_distance_m": "door_width_m"}.get(name)
    more: dict[str, object] = {f"detector.{other}": 2.0} if other else {}
    if name.startswith("evidence.clip"):
        more = {"evidence.snapshots": True}
    changed = edited(Config(), page_edits({name: int(given) if one["kind"] == "int" else given, **more}))
    assert page_settings(changed)[name]["value"] == given
    assert not changes(Config(), changed).restart
    assert {change.name for change in differences(Config(), changed)} == {name, *more}


def test_every_setting_that_applies_at_once_is_on_the_page_or_drawn_on_the_picture():
    names = {".".join(key) for key, _ in leaves() if key[0] != "replay"}
    live = {name for name in names if _is_live(name, Config(), Config())}
    drawn, of_one = {"detector.region", "detector.ignore"}, {"source", "name", "width", "height"}
    for_the_file = {"camera.rtsp_transport", "camera.other_hosts"}
    expected = drawn | {f"camera.{key}" for key in of_one} | for_the_file
    assert live - set(page_settings(Config())) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"web.host": 0.0}, "'web.host': expected one of camera.fps"),
        ({"command.run": None}, "'command.run': expected one of"),
        ({"detector.region": None}, "'detector.region': expected one of"),
        ({"x" * 10_000: 1.0}, "expected one of"),
        ({"tracker.confidence": 2.0}, "tracker.confidence: expected 0.34 to 0.999, got 2.0"),
        ({"tracker.confidence": float("nan")}, "got nan"),
        ({"tracker.confidence": True}, "got true"),
        ({"detector.door_width_m": 2.0}, "needs door_distance_m as well"),
    ],
)
def test_no_other_setting_can_be_changed_so(values, expected):
    with pytest.raises(ConfigError) as caught:
        edited(Config(), page_edits(values))
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 800


def test_a_change_names_the_camera_and_no_password():
    one = CameraEntry(name="a", source="rtsp://u:s3cret@10.0.0.5/live")
    before = Config(cameras=(one,))
    edits = {("cameras", "a", "region"): (0.0, 0.0, 0.5, 1.0), ("cameras", "b"): {"name": "b", "source": "1"}}
    changed = [str((it.name, it.before, it.after)) for it in differences(before, edited(before, edits))]
    assert changed == [
        "('cameras.a.region', '', '[0.0, 0.0, 0.5, 1.0]')",
        "('cameras.b.source', '', \"'1'\")",
        "('cameras.b.name', '', 'b')",
    ]
    secret = {("cameras", "a", "source"): "rtsp://u:other@10.0.0.5/live"}
    (login,) = differences(before, edited(before, secret))
    assert (login.before, login.after) == ("rtsp://***@10.0.0.5/live",) * 2, "a new password is noted too"
    told = differences(Config(), before)
    assert ("cameras.a.source", "", "rtsp://***@10.0.0.5/live") in [
        (it.name, it.before, it.after) for it in told
    ]
    source = {("camera", "source"): "rtsp://u:s3cret@10.0.0.5/live"}
    assert lines_of(source) == "camera: {source: rtsp://***@10.0.0.5/live}"
