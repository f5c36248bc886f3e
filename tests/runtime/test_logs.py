"""What the program says of itself: one line an event, for people or as JSON, without passwords."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import datetime

import pytest

from gatecam.runtime import logs
from gatecam.runtime.logs import say, set_up, with_fields

log = logging.getLogger("gatecam.capture.camera")


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def said(capsys):
    """The lines on standard error since it was last asked; the set-up of before is back afterwards."""
    root, package = logging.getLogger(), logging.getLogger("gatecam")
    before = list(root.handlers), package.level, sys.excepthook
    yield lambda: capsys.readouterr().err.splitlines()
    root.handlers[:], sys.excepthook = before[0], before[2]
    package.setLevel(before[1])
    logging.captureWarnings(False)


def test_a_plain_line_is_the_sentence(said):
    set_up()
    say("camera gate is back", camera="gate", since_s=3.2)
    log.warning("%s failed: %s", "webhook", "no route")
    assert said() == ["gatecam: camera gate is back", "gatecam: webhook failed: no route"]


def test_a_json_line_has_its_time_level_logger_message_and_fields(said):
    set_up(as_json=True)
    say(
        "camera gate is lost",
        level=logging.WARNING,
        camera="gate",
        reason="frozen",
        since_s=3.25,
        message="x",
    )
    log.warning("현관\n2", extra=with_fields(rate=float("nan"), source="rtsp://a:b@h/"))
    first, second = map(json.loads, said())
    at = datetime.fromisoformat(first.pop("at"))
    assert abs((datetime.now().astimezone() - at).total_seconds()) < 60
    assert first == {
        "level": "warning",
        "logger": "gatecam",
        "message": "camera gate is lost",
        "camera": "gate",
        "reason": "frozen",
        "since_s": 3.25,
    }
    assert (second["logger"], second["message"]) == ("gatecam.capture.camera", "현관\n2")
    assert (second["rate"], second["source"]) == (None, "rtsp://***@h/")


def test_a_text_with_line_ends_and_terminal_codes_stays_one_harmless_line(said):
    set_up()
    say("camera a\nb\x1b[2J\udce9 현관")
    assert said() == ["gatecam: camera a b [2J  현관"]


def test_an_error_is_one_plain_line_and_a_whole_trace_in_json(said):
    def fail():
        raise ValueError("cannot read http://me:secret@cam/")

    for as_json in (False, True):
        set_up(as_json)
        try:
            fail()
        except ValueError:
            log.exception("camera gate broke")
    plain, full = said()
    line = fail.__code__.co_firstlineno + 1
    where = f"ValueError: cannot read http://***@cam/ (test_logs.py:{line})"
    assert plain == f"gatecam: camera gate broke: {where}"
    fields = json.loads(full)
    assert fields["error"] == where
    assert "in fail" in fields["trace"]
    assert "secret" not in full


def test_lines_show_no_secrets_of_addresses(said):
    text, safe = "open rtsp://admin:1234@10.0.0.5/user/x1/ now", "open rtsp://***@10.0.0.5/user/***/ now"
    for as_json in (False, True):
        set_up(as_json)
        say(text, source=text)
    plain, full = said()
    assert plain == f"gatecam: {safe}"
    assert (json.loads(full)["message"], json.loads(full)["source"]) == (safe, safe)


def test_a_warning_at_high_rate_is_said_once_in_ten_seconds_with_the_count(said, clock):
    set_up(clock=clock)
    for _ in range(200):
        log.warning("stream broken: %s", "bad data")
        clock.now_s += 0.125
    log.warning("stream broken: %s", "other")
    assert said() == [
        "gatecam: stream broken: bad data",
        "gatecam: stream broken: bad data (and 79 more times)",
        "gatecam: stream broken: bad data (and 79 more times)",
        "gatecam: stream broken: other",
    ]


def test_what_was_left_out_last_is_said_with_the_next_line_or_at_the_end(said, clock):
    set_up(as_json=True, clock=clock)
    for _ in range(5):
        log.warning("disk slow", extra=with_fields(disk="sda"))
    clock.now_s += 10
    say("camera gate is back")
    for _ in range(3):
        log.error("GPU gone")
    set_up()
    lines = [json.loads(line) for line in said()]
    assert [(line["message"], line.get("left_out")) for line in lines] == [
        ("disk slow", None),
        ("disk slow (and 4 more times)", 4),
        ("camera gate is back", None),
        ("GPU gone", None),
        ("GPU gone (and 2 more times)", 2),
    ]
    assert lines[1]["disk"] == "sda"


def test_what_is_no_warning_is_always_said(said, clock):
    set_up(clock=clock)
    for _ in range(3):
        say("alert at the gate")
    assert len(said()) == 3


def test_unlike_warnings_without_end_do_not_fill_the_memory(said, clock):
    limit = logs.Limit(clock)
    for number in range(5000):
        record = logging.makeLogRecord({"levelno": logging.WARNING, "msg": f"frame {number} is broken"})
        assert list(limit.pass_on(record)) == [record]
    assert len(limit._said) == logs.TEXTS_KEPT


def test_the_limit_keeps_no_traceback_and_so_no_picture_alive(clock):
    limit = logs.Limit(clock)
    record = logging.makeLogRecord({"levelno": logging.ERROR, "msg": "broke", "exc_info": (None, None, None)})
    list(limit.pass_on(record))
    assert all(said.record.exc_info is None for said in limit._said.values())


def test_a_second_set_up_takes_the_place_of_the_first(said):
    set_up()
    set_up()
    say("once")
    assert said() == ["gatecam: once"]


def test_a_standard_error_that_is_gone_stops_nothing(said, monkeypatch):
    class Gone:
        def write(self, text):
            raise BrokenPipeError(32, "Broken pipe")

    set_up()
    for stream in (Gone(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        say("nobody hears this")


def test_with_json_an_unknown_error_and_a_warning_of_python_are_lines_too():
    code = (
        "import warnings; from gatecam.runtime.logs import set_up\n"
        "set_up(True); warnings.warn('old\\ncall'); 1 / 0"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    warned, died = map(json.loads, ended.stderr.splitlines())
    assert (ended.returncode, warned["logger"], warned["level"]) == (1, "py.warnings", "warning")
    assert (died["level"], died["error"]) == ("critical", "ZeroDivisionError: division by zero (<string>:2)")
