"""Build the systemd units, the users and the file permissions of the service."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gatecam.errors import ServiceError
from gatecam.runtime.folders import SERVICE_CONFIG, SERVICE_STATE

CONFIG = str(SERVICE_CONFIG)
STATE = str(SERVICE_STATE)
LOGS = "/var/log/gatecam"
SERVICE, PAGE = "gatecam.service", "gatecam-page.service"
ASSETS = Path(__file__).parents[1] / "assets" / "systemd"
START_LIMIT_S = 120  # time for the unit to start: on a slow disk, loading and warming the networks takes long


def template(name: str, **values: object) -> str:
    """Return the text of a file for systemd with its values filled in."""
    text = (ASSETS / name).read_text(encoding="utf-8")
    return text.format(config=CONFIG, state=STATE, start_limit_s=START_LIMIT_S, **values)


def service_unit(command: Sequence[str], protect_home: str) -> str:
    """Return the hardened unit that runs gatecam. `systemd-analyze security --offline=true` rates it 1.8.

    Args:
        command: the command line that starts gatecam, beginning with an absolute path.
        protect_home: `yes`, or `read-only` if gatecam is installed under /home.
    """
    return template(SERVICE, command=quoted(command), protect_home=protect_home)


def page_unit(url: str, python: str, protect_home: str) -> str:
    """Return the unit that shows a page in full screen, with Chromium in Cage on tty7.

    Cage is a compositor for one window.

    Args:
        url: the address of the page.
        python: the interpreter that runs gatecam.
        protect_home: as for `service_unit`.

    Raises:
        ServiceError: `url` is no web address.
    """
    return template(PAGE, python=quoted([python]), url=quoted([web_address(url)]), protect_home=protect_home)


def web_address(url: str) -> str:
    """Check a web address and return it unchanged.

    Raises:
        ServiceError: `url` is not an http:// or https:// address in plain characters.
    """
    if not re.fullmatch(r"https?://[\w.\-\[\]:]+([/?][!-~]*)?", url, re.ASCII):
        raise ServiceError(f"--page {url!r}: expected a web address such as http://127.0.0.1:8000/.")
    return url


def quoted(words: Sequence[str]) -> str:
    """Quote words for ExecStart= in a systemd unit (systemd.service(5), Command lines)."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if re.fullmatch(r"[\w./:=@%$*+,-]+", word, re.ASCII) else f'"{escaped}"'
