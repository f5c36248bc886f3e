"""What a running program says of itself: the values that `gatecam status` asks for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

STALE_S = 10.0  # a camera whose newest judged frame is older does not see, whatever its state says


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """One camera.

    `state` is `open`, or a word for why it does not see (`opening`, `lost`, `blind`) with its `reason`;
    it has lasted `since_s`. `slowness` is empty, or why its frames are judged too slowly: `few_frames` or
    `late`. `age_s` is how long ago the newest judged frame was taken, None before the
    first one. `faces` are in view now. Since the start: `frames` were judged, there were `events` of each
    kind, and `people` came, by their first verdict.
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

    @property
    def sees(self) -> bool:
        """Whether its frames come and are judged."""
        return self.state == "open" and self.age_s is not None and self.age_s < STALE_S


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """One output's queue: events that wait, and those that ended in each of the three ways."""

    name: str
    waiting: int = 0
    sent: int = 0
    failed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class LastAlert:
    """The latest alert; `at` is its time of day, with the offset."""

    kind: str
    camera: str
    at: str


@dataclass(frozen=True, slots=True)
class Health:
    """The whole program; `memory_mib` and `open_files` are its own, None where the system does not tell.

    Of the machine are `cores_in_use`, the share that is busy of the cores that the program may use, and
    `free_disk_mb`, where the store lies.
    `troubles` are sentences on what goes wrong but stops no camera, such as a full disk.
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
        """Whether every camera sees; not so before there is one."""
        return bool(self.cameras) and all(camera.sees for camera in self.cameras)

    @property
    def is_too_slow(self) -> bool:
        """Whether the frames of any camera are judged too slowly."""
        return any(camera.slowness for camera in self.cameras)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON holds: the fields, `too_slow`, and `sees` here and in each camera."""
        cameras = [{**asdict(camera), "sees": camera.sees} for camera in self.cameras]
        return {**asdict(self), "cameras": cameras, "sees": self.sees, "too_slow": self.is_too_slow}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """The same from what `to_dict` gave; fields of a newer version are left out.

        Raises:
            KeyError, TypeError: it is not from `to_dict`.
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
    """Memory that this process has in RAM (`VmRSS`, proc(5)); None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
    except (OSError, StopIteration, ValueError):
        return None


def free_disk_mb(folder: Path) -> float | None:
    """Space on the disk of a folder; None if that cannot be asked."""
    try:
        return shutil.disk_usage(folder).free / 1_000_000
    except OSError:
        return None


def own_open_files() -> int | None:
    """Files, sockets and pipes that this process has open; None where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return None
