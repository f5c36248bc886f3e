"""Statistics of any range of days: by hour, day, weekday and camera, and a CSV that a spreadsheet reads."""

from __future__ import annotations

import csv
import io
import re
import time
from datetime import datetime

import pytest

from gatecam.pictures.page_words import page_words
from gatecam.store.range_page import MOST_BARS
from gatecam.types import Event, EventKind, Verdict
from tests.web.conftest import BEARER

VERDICTS = {"c": Verdict.CORRECT, "i": Verdict.INCORRECT, "n": Verdict.NONE}


def person(at: str, verdict: str, camera: str = "gate", put_on_after_s: float | None = None) -> list[Event]:
    """The events of a person who came at a local time, and later put a mask on."""
    moment = datetime.fromisoformat(at).astimezone()
    told = [(EventKind.MASK_MISSING, VERDICTS[verdict], 0.0, None)]
    if put_on_after_s is not None:
        told.append((EventKind.MASK_OK, Verdict.CORRECT, put_on_after_s, 100.0))
    return [
        Event(
            kind,
            camera,
            1,
            judged,
            100.0 + after_s,
            at=datetime.fromtimestamp(moment.timestamp() + after_s).astimezone().isoformat(),
            first=came_s is None,
            came_s=came_s,
        )
        for kind, judged, after_s, came_s in told
    ]


@pytest.fixture
def berlin(monkeypatch, behind):
    """Seven people around the night in which clocks are set back, at two cameras in Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    behind.store.erase()
    people = [
        person("2026-10-23T09:10", "c"),
        person("2026-10-23T09:50", "n", put_on_after_s=4),
        person("2026-10-24T18:00", "i", "=yard"),
        person("2026-10-25T02:30+02:00", "c"),
        person("2026-10-25T02:30+01:00", "n"),
        person("2026-10-26T00:00", "c"),
        person("2026-11-02T09:00", "c"),
    ]
    for events in people:
        behind.store.append(events)
    yield
    monkeypatch.undo()
    time.tzset()


def ask(browser, **words: str):
    asked = {"first": "2026-10-23", "last": "2026-10-25", **words}
    return browser.ask("GET", "/api/statistics", params=asked, headers=BEARER)


def rows(browser, **words: str) -> list[list[str]]:
    found = re.findall(r"<tr>(.*?)</tr>", ask(browser, **words).json()["table"])[1:]
    return [re.findall(r"<t[hd].*?>(.*?)</t", row) for row in found]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (
            "day",
            [
                ["2026-10-23", "2", "1", "0", "1", "50 %", "1"],
                ["2026-10-24", "1", "0", "1", "0", "0 %", "0"],
                ["2026-10-25", "2", "1", "0", "1", "50 %", "0"],
            ],
        ),
        (
            "hour",
            [
                ["02:00", "2", "1", "0", "1", "50 %", "0"],
                ["09:00", "2", "1", "0", "1", "50 %", "1"],
                ["18:00", "1", "0", "1", "0", "0 %", "0"],
            ],
        ),
        (
            "weekday",
            [
                ["Fri", "2", "1", "0", "1", "50 %", "1"],
                ["Sat", "1", "0", "1", "0", "0 %", "0"],
                ["Sun", "2", "1", "0", "1", "50 %", "0"],
            ],
        ),
        (
            "camera",
            [["=yard", "1", "0", "1", "0", "0 %", "0"], ["gate", "4", "2", "0", "2", "50 %", "1"]],
        ),
    ],
)
def test_people_of_a_range_are_summed_up(berlin, browser, by, expected):
    assert rows(browser, by=by) == expected


def test_a_camera_is_chosen_and_the_range_told(berlin, browser):
    told = ask(browser, camera="=yard", by="hour").json()
    assert told["range"] == "2026-10-23 to 2026-10-25, =yard"
    assert told["summary"].startswith("1 person came; 0 % ")
    assert told["cameras"] == ["=yard", "gate"]
    assert ask(browser, camera="none").json()["summary"] == "Nobody came whose mask could be judged."


def test_many_days_are_drawn_by_month_and_listed_by_day(berlin, browser):
    told = ask(browser, first="2026-01-01", last="2026-12-31").json()
    assert told["chart"].count("<title>2026-10: ") == 3
    assert told["table"].count("2026-10-") == 4
    assert ask(browser, first="2026-10-01", last="2026-12-31").json()["chart"].count("<title>10-23: ") == 2
    assert MOST_BARS >= 92


def test_the_csv_has_local_times_that_a_spreadsheet_reads_and_computes_nothing(berlin, browser, behind):
    asked = {"first": "2026-10-23", "last": "2026-10-25"}
    answer = browser.ask("GET", "/api/statistics.csv", params=asked, headers=BEARER)
    assert answer.content.startswith(b"\xef\xbb\xbfstart,time zone,weekday,camera,people,")
    assert 'filename="gatecam-2026-10-23-2026-10-25.csv"' in answer.headers["content-disposition"]
    found = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))[1:]
    assert found == [
        ["2026-10-23 09:00", "UTC+02:00", "Fri", "gate", "2", "1", "0", "1", "1"],
        ["2026-10-24 18:00", "UTC+02:00", "Sat", "'=yard", "1", "0", "1", "0", "0"],
        ["2026-10-25 02:00", "UTC+02:00", "Sun", "gate", "1", "1", "0", "0", "0"],
        ["2026-10-25 02:00", "UTC+01:00", "Sun", "gate", "1", "0", "0", "1", "0"],
    ]
    korean = browser.ask(
        "GET", "/api/statistics.csv", params=asked, headers={**BEARER, "Accept-Language": "ko"}
    )
    assert page_words("ko")["report.put_on"] in korean.text.splitlines()[0]
    (entry,) = behind.store.audit.latest(1)
    assert (entry.actor.name, entry.act, entry.subject) == (
        "token:operator",
        "export",
        "gatecam-2026-10-23-2026-10-25.csv",
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"first": "2026-10-26"}, "swap them"),
        ({"first": "2000-01-01"}, "at most 3660 days"),
        ({"first": "soon"}, "valid date"),
        ({"by": "moon"}, "'hour', 'day'"),
    ],
)
def test_a_range_that_cannot_be_is_told(browser, words, told):
    answer = ask(browser, **words)
    assert answer.status_code == 422
    assert told in answer.text
