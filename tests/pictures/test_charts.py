"""Charts: every value is drawn, to scale, and said in words."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from gatecam.pictures.charts import (
    AMBER,
    GREEN,
    LANE,
    PART_GAP,
    RED,
    RIGHT,
    WIDTH,
    Bar,
    Lane,
    Mark,
    Series,
    _width,
    share_bars,
    stacked_bars,
    timeline,
)
from gatecam.pictures.draw import COLORS
from gatecam.pictures.html import table
from gatecam.types import Verdict

SVG = "{http://www.w3.org/2000/svg}"


def bars(svg: str) -> dict[str, dict[str, str]]:
    """The attributes of each bar's part by its words."""
    tree = ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
    return {rect.findtext(f"{SVG}title"): rect.attrib for rect in tree.iter(f"{SVG}rect") if len(rect)}


def test_parts_lie_on_each_other_to_scale():
    svg = stacked_bars(
        ["a", "b"], [Series("right", "#1", [10, 0]), Series("none <b>", "#2", [5, 20])], "People"
    )
    drawn = bars(svg)
    assert sorted(drawn) == ["a: none <b> 5", "a: right 10", "b: none <b> 20"]
    low, high, full = drawn["a: right 10"], drawn["a: none <b> 5"], drawn["b: none <b> 20"]
    assert float(low["height"]) == pytest.approx(2 * (float(high["height"]) + PART_GAP), abs=0.2)
    assert float(full["height"]) == pytest.approx(260 - 34 - 26, abs=0.2)
    assert float(high["y"]) + float(high["height"]) == pytest.approx(float(low["y"]) - PART_GAP, abs=0.2)
    assert {part["stroke"] for part in drawn.values()} == {"currentColor"}
    assert float(low["x"]) < float(full["x"])
    assert 'aria-label="People"' in svg


def test_a_share_of_nothing_has_no_bar():
    drawn = bars(share_bars(["a", "b", "c"], [0.5, None, 0.0], "#1", "Share"))
    assert list(drawn) == ["a: 50 %", "c: 0 %"]
    assert float(drawn["a: 50 %"]["height"]) == pytest.approx(100)


def test_a_part_that_is_tiny_is_drawn_above_others_as_well():
    drawn = bars(stacked_bars(["a"], [Series("right", "#1", [1000]), Series("none", "#2", [1])], "People"))
    assert float(drawn["a: none 1"]["height"]) > 0


def test_a_table_tells_the_numbers_and_no_more():
    made = ElementTree.fromstring(table(("Hour", "<b>"), [("08", 3), ("09", "&")]))
    assert [cell.text for cell in made.iter("th")] == ["Hour", "<b>", "08", "09"]
    assert [cell.text for cell in made.iter("td")] == ["3", "&"]


def test_charts_have_the_colors_of_the_screen():
    verdicts = Verdict.CORRECT, Verdict.INCORRECT, Verdict.NONE
    assert [bytes.fromhex(color[1:]) for color in (GREEN, AMBER, RED)] == [
        bytes(COLORS[one]) for one in verdicts
    ]


def test_names_in_hangul_leave_room_for_each_other_in_the_legend():
    svg = stacked_bars(["a"], [Series("마스크 잘못 착용", "#1", [1]), Series("b", "#2", [1])], "People")
    starts = [float(x) for x in re.findall(r'<rect x="(\d+)" y="4"', svg)]
    assert starts[1] - starts[0] >= 17 + 13 * len("마스크 잘못 착용")


@pytest.mark.parametrize(
    "labels",
    [
        [f"lobby: entrance to the hall {number}" for number in range(10)],
        [f"정문 카메라 {number}" for number in range(40)],
        [f"20{year}-{month:02}" for year in range(17, 27) for month in range(1, 13)],
    ],
    ids=["long names", "Hangul", "months"],
)
def test_labels_under_the_bars_do_not_lie_on_each_other(labels):
    svg = share_bars(labels, [None] * len(labels), "#1", "Share")
    drawn = [(float(x), text) for x, text in re.findall(r'<text x="([\d.]+)" y="252"[^>]*>([^<]+)<', svg)]
    assert len(drawn) >= 5
    for (x, text), (next_x, next_text) in pairwise(drawn):
        assert next_x - x >= (_width(text) + _width(next_text)) / 2


def test_of_many_labels_only_some_are_written():
    svg = share_bars([f"day{i}" for i in range(100)], [None] * 100, "#1", "Share")
    assert svg.count(">day") == 15


def test_no_bars_are_a_chart_as_well():
    assert bars(stacked_bars([], [Series("right", "#1", [])], "People")) == {}


def test_unequal_series_are_refused():
    with pytest.raises(ValueError, match="right: expected 2 values, got 1"):
        stacked_bars(["a", "b"], [Series("right", "#1", [1])], "People")


def test_a_timeline_is_as_high_as_its_lanes_and_ends_with_its_last_part():
    one = Lane("<ann>", [Bar(0, 4, RED, "none")], [Mark(8, "✓", GREEN, "told")])
    few, many = (ElementTree.fromstring(timeline([one] * lanes, "door")) for lanes in (1, 3))
    heights = [float(svg.get("viewBox").split()[3]) for svg in (few, many)]
    assert heights[1] - heights[0] == 2 * LANE
    (bar,), (circle,) = few.findall("rect"), few.findall("circle")
    middle = float(bar.get("x")) + float(bar.get("width"))
    end = float(circle.get("cx"))
    assert end == WIDTH - RIGHT
    assert middle - float(bar.get("x")) == pytest.approx(end - middle, abs=0.2)
    assert "<ann>" in [text.text for text in few.findall("text")]


def test_long_names_of_lanes_stay_within_the_picture():
    name = "the child behind the girl in brown"
    (text,) = [
        t for t in ElementTree.fromstring(timeline([Lane(name, [Bar(0, 4, RED, "")])], "")) if t.text == name
    ]
    assert float(text.get("x")) > 0.55 * 13 * len(name)
