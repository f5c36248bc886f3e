"""What many doors cost a shared PostgreSQL and how quick their page and alerts are: `make bench-fleet`.

A real server on 127.0.0.1, a real `gatecam fleet` with a webhook, and simulated doors. Each door has an event
about every 20 s and reports its health every 20 s, by the code that a real door uses. Meanwhile the page is
opened in Chromium, one door falls silent and comes back, and the server is killed and started again. At the
end every event must be in the database once.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import queue
import random
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import httpx
import sqlalchemy as sa
from playwright.sync_api import sync_playwright

from gatecam.errors import OutputError
from gatecam.runtime.backoff import Pauses
from gatecam.store.doors import DoorReport, ReportedCamera
from gatecam.store.engine import PostgresDatabase
from gatecam.store.events import EventStore
from gatecam.store.outbox import FIRST_PAUSE_S, LONGEST_PAUSE_S, DatabaseCopy
from gatecam.store.tables import events as event_table
from gatecam.types import Event, EventKind, StoredEvent, Verdict
from gatecam.web.tokens import load_tokens
from tests.postgres import PostgresServer
from tests.receiver import Receiver
from tests.streams import free_port

WORKERS = 16
REPORT_S, EVENT_S = 20.0, 20.0
SILENT_S = 60.0
DOWN_S = 10.0
OPENINGS = 5
SINGLE = 200
ACKED, RECEIVED = 120, 128  # offsets of tcpi_bytes_acked and tcpi_bytes_received in struct tcp_info
KINDS = (
    (EventKind.MASK_OK, Verdict.CORRECT),
    (EventKind.MASK_OK, Verdict.CORRECT),
    (EventKind.MASK_MISSING, Verdict.NONE),
    (EventKind.MASK_INCORRECT, Verdict.INCORRECT),
)
CAMERA = ReportedCamera("entrance", "open", "", True, "", 15.0, 3600.0)
WHOLE = """new MutationObserver((changes, one) => {
    if (document.querySelectorAll("#doors li").length < %d) return;
    one.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => { window.whole = performance.now(); }));
  }).observe(document, { childList: true, subtree: true });"""


@dataclass
class Door:
    """A simulated door: what it reports, and the events that the database does not have yet."""

    name: str
    store: EventStore
    outbox: list[StoredEvent] = field(default_factory=list)
    pauses: Pauses = field(default_factory=lambda: Pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S))
    is_silent: bool = False
    reported_s: float = 0.0

    def report(self) -> None:
        up_s = time.monotonic()
        self.store.doors.report(
            DoorReport(self.name, "0.1.0", "a1b2c3d4", "openvino", up_s, 0, 0, (), (CAMERA,))
        )
        self.reported_s = time.monotonic()


class Share:
    """Runs a share of the doors in one thread, over one connection."""

    def __init__(self, url: str, names: list[str]) -> None:
        self.database = PostgresDatabase(url)
        self.doors = [Door(name, EventStore(self.database, name)) for name in names]
        self.keys: list[str] = []
        self.has_events = True
        self.failed = self.reports = 0
        self.late_s = 0.0
        self._due: list[tuple[float, int, str]] = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return sum(len(door.outbox) for door in self.doors)

    def end(self) -> None:
        self._ends.set()
        self._thread.join()
        self.database.close()

    def _run(self) -> None:
        steps = {"report": self._report, "event": self._event, "deliver": self._deliver}
        for place in range(len(self.doors)):
            self._plan(random.uniform(0, REPORT_S), place, "report")
            self._plan(random.expovariate(1 / EVENT_S), place, "event")
        while not self._ends.is_set():
            due_s, place, what = self._due[0]
            if (wait_s := due_s - time.monotonic()) > 0:
                self._ends.wait(wait_s)
                continue
            self.late_s = max(self.late_s, -wait_s)
            heapq.heappop(self._due)
            steps[what](place, self.doors[place])

    def _plan(self, after_s: float, place: int, what: str) -> None:
        heapq.heappush(self._due, (time.monotonic() + after_s, place, what))

    def _report(self, place: int, door: Door) -> None:
        self._plan(REPORT_S, place, "report")
        if not door.is_silent:
            try:
                door.report()
                self.reports += 1
            except OutputError:
                self.failed += 1

    def _event(self, place: int, door: Door) -> None:
        self._plan(random.expovariate(1 / EVENT_S), place, "event")
        if self.has_events and not door.is_silent:
            stored = an_event(len(self.keys))
            self.keys.append(stored.key)
            door.outbox.append(stored)
            if len(door.outbox) == 1:  # otherwise a delivery is planned already
                self._deliver(place, door)

    def _deliver(self, place: int, door: Door) -> None:
        try:
            del door.outbox[: DatabaseCopy(door.store).deliver(door.outbox[: DatabaseCopy.batch])]
        except OutputError:
            self.failed += 1
            self._plan(door.pauses.next(), place, "deliver")
        else:
            door.pauses.reset()


def an_event(number: int) -> StoredEvent:
    kind, verdict = random.choice(KINDS)
    at = datetime.now().astimezone().isoformat(timespec="milliseconds")
    key = uuid.uuid4().hex
    time_s = time.monotonic()
    return StoredEvent(
        number, key, Event(kind, "entrance", number, verdict, time_s, 7, 0.97, at=at, first=True)
    )


class Server(PostgresServer):
    """A server whose work is measured, also across a restart."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._engine = sa.create_engine(self.url.replace(":", "+psycopg:", 1), poolclass=sa.NullPool)
        self._cpu: dict[int, float] = {}

    def ask(self, query: str) -> Any:
        with self._engine.connect() as connection:
            return connection.exec_driver_sql(query).scalar()

    def cpu_s(self) -> float:
        """CPU time of all processes of the server that were seen so far."""
        ticks = os.sysconf("SC_CLK_TCK")
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                words = path.read_text().rpartition(")")[2].split()
                command = path.with_name("cmdline").read_bytes()
                parent = Path(f"/proc/{words[1]}/cmdline").read_bytes()
            except (OSError, ValueError):
                continue
            if any(str(self._folder).encode() in one for one in (command, parent) if b"postgres" in one):
                self._cpu[int(path.parent.name)] = (int(words[11]) + int(words[12])) / ticks
        return sum(self._cpu.values())

    def wal(self) -> int:
        return int(self.ask("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"))


class Run:
    """The server, the doors and the watching program, and what was measured."""

    def __init__(self, folder: Path, number: int, stack: ExitStack) -> None:
        (folder / "postgres").mkdir()
        self.server = Server(folder / "postgres")
        stack.callback(self.server.stop)
        with closing(EventStore(PostgresDatabase(self.server.url))) as store:
            store.count()  # makes the tables
        names = [f"building {place // 20:03}, door {place % 20:02}" for place in range(number)]
        self.number = number
        self.shares = [Share(self.server.url, names[place::WORKERS]) for place in range(WORKERS)]
        self.receiver = stack.enter_context(Receiver())
        self._folder = folder
        self.port = free_port()
        self.fleet = self._start_fleet()
        stack.callback(self.fleet.wait, 30)
        stack.callback(self.fleet.terminate)
        self.token = load_tokens(folder / "gatecam").operator
        self.false_alarms: list[dict[str, Any]] = []

    def _start_fleet(self) -> subprocess.Popen[bytes]:
        config = self._folder / "fleet.yaml"
        config.write_text(
            f"fleet: {{silent_s: {SILENT_S}}}\nweb: {{port: {self.port}}}\n"
            f"webhook: {{url: 'http://127.0.0.1:{self.receiver.port}/hook'}}\n"
        )
        env = {**os.environ, "XDG_DATA_HOME": str(self._folder), "XDG_RUNTIME_DIR": str(self._folder)}
        words = ["fleet", "--store", self.server.url, "--config", str(config)]
        return subprocess.Popen(
            [sys.executable, "-m", "gatecam", *words], env=env, cwd=Path(__file__).parents[1]
        )

    @property
    def waiting(self) -> int:
        return sum(share.waiting for share in self.shares)

    def told(self, kind: str, door: str, wait_s: float) -> float:
        """Wait for an alert and return when it came. Others are kept as false ones."""
        while True:
            fields = json.loads(self.receiver.requests.get(timeout=wait_s).body)
            if (fields["kind"], fields["camera"]) == (kind, door):
                return time.monotonic()
            self.false_alarms.append(fields)

    def fleet_cpu_s(self) -> float:
        words = Path(f"/proc/{self.fleet.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def open_page(run: Run) -> None:
    """Print how soon the page shows all doors, and how long its data take."""
    chromium = shutil.which("chromium")
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])) as browser,
    ):
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{run.port}/login#token={run.token}")
        page.wait_for_url(f"http://127.0.0.1:{run.port}/")
        page.add_init_script(WHOLE % run.number)
        seconds = []
        for _ in range(OPENINGS):
            page.reload()
            while not (whole_ms := page.evaluate("window.whole")):
                page.wait_for_timeout(20)
            seconds.append(whole_ms / 1000)
    headers = {"Authorization": f"Bearer {run.token}"}
    with httpx.Client(verify=False, headers=headers, timeout=30) as client:
        start_s = time.monotonic()
        answer = client.get(f"http://127.0.0.1:{run.port}/api/doors")
        took_s = time.monotonic() - start_s
    print(
        f"page of {run.number} doors whole after {statistics.median(seconds):.2f} s (median of {OPENINGS}, "
        f"at most {max(seconds):.2f} s); its data: {len(answer.content) / 1000:.0f} kB in {took_s:.3f} s"
    )


def silence_a_door(run: Run) -> None:
    """Print how long after the setting a silent door is told, and how soon its return is."""
    door = run.shares[0].doors[0]
    time.sleep(max(0.0, door.reported_s + 1 - time.monotonic()))
    door.is_silent = True
    at_s = run.told("door_silent", door.name, SILENT_S + 30)
    late_s = at_s - door.reported_s - SILENT_S
    door.is_silent = False
    at_s = run.told("door_back", door.name, REPORT_S + 30)
    print(
        f"silent door told {late_s:.1f} s after its setting of {SILENT_S:g} s, its return "
        f"{at_s - door.reported_s:.1f} s after its first report"
    )


def restart_server(run: Run) -> None:
    """Print how long the doors take to catch up after the server was killed and away, and false alarms."""
    run.server.cpu_s()
    run.server.stop()
    time.sleep(DOWN_S)
    waited = run.waiting
    run.server.start()
    start_s = time.monotonic()
    while run.waiting > run.number // 100:
        time.sleep(0.2)
    print(
        f"server killed and away for {DOWN_S:g} s: {waited} events waited, and were there "
        f"{time.monotonic() - start_s:.1f} s after its start"
    )
    with suppress(queue.Empty):
        run.told("", "", SILENT_S + 10)
    print(f"false alarms so far: {run.false_alarms or 'none'}")


def measure_rates(run: Run, seconds: float) -> None:
    """Print what the doors write and what it costs in a time without anything else."""
    names = ("commits", "WAL bytes", "CPU s of the server", "CPU s of gatecam fleet", "events", "reports")

    def read() -> list[float]:
        commits = run.server.ask("SELECT xact_commit FROM pg_stat_database WHERE datname = 'gatecam'")
        made = sum(len(share.keys) for share in run.shares)
        reports = sum(share.reports for share in run.shares)
        return [commits, run.server.wal(), run.server.cpu_s(), run.fleet_cpu_s(), made, reports]

    for share in run.shares:
        share.late_s = 0.0
    before, start_s = read(), time.monotonic()
    time.sleep(seconds)
    took_s = time.monotonic() - start_s
    for name, one, other in zip(names, before, read(), strict=True):
        print(f"{name} each second: {(other - one) / took_s:.4g}")
    print(f"longest delay of a simulated door: {max(share.late_s for share in run.shares):.1f} s")


def measure_single(run: Run) -> None:
    """Print what one report and one event cost: bytes in both directions, bytes of WAL, and time."""
    database = PostgresDatabase(run.server.url)
    door = Door("measured", EventStore(database, "measured"))
    number = iter(range(10**6))

    def deliver() -> None:
        DatabaseCopy(door.store).deliver([an_event(next(number))])

    with closing(database):
        for name, act in (("report", door.report), ("event", deliver)):
            for _ in range(20):  # the driver prepares a statement that it often sent
                act()
            before, wal, start_s = network_bytes(database), run.server.wal(), time.monotonic()
            for _ in range(SINGLE):
                act()
            took_s = time.monotonic() - start_s
            sent, got = (
                (one - other) / SINGLE for one, other in zip(network_bytes(database), before, strict=True)
            )
            wal = (run.server.wal() - wal) / SINGLE
            print(
                f"one {name}: {sent:.0f} bytes to the server, {got:.0f} back, {wal:.0f} bytes of WAL, "
                f"{1000 * took_s / SINGLE:.1f} ms"
            )
        door.store.erase()
        door.store.doors.forget(door.name)


def network_bytes(database: PostgresDatabase) -> tuple[int, int]:
    """The bytes that a database's only connection sent and received so far, without headers."""
    with database.transaction() as connection:
        driver: Any = connection.connection.driver_connection
        with closing(socket.socket(fileno=os.dup(driver.pgconn.socket))) as one:
            info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from("Q", info, ACKED)[0], struct.unpack_from("Q", info, RECEIVED)[0]


def check(run: Run) -> None:
    """Print whether every event is in the database once, and how large it is."""
    for share in run.shares:
        share.has_events = False
    while run.waiting:
        time.sleep(0.2)
    for share in run.shares:
        share.end()
    keys = [key for share in run.shares for key in share.keys]
    with closing(PostgresDatabase(run.server.url)) as database, database.transaction() as connection:
        there = Counter(connection.execute(sa.select(event_table.c.key)).scalars())
    lost, twice = len(set(keys) - set(there)), sum(number > 1 for number in there.values())
    print(f"events: {len(keys)} made, {len(there)} there, {lost} lost, {twice} twice")
    print(f"attempts that failed and were made up for: {sum(share.failed for share in run.shares)}")
    for name, query in (
        ("database", "pg_database_size('gatecam')"),
        ("events with indexes", "pg_total_relation_size('events')"),
        ("indexes of events", "pg_indexes_size('events')"),
        ("health with index", "pg_total_relation_size('health')"),
    ):
        print(f"{name}: {run.server.ask(f'SELECT {query}') / 1e6:.2f} MB")
    size = run.server.ask("SELECT pg_total_relation_size('events')")
    print(f"bytes for each event: {size / len(there):.0f}")
    hot = run.server.ask(
        "SELECT 100.0 * n_tup_hot_upd / greatest(n_tup_upd, 1) FROM pg_stat_user_tables "
        "WHERE relname = 'health'"
    )
    print(f"reports that changed no index: {hot:.1f} %")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("minutes", type=float, nargs="?", default=10.0)
    asked.add_argument("--doors", type=int, default=1000)
    words = asked.parse_args()
    end_s = time.monotonic() + 60 * words.minutes
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        run = Run(Path(folder), words.doors, stack)
        time.sleep(REPORT_S + 5)  # every door has reported
        measure_rates(run, max(20.0, 6 * words.minutes))
        open_page(run)
        silence_a_door(run)
        restart_server(run)
        time.sleep(max(0.0, end_s - time.monotonic()))
        open_page(run)
        check(run)
        measure_single(run)


if __name__ == "__main__":
    main()
