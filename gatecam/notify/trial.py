"""Send a test event to one output, to see whether it arrives.

The event is a `camera_ok` with the reason `test`, so it opens no door and alarms nobody. It is not stored.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from gatecam.errors import OutputError
from gatecam.ports import Output
from gatecam.runtime.wall_clock import wall_clock
from gatecam.types import TEST, Event, EventKind, StoredEvent, Verdict


def send_test(output: Output, cameras: Sequence[str]) -> None:
    """Deliver a test event about the first of the cameras, past the events that wait.

    Raises:
        OutputError: the event has not arrived. The message says why.
    """
    event = Event(EventKind.CAMERA_OK, cameras[0], 0, Verdict.UNKNOWN, 0.0, reason=TEST, at=wall_clock())
    try:
        output.deliver([StoredEvent(0, f"test-{secrets.token_hex(8)}", event)])
    except OutputError as error:
        said, _, again = str(error).rpartition("; ")  # a test is not sent again
        raise OutputError(f"{said}." if said else again) from error
