"""Define the routes of the statistics page: people of a range of days as a chart, a table and a CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field

from gatecam.notify.table import BYTE_ORDER_MARK, plain
from gatecam.pictures.html import table
from gatecam.pictures.page_words import page_words
from gatecam.store.audit import Act, AuditLog
from gatecam.store.day_page import summary
from gatecam.store.doors import place_name
from gatecam.store.events import Arrivals, EventStore
from gatecam.store.range_page import MOST_DAYS, Grouping, Range, range_chart, range_hours
from gatecam.web.events import answered
from gatecam.web.guard import actor_of
from gatecam.web.language import Language
from gatecam.web.static import Static, add_page

# outside of these days the clocks of some time zones cannot be computed
Day = Annotated[date, Field(ge=date(1971, 1, 1), le=date(2999, 12, 31))]


class AskedRange(BaseModel):
    """Selects local days, both ends included. All cameras and doors count unless one is named."""

    first: Day
    last: Day
    camera: Annotated[str | None, Query(max_length=200)] = None
    door: Annotated[str | None, Query(max_length=200)] = None


@dataclass(frozen=True, slots=True)
class Names:
    """Holds the names that may be chosen. There are doors only where many share the page."""

    cameras: Sequence[str]
    doors: Sequence[str] = ()


def _range(asked: Annotated[AskedRange, Query()], language: Language) -> Range:
    found, words = (
        Range(asked.first, asked.last, asked.camera or None, asked.door or None),
        page_words(language),
    )
    if found.days < 1:
        raise HTTPException(422, words["statistics.turned"])
    if found.days > MOST_DAYS:
        raise HTTPException(422, words["statistics.long"].format(most=MOST_DAYS))
    return found


Wanted = Annotated[Range, Depends(_range)]


def statistics_router(
    store: EventStore, audit: AuditLog, static: Static, names: Callable[[], Names]
) -> APIRouter:
    """Build the statistics page and the data that it loads. `names` returns what may be chosen."""
    router = APIRouter()
    add_page(router, static, "/statistics", "statistics.html")

    @router.get("/api/statistics")
    def statistics(wanted: Wanted, language: Language, by: Grouping = Grouping.DAY) -> Any:
        """Return a chart and a table of the people of a range of days, and all names of cameras and doors."""
        return answered(lambda: _statistics(store, names(), wanted, by, page_words(language)))

    @router.get("/api/statistics.csv")
    def statistics_csv(request: Request, wanted: Wanted, language: Language) -> Response:
        """Return the people of each hour and camera as CSV for a spreadsheet, in local time."""
        text = answered(lambda: _csv(range_hours(store, wanted), page_words(language)))
        name = f"gatecam-{wanted.first}-{wanted.last}.csv"
        audit.note(actor_of(request), Act.EXPORT, name)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(text, media_type="text/csv; charset=utf-8", headers=headers)

    return router


def _csv(hours: Sequence[tuple[datetime, str, Arrivals]], words: Mapping[str, str]) -> str:
    """Return a CSV for spreadsheets with a row for each hour and camera with people.

    Spreadsheets read the start as a time. They would take it for text if it had its offset, which therefore
    stands beside it.
    """
    out = io.StringIO()
    out.write(BYTE_ORDER_MARK)
    writer = csv.writer(out)
    keys = ("start", "offset", "weekday", "camera", "people", "right", "wrong", "none", "put_on")
    writer.writerow(words[f"report.{key}"] for key in keys)
    for start, name, sums in hours:
        zone = f"{start:UTC%z}"
        day, counts = words[f"weekday.{start.weekday()}"], (sums.people, sums.correct, sums.incorrect)
        cells = (f"{start:%Y-%m-%d %H:%M}", f"{zone[:-2]}:{zone[-2:]}", day, plain(name), *counts)
        writer.writerow([*cells, sums.none, sums.put_on])
    return out.getvalue()


def _statistics(
    store: EventStore, names: Names, wanted: Range, by: Grouping, words: Mapping[str, str]
) -> dict[str, Any]:
    chart, sums = range_chart(store, wanted, by, words)
    camera = place_name(wanted.door or "", wanted.camera or words["report.all_cameras"])
    return {
        "cameras": names.cameras,
        "doors": names.doors,
        "range": words["statistics.range"].format(first=wanted.first, last=wanted.last, camera=camera),
        "summary": summary(sums, words),
        "chart": chart.svg,
        "table": table(chart.header, chart.rows),
    }
