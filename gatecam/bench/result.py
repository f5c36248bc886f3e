"""What was measured: figures with the value of every round, as JSON, and how two such files compare."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gatecam.errors import ConfigError, OutputError

FORMAT = "gatecam-bench/1"


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure: `values` has one of each round, in `unit`; `more` says whether more is better."""

    part: str  # of the run: "resolutions", "faces", …
    case: str  # "720p", "4 faces", …
    backend: str
    figure: str  # "frames/s", "p95", …
    unit: str
    values: tuple[float, ...]
    more: bool = False

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is of: the same in another run."""
        return self.part, self.case, self.backend, self.figure

    @property
    def median(self) -> float:
        """Over the rounds."""
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run: the machine in words by name, and the figures."""

    version: str
    machine: dict[str, str]
    measures: tuple[Measure, ...]

    def of(self, part: str) -> list[Measure]:
        """The figures of one part."""
        return [one for one in self.measures if one.part == part]

    def write(self, path: Path) -> None:
        """Write as JSON; a reader never sees half of it.

        Raises:
            OutputError: the file cannot be written.
        """
        made = path.with_name(path.name + ".part")
        try:
            made.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n", encoding="utf-8")
            made.replace(path)
        except OSError as error:
            raise OutputError(
                f"{path}: cannot be written ({error.strerror}); choose another place."
            ) from error


def read_result(path: Path) -> Result:
    """What `Result.write` wrote.

    Raises:
        ConfigError: the file cannot be read, or is none of `gatecam bench --json`.
    """
    try:
        return _made(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path}: not a file that `gatecam bench --json` wrote; give one.") from error


def _made(raw: dict[str, Any]) -> Result:
    if raw["format"] != FORMAT:
        raise ValueError("another format")
    measures = [Measure(**{**one, "values": tuple(map(float, one["values"]))}) for one in raw["measures"]]
    if not all(one.values for one in measures):
        raise ValueError("a figure without a value")
    machine = {str(name): str(text) for name, text in raw["machine"].items()}
    return Result(str(raw["version"]), machine, tuple(measures))


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in two runs; `verdict` is "better", "worse" or, within the rounds' spread, empty."""

    before: Measure
    after: Measure

    @property
    def ratio(self) -> float:
        """After by before; not a number where there was nothing."""
        return self.after.median / self.before.median if self.before.median else float("nan")

    @property
    def verdict(self) -> str:
        """Told only where the two runs' rounds do not overlap; of one round nothing is told."""
        one, other = self.before.values, self.after.values
        overlap = max(one) >= min(other) and max(other) >= min(one)
        if overlap or min(len(one), len(other)) < 2:
            return ""
        return "better" if (self.after.median > self.before.median) == self.after.more else "worse"


def compare(before: Result, after: Result) -> tuple[list[Change], list[str]]:
    """The figures that both have, and what keeps the two from being compared, as sentences."""
    known = {one.key: one for one in before.measures}
    changes = [Change(known[one.key], one) for one in after.measures if one.key in known]
    names = sorted({*before.machine, *after.machine})
    doubts = [
        f"{name}: {before.machine.get(name, 'unknown')} before, {after.machine.get(name, 'unknown')} after"
        for name in names
        if before.machine.get(name) != after.machine.get(name)
    ]
    if not changes:
        doubts.append("the two have no figure in common")
    return changes, doubts


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank of values that need not be in order; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
