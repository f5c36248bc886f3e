"""`gatecam setup`: a handful of questions, and the settings file that the answers give."""

from __future__ import annotations

import itertools
import sys
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from gatecam import app as parts
from gatecam.cli import setup
from gatecam.cli.main import app
from gatecam.errors import CameraError
from gatecam.live.sight import Sight
from gatecam.settings.loading import load
from gatecam.vision.fake import FakeAnalyzer
from tests.streams import MjpegServer

SEEN = ["/dev/v4l/by-id/usb-HD (HD Webcam (C270))", "/dev/video2 (Door cam)"]


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Answers the questions in a terminal, in an empty folder; every camera shows a small face."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(setup, "_has_terminal", lambda: True)
    monkeypatch.setattr(setup, "_look", lambda config: Sight(640, 480, 25.0, 0.45, 24, 1, ("none",)))
    monkeypatch.setattr("gatecam.capture.devices.cameras_seen", lambda: SEEN)

    def answer(*lines: str, words: tuple[str, ...] = ()):
        return CliRunner().invoke(app, ["setup", *words], input="".join(f"{line}\n" for line in lines))

    return answer


def config(tmp_path):
    return load(tmp_path / "config.yaml", {}).config


def test_a_usb_camera_is_chosen_by_its_number_and_tried_out(ask, tmp_path):
    ended = ask("1", "hall", "y", "ko", "y")
    assert ended.exit_code == 0, ended.output
    assert "1  /dev/v4l/by-id/usb-HD (HD Webcam (C270))" in ended.output
    assert "640 × 480, 25.0 frames/s, brightness 45 %, face 24 px" in ended.output
    assert "Faces are 24 px here: move the camera closer or choose the main stream." in ended.output
    written = config(tmp_path)
    assert (written.camera.source, written.camera.name) == ("/dev/v4l/by-id/usb-HD", "hall")
    assert (written.sound.voices, written.web.enabled) == (("ko",), True)
    assert (tmp_path / "config.yaml").stat().st_mode & 0o777 == 0o600
    assert "`sudo gatecam kiosk install --config config.yaml`" in ended.output  # else: the defaults


def test_a_network_camera_gets_a_login_that_is_not_printed(ask, tmp_path):
    ended = ask("rtsp://10.0.0.5/live", "admin", "p@ss", "entrance", "y", "both", "n")
    assert ended.exit_code == 0, ended.output
    assert "p@ss" not in ended.output
    assert "p%40ss" not in ended.output
    assert config(tmp_path).camera.source == "rtsp://admin:p%40ss@10.0.0.5/live"


def test_a_second_camera_is_added_beside_the_first_and_comments_stay(ask, tmp_path):
    (tmp_path / "config.yaml").write_text("camera: {source: '0', name: front}  # by the door\n")
    assert ask("2", "back", "y").exit_code == 0
    assert [one.camera.name for one in config(tmp_path).watched] == ["front", "back"]
    assert "# by the door" in (tmp_path / "config.yaml").read_text()


def test_a_camera_that_does_not_open_or_suit_is_asked_for_again(ask, tmp_path, monkeypatch):
    looks = iter([CameraError("camera x is off."), None, None])

    def look(config):
        if isinstance(found := next(looks), Exception):
            raise found
        return found

    monkeypatch.setattr(setup, "_look", look)
    ended = ask("9", "ftp://x", "entrance", "1", "a", "1", "b", "n", "2", "c", "y", "both", "n")
    assert ended.exit_code == 0, ended.output
    for said in (
        "There is no such number",
        "expected an index",
        "camera x is off",
        "gives no picture any more",
    ):
        assert said in ended.output
    assert config(tmp_path).camera.name == "c"


@pytest.mark.parametrize(("key", "code"), [(KeyboardInterrupt, 130), (EOFError, 1)])
def test_ctrl_c_at_a_question_ends_like_ctrl_c_anywhere_else(ask, monkeypatch, key, code):
    monkeypatch.setattr("typer._click.termui.visible_prompt_func", Mock(side_effect=key))
    monkeypatch.setattr(sys, "argv", ["gatecam", "setup"])
    with pytest.raises(SystemExit) as ended:
        app()
    assert ended.value.code == code


def test_where_nothing_can_be_written_no_question_is_asked(ask, tmp_path):
    ended = ask("1", words=("--config", "none/config.yaml"))
    assert f"{tmp_path / 'none'}: the settings cannot be written there" in str(ended.exception)
    assert "Camera" not in ended.output


def test_a_camera_is_watched_for_a_moment(monkeypatch, make_face):
    monkeypatch.setattr(
        parts, "build_analyzer", lambda *asked: FakeAnalyzer(itertools.repeat([make_face(30, 20, 20)]))
    )
    monkeypatch.setattr(setup, "LOOK_S", 0.3)
    with MjpegServer() as server:
        from gatecam.settings.schema import CameraConfig, Config

        sight = setup._look(Config(camera=CameraConfig(source=server.url)))
    assert sight is not None
    assert (sight.width, sight.height, sight.face_px) == (64, 48, 20)


def test_without_a_terminal_one_sentence_says_what_to_do(gatecam):
    ended = gatecam("setup")
    assert (ended.code, ended.out) == (2, "")
    assert "gatecam setup asks questions, so it needs a terminal" in ended.err
