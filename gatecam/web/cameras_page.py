"""Define the routes of the page for cameras: find, try, add, change and remove them, and draw zones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

from gatecam.errors import CameraError, ConfigError, MissingExtraError
from gatecam.pictures.sentences import in_language
from gatecam.settings.schema import MOST_IGNORED, Region
from gatecam.store.audit import AuditLog
from gatecam.web.language import Language
from gatecam.web.settings_page import changed
from gatecam.web.static import Static, add_page

if TYPE_CHECKING:
    from gatecam.live.camera_setup import CameraSetup

Text = Annotated[str | None, Field(max_length=2000)]


class CameraForm(BaseModel):
    """Holds what the form says about a camera. An empty source, user or password keeps the old one."""

    name: Annotated[str | None, Field(max_length=200)] = None
    source: Text = None
    user: Text = None
    password: Text = None
    width: int | None = None
    height: int | None = None


class CameraChange(BaseModel):
    """Holds new values for a camera. `camera` is its current name, or null for a new one.

    `seen` has the values that were shown before. The change is refused if they are others by now.
    """

    camera: str | None = None
    values: CameraForm
    seen: CameraForm | None = None


class NamedCamera(BaseModel):
    """Names a camera."""

    camera: str


class Zones(BaseModel):
    """Says where faces of a camera count (null: everywhere) and where they are ignored."""

    region: Region | None
    ignore: Annotated[list[Region], Field(max_length=MOST_IGNORED)]


class ZonesChange(Zones):
    """Holds new zones of a camera.

    `seen` has the zones that were shown before. The change is refused if they are others by now.
    """

    camera: str
    seen: Zones | None = None


class Login(BaseModel):
    """Holds the address of a camera's ONVIF service, and a user and password for it."""

    address: Annotated[str, Field(min_length=1, max_length=500)]
    user: Annotated[str, Field(max_length=200)] = ""
    password: Annotated[str, Field(max_length=200)] = ""


def cameras_router(cameras: CameraSetup, audit: AuditLog, static: Static) -> APIRouter:
    """Build the routes that show and change which cameras are watched."""
    router = APIRouter()
    add_page(router, static, "/cameras", "cameras.html")

    @router.get("/api/cameras")
    def listed(language: Language, trial: bool = False) -> Any:
        """Return all cameras with their zones and what they see. `trial` adds the one that is tried out."""
        tried = cameras.trial() if trial else None
        for one in (found := cameras.cameras()) + ([tried] if tried else []):
            one["reason"] = in_language(one["reason"], language)
        return {"cameras": found, "trial": tried}

    @router.post("/api/cameras")
    def put(request: Request, wanted: CameraChange) -> Any:
        """Add or change a camera, which is opened at once. Return whether the change was saved."""
        values = wanted.values.model_dump(exclude_none=True)
        seen = None if wanted.seen is None else wanted.seen.model_dump(exclude_none=True)
        return changed(request, audit, lambda: cameras.put(wanted.camera, values, seen))

    @router.post("/api/cameras/remove")
    def remove(request: Request, wanted: NamedCamera) -> Any:
        """Stop watching a camera. Return whether the change was saved."""
        return changed(request, audit, lambda: cameras.remove(wanted.camera))

    @router.post("/api/cameras/trial")
    def attempt(wanted: CameraChange) -> Any:
        """Try out a camera without events, until `/api/cameras?trial=1` is no longer asked for."""
        values = wanted.values.model_dump(exclude_none=True)
        return _answered(lambda: cameras.attempt(wanted.camera, values))

    @router.post("/api/zones")
    def draw(request: Request, wanted: ZonesChange) -> Any:
        """Change where faces of a camera count and are ignored. Return whether the change was saved."""
        ignore, seen = tuple(wanted.ignore), None if wanted.seen is None else wanted.seen.model_dump()
        return changed(request, audit, lambda: cameras.draw(wanted.camera, wanted.region, ignore, seen))

    @router.get("/api/cameras/usb")
    def usb() -> Any:
        """Return the USB cameras that Linux lists, each with its path and name."""
        return [dict(zip(("source", "name"), one[:-1].split(" (", 1), strict=True)) for one in cameras.usb()]

    @router.post("/api/cameras/search")
    def search() -> Any:
        """Search the network for cameras by ONVIF. This takes some seconds."""
        return _answered(lambda: [asdict(one) for one in cameras.search()])

    @router.post("/api/cameras/streams")
    def streams(wanted: Login) -> Any:
        """Return the streams of a network camera, the largest first."""
        found = _answered(lambda: cameras.streams(wanted.address, wanted.user, wanted.password))
        return [asdict(one) for one in found]

    return router


def _answered(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (ConfigError, CameraError) as error:
        raise HTTPException(422, str(error)) from None
    except MissingExtraError as error:
        raise HTTPException(501, str(error)) from None
