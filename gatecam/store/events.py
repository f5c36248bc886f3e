"""Keep every event in a database, with the cursors of the outputs and totals of people."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row, Select

from gatecam.errors import OutputError
from gatecam.store.audit import AuditLog
from gatecam.store.clock import DAY_MS, SANE_MS
from gatecam.store.doors import Doors, insert_into, place_name
from gatecam.store.engine import Database, insert_before
from gatecam.store.notes import EventNotes, note_sent
from gatecam.store.tables import cursors, events, is_answered, sent, totals
from gatecam.types import Answer, Event, EventKind, StoredEvent, Verdict

OUTAGE_ENDS = (EventKind.CAMERA_OK, EventKind.CAMERA_BLIND)
PEOPLE = tuple(kind.value for kind in EventKind if not kind.is_camera)
ABOUT_CAMERAS = sa.not_(events.c.first) & (events.c.verdict == Verdict.UNKNOWN.value)  # an index finds them
QUARTER_MS = 900_000  # every offset of local time is a whole number of quarter-hours
READ_AT_ONCE = 1000
DELETE_AT_ONCE = 5000
LAST_ID = {
    "sqlite": "SELECT seq FROM sqlite_sequence WHERE name = 'events'",
    "postgresql": "SELECT last_value FROM events_id_seq WHERE is_called",
}
# The names of doors in the events. Each is one look-up in the index, while DISTINCT would read all events.
DOORS = """(
    WITH RECURSIVE found AS (
        SELECT min(door) AS door FROM events WHERE door > ''
        UNION ALL SELECT (SELECT min(door) FROM events WHERE door > found.door) FROM found
        WHERE found.door IS NOT NULL
    )
    SELECT door FROM found WHERE door IS NOT NULL
) AS doors"""
SHARE_LEFT = 0.9  # of the allowed size, to which the store is reduced, so that this happens rarely


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Selects events. All conditions that are given must hold.

    Times are in ms since 1970, from `since_ms` to just before `until_ms`. `before_id` continues a list after
    its last event. `answered` selects events that the operator answered.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    cameras: tuple[str, ...] = ()
    kinds: tuple[EventKind, ...] = ()
    before_id: int | None = None
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Counts people who came within a quarter of an hour, by how they wore their mask when first classified.

    `put_on` counts those of `incorrect` and `none` who put a mask on after an alert, at whatever time.
    """

    start_ms: int
    correct: int = 0
    incorrect: int = 0
    none: int = 0
    put_on: int = 0

    @property
    def people(self) -> int:
        """Return how many people came."""
        return self.correct + self.incorrect + self.none


@dataclass(frozen=True, slots=True)
class Total:
    """Counts people of one of the 18 classes at one camera. `day` is the local date an hour before writing.

    At least ten people are written at once (`totals.py`).
    """

    day: str
    camera: str
    class_id: int
    people: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """Holds the oldest events that an output lacks. `deleted` counts the events deleted before them."""

    events: tuple[StoredEvent, ...]
    deleted: int


class EventStore:
    """Keeps events in a database, in the order in which they come.

    `audit` is the audit log beside them. `notes` adds to stored events. `doors` has the health of all doors
    that report it to this database.

    Several doors may share a database. An object for one door reads, keeps and erases only the events of that
    door. One for no door has the events of all doors, and names their cameras `door: camera`.

    Every method may be called from any thread, and raises `OutputError` if the database fails.
    """

    def __init__(self, database: Database, door: str = "") -> None:
        """Keep the database.

        Args:
            database: has the events.
            door: the door whose events are copied into it. It is empty for a file and for all doors.
        """
        self._database, self.door = database, door
        self._is_own = events.c.door == door if door else sa.true()
        self.audit = AuditLog(database)
        self.notes = EventNotes(database)
        self.doors = Doors(database)
        self.changed = threading.Condition()  # notified after this program appends events

    @property
    def name(self) -> str:
        """Return the name of the database, without a password."""
        return self._database.name

    def send(self, event: Event) -> None:
        """Write one event, as `append` does."""
        self.append([event])

    def append(self, given: Sequence[Event]) -> None:
        """Write events to the disk. After an error they can be written again, and each is kept once.

        A commit fails if the disk does (fsync(2)), but may have reached it all the same. Then SQLite finds it
        there when it opens the file again. Each event must have its date and time in `at`.
        """
        rows = {key: to_row(key, event) for event in given if (key := event.key or uuid.uuid4().hex)}
        with self._database.transaction(writing=True) as connection:
            there = connection.execute(sa.select(events.c.key).where(events.c.key.in_(rows))).scalars()
            for key in there:
                del rows[key]
            if rows:
                connection.execute(sa.insert(events), list(rows.values()))
        with self.changed:
            self.changed.notify_all()

    def copy(self, given: Sequence[StoredEvent]) -> None:
        """Write events from another store. Events that are already there stay unchanged."""
        rows = [{**_with_notes(stored), "door": self.door} for stored in given]
        if not rows:
            return
        with self._database.transaction(writing=True) as connection:
            insert = insert_into(connection, events)
            connection.execute(insert.on_conflict_do_nothing(index_elements=["key"]), rows)

    def restore(self, given: Sequence[StoredEvent], totals: Sequence[Total]) -> int:
        """Write the events and totals of an earlier store. Return how many of the events were new here.

        The new events get ids before all others, ordered by time, so that no output takes them for new. The
        totals are added only if none of the events was here, because otherwise they were added before.
        """
        with self._database.transaction(writing=True) as connection:
            there = set(connection.execute(sa.select(events.c.key)).scalars())
            new = [_with_notes(one) for one in given if one.key not in there]
            if not new:
                return 0
            insert_before(connection, events, new)
            if len(new) == len(given):
                _add_totals(connection, totals)
        return len(new)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    # For outputs ---------------------------------------------------------------------------------

    def backlog(self, event_id: int, limit: int) -> Backlog:
        """Return up to `limit` events after an id, and how many were deleted between the id and the first."""
        query = sa.select(events).where(events.c.id > event_id).order_by(events.c.id).limit(limit)
        with self._database.transaction() as connection:
            found = tuple(map(from_row, connection.execute(query)))
            next_id = found[0].id if found else _last_id(connection) + 1
        return Backlog(found, max(0, next_id - event_id - 1))

    def cursor(self, output: str, from_start: bool = False, with_restored: bool = False) -> int:
        """Return the id of the last event that an output has.

        An output without a cursor starts with future events, or with the oldest one if `from_start` is set.
        Restored events are from long ago, so they count only if `with_restored` is set.
        """
        query = sa.select(cursors.c.event_id).where(cursors.c.output == output)
        with self._database.transaction() as connection:
            found: int | None = connection.execute(query).scalar()
        if found is not None:
            return found
        with self._database.transaction(writing=True) as connection:
            held = sa.select(sa.func.min(events.c.id))
            oldest = connection.execute(held if with_restored else held.where(events.c.id > 0)).scalar()
            first = _last_id(connection) if oldest is None or not from_start else oldest - 1
            row = {"output": output, "event_id": first}
            connection.execute(insert_into(connection, cursors).on_conflict_do_nothing().values(row))
            return int(connection.execute(query).scalar_one())

    def move_cursor(self, output: str, event_id: int, sent_ids: Sequence[int] = ()) -> None:
        """Set the cursor of an output, and note which events it sent since the cursor's last place.

        If there is no cursor, as in a new file, nothing happens.
        """
        with self._database.transaction(writing=True) as connection:
            where = cursors.c.output == output
            if connection.execute(sa.update(cursors).where(where).values(event_id=event_id)).rowcount:
                note_sent(connection, output, sent_ids)

    def remove_cursor(self, output: str) -> None:
        """Forget which events an output has and has sent."""
        with self._database.transaction(writing=True) as connection:
            connection.execute(sa.delete(cursors).where(cursors.c.output == output))
            connection.execute(sa.delete(sent).where(sent.c.output == output))

    def waiting(self, event_id: int) -> int:
        """Return how many events come after an id."""
        query = sa.select(sa.func.count()).select_from(events).where(events.c.id > event_id)
        return int(self._rows(query)[0][0])

    # Queries -------------------------------------------------------------------------------------

    def find(self, asked: EventFilter, limit: int) -> list[StoredEvent]:
        """Return the latest events that a filter selects, newest first."""
        query = self._filtered(sa.select(events), asked).order_by(events.c.id.desc()).limit(limit)
        return [self._named(row) for row in self._rows(query)]

    def every(self, asked: EventFilter) -> Iterator[StoredEvent]:
        """Yield all events that a filter selects, oldest first, reading them as needed."""
        query = self._filtered(sa.select(events), asked)
        while True:
            rows = self._rows(query.order_by(events.c.id).limit(READ_AT_ONCE))
            yield from map(self._named, rows)
            if len(rows) < READ_AT_ONCE:
                return
            query = self._filtered(sa.select(events), asked).where(events.c.id > rows[-1].id)

    def count(self, asked: EventFilter | None = None) -> int:
        """Return how many events a filter selects, by default all."""
        query = self._filtered(sa.select(sa.func.count()).select_from(events), asked or EventFilter())
        return int(self._rows(query)[0][0])

    def span_ms(self) -> tuple[int, int] | None:
        """Return the times in ms of this door's oldest and newest event, or None without events."""
        at_ms = events.c.at_ms
        ends = (
            sa.select(of(at_ms)).where(self._is_own).scalar_subquery() for of in (sa.func.min, sa.func.max)
        )
        ((oldest, newest),) = self._rows(sa.select(*ends))  # each alone is one look-up in the index
        return None if oldest is None else (oldest, newest)

    def latest_of_each(self, before_ms: int, camera: str | None = None) -> list[StoredEvent]:
        """Return the last event of each camera, or only of `camera`, before a time in ms, ordered by id."""
        asked = EventFilter(until_ms=before_ms, cameras=_one(camera))
        latest = self._filtered(sa.select(sa.func.max(events.c.id)), asked)
        latest = latest.group_by(events.c.door, events.c.camera)
        query = sa.select(events).where(events.c.id.in_(latest)).order_by(events.c.id)
        return [self._named(row) for row in self._rows(query)]

    def outage_events(self, since_ms: int, until_ms: int, camera: str | None = None) -> list[StoredEvent]:
        """Return the events that show the outages of cameras in a period.

        First come those before it that are the last event of their camera. Then come, ordered by id, the
        events of the period that begin or end an outage, and the next event about a person after an outage
        whose own end is missing. No other events are read, because many doors have very many of them.
        """
        query = sa.select(events).where(ABOUT_CAMERAS).order_by(events.c.id)
        before = self._rows(query.where(events.c.id.in_(self._blind_at(since_ms, camera))))
        asked = EventFilter(since_ms, until_ms, _one(camera), OUTAGE_ENDS)
        rows = self._rows(self._filtered(query, asked))
        found = {row.id: row for row in rows}
        later: dict[tuple[str, str], str] = {}  # by door and camera: the kind of the next of `OUTAGE_ENDS`
        for row in reversed([*before, *rows]):
            place = row.door, row.camera
            if row.kind == EventKind.CAMERA_BLIND and later.get(place) != EventKind.CAMERA_OK:
                found |= {one.id: one for one in self._rows(_next_person(row, until_ms))}
            later[place] = row.kind
        return [self._named(row) for row in (*before, *(found[number] for number in sorted(found)))]

    def _blind_at(self, at_ms: int, camera: str | None) -> Select[Any]:
        """Return the query for the ids of the last events of cameras before a time that began an outage."""
        asked = EventFilter(until_ms=at_ms, cameras=_one(camera), kinds=(EventKind.CAMERA_BLIND,))
        latest = self._filtered(sa.select(sa.func.max(events.c.id)).where(ABOUT_CAMERAS), asked)
        latest = latest.group_by(events.c.door, events.c.camera)
        begun, later = events.alias(), events.alias()
        is_later = sa.exists().where(
            later.c.door == begun.c.door,
            later.c.camera == begun.c.camera,
            later.c.at_ms.between(begun.c.at_ms, at_ms - 1),
            later.c.id > begun.c.id,
        )
        return sa.select(begun.c.id).where(begun.c.id.in_(latest), ~is_later)

    def cameras(self) -> list[str]:
        """Return the names of all cameras that have events."""
        query = sa.select(events.c.camera).where(self._is_own).distinct()
        return sorted(camera for (camera,) in self._rows(query))

    def door_names(self) -> list[str]:
        """Return the names of all doors that have events or report their health to this database."""
        names = {name for (name,) in self._rows(sa.select(sa.text("door")).select_from(sa.text(DOORS)))}
        return sorted(names | {one.door for one in self.doors.all()})

    def arrivals(
        self, since_ms: int, until_ms: int, camera: str | None = None, door: str | None = None
    ) -> list[Arrivals]:
        """Return the quarter-hours of a period in which people came, in order."""
        found = self._people(("quarter",), since_ms, until_ms, camera, door)
        return [Arrivals(start * QUARTER_MS, **found[start,]) for (start,) in sorted(found)]

    def arrivals_of_each(
        self,
        columns: Sequence[str],
        since_ms: int,
        until_ms: int,
        camera: str | None = None,
        door: str | None = None,
    ) -> dict[tuple[Any, ...], Arrivals]:
        """Return the sums of a period by `columns`: `door`, `camera` and `quarter`, in any order.

        Groups without people are left out. `quarter` is the number of the quarter-hour since 1970.
        """
        found = self._people(columns, since_ms, until_ms, camera, door)
        return {place: Arrivals(since_ms, **found[place]) for place in sorted(found)}

    def _people(
        self, columns: Sequence[str], since_ms: int, until_ms: int, camera: str | None, door: str | None
    ) -> dict[tuple[Any, ...], dict[str, int]]:
        """Count the people of a period by columns, and then by verdict and by whether they put a mask on."""

        def keys(at: sa.ColumnElement[int]) -> list[sa.ColumnElement[Any]]:
            of = {"quarter": at // QUARTER_MS, "door": events.c.door, "camera": events.c.camera}
            return [of[name].label(name) for name in columns]

        places, number = EventFilter(cameras=_one(camera)), sa.func.count()
        asked = replace(places, since_ms=since_ms, until_ms=until_ms)
        is_asked = sa.true() if door is None else events.c.door == door
        came_to, put_on_at = keys(events.c.at_ms), keys(events.c.came_ms)
        came = sa.select(*came_to, events.c.verdict, number).where(events.c.first, is_asked)
        came = self._filtered(came, asked).group_by(*came_to, events.c.verdict)
        put_on = sa.select(*put_on_at, number).where(
            events.c.came_ms >= since_ms, events.c.came_ms < until_ms, is_asked
        )
        put_on = self._filtered(put_on, places)
        found: dict[tuple[Any, ...], dict[str, int]] = {}
        with self._database.transaction() as connection:
            for row in connection.execute(came):
                found.setdefault(tuple(row[:-2]), {})[row[-2]] = row[-1]
            for row in connection.execute(put_on.group_by(*put_on_at)):
                if there := found.get(tuple(row[:-1])):  # otherwise the person's first event has been deleted
                    asked_to = there.get("incorrect", 0) + there.get("none", 0)
                    there["put_on"] = min(row[-1], asked_to)
        return found

    # Totals --------------------------------------------------------------------------------------

    def add_totals(self, given: Sequence[Total]) -> None:
        """Add people to the totals."""
        with self._database.transaction(writing=True) as connection:
            _add_totals(connection, given)

    def totals(self, since_day: str, until_day: str, camera: str | None = None) -> list[Total]:
        """Return the totals of a range of days such as 2026-11-24. Both ends are included."""
        query = sa.select(totals).where(totals.c.day.between(since_day, until_day)).order_by(*totals.c)
        if camera is not None:
            query = query.where(totals.c.camera == camera)
        return [Total(*row) for row in self._rows(query)]

    # Retention -----------------------------------------------------------------------------------

    def used_bytes(self) -> int:
        """Return how many bytes this door's events take on the disk."""
        return self._database.used_bytes(self.door)

    def has_before(self, before_ms: int, before_day: str) -> bool:
        """Return whether there are events before a time, or totals before a day."""
        old = sa.exists().where(self._is_own, events.c.at_ms >= SANE_MS, events.c.at_ms < before_ms)
        old_totals = sa.exists().where(totals.c.day < before_day)
        return bool(self._rows(sa.select(sa.or_(old, old_totals)))[0][0])

    def spans_ms(self, until_ms: int) -> list[tuple[int, int]]:
        """Return the first and last event's time on each day (UTC) that has any, in ms, oldest first."""
        at, day = events.c.at_ms, events.c.at_ms // DAY_MS
        query = sa.select(sa.func.min(at), sa.func.max(at)).where(self._is_own, at.between(SANE_MS, until_ms))
        return [(first, last) for first, last in self._rows(query.group_by(day).order_by(day))]

    def delete_before(self, before_ms: int, before_day: str, now_ms: int) -> int:
        """Delete events before a time and totals before a day, and return how many events were deleted.

        The clock may have been wrong when an event was stored. So an old event stays if it was stored after
        one that is young. An event with an impossible time is deleted together with its neighbours.
        """
        at, number = events.c.at_ms, events.c.id
        is_sane = self._is_own & at.between(SANE_MS, now_ms)
        old, young = is_sane & (at < before_ms), is_sane & (at >= before_ms)
        oldest_young = sa.select(number).where(young).order_by(number).limit(1)
        with self._database.transaction(writing=True) as connection:
            end = connection.execute(oldest_young).scalar() or _last_id(connection) + 1
            last = connection.execute(sa.select(sa.func.max(number)).where(old, number < end)).scalar()
            if last is not None:
                connection.execute(sa.delete(sent).where(sent.c.last_id <= last))
            gone_totals = connection.execute(sa.delete(totals).where(totals.c.day < before_day)).rowcount
        gone = 0 if last is None else self._delete(number <= last)
        if gone or gone_totals:
            self._database.shrink()
        return gone

    def delete_beyond(self, size_bytes: int) -> int:
        """Delete the oldest events if the store is larger than a size. Return how many were deleted.

        The store is reduced to `SHARE_LEFT` of the size.
        """
        gone, used = 0, self.used_bytes()
        if used <= size_bytes:
            return 0
        while used > SHARE_LEFT * size_bytes:
            oldest = sa.select(events.c.id).where(self._is_own).order_by(events.c.id).limit(DELETE_AT_ONCE)
            with self._database.transaction(writing=True) as connection:
                went = connection.execute(sa.delete(events).where(events.c.id.in_(oldest))).rowcount
                left = sa.select(sa.func.min(events.c.id)).scalar_subquery()
                connection.execute(sa.delete(sent).where(sent.c.last_id < left))
            if not went:
                break
            gone, used = gone + went, self.used_bytes()
        self._database.shrink()
        return gone

    def erase(self) -> int:
        """Delete this door's events and totals for good. Return how many events were deleted.

        Outputs keep their cursors, so they deliver the next events.

        Raises:
            OutputError: the database failed, or another program reads it, so the bytes are still on the disk.
        """
        with self._database.transaction(writing=True) as connection:
            connection.execute(sa.delete(totals))
            connection.execute(sa.delete(sent))
        gone = self._delete(sa.true())
        if not self._database.shrink():
            raise OutputError(
                f"{self.name}: {gone} events erased, but another program reads the store, and their bytes "
                "are still on the disk: end that program and erase again."
            )
        return gone

    def erase_keys(self, keys: Sequence[str]) -> None:
        """Delete this door's events with these keys for good."""
        self._delete(events.c.key.in_(keys))

    def _delete(self, which: sa.ColumnElement[bool]) -> int:
        """Delete events of this door, and return how many were deleted.

        Each part has a transaction of its own, so writers wait only briefly, and no statement takes too long.
        """
        some, gone = sa.select(events.c.id).where(self._is_own, which).limit(DELETE_AT_ONCE), 0
        while True:
            with self._database.transaction(writing=True) as connection:
                went = connection.execute(sa.delete(events).where(events.c.id.in_(some))).rowcount
            gone += went
            if went < DELETE_AT_ONCE:
                return gone

    def _filtered(self, query: Select[Any], asked: EventFilter) -> Select[Any]:
        if self.door:
            query = query.where(self._is_own)
        if asked.since_ms is not None:
            query = query.where(events.c.at_ms >= asked.since_ms)
        if asked.until_ms is not None:
            query = query.where(events.c.at_ms < asked.until_ms)
        if asked.cameras:
            query = query.where(events.c.camera.in_(asked.cameras))
        if asked.kinds:
            query = query.where(events.c.kind.in_([kind.value for kind in asked.kinds]))
        if asked.before_id is not None:
            query = query.where(events.c.id < asked.before_id)
        if asked.answered:
            query = query.where(is_answered)
        return query

    def _named(self, row: Row[Any]) -> StoredEvent:
        """Return the event of a row. Among events of all doors, its camera's name begins with the door."""
        stored = from_row(row)
        if self.door or not row.door:
            return stored
        return replace(stored, event=replace(stored.event, camera=place_name(row.door, row.camera)))

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        with self._database.transaction() as connection:
            return connection.execute(query).all()


def _next_person(blind: Row[Any], until_ms: int) -> Select[Any]:
    """Return the query for the first event about a person after an outage began, before a time."""
    query = sa.select(events).where(events.c.door == blind.door, events.c.camera == blind.camera)
    query = query.where(events.c.at_ms >= blind.at_ms, events.c.at_ms < until_ms, events.c.id > blind.id)
    return query.where(events.c.kind.in_(PEOPLE)).order_by(events.c.at_ms).limit(1)


def _add_totals(connection: Connection, given: Sequence[Total]) -> None:
    insert = insert_into(connection, totals)
    query = insert.on_conflict_do_update(
        index_elements=["day", "camera", "class_id"],
        set_={"people": totals.c.people + insert.excluded.people},
    )
    for total in given:
        connection.execute(query.values(**asdict(total)))


def _last_id(connection: Connection) -> int:
    """Return the id of the newest event, even if it was deleted."""
    return int(connection.exec_driver_sql(LAST_ID[connection.dialect.name]).scalar() or 0)


def to_row(key: str, event: Event) -> dict[str, object]:
    """Return an event as the columns of its row."""
    at_ms = round(datetime.fromisoformat(event.at).timestamp() * 1000)
    came_ms = None if event.came_s is None else at_ms - round((event.time_s - event.came_s) * 1000)
    return {
        "key": key,
        "at_ms": at_ms,
        "came_ms": came_ms,
        "kind": event.kind.value,
        "camera": event.camera,
        "track_id": event.track_id,
        "verdict": event.verdict.value,
        "time_s": round(float(event.time_s), 3),
        "frame": event.frame,
        "probability": round(float(event.probability), 3),
        "reason": str(event.reason),
        "first": event.first,
        "door": "",
    }


def from_row(row: Row[Any]) -> StoredEvent:
    """Return the event of a row."""
    event = Event(
        EventKind(row.kind),
        row.camera,
        row.track_id,
        Verdict(row.verdict),
        row.time_s,
        row.frame,
        row.probability,
        row.reason,
        at=datetime.fromtimestamp(row.at_ms / 1000).astimezone().isoformat(timespec="milliseconds"),
        first=row.first,
        came_s=None if row.came_ms is None else row.time_s - (row.at_ms - row.came_ms) / 1000,
    )
    answer = None if row.answer is None else Answer(row.answer)
    return StoredEvent(row.id, row.key, event, answer, row.ended_ms, row.said or "")


def _with_notes(stored: StoredEvent) -> dict[str, object]:
    """Return a stored event as the columns of its row, except its id."""
    answer = None if stored.answer is None else stored.answer.value
    notes = {"answer": answer, "ended_ms": stored.ended_ms, "said": stored.said or None}
    return {**to_row(stored.key, stored.event), **notes}


def _one(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)
