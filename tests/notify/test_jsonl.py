"""The events file: its exact lines, and what a kill, a bad path or a full disk does to it."""

from __future__ import annotations

import io
import json

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
        b'"verdict": "none", "probability": 0.988}\n'
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


def test_the_file_is_replaced_unless_asked_to_append(tmp_path, make_event):
    path = tmp_path / "events.jsonl"
    for append, expected in ((False, 1), (False, 1), (True, 2)):
        sink = JsonLinesSink(path, append=append)
        sink.send(make_event())
        sink.close()
        assert len(path.read_text().splitlines()) == expected


@pytest.mark.parametrize(
    ("before", "after"), [("", ""), ('{"a": 1}\n', '{"a": 1}\n'), ('{"a": 1}\n{"ki', '{"a": 1}\n{"ki\n')]
)
def test_a_line_cut_off_by_a_kill_does_not_glue_to_the_next(before, after, tmp_path, make_event):
    path = tmp_path / "events.jsonl"
    path.write_text(before)
    sink = JsonLinesSink(path, append=True)
    sink.send(make_event())
    sink.close()
    assert path.read_text() == after + json.dumps(event_to_dict(make_event())) + "\n"


def test_a_stream_gets_the_lines_and_stays_open(make_event):
    stream = io.StringIO()
    sink = JsonLinesSink(stream)
    sink.send(make_event())
    sink.close()
    assert json.loads(stream.getvalue())["kind"] == "mask_missing"


def test_the_stamp_adds_the_wall_clock(make_event):
    stream = io.StringIO()
    JsonLinesSink(stream, stamp=lambda: "2024-05-01T12:00:00+00:00").send(make_event())
    assert json.loads(stream.getvalue())["at"] == "2024-05-01T12:00:00+00:00"


def test_a_file_that_cannot_be_opened_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match=r"missing.*cannot be written \(No such file"):
        JsonLinesSink(tmp_path / "missing" / "events.jsonl")
    with pytest.raises(OutputError, match="Is a directory"):
        JsonLinesSink(tmp_path)


def test_a_stream_whose_reader_is_gone_is_an_output_error(make_event):
    class BrokenPipe(io.StringIO):
        name = "<stdout>"

        def write(self, text):
            raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(OutputError, match="<stdout>: events cannot be written"):
        JsonLinesSink(BrokenPipe()).send(make_event())
