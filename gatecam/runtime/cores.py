"""Find out how many cores this process may use, how busy they are, and what they can compute.

The system allows it certain cores, and a container may grant less time than they have.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
STAT = Path("/proc/stat")
CPU_INFO = Path("/proc/cpuinfo")
FLAGS = ("flags", "Features")  # how the line begins on x86 and on ARM
USE_PERIOD_S = 5.0
_most: int | None = None  # how many cores this process was told to use, if it was


def set_openmp() -> None:
    """Make torch start one thread per usable core. Call this before torch is loaded.

    Threads wait for each other asleep, after a short spin. Threads that only spin are a tenth faster alone,
    but ten times slower beside another busy program on two cores (`docs/adr/0005-sleeping-threads.md`).
    OpenVINO takes torch's number. Environment variables that are already set stay as they are.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def set_threads() -> None:
    """Give torch, OpenVINO and OpenCV one thread for each usable core. Call this before importing torch."""
    import cv2

    set_openmp()
    cv2.setNumThreads(usable_cores())


def openmp_threads() -> int:
    """Return how many threads the networks compute with: `OMP_NUM_THREADS`, or one for each usable core."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(given) if given.isdecimal() and int(given) > 0 else usable_cores()


def use_cores(number: int) -> None:
    """Let this process keep only this many cores busy. Call it before `set_threads`."""
    global _most
    _most = number
    os.environ["OMP_NUM_THREADS"] = str(number)


def processor_flags() -> set[str]:
    """Return Linux's names of the processor's instruction sets, or nothing on other systems."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith(FLAGS)), "").split())


def usable_cores() -> int:
    """Return how many cores this process can keep busy, at least one."""
    quota = granted_cores()
    cores = allowed_cores() if _most is None else min(_most, allowed_cores())
    return cores if quota is None else max(1, min(cores, round(quota)))


def allowed_cores() -> int:
    """Return how many cores the system lets this process run on."""
    return len(_allowed())


def _allowed() -> Collection[int]:
    """Return the numbers of the cores that this process may run on. macOS cannot limit them."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


def granted_cores(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> float | None:
    """Return how many cores' time the control groups grant this process. None if there is no limit.

    Args:
        cgroups: where they are mounted, version 2 or 1 (Linux, Documentation/admin-guide/cgroup-v2.rst).
        own: the file that lists the groups of this process.
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
    """Return the folder of a group and those of all groups above it, as each may set a lower limit."""
    inner = Path(path.lstrip("/"))
    return [root / inner, *(root / above for above in inner.parents)]


def _share_v2(folder: Path) -> float | None:
    quota, _, period = _read(folder / "cpu.max").partition(" ")
    return _ratio(quota, period)


def _share_v1(folder: Path) -> float | None:
    return _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    """Return quota / period, or None if there is no limit (`max` or -1)."""
    if not (quota.isdecimal() and period.isdecimal()) or int(period) == 0:
        return None
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


class CoresInUse:
    """Measures which share of the usable cores was busy in the last few seconds.

    All programs on those cores count. A container may grant less time than its cores have. Then only the
    time of this process shows whether the grant is used up, so the larger of both shares is taken.

    Args:
        stat: the system's file of times per core (proc_stat(5)).
        own_s: returns the time that this process has used on all cores together, in s.
    """

    def __init__(self, stat: Path = STAT, own_s: Callable[[], float] = time.process_time) -> None:
        self.share: float | None = None  # None before the first period has passed, or if nothing can be read
        self._stat, self._own_s = stat, own_s
        self._then: tuple[float, float, float, float] | None = None

    def note(self, now_s: float) -> None:
        """Measure again at a monotonic time, if a period has passed."""
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
    names = {f"cpu{core}" for core in _allowed()}
    busy = total = 0
    for name, *fields in map(str.split, stat.splitlines()):
        if name in names:
            ticks = [int(field) for field in fields[:8]]  # user time includes the guest times that follow
            total += sum(ticks)
            busy += sum(ticks) - sum(ticks[3:5])  # idle, and waiting for a disk
    return busy, total
