"""Decide which doors are silent, without any door's clock and without a false alarm after an outage.

A door is silent when no new report of it has been seen for the time that the settings allow. A door that is
set to report more rarely has the time until its next report. Only the time in which the database could be
read counts. So after an outage of the database, every door has the whole time again. A door's silence is
reported once, and its return once. Many doors at once are reported in one event.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from gatecam.store.doors import DoorReport
from gatecam.types import TOGETHER, Event, EventKind, Verdict

REASON = "silent"
FEW = 5  # up to this many doors at one reading have an event each
NAMED = 3  # doors that an event about many names
LATE_S = 10.0  # a report may come this much later than the door's own setting says
CAMERA = "fleet"  # the camera of an event about many doors
_MANY = {EventKind.DOOR_SILENT: EventKind.DOORS_SILENT, EventKind.DOOR_BACK: EventKind.DOORS_BACK}


@dataclass(slots=True)
class _Seen:
    """Remembers a door's newest report, and since when it has been known, in monotonic s."""

    reported_ms: int
    at_s: float


class Silences:
    """Tracks the reports of doors. Times are monotonic, in s."""

    def __init__(self, silent_s: float, gap_s: float, reported: Collection[str] = ()) -> None:
        """Start without reports.

        Args:
            silent_s: time without a report after which a door is silent, unless it reports more rarely.
            gap_s: a longer pause between two readings counts as an outage of the database. If a reading
                takes longer, the time beyond this counts as an outage too.
            reported: doors whose silence an earlier run reported.
        """
        self._silent_s, self._gap_s = silent_s, gap_s
        self.reported = set(reported)
        self._seen: dict[str, _Seen] = {}
        self._read_s: float | None = None

    def note(self, reports: Sequence[DoorReport], now_s: float, took_s: float = 0.0) -> list[Event]:
        """Take the newest reports of all doors, and return events of doors that became silent or are back.

        If many doors changed, an event that sums them up comes first. The events of the single doors then
        have the reason `TOGETHER`, so that outputs leave them out. They stay in the store, where a later run
        reads which doors are silent.

        Args:
            reports: the newest report of each door.
            now_s: when the reading of the reports ended.
            took_s: how long the reading took.
        """
        was_away = self._read_s is not None and now_s - took_s - self._read_s > self._gap_s
        self._read_s = now_s
        for seen in self._seen.values():  # the time beyond the gap does not count
            seen.at_s += max(0.0, took_s - self._gap_s)
        events = []
        for report in reports:
            is_silent = self._is_silent(report, now_s, was_away)
            if is_silent is None or is_silent == (report.door in self.reported):
                continue
            if is_silent:
                self.reported.add(report.door)
            else:
                self.reported.remove(report.door)
            kind = EventKind.DOOR_SILENT if is_silent else EventKind.DOOR_BACK
            events.append(Event(kind, report.door, 0, Verdict.UNKNOWN, now_s, reason=REASON))
        there = {report.door for report in reports}
        self._seen = {door: seen for door, seen in self._seen.items() if door in there}
        self.reported &= there
        return [event for kind in _MANY for event in _together(kind, events)]

    def _is_silent(self, report: DoorReport, now_s: float, was_away: bool) -> bool | None:
        """Return whether a door is silent, or None while that is not known. Then nothing changes."""
        seen, silent_s = self._seen.get(report.door), self._silent_s
        if report.report_s:
            silent_s = max(silent_s, report.report_s + LATE_S)
        if seen is None:  # at the first reading, the database's clock can only show that a silence is over
            self._seen[report.door] = _Seen(report.reported_ms, now_s)
            return False if report.age_s <= silent_s else None
        if seen.reported_ms != report.reported_ms:  # written since the last reading, or while it was away
            age_s = min(max(0.0, report.age_s), self._gap_s)
            self._seen[report.door] = _Seen(report.reported_ms, now_s - age_s)
            return False
        if was_away:
            seen.at_s = now_s
        return True if now_s - seen.at_s > silent_s else None


def _together(kind: EventKind, events: Sequence[Event]) -> list[Event]:
    """Return the events of a kind. If there are more than `FEW`, one that sums them up comes first."""
    doors = [event for event in events if event.kind is kind]
    if len(doors) <= FEW:
        return doors
    names = ", ".join(event.camera for event in doors[:NAMED])
    summary = replace(doors[0], kind=_MANY[kind], camera=CAMERA, reason=f"{len(doors)}: {names}, …")
    return [summary, *(replace(event, reason=TOGETHER) for event in doors)]
