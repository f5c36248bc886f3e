"""What the pages may ask of the running program, and change in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gatecam.live.health import Health
from gatecam.runtime.telemetry import StageHistogram


@dataclass(frozen=True, slots=True)
class Running:
    """What the site asks of the running program; called from the server's threads.

    `stages` gives the histograms of each stage's times; `settings` gives the settings that may be changed, by
    name, with label, value and bounds; `change` changes one, or raises `ConfigError`; `on_trouble` is told a
    sentence when the pages are gone.
    """

    health: Callable[[], Health]
    stages: Callable[[], list[StageHistogram]]
    settings: Callable[[], dict[str, dict[str, Any]]]
    change: Callable[[str, float], None]
    on_trouble: Callable[[str], None]
