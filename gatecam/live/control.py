"""Define how the pages read and change the running program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gatecam.errors import ConflictError
from gatecam.live.health import Health
from gatecam.live.page_settings import Changed
from gatecam.runtime.telemetry import StageHistogram
from gatecam.settings.schema import Region, Regions

if TYPE_CHECKING:
    from gatecam.live.camera_setup import CameraSetup


class SavingProblem(StrEnum):
    """Says why a change is not in the settings file. It is empty if the change was saved."""

    NONE = ""
    OTHER_CAMERA = "other_camera"
    NOT_WRITABLE = "not_writable"
    OVERRIDDEN = "overridden"
    BROKEN = "broken"
    FORM = "form"


@dataclass(frozen=True, slots=True)
class Saving:
    """Says what a change of settings changed, and whether the settings file has it.

    `file` is the path of that file, and `lines` are the lines in it that save the change. `problem` says why
    they are not there.
    """

    file: str
    problem: SavingProblem
    lines: str
    changed: tuple[Changed, ...] = ()


def require_same(seen: Mapping[str, object] | None, present: Mapping[str, object]) -> None:
    """Check that what a person saw before a change is still so. Without `seen` there is nothing to check.

    Raises:
        ConflictError: somebody else has changed it meanwhile.
    """
    if seen is not None and any(_plain(value) != _plain(present.get(name)) for name, value in seen.items()):
        raise ConflictError


def _plain(value: object) -> object:
    """Return a value as JSON has it, with lists for tuples."""
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True)
class Running:
    """Holds the functions that the pages call in the running program, from the server's threads.

    - `health` returns the health of the program.
    - `stages` returns a histogram of the times of each stage.
    - `settings` returns the settings that may be changed, as `page_settings` does.
    - `change` changes some of these settings together, by dotted name, or raises `ConfigError`. Its second
      argument has the values that the reader saw before. Other ones now raise `ConflictError`.
    - `ignored` returns the places of each camera in which faces are ignored.
    - `ignore` ignores faces in a place of a camera, or no longer with False, or raises `ConfigError`.
    - `cameras` adds, tries out, changes and removes cameras and their zones.
    - `tests` sends a test to each output by name, or raises `OutputError`.
    - `on_trouble` is called with a sentence when the pages have stopped.
    """

    health: Callable[[], Health]
    stages: Callable[[], list[StageHistogram]]
    settings: Callable[[], dict[str, dict[str, Any]]]
    change: Callable[[Mapping[str, object], Mapping[str, object] | None], Saving]
    ignored: Callable[[], dict[str, Regions]]
    ignore: Callable[[str, Region, bool], Saving]
    cameras: CameraSetup
    tests: Mapping[str, Callable[[], None]]
    on_trouble: Callable[[str], None]
