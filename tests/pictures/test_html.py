"""Pages of one file: on a telephone too they are as wide as the screen."""

from __future__ import annotations

import shutil

import pytest

from gatecam.pictures.charts import share_bars
from gatecam.pictures.html import Page, write_languages

CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_on_a_telephone_a_wide_table_is_moved_and_not_the_page(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    made = Page("2026-11-24, all cameras")
    made.svg(share_bars([f"11-{day:02}" for day in range(11, 25)], [0.5] * 14, "#009e73", "Shares"))
    made.table([f"what is counted {number}" for number in range(9)], [range(9)])
    made.write(tmp_path / "page.html")
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 390, "height": 844})
        shown.goto((tmp_path / "page.html").as_uri())
        assert shown.evaluate("document.documentElement.scrollWidth") == 390
        shown.keyboard.press("Tab")
        shown.keyboard.press("ArrowRight")
        table = "document.querySelector('table').parentElement"
        shown.wait_for_function(f"{table}.scrollLeft > 0")
        assert shown.evaluate(f"{table}.scrollWidth > {table}.clientWidth")
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize(
    ("locale", "scripts", "first"), [("ko-KR", True, "ko"), ("ja-JP", True, "en"), ("ko-KR", False, "en")]
)
def test_a_file_in_two_languages_shows_one_and_switches_without_scripts(tmp_path, locale, scripts, first):
    playwright = pytest.importorskip("playwright.sync_api")
    write_languages(
        tmp_path / "page.html", "day", {"en": ("English", Page("Day")), "ko": ("한국어", Page("하루"))}
    )
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(locale=locale, java_script_enabled=scripts).new_page()
        page.goto((tmp_path / "page.html").as_uri())
        titles = {"en": "Day", "ko": "하루"}
        assert page.locator("h1:visible").all_inner_texts() == [titles[first]]
        other = "en" if first == "ko" else "ko"
        page.locator(f"label:lang({other})").click()
        assert page.locator("h1:visible").all_inner_texts() == [titles[other]]
        if scripts:
            assert page.locator("html").get_attribute("lang") == other
            page.reload()
            assert page.locator("h1:visible").all_inner_texts() == [titles[other]]
        browser.close()
