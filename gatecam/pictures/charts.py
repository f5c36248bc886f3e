"""Draw charts as SVG, for pages that load nothing from elsewhere and draw without scripts.

Text and outlines have the page's text color. Parts differ in color and order, and each has a title under the
pointer. A table gives the numbers to people who cannot see the chart.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 260
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 34, 26
FONT = 13
MAX_LABELS = 16
LABEL_PX = 72.0  # a label may be this wide, even if its bar is narrower
GAP = 0.25  # between bars, as a part of the space for each bar
GREEN, AMBER, RED = "#009e73", "#ffb71c", "#ce2030"  # as on the screen: correct, incorrect, none
LANE = 34  # height of a lane of a timeline: a bar, and the marks below it
PART_GAP = 2.0  # between the parts of a bar, because their colors alone differ too little


@dataclass(frozen=True, slots=True)
class Series:
    """Holds one part of every bar: its name, its CSS color and its value in each bar."""

    name: str
    color: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Bar:
    """Holds a stretch of time in a lane: its start and end in seconds, its CSS color and its title."""

    from_s: float
    to_s: float
    color: str
    said: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Holds a moment in a lane: its time in seconds, a sign of one letter, its CSS color and its title."""

    time_s: float
    sign: str
    color: str
    said: str


@dataclass(frozen=True, slots=True)
class Lane:
    """Holds one lane of a timeline: its name, bars, and marks that are drawn below the bars."""

    name: str
    bars: Sequence[Bar] = ()
    marks: Sequence[Mark] = ()


def timeline(lanes: Sequence[Lane], title: str) -> str:
    """Draw lanes over a common axis in seconds as an `<svg>` element, which is as high as its lanes."""
    ends = [bar.to_s for lane in lanes for bar in lane.bars]
    ends += [mark.time_s for lane in lanes for mark in lane.marks]
    end_s = max([1.0, *ends])
    left = max([LEFT, *(12 + _width(lane.name) for lane in lanes)])
    height = LANE * len(lanes) + BOTTOM
    scale = (WIDTH - left - RIGHT) / end_s
    every = next(step for step in (1, 2, 5, 10, 20, 30, 60, 300, 3600, end_s) if end_s / step <= MAX_LABELS)
    parts = []
    for at_s in range(0, math.floor(end_s) + 1, math.ceil(every)):
        x = left + at_s * scale
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - BOTTOM}" stroke="currentColor" '
            f'stroke-opacity="0.25"/><text x="{x:.1f}" y="{height - 8}" text-anchor="middle">{at_s}</text>'
        )
    for index, lane in enumerate(lanes):
        y = LANE * index + 2
        parts.append(f'<text x="{left - 6}" y="{y + 11}" text-anchor="end">{escape(lane.name)}</text>')
        for bar in lane.bars:
            x, width = left + bar.from_s * scale, (bar.to_s - bar.from_s) * scale
            parts.append(_bar(x, y, width, 12, bar.color, bar.said))
        for mark in lane.marks:
            parts.append(
                f'<circle cx="{left + mark.time_s * scale:.1f}" cy="{y + 22}" r="7" fill="{mark.color}" '
                f'stroke="currentColor"><title>{escape(mark.said)}</title></circle>'
                f'<text x="{left + mark.time_s * scale:.1f}" y="{y + 26}" text-anchor="middle" '
                f'pointer-events="none">{escape(mark.sign)}</text>'
            )
    return _svg(parts, title, height)


def stacked_bars(
    labels: Sequence[str], series: Sequence[Series], title: str, top: float | None = None
) -> str:
    """Draw stacked bars as an `<svg>` element, with the first series at the bottom.

    `top` is the end of the axis. Give it to compare charts. By default it fits the highest bar.

    Raises:
        ValueError: the number of values in a series differs from the number of labels.
    """
    for one in series:
        if len(one.values) != len(labels):
            raise ValueError(f"{one.name}: expected {len(labels)} values, got {len(one.values)}")
    top = top or nice_top(
        max((sum(parts) for parts in zip(*(one.values for one in series), strict=True)), default=0)
    )
    parts = [*_grid(top, _number), *_legend(series), *_labels(labels)]
    place = (WIDTH - LEFT - RIGHT) / max(1, len(labels))
    for index, label in enumerate(labels):
        height = 0.0
        for one in series:
            if one.values[index] > 0:
                tall = one.values[index] / top * (HEIGHT - TOP - BOTTOM)
                x, y = LEFT + place * (index + GAP / 2), HEIGHT - BOTTOM - height - tall
                said = f"{label}: {one.name} {_number(one.values[index])}"
                drawn = max(tall / 2, tall - PART_GAP) if height else tall
                parts.append(_bar(x, y, place * (1 - GAP), drawn, one.color, said))
                height += tall
    return _svg(parts, title)


def share_bars(labels: Sequence[str], shares: Sequence[float | None], color: str, title: str) -> str:
    """Draw bars from 0 to 100 % as an `<svg>` element. A share of None has no bar."""
    parts = [*_grid(1.0, _percent), *_labels(labels)]
    place = (WIDTH - LEFT - RIGHT) / max(1, len(labels))
    for index, share in enumerate(shares):
        if share is None:
            continue
        tall = share * (HEIGHT - TOP - BOTTOM)
        x, y = LEFT + place * (index + GAP / 2), HEIGHT - BOTTOM - tall
        said = f"{labels[index]}: {_percent(share)}"
        parts.append(
            f"{_bar(x, y, place * (1 - GAP), tall, color, said)}"
            f'<text x="{x + place * (1 - GAP) / 2:.1f}" y="{y - 4:.1f}" text-anchor="middle">'
            f"{_percent(share)}</text>"
        )
    return _svg(parts, title)


def nice_top(highest: float) -> float:
    """Return the smallest end of an axis that is not below `highest`.

    The ends are 4, 8, 12, 16, 20, 40, 80, 120, …, so that a quarter of each is a whole number.

    >>> [nice_top(value) for value in (0, 4, 5, 22, 100, 121)]
    [4.0, 4.0, 8.0, 40.0, 120.0, 160.0]
    """
    decade = 10 ** max(0, math.floor(math.log10(max(1.0, highest) / 4)))
    return float(next(step * decade for step in (4, 8, 12, 16, 20, 40) if step * decade >= highest))


def _svg(parts: Sequence[str], title: str, height: int = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}" '
        f'font-size="{FONT}" fill="currentColor">{"".join(parts)}</svg>'
    )


def _bar(x: float, y: float, width: float, height: float, color: str, said: str) -> str:
    """Draw a part of a bar. It has an outline because some colors stand out too little from the page."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{color}" '
        f'stroke="currentColor"><title>{escape(said)}</title></rect>'
    )


def _grid(top: float, text: Callable[[float], str]) -> list[str]:
    parts = []
    for quarter in range(5):
        y = HEIGHT - BOTTOM - quarter / 4 * (HEIGHT - TOP - BOTTOM)
        said = text(top * quarter / 4)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" '
            f'stroke-opacity="0.25"/><text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{said}</text>'
        )
    return parts


def _legend(series: Sequence[Series]) -> list[str]:
    parts, x = [], float(LEFT)
    for one in series:
        parts.append(
            f'<rect x="{x:.0f}" y="4" width="12" height="12" fill="{one.color}" stroke="currentColor"/>'
            f'<text x="{x + 17:.0f}" y="15">{escape(one.name)}</text>'
        )
        x += 40 + _width(one.name)
    return parts


def _width(text: str) -> float:
    """Return about how wide a text is in px."""
    return FONT * sum(1.0 if unicodedata.east_asian_width(c) == "W" else 0.6 for c in text)


def _labels(labels: Sequence[str]) -> list[str]:
    """Draw labels under the bars. Long ones are cut off, and of many bars only some get a label."""
    place = (WIDTH - LEFT - RIGHT) / max(1, len(labels))
    shown = [_cut(label, max(LABEL_PX, place)) for label in labels]
    every = math.ceil(max([len(labels) / MAX_LABELS, *(_width(text) / place for text in shown)]))
    return [
        f'<text x="{LEFT + place * (index + 0.5):.1f}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(text)}</text>"
        for index, text in enumerate(shown)
        if index % every == 0
    ]


def _cut(text: str, width: float) -> str:
    """Return a text, or as much of its beginning as fits into a width in px."""
    if _width(text) <= width:
        return text
    return next(cut for end in range(len(text), -1, -1) if _width(cut := f"{text[:end]}…") <= width)


def _number(value: float) -> str:
    return f"{value:g}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
