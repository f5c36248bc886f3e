"""Truths of clips are read from CSV, and each wrong line is told in one sentence."""

from __future__ import annotations

import re

import pytest

from gatecam.bench.events.truth import Place, State, read_truth
from gatecam.errors import DataError
from gatecam.types import EventKind

HEAD = "clip,person,from_s,to_s,state,never,x,y,width\n"


def test_people_and_their_spans_are_read(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text(HEAD + "a.mp4,1,0,2,none,thanks,10,20,50\na.mp4,1,2,3,correct,,,,\nempty.mp4,,,,,,,,\n")
    truth = read_truth(path)
    (person,) = truth.clips["a.mp4"]
    assert [span.state for span in person.spans] == [State.NONE, State.CORRECT]
    assert person.spans[0].never == {EventKind.MASK_OK}
    assert truth.clips["empty.mp4"] == ()


def test_the_place_moves_from_line_to_line(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text(HEAD + "a.mp4,1,0,2,none,,10,20,50\na.mp4,1,2,3,none,,30,40,70\n")
    (person,) = read_truth(path).clips["a.mp4"]
    assert person.place(1.0) == Place(20, 30, 60)
    assert person.place(9.0) == Place(30, 40, 70)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (",1,0,1,none,,,,", "truth.csv:2: the clip has no name"),
        ("a.mp4,,0,1,none,,,,", "truth.csv:2: the person has no name"),
        ("a.mp4,1,soon,1,none,,,,", "truth.csv:2: from_s: expected a number, got 'soon'"),
        ("a.mp4,1,nan,1,none,,,,", "truth.csv:2: from_s: expected a number, got 'nan'"),
        ("a.mp4,1,2,1,none,,,,", "truth.csv:2: expected times with 0 <= from_s < to_s, got 2 and 1"),
        ("a.mp4,1,0,1,bare,,,,", "truth.csv:2: state: expected correct, incorrect, none, picture, any"),
        ("a.mp4,1,0,1,none,alarm,,,", "truth.csv:2: never: expected alert, thanks or both, got 'alarm'"),
        ("a.mp4,1,0,1,none,,5,,", "truth.csv:2: expected all of x, y and width, or none, got x only"),
        ("a.mp4,1,0,1,none,,5,5,0", "truth.csv:2: width: expected more than 0 px, got 0"),
        ("a.mp4,1,0,2,none,,,,\na.mp4,1,1,3,none,,,,", "truth.csv:3: from_s is 1, but"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(tmp_path, lines, said):
    path = tmp_path / "truth.csv"
    path.write_text(f"{HEAD}{lines}\n")
    with pytest.raises(DataError, match=re.escape(said)):
        read_truth(path)


def test_a_missing_column_is_told(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text("clip,person\n")
    with pytest.raises(DataError, match="expected the columns clip,person,from_s,to_s,state"):
        read_truth(path)
