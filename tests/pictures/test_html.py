"""Pages of one file: on a telephone too they are as wide as the screen."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright")

from playwright.sync_api import expect

from gatecam.pictures.charts import share_bars
from gatecam.pictures.html import Page, write_languages
from tests.web.test_browser import CHROMIUM, chromium  # noqa: F401

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def test_on_a_telephone_a_wide_table_is_moved_and_not_the_page(chromium, tmp_path):  # noqa: F811
    made = Page("2026-11-24, all cameras")
    made.svg(share_bars([f"11-{day:02}" for day in range(11, 25)], [0.5] * 14, "#009e73", "Shares"))
    made.table([f"what is counted {number}" for number in range(9)], [range(9)])
    made.write(tmp_path / "page.html")
    with chromium.new_context(viewport={"width": 390, "height": 844}) as context:
        shown = context.new_page()
        shown.goto((tmp_path / "page.html").as_uri())
        assert shown.evaluate("document.documentElement.scrollWidth") == 390
        shown.keyboard.press("Tab")
        shown.keyboard.press("ArrowRight")
        table = "document.querySelector('table').parentElement"
        shown.wait_for_function(f"{table}.scrollLeft > 0")
        assert shown.evaluate(f"{table}.scrollWidth > {table}.clientWidth")


@pytest.mark.parametrize(
    ("locale", "scripts", "first"), [("ko-KR", True, "ko"), ("ja-JP", True, "en"), ("ko-KR", False, "en")]
)
def test_a_file_in_two_languages_shows_one_and_switches_without_scripts(
    chromium,  # noqa: F811
    tmp_path,
    locale,
    scripts,
    first,
):
    write_languages(
        tmp_path / "page.html", "day", {"en": ("English", Page("Day")), "ko": ("한국어", Page("하루"))}
    )
    with chromium.new_context(locale=locale, java_script_enabled=scripts) as context:
        page = context.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        titles, shown = {"en": "Day", "ko": "하루"}, page.locator("h1:visible")
        expect(shown).to_have_text([titles[first]])
        other = "en" if first == "ko" else "ko"
        page.locator(f"label:lang({other})").click()
        expect(shown).to_have_text([titles[other]])
        if scripts:
            expect(page.locator("html")).to_have_attribute("lang", other)
            page.reload()
            expect(shown).to_have_text([titles[other]])
