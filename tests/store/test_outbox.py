"""Couriers: at least once, in order, after any failure, and again after a restart."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace

import pytest

from gatecam.errors import OutputError
from gatecam.live.door_reports import DoorReporter
from gatecam.live.health import CameraHealth, Health
from gatecam.runtime.backoff import Pauses
from gatecam.runtime.locks import Turn
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config, FleetConfig
from gatecam.store import outbox
from gatecam.store.engine import PostgresDatabase, SqliteDatabase
from gatecam.store.events import EventFilter, EventStore
from gatecam.store.outbox import Courier, DatabaseCopy
from gatecam.types import TOGETHER, EventKind, StoredEvent
from tests.store.conftest import NOON

WAIT_S = 20
HEALTH = Health("0.1.0", 7, 60.0, "cpu", cameras=(CameraHealth("gate", "open", age_s=0.1),))
OFTEN = Config(fleet=FleetConfig.model_construct(door="lobby", report_s=0.1, silent_s=90.0))


class FakeOutput:
    """Takes events into a list, as many at once as it is told; `faults` are raised first, one each."""

    name = "fake"
    trouble: str | None = None
    skips: tuple[EventKind, ...] = ()

    def __init__(self, batch: int = 1, takes: int | None = None, faults: Sequence[Exception] = ()) -> None:
        self.batch = batch
        self.got: list[StoredEvent] = []
        self._takes, self._faults = takes, list(faults)
        self._changed = threading.Condition()
        self.closed = False

    def wants(self, stored: StoredEvent) -> bool:
        return stored.event.kind not in self.skips

    def deliver(self, events: Sequence[StoredEvent]) -> int:
        if self._faults:
            raise self._faults.pop(0)
        taken = list(events[: self._takes])
        with self._changed:
            self.got += taken
            self._changed.notify_all()
        return len(taken)

    def close(self) -> None:
        self.closed = True

    def wait_for(self, number: int) -> list[float]:
        """The times of the first so many events, once they came."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.got) >= number, WAIT_S), self.got
        return [stored.event.time_s for stored in self.got]


@pytest.fixture
def store(sqlite_path):
    with closing(EventStore(SqliteDatabase(sqlite_path))) as made:
        made.cursor("fake")
        yield made


Start = Callable[..., Courier]


@pytest.fixture
def start(store):
    """Starts a courier with short pauses; all are closed."""
    started = []

    def begin(output, **words) -> Courier:
        started.append(Courier(store, output, Telemetry(), first_pause_s=0.01, **words))
        return started[-1]

    yield begin
    for courier in started:
        courier.close()


def test_a_new_output_gets_all_that_comes_after_its_start(store, start, told):
    store.append([told(after_s=0)])
    output = FakeOutput()
    output.name = "new"
    start(output, is_our_turn=lambda: False).close()
    store.append([told(after_s=1)])
    start(output)
    assert output.wait_for(1) == [1]


def test_a_new_output_that_wants_all_gets_what_the_store_holds_first(store, start, told):
    store.append([told(after_s=i) for i in range(3)])
    output = FakeOutput()
    output.name = "new"
    start(output, from_start=True)
    store.append([told(after_s=3)])
    assert output.wait_for(4) == [0, 1, 2, 3]


def test_an_event_names_the_outputs_that_really_sent_it(store, start, told):
    output = FakeOutput(batch=5)
    output.skips = (EventKind.MASK_OK,)
    courier = start(output, is_our_turn=(turn := threading.Event()).is_set)
    store.append([told(), told(EventKind.MASK_OK, 1), told(after_s=2), told(after_s=3)])
    turn.set()
    assert output.wait_for(3) == [0, 2, 3]
    courier.close()
    ids = [stored.id for stored in store.find(EventFilter(), 9)][::-1]
    assert [store.notes.sent_to(one) for one in ids] == [["fake"], [], ["fake"], ["fake"]]
    assert store.cursor("fake") == ids[-1]


def test_events_that_another_one_sums_up_go_to_no_output(store, start, told):
    output = FakeOutput(batch=5)
    store.append([told(after_s=0), replace(told(after_s=1), reason=TOGETHER), told(after_s=2)])
    start(output)
    assert output.wait_for(2) == [0, 2]


def test_events_go_in_order_as_soon_as_they_come(store, start, told):
    output = FakeOutput()
    courier = start(output)
    for i in range(20):
        store.append([told(after_s=i)])
    assert output.wait_for(20) == list(range(20))
    courier.close()
    assert (courier.sent, courier.failed, courier.dropped, output.closed) == (20, 0, 0, True)


def test_after_failures_of_any_kind_the_same_events_come_again(store, start, told, caplog):
    troubles = []
    output = FakeOutput(
        faults=[OutputError("fake: is down."), OutputError("fake: is down."), ValueError("odd")]
    )
    with caplog.at_level(logging.WARNING):
        courier = start(output, on_trouble=lambda *said: troubles.append(said))
        store.append([told(after_s=i) for i in range(3)])
        assert output.wait_for(3) == [0, 1, 2]
        courier.close()
    odd = "fake failed (ValueError: odd); it is tried again."
    assert troubles == [("fake", "fake: is down."), ("fake", odd), ("fake", None)]
    assert caplog.messages == ["fake: is down.", odd, "fake takes events again."]
    assert courier.failed == 3


def test_what_was_taken_in_part_goes_on_where_it_ended(store, start, told):
    output = FakeOutput(batch=10, takes=4)
    start(output)
    store.append([told(after_s=i) for i in range(10)])
    assert output.wait_for(10) == list(range(10))


def test_the_next_program_goes_on_where_the_last_one_ended(store, start, told):
    store.append([told(after_s=i) for i in range(3)])
    first = FakeOutput()
    courier = start(first)
    first.wait_for(3)
    courier.close()
    store.append([told(after_s=3)])
    second = FakeOutput()
    start(second)
    assert second.wait_for(1) == [3]


class FakeEnd:
    """Notes the pauses instead of waiting; after nine comes the end."""

    def __init__(self, pauses: list[float]) -> None:
        self._pauses = pauses

    def wait(self, seconds: float) -> None:
        self._pauses.append(seconds)

    def is_set(self) -> bool:
        return len(self._pauses) > 8

    def set(self) -> None:
        """The end comes by itself."""


def test_pauses_grow_to_a_minute(store, start):
    pauses = []
    output = FakeOutput(faults=[OutputError("no")] * 9)
    courier = start(output, is_our_turn=lambda: False)
    courier.close()
    courier._closing = FakeEnd(pauses)
    courier._pauses = Pauses(outbox.FIRST_PAUSE_S, outbox.LONGEST_PAUSE_S)
    courier._round = lambda: output.deliver([])
    courier._work()
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what threads bring about."""
    end_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end_s
        threading.Event().wait(0.01)


def take_away(path):
    """The file and those beside it, at once, under the eyes of those who use it."""
    path.parent.rename(path.parent.with_name("taken"))


def test_all_events_of_a_file_that_is_begun_anew_are_delivered(store, start, told, sqlite_path):
    output = FakeOutput(batch=10)
    start(output)
    store.append([told(after_s=i) for i in range(10)])
    output.wait_for(10)
    wait_until(lambda: store.cursor("fake") == 10)
    take_away(sqlite_path)
    store.append([told(after_s=i) for i in range(100, 103)])
    assert output.wait_for(13)[10:] == [100, 101, 102]
    store.append([told(after_s=103)])
    assert output.wait_for(14)[13:] == [103]


def test_the_next_program_too_begins_at_the_start_of_such_a_file(store, start, told, sqlite_path):
    down = start(FakeOutput(faults=[OutputError("fake: is down.")] * 1000))
    take_away(sqlite_path)
    store.append([told(after_s=i) for i in range(3)])
    wait_until(lambda: down.failed > 1)  # the second look is at the new file from its beginning
    down.close()
    output = FakeOutput()
    start(output)
    assert output.wait_for(3) == [0, 1, 2]


@pytest.fixture
def loses(store, start, told, monkeypatch):
    """Starts a courier to an output that is down, for ten events of which the first are deleted then."""
    monkeypatch.setattr(outbox, "LONGEST_PAUSE_S", 0.02)

    def lose(output: FakeOutput, number: int, **words) -> Courier:
        courier = start(output, **words)
        store.append([told(after_s=i) for i in range(10)])
        wait_until(lambda: courier.failed > 0)
        store.delete_before(
            round((NOON.timestamp() + number - 0.5) * 1000),
            "2026-11-24",
            round(NOON.timestamp() * 1000) + 10**6,
        )
        wait_until(lambda: courier.dropped == number)
        return courier

    return lose


LOST = (
    "events were deleted before fake got them: repair that output, or raise store.keep_days and "
    "store.keep_mb."
)


def test_events_that_are_deleted_before_the_output_had_them_are_counted_and_told(loses, caplog):
    output = FakeOutput(faults=[OutputError("fake: is down.")] * 10_000)
    with caplog.at_level(logging.WARNING):
        courier = loses(output, 8)
        output._faults.clear()
        assert output.wait_for(2) == [8, 9]
        courier.close()
    assert (courier.sent, courier.dropped) == (2, 8)
    end = "fake takes events again; 8 were deleted meanwhile."
    assert caplog.messages == ["fake: is down.", f"8 {LOST}", end]


def test_the_trouble_ends_when_all_that_waited_is_deleted(loses, caplog):
    troubles = []
    output = FakeOutput(faults=[OutputError("fake: is down.")] * 10_000)
    with caplog.at_level(logging.WARNING):
        courier = loses(output, 10, on_trouble=lambda *said: troubles.append(said))
        wait_until(lambda: len(troubles) == 2)
        courier.close()
    assert troubles == [("fake", "fake: is down."), ("fake", None)]
    end = "fake is fine again, and nothing waits; 10 were deleted meanwhile."
    assert caplog.messages == ["fake: is down.", f"10 {LOST}", end]


@pytest.mark.parametrize("is_ours", [True, False])
def test_trouble_that_an_output_has_without_an_event_is_told(start, is_ours):
    troubles = []
    output = FakeOutput()
    output.trouble = "fake: is down."
    start(output, on_trouble=lambda *said: troubles.append(said), is_our_turn=lambda: is_ours)
    wait_until(lambda: troubles == [("fake", "fake: is down.")])
    output.trouble = None
    wait_until(lambda: troubles[1:] == [("fake", None)])


def test_what_was_erased_before_an_output_was_new_is_no_loss(store, start, told):
    store.append([told() for _ in range(5)])
    store.erase()
    output = FakeOutput()
    output.name = "new"
    courier = start(output)
    store.append([told(after_s=1)])
    assert (output.wait_for(1), courier.dropped) == ([1], 0)


def test_of_two_programs_on_one_store_one_delivers_and_the_other_takes_over(store, start, told, tmp_path):
    turns = [Turn(tmp_path / "lock"), Turn(tmp_path / "lock")]
    first, second = FakeOutput(), FakeOutput()
    assert (turns[0].is_ours(), turns[1].is_ours()) == (True, False)
    courier = start(first, is_our_turn=turns[0].is_ours)
    start(second, is_our_turn=turns[1].is_ours)
    store.append([told(after_s=1)])
    assert first.wait_for(1) == [1]
    courier.close()
    turns[0].end()
    assert turns[1].is_ours()
    store.append([told(after_s=2)])
    assert second.wait_for(1) == [2]
    turns[1].end()


def test_postgresql_gets_every_event_and_the_health_though_it_was_down(store, start, told, postgres):
    copy, lobby = (EventStore(PostgresDatabase(postgres.url), door) for door in ("", "lobby"))
    copy.erase()
    store.cursor("postgres")
    said: list[str | None] = []
    postgres.stop()
    try:
        start(DatabaseCopy(lobby))
        reporter = DoorReporter(lobby.doors, lambda: HEALTH, OFTEN, said.append)
        store.append([told(after_s=i) for i in range(50)])
        wait_for(lambda: len(said) > 0)
    finally:
        postgres.start()
    wait_for(lambda: lobby.count() == 50 and [one.door for one in copy.doors.all()] == ["lobby"])
    wait_for(lambda: said[-1] is None)
    reporter.close()
    assert all("the database cannot be used" in (text or "") for text in said[:-1])
    assert [stored.event.time_s for stored in copy.backlog(0, 100).events] == list(range(50))
    assert [stored.key for stored in copy.backlog(0, 100).events] == [
        stored.key for stored in store.backlog(0, 100).events
    ]
    copy.close()


def test_a_new_database_gets_all_events_that_the_last_one_had(store, start, told, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    store.append([told(after_s=i) for i in range(3)])
    times = {}
    for name, more in (("first", 3), ("first", 4), ("second", 5), ("second", 6)):
        copy = EventStore(SqliteDatabase(tmp_path / f"{name}.sqlite3"), "lobby")
        courier = start(DatabaseCopy(copy), from_start=True)
        store.append([told(after_s=more)])
        wait_for(lambda copy=copy, more=more: copy.count() == more + 1)
        courier.close()
        times[name] = [stored.event.time_s for stored in copy.every(EventFilter())]
    assert times == {"first": [0, 1, 2, 3, 4], "second": [0, 1, 2, 3, 4, 5, 6]}
    assert caplog.messages == ["postgres lacks events that it had before: gatecam copies all again."]
    assert store.notes.sent_to(7) == ["postgres"]


def test_events_that_are_erased_while_they_are_copied_do_not_stay_in_the_copy(store, start, told, tmp_path):
    database = SqliteDatabase(tmp_path / "copy.sqlite3")
    copy, other = EventStore(database, "lobby"), EventStore(database, "yard")
    other.copy([StoredEvent(0, "f" * 32, told())])
    faults, is_erased = [OutputError("the database is away.")], threading.Event()

    class Copy(DatabaseCopy):
        def deliver(self, events):
            if not is_erased.is_set():
                is_erased.set()
                for one in (store, copy):
                    with suppress(OutputError):  # somebody reads it, so that only its bytes are still there
                        one.erase()
            return super().deliver(events)

        def withdraw(self, keys):
            if faults:
                raise faults.pop()
            super().withdraw(keys)

    store.append([told(after_s=i) for i in range(3)])
    start(Copy(copy), from_start=True)
    wait_for(lambda: is_erased.is_set() and not faults and copy.count() == 0)
    store.append([told(after_s=9)])
    wait_for(lambda: copy.count() == 1)
    assert other.count() == 1


def wait_for(check: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(800):
        with suppress(OutputError):
            if check():
                return
        tick.wait(0.05)
    pytest.fail("it did not come to pass")
