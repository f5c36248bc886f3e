"""Report this door's health to the database that many doors share, where `gatecam fleet` reads it."""

from __future__ import annotations

import hashlib
import logging
import random
import threading
from collections.abc import Callable

from gatecam.errors import OutputError
from gatecam.live.health import CameraHealth, Health
from gatecam.settings.schema import Config, Geometry
from gatecam.store.doors import DoorReport, Doors, ReportedCamera

OWN = {  # settings that doors do not share
    "camera": True,
    "cameras": True,
    "detector": set(Geometry.model_fields),  # of the only camera, such as its region
    "fleet": {"door"},
    "mqtt": {"topic"},
    "store": {"url"},
}

NO_CAMERA = ReportedCamera("", "opening", "", False, "", 0.0, 0.0)  # a door without cameras reports this one

TWICE = "another door with the name {} reports as well: give each a name of its own with fleet.door."

log = logging.getLogger(__name__)


class DoorReporter:
    """Writes the health in a daemon thread, at once and then regularly. The live loop never waits for it.

    A report that fails is not repeated, because the next one replaces it.
    """

    def __init__(
        self,
        doors: Doors,
        health: Callable[[], Health],
        config: Config,
        on_trouble: Callable[[str | None], None] = lambda text: None,
    ) -> None:
        """Start the thread.

        Args:
            doors: takes the reports.
            health: returns the health of the program.
            config: the settings: the door's name and the time between two reports.
            on_trouble: called with a sentence when reports fail for a new reason, and with None when they
                succeed.
        """
        self._doors, self._health, self._config, self._on_trouble = doors, health, config, on_trouble
        self._trouble: str | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="door reports", daemon=True)
        self._thread.start()

    def apply(self, config: Config) -> None:
        """Report the hash of new settings from now on."""
        self._config = config

    def close(self) -> None:
        """End the thread, within about two seconds."""
        self._closing.set()
        self._thread.join(2)

    def _work(self) -> None:
        period_s = self._config.fleet.report_s
        pause_s = random.uniform(0.5, 1) * period_s  # doors that start together report at different times
        while True:
            try:
                is_alone = self._doors.report(report_of(self._health(), self._config))
            except OutputError as error:
                self._tell(str(error))
            except Exception as error:  # no error may end the thread
                log.debug("The health was not reported.", exc_info=True)
                self._tell(f"the health of this door was not reported ({type(error).__name__}: {error}).")
            else:
                self._tell(None if is_alone else TWICE.format(self._config.fleet.door_name))
            if self._closing.wait(pause_s):
                return
            pause_s = period_s

    def _tell(self, trouble: str | None) -> None:
        if trouble != self._trouble:
            self._on_trouble(trouble)
        self._trouble = trouble


def report_of(health: Health, config: Config) -> DoorReport:
    """Return what the shared database keeps of a door's health."""
    return DoorReport(
        config.fleet.door_name,
        health.version,
        settings_hash(config),
        health.device,
        health.up_s,
        sum(queue.waiting for queue in health.queues),
        sum(queue.dropped for queue in health.queues),
        health.troubles,
        tuple(map(_camera, health.cameras)) or (NO_CAMERA,),
        report_s=config.fleet.report_s,
    )


def settings_hash(config: Config) -> str:
    """Return a short hash of the settings. It is the same for doors that only differ in `OWN`."""
    text = config.model_dump_json(exclude=OWN)  # type: ignore[arg-type]
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _camera(one: CameraHealth) -> ReportedCamera:
    """Return what is kept of a camera. One that is open but not judged has not seen since its last frame."""
    is_stale = one.state == "open" and not one.sees
    since_s = one.age_s if is_stale and one.age_s is not None else one.since_s
    return ReportedCamera(one.name, one.state, one.reason, one.sees, one.slowness, one.frames_per_s, since_s)
