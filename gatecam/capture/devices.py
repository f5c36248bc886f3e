"""List and check cameras, and find the name that a USB camera keeps when it is connected again."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from gatecam.errors import CameraError
from gatecam.runtime.addresses import hide_in_source, is_url, source_problem

ROOT = Path("/")


def cameras_seen(system: Path = ROOT) -> list[str]:
    """Return the cameras that Linux lists, as `path (name)`. Empty on other systems.

    The path is the one under /dev/v4l/by-id if there is one. It stays the same if the camera is connected to
    another port.
    """
    stable = _stable_names(system)
    seen = []
    for device in sorted((system / "sys/class/video4linux").glob("video*"), key=_device_number):
        if _line(device / "index") not in ("0", ""):
            continue  # the other devices of a camera provide metadata, no pictures
        path = stable.get(device.name, system / "dev" / device.name)
        seen.append(f"{path} ({_line(device / 'name') or 'unnamed'})")
    return seen


def stable_source(source: str, system: Path = ROOT) -> str:
    """Return the path under /dev/v4l/by-id of an index or /dev/videoN, or the source as it is without one.

    A camera that is connected again may get another number, even another camera's old one. This path stays.
    """
    if is_url(source) or not _is_numbered(source):
        return source
    stable = _stable_names(system).get(_device_path(source).name)
    return source if stable is None else str(stable)


def require_camera(source: str) -> None:
    """Check that a source can be a camera: a URL, or on Linux a device that exists and may be opened.

    Raises:
        CameraError: it cannot be one.
    """
    if problem := source_problem(source):
        raise CameraError(f"camera {hide_in_source(source)}: {problem}.")
    if not is_url(source) and sys.platform == "linux":
        _require_device(_device_path(source))


def _stable_names(system: Path) -> dict[str, Path]:
    """Return the links by the names of the devices that they point to."""
    links = sorted((system / "dev/v4l/by-id").glob("*"), reverse=True)
    return {link.resolve().name: link for link in links if link.exists()}


def _is_numbered(source: str) -> bool:
    return source.isdecimal() or re.fullmatch(r"/dev/video\d+", source) is not None


def _device_path(source: str) -> Path:
    return Path(f"/dev/video{int(source)}" if source.isdecimal() else source)


def _device_number(device: Path) -> int:
    return int("0" + re.sub(r"\D", "", device.name))


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _require_device(path: Path) -> None:
    if not path.exists():
        raise CameraError(
            f"{path}: there is no such camera; plug it in, or choose one that `gatecam doctor` lists."
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise CameraError(f"{path}: the camera may not be opened; add your user to the group `video`.")
