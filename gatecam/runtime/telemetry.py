"""Counters and stage latencies, cheap enough for every frame."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate

WINDOW = 10_000  # latest samples kept a stage: memory stays flat over months
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # of a histogram's classes


@dataclass(frozen=True, slots=True)
class StageLatency:
    """How long one stage takes a frame: median, 95th and 99th percentile in milliseconds."""

    stage: str
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class StageHistogram:
    """A stage's times so far: how many frames took at most each of `BOUNDS_S`, all of them, and the sum."""

    stage: str
    counts: tuple[int, ...]
    sum_s: float


class Telemetry:
    """Collects stage times and counts from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[str, deque[float]] = {}
        self._classes: dict[str, list[int]] = {}
        self._sums_s: defaultdict[str, float] = defaultdict(float)
        self._counts: Counter[str] = Counter()

    @contextmanager
    def stage(self, name: str, frames: int = 1) -> Iterator[None]:
        """Time the enclosed work as one stage of `frames` frames; each gets its share."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.record(name, time.perf_counter() - start, frames)

    def record(self, name: str, seconds: float, frames: int = 1) -> None:
        """Note that `frames` frames took `seconds` together in a stage."""
        if frames < 1:
            return
        with self._lock:
            samples = self._samples.setdefault(name, deque(maxlen=WINDOW))
            samples.extend([seconds / frames] * frames)
            classes = self._classes.setdefault(name, [0] * (len(BOUNDS_S) + 1))
            classes[bisect_left(BOUNDS_S, seconds / frames)] += frames
            self._sums_s[name] += seconds

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._counts[name] += amount

    def counter(self, name: str) -> int:
        """A counter's value, 0 if never counted."""
        with self._lock:
            return self._counts[name]

    def empty(self) -> None:
        """Forget all."""
        with self._lock:
            for kept in (self._samples, self._classes, self._sums_s, self._counts):
                kept.clear()

    def latencies(self) -> list[StageLatency]:
        """Every stage's latency over its latest samples, in the order of first use."""
        with self._lock:
            samples = {name: sorted(values) for name, values in self._samples.items()}
            totals = {name: sum(classes) for name, classes in self._classes.items()}
        return [
            StageLatency(name, totals[name], *(_percentile(values, q) * 1000 for q in (0.50, 0.95, 0.99)))
            for name, values in samples.items()
        ]

    def histograms(self) -> list[StageHistogram]:
        """Every stage's histogram since the start, in the order of first use."""
        with self._lock:
            return [
                StageHistogram(name, tuple(accumulate(classes)), self._sums_s[name])
                for name, classes in self._classes.items()
            ]


def _percentile(ordered: list[float], q: float) -> float:
    """Nearest rank, so that a percentile is always a sample that happened."""
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]
