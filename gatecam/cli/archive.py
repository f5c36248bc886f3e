"""Run `gatecam archive`, which turns thousands of hours of recordings into tables."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from gatecam.cli.options import ConfigOption
from gatecam.errors import ConfigError, MissingExtraError, SourceError
from gatecam.runtime.logs import say

if TYPE_CHECKING:
    from gatecam.archive.run import Report
    from gatecam.archive.sources import Source
    from gatecam.archive.tables import Tables
    from gatecam.settings.schema import Config

MEGABYTE = 1e6

WorkersOption = Annotated[
    int | None,
    typer.Option(min=0, help="Workers on one core each. Default: one for each core.", show_default=False),
]
GpuWorkersOption = Annotated[
    int | None,
    typer.Option(min=0, help="Workers on one GPU each. Default: one for each GPU.", show_default=False),
]
CameraOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Camera of all recordings. Default: from names.", show_default=False),
]
ZoneOption = Annotated[
    str | None,
    typer.Option(
        metavar="ZONE",
        help="Zone of the times in names and on the page, such as Asia/Seoul. Default: this machine's.",
        show_default=False,
    ),
]


def archive(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCES...",
            help="Recordings, folders, patterns, and text files with one of these on each line.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the tables. A second run continues there.")
    ] = Path("archive"),
    query: Annotated[
        str | None,
        typer.Option(
            metavar="SQL",
            help="Instead, ask the tables events, people, totals and files, and print the answer.",
            show_default=False,
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Ray cluster, such as auto or 10.0.0.5:6379. Default: Ray on this machine.",
            show_default=False,
        ),
    ] = None,
    workers: WorkersOption = None,
    gpu_workers: GpuWorkersOption = None,
    camera: CameraOption = None,
    time_zone: ZoneOption = None,
    config: ConfigOption = None,
) -> None:
    """Analyze recordings on all cores or on a Ray cluster, and write events, people and totals as Parquet."""
    if query is not None:
        _print_answer(out, query)
        return
    from gatecam.archive.sources import find_sources
    from gatecam.settings.loading import load

    zone = _zone(time_zone)
    found = find_sources(sources or [], camera, zone)
    report = _analyze(found, out, zone, load(config).config, (address, workers, gpu_workers))
    for row in (*report.partly, *report.failed):
        say(f"{row['recording']}: {row['reason']}", level=logging.WARNING)
    if report.failed and not report.done + report.before:
        raise SourceError("no recording could be read; the reasons are above.")
    if report.failed:
        raise typer.Exit(1)


def _analyze(
    found: Sequence[Source],
    out: Path,
    zone: tzinfo | None,
    config: Config,
    cluster: tuple[str | None, int | None, int | None],
) -> Report:
    """Analyze the recordings that are not done yet, and write the page."""
    try:
        import duckdb  # noqa: F401 - the page needs it at the end, which may be days later

        from gatecam.archive.tables import Tables
    except ImportError as error:
        raise MissingExtraError("Analyzing archives", "ray") from error
    from gatecam.archive.page import write_summary
    from gatecam.archive.run import Report
    from gatecam.archive.worker import settings_hash

    with Tables(out, settings_hash(config)) as tables:
        plan = tables.plan([source for source in found if not tables.is_done(source)])
        for source, original in plan.copies:
            say(f"{source.path}: left out, because it is a copy of {original}.", level=logging.WARNING)
        if plan.moved:
            say(f"recordings that were moved or renamed keep their results: {len(plan.moved)}.")
        try:
            report = _run(plan.waiting, tables, config, cluster) if plan.waiting else Report()
        except KeyboardInterrupt:
            say("stopped; the same command goes on with the recordings that are not done.")
            raise
        report.before = len(found) - len(plan.waiting) - len(plan.copies)
        typer.echo(
            f"Recordings: {report.done} analyzed ({report.seconds / 3600:.1f} hours), {report.before} done "
            f"before, {len(report.failed)} could not be read."
        )
        typer.echo(write_summary(out, zone))
        typer.echo(f"The tables are in {out}, and the page is {out / 'summary.html'}.")
    return report


def _run(
    waiting: Sequence[Source],
    tables: Tables,
    config: Config,
    cluster: tuple[str | None, int | None, int | None],
) -> Report:
    from gatecam.archive.cluster import Cluster
    from gatecam.archive.run import Archive
    from gatecam.runtime.progress import progress

    say("starting the workers…")
    with Cluster(config, *cluster) as workers:
        may_cut = not workers.has_gpus and config.detector.detect_every > 1
        work = Archive(waiting, tables, workers, may_cut)
        with progress("archive", _megabytes(sum(one.bytes for one in waiting)), "MB") as tick:
            report = work.run(lambda done, note: tick(_megabytes(done), note=note))
        for note in workers.notes:
            say(f"the networks ran on {note}")
    return report


def _megabytes(count: float) -> int:
    return round(count / MEGABYTE)


def _zone(name: str | None) -> tzinfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError(f"--time-zone: expected a zone such as Asia/Seoul, got {name!r}") from None


def _print_answer(folder: Path, sql: str) -> None:
    from rich.table import Table

    from gatecam.archive.query import ask
    from gatecam.runtime.console import open_console

    answer = ask(folder, sql)
    table = Table()
    for name in answer.columns:
        table.add_column(name, overflow="fold")
    for row in answer.rows:
        table.add_row(*("" if value is None else f"{value}" for value in row))
    open_console().print(table)
