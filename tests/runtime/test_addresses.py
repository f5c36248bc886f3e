"""What is shown of an address: the host, and what surely is no secret."""

from __future__ import annotations

import pytest

from gatecam.runtime.addresses import has_raw_password, hide_in_source, hide_secrets

SHOWN = {
    # as they are
    "rtsp://10.0.0.5:554/Streaming/Channels/101": None,
    "rtsp://cam.local/h264Preview_01_main": None,
    "http://10.0.0.5/mjpg/video.mjpg": None,
    "http://10.0.0.5/axis-cgi/mjpg/video.cgi": None,
    "rtsp://10.0.0.5/live/ch00_0": None,
    "rtsp://10.0.0.5/unicast/c1/s0/live": None,
    "rtsp://[fe80::1%25eth0]:554/stream1": None,
    "rtsp://nvr:8554/driveway": None,
    "udp://127.0.0.1:5000": None,
    "http://127.0.0.1:8000/operator": None,
    # user, password and query
    "rtsp://admin:1234@10.0.0.5:554/live": "rtsp://***@10.0.0.5:554/live",
    "rtsp://admin:p@ss@10.0.0.5/live?token=1": "rtsp://***@10.0.0.5/live?***",
    "rtsp://user:p@ss/w?r#d@10.0.0.5/live": "rtsp://***@10.0.0.5/live",
    "http://host/a?user=me&pwd=secret": "http://host/a?***",
    "http://host/a#secret": "http://host/a#***",
    "rtsp://admin:secret": "rtsp://***",  # somebody left the host out
    "rtsp://admin:sec/ret": "rtsp://***/ret",
    # in the path
    "rtsp://192.0.2.9/user=admin&password=s3cret&channel=1": "rtsp://192.0.2.9/***",
    "rtsp://192.0.2.9:554/user=admin_password=tlJwpbo6_channel=1_stream=0.sdp": "rtsp://192.0.2.9:554/***",
    "rtsp://192.0.2.9/user/s3cret/": "rtsp://192.0.2.9/user/***/",
    "rtsp://192.0.2.9/user/admin/secret/live/ch1": "rtsp://192.0.2.9/user/***/***/live/ch1",
    "rtsp://192.0.2.9/admin/secret/ch1/main": "rtsp://192.0.2.9/admin/***/ch1/main",
    "http://192.0.2.9/password/live/video.cgi": "http://192.0.2.9/password/***/video.cgi",
    "rtsp://192.0.2.9/hunter2/live": "rtsp://192.0.2.9/***/live",
    "rtsp://192.0.2.9/tlJwpbo/live": "rtsp://192.0.2.9/***/live",
    "rtsp://192.0.2.9/12345/main": "rtsp://192.0.2.9/***/main",
    "http://192.0.2.9/live;pwd=secret/video": "http://192.0.2.9/***/video",
    "https://192.0.2.9/" + "stream" * 50: "https://192.0.2.9/***",
    "https://hooks.example.org/services/T0/B0/abcdefgh": "https://hooks.example.org/services/***/***/***",
    "postgresql://gatecam:secret@db/gatecam": "postgresql://***@db/gatecam",
}


@pytest.mark.parametrize(("address", "shown"), SHOWN.items())
def test_an_address_shows_its_host_and_no_secret_alone_and_in_a_text(address, shown):
    shown = shown or address
    assert hide_in_source(address) == shown
    assert hide_in_source(shown) == shown  # what is hidden twice stays the same
    assert hide_secrets(f"gone ('{address}'), again {address}.") == f"gone ('{shown}'), again {shown}."


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("0", "0"),
        ("/dev/v4l/by-id/usb-HD_Camera_A1B2C3-index0", "/dev/v4l/by-id/usb-HD_Camera_A1B2C3-index0"),
        ("user:password@host", "***@host"),
        ("rtsp:/admin:secret@10.0.0.5/live", "***@10.0.0.5/live"),
        ("10.0.0.5/user=admin&password=s3cret", "10.0.0.5/***"),
        ("rtsp://admin:se cret@10.0.0.5/live", "rtsp://***@10.0.0.5/live"),
    ],
)
def test_a_source_that_is_no_whole_address_shows_no_secret(source, shown):
    assert hide_in_source(source) == shown


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("'HTTPS://a:b@h'", "'HTTPS://***@h'"),
        ("from http://a:b@h/ to rtsp+tcp://c:d@i/.", "from http://***@h/ to rtsp+tcp://***@i/."),
        ("http://cam/v.cgi?user=a&pwd=b: gone", "http://cam/v.cgi?***: gone"),
        ("(http://cam/?t=1) http://x/?a=b", "(http://cam/?***) http://x/?***"),
        ("mail to me@home about http://cam/live", "mail to me@home about http://cam/live"),
        ("what? nothing: a:b@c", "what? nothing: a:b@c"),
        ("an address (rtsp:// or http://); no more", "an address (rtsp:// or http://); no more"),
    ],
)
def test_a_text_without_secrets_stays_as_it_is(text, safe):
    assert hide_secrets(text) == safe


@pytest.mark.parametrize(
    ("address", "is_raw"),
    [
        ("rtsp://admin:p@ss@10.0.0.5/live", False),
        ("rtsp://admin:p%23ss@10.0.0.5/live", False),
        ("rtsp://[::1]:554/live", False),
        ("rtsp://admin:p#ss@10.0.0.5/live", True),
        ("rtsp://admin:12/3@10.0.0.5/live", True),
        ("rtsp://admin:p@s?s@10.0.0.5/live", True),
        ("rtsp://admin:pass", True),
    ],
)
def test_a_password_with_raw_characters_is_noticed(address, is_raw):
    assert has_raw_password(address) == is_raw
