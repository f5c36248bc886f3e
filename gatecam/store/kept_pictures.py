"""Read kept pictures of alerts: the facts stored in them, and small copies of them."""

from __future__ import annotations

import io
import json
from pathlib import Path

from gatecam.capture.formats import open_image
from gatecam.errors import SourceError
from gatecam.pictures.snapshots import SnapshotFacts
from gatecam.types import Box

QUALITY = 75  # of the small JPEGs


def read_facts(path: Path) -> SnapshotFacts:
    """Return the facts in a snapshot's JPEG comment. A file without them counts as blurred."""
    try:
        with open_image(path) as picture:
            facts = json.loads(picture.info.get("comment", b"{}"))
        box = facts.get("box")
        return SnapshotFacts(None if box is None else Box(*map(float, box)), bool(facts.get("blurred", True)))
    except (SourceError, ValueError, TypeError, AttributeError):
        return SnapshotFacts()


def small_jpeg(path: Path, width: int) -> bytes:
    """Return a picture as JPEG, shrunk to a width in px.

    Raises:
        SourceError: there is no picture at the path.
    """
    with open_image(path) as picture:
        picture.draft("RGB", (width, width))  # decodes at an eighth of the size where that is enough
        picture.thumbnail((width, 10 * width))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
