"""The queue: a sink that is slow, raises or blocks for ever must not be felt by the sender."""

from __future__ import annotations

import logging
import threading

import pytest

from gatecam.notify.fake import ListSink
from gatecam.notify.queue import FanOut, QueuedSink
from gatecam.runtime.telemetry import Telemetry

WAIT_S = 10.0


class GatedSink(ListSink):
    """Blocks in `send` until the gate opens; says when it got there."""

    def __init__(self):
        super().__init__()
        self.entered, self.gate = threading.Event(), threading.Event()

    def send(self, event):
        self.entered.set()
        assert self.gate.wait(WAIT_S)
        super().send(event)


class FailingSink(ListSink):
    """Raises for each track id in `bad`."""

    def __init__(self, bad, error):
        super().__init__()
        self.bad, self.error = bad, error

    def send(self, event):
        if event.track_id in self.bad:
            raise self.error
        super().send(event)

    def close(self):
        raise self.error


def test_a_blocked_sink_costs_the_newest_events_and_they_are_counted(make_event):
    inner, telemetry = GatedSink(), Telemetry()
    queue = QueuedSink(inner, size=3, name="slow", telemetry=telemetry)
    queue.send(make_event(0))
    assert inner.entered.wait(WAIT_S)
    for track_id in range(1, 6):
        queue.send(make_event(track_id))
    assert (queue.waiting, queue.dropped) == (3, 3)
    inner.gate.set()
    queue.close(WAIT_S)
    assert [event.track_id for event in inner.events] == [0, 1, 2]
    assert (queue.waiting, queue.sent, queue.dropped, queue.failed) == (0, 3, 3, 0)
    assert telemetry.counter("slow_dropped") == 3
    assert inner.closed


def test_close_gives_up_on_a_sink_that_blocks_for_ever(make_event, caplog):
    inner = GatedSink()
    queue = QueuedSink(inner, size=10, name="stuck")
    for track_id in range(4):
        queue.send(make_event(track_id))
    assert inner.entered.wait(WAIT_S)
    with caplog.at_level(logging.WARNING):
        queue.close(timeout_s=0.01)
        queue.close(timeout_s=0.01)
    assert queue.dropped == 4
    assert [record.getMessage() for record in caplog.records] == [
        "stuck did not finish within 0.01 s: 4 events are lost."
    ]
    inner.gate.set()
    queue._thread.join(WAIT_S)
    assert not queue._thread.is_alive()
    assert (queue.sent, queue.dropped) == (0, 4)


def test_a_sink_that_raises_is_counted_logged_once_a_row_and_sent_the_next_event(make_event, caplog):
    inner = FailingSink(bad={0, 1, 3}, error=OSError("no route to host"))
    queue = QueuedSink(inner, size=10, name="webhook")
    with caplog.at_level(logging.WARNING):
        for track_id in range(5):
            queue.send(make_event(track_id))
        queue.close(WAIT_S)
    assert [event.track_id for event in inner.events] == [2, 4]
    assert (queue.sent, queue.dropped, queue.failed) == (2, 0, 3)
    failures = [r.getMessage() for r in caplog.records if "failed" in r.getMessage()]
    assert failures == ["webhook failed: no route to host"] * 2
    assert "webhook could not be closed: no route to host" in caplog.text


def test_an_event_after_close_is_dropped(make_event):
    queue = QueuedSink(ListSink(), size=10, name="list")
    queue.close(WAIT_S)
    queue.send(make_event())
    assert (queue.sent, queue.dropped) == (0, 1)


def test_events_sent_by_many_threads_are_all_accounted_for(make_event):
    queue = QueuedSink(ListSink(), size=5, name="busy")
    senders = [
        threading.Thread(target=lambda: [queue.send(make_event(i)) for i in range(200)]) for _ in range(4)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(WAIT_S)
    queue.close(WAIT_S)
    assert queue.sent > 0
    assert queue.sent + queue.dropped == 800


def test_fan_out_sends_to_all_and_closes_all_even_when_one_raises(make_event):
    first, broken, last = ListSink(), FailingSink(bad=(), error=OSError("gone")), ListSink()
    fan = FanOut([first, broken, last])
    fan.send(make_event())
    with pytest.raises(OSError, match="gone"):
        fan.close()
    assert len(first.events) == len(broken.events) == len(last.events) == 1
    assert first.closed
    assert last.closed
