"""Charts as SVG, for pages that load nothing from elsewhere and run no script to draw them.

The text and the parts' outlines take the page's colour. Colours tell states apart together with their
order and, under the pointer, a title for each part; a table tells the numbers to who cannot see them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 260
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 34, 26
FONT = 13
MAX_LABELS = 16
GAP = 0.25  # of a bar's place
PART_GAP = 2.0  # between parts that lie on each other: their colours alone differ too little


@dataclass(frozen=True, slots=True)
class Series:
    """One part of every bar: its name, a CSS colour, and a value for each bar."""

    name: str
    color: str
    values: Sequence[float]


def stacked_bars(
    labels: Sequence[str], series: Sequence[Series], title: str, top: float | None = None
) -> str:
    """Bars of parts that lie on each other, from the first series at the bottom, as an `<svg>` element.

    `top` is the end of the axis, for charts that are to be compared; by default as the bars want it.

    Raises:
        ValueError: a series has another number of values than there are labels.
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
    """Bars from 0 to 100 %; None, where there is nothing to share, has none. An `<svg>` element."""
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


def number_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """What a chart shows, as a `<table>` element; the first cell of a row is its label."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(f'<tr><th scope="row">{escape(label)}</th>{_cells(cells)}</tr>' for label, *cells in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def nice_top(highest: float) -> float:
    """The end of an axis: the least of 4, 8, 12, 16, 20, 40, 80, 120, … that is not below: whole quarters.

    >>> [nice_top(value) for value in (0, 4, 5, 22, 100, 121)]
    [4.0, 4.0, 8.0, 40.0, 120.0, 160.0]
    """
    decade = 10 ** max(0, math.floor(math.log10(max(1.0, highest) / 4)))
    return float(next(step * decade for step in (4, 8, 12, 16, 20, 40) if step * decade >= highest))


def _svg(parts: Sequence[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        f'font-size="{FONT}" fill="currentColor">{"".join(parts)}</svg>'
    )


def _cells(texts: Sequence[str]) -> str:
    return "".join(f"<td>{escape(text)}</td>" for text in texts)


def _bar(x: float, y: float, width: float, height: float, color: str, said: str) -> str:
    """A part of a bar, outlined, as not every colour stands out from every page."""
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
        x += 40 + FONT * 0.6 * len(one.name)
    return parts


def _labels(labels: Sequence[str]) -> list[str]:
    """Under the bars; of many only some."""
    place = (WIDTH - LEFT - RIGHT) / max(1, len(labels))
    every = math.ceil(len(labels) / MAX_LABELS)
    return [
        f'<text x="{LEFT + place * (index + 0.5):.1f}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(label)}</text>"
        for index, label in enumerate(labels)
        if index % every == 0
    ]


def _number(value: float) -> str:
    return f"{value:g}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
