"""Floor 3: chat and mail by Apprise (https://appriseit.com): short words for who looks after the door."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from gatecam.config import ChatConfig
from gatecam.errors import MissingExtraError, OutputError
from gatecam.notify.secrets import read_secret
from gatecam.types import Event, EventKind, StoredEvent
from gatecam.words import CAMERA_MESSAGES, MESSAGES


class ChatOutput:
    """Sends a message for each event that the settings want told; all others count as delivered.

    A message is delivered when every address has taken it; after a failure of one all get it again.
    """

    name = "chat"
    batch = 1
    trouble = None

    def __init__(self, config: ChatConfig) -> None:
        """Read the addresses; nothing is sent yet.

        Raises:
            MissingExtraError: Apprise is not installed.
            OutputError: the addresses cannot be read, or one is none.
        """
        try:
            import apprise
        except ImportError as error:
            raise MissingExtraError("Chat and mail", "chat") from error
        assert config.urls_file is not None
        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its words hold addresses, and so passwords
        self._people = config.people
        self._chat = apprise.Apprise()
        path = Path(config.urls_file)
        for number, line in enumerate(read_secret(path).splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#") and not self._chat.add(line.strip()):
                raise OutputError(f"{path}:{number}: expected an address that Apprise knows: correct it.")

    def deliver(self, events: Sequence[StoredEvent]) -> int:
        """Send a message for the first event, if it is to be told.

        Raises:
            OutputError: an address did not take it.
        """
        event = events[0].event
        if self._is_told(event):
            title, body = message(event)
            if not self._chat.notify(title=title, body=body):
                raise OutputError("chat: an address takes no message; it is sent again.")
        return 1

    def close(self) -> None:
        """Nothing is held between messages."""

    def _is_told(self, event: Event) -> bool:
        return event.kind.is_camera or (self._people and event.kind.is_alert)


def message(event: Event) -> tuple[str, str]:
    """The title and the text that tell of an event, in English and Korean."""
    if event.kind is EventKind.CAMERA_OK:
        korean, english = "카메라가 다시 보입니다", "The camera sees again"
    elif event.kind.is_camera:
        korean, english = CAMERA_MESSAGES[event.reason]
    else:
        korean, english = MESSAGES[event.verdict].korean, MESSAGES[event.verdict].english
    at = f"{datetime.fromisoformat(event.at):%Y-%m-%d %H:%M:%S}"
    return f"gatecam {event.camera}: {english}", f"{english} / {korean}\n{event.camera}, {at}"
