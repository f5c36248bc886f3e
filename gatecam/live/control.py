"""Define how the pages read and change the running program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gatecam.live.health import Health
from gatecam.runtime.telemetry import StageHistogram
from gatecam.settings.schema import Region, Regions


class SavingProblem(StrEnum):
    """Says why a change is not in the settings file. It is empty if the change was saved."""

    NONE = ""
    NO_FILE = "no_file"
    OTHER_CAMERA = "other_camera"
    NOT_WRITABLE = "not_writable"
    FORM = "form"


@dataclass(frozen=True, slots=True)
class Saving:
    """Says whether a change is in the settings file.

    `file` is that file, or empty if there is none. `line` is the line that saves the change.
    """

    file: str
    problem: SavingProblem
    line: str


@dataclass(frozen=True, slots=True)
class Running:
    """Holds the functions that the pages call in the running program, from the server's threads.

    - `health` returns the health of the program.
    - `stages` returns a histogram of the times of each stage.
    - `settings` returns the settings that may be changed, by name, with label, value and bounds.
    - `change` changes one of these settings or raises `ConfigError`.
    - `ignored` returns the places of each camera in which faces are ignored.
    - `ignore` ignores faces in a place of a camera, or no longer with False, or raises `ConfigError`.
    - `on_trouble` is called with a sentence when the pages have stopped.
    """

    health: Callable[[], Health]
    stages: Callable[[], list[StageHistogram]]
    settings: Callable[[], dict[str, dict[str, Any]]]
    change: Callable[[str, float], None]
    ignored: Callable[[], dict[str, Regions]]
    ignore: Callable[[str, Region, bool], Saving]
    on_trouble: Callable[[str], None]
