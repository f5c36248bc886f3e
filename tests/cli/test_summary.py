"""The tables at the end."""

from __future__ import annotations

import pytest

from gatecam.cli.summary import print_latencies, print_people, print_searches, seconds
from gatecam.people.keyframes import Searched
from gatecam.people.pipeline import People, Person
from gatecam.runtime.console import open_console
from gatecam.runtime.telemetry import StageLatency, Telemetry
from gatecam.types import Event, EventKind, Verdict


@pytest.fixture
def person() -> Person:
    said = Event(EventKind.MASK_MISSING, "door", 7, Verdict.NONE, 1.5)
    verdicts = [(1.0, Verdict.UNKNOWN), (1.5, Verdict.NONE)]
    return Person(1, "door", 7, 0.96, 4.0, Verdict.NONE, verdicts, 2, [said], 1)


def of(person: Person, tracks: int = 1, came: int = 1) -> People:
    people = People()
    people._people = {("door", 7): person}
    people.tracks, people.came = tracks, came
    return people


def test_a_person_is_one_row(person, capsys):
    print_people(open_console(), of(person), seconds)
    out = capsys.readouterr().out
    row = "│ 7      │ 0.96 s     │ 4.00 s    │ unknown 1.00 s, none 1.50 s │ mask_missing 1.50 s │"
    assert row in out
    assert "camera" not in out


def test_what_is_left_out_is_counted(person, capsys):
    person.verdict_count, person.event_count = 12, 4
    print_people(open_console(), of(person, tracks=1005, came=1000), seconds)
    out = capsys.readouterr().out
    assert "People: 1000, in 1005 tracks (the latest 1)" in out
    assert "none 1.50 s and 10 more changes" in out
    assert "mask_missing 1.50 s and 3 more" in out


def test_a_stage_is_one_row(capsys):
    print_latencies(open_console(), [StageLatency("detect", 30, 12.34, 56.78, 99.9)])
    assert "│ detect │     30 │ 12.3 ms │ 56.8 ms │" in capsys.readouterr().out


def test_how_much_was_searched_is_one_line(capsys):
    telemetry = Telemetry()
    for kind, count in (
        (Searched.START, 1),
        (Searched.LOST, 3),
        (Searched.TRACKS, 50),
        (Searched.NOTHING, 6),
    ):
        telemetry.count(kind, count)
    print_searches(open_console(), telemetry)
    said = "Searched whole: 4 of 60 frames (start 1, lost 3); at tracks alone: 50; nowhere: 6.\n"
    assert capsys.readouterr().out == said


def test_where_every_frame_is_searched_whole_nothing_is_said_of_it(capsys):
    print_searches(open_console(), Telemetry())
    assert capsys.readouterr().out == ""


def test_standard_error_is_written_where_it_is_asked_for(capsys):
    open_console(stderr=True).print("[bold]word[/bold] :smile:")
    assert tuple(capsys.readouterr()) == ("", "[bold]word[/bold] :smile:\n")
