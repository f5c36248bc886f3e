"""Keep the audit log: who logged in, changed a setting, erased or exported something, and when.

    store.audit.note(actor_of(request), Act.SETTING, "policy.remind_s", "10", "20")
    store.audit.note(command_actor(), Act.ERASURE, "events", before="1203 events")

The entries are in the store's own file. A copy of the events in PostgreSQL has none.
"""

from __future__ import annotations

import getpass
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from gatecam.errors import OutputError
from gatecam.store.clock import DAY_MS, SANE_MS
from gatecam.store.engine import Database, insert_before
from gatecam.store.tables import audit

ROW = ("at_ms", "who", "address", "what", "subject", "before", "after")  # the columns without the id
LONGEST = 1000  # characters of a text in an entry. The rest is cut off.
MOST_FAILURES = 10_000  # failed logins that are kept. Without a limit, strangers could fill the disk.

log = logging.getLogger(__name__)


class Act(StrEnum):
    """Says what was done."""

    LOGIN = "login"
    LOGIN_FAILED = "login_failed"
    LOGOUT = "logout"
    USER_ADDED = "user_added"
    USER_REMOVED = "user_removed"
    ROLE = "role"
    PASSWORD = "password"
    SETTING = "setting"
    ERASURE = "erasure"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class Actor:
    """Says who did something, and from which address. A command on this machine has no address.

    The name is that of a user, `token:ROLE` for a shared token, or `command:NAME` for a user of the system.
    """

    name: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """Holds one line of the audit log. `before` and `after` are empty where nothing was or is there."""

    id: int
    at_ms: int
    actor: Actor
    act: str
    subject: str
    before: str
    after: str


def entry_of(row: sa.Row[Any]) -> Entry:
    """Return the entry of a row of the table."""
    return Entry(row.id, row.at_ms, Actor(row.who, row.address), row.what, row.subject, row.before, row.after)


def _row(entry: Entry) -> dict[str, Any]:
    """Return an entry as a row of the table, without its id."""
    actor = entry.actor
    values = (entry.at_ms, actor.name, actor.address, entry.act, entry.subject, entry.before, entry.after)
    return dict(zip(ROW, values, strict=True))


def command_actor() -> Actor:
    """Return who runs this command, by the user's name in the system."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = "?"
    return Actor(f"command:{name}")


class AuditLog:
    """Writes and reads the entries in a store's database. Any thread may use it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(
        self,
        actor: Actor,
        act: Act,
        subject: str = "",
        before: str = "",
        after: str = "",
        at_ms: int | None = None,
    ) -> None:
        """Write an entry. If that fails, the program's log says so, and what was done stays done.

        Args:
            actor: who did it.
            act: what was done.
            subject: what it was done to, such as `policy.remind_s`, `events`, or the name of a file or user.
            before: the value before, if there was one.
            after: the new value, if there is one.
            at_ms: the time in ms since 1970. Default: now.
        """
        texts = {"subject": subject, "before": before, "after": after}
        row = {
            "at_ms": round(time.time() * 1000) if at_ms is None else at_ms,
            "who": actor.name[:LONGEST],
            "address": actor.address[:LONGEST],
            "what": act.value,
            **{name: text[:LONGEST] for name, text in texts.items()},
        }
        try:
            with self._database.transaction(writing=True) as connection:
                connection.execute(sa.insert(audit), row)
        except OutputError as error:
            what = f"{actor.name}, {act} {subject}"
            log.warning("This is missing from the audit log: %s. %s", what, error)

    def latest(self, limit: int, before_id: int | None = None, acts: Sequence[Act] = ()) -> list[Entry]:
        """Return the latest entries, newest first.

        Args:
            limit: the largest number of entries.
            before_id: continue a list after its last entry.
            acts: only these acts. Default: all.

        Raises:
            OutputError: the database failed.
        """
        query = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
        if before_id is not None:
            query = query.where(audit.c.id < before_id)
        if acts:
            query = query.where(audit.c.what.in_([act.value for act in acts]))
        with self._database.transaction() as connection:
            rows = connection.execute(query).all()
        return [entry_of(row) for row in rows]

    def restore(self, given: Sequence[Entry]) -> int:
        """Write the entries of an earlier store, and return how many were new here.

        The new entries get ids before all others, ordered by time.
        """
        rows = [_row(one) for one in given]
        with self._database.transaction(writing=True) as connection:
            there = {tuple(row) for row in connection.execute(sa.select(*(audit.c[name] for name in ROW)))}
            new = [row for row in rows if tuple(row.values()) not in there]
            insert_before(connection, audit, new)
        return len(new)

    # Retention -----------------------------------------------------------------------------------

    def has_before(self, before_ms: int) -> bool:
        """Return whether there are entries before a time."""
        query = sa.select(sa.exists().where(audit.c.at_ms >= SANE_MS, audit.c.at_ms < before_ms))
        with self._database.transaction() as connection:
            return bool(connection.execute(query).scalar())

    def spans_ms(self, until_ms: int) -> list[tuple[int, int]]:
        """Return the first and last entry's time on each day (UTC) that has any, in ms, oldest first."""
        at, day = audit.c.at_ms, audit.c.at_ms // DAY_MS
        query = sa.select(sa.func.min(at), sa.func.max(at)).where(at.between(SANE_MS, until_ms))
        with self._database.transaction() as connection:
            return [(first, last) for first, last in connection.execute(query.group_by(day).order_by(day))]

    def delete_before(self, before_ms: int) -> int:
        """Delete entries before a time, and return how many were deleted."""
        with self._database.transaction(writing=True) as connection:
            return connection.execute(sa.delete(audit).where(audit.c.at_ms < before_ms)).rowcount

    def delete_failures_beyond(self, most: int = MOST_FAILURES) -> int:
        """Delete the oldest failed logins until at most `most` are left. Return how many were deleted."""
        is_failure = audit.c.what == Act.LOGIN_FAILED.value
        newest = sa.select(audit.c.id).where(is_failure).order_by(audit.c.id.desc())
        with self._database.transaction() as connection:
            last = connection.execute(newest.offset(most).limit(1)).scalar()
        if last is None:
            return 0
        with self._database.transaction(writing=True) as connection:
            return connection.execute(sa.delete(audit).where(is_failure, audit.c.id <= last)).rowcount
