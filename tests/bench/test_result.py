"""Figures of a run: written and read again, compared, and shown on a page that loads nothing."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, replace

import pytest

from gatecam.bench.page import number, page_of, rows_of, write_chart
from gatecam.bench.result import Clip, Measure, Origin, Result, compare, percentile, read_result
from gatecam.errors import ConfigError, OutputError

SPEED = Measure("resolutions", "720p", "cpu", "speed", "frames/s", (90.0, 110.0, 100.0), more=True)
DETECT = Measure("resolutions", "720p", "cpu", "detect mean", "ms", (3.0, 5.0, 4.0))
DELAYS = tuple(
    Measure("cameras", "4 cameras", "cpu", name, "ms", (value,))
    for name, value in (("capture to decision p50", 9.0), ("capture to decision p95", 12.0))
)
ORIGIN = Origin("0.1.0", "abc1234", "2026-11-28 12:00+00:00", 3, None)
CLIP = Clip("door.mp4", 90, "640 × 480", "0123456789ab")
RESULT = Result(ORIGIN, {"processor": "one <fast>", "cores": "2"}, (SPEED, DETECT, *DELAYS))


def scaled(measure: Measure, factor: float) -> Measure:
    return replace(measure, values=tuple(value * factor for value in measure.values))


def test_what_is_written_is_read_again(tmp_path):
    RESULT.write(tmp_path / "a.json")
    assert read_result(tmp_path / "a.json") == RESULT
    with_clip = replace(RESULT, origin=replace(ORIGIN, clip=CLIP))
    with_clip.write(tmp_path / "a.json")
    assert read_result(tmp_path / "a.json") == with_clip


FIGURE = json.dumps(asdict(SPEED))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"format": "another/2"}',
        '{"format": "gatecam-bench/2"}',
        '{"format": 2}',
        *(
            f'{{"format": "gatecam-bench/2", "origin": {json.dumps(asdict(ORIGIN))}, "machine": {{}}, '
            f'"measures": [{figure}]}}'
            for figure in (
                FIGURE.replace('"speed"', '["speed"]'),
                FIGURE.replace("[90.0, 110.0, 100.0]", "[]"),
                FIGURE.replace("[90.0, 110.0, 100.0]", "90"),
            )
        ),
    ],
)
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


def test_a_file_of_another_version_is_told_as_that(tmp_path):
    (tmp_path / "a.json").write_text('{"format": "gatecam-bench/1"}')
    with pytest.raises(ConfigError, match=r"a\.json: written by another version .*; measure again\."):
        read_result(tmp_path / "a.json")


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
    ((change,), doubts) = compare(
        replace(RESULT, measures=(delay,)), replace(RESULT, measures=(scaled(delay, 9),))
    )
    assert change.verdict == ""
    assert doubts == ["no verdict with one round: measure with two or more, five by default"]
    zero = replace(delay, values=(0.0,))
    ((change,), _) = compare(replace(RESULT, measures=(zero,)), replace(RESULT, measures=(delay,)))
    assert math.isnan(change.ratio)


def test_what_differs_between_the_machines_is_told():
    other = replace(RESULT, machine={"cores": "8"}, measures=())
    changes, doubts = compare(RESULT, other)
    assert changes == []
    assert doubts == [
        "not the same: cores: 2 in A, 8 in B",
        "not the same: processor: one <fast> in A, unknown in B",
        "not compared: 4 of 4 figures of A",
    ]


def test_unlike_clips_are_not_compared_but_what_does_without_them_is():
    frame = replace(SPEED, part="faces", figure="frame")
    before = replace(RESULT, origin=replace(ORIGIN, clip=CLIP), measures=(SPEED, frame))
    other = replace(before, origin=replace(ORIGIN, clip=replace(CLIP, sha256="ba9876543210")))
    changes, doubts = compare(before, other)
    assert [one.after for one in changes] == [frame]
    assert "not the same: the clips, so resolutions and cameras are not compared" in doubts
    changes, doubts = compare(before, before)
    assert [one.after for one in changes] == [SPEED, frame]
    assert doubts == []


def test_a_table_has_a_row_a_case_and_says_where_a_figure_is_missing():
    other = replace(SPEED, backend="openvino", values=(10.0,))
    header, rows = rows_of([SPEED, DETECT, other])
    assert header == ["", "backend", "speed, frames/s", "detect mean, ms"]
    assert rows == [["720p", "cpu", "100", "4"], ["720p", "openvino", "10", "–"]]


def test_the_page_loads_nothing_and_escapes(tmp_path):
    page_of(RESULT).write(tmp_path / "b.html")
    text = (tmp_path / "b.html").read_text(encoding="utf-8")
    assert "one &lt;fast&gt;" in text
    assert not re.search(r"(src|href)=|https?://", text)
    assert text.count("<svg") == 2
    head = re.sub("<[^>]+>", " ", text)
    assert re.search(
        r"gatecam\s+0\.1\.0 \(abc1234\)\s+measured\s+2026-11-28 .*\s+rounds\s+3\s+clip\s+drawn", head
    )
    assert "detect 4</title>" in text
    assert "<p>Replay of one face, by resolution (cpu): ms a frame, mean of each stage</p>" in text
    row = re.sub("<[^>]+>", " ", text[text.index("percentiles over the frames that had the stage") :])
    assert re.search(r"720p\s+cpu\s+detect\s+4\s+–", row)


def test_a_page_of_a_clip_has_its_name_and_what_tells_it_from_others(tmp_path):
    page_of(replace(RESULT, origin=replace(ORIGIN, clip=CLIP))).write(tmp_path / "b.html")
    text = (tmp_path / "b.html").read_text(encoding="utf-8")
    assert "Replay of door.mp4" in text
    assert "door.mp4 (640 × 480, 90 frames, SHA-256 0123456789ab…)" in text
    assert "one face" not in text[text.index("<h2>") : text.index("<svg")]


def test_charts_of_a_part_have_one_scale(tmp_path):
    slow = replace(scaled(DETECT, 10), backend="openvino")
    page_of(replace(RESULT, measures=(DETECT, slow))).write(tmp_path / "b.html")
    text = (tmp_path / "b.html").read_text(encoding="utf-8")
    heights = [float(height) for height in re.findall(r'height="([\d.]+)"[^>]*><title>720p: detect', text)]
    assert heights[1] == pytest.approx(10 * heights[0], rel=0.01)


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
