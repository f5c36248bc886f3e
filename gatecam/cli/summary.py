"""Print the summary at the end: people, time per stage, and how frames were searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatecam.people.keyframes import Searched
from gatecam.people.pipeline import People, Person
from gatecam.pictures.messages import event_label
from gatecam.runtime.telemetry import StageLatency, Telemetry
from gatecam.types import Verdict

STYLES = {
    Verdict.CORRECT: "green",
    Verdict.INCORRECT: "yellow",
    Verdict.NONE: "red",
    Verdict.UNKNOWN: "bright_black",
}


def seconds(time_s: float) -> str:
    """Return a time in a recording as `12.34 s`."""
    return f"{time_s:.2f} s"


def print_people(console: Console, everybody: People, moment: Callable[[float], str]) -> None:
    """Print a row for each of the latest tracks: first and last seen, verdicts over time, and events.

    `moment` formats a time in seconds.
    """
    people = everybody.latest()
    if not people:
        console.print("Nobody came.")
        return
    several = len({person.camera for person in people}) > 1
    table = Table(title=_title(everybody, len(people)), title_justify="left")
    for name in (*(["camera"] if several else []), "person", "first seen", "last seen", "verdicts", "events"):
        table.add_column(name, overflow="fold")
    for person in people:
        row = [str(person.track_id), moment(person.first_s), moment(person.last_s)]
        said = _verdicts(person, moment), _events(person, moment)
        table.add_row(*([person.camera] if several else []), *row, *said)
    console.print(table)


def _title(everybody: People, shown: int) -> str:
    tracks = f", in {everybody.tracks} tracks" if everybody.tracks != everybody.came else ""
    latest = f" (the latest {shown})" if shown != everybody.tracks else ""
    return f"People: {everybody.came}{tracks}{latest}"


def _verdicts(person: Person, moment: Callable[[float], str]) -> Text:
    text = Text()
    for i, (time_s, verdict) in enumerate(person.verdicts):
        text.append(", " if i else "")
        text.append(verdict, style=STYLES[verdict])
        text.append(f" {moment(time_s)}")
    left_out = person.verdict_count - len(person.verdicts)
    return text.append(f" and {left_out} more changes") if left_out else text


def _events(person: Person, moment: Callable[[float], str]) -> str:
    shown = ", ".join(f"{event_label(event)} {moment(event.time_s)}" for event in person.events)
    left_out = person.event_count - len(person.events)
    return f"{shown} and {left_out} more" if left_out else shown


def print_latencies(console: Console, latencies: Sequence[StageLatency]) -> None:
    """Print a row for each stage, with the number of frames and the time per frame."""
    table = Table(title="Time a frame takes", title_justify="left")
    table.add_column("stage")
    for name in ("frames", "p50", "p95"):
        table.add_column(name, justify="right")
    for stage in latencies:
        table.add_row(stage.stage, str(stage.count), f"{stage.p50_ms:.1f} ms", f"{stage.p95_ms:.1f} ms")
    console.print(table)


def print_searches(console: Console, telemetry: Telemetry) -> None:
    """Print how many frames were searched whole, and why. Print nothing if all were (`detect_every` 1)."""
    counts = {kind: telemetry.counter(kind) for kind in Searched}
    at_tracks, nowhere = counts.pop(Searched.TRACKS), counts.pop(Searched.NOTHING)
    whole = sum(counts.values())
    if not whole:
        return
    reasons = ", ".join(f"{kind.name.lower()} {count}" for kind, count in counts.items() if count)
    console.print(
        f"Searched whole: {whole} of {whole + at_tracks + nowhere} frames ({reasons}); "
        f"at tracks alone: {at_tracks}; nowhere: {nowhere}."
    )
