"""Chromium drives the page of all doors by the keyboard, on a desktop and a phone, in both languages."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright")

from playwright.sync_api import expect

from gatecam.pictures.page_words import TEXTS
from gatecam.settings.schema import WebConfig
from gatecam.store.events import Arrivals
from gatecam.web.server import WebServer
from tests.streams import free_port
from tests.web.conftest import TOKENS
from tests.web.test_browser import CHROMIUM, SIZES, chromium, wait_for_field  # noqa: F401
from tests.web.test_browser_people import LOOKS, look
from tests.web.test_fleet_page import FLEET, LOST, WELL, own, shared, site  # noqa: F401

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
MORE = tuple(replace(WELL, door=f"building {number // 4}, door {number % 4}") for number in range(40))


@pytest.fixture
def watch():
    """Has all states, and many doors that are well."""
    odd = replace(WELL, door="<b>basement</b>", cameras=(LOST,))
    doors = (*FLEET.doors, odd, *MORE)
    today = FLEET.today | {one.door: Arrivals(0, correct=90 + place) for place, one in enumerate(MORE)}
    return SimpleNamespace(fleet=replace(FLEET, doors=doors, today=today))


@pytest.mark.parametrize(("locale", "size", "scheme"), LOOKS)
def test_the_doors_are_searched_and_sorted_by_the_keyboard(
    chromium,  # noqa: F811
    site,  # noqa: F811
    watch,
    locale,
    size,
    scheme,
):
    width, height = SIZES[size]
    words = {key: text[locale[:2]] for key, text in TEXTS.items()}
    with (
        WebServer(site, WebConfig(port=free_port()), pytest.fail) as server,
        chromium.new_context(
            locale=locale, viewport={"width": width, "height": height}, color_scheme=scheme
        ) as context,
    ):
        page, said = context.new_page(), []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{server.url}login")
        wait_for_field(page)
        page.keyboard.type(TOKENS.operator)
        page.keyboard.press("Enter")
        tiles = page.locator("#doors li")
        expect(tiles).to_have_count(46)
        expect(page.locator("#trouble")).to_contain_text("it is late.")
        names = page.locator("#doors h3")
        assert names.all_text_contents()[:5] == ["west", "<b>basement</b>", "문 7", "east", "south"]
        look(page, f"fleet-{locale}-{size}")
        page.keyboard.press("Tab")
        while page.evaluate("document.activeElement.id") != "text":
            page.keyboard.press("Tab")
        page.keyboard.type("마당")
        expect(tiles).to_have_count(1)
        expect(tiles).to_contain_text(words["fleet.blind"])
        expect(page.locator("#found")).to_have_text(words["fleet.found"].format(n=1, all=46))
        page.keyboard.press("Control+a")
        page.keyboard.press("Delete")
        page.keyboard.press("Tab")
        page.keyboard.press("End")  # the last state
        expect(tiles).to_have_count(41)
        page.keyboard.press("Home")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        expect(names.first).to_have_text("building 9, door 3")
        assert "sort=people" in page.url
        watch.fleet = replace(watch.fleet, silent=frozenset({"building 3, door 1"}))
        page.select_option("#sort", "attention")
        expect(page.locator("[data-state=silent] h3")).to_have_text(["building 3, door 1"])
        page.goto(f"{server.url}statistics?by=door")
        expect(page.locator("#of-door")).to_be_visible()
        expect(page.locator("#numbers tr")).to_have_count(3)
        look(page, f"fleet-statistics-{locale}-{size}")
        assert said == []
