"""How many cores this process may use, and how busy they are.

Those are the cores that it may run on, or fewer where a container grants less.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
STAT = Path("/proc/stat")
USE_PERIOD_S = 5.0


def set_openmp() -> None:
    """Have torch start a thread for each core that may be used; of use before torch is loaded.

    They wait for each other asleep, after a short spin: threads that only spin are a tenth faster alone, and
    ten times slower beside any other busy program on two cores (`docs/adr/0005-sleeping-threads.md`).
    OpenVINO takes torch's number. Variables that are set already stay.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def usable_cores() -> int:
    """Cores that this process can keep busy, one at least."""
    quota = granted_cores()
    return allowed_cores() if quota is None else max(1, min(allowed_cores(), round(quota)))


def allowed_cores() -> int:
    """Cores that the system lets this process run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def granted_cores(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> float | None:
    """The time of cores that control groups grant this process a second, in s; None where they grant all.

    Args:
        cgroups: where they are mounted, version 2 or 1 (Linux, Documentation/admin-guide/cgroup-v2.rst).
        own: tells which of them this process is in.
    """
    try:
        lines = own.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    shares = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            shares += [_share_v2(folder) for folder in _upwards(cgroups, path)]
        elif "cpu" in controllers.split(","):
            shares += [_share_v1(folder) for folder in _upwards(cgroups / "cpu", path)]
    return min((share for share in shares if share is not None), default=None)


def _upwards(root: Path, path: str) -> list[Path]:
    """The group's folder and all above it: each may grant less."""
    inner = Path(path.lstrip("/"))
    return [root / inner, *(root / above for above in inner.parents)]


def _share_v2(folder: Path) -> float | None:
    quota, _, period = _read(folder / "cpu.max").partition(" ")
    return _ratio(quota, period)


def _share_v1(folder: Path) -> float | None:
    return _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    """`max` and -1 stand for no limit."""
    if not (quota.isdecimal() and period.isdecimal()) or int(period) == 0:
        return None
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


class CoresInUse:
    """Measures which share of the cores that this process may use is busy, over the latest seconds.

    It counts all programs on those cores. Where a container grants less than the cores it runs on, this
    process alone tells whether what is granted is used up, so the larger of both shares counts.

    Args:
        stat: the system's times by core (proc_stat(5)).
        own_s: tells the time that this process has used on all cores together, in s.
    """

    def __init__(self, stat: Path = STAT, own_s: Callable[[], float] = time.process_time) -> None:
        self.share: float | None = None  # None until a period has passed, and where nothing can be read
        self._stat, self._own_s = stat, own_s
        self._then: tuple[float, float, float, float] | None = None

    def note(self, now_s: float) -> None:
        """Measure anew at a monotonic time, if a period has passed."""
        if self._then is not None and now_s - self._then[0] < USE_PERIOD_S:
            return
        now = (now_s, *_busy_ticks(_read(self._stat)), self._own_s())
        if self._then is not None:
            seconds, busy, ticks, own_s = (new - old for new, old in zip(now, self._then, strict=True))
            share = own_s / seconds / usable_cores()
            if ticks > 0:
                share = max(share, busy / ticks)
            self.share = min(1.0, share)
        self._then = now


def _busy_ticks(stat: str) -> tuple[float, float]:
    """Return how many ticks the cores that this process may run on were busy, and how many there were."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    names = {f"cpu{core}" for core in allowed}
    busy = total = 0
    for name, *fields in map(str.split, stat.splitlines()):
        if name in names:
            ticks = [int(field) for field in fields[:8]]  # guests, which follow, count as user already
            total += sum(ticks)
            busy += sum(ticks) - sum(ticks[3:5])  # idle, and waiting for a disk
    return busy, total
