"""Check whether a window can be shown, without opening one.

Qt, which draws OpenCV's windows on Linux, ends the whole process if the display does not answer.
"""

from __future__ import annotations

import platform
import re
import socket
from collections.abc import Mapping


def display_available(env: Mapping[str, str]) -> tuple[bool, str]:
    """Return whether a window can be shown, and the name of the display or the reason.

    Linux needs an X11 display even under Wayland, because OpenCV's wheel supports nothing else.
    """
    import cv2

    if not cv2.currentUIFramework():
        return False, "this OpenCV has no windows: install opencv-python in place of opencv-python-headless"
    if platform.system() != "Linux":
        return True, platform.system()
    return x11_reachable(env.get("DISPLAY", ""))


def x11_reachable(display: str) -> tuple[bool, str]:
    """Check whether an X11 display such as `:0` or `host:10.0` answers, and say so in a few words."""
    if not display:
        return False, "DISPLAY is not set"
    match = re.fullmatch(r"(.*):(\d{1,9})(?:\.\d+)?", display)
    if match is None:
        return False, f"DISPLAY={display} names no display"
    host, number = match[1].strip("[]"), int(match[2])
    path = f"/tmp/.X11-unix/X{number}"
    if host in ("", "unix"):
        reached = _unix_answers(path) or _unix_answers("\0" + path)  # on disk, or abstract (Linux)
    else:
        reached = _tcp_answers(host, 6000 + number)
    return reached, f"X11 display {display}" if reached else f"DISPLAY={display} does not answer"


def _unix_answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        try:
            client.connect(path)
        except OSError:
            return False
    return True


def _tcp_answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except (OSError, OverflowError, UnicodeError):  # no answer, port out of range, or no valid host name
        return False
    return True
