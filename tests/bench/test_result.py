"""Figures of a run: written and read again, compared, and shown on a page that loads nothing."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from gatecam.bench.page import number, page_of, rows_of, write_chart
from gatecam.bench.result import Measure, Result, compare, percentile, read_result
from gatecam.errors import ConfigError, OutputError

SPEED = Measure("resolutions", "720p", "cpu", "speed", "frames/s", (90.0, 110.0, 100.0), more=True)
DETECT = Measure("resolutions", "720p", "cpu", "detect mean", "ms", (3.0, 5.0, 4.0))
DELAYS = tuple(
    Measure("cameras", "4 cameras", "cpu", name, "ms", (value,))
    for name, value in (("p50", 9.0), ("p95", 12.0))
)
RESULT = Result("0.1.0", {"processor": "one <fast>", "cores": "2"}, (SPEED, DETECT, *DELAYS))


def scaled(measure: Measure, factor: float) -> Measure:
    return replace(measure, values=tuple(value * factor for value in measure.values))


def test_what_is_written_is_read_again(tmp_path):
    RESULT.write(tmp_path / "a.json")
    assert read_result(tmp_path / "a.json") == RESULT


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "gatecam-bench/0"}', "null"])
def test_another_file_is_told_in_a_sentence(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigError, match=r"a\.json: not a file that `gatecam bench --json` wrote; give one"):
        read_result(tmp_path / "a.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_result(tmp_path / "none.json")


def test_where_nothing_can_be_written_it_is_told(tmp_path):
    for write in (RESULT.write, lambda path: write_chart(RESULT, path)):
        with pytest.raises(OutputError, match="cannot be written"):
            write(tmp_path / "no" / "file")


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, ""), (1.1, ""), (2.0, "better"), (0.5, "worse")])
def test_only_what_lies_beyond_the_rounds_spread_is_a_change(factor, verdict):
    ((change,), doubts) = compare(
        replace(RESULT, measures=(SPEED,)), replace(RESULT, measures=(scaled(SPEED, factor),))
    )
    assert (change.verdict, doubts) == (verdict, [])
    assert change.ratio == pytest.approx(factor)
    ((time,), _) = compare(
        replace(RESULT, measures=(DETECT,)), replace(RESULT, measures=(scaled(DETECT, 3),))
    )
    assert time.verdict == "worse", "of a time, less is better"


def test_one_round_tells_of_no_change():
    delay = DELAYS[0]
    ((change,), _) = compare(
        replace(RESULT, measures=(delay,)), replace(RESULT, measures=(scaled(delay, 9),))
    )
    assert change.verdict == ""
    zero = replace(delay, values=(0.0,))
    ((change,), _) = compare(replace(RESULT, measures=(zero,)), replace(RESULT, measures=(delay,)))
    assert math.isnan(change.ratio)


def test_what_differs_between_the_machines_is_told():
    other = replace(RESULT, machine={"cores": "8"}, measures=())
    changes, doubts = compare(RESULT, other)
    assert changes == []
    assert doubts == [
        "cores: 2 before, 8 after",
        "processor: one <fast> before, unknown after",
        "the two have no figure in common",
    ]


def test_a_table_has_a_row_a_case_and_says_where_a_figure_is_missing():
    plain = replace(SPEED, backend="plain loop", values=(10.0,))
    header, rows = rows_of([SPEED, DETECT, plain])
    assert header == ["", "backend", "speed, frames/s", "detect mean, ms"]
    assert rows == [["720p", "cpu", "100", "4"], ["720p", "plain loop", "10", "–"]]


def test_the_page_loads_nothing_and_escapes(tmp_path):
    page_of(RESULT).write(tmp_path / "b.html")
    text = (tmp_path / "b.html").read_text(encoding="utf-8")
    assert "one &lt;fast&gt;" in text
    assert not re.search(r"(src|href)=|https?://", text)
    assert text.count("<svg") == 2
    assert "detect 4</title>" in text
    assert "<p>Replay of one face, by resolution (cpu): ms a frame, mean of each stage</p>" in text
    row = re.sub("<[^>]+>", " ", text[text.index("percentiles of the frames that had it") :])
    assert re.search(r"720p\s+cpu\s+detect\s+4\s+–", row)


def test_the_chart_is_one_picture(tmp_path):
    write_chart(RESULT, tmp_path / "c.svg")
    text = (tmp_path / "c.svg").read_text(encoding="utf-8")
    assert text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert text.count("<svg") == text.count("</svg>") == 3


def test_numbers_have_three_figures():
    assert [number(value) for value in (1234.5, 99.94, 0.01234)] == ["1234", "99.9", "0.0123"]


def test_a_percentile_is_a_value_that_happened():
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(range(100), 0.95) == 95
    assert percentile([], 0.5) == 0
