"""What a camera or a film names must not be fetched from other addresses of this machine or network."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from gatecam.capture.reading import Method, SourceSettings
from gatecam.capture.sources import shots
from gatecam.capture.video import VideoFile
from gatecam.errors import CameraError, SourceError
from tests.streams import HEAD, MjpegServer, Viewer

OK = b"HTTP/1.0 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n"
PLAYLIST = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:{}/a.ts\n"
REDIRECT = "HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:{}/a?x=secret\r\n\r\n"
RTSP_REDIRECT = "RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: rtsp://127.0.0.1:{}/a\r\n\r\n"


@pytest.fixture
def other() -> Iterator[MjpegServer]:
    """Another server of this machine, which counts who comes."""
    with MjpegServer() as server:
        yield server


def first_picture(source: str, other_hosts: bool = False, method: Method = Method.DEMUXED):
    settings = SourceSettings(source, 640, 480, 30.0, 1.0, other_hosts=other_hosts)
    found = shots(settings, 2.0, method)
    try:
        return next(shot.image for shot in found if shot.image is not None)
    finally:
        found.close()


def says(data: bytes):
    return MjpegServer(plan=lambda viewer: None, head=data)


@pytest.mark.parametrize("method", [Method.DEMUXED, Method.JPEGS])
def test_a_redirect_to_another_port_is_refused_with_its_address_unless_allowed(other, method):
    with says(REDIRECT.format(other.port).encode()) as server:
        for _ in range(2):
            with pytest.raises(CameraError, match=f"another address \\(http://127.0.0.1:{other.port}\\)"):
                first_picture(server.url, method=method)
        assert other.connections == 0
        assert first_picture(server.url, other_hosts=True, method=method).shape == (48, 64, 3)


def test_a_redirect_of_rtsp_to_another_port_is_refused_at_every_attempt(other):
    with says(RTSP_REDIRECT.format(other.port).encode()) as server:
        for _ in range(3):
            with pytest.raises(CameraError, match=f"another address \\(rtsp://127.0.0.1:{other.port}\\)"):
                first_picture(f"rtsp://127.0.0.1:{server.port}/live")
    assert other.connections == 0


def test_a_redirect_that_stays_on_the_camera_is_followed():
    def again(viewer: Viewer) -> None:
        viewer.send(REDIRECT.format(server.port).encode())

    def good(viewer: Viewer) -> None:
        viewer.send(HEAD)
        viewer.pictures()

    with MjpegServer(again, again, plan=good, head=b"") as server:
        assert first_picture(server.url).shape == (48, 64, 3)


def test_redirects_without_end_end():
    def again(viewer: Viewer) -> None:
        viewer.send(REDIRECT.format(server.port).encode())

    with MjpegServer(plan=again, head=b"") as server:
        with pytest.raises(CameraError, match="gives no picture"):
            first_picture(server.url)
        assert server.connections < 20


def test_the_segments_of_a_cameras_playlist_are_not_fetched(other):
    with says(OK + PLAYLIST.format(other.port).encode()) as server:
        for path, said in (("live", "gives no picture"), ("live.m3u8", "set other_hosts to true")):
            with pytest.raises(CameraError, match=said):
                first_picture(f"http://127.0.0.1:{server.port}/{path}")
    assert other.connections == 0


@pytest.mark.parametrize("name", ["film.m3u8", "film.mp4", "film.ffconcat"])
@pytest.mark.parametrize("target", ["http://127.0.0.1:{}/a.ts", "other.ts"])
def test_a_film_that_names_other_films_is_refused(name, target, other, write_video, tmp_path):
    write_video(tmp_path / "other.ts")
    text = PLAYLIST.replace("http://127.0.0.1:{}/a.ts", target) + "#EXT-X-ENDLIST\n"
    if name.endswith("concat"):
        text = f"ffconcat version 1.0\nfile {target}\n"
    film = tmp_path / name
    film.write_text(text.format(other.port))
    with pytest.raises(SourceError, match="not a video"), VideoFile(film) as frames:
        list(itertools.islice(frames, 1))
    assert other.connections == 0
