"""Add notes to stored events: how long they lasted, what was said, which outputs sent them, and answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection

from gatecam.store.engine import Database
from gatecam.store.tables import events, is_answered, sent
from gatecam.types import Answer

ASKED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Week:
    """Counts the answers about events of one week, which begins on the Monday `start`."""

    start: date
    right: int
    answered: int


class EventNotes:
    """Reads and writes notes about stored events.

    Every method may be called from any thread, and raises `OutputError` if the database fails. Notes are kept
    in the file of the store. A copy in PostgreSQL has only the notes that existed when the event was copied.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def end(self, key: str, at_ms: int) -> bool:
        """Note when what an event reports ended. Return False if there is no such event."""
        return self._note(events.c.key == key, ended_ms=at_ms)

    def say(self, key: str, said: str) -> bool:
        """Note what was played aloud for an event. Return False if there is no such event."""
        return self._note(events.c.key == key, said=said)

    def answer(self, event_id: int, answer: Answer | None) -> bool:
        """Note the operator's answer about an event. None removes it. Return False without such an event."""
        return self._note(events.c.id == event_id, answer=None if answer is None else answer.value)

    def sent_to(self, event_id: int) -> list[str]:
        """Return the names of the outputs that sent an event."""
        query = sa.select(sent.c.output).where(sent.c.first_id <= event_id, sent.c.last_id >= event_id)
        with self._database.transaction() as connection:
            return sorted(connection.execute(query).scalars())

    def weeks(self, camera: str | None = None) -> list[Week]:
        """Return how many answers of each week in local time say that the event is right, newest first."""
        query = sa.select(events.c.at_ms, events.c.answer).where(is_answered)
        if camera is not None:
            query = query.where(events.c.camera == camera)
        found: dict[date, list[bool]] = {}
        with self._database.transaction() as connection:
            for at_ms, answer in connection.execute(query):
                day = datetime.fromtimestamp(at_ms / 1000).date()
                is_right = answer == Answer.RIGHT.value
                found.setdefault(day - timedelta(days=day.weekday()), []).append(is_right)
        return [Week(start, sum(found[start]), len(found[start])) for start in sorted(found, reverse=True)]

    def known(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys that belong to events in the store."""
        found: set[str] = set()
        with self._database.transaction() as connection:
            for start in range(0, len(keys), ASKED_AT_ONCE):
                some = events.c.key.in_(keys[start : start + ASKED_AT_ONCE])
                found.update(connection.execute(sa.select(events.c.key).where(some)).scalars())
        return found

    def _note(self, where: sa.ColumnElement[bool], **values: object) -> bool:
        with self._database.transaction(writing=True) as connection:
            return connection.execute(sa.update(events).where(where).values(**values)).rowcount > 0


def note_sent(connection: Connection, output: str, ids: Sequence[int]) -> None:
    """Note that an output sent events. Their ids go up, and come after all that it sent before."""
    for first, last in _ranges(ids):
        continues = (sent.c.output == output) & (sent.c.last_id == first - 1)
        if not connection.execute(sa.update(sent).where(continues).values(last_id=last)).rowcount:
            connection.execute(sa.insert(sent).values(output=output, first_id=first, last_id=last))


def _ranges(ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last id of each run of ids without a gap.

    >>> list(_ranges([3, 4, 5, 9]))
    [(3, 5), (9, 9)]
    """
    start = 0
    for place in range(1, len(ids) + 1):
        if place == len(ids) or ids[place] != ids[place - 1] + 1:
            yield ids[start], ids[place - 1]
            start = place
