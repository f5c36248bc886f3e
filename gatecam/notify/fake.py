"""Keep events in a list: the fake of a sink, for tests and for programs that only read the events."""

from __future__ import annotations

from gatecam.types import Event


class ListSink:
    """Keeps the events that are sent to it, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.closed = False

    def send(self, event: Event) -> None:
        """Append the event to `events`."""
        self.events.append(event)

    def close(self) -> None:
        """Set `closed`. The events stay."""
        self.closed = True
