"""Protect events from being deleted by age when the wall clock is wrong.

A clock without a battery starts in 1970, a time server may move it by years, and a wrong clock may be a year
ahead. So only time that is known to have passed makes an event older: the time while this program ran, and
the time while events came. A long silence counts only if a time server confirms the clock. The time that the
clock jumps over never counts.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
JUMP_MS = HOUR_MS  # the clock has jumped if it moved this much more or less than the monotonic clock
SILENCE_MS = 7 * DAY_MS  # longest time without events for which an unconfirmed clock is trusted
SANE_MS = round(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)  # no event is older than gatecam
AGREE_S = 60.0  # largest difference between the wall clock and the machine's synchronized clock
STA_UNSYNC = 0x40  # adjtimex(2): no time server has set the clock recently
ASK_S = 5.0  # longest time for an answer of timedated
TIMEDATE = "org.freedesktop.timedate1"
BUSCTL = (
    "busctl",
    "get-property",
    TIMEDATE,
    f"/{TIMEDATE.replace('.', '/')}",
    TIMEDATE,
    "NTPSynchronized",
    "TimeUSec",
)
ADVICE = "Set the clock, or let the machine reach a time server. Until then, old events may be kept longer."

Spans = Sequence[tuple[int, int]]  # times of the first and last event of each day with events, oldest first


class ClockGuard:
    """Decides how old an event must be to be deleted.

    Times ending in `_ms` are in ms since 1970. `running_s` is on a monotonic clock.
    """

    def __init__(
        self, now: datetime, running_s: float, is_confirmed: Callable[[datetime], bool] | None = None
    ) -> None:
        """Begin with the times at which the program starts.

        Args:
            now: the wall clock.
            running_s: the monotonic clock.
            is_confirmed: returns whether a time server has set the wall clock. Default: ask the system.
        """
        self._is_confirmed = is_confirmed or confirmed_by_time_server
        self._now, self._offset_ms = now, to_ms(now) - running_s * 1000
        self._steady_ms = to_ms(now)  # the wall clock is known to run evenly since this time
        self._moved: tuple[datetime, datetime] | None = None
        self._gap: tuple[int, int] | None = None
        self._newest_ms = 0

    def tick(self, now: datetime, running_s: float, newest_ms: int) -> None:
        """Update the times. Call this before each round of deleting.

        Args:
            now: the wall clock.
            running_s: the monotonic clock.
            newest_ms: time of the newest event and the newest file that gatecam wrote.
        """
        offset_ms = to_ms(now) - running_s * 1000
        if abs(offset_ms - self._offset_ms) >= JUMP_MS:
            self._steady_ms, self._moved = to_ms(now), (self._now, now)
        self._now, self._offset_ms, self._newest_ms, self._gap = now, offset_ms, newest_ms, None

    def oldest_ms(self, spans: Spans, keep_ms: int) -> int:
        """Return the time, in ms since 1970, before which events are certainly older than `keep_ms`."""
        end, left = to_ms(self._now), keep_ms
        for start, stop in self._unproven(spans):
            if end - stop >= left:
                break
            left -= end - stop
            end = start
            self._gap = self._gap or (start, stop)
        return max(0, end - left)

    def trouble(self) -> str | None:
        """Return a sentence about what is wrong with the clock, or None."""
        now_ms = to_ms(self._now)
        is_fresh = self._moved is not None and now_ms - self._steady_ms < DAY_MS
        is_behind = self._newest_ms > now_ms + DAY_MS or now_ms < SANE_MS
        if not (is_fresh or is_behind or self._gap) or self._is_confirmed(self._now):
            return None
        if is_fresh and self._moved:
            before, after = self._moved
            return f"The clock jumped from {before:%Y-%m-%d %H:%M} to {after:%Y-%m-%d %H:%M}. {ADVICE}"
        if is_behind:
            known = (
                "gatecam is newer" if now_ms < SANE_MS else f"events or files are of {_day(self._newest_ms)}"
            )
            return f"The clock says {self._now:%Y-%m-%d}, but {known}. {ADVICE}"
        assert self._gap is not None
        start, stop = map(_day, self._gap)
        return (
            f"The clock may have jumped: there are no events from {start} to {stop}, and no time server "
            f"confirms that today is {self._now:%Y-%m-%d}. {ADVICE}"
        )

    def _unproven(self, spans: Spans) -> Iterator[tuple[int, int]]:
        """Yield the periods that may not really have passed, newest first, as start and end in ms.

        These are the time that the clock jumped over, and unconfirmed silences between events.
        """
        later, is_jump = self._steady_ms, self._moved is not None
        for first, last in reversed(spans):
            if first >= self._steady_ms:
                continue
            silence_ms = later - last
            if is_jump or (silence_ms > SILENCE_MS and not self._is_confirmed(self._now)):
                yield last, max(last, later)
            later, is_jump = min(later, first), False


def to_ms(moment: datetime) -> int:
    """Return a time as ms since 1970."""
    return round(moment.timestamp() * 1000)


def _day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000):%Y-%m-%d}"


class _Timex(ctypes.Structure):
    """Maps the fields of `struct timex` (adjtimex(2)) that are read here."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("constant", "precision", "tolerance", "tv_sec", "tv_usec")),
        ("rest", ctypes.c_byte * 256),
    )


def confirmed_by_time_server(now: datetime) -> bool:
    """Return whether a time server has set the machine's clock and that clock says `now`.

    The kernel is asked first. If it does not answer, as under systemd's ProtectClock=, timedated is asked.
    """
    state = _ask_kernel() or _ask_systemd()
    return state is not None and state[0] and abs(state[1] - now.timestamp()) < AGREE_S


def _ask_kernel() -> tuple[bool, float] | None:
    """Return whether the clock is synchronized, and its time in s since 1970. None without an answer."""
    if sys.platform != "linux":
        return None
    state = _Timex()
    with suppress(OSError, AttributeError):
        if ctypes.CDLL(None).adjtimex(ctypes.byref(state)) >= 0:
            return not state.status & STA_UNSYNC, float(state.tv_sec)
    return None


def _ask_systemd() -> tuple[bool, float] | None:
    try:
        asked = subprocess.run(BUSCTL, capture_output=True, text=True, timeout=ASK_S, check=True)
        said = asked.stdout.split()  # b true, t 1795989725000000
        return said[1] == "true", int(said[3]) / 1e6
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
