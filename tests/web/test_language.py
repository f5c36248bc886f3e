"""The language of pages: what the browser prefers decides first, then the switch, which is remembered."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("fastapi")

from tests.web.conftest import Browser


def shown(browser: Browser, path: str, accepted: str = "") -> str:
    """The language of the page at a path."""
    page = browser.ask("GET", path, headers={"Accept-Language": accepted}).text
    return re.search('<html lang="(..)">', page)[1]


def test_a_page_is_in_the_language_that_the_browser_prefers(browser):
    for accepted, language in (
        ("", "en"),
        ("ko", "ko"),
        ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko"),
        ("en-GB, ko;q=0.9", "en"),
        ("ja, en;q=0.3, KO;q=0.5", "ko"),
        ("ja, *;q=0.5", "en"),
        ("ko;q=0", "en"),
        ("korean;q=9, ;;q==,ko-", "ko"),
    ):
        assert shown(browser, "/login", accepted) == language, accepted


def test_a_chosen_language_is_remembered_on_every_page(browser):
    assert shown(browser, "/login?language=ko", "en") == "ko"
    assert shown(browser, "/login", "en") == "ko"
    browser.log_in()
    assert shown(browser, "/", "en") == "ko"
    assert browser.ask("GET", "/api/people").json()["summary"].endswith("명입니다.")
    assert shown(browser, "/?language=en", "ko") == "en"
    assert shown(browser, "/", "ko") == "en"
    assert shown(browser, "/?language=fr", "ko") == "en"


def test_the_login_answers_in_its_language_and_the_switch_keeps_where_to_go(browser):
    korean = {"Accept-Language": "ko"}
    page = browser.ask("GET", "/login?next=/door%3Fcamera%3Da%26b", headers=korean).text
    assert 'href="login?next=%2Fdoor%3Fcamera%3Da%26b&amp;language=en" lang="en"' in page
    wrong = {"token": "wrong"}
    assert "토큰이 올바르지" in browser.ask("POST", "/login", headers=korean, data=wrong).text
    said = browser.ask("POST", "/login", headers=korean, data={**wrong, "link": "1"}).json()["said"]
    assert said == "토큰이 올바르지 않습니다."
