"""What the pages cost and how quick they are, in Chromium on this machine: `make bench-pages`.

1. From decision to the door's change: real frames are analysed while verdicts are told at random moments; the
   page notes when each of its changes was painted.
2. What ten viewers of the live picture cost the analyser's frame rate, of a camera and where frames come as
   fast as they are analysed; windows with and without viewers take turns. The viewers only get what the
   analyser leaves of the cores, because real ones are other machines.
3. With 100,000 events, of which 10,000 alerts have a picture: how soon the operator's page is whole, and how
   soon a filter has answered. Then how long retention takes for all pictures, and what writing an event waits
   for meanwhile.
"""

from __future__ import annotations

import io
import itertools
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import av
import numpy as np
import PIL.Image
from playwright.sync_api import Page, sync_playwright
from rich.progress import track

from gatecam.app import build_analyzer, build_pipeline, build_site, evidence_folder, open_live, store_path
from gatecam.live.control import Running
from gatecam.live.health import CameraHealth, Health
from gatecam.runtime.folders import state_folder
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import CameraConfig, Config, WebConfig
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventFilter, EventStore
from gatecam.store.evidence import EvidenceFolder
from gatecam.types import Answer, Event, EventKind, Frame, Presence, Round, Verdict
from gatecam.web.site import Site
from gatecam.web.tokens import Role, load_tokens
from tests.clips import write_demo
from tests.streams import MjpegServer, free_port

CHANGES = 120
WINDOWS, WINDOW_S = 8, 8.0
VIEWERS = 10
EVENTS, PICTURES = 100_000, 10_000
OPENINGS, FILTERS = 9, 21
VERDICTS = (Verdict.NONE, Verdict.INCORRECT, Verdict.CORRECT)
STATE = {Verdict.NONE: "missing", Verdict.INCORRECT: "incorrect", Verdict.CORRECT: "correct"}
WATCH = """() => { window.seen = [];
  new MutationObserver(() => {
    const state = document.body.dataset.state;
    const note = () => window.seen.push([state, performance.timeOrigin + performance.now()]);
    requestAnimationFrame(() => requestAnimationFrame(note));  // painted by then
  }).observe(document.body, { attributes: true, attributeFilter: ["data-state"] }); }"""


ASK = """kind => new Promise(done => {
  const start = performance.now(), rows = document.getElementById("events");
  const isKind = row => row.dataset.kind === kind;
  new MutationObserver((changes, one) => {
    if (!rows.rows.length || ![...rows.rows].every(isKind)) return;
    one.disconnect();
    done(performance.now() - start);
  }).observe(rows, { childList: true, subtree: true });
  document.getElementById("kind").value = kind;
  document.getElementById("filter").requestSubmit(); })"""


class Gate:
    """The demo clip, analysed and served in this process until closed.

    At a rate it comes from a camera; without one its frames come as fast as they are analysed.
    """

    def __init__(self, frames: list[bytes], fps: float | None) -> None:
        self._pictures, self._fps = frames, fps
        self.frames = 0
        self._over, self._ready = threading.Event(), threading.Event()
        self.site: Site
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        self._ready.wait()

    def _watch(self) -> None:
        camera = MjpegServer(plan=lambda viewer: viewer.film(itertools.cycle(self._pictures), self._fps or 1))
        camera.start()
        entry = CameraConfig(name="gate", source=camera.url)
        config = Config(camera=entry, web=WebConfig(port=free_port()))
        telemetry = Telemetry()
        analyzer = build_analyzer(config, telemetry)
        with ExitStack() as stack:
            stack.callback(camera.kill)
            self.site = stack.enter_context(build_site(config, running()))
            if self._fps is None:
                pipeline = build_pipeline(config, analyzer, "gate", telemetry)
                steps = ([step] for step in pipeline.steps(self._endless()))
            else:
                steps = (
                    turn.steps
                    for turn in stack.enter_context(open_live(config, lambda: analyzer, telemetry)).rounds
                )
            for some in steps:
                self.frames += len(some)
                self.site.note(Round(time.monotonic(), tuple(some), ()))
                self._ready.set()
                if self._over.is_set():
                    return

    def _endless(self) -> Iterator[Frame]:
        images = [np.array(PIL.Image.open(io.BytesIO(picture))) for picture in self._pictures]
        for index, image in enumerate(itertools.cycle(images)):
            yield Frame("gate", index, time.monotonic(), image)

    def close(self) -> None:
        self._over.set()
        self._thread.join()


def running() -> Running:
    health = Health("0", os.getpid(), 1.0, "cpu", cameras=(CameraHealth("gate", "open", age_s=0.0),))
    nothing = lambda *asked: None  # noqa: E731
    return Running(lambda: health, list, dict, nothing, dict, nothing, None, {}, print)


def link(site: Site, role: Role) -> str:
    return f"{site.urls[0]}login#token={load_tokens(state_folder()).of(role)}"


@contextmanager
def chromium() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1280, "height": 720})
        browser.close()


def demo_frames(folder: Path) -> list[bytes]:
    write_demo(folder / "demo.mp4")
    found = []
    with av.open(str(folder / "demo.mp4")) as container:
        for frame in container.decode(video=0):
            out = io.BytesIO()
            frame.to_image().save(out, "JPEG", quality=85)
            found.append(out.getvalue())
    return found


def measure_changes(frames: list[bytes]) -> None:
    """The times from `Presences`' word to the paint of the page, with live pictures going on."""
    with closing(Gate(frames, 25.0)) as gate, chromium() as page:
        page.goto(link(gate.site, Role.DOOR))
        page.wait_for_url("**/door")
        page.wait_for_timeout(2000)
        page.evaluate(WATCH)
        told = []
        for number in track(range(CHANGES), "changes"):
            verdict = VERDICTS[number % len(VERDICTS)]
            told.append((STATE[verdict], time.time() * 1000))
            gate.site.tell(Presence("gate", 1, verdict))
            page.wait_for_timeout(300 + 300 * random.random())
        seen: list[tuple[str, float]] = page.evaluate("window.seen")
    assert [state for state, _ in seen] == [state for state, _ in told], "a change was lost"
    ms = sorted(at - since for (_, since), (_, at) in zip(told, seen, strict=True))
    print(
        f"decision to the page's change, {len(ms)} changes: median {statistics.median(ms):.0f} ms, "
        f"p95 {ms[int(0.95 * len(ms))]:.0f} ms, largest {ms[-1]:.0f} ms"
    )


VIEWER = """
import asyncio, os, sys
os.nice(19)
from websockets.asyncio.client import connect
async def view(url, token):
    async with connect(url, additional_headers={"Authorization": "Bearer " + token}, max_size=None) as socket:
        async for message in socket:
            if isinstance(message, bytes):
                print(end=".", flush=True)
                await socket.send("next")
async def main():
    await asyncio.gather(*(view(sys.argv[1], token) for token in sys.argv[2:]))
asyncio.run(main())
"""


@contextmanager
def viewers(site: Site, shown: list[int]) -> Iterator[None]:
    """Half of them at the door, half of them operators, in a process of their own that decodes nothing.

    How many pictures they got is added to `shown`.
    """
    tokens = load_tokens(state_folder())
    given = [tokens.door if number % 2 else tokens.operator for number in range(VIEWERS)]
    url = site.urls[0].replace("http", "ws") + "live"
    process = subprocess.Popen([sys.executable, "-c", VIEWER, url, *given], stdout=subprocess.PIPE)
    time.sleep(2)
    assert process.poll() is None
    yield
    process.kill()
    shown.append(len(process.communicate()[0]))


def measure_viewers(frames: list[bytes], fps: float | None) -> None:
    """The analyser's frames/s in windows that take turns; the ratio of each pair, and their median."""
    with closing(Gate(frames, fps)) as gate:
        time.sleep(3)
        ratios, alone = [], []
        shown: list[int] = []
        for number in track(range(WINDOWS), "viewers"):
            pair = {}
            for watched in (False, True) if number % 2 else (True, False):
                if watched:
                    with viewers(gate.site, shown):
                        pair[watched] = rate(gate)
                else:
                    pair[watched] = rate(gate)
            ratios.append(pair[True] / pair[False])
            alone.append(pair[False])
    pairs = ", ".join(f"{ratio:.2f}" for ratio in sorted(ratios))
    source = "a camera of 30 frames/s" if fps else "frames without end"
    print(
        f"{source}: analyser alone {statistics.median(alone):.1f} frames/s; with {VIEWERS} viewers "
        f"{statistics.median(ratios):.3f} of that (pairs {pairs}); each got "
        f"{statistics.median(shown) / VIEWERS / (WINDOW_S + 3):.1f} pictures/s"
    )


def rate(gate: Gate) -> float:
    time.sleep(1)
    before, start_s = gate.frames, time.perf_counter()
    time.sleep(WINDOW_S)
    return (gate.frames - before) / (time.perf_counter() - start_s)


def fill(path: Path) -> None:
    """Thirty days of a busy door."""
    chance, now = random.Random(1), datetime.now().astimezone()
    kinds = (
        (EventKind.MASK_OK, Verdict.CORRECT),
        (EventKind.MASK_INCORRECT, Verdict.INCORRECT),
        (EventKind.MASK_MISSING, Verdict.NONE),
    )
    events = []
    for number in range(EVENTS):
        kind, verdict = chance.choices(kinds, (8, 1, 1))[0]
        at = (now - timedelta(seconds=chance.uniform(0, 29 * 86_400))).isoformat(timespec="milliseconds")
        events.append(Event(kind, "gate", number, verdict, 1.0, number, 0.95, at=at, first=True))
    events.sort(key=lambda event: event.at)
    with closing(EventStore(SqliteDatabase(path))) as store:
        for start in range(0, EVENTS, 1000):
            store.append(events[start : start + 1000])


def keep_pictures(store: EventStore, folder: EvidenceFolder, jpeg: bytes) -> None:
    """Keep a picture of each of the latest alerts, and an answer about each tenth of them."""
    folder.make_ready()
    wanted = EventFilter(kinds=(EventKind.MASK_MISSING, EventKind.MASK_INCORRECT))
    for number, stored in enumerate(store.find(wanted, PICTURES)):
        folder.snapshot(stored.key).write_bytes(jpeg)
        if number % 10 == 0:
            store.notes.answer(stored.id, Answer.RIGHT if number % 50 else Answer.NOT_PERSON)


def measure_retention(store: EventStore, folder: EvidenceFolder) -> None:
    """Delete every picture, as if all were too old, while events are written."""
    over, waits = threading.Event(), []

    def write() -> None:
        at = datetime.now().astimezone().isoformat(timespec="milliseconds")
        while not over.is_set():
            start_s = time.perf_counter()
            store.append([Event(EventKind.MASK_OK, "gate", 1, Verdict.CORRECT, 1.0, at=at)])
            waits.append(time.perf_counter() - start_s)

    writing = threading.Thread(target=write)
    writing.start()
    time.sleep(1)
    before, now_ms = len(waits), round(time.time() * 1000)
    start_s = time.perf_counter()
    gone = folder.tidy(0, 10**12, now_ms + 3_600_000, store.notes.known)  # which of them have an event
    kept_s = time.perf_counter() - start_s
    gone += folder.tidy(now_ms + 1, 10**12, now_ms, store.notes.known)
    took_s = time.perf_counter() - start_s - kept_s
    over.set()
    writing.join()
    print(
        f"retention: {gone} pictures deleted in {took_s:.2f} s; a round without any takes {kept_s:.2f} s; an "
        f"event is written in {1000 * statistics.median(waits[before:]):.0f} ms meanwhile (slowest "
        f"{1000 * max(waits[before:]):.0f} ms), before in {1000 * statistics.median(waits[:before]):.0f} ms "
        f"(slowest {1000 * max(waits[:before]):.0f} ms)"
    )


def measure_operator(jpeg: bytes) -> None:
    """From the call of the page until all that it asked for is shown; of a filter, until its rows are."""
    config = Config(camera=CameraConfig(name="gate"), web=WebConfig(port=free_port()))
    fill(store_path(config))
    store, folder = EventStore(SqliteDatabase(store_path(config))), evidence_folder(config)
    keep_pictures(store, folder, jpeg)
    whole = (
        "document.querySelectorAll('#events tr').length === 100 && document.querySelector('#days svg') && 1"
    )
    with build_site(config, running()) as site, chromium() as page:
        page.goto(link(site, Role.OPERATOR))
        opened: list[float] = []
        for _ in range(OPENINGS):
            start_s = time.perf_counter()
            page.goto(site.urls[0])
            while not page.evaluate(whole):
                page.wait_for_timeout(5)
            opened.append(time.perf_counter() - start_s)
        kinds = itertools.islice(itertools.cycle(("mask_missing", "mask_ok", "mask_incorrect")), FILTERS)
        filtered: list[float] = [page.evaluate(ASK, kind) for kind in kinds]
    print(
        f"{EVENTS} events: the operator's page is whole after {1000 * statistics.median(opened):.0f} ms "
        f"(slowest {1000 * max(opened):.0f} ms), a filter after {statistics.median(filtered):.0f} ms "
        f"(slowest {max(filtered):.0f} ms)"
    )
    measure_retention(store, folder)
    store.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_DATA_HOME"] = os.environ["XDG_RUNTIME_DIR"] = folder
        frames = demo_frames(Path(folder))
        parts: dict[str, Any] = {
            "changes": lambda: measure_changes(frames),
            "viewers": lambda: measure_viewers(frames, 30.0),
            "saturated": lambda: measure_viewers(frames, None),
            "operator": lambda: measure_operator(frames[0]),
        }
        for name in sys.argv[1:] or parts:
            parts[name]()


if __name__ == "__main__":
    main()
