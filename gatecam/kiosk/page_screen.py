"""Start the browser of `gatecam-page.service` once there is a screen, with pauses after failures.

`python -m gatecam.kiosk.page_screen PROGRAM ARGUMENTS...` waits and then replaces itself by that program.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from gatecam.kiosk.notify_socket import Notifier
from gatecam.kiosk.restarts import hold_back
from gatecam.runtime.logs import set_up

CARDS = Path("/dev/dri")
POLL_S = 5.0
PROFILE = "--user-data-dir="  # begins the argument that names the browser's folder
LOCKS = ("SingletonLock", "SingletonCookie", "SingletonSocket")  # in that folder

log = logging.getLogger(__name__)


def show(
    words: list[str],
    cards: Path = CARDS,
    wait: Callable[[float], None] = time.sleep,
    become: Callable[[str, list[str]], object] = os.execv,
) -> None:
    """Wait for a graphics card, then replace this program by the browser. Log once if there is no card yet.

    The service manager runs one browser at a time, so locks in the browser's folder were left by a power cut.
    Chromium would wait for ever for those of a machine that had another name.

    `words` is the absolute path of the browser and its arguments.
    """
    if not any(cards.glob("card*")):
        log.warning("There is no screen (%s/card*): the page waits until there is one.", cards)
    while not any(cards.glob("card*")):
        wait(POLL_S)
    hold_back(Notifier(), 0.0, wait, what="shows the page")
    try:
        for profile in [Path(word.removeprefix(PROFILE)) for word in words if word.startswith(PROFILE)]:
            for name in LOCKS:
                (profile / name).unlink(missing_ok=True)
        become(words[0], words)
    except OSError as error:
        where = error.filename or words[0]
        log.error("The page cannot be shown (%s: %s): install the browser again.", where, error.strerror)
        raise SystemExit(1) from None


if __name__ == "__main__":
    set_up()
    show(sys.argv[1:])
