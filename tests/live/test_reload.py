"""Settings that change while gatecam runs: when they are read again, and what holds at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gatecam.errors import ConfigError
from gatecam.live.reload import PAGE_SETTINGS, ConfigWatch, changes, live_settings, merged, with_setting
from gatecam.settings.loading import load
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


def test_the_places_of_several_cameras_change_while_they_run_and_their_sources_do_not():
    one = CameraEntry(name="a", source="0", fps=10.0)
    moved = CameraEntry(name="a", source="0", fps=20.0, min_face_px=50)
    before, after = Config(cameras=(one,)), Config(cameras=(moved,))
    found = changes(before, after)
    assert (found.live, found.restart) == (("cameras.0.min_face_px",), ("cameras.0.fps",))
    assert merged(before, after).watched[0].detector.min_face_px == 50
    other = Config(cameras=(CameraEntry(name="b", source="0"),))
    assert merged(before, other).cameras == (one,)
    assert "cameras.0.name" in changes(before, other).restart


def test_key_frames_cannot_be_switched_on_and_off_in_between():
    off, every = settings(detector={"detect_every": 1}), settings(detector={"detect_every": 5})
    assert changes(Config(), every).live == ("detector.detect_every",)
    assert changes(Config(), off).restart == ("detector.detect_every",)
    assert merged(Config(), off).detector.detect_every == 10
    assert merged(Config(), every).detector.detect_every == 5


def test_the_settings_of_the_page_are_within_bounds_and_hold_at_once():
    settings = live_settings(Config())
    assert set(settings) == set(PAGE_SETTINGS)
    for name, one in settings.items():
        assert one["low"] <= one["value"] <= one["high"]
        changed = with_setting(Config(), name, one["high"])
        assert live_settings(changed)[name]["value"] == one["high"]
        assert not changes(Config(), changed).restart, name


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("web.host", 0.0, "'web.host': expected one of tracker.confidence"),
        ("tracker.confidence", 2.0, "Minimum confidence: expected 0.34 to 0.999, got 2"),
        ("tracker.confidence", float("nan"), "got nan"),
        ("x" * 10_000, 1.0, "expected one of"),
    ],
)
def test_no_other_setting_can_be_changed_so(name, value, expected):
    with pytest.raises(ConfigError) as caught:
        with_setting(Config(), name, value)
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 300
