"""Define the routes of the settings page: show and change settings, and send a test to each output."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel

from gatecam.errors import ConfigError, OutputError
from gatecam.live.control import Running, Saving
from gatecam.pictures.sentences import in_language
from gatecam.settings.schema import Region
from gatecam.store.audit import Act, AuditLog
from gatecam.web.guard import actor_of
from gatecam.web.language import Language
from gatecam.web.static import Static, add_page


class Changes(BaseModel):
    """Holds new values of settings by dotted name.

    `seen` has the values that were shown before. The change is refused if they are others by now.
    """

    values: dict[str, bool | int | float | None]
    seen: dict[str, bool | int | float | None] | None = None


class IgnoredPlace(BaseModel):
    """Says whether faces in a place of a camera are ignored. The place is in shares of the picture."""

    camera: str
    place: Region
    ignored: bool


def settings_router(running: Running, audit: AuditLog, static: Static) -> APIRouter:
    """Build the routes that show and change settings while gatecam runs."""
    router = APIRouter()
    add_page(router, static, "/settings", "settings.html")

    @router.get("/api/settings")
    def settings() -> Any:
        """Return the settings that may be changed while gatecam runs, with their bounds and meaning."""
        return running.settings()

    @router.post("/api/settings")
    def change(request: Request, wanted: Changes) -> Any:
        """Change settings together. Return all of them, and whether the change was saved."""
        saving = changed(request, audit, lambda: running.change(wanted.values, wanted.seen))
        return {"settings": running.settings(), **saving}

    @router.get("/api/ignored")
    def ignored() -> Any:
        """Return the places of each camera in which faces are ignored."""
        return running.ignored()

    @router.post("/api/ignored")
    def ignore(request: Request, wanted: IgnoredPlace) -> Any:
        """Ignore faces in a place, or no longer. Return all places, and whether the change was saved."""
        saving = changed(request, audit, lambda: running.ignore(wanted.camera, wanted.place, wanted.ignored))
        return {"places": running.ignored(), **saving}

    @router.get("/api/tests")
    def tests() -> Any:
        """Return the names of the outputs to which a test can be sent."""
        return sorted(running.tests)

    @router.post("/api/tests/{name}")
    def test(language: Language, name: str) -> Any:
        """Send a test to an output. Return whether it arrived, after how long, and if not, why."""
        if (send := running.tests.get(name)) is None:
            raise HTTPException(404, f"{name[:60]!r}: expected one of {', '.join(sorted(running.tests))}")
        start_s, said = time.monotonic(), ""
        try:
            send()
        except OutputError as error:
            said = in_language(str(error), language)
        return {"arrived": not said, "seconds": round(time.monotonic() - start_s, 2), "said": said}

    return router


def changed(request: Request, audit: AuditLog, change: Callable[[], Saving]) -> dict[str, Any]:
    """Change settings, and note in the audit log who did. Return whether the change was saved, for the page.

    Raises:
        HTTPException: a value is not valid.
    """
    try:
        saving = change()
    except ConfigError as error:
        raise HTTPException(422, str(error)) from None
    for one in saving.changed:
        audit.note(actor_of(request), Act.SETTING, one.name, one.before, one.after)
    return asdict(saving)
