"""What was measured: figures with the value of every round, as JSON, and how two such files compare."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from gatecam.errors import ConfigError
from gatecam.runtime.files import write_output

FAMILY = "gatecam-bench/"
FORMAT = FAMILY + "2"
PLAIN = "plain loop"  # what the name of its backend begins with
ALIKE = ", as the plain loop looks"  # what the name of a backend that does so ends with
CAPTURE = "capture to decision"
CLIP_PARTS = ("resolutions", "cameras")  # measured with the clip that is given; the others draw their scenes


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure: `values` has one of each round, in `unit`; `more` says whether more is better."""

    part: str  # of the run: "resolutions", "faces", …
    case: str  # "720p", "4 faces", …
    backend: str
    figure: str  # "speed", "detect p95", …
    unit: str
    values: Annotated[tuple[float, ...], Field(min_length=1)]
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
class Clip:
    """The clip that was given: what tells it from another one of its name."""

    name: str
    frames: int | None  # None where the file does not tell
    size: str  # "640 × 480"
    sha256: str  # its beginning

    def __str__(self) -> str:
        frames = "" if self.frames is None else f"{self.frames} frames, "
        return f"{self.name} ({self.size}, {frames}SHA-256 {self.sha256}…)"


@dataclass(frozen=True, slots=True)
class Origin:
    """What was measured, when, how often and with which clip; None is drawn ones."""

    version: str
    commit: str  # empty where gatecam is installed, not run from its sources
    date: str
    rounds: int
    clip: Clip | None

    def named(self) -> dict[str, str]:
        """The same in words, by name."""
        version = f"{self.version} ({self.commit})" if self.commit else self.version
        clip = "drawn" if self.clip is None else str(self.clip)
        return {"gatecam": version, "measured": self.date, "rounds": str(self.rounds), "clip": clip}


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run: where it comes from, the machine in words by name, and the figures."""

    origin: Origin
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
        write_output(path, json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")


def read_result(path: Path) -> Result:
    """What `Result.write` wrote.

    Raises:
        ConfigError: the file cannot be read, or is none of this version's `gatecam bench --json`.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path.") from error
    except ValueError:
        raw = None
    found = raw.get("format") if isinstance(raw, dict) else None
    if isinstance(found, str) and found.startswith(FAMILY) and found != FORMAT:
        raise ConfigError(
            f"{path}: written by another version ({found}, this one reads {FORMAT}); measure anew."
        )
    try:
        if found != FORMAT:
            raise ValueError("another format")
        return TypeAdapter(Result).validate_python(raw)
    except (ValueError, ValidationError) as error:
        raise ConfigError(f"{path}: not a file that `gatecam bench --json` wrote; give one.") from error


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
    """The figures that both have, and what is to be known of the comparison, as sentences.

    Of parts that were measured with unlike clips no figure is compared.
    """
    is_same_clip = before.origin.clip == after.origin.clip
    known = {one.key: one for one in before.measures}
    changes = [
        Change(known[one.key], one)
        for one in after.measures
        if one.key in known and (is_same_clip or one.part not in CLIP_PARTS)
    ]
    names = sorted({*before.machine, *after.machine})
    doubts = [
        f"not the same: {name}: {before.machine.get(name, 'unknown')} in A, "
        f"{after.machine.get(name, 'unknown')} in B"
        for name in names
        if before.machine.get(name) != after.machine.get(name)
    ]
    if not is_same_clip:
        doubts.append(f"not the same: the clips, so {' and '.join(CLIP_PARTS)} are not compared")
    paired = {change.after.key for change in changes}
    for name, result in (("A", before), ("B", after)):
        if alone := sum(one.key not in paired for one in result.measures):
            doubts.append(f"not compared: {alone} of {len(result.measures)} figures of {name}")
    if any(min(len(one.before.values), len(one.after.values)) < 2 for one in changes):
        doubts.append("no verdict with one round: measure with two or more, five by default")
    return changes, doubts


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank of values that need not be in order; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
