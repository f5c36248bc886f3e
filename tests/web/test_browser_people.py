"""Chromium drives the pages of users, of the own account and of statistics, on a desktop and a phone."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright")

from playwright.sync_api import Page, expect

from gatecam.store.audit import Act, Actor
from gatecam.web.tokens import Role
from gatecam.web.users import FILE, Users
from tests.web.test_browser import (  # noqa: F401
    CHROMIUM,
    PICTURES,
    SIZES,
    chromium,
    faults,
    is_narrow,
    photograph,
    wait_for_field,
)
from tests.web.test_statistics_page import person

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.usefixtures("quick_hashes"),
]
SECRET = "correct-horse"
LOOKS = [("en-US", "landscape", "light"), ("ko-KR", "phone", "dark")]


@pytest.fixture
def users(tmp_path) -> Users:
    """The users of the site: an admin `kim`."""
    made = Users(tmp_path / FILE)
    made.add("kim", Role.ADMIN, SECRET)
    return made


def log_in(server, page: Page, name: str = "kim", place: str = "") -> None:
    """Log in by the keyboard alone."""
    page.goto(f"{server.url}login?next=/{place}")
    wait_for_field(page)
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(SECRET)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{server.url}{place}")


def look(page: Page, name: str) -> None:
    """Check a page and keep a picture of all of it."""
    assert (faults(page), is_narrow(page)) == ([], True)
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


@pytest.mark.parametrize(("locale", "size", "scheme"), LOOKS)
def test_an_admin_manages_users_by_the_keyboard(
    chromium,  # noqa: F811
    server,
    behind,
    users,
    locale,
    size,
    scheme,
):
    width, height = SIZES[size]
    behind.store.audit.note(Actor("token:operator", "192.0.2.7"), Act.SETTING, "policy.remind_s", "10", "20")
    behind.store.audit.note(Actor("command:root"), Act.ERASURE, "events", before="1203")
    with chromium.new_context(
        locale=locale, viewport={"width": width, "height": height}, color_scheme=scheme
    ) as context:
        page = context.new_page()
        page.goto(f"{server.url}login")
        look(page, f"login-users-{locale}-{size}")
        log_in(server, page, place="users")
        expect(page.locator("#users tr")).to_have_count(1)
        expect(page.locator("#entries tr")).to_have_count(3)
        page.locator("#name").focus()
        page.keyboard.type("lee")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        page.keyboard.type(SECRET)
        page.keyboard.press("Enter")
        expect(page.locator("#users tr")).to_have_count(2)
        assert users.get("lee").role is Role.OPERATOR
        look(page, f"users-{locale}-{size}")
        page.locator("#users tr", has_text="lee").locator("button").first.focus()
        page.keyboard.press("Enter")
        page.keyboard.type("battery-staple")
        look(page, f"users-password-{locale}-{size}")
        page.keyboard.press("Enter")
        expect(page.locator("#entries td").filter(has_text="lee")).to_have_count(2)
        assert users.check("lee", "battery-staple")
        remove = page.locator("#users tr", has_text="lee").locator("button").last
        remove.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        expect(page.locator("#users tr")).to_have_count(2)
        expect(remove).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#users tr")).to_have_count(1)
        assert users.get("lee") is None
        page.locator("#users select").select_option("viewer")
        expect(page.locator("#said")).to_contain_text("last admin" if locale == "en-US" else "마지막 관리자")
        expect(page.locator("#users select")).to_have_value("admin")
        page.locator("#act").select_option("setting")
        expect(page.locator("#entries tr")).to_have_count(1)


def test_a_viewer_sees_no_controls_and_changes_the_own_password(chromium, server, users):  # noqa: F811
    users.add("lee", Role.VIEWER, SECRET)
    with chromium.new_context() as context:
        page = context.new_page()
        log_in(server, page, "lee")
        expect(page.locator("#cameras li")).to_have_count(1)
        expect(page.locator("#change")).to_be_hidden()
        expect(page.get_by_role("link", name="Users")).to_be_hidden()
        page.get_by_role("link", name="Settings").click()
        expect(page.locator("#groups input").first).to_be_visible()
        expect(page.locator("#groups input:enabled")).to_have_count(0)
        page.get_by_role("link", name="My account").click()
        expect(page.locator("#who")).to_have_text("lee, Viewer")
        for text in (SECRET, "battery-staple", "battery-stable"):
            page.keyboard.press("Tab")
            while page.evaluate("document.activeElement.type") != "password":
                page.keyboard.press("Tab")
            page.keyboard.type(text)
        page.keyboard.press("Enter")
        expect(page.locator("#said")).to_have_text("The two new passwords differ.")
        page.locator("#again").fill("battery-staple")
        page.keyboard.press("Enter")
        expect(page.locator("#said")).to_have_text(
            "The password was changed. Your other sessions have ended."
        )
        look(page, "account")
        users.remove("lee")
        page.reload()
        page.wait_for_url("**/login?next=/account")


@pytest.mark.parametrize(("locale", "size", "scheme"), LOOKS)
def test_statistics_of_a_range_are_chosen_by_the_keyboard_and_printed(
    chromium,  # noqa: F811
    server,
    behind,
    users,
    locale,
    size,
    scheme,
):
    width, height = SIZES[size]
    for day in range(1, 29):
        for number in range(day % 7 + 3):
            verdict = "cccin"[number % 5]
            camera = ("gate", "yard")[number % 2]
            put_on = 5 if verdict == "n" else None
            for event in person(f"2026-11-{day:02}T{8 + number:02}:10", verdict, camera, put_on):
                behind.store.append([event])
    with chromium.new_context(
        locale=locale, viewport={"width": width, "height": height}, color_scheme=scheme
    ) as context:
        page = context.new_page()
        log_in(server, page, place="statistics")
        page.goto(f"{server.url}statistics?first=2026-11-01&last=2026-11-28")
        expect(page.locator("#numbers tbody tr")).to_have_count(28)
        look(page, f"statistics-{locale}-{size}")
        page.locator("#by").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#numbers tbody tr")).to_have_count(7)
        page.wait_for_url("**/statistics?first=2026-11-01&last=2026-11-28&by=weekday")
        look(page, f"statistics-weekday-{locale}-{size}")
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        assert download.value.suggested_filename == "gatecam-2026-11-01-2026-11-28.csv"
        page.locator("a[hreflang]").click()
        page.wait_for_url("**by=weekday&language=*")
        expect(page.locator("#numbers tbody tr")).to_have_count(7)
        page.emulate_media(media="print")
        expect(page.locator("nav")).to_be_hidden()
        expect(page.locator("#filter")).to_be_hidden()
        page.screenshot(path=PICTURES / f"statistics-print-{locale}.png", full_page=True)
