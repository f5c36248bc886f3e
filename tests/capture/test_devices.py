"""Names of cameras: lists, links that stay, and sentences about what cannot be a camera."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatecam.capture.devices import cameras_seen, require_camera, stable_source
from gatecam.errors import CameraError


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """Three cameras: video2 with a link by id, video3 that is its metadata, video10 without a link."""
    for device, index, name in [
        ("video10", "0", "Dome"),
        ("video2", "0", "HD Webcam"),
        ("video3", "1", "meta"),
    ]:
        listed = tmp_path / "sys/class/video4linux" / device
        listed.mkdir(parents=True)
        (listed / "index").write_text(index + "\n")
        (listed / "name").write_text(name + "\n")
    links = tmp_path / "dev/v4l/by-id"
    links.mkdir(parents=True)
    for device in ("video2", "video3", "video10"):
        (tmp_path / "dev" / device).touch()
    for link, device in [("usb-HD-index0", "video2"), ("usb-HD-index1", "video3"), ("usb-gone", "video7")]:
        (links / link).symlink_to(f"../../{device}")
    return tmp_path


def test_cameras_are_listed_with_their_names(system):
    stable = system / "dev/v4l/by-id/usb-HD-index0"
    assert cameras_seen(system) == [f"{stable} (HD Webcam)", f"{system}/dev/video10 (Dome)"]
    assert cameras_seen(system / "elsewhere") == []


@pytest.mark.parametrize("source", ["2", "02", "/dev/video2"])
def test_a_numbered_camera_is_found_by_its_link(system, source):
    assert stable_source(source, system) == str(system / "dev/v4l/by-id/usb-HD-index0")


def test_after_a_replug_the_link_leads_to_the_camera_with_its_new_number(system):
    chosen = stable_source("2", system)
    link = Path(chosen)
    link.unlink()
    link.symlink_to("../../video10")
    assert stable_source(chosen, system) == chosen
    assert Path(chosen).resolve().name == "video10"


@pytest.mark.parametrize("source", ["10", "7", "/dev/video10", "/dev/door", "http://video2", "rtsp://a/2"])
def test_what_has_no_link_keeps_its_name(system, source):
    assert stable_source(source, system) == source


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("/dev/video-none", "no such camera"),
        ("99", "/dev/video99: there is no such camera"),
        ("door.mp4", "gatecam replay"),
        ("ftp://user:secret@host/a", "expected an index"),
    ],
)
def test_what_cannot_be_a_camera_is_refused_in_a_sentence(source, sentence, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(CameraError, match=sentence) as caught:
        require_camera(source)
    assert "secret" not in str(caught.value)


def test_an_address_is_not_looked_for():
    require_camera("RTSP://camera.invalid/live")
