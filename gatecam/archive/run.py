"""Analyze all recordings of an archive with several workers, and write the results of each finished one."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from gatecam.archive.assembly import Assembly
from gatecam.archive.parts import Outcome, Part
from gatecam.archive.sources import Source
from gatecam.archive.tables import FAILED, PARTLY, Row, Tables
from gatecam.archive.worker import Lost
from gatecam.capture.part import Cut, find_cuts
from gatecam.capture.video import NO_FILE, VideoFile
from gatecam.errors import SourceError

MOST_TRIES = 3  # a recording fails when this many workers have ended while they analyzed one of its parts
LEAST_PART_S = 300.0  # shortest part of a video
LARGE = 1.5  # a recording is cut if it has more than this many times one worker's share of all bytes
POLL_S = 1.0
GONE = "it was moved or deleted after the run began."
ELSEWHERE = "a worker does not find it: give every machine the recordings at the same path."


class Workers(Protocol):
    """Analyzes parts at the same time, as `cluster.Cluster` does."""

    @property
    def size(self) -> int:
        """Return how many workers there are."""
        ...

    @property
    def is_free(self) -> bool:
        """Return whether a worker waits for a part."""
        ...

    def submit(self, part: Part) -> None:
        """Give a part to a worker that is free."""
        ...

    def finished(self, timeout_s: float) -> list[tuple[Part, Outcome | Lost, str]]:
        """Wait for parts that are done, and return each with its outcome and the device that computed it."""
        ...

    def shares(self) -> dict[Part, float]:
        """Return the share, 0 to 1, that is done of each part that is being analyzed."""
        ...


@dataclass(slots=True, eq=False)
class _Job:
    """Holds a recording that is being analyzed."""

    source: Source
    assembly: Assembly
    parts: int
    device: str = ""


@dataclass(slots=True)
class Report:
    """Says what was done, and how many were done `before`. `failed` and `partly` are rows of `files`."""

    done: int = 0
    before: int = 0
    seconds: float = 0.0
    failed: list[Row] = field(default_factory=list)
    partly: list[Row] = field(default_factory=list)


class Archive:
    """Analyzes recordings, each worker one part at a time, and writes each recording when it is done.

    Recordings are opened only when workers are free, so memory does not grow with the archive. The next run
    analyzes the recordings that were not finished at a stop.
    """

    def __init__(self, sources: Sequence[Source], tables: Tables, workers: Workers, may_cut: bool) -> None:
        self._sources, self._tables, self._workers = deque(sources), tables, workers
        self._waiting: deque[Part] = deque()
        self._jobs: dict[Part, _Job] = {}
        self._tries: Counter[Part] = Counter()
        self._bytes = sum(source.bytes for source in sources)
        self._share_bytes = self._bytes / workers.size if may_cut and workers.size > 1 else float("inf")
        self._done_bytes = 0
        self.report = Report()

    def run(self, tick: Callable[[float, str], None]) -> Report:
        """Analyze everything. `tick` is called with the number of bytes done and a text about the files done.

        Raises:
            OutputError: a table cannot be written. What is finished stays.
        """
        while self._sources or self._jobs:
            while self._workers.is_free and (self._waiting or self._sources):
                if not self._waiting:
                    self._begin(self._sources.popleft())
                    continue
                self._workers.submit(self._waiting.popleft())
            for part, outcome, device in self._workers.finished(POLL_S):
                self._note(part, outcome, device)
            shares = self._workers.shares()
            running = sum(
                share * self._jobs[part].source.bytes / self._jobs[part].parts
                for part, share in shares.items()
                if part in self._jobs and part.memory is None
            )
            files = self.report.done + len(self.report.failed)
            tick(self._done_bytes + running, f"{files} files done")
        return self.report

    def _begin(self, source: Source) -> None:
        cuts = self._cuts(source)
        assembly = Assembly(source.path, source.camera, cuts)
        self._wait_for(_Job(source, assembly, len(cuts) + 1), assembly.begin())

    def _wait_for(self, job: _Job, parts: Sequence[Part]) -> None:
        self._waiting.extendleft(reversed(parts))
        self._jobs.update(dict.fromkeys(parts, job))

    def _cuts(self, source: Source) -> list[Cut]:
        """Return where to cut a recording. Only one that other workers would have to wait for is cut."""
        if source.bytes <= LARGE * self._share_bytes:
            return []
        try:
            video = VideoFile(source.path)
            with video:
                seconds = (video.expected_frames or 0) / video.fps
            parts = min(round(source.bytes / self._share_bytes), int(seconds / LEAST_PART_S))
            return find_cuts(source.path, [seconds * part / parts for part in range(1, parts)])
        except (SourceError, OSError):  # the worker reports the reason if it cannot read the file either
            return []

    def _note(self, part: Part, outcome: Outcome | Lost, device: str) -> None:
        job = self._jobs[part]
        if job.assembly.result is not None:  # the part is no longer needed
            del self._jobs[part]
            return
        if isinstance(outcome, Lost):
            self._tries[part] += 1
            if self._tries[part] < MOST_TRIES:
                self._waiting.appendleft(part)
                return
            outcome = Outcome(error=f"{MOST_TRIES} workers ended while they analyzed it ({outcome.reason}).")
        del self._jobs[part]
        self._tries.pop(part, None)
        job.device = device or job.device
        self._wait_for(job, job.assembly.add(part, outcome))
        if job.assembly.result is not None:
            self._finish(job)

    def _finish(self, job: _Job) -> None:
        assert job.assembly.result is not None
        self._done_bytes += job.source.bytes
        path, result = job.source.path, job.assembly.result
        if result.error and not os.path.exists(path):  # a recorder may delete it meanwhile
            self.report.failed.append({"recording": f"{path}", "reason": GONE})
            return
        if result.error and NO_FILE in result.error:
            result = replace(result, error=ELSEWHERE)
        row = self._tables.write(job.source, result, job.device)
        if row["state"] == FAILED:
            self.report.failed.append(row)
            return
        self.report.done += 1
        self.report.seconds += row["seconds"]
        if row["state"] == PARTLY:
            self.report.partly.append(row)
