"""Build the site of `gatecam fleet`: the page of all doors, their statistics, users and logins."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from fastapi import APIRouter, Response

from gatecam.fleet.watch import Fleet
from gatecam.pictures.sentences import in_language
from gatecam.settings.schema import WebConfig
from gatecam.store.audit import AuditLog
from gatecam.store.doors import DoorReport, ReportedCamera
from gatecam.store.events import Arrivals, EventStore
from gatecam.store.statistics import share_correct
from gatecam.web.guard import Guard
from gatecam.web.language import Language
from gatecam.web.site import guarded
from gatecam.web.static import Static, add_page
from gatecam.web.statistics_page import Names, statistics_router
from gatecam.web.tokens import Tokens


class Watch(Protocol):
    """Provides what was last read of all doors."""

    @property
    def fleet(self) -> Fleet: ...  # noqa: D102


STATES = ("silent", "blind", "slow", "trouble", "well")  # in the order in which they need attention


def build_fleet_app(
    web: WebConfig,
    tokens: Tokens,
    watch: Watch,
    troubles: Callable[[], tuple[str, ...]],
    store: EventStore,
    audit: AuditLog,
    folder: Path | None = None,
) -> Guard:
    """Build all routes behind the guard that also protects a door's own pages.

    Args:
        web: the settings of the pages.
        tokens: the access tokens.
        watch: has what was last read of all doors.
        troubles: returns a sentence for each current trouble of this program.
        store: has the events of all doors.
        audit: notes who logged in and exported what.
        folder: the folder that keeps sessions over a restart, or None to forget them.
    """
    static = Static("fleet_nav.html")

    def names() -> Names:
        doors = watch.fleet.doors
        return Names(
            sorted({one.camera for door in doors for one in door.cameras if one.camera}),
            [one.door for one in doors],
        )

    routers = (fleet_router(watch, troubles, static), statistics_router(store, audit, static, names))
    return guarded(routers, web, tokens, audit, static, folder)


def fleet_router(watch: Watch, troubles: Callable[[], tuple[str, ...]], static: Static) -> APIRouter:
    """Build the page of all doors and the data that it loads."""
    router = APIRouter()
    add_page(router, static, "/", "fleet.html")
    last: dict[str, tuple[Fleet, tuple[str, ...], str]] = {}  # by language

    @router.get("/api/doors", response_class=Response)
    def doors(language: Language) -> Response:
        """Return the health and today's people of all doors, those that need attention first."""
        fleet, sentences = watch.fleet, troubles()
        known = last.get(language)
        if known is None or known[0] is not fleet or known[1] != sentences:
            # readers share one text, which takes ms to write
            known = last[language] = (fleet, sentences, _json(fleet_values(fleet, sentences, language)))
        return Response(known[2], media_type="application/json")

    return router


def fleet_values(fleet: Fleet, troubles: Sequence[str] = (), language: str = "en") -> dict[str, Any]:
    """Return all that the page shows. Ages are those at the time `read_at`.

    The people of a door are None until those of today have been counted.
    """
    doors = [_door_values(one, fleet, language) for one in fleet.doors]
    doors.sort(key=lambda one: STATES.index(one["state"]))
    at = None if fleet.read_at is None else fleet.read_at.isoformat(timespec="milliseconds")
    return {"read_at": at, "troubles": _all_in(troubles, language), "doors": doors}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _all_in(sentences: Sequence[str], language: str) -> list[str]:
    return [in_language(one, language) for one in sentences]


def _door_values(door: DoorReport, fleet: Fleet, language: str) -> dict[str, Any]:
    state, since_s = _state(door, door.door in fleet.silent)
    today = None if fleet.today is None else fleet.today.get(door.door, Arrivals(0))
    return {
        "door": door.door,
        "state": state,
        "since_s": None if since_s is None else round(since_s),
        "version": door.version,
        "settings": door.settings,
        "device": door.device,
        "up_s": door.up_s,
        "rate": round(sum(one.rate for one in door.cameras), 1),
        "waiting": door.waiting,
        "dropped": door.dropped,
        "troubles": _all_in(door.troubles, language),
        "cameras": [_camera_values(one, language) for one in door.cameras],
        "people": None if today is None else today.people,
        "share": None if today is None else share_correct(today),
    }


def _camera_values(one: ReportedCamera, language: str) -> dict[str, Any]:
    return {
        "camera": one.camera,
        "reason": in_language(one.reason, language),
        "sees": one.sees,
        "slowness": one.slowness,
        "rate": one.rate,
        "since_s": round(one.since_s),
    }


def _state(door: DoorReport, is_silent: bool) -> tuple[str, float | None]:
    """Return one of `STATES`, and for how long it has lasted, if that is known."""
    if is_silent:
        return "silent", door.age_s
    if blind := [one.since_s for one in door.cameras if not one.sees]:
        return "blind", max(blind)
    if any(one.slowness for one in door.cameras):
        return "slow", None
    return ("trouble" if door.troubles else "well"), None
