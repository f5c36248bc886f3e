"""Define the routes of events: the list, one event with its picture, and the operator's answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel

from gatecam.errors import OutputError, SourceError
from gatecam.live.control import require_same
from gatecam.notify.table import BYTE_ORDER_MARK, csv_parts
from gatecam.pictures.messages import MESSAGES
from gatecam.store.audit import Act
from gatecam.store.events import EventFilter, EventStore
from gatecam.store.evidence import EvidenceFolder
from gatecam.store.kept_pictures import read_facts, small_jpeg
from gatecam.types import Answer, EventKind, StoredEvent
from gatecam.web.guard import actor_of

MOST_EVENTS = 500
THUMB_PX = 160

T = TypeVar("T")
EventId = Annotated[int, PathParameter(ge=-(2**62), le=2**62)]


class Asked(BaseModel):
    """Selects events. Times are in ms since 1970."""

    since_ms: Annotated[int | None, Query(ge=0, le=10**14)] = None
    until_ms: Annotated[int | None, Query(ge=0, le=10**14)] = None
    camera: Annotated[str | None, Query(max_length=200)] = None
    kind: EventKind | None = None
    before_id: Annotated[int | None, Query(ge=-(2**62), le=2**62)] = None
    answered: bool = False
    limit: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 100

    def filter(self) -> EventFilter:
        """Return the filter for the store."""
        cameras = (self.camera,) if self.camera else ()
        kinds = (self.kind,) if self.kind else ()
        return EventFilter(self.since_ms, self.until_ms, cameras, kinds, self.before_id, self.answered)


class Seen(BaseModel):
    """Holds the answer that was shown for an event."""

    answer: Answer | None


class Said(BaseModel):
    """Holds the operator's answer about an event. None takes an answer back.

    `seen` has the answer that was shown before. The new one is refused if it is another by now.
    """

    answer: Answer | None
    seen: Seen | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """Holds the store and its pictures of alerts."""

    store: EventStore
    evidence: EvidenceFolder

    def listed(self, stored: StoredEvent) -> dict[str, Any]:
        """Return an event as an entry of the list."""
        event = stored.event
        ended_ms, at_ms = stored.ended_ms, datetime.fromisoformat(event.at).timestamp() * 1000
        return {
            "id": stored.id,
            "at": event.at,
            "kind": event.kind.value,
            "camera": event.camera,
            "person": event.track_id,
            "verdict": event.verdict.value,
            "probability": event.probability,
            "reason": event.reason,
            "first": event.first,
            "lasted_s": None if ended_ms is None else max(0.0, round((ended_ms - at_ms) / 1000, 1)),
            "answer": stored.answer,
            "picture": self.evidence.snapshot(stored.key).is_file(),
        }

    def whole(self, stored: StoredEvent) -> dict[str, Any]:
        """Return all that is known of an event."""
        event, picture = stored.event, self.evidence.snapshot(stored.key)
        message: Mapping[str, str] | None = None
        if not event.kind.is_camera:
            words = MESSAGES[event.verdict]
            message = {"ko": words.korean, "en": words.english}
        facts = read_facts(picture) if picture.is_file() else None
        return {
            **self.listed(stored),
            "key": stored.key,
            "message": message,
            "played": stored.said,
            "sent": self.store.notes.sent_to(stored.id),
            "blurred": None if facts is None else facts.blurred,
            "box": None if facts is None or facts.box is None else astuple(facts.box),
            "video": self.evidence.clip(stored.key).is_file(),
        }

    def find(self, event_id: int) -> StoredEvent:
        """Return an event, or answer 404."""
        found = answered(lambda: self.store.find(EventFilter(before_id=event_id + 1), 1))
        if not found or found[0].id != event_id:
            raise HTTPException(404, "There is no such event. It may have been deleted.")
        return found[0]

    def file(self, event_id: int, name: Callable[[str], Path]) -> Path:
        """Return the path of an event's picture or video, or answer 404."""
        path = name(self.find(event_id).key)
        if not path.is_file():
            raise HTTPException(404, "Nothing is kept of this event.")
        return path


def events_router(kept: Kept) -> APIRouter:
    """Build the routes of events."""
    router = APIRouter()

    @router.get("/api/events")
    def events(asked: Annotated[Asked, Query()]) -> Any:
        """Return the latest of the selected events, newest first."""
        found = answered(lambda: kept.store.find(asked.filter(), asked.limit))
        return {"events": [kept.listed(stored) for stored in found], "more": len(found) == asked.limit}

    @router.get("/api/events.csv")
    def events_csv(request: Request, asked: Annotated[Asked, Query()]) -> Response:
        """Return all selected events as CSV, oldest first."""
        headers = {"Content-Disposition": 'attachment; filename="gatecam-events.csv"'}
        wanted = asked.filter()
        answered(lambda: kept.store.find(wanted, 1))
        kept.store.audit.note(actor_of(request), Act.EXPORT, "gatecam-events.csv")
        parts = chain([BYTE_ORDER_MARK], csv_parts(kept.store.every(wanted)))
        return StreamingResponse(parts, media_type="text/csv", headers=headers)

    @router.get("/api/events/{event_id}")
    def event(event_id: EventId) -> Any:
        """Return all that is known of an event: what was said, to whom it was sent, and its picture."""
        return answered(lambda: kept.whole(kept.find(event_id)))

    @router.get("/api/events/{event_id}/picture.jpg", response_class=Response)
    def picture(event_id: EventId, small: bool = False) -> Response:
        """Return the picture of an alert, or a small one for a list."""
        path = kept.file(event_id, kept.evidence.snapshot)
        try:
            jpeg = small_jpeg(path, THUMB_PX) if small else path.read_bytes()
        except (OSError, SourceError):
            raise HTTPException(404, "Nothing is kept of this event.") from None
        return Response(jpeg, media_type="image/jpeg")

    @router.get("/api/events/{event_id}/video.mp4", response_class=Response)
    def video(event_id: EventId) -> Response:
        """Return the video of an alert."""
        return FileResponse(kept.file(event_id, kept.evidence.clip), media_type="video/mp4")

    @router.post("/api/events/{event_id}/answer")
    def answer(event_id: EventId, said: Said) -> Any:
        """Note whether an event about a person is right, or what the camera really showed."""
        stored = kept.find(event_id)
        if stored.event.kind.is_camera:
            raise HTTPException(422, "Only an event about a person can be answered.")
        if said.seen is not None:
            require_same(said.seen.model_dump(), {"answer": stored.answer})
        answered(lambda: kept.store.notes.answer(event_id, said.answer))
        return event(event_id)

    @router.get("/api/feedback")
    def feedback(camera: Annotated[str | None, Query(max_length=200)] = None) -> Any:
        """Return by week how many of the answered events are right, newest week first."""
        weeks = answered(lambda: kept.store.notes.weeks(camera or None))
        return [{"week": f"{one.start}", "right": one.right, "answered": one.answered} for one in weeks]

    return router


def answered(ask: Callable[[], T]) -> T:
    """Return what a function returns, or answer 503 if the store fails."""
    try:
        return ask()
    except OutputError as error:
        raise HTTPException(503, str(error)) from None
