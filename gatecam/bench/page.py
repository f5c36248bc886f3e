"""Show the figures of a run as an HTML page with charts, and write the charts as a picture."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from gatecam.bench.result import CAPTURE, CLIP_PARTS, Clip, Measure, Result
from gatecam.pictures.charts import HEIGHT, WIDTH, Series, nice_top, stacked_bars
from gatecam.pictures.html import Page
from gatecam.runtime.files import write_output

TITLES = {
    "resolutions": "Replay of one face, by resolution",
    "faces": "Analysis at 720p, by faces",
    "cameras": "Live cameras, 640 × 480 at 10 frames/s with two faces each",
    "start": "Cold start",
    "archive": "Archives on the GPU",
}
CLIP_TITLES = {"resolutions": "Replay of {}", "cameras": "Live cameras that show {} at 10 frames/s"}
TOLD = {
    "resolutions": "From the file to the events, with default settings. Capture to decision is the time "
    "from the start of a frame's decoding until its events are known, for frames that come one by one, 30 a "
    "second.",
    "faces": "Without decoding. No face is a still, empty scene. A frame comes when the previous one is "
    "done, so capture to decision includes no waiting.",
    "cameras": "Frames come in real time, and the newest is taken. Capture to decision is the time from a "
    "frame's arrival until its events are known.",
    "start": "A new process with default settings, from its start until the first verdict is written. Memory "
    "is the process's peak until the end of its replay of 720p with one face.",
    "archive": "Batches of 720p pictures with four faces each, without decoding.",
}
MEMORY = (
    "Memory is the peak of the bench's own process (resident), with everything that it has loaded, such as "
    "torch and drawn pictures. For the cold start it is the peak of the new process. GPU "
    "memory is the peak of torch."
)
OVERLAP = (
    "Decoding runs at the same time as the rest, so the bars are taller than a frame's time in a replay."
)
STAGES = {
    "decode": "#8c8c8c",
    "plan": "#c9a227",
    "analyze": "#4a6fa5",
    "detect": "#2a78c8",
    "classify": "#2f9e63",
    "track": "#b0528e",
}


def rows_of(measures: list[Measure]) -> tuple[list[str], list[list[str]]]:
    """Build a table with a row for each case and backend, and a column for each figure (median of the
    rounds).
    """
    figures = list(dict.fromkeys(f"{one.figure}, {one.unit}" for one in measures))
    cases = list(dict.fromkeys((one.case, one.backend) for one in measures))
    values = {(one.case, one.backend, f"{one.figure}, {one.unit}"): number(one.median) for one in measures}
    rows = [[*case, *(values.get((*case, figure), "–") for figure in figures)] for case in cases]
    return ["", "backend", *figures], rows


def terminal_table(title: str, measures: list[Measure]) -> Table:
    """Build the same table for a terminal."""
    header, rows = rows_of(measures)
    table = Table(*header, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    return table


def _stage_of(one: Measure) -> tuple[str, str] | None:
    """Return the figure's stage and the kind of figure, or None if it does not belong to a stage."""
    stage, _, kind = one.figure.rpartition(" ")
    return (stage, kind) if stage in STAGES or stage == CAPTURE else None


def title_of(part: str, clip: Clip | None) -> str:
    """Return a part's title, with the clip's name if the part was measured with it."""
    return CLIP_TITLES[part].format(clip.name) if clip and part in CLIP_PARTS else TITLES[part]


def _stage_rows(measures: list[Measure]) -> tuple[list[str], list[list[str]]]:
    """Build a table with a row for each case, backend and stage."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for one in measures:
        stage, kind = _stage_of(one) or ("", "")
        found.setdefault((one.case, one.backend, stage), {})[kind] = number(one.median)
    kinds = ("mean", "p50", "p95", "p99")
    rows = [[*key, *(values.get(kind, "–") for kind in kinds)] for key, values in found.items()]
    return ["", "backend", "stage", *(f"{kind}, ms" for kind in kinds)], rows


def number(value: float) -> str:
    """Format a number with three digits, or without decimals from 100 on."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def page_of(result: Result) -> Page:
    """Build the page of a run."""
    page = Page(f"gatecam {result.origin.version} on this machine")
    page.table(["", ""], [*result.origin.named().items(), *result.machine.items()])
    page.text(f"Each figure is the median over the rounds. {MEMORY}")
    for part in TITLES:
        if measures := result.of(part):
            page.heading(title_of(part, result.origin.clip))
            page.text(TOLD[part])
            _part(page, result, part, measures)
    return page


def _part(page: Page, result: Result, part: str, measures: list[Measure]) -> None:
    for drawing in _drawings(result, part):
        page.text(_title(drawing))
        page.svg(drawing)
    if part == "resolutions":
        page.text(OVERLAP)
    page.table(*rows_of([one for one in measures if _stage_of(one) is None]))
    if staged := [one for one in measures if _stage_of(one) is not None]:
        page.text("Each stage: its mean over all frames, and percentiles over the frames that had the stage.")
        page.table(*_stage_rows(staged))


def write_chart(result: Result, path: Path) -> None:
    """Draw how cost grows with pixels, faces and cameras, as one SVG file.

    Raises:
        OutputError: the file cannot be written.
    """
    drawings = [
        drawing for part in ("resolutions", "faces", "cameras") for drawing in _drawings(result, part)
    ]
    step = HEIGHT + 30
    placed = "".join(
        f'<text x="8" y="{step * i + 18}" font-size="15">{_title(drawing)}</text>'
        + drawing.replace("<svg ", f'<svg y="{step * i + 26}" width="{WIDTH}" height="{HEIGHT}" ', 1)
        for i, drawing in enumerate(drawings)
    )
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {step * len(drawings)}" '
        f'font-family="system-ui, sans-serif"><rect width="100%" height="100%" fill="#fff"/>{placed}</svg>\n'
    )
    write_output(path, text)


def _title(drawing: str) -> str:
    return drawing.split('aria-label="', 1)[1].split('"', 1)[0]


def _drawings(result: Result, part: str) -> list[str]:
    """Draw a part's charts, one for each backend, all at the same scale."""
    measures = result.of(part)
    backends = list(dict.fromkeys(one.backend for one in measures if _stage_of(one)))
    if part in ("resolutions", "faces"):
        told, bars = "ms a frame, mean of each stage", [_stages(measures, one) for one in backends]
    elif part == "cameras":
        told, bars = f"{CAPTURE}, ms", [_latency(measures, one) for one in backends]
    else:
        return []
    title = title_of(part, result.origin.clip)
    top = nice_top(max((_tallest(series) for _, series in bars), default=0))
    return [
        stacked_bars(cases, series, f"{title} ({backend}): {told}", top)
        for backend, (cases, series) in zip(backends, bars, strict=True)
    ]


def _tallest(series: list[Series]) -> float:
    return max((sum(parts) for parts in zip(*(one.values for one in series), strict=True)), default=0)


def _stages(measures: list[Measure], backend: str) -> tuple[list[str], list[Series]]:
    mine = [one for one in measures if one.backend == backend]
    cases = list(dict.fromkeys(one.case for one in mine if _stage_of(one)))
    means = {(one.case, one.figure): one.median for one in mine}
    return cases, [
        Series(stage, color, [round(means.get((case, f"{stage} mean"), 0.0), 2) for case in cases])
        for stage, color in STAGES.items()
        if any((case, f"{stage} mean") in means for case in cases)
    ]


def _latency(measures: list[Measure], backend: str) -> tuple[list[str], list[Series]]:
    mine = {(one.case, one.figure): one.median for one in measures if one.backend == backend}
    cases = list(dict.fromkeys(case for case, _ in mine))
    medians = [mine.get((case, f"{CAPTURE} p50"), 0.0) for case in cases]
    tails = [mine.get((case, f"{CAPTURE} p95"), 0.0) for case in cases]
    rest = [round(max(0.0, tail - median), 1) for tail, median in zip(tails, medians, strict=True)]
    return cases, [
        Series("median", "#2a78c8", [round(median, 1) for median in medians]),
        Series("to the 95th percentile", "#8ab8e6", rest),
    ]
