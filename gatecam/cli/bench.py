"""`gatecam bench`: how fast gatecam is on this machine; `gatecam bench compare`: two such runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatecam.cli.inputs import require_there

app = typer.Typer(
    help="Measure gatecam on this machine, beside the plain loop and beside what the machine can do.",
    invoke_without_command=True,
)


@app.callback()
def bench(
    context: typer.Context,
    video: Annotated[
        Path | None,
        typer.Option(
            metavar="VIDEO", help="Measure with this clip, not with drawn ones: replays and cameras."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="cpu, openvino, cuda or auto; `all` is every one that works here.")
    ] = "all",
    parts: Annotated[
        str | None,
        typer.Option(
            help="What is measured: some of resolutions, faces, cameras, networks, start, archive. Without "
            "it: all, or with a clip resolutions and cameras.",
            show_default=False,
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Rounds, of which the median is told.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="One round: a first look, in two minutes.")] = False,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures, for `bench compare`.")
    ] = None,
    page: Annotated[Path, typer.Option(metavar="FILE", help="Where the page is written.")] = Path(
        "gatecam-bench.html"
    ),
    chart: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Write the charts of the page as one picture.")
    ] = None,
) -> None:
    """Measure gatecam on this machine: minutes, in which nothing else should run."""
    if context.invoked_subcommand is not None:
        return
    require_there([video])
    from gatecam.bench.run import Asked, measure_all

    measure_all(Asked(video, device, parts, 1 if quick else rounds, json, page, chart))


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(metavar="A", help="What `gatecam bench --json` wrote.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The same of another version or machine.")],
) -> None:
    """Tell how the figures of B stand to those of A; what lies within the rounds' spread is no change."""
    require_there([before, after])
    from gatecam.bench.run import print_comparison

    if not print_comparison(before, after):
        raise typer.Exit(1)
