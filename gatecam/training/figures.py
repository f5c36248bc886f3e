"""Draw plots as PNG with matplotlib, without a display or global state."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8A8A8A"  # safe for colour blindness (Okabe and Ito 2008)
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00")  # of lines, from the same source
DPI = 110


@contextmanager
def plots(size_inches: tuple[float, float], columns: int = 1) -> Iterator[tuple[list[Any], io.BytesIO]]:
    """Yield axes side by side, and a buffer that holds the PNG after the block.

    The background is white on light and dark pages alike.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure, out = Figure(size_inches, dpi=DPI, layout="constrained"), io.BytesIO()
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    yield axes, out
    figure.savefig(out, format="png")
