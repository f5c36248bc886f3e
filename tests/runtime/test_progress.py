"""Progress is plain lines for a pipe and a bar for a terminal."""

from __future__ import annotations

import os
import pty
import sys

import pytest

from gatecam.runtime import progress as module
from gatecam.runtime.progress import progress


@pytest.fixture
def clock(monkeypatch):
    """Sets the time that progress sees."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return lambda time_s: now.__setitem__(0, time_s)


def test_a_pipe_gets_a_line_every_few_seconds(clock, capsys):
    with progress("clip.mp4", 100, "frames") as tick:
        for time_s, done in ((101, 10), (104, 40), (106, 60), (107, 70), (112, 90)):
            clock(time_s)
            tick(done)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "clip.mp4: 60/100 frames, 10.0 frames/s, 4 s left",
        "clip.mp4: 90/100 frames, 7.5 frames/s, 1 s left",
    ]


def test_without_a_total_no_time_left_is_told(clock, capsys):
    with progress("clip.mp4", None, "frames") as tick:
        clock(110)
        tick(50, note="loss 0.1")
    assert capsys.readouterr().err == "clip.mp4: 50 frames, 5.0 frames/s, loss 0.1\n"


def test_work_done_before_says_nothing_of_the_rate(clock, capsys):
    with progress("train", 1000, "batches", before=900) as tick:
        clock(110)
        tick(905)
    assert capsys.readouterr().err == "train: 905/1000 batches, 0.5 batches/s, 190 s left\n"


def test_a_terminal_gets_a_bar_with_the_name_as_it_is(monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        with progress("[red]x.mp4", 4, "frames") as tick:
            for done in range(5):
                tick(done)
        print("end", file=terminal, flush=True)
        shown = b""
        while b"end" not in shown:
            shown += os.read(ours, 65536)
    os.close(ours)
    assert b"[red]x.mp4" in shown
    assert b"4/4" in shown
