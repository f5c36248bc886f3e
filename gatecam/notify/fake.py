"""The fake of a sink, for tests and for whoever only wants to look at the events."""

from __future__ import annotations

from gatecam.types import Event


class ListSink:
    """Keeps the events it was sent, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.closed = False

    def send(self, event: Event) -> None:
        """Add the event to `events`."""
        self.events.append(event)

    def close(self) -> None:
        """Note that it was closed; the events stay."""
        self.closed = True
