"""Events at a steady rate while each of MQTT, webhook and PostgreSQL is down for half of the time.

`python tests/faults/outage.py [MINUTES] [EVENTS A SECOND]` prints what was sent, what arrived, and what was
lost or came twice. It wants mosquitto and PostgreSQL's server.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

from gatecam.app import build_live_sinks
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config, MqttConfig, NotifyConfig, StoreConfig, WebhookConfig
from gatecam.store.engine import PostgresDatabase, SqliteDatabase
from gatecam.store.events import EventFilter, EventStore
from gatecam.types import Event, EventKind, Verdict
from tests.notify.test_mqtt import Broker
from tests.postgres import PostgresServer
from tests.receiver import Receiver

OUTAGES = 3  # of each system, spread over the time
PATIENCE_S = 180.0  # after the end, for what is still on the way


class Systems:
    """The three systems, and what arrived at two of them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.postgres = PostgresServer(folder / "postgres")
        stack.callback(self.postgres.stop)
        self.broker = Broker(folder)
        self.broker.start()
        stack.callback(self.broker.kill)
        self.receiver = Receiver()
        self.receiver.start()
        stack.callback(self.receiver.kill)
        self.by_mqtt: Counter[str] = Counter()
        self._over = threading.Event()
        self._subscriber: subprocess.Popen[str] | None = None
        stack.callback(self._end)
        threading.Thread(target=self._listen, daemon=True).start()

    def _end(self) -> None:
        self._over.set()
        if self._subscriber is not None:
            self._subscriber.kill()

    def _listen(self) -> None:
        """Keeps what MQTT brings, by a subscriber that comes back after each outage."""
        while not self._over.is_set():
            place = ["-h", "127.0.0.1", "-p", str(self.broker.port), "-q", "1", "-c", "-i", "outage"]
            command = ["mosquitto_sub", *place, "-t", "gatecam/+/event"]
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            ) as one:
                self._subscriber = one
                assert one.stdout is not None
                for line in one.stdout:
                    self.by_mqtt[json.loads(line)["id"]] += 1
            self._over.wait(0.2)


def plan(seconds: float) -> list[tuple[float, str, bool]]:
    """When each system goes down and comes back: (time, system, up), down for half of the time each."""
    turns = []
    period_s = seconds / OUTAGES
    for number in range(OUTAGES):
        for place, name in enumerate(("mqtt", "webhook", "postgres")):
            start_s = number * period_s + place * period_s / 6
            turns += [(start_s, name, False), (start_s + period_s / 2, name, True)]
    return sorted(turns)


def switch(systems: Systems, name: str, up: bool) -> None:
    if name == "mqtt":
        systems.broker.start() if up else systems.broker.kill()
    elif name == "postgres":
        systems.postgres.start() if up else systems.postgres.stop()
    else:
        systems.receiver.answer = Receiver.OK if up else b"HTTP/1.1 503 Busy\r\n\r\n"


def main(minutes: float, rate: float) -> int:
    with tempfile.TemporaryDirectory(dir="/tmp") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "postgres").mkdir()
        systems = Systems(folder, stack)
        config = Config(
            notify=NotifyConfig(sound=False),
            store=StoreConfig(path=str(folder / "events.sqlite3"), url=systems.postgres.url),
            mqtt=MqttConfig(host="127.0.0.1", port=systems.broker.port),
            webhook=WebhookConfig(url=systems.receiver.url, timeout_s=5),
        )
        sinks = build_live_sinks(config, Telemetry(), print_events=False)
        stack.callback(sinks.close)
        threading.Event().wait(3)  # so that every output has its place in the store
        sent = send_all(sinks, systems, minutes * 60, rate)
        return report(sinks, systems, folder, sent)


def send_all(sinks, systems: Systems, seconds: float, rate: float) -> int:
    turns, start_s, sent = plan(seconds), time.monotonic(), 0
    while (now_s := time.monotonic() - start_s) < seconds:
        while turns and turns[0][0] <= now_s:
            _, name, up = turns.pop(0)
            print(f"{now_s:6.1f} s  {name} {'up' if up else 'down'}", flush=True)
            threading.Thread(target=switch, args=(systems, name, up), daemon=True).start()
        while sent < rate * now_s:
            sinks.send(
                Event(EventKind.MASK_MISSING, "gate", sent, Verdict.NONE, now_s, sent, 0.9, first=True)
            )
            sent += 1
        time.sleep(0.005)
    for _, name, up in turns:
        if up:
            switch(systems, name, up)
    return sent


def report(sinks, systems: Systems, folder: Path, sent: int) -> int:
    """Wait for what is on the way, then count; 1 if anything is missing."""
    by_webhook: Counter[str] = Counter()
    with (
        closing(EventStore(SqliteDatabase(folder / "events.sqlite3"))) as store,
        closing(EventStore(PostgresDatabase(systems.postgres.url))) as copy,
    ):
        start_s = time.monotonic()
        while time.monotonic() - start_s < PATIENCE_S and any(queue.waiting for queue in sinks.queues):
            time.sleep(0.5)
        time.sleep(2)
        print(f"all delivered {time.monotonic() - start_s:.0f} s after the last event")
        keys = [stored.key for stored in store.every(EventFilter())]
        there = Counter(stored.key for stored in copy.every(EventFilter()))
    while not systems.receiver.requests.empty():
        by_webhook[systems.receiver.requests.get().headers["idempotency-key"]] += 1
    lost = 0
    arrived = {"store": Counter(keys), "mqtt": systems.by_mqtt, "webhook": by_webhook, "postgres": there}
    print(f"{sent} events were sent\n{'':10} {'events':>8} {'lost':>6} {'again':>6}")
    for name, got in arrived.items():
        missing = sent - len(keys) if name == "store" else sum(key not in got for key in keys)
        again = sum(got.values()) - len(got)
        lost += missing
        print(f"{name:10} {len(got):8} {missing:6} {again:6}")
    return 1 if lost else 0


if __name__ == "__main__":
    minutes, rate = (*map(float, sys.argv[1:3]), *(10.0, 50.0)[len(sys.argv[1:3]) :])
    sys.exit(main(minutes, rate))
