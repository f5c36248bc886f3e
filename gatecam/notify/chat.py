"""Send short messages by chat and mail through Apprise (https://appriseit.com) to the people in charge."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gatecam.errors import MissingExtraError, OutputError
from gatecam.notify.secrets import read_secret
from gatecam.pictures.messages import DOOR_MESSAGES, MESSAGES, PUT_ON, REASON_MESSAGES, WEARING
from gatecam.settings.schema import ChatConfig
from gatecam.types import TEST, Event, EventKind, StoredEvent

if TYPE_CHECKING:
    from apprise import Apprise


PictureOf = Callable[[StoredEvent], Path | None]


def chat_outputs(config: ChatConfig, picture_of: PictureOf = lambda stored: None) -> list[ChatOutput]:
    """Create one output per address, so that an address that fails does not hold up the others.

    `picture_of` returns the path of an alert's picture, or None. It may wait for some seconds.

    Raises:
        MissingExtraError: Apprise is not installed.
        OutputError: the file cannot be read, a line is no address, or the file has no address.
    """
    try:
        import apprise
    except ImportError as error:
        raise MissingExtraError("Chat and mail", "chat") from error
    assert config.urls_file is not None
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # Apprise logs addresses, which hold passwords
    path = Path(config.urls_file)
    found: dict[str, ChatOutput] = {}
    for number, line in enumerate(read_secret(path).splitlines(), 1):
        address, chat = line.strip(), apprise.Apprise()
        if not address or address.startswith("#"):
            continue
        if not chat.add(address):
            raise OutputError(f"{path}:{number}: Apprise does not know this kind of address: correct it.")
        name = f"chat:{hashlib.sha256(address.encode()).hexdigest()[:6]}"
        output = ChatOutput(chat, name, f"{path}:{number}", config, picture_of)
        found.setdefault(name, output)
    if not found:
        raise OutputError(f"{path}: holds no address: write one per line, or set chat.urls_file to null.")
    return list(found.values())


class ChatOutput:
    """Sends a message to one address for each event about a camera, and on request for alerts about people.

    It wants no other events.
    """

    batch = 1
    trouble = None

    def __init__(
        self,
        chat: Apprise,
        name: str,
        place: str,
        config: ChatConfig,
        picture_of: PictureOf = lambda stored: None,
    ) -> None:
        """Keep the address. Nothing is sent yet.

        Args:
            chat: sends to the address.
            name: names this output. It stays the same as long as the address does.
            place: the file and line of the address, for messages. The address may hold a password.
            config: says whether alerts about people are sent as well, and their pictures.
            picture_of: returns the path of an alert's picture, or None.
        """
        self.name = name
        self._chat, self._place, self._people = chat, place, config.people
        self._picture_of = picture_of if config.snapshots else None

    def wants(self, stored: StoredEvent) -> bool:
        """Check whether the event is about a camera, or an alert about a person if those are sent too."""
        kind = stored.event.kind
        return kind.is_camera or (self._people and kind.is_alert)

    def deliver(self, events: Sequence[StoredEvent]) -> int:
        """Send a message for the first event.

        Raises:
            OutputError: the message could not be sent.
        """
        title, body = message(events[0].event)
        picture = None if self._picture_of is None else self._picture_of(events[0])
        attached = None if picture is None else str(picture)
        if not self._chat.notify(title=title, body=body, attach=attached):
            raise OutputError(f"chat {self._place}: the message could not be sent; gatecam tries again.")
        return 1

    def close(self) -> None:
        """Do nothing: no connection is kept between messages."""


def message(event: Event) -> tuple[str, str]:
    """Return the title and the text of the message for an event, in English and Korean."""
    if event.reason == TEST:
        korean, english = "시험 메시지입니다", "This is a test"
    elif event.kind is EventKind.CAMERA_OK:
        korean, english = "카메라가 정상으로 복구되었습니다", "The camera sees again"
    elif event.kind is EventKind.FAST_ENOUGH:
        korean, english = "영상을 다시 제때 판정합니다", "Frames are judged in time again"
    elif event.kind in DOOR_MESSAGES:
        korean, english = DOOR_MESSAGES[event.kind]
        if event.kind in (EventKind.DOORS_SILENT, EventKind.DOORS_BACK):
            korean, english = f"{korean} ({event.reason})", f"{english} ({event.reason})"
    elif event.kind.is_camera:
        korean, english = REASON_MESSAGES[event.reason]
    elif event.kind is EventKind.MASK_OK:
        korean, english = WEARING if event.first else PUT_ON
    else:
        korean, english = MESSAGES[event.verdict].korean, MESSAGES[event.verdict].english
    at = f"{datetime.fromisoformat(event.at):%Y-%m-%d %H:%M:%S}"
    return f"gatecam {event.camera}: {english}", f"{english} / {korean}\n{event.camera}, {at}"
