"""Show the progress of long work with its rate and the time left, as a bar or as plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

LINE_EVERY_S = 5.0


class Tick:
    """Shows how much is done, as a bar or as a line every few seconds."""

    def __init__(self, what: str, total: int | None, unit: str, before: int, bar: Progress | None) -> None:
        self._what, self._total, self._unit, self._before, self._bar = what, total, unit, before, bar
        self._task = bar.add_task(what, total=total, completed=before, note="") if bar else None
        self._started_s = self._printed_s = time.monotonic()

    def __call__(self, done: int, total: int | None = None, note: str = "") -> None:
        """Note that `done` of `total` units are done. `note` says how the work goes."""
        self._total = total if total is not None else self._total
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=self._total, note=note)
            return
        now_s = time.monotonic()
        if now_s - self._printed_s >= LINE_EVERY_S:
            self._printed_s = now_s
            print(self._line(done, now_s - self._started_s, note), file=sys.stderr, flush=True)

    def _line(self, done: int, seconds: float, note: str) -> str:
        rate = (done - self._before) / max(seconds, 1e-6)
        of = f"{done}/{self._total}" if self._total else str(done)
        left = f", {(self._total - done) / rate:.0f} s left" if self._total and rate > 0 else ""
        note = f", {note}" if note else ""
        return f"{self._what}: {of} {self._unit}, {_short(rate)} {self._unit}/s{left}{note}"


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{_short(speed)} {self._unit}/s" if speed else f"– {self._unit}/s")


def _short(rate: float) -> str:
    return f"{rate:.1f}" if rate >= 1 else f"{rate:.2g}"


@contextmanager
def progress(what: str, total: int | None, unit: str, before: int = 0) -> Iterator[Tick]:
    """Show the progress of `total` units of work (None: unknown) on standard error while the block runs.

    The first `before` units were done in an earlier run. They do not count for the rate.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Tick(what, total, unit, before, None)
        return
    done = TextColumn("{task.completed:.0f}/{task.total}" if total else "{task.completed:.0f}")
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        done,
        _Rate(unit),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console) as bar:
        yield Tick(what, total, unit, before, bar)
