"""The store: what was appended is there, whatever is asked; the same on SQLite and PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gatecam.errors import ConfigError, OutputError
from gatecam.store.doors import DoorReport, ReportedCamera
from gatecam.store.engine import PostgresDatabase, SqliteDatabase
from gatecam.store.events import QUARTER_MS, Arrivals, EventFilter, EventStore, Total
from gatecam.store.statistics import outages
from gatecam.store.tables import REVISIONS, metadata
from gatecam.types import EventKind, StoredEvent
from tests.store.conftest import NOON

NOON_MS = round(NOON.timestamp() * 1000)
HOUR_MS = 3_600_000


def test_events_come_back_as_they_were(store, told):
    given = [told(), told(EventKind.CAMERA_BLIND, 1, "문 앞/뒤", False, 0, "covered")]
    store.append(given)
    found = store.backlog(0, 10).events
    assert [stored.event for stored in found] == given
    assert [stored.event.first for stored in found] == [True, False]
    assert len({stored.key for stored in found}) == 2


def test_events_that_reached_the_disk_although_it_failed_are_kept_once(store, told):
    first, second = (replace(told(after_s=i), key=f"{i:032x}") for i in range(2))
    store.append([first])
    store.append([first, second])
    backlog = store.backlog(0, 10)
    assert [(stored.id, stored.event.time_s) for stored in backlog.events] == [(1, 0), (2, 1)]
    assert backlog.deleted == 0
    store.append([first])


def test_find_gives_the_newest_first_and_goes_on_where_a_list_ended(store, told):
    store.append([told(after_s=i) for i in range(5)])
    newest = store.find(EventFilter(), 2)
    assert [stored.event.time_s for stored in newest] == [4, 3]
    older = store.find(EventFilter(before_id=newest[-1].id), 10)
    assert [stored.event.time_s for stored in older] == [2, 1, 0]


@pytest.mark.parametrize(
    ("asked", "times"),
    [
        (EventFilter(), [0, 1, 2, 3]),
        (EventFilter(since_ms=NOON_MS + 1000), [1, 2, 3]),
        (EventFilter(until_ms=NOON_MS + 1000), [0]),
        (EventFilter(cameras=("yard",)), [3]),
        (EventFilter(kinds=(EventKind.MASK_OK, EventKind.CAMERA_BLIND)), [1, 2]),
        (EventFilter(cameras=("gate",), kinds=(EventKind.MASK_MISSING,)), [0]),
        (EventFilter(cameras=("'; DROP TABLE events; --",)), []),
    ],
)
def test_a_filter_lets_through_what_it_says(store, told, asked, times):
    ok, blind = EventKind.MASK_OK, EventKind.CAMERA_BLIND
    store.append([told(), told(ok, 1), told(blind, 2), told(after_s=3, camera="yard")])
    assert [stored.event.time_s for stored in store.every(asked)] == times
    assert store.count(asked) == len(times)


def test_every_reads_on_over_many_pages(store, told, monkeypatch):
    monkeypatch.setattr("gatecam.store.events.READ_AT_ONCE", 3)
    store.append([told(after_s=i) for i in range(7)])
    assert [stored.event.time_s for stored in store.every(EventFilter())] == list(range(7))


def test_people_are_counted_once_by_how_they_came(store, told):
    ok, wrong = EventKind.MASK_OK, EventKind.MASK_INCORRECT
    store.append(
        [
            told(ok),
            told(ok, 60),
            told(wrong, 120),
            told(EventKind.MASK_REMINDER, 130, first=False),
            told(ok, 140, first=False, came_s=120),
            told(ok, 200, first=False),
            told(EventKind.CAMERA_BLIND, 150, first=False),
            told(after_s=3600, camera="yard"),
        ]
    )
    noon = Arrivals(NOON_MS, correct=2, incorrect=1, put_on=1)
    later = Arrivals(NOON_MS + HOUR_MS, none=1)
    assert store.arrivals(NOON_MS, NOON_MS + 2 * HOUR_MS) == [noon, later]
    assert noon.people == 3
    assert store.arrivals(NOON_MS, NOON_MS + HOUR_MS) == [noon]
    assert store.arrivals(NOON_MS, NOON_MS + 2 * HOUR_MS, "yard") == [later]
    assert store.cameras() == ["gate", "yard"]
    assert store.span_ms() == (NOON_MS, NOON_MS + HOUR_MS)


def test_who_puts_a_mask_on_is_counted_where_he_came(store, told):
    """A quarter of an hour begins between the two events, and the mask goes off and on once more."""
    start = NOON_MS + QUARTER_MS
    quarter_s = QUARTER_MS / 1000
    store.append([told(after_s=quarter_s - 5), told(EventKind.MASK_OK, 60, camera="yard")])
    store.append([told(EventKind.MASK_OK, quarter_s + 5, first=False, came_s=quarter_s - 5)])
    store.append([told(EventKind.MASK_MISSING, quarter_s + 20, first=False)])
    store.append([told(EventKind.MASK_OK, quarter_s + 40, first=False)])
    came = Arrivals(NOON_MS, correct=1, none=1, put_on=1)
    assert store.arrivals(NOON_MS, start + QUARTER_MS) == [came]
    assert store.arrivals(start, start + QUARTER_MS) == []
    assert store.arrivals(NOON_MS, start, "yard") == [Arrivals(NOON_MS, correct=1)]
    assert [one.event.came_s for one in store.find(EventFilter(), 3)] == [None, None, quarter_s - 5]


def test_an_older_store_gets_the_column_and_counts_each_person_once(store, told):
    wrong, ok, missing = EventKind.MASK_INCORRECT, EventKind.MASK_OK, EventKind.MASK_MISSING
    store.append([told(missing), told(ok, 9, first=False), told(missing, 20, first=False)])
    store.append([told(ok, 30, first=False), told(wrong, 40, track_id=2), told(ok, 50, track_id=3)])
    store.append([told(missing, 60, first=False, track_id=3), told(ok, 70, first=False, track_id=3)])
    store.append([told(ok, 7200, first=False, track_id=2)])  # of another run
    with store._database.transaction(writing=True) as connection:
        connection.exec_driver_sql("DROP INDEX events_came")
        connection.exec_driver_sql("ALTER TABLE events DROP COLUMN came_ms")
        connection.exec_driver_sql("DROP TABLE audit")
        connection.exec_driver_sql("DROP INDEX events_answered")
        connection.exec_driver_sql("DROP INDEX events_first")
        connection.exec_driver_sql("DROP INDEX IF EXISTS events_door")
        connection.exec_driver_sql("CREATE INDEX events_first ON events (first, at_ms, verdict, camera)")
        for column in ("answer", "said", "ended_ms", "door"):
            connection.exec_driver_sql(f"ALTER TABLE events DROP COLUMN {column}")
        connection.exec_driver_sql("DROP TABLE sent")
        connection.exec_driver_sql("DROP TABLE health")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    database = store._database
    if isinstance(database, PostgresDatabase):
        database._migrated = False
    else:
        store.close()
    (found,) = store.arrivals(NOON_MS, NOON_MS + 3 * HOUR_MS)
    assert found == Arrivals(NOON_MS, correct=1, incorrect=1, none=1, put_on=1)


def test_a_new_output_begins_with_the_events_to_come(store, told):
    store.append([told()])
    start = store.cursor("webhook")
    store.append([told(after_s=1), told(after_s=2)])
    first, second = store.backlog(start, 10).events
    assert (first.event.time_s, store.waiting(start)) == (1, 2)
    store.move_cursor("webhook", first.id)
    assert store.backlog(store.cursor("webhook"), 10).events == (second,)
    assert store.cursor("mqtt") == second.id


def test_a_copy_takes_each_event_once(store, told, tmp_path):
    source = EventStore(SqliteDatabase(tmp_path / "source.sqlite3"))
    source.append([told(), told(after_s=1)])
    given = source.backlog(0, 10).events
    store.copy(given[:1])
    store.copy(given)
    store.copy([])  # a store that was set aside may have an audit log alone
    assert [(stored.key, stored.event) for stored in store.backlog(0, 10).events] == [
        (stored.key, stored.event) for stored in given
    ]
    source.close()


def test_a_door_keeps_and_erases_its_own_events_in_a_shared_database(store, told, tmp_path):
    with closing(EventStore(SqliteDatabase(tmp_path / "source.sqlite3"))) as source:
        source.append([told(after_s=-90), told(after_s=1)])
        lobby = source.backlog(0, 10).events
        source.append([told(after_s=-80, camera="yard"), told(after_s=2, camera="yard")])
        yard = source.backlog(2, 10).events
    shares = {name: EventStore(store._database, name) for name in ("lobby", "yard")}
    shares["lobby"].copy(lobby)
    shares["yard"].copy(yard)
    assert shares["lobby"].delete_before(NOON_MS, "2026-11-24", NOON_MS + HOUR_MS) == 1
    assert [one.event.time_s for one in store.backlog(0, 10).events] == [1, -80, 2]
    assert shares["yard"].span_ms() == (NOON_MS - 80_000, NOON_MS + 2000)
    assert [share.count() for share in shares.values()] == [1, 2]
    assert [share.cameras() for share in (store, *shares.values())] == [["gate", "yard"], ["gate"], ["yard"]]
    assert [one.event.camera for one in store.every(EventFilter())] == ["lobby: gate", *["yard: yard"] * 2]
    assert [one.event.camera for one in shares["yard"].find(EventFilter(), 9)] == ["yard", "yard"]
    assert store.door_names() == ["lobby", "yard"]
    by_door = store.arrivals_of_each(("door", "camera"), NOON_MS - HOUR_MS, NOON_MS + HOUR_MS)
    assert {place: sums.people for place, sums in by_door.items()} == {
        ("lobby", "gate"): 1,
        ("yard", "yard"): 2,
    }
    assert sum(one.people for one in store.arrivals(0, NOON_MS + HOUR_MS, door="yard")) == 2
    assert (shares["lobby"].erase(), store.count()) == (1, 2)


@pytest.mark.parametrize(
    ("query", "advice"),
    [
        ("SELECT pg_sleep(9)", "it took longer than 20 s, so ask for less"),
        ("SET TRANSACTION READ ONLY; DELETE FROM events", "it can only be read"),
        ("CREATE TABLE events (id INT)", "so create a database for gatecam alone"),
        ("SET LOCAL ROLE pg_monitor; SELECT * FROM public.events", "grant this user the rights"),
        ("SELECT nothing FROM events", "update gatecam"),
    ],
)
def test_an_error_of_postgresql_says_what_helps(postgres, monkeypatch, query, advice):
    monkeypatch.setattr("gatecam.store.engine.STATEMENT_MS", 500)
    with (
        closing(EventStore(PostgresDatabase(postgres.url))) as store,
        pytest.raises(OutputError, match=advice),
        store._database.transaction() as connection,
    ):
        connection.exec_driver_sql(query)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("sorry, too many clients already", "raise max_connections there"),
        ("remaining connection slots are reserved for superusers", "raise max_connections there"),
        ('database "gate" does not exist', "start or create it"),
    ],
)
def test_a_server_that_takes_no_more_connections_says_what_helps(monkeypatch, said, advice):
    def refuse(*words, **more):
        raise psycopg.OperationalError(f"connection failed: FATAL:  {said}")

    monkeypatch.setattr(psycopg, "connect", refuse)
    with (
        closing(EventStore(PostgresDatabase("postgresql://gatecam@127.0.0.1/gate"))) as store,
        pytest.raises(OutputError, match=rf"{said}\): .*{advice}"),
    ):
        store.count()


def test_a_reader_of_old_tables_is_told_to_start_a_door_first(postgres):
    with closing(EventStore(PostgresDatabase(postgres.url))) as owner:
        with owner._database.transaction() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            connection.exec_driver_sql("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN")
            connection.exec_driver_sql("GRANT USAGE ON SCHEMA public TO reader")
        with closing(EventStore(PostgresDatabase(postgres.url.replace("gatecam@", "reader@")))) as reader:
            with pytest.raises(OutputError, match="start a door of this version first"):
                reader.count()
            with pytest.raises(OutputError, match="its tables were deleted"):
                owner.count()
            assert owner.count() == 0
            with owner._database.transaction() as connection:
                connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
            assert reader.count() == 0


def test_tables_that_were_deleted_in_postgresql_are_made_again(postgres):
    with closing(EventStore(PostgresDatabase(postgres.url))) as store:
        with store._database.transaction() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        with pytest.raises(OutputError, match="creates them again at the next try"):
            store.count()
        assert store.count() == 0


def test_outages_are_found_without_reading_all_events(store, told):
    blind, ok, slow = EventKind.CAMERA_BLIND, EventKind.CAMERA_OK, EventKind.TOO_SLOW
    person, wrong = EventKind.MASK_MISSING, EventKind.MASK_INCORRECT
    given = [(blind, -300, "yard"), (person, -200, "gate"), (blind, -100, "cellar")]
    given += [(person, 10, "yard"), (wrong, 20, "yard"), (blind, 30, "gate"), (person, 40, "gate")]
    given += [(ok, 50, "gate"), (blind, 60, "gate"), (slow, 65, "gate"), (blind, 70, "gate")]
    given += [(wrong, 80, "gate"), (person, 90, "gate"), (person, 95, "cellar"), (ok, 3000, "cellar")]
    for door in ("hall", "attic"):
        made = [told(kind, at_s, camera, not kind.is_camera) for kind, at_s, camera in given]
        EventStore(store._database, door).copy(
            [StoredEvent(0, f"{number:030}{door[:2]}", one) for number, one in enumerate(made)]
        )
    span = NOON_MS, NOON_MS + 2_000_000
    for camera in (None, "gate"):
        found = store.outage_events(*span, camera)
        before = store.latest_of_each(NOON_MS, camera)
        asked = EventFilter(*span, () if camera is None else (camera,))
        assert outages(found) == outages([*before, *store.every(asked)])
    hall = EventStore(store._database, "hall").outage_events(*span)
    assert [one.event.time_s for one in hall] == [-300, -100, 10, 30, 50, 60, 70, 80, 95]
    ended = EventStore(store._database, "hall").outage_events(NOON_MS + 75_000, NOON_MS + 2_000_000)
    assert [one.event.time_s for one in ended] == [-100, 70, 80, 95]


@pytest.mark.parametrize("erase", [True, False])
def test_many_events_are_deleted_though_postgresql_ends_long_statements(postgres, told, monkeypatch, erase):
    monkeypatch.setattr("gatecam.store.engine.STATEMENT_MS", 400)
    monkeypatch.setattr("gatecam.store.events.DELETE_AT_ONCE", 10)
    slow = "CREATE FUNCTION slow() RETURNS trigger AS 'BEGIN PERFORM pg_sleep(0.01); RETURN OLD; END'"
    with closing(EventStore(PostgresDatabase(postgres.url), "lobby")) as lobby:
        lobby.copy([StoredEvent(0, f"{erase}{number}", told(after_s=number)) for number in range(80)])
        with lobby._database.transaction() as connection:
            connection.exec_driver_sql(f"{slow} LANGUAGE plpgsql")
            connection.exec_driver_sql(
                "CREATE TRIGGER slow BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION slow()"
            )
        later_ms = NOON_MS + HOUR_MS
        gone = lobby.erase() if erase else lobby.delete_before(later_ms, "2026-11-24", later_ms)
        assert (gone, lobby.count()) == (80, 0)
        with lobby._database.transaction() as connection:
            connection.exec_driver_sql("DROP FUNCTION slow CASCADE")


def test_the_health_of_a_door_replaces_its_last(store):
    camera = ReportedCamera("gate", "open", "", True, "", 15.0, 60.0)
    lobby = DoorReport(
        "lobby", "0.1.0", "a1b2c3d4", "cpu", 60, 1, 0, ("a", "b"), (camera, replace(camera, camera="b"))
    )
    store.doors.report(lobby)
    store.doors.report(replace(lobby, door="yard"))
    store.doors.report(replace(lobby, up_s=80, cameras=(replace(camera, sees=False),)))
    first, second = store.doors.all()
    assert 0 <= first.age_s < 20
    assert 60 <= first.cameras[0].since_s < 80
    known = replace(first, reported_ms=0, age_s=0.0, cameras=())
    assert known == replace(lobby, up_s=80, cameras=())
    assert [(one.camera, one.sees) for one in first.cameras] == [("gate", False)]
    assert (second.door, len(second.cameras)) == ("yard", 2)


def test_totals_add_up(store):
    store.add_totals([Total("2026-11-23", "gate", 17, 12), Total("2026-11-24", "gate", 17, 10)])
    store.add_totals([Total("2026-11-24", "gate", 17, 11), Total("2026-11-24", "yard", 0, 10)])
    assert store.totals("2026-11-24", "2026-11-24") == [
        Total("2026-11-24", "gate", 17, 21),
        Total("2026-11-24", "yard", 0, 10),
    ]
    assert store.totals("2026-11-01", "2026-11-30", "yard") == [Total("2026-11-24", "yard", 0, 10)]


def test_old_events_and_totals_are_deleted(store, told):
    store.append([told(after_s=-90), told(after_s=-1), told()])
    store.add_totals([Total("2026-11-23", "gate", 17, 12), Total("2026-11-24", "gate", 17, 10)])
    assert store.delete_before(NOON_MS, "2026-11-24", NOON_MS) == 2
    assert [stored.event.time_s for stored in store.backlog(0, 10).events] == [0]
    assert store.totals("2026-01-01", "2026-12-31") == [Total("2026-11-24", "gate", 17, 10)]


def test_the_oldest_go_while_a_store_is_too_large(store, told):
    store.append([told(after_s=i) for i in range(20_000)])
    size = store.used_bytes()
    assert 1_000_000 < size < 10_000_000
    assert store.delete_beyond(size) == 0
    gone = store.delete_beyond(size // 2)
    assert 5_000 <= gone < 20_000
    assert store.used_bytes() <= size // 2
    assert store.backlog(0, 1).events[0].event.time_s == gone
    assert store.find(EventFilter(), 1)[0].event.time_s == 19_999


def test_erasing_leaves_nothing_and_no_id_is_given_twice(store, told):
    store.append([told(), told()])
    store.add_totals([Total("2026-11-23", "gate", 17, 12)])
    cursor = store.cursor("webhook")
    assert store.erase() == 2
    assert (store.count(), store.totals("2000-01-01", "3000-01-01")) == (0, [])
    store.append([told(after_s=9)])
    assert [stored.event.time_s for stored in store.backlog(cursor, 10).events] == [9]


def test_the_last_event_of_each_camera_before_a_time(store, told):
    for after_s, camera in ((0, "gate"), (1, "yard"), (2, "gate"), (3, "gate"), (3, "door")):
        store.append([told(after_s=after_s, camera=camera)])
    at_ms = round((NOON.timestamp() + 3) * 1000)
    found = [(one.event.camera, one.event.time_s) for one in store.latest_of_each(at_ms)]
    assert found == [("yard", 1), ("gate", 2)]
    assert [one.event.time_s for one in store.latest_of_each(at_ms, "yard")] == [1]


def test_the_tables_are_what_the_migrations_make(store):
    store.count()
    with store._database.transaction() as connection:
        here = connection.dialect.name
        options = {"include_object": lambda one, name, *_: (here, name) != ("sqlite", "events_door")}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_every_migration_is_known():
    scripts = ScriptDirectory("gatecam/store/migrations")
    assert [step.revision for step in scripts.walk_revisions()] == list(reversed(REVISIONS))


@pytest.mark.parametrize("revision", ["9999", "0000abcdef", "1a2b3c4d5e6f"])
def test_a_store_of_a_newer_gatecam_or_another_program_is_refused(store, revision):
    store.count()
    with store._database.transaction(writing=True) as connection:
        connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{revision}'"))
    database = store._database
    again = SqliteDatabase if isinstance(database, SqliteDatabase) else PostgresDatabase
    place = database._path if isinstance(database, SqliteDatabase) else database.name
    store.close()
    with (
        pytest.raises(OutputError, match="was made by a newer gatecam or another"),
        closing(again(place)) as newer,
    ):
        EventStore(newer).count()


def test_a_key_is_unlike_any_other(store, told):
    store.append([told() for _ in range(50)])
    keys = {stored.key for stored in store.backlog(0, 100).events}
    assert len(keys) == 50
    assert all(len(key) == 32 for key in keys)


def test_a_stored_event_is_a_value(told):
    assert StoredEvent(1, "a", told()) == StoredEvent(1, "a", told())


def test_a_server_that_is_down_is_one_sentence_without_the_password():
    store = EventStore(PostgresDatabase("postgresql://gatecam:secret@127.0.0.1:9/gatecam"))
    with pytest.raises(OutputError, match=r"^postgresql://gatecam:\*\*\*@127\.0\.0\.1:9/gatecam: ") as told:
        store.count()
    assert "secret" not in str(told.value)
    store.close()


@pytest.mark.parametrize(
    "address",
    [
        "db:port/gatecam",
        "gatecam:sec@ret@db/gatecam",
        "gatecam:sec@r/et@db/gatecam",
        "gatecam:sec@ret:x@db/g",
    ],
)
def test_an_address_that_is_none_is_a_config_error_without_the_password(address):
    with pytest.raises(
        ConfigError, match=r"expected an address such as .*write @ in a password as %40"
    ) as told:
        PostgresDatabase(f"postgresql://{address}")
    assert "ret" not in str(told.value)


def test_no_statement_is_prepared_because_a_pooler_may_change_the_connection(postgres):
    with closing(PostgresDatabase(postgres.url)) as database:
        for _ in range(8):
            EventStore(database).doors.all()
        with database.transaction() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar() == 0


def test_only_a_migration_may_take_long(postgres, monkeypatch):
    limits: list[str] = []

    def limit(connection: sa.Connection, name: str = "") -> None:
        limits.append(connection.exec_driver_sql("SHOW statement_timeout").scalar_one())

    monkeypatch.setattr("gatecam.store.engine.migrate", limit)
    with closing(PostgresDatabase(postgres.url)) as database, database.transaction() as connection:
        limit(connection)
    assert limits == ["0", "20s"]


def test_a_database_that_is_not_there_is_one_sentence_with_what_to_do(postgres):
    with closing(EventStore(PostgresDatabase(postgres.url + "-other"))) as store:
        advice = r"start or create it, or correct its address or the password in ~/\.pgpass\.$"
        with pytest.raises(OutputError, match=f'"gatecam-other" does not exist.*: {advice}'):
            store.count()
