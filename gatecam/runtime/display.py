"""Check whether a window can be shown, without opening one.

Qt, which draws OpenCV's windows on Linux, ends the whole process if the display does not answer, or does not
let this user in. So this module introduces itself to the display as Qt would.
"""

from __future__ import annotations

import io
import os
import platform
import re
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

KEY_KIND = b"MIT-MAGIC-COOKIE-1"  # the only kind of access key that is in use
NO_ANSWER = "does not answer"
ANSWER_S = 1.0


def display_available(env: Mapping[str, str]) -> tuple[bool, str]:
    """Return whether a window can be shown, and the name of the display or the reason.

    Linux needs an X11 display even under Wayland, because OpenCV's wheel supports nothing else.
    """
    import cv2

    if not cv2.currentUIFramework():
        return False, "this OpenCV has no windows: install opencv-python in place of opencv-python-headless"
    if platform.system() != "Linux":
        return True, platform.system()
    keys = Path(env.get("XAUTHORITY") or os.path.expanduser("~/.Xauthority"))
    return x11_reachable(env.get("DISPLAY", ""), keys)


def x11_reachable(display: str, keys: Path) -> tuple[bool, str]:
    """Check whether an X11 display such as `:0` or `host:10.0` lets this user in, and say so in a few words.

    `keys` is the file of access keys (Xau(3)), which may be missing.
    """
    if not display:
        return False, "DISPLAY is not set"
    match = re.fullmatch(r"(.*):(\d{1,9})(?:\.\d+)?", display)
    if match is None:
        return False, f"DISPLAY={display} names no display"
    host, number = match[1].strip("[]"), int(match[2])
    problem = None
    for key in [*_keys(keys, number), b""]:
        problem = _problem(host, number, key)
        if problem in (None, NO_ANSWER):
            break
    return problem is None, f"X11 display {display}" if problem is None else f"DISPLAY={display} {problem}"


def _problem(host: str, number: int, key: bytes) -> str | None:
    """Introduce this program to a display with an access key, and return why it is not let in, or None.

    X Window System Protocol, version 11, section 8: connection setup.
    """
    kind = KEY_KIND if key else b""
    padded = b"".join(text + bytes(-len(text) % 4) for text in (kind, key))
    try:
        with _connected(host, number) as server:
            server.settimeout(ANSWER_S)
            server.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, len(kind), len(key)) + padded)
            with server.makefile("rb") as file:
                answer = file.read(8)
                reason = file.read(answer[1]) if answer[:1] == b"\0" else b""
    except (OSError, OverflowError, UnicodeError):  # no answer, port out of range, or no valid host name
        return NO_ANSWER
    if not answer:
        return NO_ANSWER
    if answer[0] == 1:
        return None
    said = reason.decode("ascii", "replace").strip("\n .")
    return f"does not let this user in by the keys in XAUTHORITY ({said or 'no reason'})"


def _connected(host: str, number: int) -> socket.socket:
    if host not in ("", "unix"):
        return socket.create_connection((host, 6000 + number), timeout=ANSWER_S)
    path = f"/tmp/.X11-unix/X{number}"
    for name in (path, "\0" + path):  # on disk, or abstract (Linux)
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(ANSWER_S)
        try:
            client.connect(name)
        except OSError:
            client.close()
        else:
            return client
    raise ConnectionRefusedError


def _keys(path: Path, number: int) -> list[bytes]:
    """Return the access keys in a file for the displays of a number, on whatever machine."""
    found: list[bytes] = []
    with suppress(OSError):
        file = io.BytesIO(path.read_bytes())
        while file.read(2):  # the kind of address
            _, display, kind, key = (file.read(int.from_bytes(file.read(2), "big")) for _ in range(4))
            if kind == KEY_KIND and display in (b"", str(number).encode()):
                found.append(key)
    return found
