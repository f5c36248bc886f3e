"""What the tests of sinks share: a builder of events."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gatecam.types import Event, EventKind, Verdict

MakeEvent = Callable[..., Event]


@pytest.fixture
def make_event() -> MakeEvent:
    def make(track_id: int = 1, kind: EventKind = EventKind.MASK_MISSING, time_s: float = 1.0) -> Event:
        verdict = Verdict.CORRECT if kind is EventKind.MASK_OK else Verdict.NONE
        return Event(kind, "gate", track_id, verdict, time_s, frame=30, probability=0.9)

    return make
