"""Count things and measure how long stages take, cheaply enough for every frame."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate

WINDOW = 10_000  # latest samples kept per stage, so that memory stays constant
# Upper bounds of the histogram's classes
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


@dataclass(frozen=True, slots=True)
class StageLatency:
    """Holds how long one stage takes per frame: median, 95th and 99th percentile in milliseconds."""

    stage: str
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class StageHistogram:
    """Holds how many frames took at most each of `BOUNDS_S`, how many there were, and their total time."""

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

    def __reduce__(self) -> tuple[type[Telemetry], tuple[()]]:
        """Let a copy, as in another process, begin empty. A lock cannot be copied."""
        return Telemetry, ()

    @contextmanager
    def stage(self, name: str, frames: int = 1) -> Iterator[None]:
        """Time the enclosed work as one stage. Each of its `frames` frames gets an equal share."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.record(name, time.perf_counter() - start, frames)

    def record(self, name: str, seconds: float, frames: int = 1) -> None:
        """Record that `frames` frames together took `seconds` in a stage."""
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
        """Return a counter's value, 0 if it was never counted."""
        with self._lock:
            return self._counts[name]

    def empty(self) -> None:
        """Delete all samples and counts."""
        with self._lock:
            for kept in (self._samples, self._classes, self._sums_s, self._counts):
                kept.clear()

    def latencies(self) -> list[StageLatency]:
        """Return every stage's latency over its latest samples, in the order of first use."""
        with self._lock:
            samples = {name: sorted(values) for name, values in self._samples.items()}
            totals = {name: sum(classes) for name, classes in self._classes.items()}
        return [
            StageLatency(name, totals[name], *(_percentile(values, q) * 1000 for q in (0.50, 0.95, 0.99)))
            for name, values in samples.items()
        ]

    def histograms(self) -> list[StageHistogram]:
        """Return every stage's histogram since the start, in the order of first use."""
        with self._lock:
            return [
                StageHistogram(name, tuple(accumulate(classes)), self._sums_s[name])
                for name, classes in self._classes.items()
            ]


def _percentile(ordered: list[float], q: float) -> float:
    """Return a percentile by the nearest rank, so that it is always a measured value."""
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


class Delivering:
    """Counts what happens to the events of one sink or output, as `<name>_sent`, `_failed` and `_dropped`."""

    name: str
    _telemetry: Telemetry

    @property
    def sent(self) -> int:
        """Return how many events it took."""
        return self._telemetry.counter(f"{self.name}_sent")

    @property
    def failed(self) -> int:
        """Return how many deliveries failed."""
        return self._telemetry.counter(f"{self.name}_failed")

    @property
    def dropped(self) -> int:
        """Return how many events it never gets."""
        return self._telemetry.counter(f"{self.name}_dropped")

    def _count(self, outcome: str, amount: int = 1) -> None:
        self._telemetry.count(f"{self.name}_{outcome}", amount)
