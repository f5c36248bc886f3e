"""Define the routes of the door's and the operator's page, and of the data that they load."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, JSONResponse

from gatecam.live.control import Running
from gatecam.pictures.html import table
from gatecam.pictures.page_words import TEXTS, page_words
from gatecam.pictures.sentences import in_language
from gatecam.settings.schema import TRIAL
from gatecam.store.day_page import DAYS, days_chart, hours_chart, summary
from gatecam.store.events import EventStore
from gatecam.store.evidence import EvidenceFolder
from gatecam.store.statistics import by_day, by_hour, day_ms, share_correct, total
from gatecam.web.events import answered
from gatecam.web.guard import Visitor
from gatecam.web.language import Language
from gatecam.web.live import Hub, Viewer, state_message, still_message
from gatecam.web.static import Static, add_page
from gatecam.web.tokens import Role

PING_S = 5.0
NO_CAMERA = 4404  # close code of a WebSocket


@dataclass(frozen=True, slots=True)
class Behind:
    """Holds everything that the routes read or change."""

    hub: Hub
    store: EventStore
    evidence: EvidenceFolder
    running: Running
    door_words: Sequence[Mapping[str, str]]


def door_router(behind: Behind, static: Static) -> APIRouter:
    """Build the routes of the door page and of the live connection that both pages use."""
    router = APIRouter(include_in_schema=False)

    @router.get("/door")
    def door() -> Response:
        return HTMLResponse(static.page("door.html", {}, TEXTS["door.no_camera"]))

    @router.get("/door/words")
    def words() -> Response:
        return JSONResponse(list(behind.door_words))

    @router.websocket("/live")
    async def live(socket: WebSocket, page: str = "", camera: str = "") -> None:
        visitor: Visitor = socket.state.visitor
        role = Role.DOOR if page == "door" or visitor.role is Role.DOOR else Role.OPERATOR
        watched = tuple(name for name in behind.hub.cameras if name != TRIAL)
        is_of_all = role is Role.OPERATOR and not camera
        cameras = watched if role is Role.OPERATOR else watched[:1]
        if camera:
            if camera not in watched and not (camera == TRIAL and role is Role.OPERATOR):
                await _refuse(socket, watched)
                return
            cameras = (camera,)
        await socket.accept()
        await _attend(socket, behind.hub, Viewer(role, tuple(cameras), is_of_all=is_of_all))

    return router


async def _refuse(socket: WebSocket, cameras: Sequence[str]) -> None:
    """Send the names of all cameras, then close.

    The connection is accepted first, because a browser cannot read why a WebSocket was refused.
    """
    await socket.accept()
    await socket.send_json({"cameras": list(cameras)})
    await socket.close(NO_CAMERA, "There is no such camera.")


async def _attend(socket: WebSocket, hub: Hub, viewer: Viewer) -> None:
    """Send states and pictures to a viewer until it disconnects or one of its cameras is removed."""
    hub.join(viewer)
    listening = asyncio.create_task(_listen(socket, viewer))
    try:
        while not (listening.done() or viewer.is_over):
            try:
                async with asyncio.timeout(PING_S):
                    await viewer.wake.wait()
            except TimeoutError:  # a browser that receives nothing assumes that the connection is lost
                viewer.states.update({camera: hub.state(camera) for camera in viewer.cameras})
            viewer.wake.clear()
            while viewer.states:
                await socket.send_text(state_message(*viewer.states.popitem()))
            while viewer.still:
                await socket.send_text(still_message(*viewer.still.popitem()))
            if viewer.is_ready and (pictures := hub.next_pictures(viewer)):
                viewer.is_ready = False
                for picture in pictures:
                    await socket.send_bytes(picture)
        if viewer.is_over:
            await socket.close()
    except (WebSocketDisconnect, RuntimeError):
        pass  # the viewer has disconnected
    finally:
        hub.leave(viewer)
        listening.cancel()


async def _listen(socket: WebSocket, viewer: Viewer) -> None:
    try:
        while True:
            await socket.receive_text()
            viewer.is_ready = True
            viewer.wake.set()
    except (WebSocketDisconnect, RuntimeError, KeyError):
        viewer.wake.set()


def operator_router(behind: Behind, static: Static) -> APIRouter:
    """Build the routes of the operator's page and its data."""
    router = APIRouter()

    add_page(router, static, "/", "operator.html")

    @router.get("/api/status")
    def status(language: Language) -> Any:
        """Return the state of the cameras, the outputs and the machine, and all troubles."""
        health = behind.running.health().to_dict()
        health["troubles"] = [in_language(one, language) for one in health["troubles"]]
        for camera in health["cameras"]:
            camera["reason"] = in_language(camera["reason"], language)
        return health

    @router.get("/api/people")
    def people(language: Language, camera: Annotated[str | None, Query(max_length=200)] = None) -> Any:
        """Return charts of today's people by hour and of the share of masks worn right by day."""
        return answered(lambda: _people(behind.store, camera or None, page_words(language)))

    @router.get("/api/cameras/{name:path}/picture.jpg", response_class=Response)
    def picture(name: str) -> Response:
        """Return a camera's newest picture. There is one only while somebody has the operator's page open."""
        jpeg = behind.hub.picture(name)
        if jpeg is None:
            raise HTTPException(404, "There is no picture now.")
        return Response(jpeg, media_type="image/jpeg")

    return router


def _people(store: EventStore, camera: str | None, words: Mapping[str, str]) -> dict[str, Any]:
    today = date.today()
    first_ms, (start_ms, end_ms) = day_ms(today - timedelta(days=DAYS - 1))[0], day_ms(today)
    quarters = store.arrivals(first_ms, end_ms, camera)
    hours = by_hour([one for one in quarters if one.start_ms >= start_ms])
    by_hours, by_days = hours_chart(hours, words), days_chart(by_day(quarters, today, DAYS), words)
    sums = total(hours)
    return {
        "cameras": store.cameras(),
        "people": sums.people,
        "share": share_correct(sums),
        "put_on": sums.put_on,
        "summary": summary(sums, words),
        "hours": by_hours.svg,
        "hours_table": table(by_hours.header, by_hours.rows),
        "days": by_days.svg,
        "days_table": table(by_days.header, by_days.rows),
    }
