"""Open network streams with FFmpeg, and let it reach nothing but the camera's own address.

Data from a camera is not trusted. A playlist or a redirect could make FFmpeg fetch from any host, and from
other ports of this machine. So FFmpeg gets lists of allowed protocols and formats and follows no redirect.
This module follows redirects that stay on the camera's address.
"""

from __future__ import annotations

import errno
import logging
import resource
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.parse import SplitResult, unquote, urlsplit

import av
from av.container import InputContainer
from av.error import FFmpegError

from gatecam.capture.containers import ANY_METADATA
from gatecam.errors import CameraError
from gatecam.runtime.addresses import hide_in_source

ELSEWHERE = "sends gatecam to another address ({}); give that one, or set other_hosts to true for the camera"
PLAYLIST = "sends a playlist (HLS), which may name other addresses; set other_hosts to true for the camera"

_PROTOCOLS = {
    "http": "http,tcp",
    "https": "https,httpproxy,tls,tcp",
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsp,rtp,udp,tls,tcp",
    "tcp": "tcp",
    "udp": "udp",
}
_FORMATS = (
    "mpjpeg,mjpeg,jpeg_pipe,image2pipe,png_pipe,mpegts,mpeg,h264,hevc,m4v,mpegvideo,flv,asf,ogg,avi,nut"
    ",mov,matroska,webm,data,rtsp"
)
_PLAYLISTS = ",hls,dash"
_PLAYLIST_PROTOCOLS = ",crypto,http,https,httpproxy,tls,tcp"
_DEFAULT_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}


def open_address(
    source: str,
    *,
    timeout_s: tuple[float, float],
    demuxer: str | None = None,
    rtsp_transport: str = "tcp",
    other_hosts: bool = False,
) -> InputContainer:
    """Open the stream of a camera's address.

    Args:
        source: The address.
        timeout_s: How long opening may take, and then waiting for data.
        demuxer: The name of FFmpeg's demuxer, or None to detect it.
        rtsp_transport: The transport of RTSP, "tcp", "udp", or "auto" for TCP with a fall-back to UDP.
        other_hosts: Whether to follow redirects and playlists to any address.

    Raises:
        CameraError: the camera sends gatecam to another address.
        FFmpegError: the stream cannot be opened.
        ValueError: the address is invalid.
    """
    scheme = source.partition("://")[0].lower()
    options = _options(scheme, rtsp_transport, other_hosts)

    def opened(address: str) -> InputContainer:
        container: InputContainer = av.open(
            address, format=demuxer, options=options, timeout=timeout_s, **ANY_METADATA
        )
        return container

    if other_hosts:
        return opened(source)
    if scheme.startswith("rtsp"):
        with _rtsp_redirects_refused(source):
            return opened(source)
    try:
        return opened(source)
    except FFmpegError as error:
        # FFmpeg gives no details about a redirect that it may not follow
        target = _followed(source, timeout_s[0]) if error.errno == errno.EIO and "http" in scheme else source
        if target == source:
            raise
        return opened(target)


def _options(scheme: str, rtsp_transport: str, other_hosts: bool) -> dict[str, str]:
    protocols, formats = _PROTOCOLS[scheme], _FORMATS
    if other_hosts:
        protocols, formats = protocols + _PLAYLIST_PROTOCOLS, formats + _PLAYLISTS
    options = {"protocol_whitelist": protocols, "format_whitelist": formats}
    if scheme.startswith("rtsp"):
        if rtsp_transport == "auto":
            # This asks again within one session: some cameras allow no second connection
            rtsp_transport, options["rtsp_flags"] = "tcp+udp", "prefer_tcp"
        options["rtsp_transport"] = rtsp_transport
    elif scheme.startswith("http") and not other_hosts:
        options["max_redirects"] = "0"
    return options


# HTTP ---------------------------------------------------------------------------------------------


class _OwnRedirects(urllib.request.HTTPRedirectHandler):
    """Follows only redirects that stay on one address."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the request that follows the redirect.

        Raises:
            CameraError: the redirect leads to another address.
        """
        if not _is_same_address(req.full_url, newurl):
            fp.close()
            raise CameraError(_elsewhere(newurl))
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _followed(source: str, timeout_s: float) -> str:
    """Return the address that a camera's redirects lead to, or the source if there is no answer.

    Raises:
        CameraError: they lead to another address.
    """
    parts = urlsplit(source)
    user, at, host = parts.netloc.rpartition("@")
    plain = parts._replace(netloc=host).geturl()
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, plain, unquote(parts.username or ""), unquote(parts.password or ""))
    opener = urllib.request.build_opener(
        urllib.request.HTTPBasicAuthHandler(passwords),
        urllib.request.HTTPDigestAuthHandler(passwords),
        _OwnRedirects(),
    )
    try:
        with opener.open(plain, timeout=timeout_s) as answer:
            found = urlsplit(answer.geturl())
    except (OSError, HTTPException, ValueError):  # an HTTPError is an OSError
        return source
    return source if found == urlsplit(plain) else found._replace(netloc=user + at + found.netloc).geturl()


# RTSP ---------------------------------------------------------------------------------------------


class _RedirectGuard(logging.Handler):
    """Blocks new connections as soon as FFmpeg logs that it follows a redirect to another address.

    It does so by leaving no file descriptors to the process.
    """

    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source
        self.target = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Check a log record of FFmpeg. This runs in the thread that is about to connect."""
        _, found, target = record.getMessage().strip().partition("Redirecting to ")
        if found and not _is_same_address(self._source, target):
            self.target = target
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@contextmanager
def _rtsp_redirects_refused(source: str) -> Iterator[None]:
    """Let FFmpeg open a stream, but follow no redirect to another address.

    FFmpeg follows RTSP redirects to any address and has no option against it, but it logs them first.

    Raises:
        CameraError: the camera redirects to another address.
    """
    guard, logger, level = _RedirectGuard(source), logging.getLogger("libav"), av.logging.get_level()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    logger.addHandler(guard)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    av.logging.set_skip_repeated(False)  # the same redirect comes with every attempt
    av.logging.set_level(av.logging.INFO)
    try:
        yield
    except FFmpegError as error:
        if guard.target:
            raise CameraError(_elsewhere(guard.target)) from error
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        av.logging.set_level(level)
        logger.removeHandler(guard)


# Both ---------------------------------------------------------------------------------------------


def _is_same_address(source: str, target: str) -> bool:
    """Return whether two addresses have the same host and port. http may become https on the usual ports.

    >>> _is_same_address("http://cam/", "https://CAM/live"), _is_same_address("http://cam/", "http://cam:22/")
    (True, False)
    """
    try:
        ours, theirs = _endpoint(urlsplit(source)), _endpoint(urlsplit(target))
    except ValueError:  # an invalid port
        return False
    is_upgrade = (ours[1:], theirs[1:]) == (("http", 80), ("https", 443))
    return ours[0] == theirs[0] and (ours[1:] == theirs[1:] or is_upgrade)


def _endpoint(parts: SplitResult) -> tuple[str | None, str, int | None]:
    return parts.hostname, parts.scheme, parts.port or _DEFAULT_PORTS.get(parts.scheme)


def _elsewhere(target: str) -> str:
    where = urlsplit(target)._replace(path="", query="", fragment="").geturl()
    return ELSEWHERE.format(hide_in_source(where)[:80])
