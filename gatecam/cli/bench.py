"""Run `gatecam bench`, which measures speed on this machine, and `gatecam bench compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.options import check_there

app = typer.Typer(
    help="Measure how fast gatecam is on this machine.",
    invoke_without_command=True,
)


@app.callback()
def bench(
    context: typer.Context,
    video: Annotated[
        Path | None,
        typer.Option(
            metavar="VIDEO",
            help="Measure replays and cameras with this clip instead of drawn ones.",
            callback=check_there,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            help="A value of the setting `device`, or `all` for CUDA, OpenVINO and CPU, if they work."
        ),
    ] = "all",
    parts: Annotated[
        str | None,
        typer.Option(
            help="What to measure: some of resolutions, faces, cameras, start, archive. Default: "
            "all, or with a clip resolutions and cameras.",
            show_default=False,
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Number of rounds. Medians are shown.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Measure one round only, in two minutes.")] = False,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures, for `bench compare`.")
    ] = None,
    page: Annotated[Path, typer.Option(metavar="FILE", help="Page to write.")] = Path("gatecam-bench.html"),
    chart: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Write the charts of the page as one picture.")
    ] = None,
) -> None:
    """Measure gatecam on this machine. This takes minutes, in which nothing else should run."""
    if context.invoked_subcommand is not None:
        return
    from gatecam.bench.run import Asked, measure_all

    measure_all(Asked(video, device, parts, 1 if quick else rounds, json, page, chart))


@app.command()
def compare(
    before: Annotated[
        Path, typer.Argument(metavar="A", help="File from `gatecam bench --json`.", callback=check_there)
    ],
    after: Annotated[
        Path,
        typer.Argument(metavar="B", help="The same for another version or machine.", callback=check_there),
    ],
) -> None:
    """Compare the figures of B with those of A. Differences within the rounds' spread count as no change."""
    from gatecam.bench.run import print_comparison

    if not print_comparison(before, after):
        raise typer.Exit(1)
