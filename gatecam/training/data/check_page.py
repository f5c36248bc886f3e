"""Write the page of `gatecam data check`, which shows findings with their pictures side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from gatecam.capture.images import read_image
from gatecam.errors import SourceError
from gatecam.pictures.html import Page
from gatecam.training.data.check import SPOILING, Finding, Kind, Place
from gatecam.training.thumbs import around, fitted, jpeg
from gatecam.types import Image

THUMB_PX = 120
SHOWN = 300  # findings shown of each kind. More would make the page too heavy.
SIDE_BY_SIDE = 4  # pictures shown of each finding
MARGIN = 0.5  # surroundings shown of a face, as a fraction of its box

MEANING = {
    Kind.DAMAGED: "These are unreadable, truncated or of a single colour. Replace or remove them.",
    Kind.LEAK: "Training sees pictures that are later scored. Put them into one part, or keep one of each.",
    Kind.PERSON: "The score would cover people who are known from training. Split by person.",
    Kind.TWO_PEOPLE: "Another split may separate them. Keep one picture, or give both the same person.",
    Kind.AGAIN: "This does not affect scores, but the person counts twice in training.",
    Kind.LABEL: "The most doubtful come first. Check them, and correct the labels that are wrong.",
    Kind.ODD: "These are usable. Check that they are what they should be.",
    Kind.LISTED: "These problems appeared while the collections were opened.",
}
HOW_LABELS_WERE_JUDGED = (
    "Each face was judged by a model trained on the other folds, from the features of a trained classifier. "
    "If that classifier was trained on these pictures (the shipped one was trained on UTKFace and ILC), it "
    "knows their labels, right or wrong, and most wrong ones stay hidden. For new pictures the result can be "
    "trusted."
)


def write_check_page(path: Path, findings: Sequence[Finding], checked: str, labels_judged: bool) -> None:
    """Write the page. Findings of one kind are shown in their order, below a sentence on what was `checked`.

    Raises:
        OutputError: the file cannot be written.
    """
    page = Page("Check of labelled pictures")
    page.text(checked)
    by_kind = {kind: [f for f in findings if f.kind == kind] for kind in Kind}
    page.table(
        ("found", "count", "spoils scores"),
        ((kind, len(of), "yes" if kind in SPOILING and of else "") for kind, of in by_kind.items()),
    )
    if not labels_judged:
        page.text("Labels were not compared with predictions.")
    for kind, of_kind in by_kind.items():
        if of_kind:
            _section(page, kind, of_kind)
    page.write(path)


def _section(page: Page, kind: Kind, findings: Sequence[Finding]) -> None:
    page.heading(f"{kind.capitalize()}: {len(findings)}")
    page.text(MEANING[kind])
    if kind == Kind.LABEL:
        page.text(HOW_LABELS_WERE_JUDGED)
    shown = findings[:SHOWN]
    if len(shown) < len(findings):
        page.text(f"The first {len(shown)} are shown; --csv writes all {len(findings)}.")
    if kind in (Kind.DAMAGED, Kind.LISTED):
        page.table(
            ("picture or line", "collection", "what"),
            ((f.places[0].image, f.places[0].collection, f.detail) for f in shown),
        )
    else:
        page.grid((_side_by_side(f.places[:SIDE_BY_SIDE]), _caption(f)) for f in shown)


def _caption(finding: Finding) -> str:
    named = [f"{place.collection}: {place.image} ({place.part})" for place in finding.places[:SIDE_BY_SIDE]]
    more = len(finding.places) - SIDE_BY_SIDE
    return " | ".join([*named, *([f"{more} more"] if more > 0 else []), finding.detail])


def _side_by_side(places: Iterable[Place]) -> bytes:
    return jpeg(np.hstack([_thumb(place) for place in places]), quality=95)


def _thumb(place: Place) -> Image:
    """Return a thumbnail (THUMB_PX, THUMB_PX, 3) of the picture or of the face in question, on grey."""
    canvas = np.full((THUMB_PX, THUMB_PX, 3), 128, np.uint8)
    try:
        image = read_image(place.path) if place.path else canvas
    except SourceError:
        return canvas
    if place.box is not None:
        image = around(image, place.box, MARGIN)[0]
    small = fitted(image, THUMB_PX)
    top, left = ((THUMB_PX - side) // 2 for side in small.shape[:2])
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas
