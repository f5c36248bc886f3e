"""Events as JSON lines: what exactly they are, and what a bad path or a reader that is gone does to them."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from gatecam.errors import OutputError
from gatecam.notify.jsonl import JsonLinesSink, event_to_dict
from gatecam.types import Event, EventKind, Verdict


def test_a_line_is_exactly_what_the_design_says(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = JsonLinesSink(path)
    sink.send(Event(EventKind.MASK_MISSING, "gate", 3, Verdict.NONE, 1.23456, 37, 0.98765))
    assert path.read_bytes() == (
        b'{"kind": "mask_missing", "camera": "gate", "track_id": 3, "time_s": 1.235, "frame": 37, '
        b'"verdict": "none", "probability": 0.988, "first": false}\n'
    )  # before close: each line is flushed
    sink.close()


def test_numpy_probabilities_become_json_numbers():
    event = Event(EventKind.MASK_OK, "gate", 1, Verdict.CORRECT, 1.0, 0, np.float32(0.9))
    assert json.loads(json.dumps(event_to_dict(event)))["probability"] == 0.9


def test_camera_names_in_any_letters_survive(tmp_path):
    names = ["현관", "caf\udce9", 'a"b\nc']
    path = tmp_path / "events.jsonl"
    sink = JsonLinesSink(path)
    for name in names:
        sink.send(Event(EventKind.MASK_OK, name, 1, Verdict.CORRECT, 1.0))
    sink.close()
    assert [json.loads(line)["camera"] for line in path.read_text().splitlines()] == names


def test_the_file_is_replaced(tmp_path, make_event):
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        sink = JsonLinesSink(path)
        sink.send(make_event())
        sink.close()
        assert len(path.read_text().splitlines()) == 1


def test_a_stream_gets_the_lines_and_stays_open(make_event):
    stream = io.StringIO()
    sink = JsonLinesSink(stream)
    sink.send(make_event())
    sink.close()
    assert json.loads(stream.getvalue())["kind"] == "mask_missing"


def test_a_live_event_has_the_time_of_day_last(make_event):
    event = replace(make_event(), at="2024-05-01T12:00:00+00:00")
    assert list(event_to_dict(event).items())[-1] == ("at", "2024-05-01T12:00:00+00:00")


@pytest.mark.parametrize("kind", EventKind)
def test_only_events_of_a_camera_have_a_reason(kind):
    fields = event_to_dict(Event(kind, "gate", 0, Verdict.UNKNOWN, 1.0, reason="frozen"))
    assert fields["kind"] == kind
    assert fields.get("reason") == ("frozen" if kind.is_camera else None)


def test_a_file_that_cannot_be_opened_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match=r"missing.*cannot be written \(No such file"):
        JsonLinesSink(tmp_path / "missing" / "events.jsonl")
    with pytest.raises(OutputError, match="is a folder"):
        JsonLinesSink(tmp_path)


def test_a_stream_whose_reader_is_gone_is_an_output_error(make_event):
    class BrokenPipe(io.StringIO):
        name = "<stdout>"

        def write(self, text):
            raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(OutputError, match="<stdout>: events cannot be written"):
        JsonLinesSink(BrokenPipe()).send(make_event())
