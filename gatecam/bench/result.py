"""Store figures with the value of every round as JSON, and compare two such files."""

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
CAPTURE = "capture to decision"
CLIP_PARTS = ("resolutions", "cameras")  # measured with the given clip; the other parts draw their scenes


@dataclass(frozen=True, slots=True)
class Measure:
    """Holds one figure: a value per round in `unit`. `more` says whether more is better."""

    part: str  # of the run: "resolutions", "faces", …
    case: str  # "720p", "4 faces", …
    backend: str
    figure: str  # "speed", "detect p95", …
    unit: str
    values: Annotated[tuple[float, ...], Field(min_length=1)]
    more: bool = False

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return what identifies the figure in another run."""
        return self.part, self.case, self.backend, self.figure

    @property
    def median(self) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True)
class Clip:
    """Describes the given clip, and distinguishes it from others of the same name."""

    name: str
    frames: int | None  # None where the file does not say
    size: str  # "640 × 480"
    sha256: str  # first digits

    def __str__(self) -> str:
        frames = "" if self.frames is None else f"{self.frames} frames, "
        return f"{self.name} ({self.size}, {frames}SHA-256 {self.sha256}…)"


@dataclass(frozen=True, slots=True)
class Origin:
    """Says what was measured, when, how often and with which clip. A clip of None means drawn scenes."""

    version: str
    commit: str  # empty where gatecam is installed and not run from its sources
    date: str
    rounds: int
    clip: Clip | None

    def named(self) -> dict[str, str]:
        """Return the same as texts by name."""
        version = f"{self.version} ({self.commit})" if self.commit else self.version
        clip = "drawn" if self.clip is None else str(self.clip)
        return {"gatecam": version, "measured": self.date, "rounds": str(self.rounds), "clip": clip}


@dataclass(frozen=True, slots=True)
class Result:
    """Holds a whole run: its origin, the machine's description by name, and the figures."""

    origin: Origin
    machine: dict[str, str]
    measures: tuple[Measure, ...]

    def of(self, part: str) -> list[Measure]:
        """Return the figures of one part."""
        return [one for one in self.measures if one.part == part]

    def write(self, path: Path) -> None:
        """Write the result as JSON. The file is replaced at once.

        Raises:
            OutputError: the file cannot be written.
        """
        write_output(path, json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")


def read_result(path: Path) -> Result:
    """Read a result that `Result.write` wrote.

    Raises:
        ConfigError: the file cannot be read, or was not written by this version's `gatecam bench --json`.
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
            f"{path}: written by another version ({found}, this one reads {FORMAT}); measure again."
        )
    try:
        if found != FORMAT:
            raise ValueError("another format")
        return TypeAdapter(Result).validate_python(raw)
    except (ValueError, ValidationError) as error:
        raise ConfigError(f"{path}: not a file that `gatecam bench --json` wrote; give one.") from error


@dataclass(frozen=True, slots=True)
class Change:
    """Compares one figure in two runs."""

    before: Measure
    after: Measure

    @property
    def ratio(self) -> float:
        """Return the median after divided by the one before, or NaN if that is 0."""
        return self.after.median / self.before.median if self.before.median else float("nan")

    @property
    def verdict(self) -> str:
        """Return "better" or "worse" if the rounds of the two runs do not overlap, else "".

        A single round gives no verdict.
        """
        one, other = self.before.values, self.after.values
        overlap = max(one) >= min(other) and max(other) >= min(one)
        if overlap or min(len(one), len(other)) < 2:
            return ""
        return "better" if (self.after.median > self.before.median) == self.after.more else "worse"


def compare(before: Result, after: Result) -> tuple[list[Change], list[str]]:
    """Compare the figures that both runs have. Return the changes, and remarks as sentences.

    Parts that were measured with different clips are not compared.
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
    """Return the nearest-rank percentile of unsorted values, or 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
