"""Write events as CSV, for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from gatecam.types import StoredEvent

COLUMNS = ("at", "kind", "camera", "track_id", "verdict", "probability", "reason", "id", "first", "answer")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute a cell that begins with one of these
BYTE_ORDER_MARK = "\ufeff"  # without it a spreadsheet takes UTF-8 for another encoding
PART = 16_384


def csv_parts(events: Iterable[StoredEvent]) -> Iterator[str]:
    """Yield events as CSV with a header line, in parts of about 16 KiB that end with whole lines."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for stored in events:
        event = stored.event
        first = "" if event.kind.is_camera else str(event.first).lower()
        cells = (event.at, event.kind, event.camera, event.track_id, event.verdict, event.probability)
        more = (event.reason, stored.key, first, stored.answer or "")
        writer.writerow([plain(str(cell)) for cell in (*cells, *more)])
        if out.tell() > PART:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def plain(text: str) -> str:
    """Return a text that a spreadsheet does not compute."""
    return f"'{text}" if text.startswith(FORMULA) else text
