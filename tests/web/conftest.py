"""The site of tests: all routes behind the guard, over a store with some events, without a camera."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urljoin

import pytest

pytest.importorskip("fastapi")
import argon2
import httpx

from gatecam.capture.onvif import FoundCamera, Stream
from gatecam.errors import CameraError, ConfigError, OutputError
from gatecam.live.control import Running, Saving, SavingProblem, require_same
from gatecam.live.health import CameraHealth, Health, QueueHealth
from gatecam.live.page_settings import Changed, differences, lines_of, page_edits, page_settings
from gatecam.live.sight import Sight
from gatecam.runtime.addresses import hide_in_source
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.saving import edited
from gatecam.settings.schema import TRIAL, Config, Region, Regions, WebConfig
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventStore
from gatecam.store.evidence import EvidenceFolder
from gatecam.types import Event, EventKind, Verdict
from gatecam.web import users
from gatecam.web.door_words import door_words
from gatecam.web.guard import Guard
from gatecam.web.live import Hub
from gatecam.web.pages import Behind
from gatecam.web.server import WebServer
from gatecam.web.site import build_app
from gatecam.web.tokens import Tokens
from tests.streams import free_port

TOKENS = Tokens("operator-" + "o" * 30, "door-" + "d" * 34, "metrics-" + "m" * 30, "key-" + "k" * 35)
HOST = "127.0.0.1:8790"
ORIGIN = f"http://{HOST}"
BEARER = {"Authorization": f"Bearer {TOKENS.operator}"}
DOOR_BEARER = {"Authorization": f"Bearer {TOKENS.door}"}
METRICS_BEARER = {"Authorization": f"Bearer {TOKENS.metrics}"}
NOW = datetime.now().astimezone()
TELEMETRY = Telemetry()
TELEMETRY.record("capture to decision", 0.02)


class FakeSettings:
    """Keeps changed settings, without a file."""

    def __init__(self) -> None:
        self.config = Config()
        self.problem = SavingProblem.NONE

    def settings(self) -> dict[str, dict[str, Any]]:
        return page_settings(self.config)

    def change(self, values: Mapping[str, object], seen: Mapping[str, object] | None = None) -> Saving:
        require_same(seen, {name: one["value"] for name, one in self.settings().items()})
        edits = page_edits(values)
        before, self.config = self.config, edited(self.config, edits)
        return Saving("config.yaml", self.problem, lines_of(edits), differences(before, self.config))


def refuse() -> None:
    raise OutputError(
        "webhook http://127.0.0.1: events are not accepted (it answered 500); they are sent again."
    )


class FakeIgnoring:
    """Keeps the ignored places of two cameras. Nothing is saved for the second one."""

    def __init__(self) -> None:
        self.places: dict[str, Regions] = {"gate": (), "문/앞": ()}

    def ignored(self) -> dict[str, Regions]:
        return self.places

    def ignore(self, camera: str, place: Region, is_ignored: bool) -> Saving:
        if camera not in self.places:
            raise ConfigError(f"{camera[:60]!r}: expected gate")
        kept = tuple(one for one in self.places[camera] if one != place)
        self.places[camera] = (*kept, place) if is_ignored else kept
        problem = SavingProblem.NONE if camera == "gate" else SavingProblem.OTHER_CAMERA
        return Saving("config.yaml", problem, "ignore: [[0.1, 0.2, 0.3, 0.4]]")


class FakeCameras:
    """Keeps cameras by name, and one that is tried out. One more is on the network."""

    def __init__(self, places: FakeIgnoring) -> None:
        self._places = places
        self.regions: dict[str, Region | None] = {}
        self.sources = {"gate": "rtsp://***@10.0.0.5/live", "문/앞": "0"}
        self.tried: dict[str, Any] | None = None
        self.given: dict[str, Any] = {}
        self.reason = ""

    def cameras(self) -> list[dict[str, Any]]:
        return [self._told(name, 64) for name in self.sources]

    def trial(self) -> dict[str, Any] | None:
        return None if self.tried is None else self._told(TRIAL, 24)

    def _told(self, name: str, face_px: int) -> dict[str, Any]:
        sight = Sight(640, 360, 25.0, 0.45, face_px, 1, ("none",))
        source = self.sources.get(name, "")
        region, ignore = self.regions.get(name), self._places.places.get(name, ())
        told = {"name": name, "width": 640, "height": 480, "source": source, "is_url": "://" in source}
        return told | {
            "region": region,
            "ignore": ignore,
            "reason": self.reason,
            "sight": asdict(sight),
            "advice": sight.advice(),
        }

    def draw(
        self,
        camera: str,
        region: Region | None,
        ignore: Regions,
        seen: Mapping[str, object] | None = None,
    ) -> Saving:
        if camera not in self.sources:
            raise ConfigError(f"{camera[:60]!r}: expected gate")
        require_same(seen, {"region": self.regions.get(camera), "ignore": self._places.places[camera]})
        self.regions[camera], self._places.places[camera] = region, ignore
        changed = (Changed(f"cameras.{camera}.region", "null", str(region)),)
        return Saving("config.yaml", SavingProblem.NONE, "", changed)

    def put(
        self, camera: str | None, values: Mapping[str, Any], seen: Mapping[str, object] | None = None
    ) -> Saving:
        if camera is not None and camera not in self.sources:
            raise ConfigError(f"{camera[:60]!r}: expected gate")
        require_same(seen, self._told(camera or "", 64))
        self.given = dict(values)
        name = values.get("name", camera)
        if name is None:
            raise ConfigError("name: expected the camera's name.")
        self.sources = {one: it for one, it in self.sources.items() if one != camera}
        self.sources[name] = hide_in_source(values.get("source", "0"))
        changed = (Changed(f"cameras.{name}.source", "", self.sources[name]),)
        return Saving("config.yaml", SavingProblem.NONE, "", changed)

    def remove(self, camera: str) -> Saving:
        if camera not in self.sources:
            raise ConfigError(f"{camera[:60]!r}: expected gate")
        del self.sources[camera]
        return Saving("config.yaml", SavingProblem.NONE, "", (Changed(f"cameras.{camera}.name", camera, ""),))

    def attempt(self, camera: str | None, values: Mapping[str, Any]) -> None:
        if values.get("source") == "rtsp://10.0.0.5/live":
            raise ConfigError("camera gate has this address, and is watched already.")
        self.tried = dict(values)

    def usb(self) -> list[str]:
        return ["/dev/v4l/by-id/usb-HD (HD Webcam (C270))"]

    def search(self) -> list[FoundCamera]:
        return [FoundCamera("Hall", "http://10.0.0.7/onvif/device_service")]

    def streams(self, address: str, user: str, password: str) -> list[Stream]:
        if password != "s3cret":
            raise CameraError("camera 10.0.0.7 refuses this user and password.")
        return [Stream("main", "rtsp://10.0.0.7/main", 1920, 1080, "H264")]


@pytest.fixture
def quick_hashes(monkeypatch) -> None:
    """Hashes of passwords that cost next to nothing."""
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(users, "_hasher", lambda: cheap)


@pytest.fixture
def behind(tmp_path) -> Iterator[Behind]:
    """A program with two cameras and five events."""
    gate = CameraHealth(
        "gate", "open", age_s=0.1, frames=500, events={"mask_missing": 3, "mask_ok": 1}, people={"none": 3}
    )
    health = Health(
        "0.1.0", 7, 60.0, "cpu", cameras=(gate,), queues=(QueueHealth("log", 2, 40, 1, 0),), cores_in_use=0.5
    )
    with closing(EventStore(SqliteDatabase(tmp_path / "events.sqlite3"))) as store:
        for hours_ago in range(5):
            at = (NOW - timedelta(hours=hours_ago)).isoformat(timespec="milliseconds")
            store.append(
                [Event(EventKind.MASK_MISSING, "=gate", hours_ago, Verdict.NONE, 1.0, at=at, first=True)]
            )
        words = door_words(("ko", "en"), None)
        places = FakeIgnoring()
        settings = FakeSettings()
        running = Running(
            lambda: health,
            TELEMETRY.histograms,
            settings.settings,
            settings.change,
            places.ignored,
            places.ignore,
            FakeCameras(places),
            {"mqtt": lambda: None, "webhook": refuse, "chat:0123ab": lambda: None},
            print,
        )
        evidence = EvidenceFolder(tmp_path / "evidence")
        yield Behind(Hub(["gate", "문/앞"]), store, evidence, running, words)


@pytest.fixture
def site(behind, tmp_path) -> Guard:
    """The ASGI application."""
    return build_app(Config(), TOKENS, behind, tmp_path)


@pytest.fixture
def server(site) -> Iterator[WebServer]:
    """The site on a free port."""
    with WebServer(site, WebConfig(port=free_port()), pytest.fail) as running:
        yield running


class Browser:
    """Asks the application in this process; keeps cookies as a browser does."""

    def __init__(self, app: Any, address: str = "127.0.0.1") -> None:
        self._app, self._address = app, address
        self.cookies = httpx.Cookies()

    def ask(self, method: str, path: str, **words: Any) -> httpx.Response:
        return asyncio.run(self._ask(method, path, words))

    def log_in(self, token: str = TOKENS.operator, **words: Any) -> httpx.Response:
        return self.ask("POST", "/login", data={"token": token, **words})

    def change(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.ask(method, path, json=body or {}, headers=self.csrf())

    def csrf(self) -> dict[str, str]:
        return {"X-CSRF-Token": self.ask("GET", "/session").json()["csrf_token"]}

    async def _ask(self, method: str, path: str, words: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, client=(self._address, 1234))
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=self.cookies) as client:
            answer = await client.request(method, path, **words)
            self.cookies = client.cookies
            if "location" in answer.headers:  # as a browser resolves it
                place = urljoin(answer.request.url.raw_path.decode(), answer.headers["location"])
                answer.headers["location"] = place
            return answer


@pytest.fixture
def browser(site) -> Browser:
    """One that is not logged in."""
    return Browser(site)
