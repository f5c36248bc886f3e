"""Chromium shows the page of an archive, on a desktop and a phone, in both languages, by the keyboard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright")
pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

from playwright.sync_api import expect

from gatecam.archive.assembly import Result
from gatecam.archive.page import write_summary
from gatecam.archive.sources import Source
from gatecam.archive.tables import Tables
from gatecam.types import Event, EventKind, Verdict
from tests.web.test_browser import CHROMIUM, SIZES, chromium  # noqa: F401
from tests.web.test_browser_people import LOOKS, look

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
MORNING = datetime(2026, 11, 23, 23, tzinfo=UTC)
NAS = Path("/nas/cameras/building-3")


@pytest.fixture(scope="module")
def page_of_archive(tmp_path_factory) -> Path:
    """An archive of two cameras with a day each, a recording without a start, and two that were damaged."""
    folder = tmp_path_factory.mktemp("archive")

    def result(camera: str, people: int, loss: str | None = None, error: str | None = None) -> Result:
        verdicts = (Verdict.CORRECT, Verdict.CORRECT, Verdict.NONE, Verdict.INCORRECT)
        events = [
            Event(EventKind.MASK_OK, camera, number, verdicts[number % 4], 600.0 * number, first=True)
            for number in range(people)
        ]
        return Result(25 * 86400, 86400.0, events, {}, loss, error)

    with Tables(folder, "settings") as tables:
        for name, camera, started, found in (
            ("east/20261124_080000.mp4", "east", MORNING, result("east", 70)),
            (
                "west/20261125_080000.mp4",
                "west entrance",
                MORNING + timedelta(days=1),
                result("west entrance", 9),
            ),
            ("visit.mp4", "visit", None, result("visit", 2)),
            (
                "cut.mkv",
                "cut",
                None,
                result("cut", 0, "the last part could not be read: the file is truncated."),
            ),
            (f"{'very-' * 12}long.mp4", "bad", None, result("bad", 0, error="is no video that can be read.")),
        ):
            tables.write(Source(NAS / name, camera, started, 1, 1), found, "openvino")
    write_summary(folder)
    return folder / "summary.html"


@pytest.mark.parametrize(("locale", "size", "scheme"), LOOKS)
def test_the_page_of_an_archive_is_legible_and_changes_its_language_by_the_keyboard(
    chromium,  # noqa: F811
    page_of_archive,
    locale,
    size,
    scheme,
):
    width, height = SIZES[size]
    shown, other = ("en", "ko") if locale == "en-US" else ("ko", "en")
    with chromium.new_context(
        locale=locale, viewport={"width": width, "height": height}, color_scheme=scheme
    ) as context:
        page = context.new_page()
        page.goto(page_of_archive.as_uri())
        expect(page.locator(f"main:lang({shown}) h1")).to_be_visible()
        expect(page.locator(f"main:lang({other})")).to_be_hidden()
        look(page, f"archive-{locale}-{size}")
        expect(page.locator(f"main:lang({shown}) .prose td").first).to_have_css("text-align", "left")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        expect(page.locator(f"main:lang({other}) h1")).to_be_visible()
        expect(page.locator(f"main:lang({shown})")).to_be_hidden()
        assert page.evaluate("document.documentElement.lang") == other
        look(page, f"archive-{locale}-{size}-{other}")
        page.keyboard.press("Tab")
        while page.evaluate("document.activeElement.matches('.wide')"):
            page.keyboard.press("Tab")
