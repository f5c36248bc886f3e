"""Network cameras are found with their streams, and none leads anywhere else."""

from __future__ import annotations

import ipaddress
import sys
from socket import AF_INET

import pytest

pytest.importorskip("onvif")
pytest.importorskip("wsdiscovery")

from gatecam.capture.onvif import FoundCamera, Stream, discover, streams
from gatecam.errors import CameraError, MissingExtraError
from tests.capture.onvif_camera import OnvifCamera
from tests.streams import free_port


def test_a_camera_is_found_by_its_name(monkeypatch):
    loopback = [ipaddress.ip_address("127.0.0.1")]  # no packet leaves this machine
    monkeypatch.setattr("wsdiscovery.threaded._getNetworkAddrs", lambda family: loopback[: family == AF_INET])
    with OnvifCamera() as camera:
        monkeypatch.setattr("wsdiscovery.threaded.MULTICAST_IPV4_ADDRESS", "127.0.0.1")
        monkeypatch.setattr("wsdiscovery.threaded.MULTICAST_PORT", camera.probe_port)
        found = discover(0.6)
        assert found == [FoundCamera("Front door cam", camera.address)]


def test_its_streams_are_named_with_their_size_largest_first():
    with OnvifCamera() as camera:
        found = streams(camera.address, "admin", "s3cret")
        assert found == [
            Stream("main stream", "rtsp://127.0.0.1:554/main", 1920, 1080, "H264"),
            Stream("sub stream", "rtsp://127.0.0.1:554/sub", 640, 360, "H264"),
        ]
        assert "GetProfiles" in camera.asked, "its media service was asked here, and not where it points to"


@pytest.mark.parametrize("ahead_s", [-800_000_000.0, None], ids=["its clock was never set", "it has none"])
def test_a_camera_whose_clock_is_wrong_takes_the_password_all_the_same(ahead_s):
    with OnvifCamera(ahead_s=ahead_s) as camera:
        assert len(streams(camera.address, "admin", "s3cret")) == 2


def test_a_camera_that_is_given_by_its_name_may_tell_streams_at_its_address():
    with OnvifCamera() as camera:
        found = streams(camera.address.replace("127.0.0.1", "localhost"), "admin", "s3cret")
        assert [one.source for one in found] == ["rtsp://127.0.0.1:554/main", "rtsp://127.0.0.1:554/sub"]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_camera_cannot_lead_to_a_stream_elsewhere(name):
    with OnvifCamera(host="192.0.2.9") as camera:
        assert streams(camera.address.replace("127.0.0.1", name), "admin", "s3cret") == []


@pytest.mark.parametrize(
    ("password", "said"),
    [("other", "refuses this user and password"), (None, "gives no list of its streams")],
)
def test_a_camera_that_refuses_or_does_not_answer_is_one_sentence_without_the_password(password, said):
    if password is None:
        with pytest.raises(CameraError, match=said) as caught:
            streams(f"127.0.0.1:{free_port()}", "admin", "s3cret")
    else:
        with OnvifCamera(password=password) as camera, pytest.raises(CameraError, match=said) as caught:
            streams(camera.address, "admin", "s3cret")
    assert "s3cret" not in str(caught.value)


def test_an_address_that_is_none_is_told():
    with pytest.raises(CameraError, match="expected an address"):
        streams("http://:x")


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "wsdiscovery.discovery", None)
    with pytest.raises(MissingExtraError, match=r"gatecam\[onvif\]"):
        discover()
