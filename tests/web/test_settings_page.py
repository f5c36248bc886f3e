"""The settings page in a browser: by keys alone, on a phone, in both languages, by night."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright")

from playwright.sync_api import Page, expect

from gatecam.live.control import SavingProblem
from gatecam.settings.schema import Config, WebConfig
from gatecam.web.server import WebServer
from gatecam.web.site import build_app
from tests.streams import free_port
from tests.web.conftest import TOKENS
from tests.web.test_browser import CHROMIUM, SIZES, chromium, faults, is_narrow, photograph, until  # noqa: F401

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
IS_THERE = "document.querySelectorAll('#outputs li').length === 5"


def open_settings(context, url: str) -> Page:
    page = context.new_page()
    page.goto(f"{url}login?next=/settings#token={TOKENS.operator}")
    until(page, IS_THERE)
    return page


@pytest.mark.parametrize(
    ("size", "locale", "scheme"),
    [
        ("landscape", "en", "light"),
        ("phone", "en", "dark"),
        ("landscape", "ko", "dark"),
        ("phone", "ko", "light"),
    ],
)
def test_the_page_is_legible_everywhere(chromium, server, size, locale, scheme):  # noqa: F811
    width, height = SIZES[size]
    view = {"viewport": {"width": width, "height": height}, "locale": locale, "color_scheme": scheme}
    with chromium.new_context(**view) as context:
        page = open_settings(context, server.url)
        assert (is_narrow(page), faults(page)) == (True, [])
        photograph(page, f"settings-{locale}-{size}-{scheme}", full_page=True)


def test_settings_are_changed_and_saved_by_keys_alone(chromium, server):  # noqa: F811
    with chromium.new_context() as context:
        page = open_settings(context, server.url)
        page.get_by_label("Frames before a person counts").focus()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Control+A")
        page.keyboard.type("0.8")
        page.keyboard.press("Enter")
        said = page.get_by_role("region", name="Verdicts").locator(".said")
        expect(said).to_have_text(
            "Frames before a person counts: changed from 3 to 4.\n"
            "Minimum confidence: changed from 0.7 to 0.8.\nSaved in config.yaml."
        )
        page.reload()
        until(page, IS_THERE)
        expect(page.get_by_label("Minimum confidence")).to_have_value("0.8")
        for given in ("2", ""):
            page.get_by_label("Minimum confidence").fill(given)
            page.keyboard.press("Enter")
            expect(said).to_have_text("Minimum confidence: expected a number from 0.34 to 0.999.")
            expect(page.get_by_label("Minimum confidence")).to_be_focused()


def test_a_pair_goes_together_and_an_empty_field_is_no_value(chromium, server, behind):  # noqa: F811
    with chromium.new_context() as context:
        page = open_settings(context, server.url)
        finding = page.get_by_role("region", name="Finding faces")
        page.get_by_label("Width of the door").fill("2")
        finding.get_by_role("button", name="Save").click()
        expect(finding.locator(".said")).to_contain_text("needs door_distance_m as well")
        page.get_by_label("Distance of the door").fill("3")
        finding.get_by_role("button", name="Save").click()
        expect(finding.locator(".said")).to_contain_text("Distance of the door: changed from empty to 3.")
        finding.get_by_role("button", name="Fill in the defaults").click()
        finding.get_by_role("button", name="Save").click()
        expect(finding.locator(".said")).to_contain_text("Distance of the door: changed from 3 to empty.")
        assert behind.running.settings()["detector.door_width_m"]["value"] is None
        privacy = page.get_by_role("region", name="Privacy")
        page.get_by_label("Blur faces on the page at the door").uncheck()
        privacy.get_by_role("button", name="Save").click()
        expect(privacy.locator(".said")).to_contain_text("changed from on to off")


def test_what_somebody_else_changes_meanwhile_is_shown_and_not_undone(chromium, server, behind):  # noqa: F811
    with chromium.new_context() as context:
        page = open_settings(context, server.url)
        page.get_by_label("Minimum confidence").fill("0.8")
        behind.running.change({"policy.remind_s": 20.0})
        page.get_by_label("Blur faces on the page at the door").uncheck()
        page.get_by_role("region", name="Privacy").get_by_role("button", name="Save").click()
        expect(page.get_by_label("Time until a reminder")).to_have_value("20")
        expect(page.get_by_label("Minimum confidence")).to_have_value("0.8")
        alerts = page.get_by_role("region", name="Alerts", exact=True)
        page.get_by_label("Time until a reminder").press("Enter")
        expect(alerts.locator(".said")).to_have_text("Nothing has changed.")
        assert behind.running.settings()["policy.remind_s"]["value"] == 20


def test_who_changes_what_somebody_else_has_changed_is_told_in_korean(chromium, server, behind):  # noqa: F811
    with chromium.new_context(locale="ko-KR") as context:
        page = open_settings(context, server.url)
        field = page.locator("[id='setting-policy.remind_s']")
        expect(field).to_have_value("10")
        behind.running.change({"policy.remind_s": 20.0})
        field.fill("33")
        field.press("Enter")
        said = page.locator(".said", has_text="그사이에 다른 사람이 바꾸었습니다")
        expect(said).to_be_visible()
        expect(field).to_have_value("20")
        photograph(page, "settings-meanwhile-ko")
        field.fill("33")
        field.press("Enter")
        expect(page.locator(".said", has_text="33(으)로 바꿨습니다")).to_be_visible()


def test_a_login_in_another_tab_does_not_keep_this_one_from_saving(chromium, server):  # noqa: F811
    with chromium.new_context() as context:
        page = open_settings(context, server.url)
        open_settings(context, server.url)
        page.get_by_label("Time until a reminder").fill("33")
        page.keyboard.press("Enter")
        alerts = page.get_by_role("region", name="Alerts", exact=True)
        expect(alerts.locator(".said")).to_contain_text("changed from 10 to 33.\nSaved in")


def test_what_cannot_be_saved_says_so_with_the_lines_that_save_it(chromium, behind):  # noqa: F811
    change = behind.running.change
    unsaved = lambda values, seen: replace(change(values, seen), problem=SavingProblem.NOT_WRITABLE)  # noqa: E731
    running = replace(behind.running, change=unsaved)
    app = build_app(Config(), TOKENS, replace(behind, running=running))
    with WebServer(app, WebConfig(port=free_port()), pytest.fail) as own, chromium.new_context() as context:
        page = open_settings(context, own.url)
        page.get_by_label("Time until a reminder").fill("33")
        page.keyboard.press("Enter")
        expect(page.get_by_role("region", name="Alerts", exact=True).locator(".said")).to_contain_text(
            "config.yaml cannot be written. It lasts until gatecam restarts or its settings file is saved. "
            "To keep it, add this to the settings file: policy: {remind_s: 33}"
        )


def test_the_answer_to_a_test_is_shown(chromium, server):  # noqa: F811
    with chromium.new_context() as context:
        page = open_settings(context, server.url)
        outputs = page.locator("#outputs li")
        expect(outputs.filter(has_text="Sound")).to_contain_text("Not set up: use notify.sound")
        page.get_by_role("button", name="Send a test to MQTT").click()
        expect(outputs.filter(has_text="MQTT").locator(".good")).to_contain_text("It arrived, after 0")
        page.get_by_role("button", name="Send a test to Webhook").click()
        expect(outputs.filter(has_text="Webhook").locator(".wrong")).to_contain_text(
            "It did not arrive: webhook http://127.0.0.1: events are not accepted (it answered 500)"
        )
        assert faults(page) == []
        photograph(page, "settings-tests", full_page=True)
