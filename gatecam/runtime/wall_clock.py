"""Read the time of day, for people and for events."""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta


def now() -> datetime:
    """Return the local time with its offset."""
    return datetime.now().astimezone()


def running_s() -> float:
    """Return the seconds since the machine started. Nobody can set this clock, and it runs during sleep."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def time_of_day(time_s: float) -> str:
    """Return the local time of a monotonic time, such as `11-23 14:05:09`."""
    return f"{datetime.now() - timedelta(seconds=time.monotonic() - time_s):%m-%d %H:%M:%S}"


def wall_clock() -> str:
    """Return the local time with its offset, such as `2026-11-23T14:05:09.123+00:00`."""
    return now().isoformat(timespec="milliseconds")
