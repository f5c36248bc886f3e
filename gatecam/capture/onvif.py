"""Find network cameras and their streams by ONVIF (https://www.onvif.org/profiles/specifications).

`discover` asks the whole network (WS-Discovery), and `streams` asks one camera. Both need the extra [onvif].
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from gatecam.errors import CameraError, MissingExtraError
from gatecam.runtime.addresses import hide_in_source

SEARCH_S = 3.0
STREAMS_S = 15.0
VIDEO = "NetworkVideoTransmitter"
NAME = "onvif://www.onvif.org/name/"


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """A camera that answered, with the address of its ONVIF service."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream of a camera. `source` is its address without a password, and the size is in px."""

    name: str
    source: str
    width: int
    height: int
    encoding: str


def discover(timeout_s: float = SEARCH_S) -> list[FoundCamera]:
    """Ask the network for cameras, and return those that answer in time.

    Raises:
        MissingExtraError: the library is not installed.
        CameraError: the network cannot be asked.
    """
    with _extra():
        from wsdiscovery.discovery import ThreadedWSDiscovery
    for name in ("threading", "daemon", "discovery", "util"):  # the library's loggers print bare tracebacks
        logging.getLogger(name).setLevel(logging.CRITICAL)
    search = ThreadedWSDiscovery()
    try:
        search.start()
        try:
            services = search.searchServices(timeout=timeout_s)
        finally:
            search.stop()
    except OSError as error:
        raise CameraError(f"the network cannot be searched ({error.strerror or error}).") from error
    found = {_found(one.getXAddrs(), [scope.getValue() for scope in one.getScopes()]) for one in services}
    return sorted((one for one in found if one is not None), key=lambda one: (one.name, one.address))


def _found(addresses: Sequence[str], scopes: Sequence[str]) -> FoundCamera | None:
    """Return a camera by its first web address, or None for another kind of device."""
    if not any(VIDEO.lower() in scope.lower() or scope.startswith("onvif://") for scope in scopes):
        return None
    address = next((one for one in addresses if one.startswith(("http://", "https://"))), None)
    if address is None:
        return None
    name = next((scope.removeprefix(NAME) for scope in scopes if scope.startswith(NAME)), "")
    return FoundCamera(_line(unquote(name)) or (urlsplit(address).hostname or ""), address)


def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:80]


def streams(address: str, user: str = "", password: str = "") -> list[Stream]:
    """Ask a camera for its streams, the largest first.

    A camera cannot lead to other hosts: its services are asked at `address`, and streams elsewhere are left
    out.

    Args:
        address: the address of its ONVIF service, such as `http://10.0.0.5/onvif/device_service`.
        user: the user at the camera, empty if it needs none.
        password: the user's password.

    Raises:
        MissingExtraError: the library is not installed.
        CameraError: the camera does not answer, or refuses the user and password.
    """
    with _extra():
        import onvif  # noqa: F401
    parts = urlsplit(address if "://" in address else f"http://{address}")
    try:
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        host, port = None, 0
    if host is None:
        raise CameraError("expected an address such as 10.0.0.5 or http://10.0.0.5/onvif/device_service.")
    try:
        import asyncio  # takes a while to load, and every start imports this module

        found = asyncio.run(asyncio.wait_for(_streams(host, port, user, password), STREAMS_S))
    except Exception as error:  # the libraries raise errors of zeep, aiohttp, httpx and their own
        raise CameraError(_problem(host, error)) from error
    own = _addresses(host)
    near = [one for one in found if urlsplit(one.source).hostname in own]
    return sorted(near, key=lambda one: -one.width * one.height)


def _addresses(host: str) -> set[str]:
    """Return a host's name with its addresses, because cameras tell streams by their address."""
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return {host}
    return {host, *(str(one[4][0]) for one in found)}


async def _streams(host: str, port: int, user: str, password: str) -> list[Stream]:
    from onvif import ONVIFCamera

    login = user or None, password or None
    # A login holds the time, and a camera without internet access often has a wrong clock
    camera = ONVIFCamera(host, port, *login, no_cache=True, nat_override=True, adjust_time=True)
    async with aclosing(_Closing(camera)):
        try:
            await camera.update_xaddrs()
        except (AttributeError, TypeError, ValueError):  # it tells no time
            camera.adjust_time = False
            await camera.update_xaddrs()
        media = await camera.create_media_service()
        found = []
        for profile in await media.GetProfiles():
            setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
            answer = await media.GetStreamUri({"StreamSetup": setup, "ProfileToken": profile.token})
            video = profile.VideoEncoderConfiguration
            size = None if video is None else video.Resolution
            found.append(
                Stream(
                    _line(str(profile.Name or profile.token)),
                    str(answer.Uri),
                    0 if size is None else int(size.Width),
                    0 if size is None else int(size.Height),
                    "" if video is None else _line(str(video.Encoding)),
                )
            )
        return found


class _Closing:
    """Closes a camera's connections in a context of `aclosing`."""

    def __init__(self, camera: Any) -> None:
        self._camera = camera

    async def aclose(self) -> None:
        await self._camera.close()


def _problem(host: str, error: Exception) -> str:
    said = " ".join(str(error).split())
    if isinstance(error, TimeoutError) or "timed out" in said.lower():
        why = "does not answer; check the address and the network"
    elif any(word in said.lower() for word in ("authori", "401", "not permitted", "forbidden")):
        why = "refuses this user and password; many cameras have users of their own for ONVIF"
    else:
        why = f"gives no list of its streams ({hide_in_source(said)[:120] or type(error).__name__})"
    return f"camera {host} {why}."


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingExtraError("Finding network cameras", "onvif") from error
