"""Draw plots (PNG) of confusion, reliability, accuracy by group, and precision against recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np

from gatecam.training.figures import BLUE, COLOURS, GREY, plots
from gatecam.training.scores.calibration import Bin
from gatecam.training.scores.detector_score import Curve
from gatecam.training.scores.groups import GAP_FACES
from gatecam.training.scores.slices import Slice


def confusion_picture(names: Sequence[str], counts: Sequence[Sequence[int]]) -> bytes:
    """Draw a confusion matrix. Colours show each true label's distribution over the predicted labels."""
    table = np.array(counts, float)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    many = len(names) > 6
    size = (11.0, 9.5) if many else (5.4, 4.2)
    with plots(size) as ((axes,), out):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(
            range(len(names)), names, rotation=60 if many else 0, ha="right" if many else "center"
        )
        axes.set_yticks(
            range(len(names)), [f"{n} ({c:.0f})" for n, c in zip(names, table.sum(1), strict=True)]
        )
        axes.set_xlabel("predicted")
        axes.set_ylabel("true (faces)")
        for (row, column), count in np.ndenumerate(table):
            share = shares[row, column]
            text = f"{count:.0f}" if many else f"{count:.0f}\n{share:.1%}"
            if count or not many:
                colour = "white" if share > 0.55 else "black"
                axes.text(
                    column, row, text, ha="center", va="center", color=colour, fontsize=8 if many else 9
                )
    return out.getvalue()


def reliability_picture(bins: Sequence[Bin]) -> bytes:
    """Draw how often the most likely label is right against its probability."""
    faces = sum(b.faces for b in bins)
    with plots((4.6, 4.2)) as ((axes,), out):
        axes.plot([0, 1], [0, 1], "--", color=GREY, label="perfectly calibrated")
        for b in bins:  # the size of a dot shows its number of faces
            axes.scatter(b.confidence, b.accuracy, s=20 + 380 * b.faces / faces, color=BLUE, alpha=0.7)
        axes.plot(
            [b.confidence for b in bins],
            [b.accuracy for b in bins],
            color=BLUE,
            label="measured (dot size: faces)",
        )
        low = max(0.0, min([b.confidence for b in bins] + [b.accuracy for b in bins]) - 0.08)
        axes.set(xlim=(low, 1.03), ylim=(low, 1.03), xlabel="predicted probability", ylabel="accuracy")
        axes.legend(loc="upper left", frameon=False)
    return out.getvalue()


def slices_picture(slices: Sequence[Slice]) -> bytes:
    """Draw the accuracy of each group and its interval. Dots of small groups are hollow."""
    rows = _rows_of(slices)
    with plots((8.0, 0.7 + 0.27 * len(rows))) as ((axes,), out):
        for height, (_, s) in enumerate(rows):
            if s is None or s.micro_f1 is None:
                continue
            fill = BLUE if s.faces >= GAP_FACES else "white"
            if s.interval:
                axes.plot(s.interval, (height, height), color=BLUE, linewidth=1.6)
            axes.plot(s.micro_f1, height, "o", color=BLUE, markerfacecolor=fill)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        for label, (_, s) in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_fontweight("bold" if s is None else "normal")
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(f"accuracy with its 95 % interval (hollow: under {GAP_FACES} faces)")
        axes.grid(axis="x", color="#dddddd")
        axes.tick_params(axis="y", length=0)
    return out.getvalue()


def precision_recall_picture(
    curves: Mapping[str, Curve], points: Mapping[str, tuple[float | None, float | None]]
) -> bytes:
    """Draw the curve of each detector, and a dot for its recall and precision at its own thresholds."""
    with plots((6.4, 4.6)) as ((axes,), out):
        for (name, curve), colour in zip(curves.items(), cycle(COLOURS)):
            axes.plot(curve.recall, curve.precision, color=colour, linewidth=1.8, label=name)
            if None not in points[name]:
                axes.plot(*points[name], "o", color=colour, markersize=8, label=f"{name}, at its thresholds")
        axes.set(xlim=(0, 1.01), ylim=(0, 1.01), xlabel="recall", ylabel="precision")
        axes.grid(color="#dddddd")
        axes.legend(loc="lower left", frameon=False)
    return out.getvalue()


def _rows_of(slices: Sequence[Slice]) -> list[tuple[str, Slice | None]]:
    """Return the lines of the plot, each attribute's name followed by its groups."""
    rows: list[tuple[str, Slice | None]] = []
    for attribute in dict.fromkeys(s.attribute for s in slices):
        rows.append((attribute, None))
        rows += [(f"{s.group} ({s.faces})", s) for s in slices if s.attribute == attribute]
    return rows
