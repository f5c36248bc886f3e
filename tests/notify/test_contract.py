"""What every sink promises, held over the fake and the real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gatecam.notify.fake import ListSink
from gatecam.notify.jsonl import JsonLinesSink, event_to_dict
from gatecam.notify.log import DurableSink, LogFile
from gatecam.notify.queue import FanOut, QueuedSink
from gatecam.ports import Sink

Build = Callable[[Path], tuple[Sink, Callable[[], list[dict]]]]


def build_list(folder):
    sink = ListSink()
    return sink, lambda: [event_to_dict(event) for event in sink.events]


def build_jsonl(folder):
    path = folder / "events.jsonl"
    return JsonLinesSink(path), lambda: [json.loads(line) for line in path.read_text().splitlines()]


def build_queued(folder):
    inner, seen = build_list(folder)
    return QueuedSink(inner, size=100, name="list"), seen


def build_log(folder):
    path = folder / "events.jsonl"
    return LogFile(path), lambda: [json.loads(line) for line in path.read_text().splitlines()]


def build_durable(folder):
    acknowledged, seen = build_list(folder)
    return DurableSink(LogFile(folder / "log.jsonl"), acknowledged, size=100, name="log"), seen


def build_fan_out(folder):
    inner, seen = build_list(folder)
    return FanOut([inner, ListSink()]), seen


@pytest.mark.parametrize(
    "build", [build_list, build_jsonl, build_queued, build_log, build_durable, build_fan_out]
)
def test_after_close_every_event_has_arrived_once_and_in_order(build: Build, tmp_path, make_event):
    sink, seen = build(tmp_path)
    events = [make_event(track_id=i) for i in range(20)]
    for event in events:
        sink.send(event)
    sink.close()
    assert seen() == [event_to_dict(event) for event in events]
