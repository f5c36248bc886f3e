"""Define the health that a running program reports to `gatecam status` and the pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

STALE_S = 10.0  # a camera that gives frames often does not see if its newest judged frame is older


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """Describes one camera.

    `state` is `open`, `opening`, `lost` or `blind`. `reason` explains the last two, and `since_s` is how long
    the state has lasted. `slowness` is `few_frames` or `late` if the camera is too slow, otherwise empty.
    `age_s` is the time since the newest judged frame was taken, None before the first one. From `stale_s` on,
    the camera does not see, even if its state is open. `faces` is the number of faces in view now.

    Some fields count from the program's start: `frames` the judged frames, `events` the events of each kind,
    and `people` the arrivals by their first verdict.
    """

    name: str
    state: str
    reason: str = ""
    since_s: float = 0.0
    age_s: float | None = None
    frames_per_s: float = 0.0
    dropped: int = 0
    restarts: int = 0
    faces: int = 0
    frames: int = 0
    events: Mapping[str, int] = field(default_factory=dict)
    people: Mapping[str, int] = field(default_factory=dict)
    slowness: str = ""
    stale_s: float = STALE_S

    @property
    def sees(self) -> bool:
        """Return whether the camera's frames arrive and are judged."""
        return self.state == "open" and self.age_s is not None and self.age_s < self.stale_s


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """Counts the events of one output that wait, were sent, failed or were dropped."""

    name: str
    waiting: int = 0
    sent: int = 0
    failed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class LastAlert:
    """Describes the latest alert. `at` is its date and time with the UTC offset."""

    kind: str
    camera: str
    at: str


@dataclass(frozen=True, slots=True)
class Health:
    """Describes the whole program.

    `memory_mib` and `open_files` are those of this process, None if the system does not report them.
    `cores_in_use` is the busy share of the cores that the program may use, and `free_disk_mb` the free space
    on the disk of the store. `troubles` are sentences about faults that stop no camera, such as a full disk.
    """

    version: str
    pid: int
    up_s: float
    device: str
    memory_mib: float | None = None
    open_files: int | None = None
    cameras: tuple[CameraHealth, ...] = ()
    queues: tuple[QueueHealth, ...] = ()
    last_alert: LastAlert | None = None
    troubles: tuple[str, ...] = ()
    cores_in_use: float | None = None
    free_disk_mb: float | None = None

    @property
    def sees(self) -> bool:
        """Return whether there is a camera and all cameras see."""
        return bool(self.cameras) and all(camera.sees for camera in self.cameras)

    @property
    def is_too_slow(self) -> bool:
        """Return whether any camera is too slow."""
        return any(camera.slowness for camera in self.cameras)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields for JSON, with `too_slow` and with `sees` for the program and each camera."""
        cameras = [{**asdict(camera), "sees": camera.sees} for camera in self.cameras]
        return {**asdict(self), "cameras": cameras, "sees": self.sees, "too_slow": self.is_too_slow}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Build the health from the result of `to_dict`. Unknown fields of a newer version are ignored.

        Raises:
            KeyError, TypeError: `given` is not from `to_dict`.
        """
        alert = given["last_alert"]
        nested = {
            "cameras": tuple(CameraHealth(**_known(CameraHealth, one)) for one in given["cameras"]),
            "queues": tuple(QueueHealth(**_known(QueueHealth, one)) for one in given["queues"]),
            "last_alert": None if alert is None else LastAlert(**_known(LastAlert, alert)),
            "troubles": tuple(given["troubles"]),
        }
        return cls(**{**_known(cls, given), **nested})


def _known(kind: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: given[field.name] for field in fields(kind) if field.name in given}


def own_memory_mib() -> float | None:
    """Return this process's memory in RAM (`VmRSS`, proc(5)), or None if the system does not report it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
    except (OSError, StopIteration, ValueError):
        return None


def free_disk_mb(folder: Path) -> float | None:
    """Return the free space on the disk of a folder in MB of 10⁶ bytes, or None if it cannot be read."""
    try:
        return shutil.disk_usage(folder).free / 1_000_000
    except OSError:
        return None


def own_open_files() -> int | None:
    """Count this process's open files, sockets and pipes. Return None if the system does not report them."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return None
