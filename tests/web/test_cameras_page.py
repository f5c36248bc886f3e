"""The page for cameras in a browser: zones by mouse, finger and keys, and cameras that come and go."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright")

from playwright.sync_api import Page, expect

from gatecam.web.tokens import Role
from tests.web.conftest import TOKENS
from tests.web.test_browser import (
    CHROMIUM,
    SIZES,
    chromium,  # noqa: F401
    faults,
    is_narrow,
    jpeg,
    photograph,
    until,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
IS_THERE = (
    "document.querySelectorAll('#cameras > li').length === 2 && document.querySelector('.facts').textContent"
)


def open_cameras(context, server, behind) -> Page:
    page = context.new_page()
    page.goto(f"{server.url}login?next=/cameras#token={TOKENS.operator}")
    until(page, IS_THERE)
    server.call_soon(lambda: behind.hub.show("gate", Role.OPERATOR, jpeg(640, 360)))
    return page


def zones_of(behind) -> tuple:
    return behind.running.cameras.regions.get("gate"), behind.running.ignored()["gate"]


@pytest.mark.parametrize(
    ("size", "locale", "scheme"),
    [
        ("landscape", "en", "light"),
        ("phone", "en", "dark"),
        ("landscape", "ko", "dark"),
        ("phone", "ko", "light"),
    ],
)
def test_the_page_is_legible_everywhere(chromium, server, behind, size, locale, scheme):  # noqa: F811
    behind.running.cameras.draw("gate", (0.1, 0.1, 0.9, 0.95), ((0.2, 0.2, 0.4, 0.5), (0.6, 0.3, 0.7, 0.5)))
    width, height = SIZES[size]
    view = {"viewport": {"width": width, "height": height}, "locale": locale, "color_scheme": scheme}
    with chromium.new_context(**view) as context:
        page = open_cameras(context, server, behind)
        page.locator("#source").fill("rtsp://10.0.0.9/live")
        page.locator("#test").click()
        until(page, "document.querySelector('#trial .advice').textContent.includes('24')")
        page.locator("#network summary").click()
        page.locator("#search").click()
        until(page, "document.querySelector('#found button')")
        assert (is_narrow(page), faults(page)) == (True, [])
        photograph(page, f"cameras-{locale}-{size}-{scheme}", full_page=True)


def test_a_zone_is_drawn_moved_resized_and_removed_by_mouse(chromium, server, behind):  # noqa: F811
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = open_cameras(context, server, behind)
        box = page.locator("#cameras .view").first.bounding_box()

        def drag(*points: tuple[float, float]) -> None:
            for number, (x, y) in enumerate(points):
                page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
                if number == 0:
                    page.mouse.down()
            page.mouse.up()

        said = page.locator("#cameras .said").first
        drag((0.2, 0.2), (0.3, 0.3), (0.4, 0.5))
        expect(said).to_have_text("The zones are changed. Saved in config.yaml.")
        assert near(zones_of(behind)[1], [(0.2, 0.2, 0.4, 0.5)])
        drag((0.3, 0.4), (0.35, 0.4), (0.4, 0.4))
        waits_for(page, behind, lambda: near(zones_of(behind)[1], [(0.3, 0.2, 0.5, 0.5)]))
        drag((0.5, 0.5), (0.55, 0.55), (0.6, 0.6))
        waits_for(page, behind, lambda: near(zones_of(behind)[1], [(0.3, 0.2, 0.6, 0.6)]))
        page.locator("#mode-0").select_option("region")
        drag((0.05, 0.05), (0.5, 0.5), (0.95, 0.95))
        waits_for(page, behind, lambda: near([zones_of(behind)[0] or ()], [(0.05, 0.05, 0.95, 0.95)]))
        photograph(page, "zones-drawn")
        page.locator(".zone").last.click()
        page.get_by_role("button", name="Remove the chosen zone of gate").click()
        waits_for(page, behind, lambda: zones_of(behind)[1] == ())


def test_a_zone_is_drawn_with_a_finger(chromium, server, behind):  # noqa: F811
    with chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True) as context:
        page = open_cameras(context, server, behind)
        box = page.locator("#cameras .view").first.bounding_box()
        touch = context.new_cdp_session(page)
        for kind, *point in (("touchStart", 0.2, 0.2), ("touchMove", 0.3, 0.4), ("touchMove", 0.5, 0.6)):
            at = {"x": box["x"] + point[0] * box["width"], "y": box["y"] + point[1] * box["height"]}
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        waits_for(page, behind, lambda: near(zones_of(behind)[1], [(0.2, 0.2, 0.5, 0.6)]))


def test_zones_are_drawn_by_keys_alone(chromium, server, behind):  # noqa: F811
    with chromium.new_context() as context:
        page = open_cameras(context, server, behind)
        page.get_by_role("button", name="Add a zone to gate").focus()
        page.keyboard.press("Enter")
        waits_for(page, behind, lambda: zones_of(behind)[1] == ((0.4, 0.35, 0.6, 0.65),))
        zone = page.get_by_role("button", name="Ignored place 1: from 40 to 60 % across and 35 to 65 % down")
        expect(zone).to_be_focused()
        for key in ("ArrowLeft", "ArrowLeft", "ArrowDown", "Shift+ArrowRight"):
            page.keyboard.press(key)
        waits_for(page, behind, lambda: near(zones_of(behind)[1], [(0.38, 0.36, 0.59, 0.66)]))
        page.keyboard.press("Delete")
        waits_for(page, behind, lambda: zones_of(behind)[1] == ())
        expect(page.get_by_role("button", name="Add a zone to gate")).to_be_focused()


def test_a_zone_stays_although_an_answer_from_before_comes_late(chromium, server, behind):  # noqa: F811
    with chromium.new_context() as context:
        page, late = open_cameras(context, server, behind), []
        cameras = behind.running.cameras
        page.route("**/api/cameras", lambda route: late.append((route, cameras.cameras())))
        waits_for(page, behind, lambda: late)
        add = page.get_by_role("button", name="Add a zone to gate")
        add.click()
        waits_for(page, behind, lambda: len(zones_of(behind)[1]) == 1)
        expect(page.locator("#cameras .said").first).to_contain_text("The zones are changed.")
        for route, told in late:
            route.fulfill(json={"cameras": told, "trial": None})
        page.wait_for_load_state("networkidle", timeout=2000)
        add.click()
        waits_for(page, behind, lambda: len(zones_of(behind)[1]) == 2)


def test_an_error_that_is_over_is_no_longer_shown(chromium, server, behind):  # noqa: F811
    with chromium.new_context() as context:
        page, said = open_cameras(context, server, behind), "gatecam does not answer"
        page.route("**/api/cameras", lambda route: route.abort())
        expect(page.locator("#said")).to_contain_text(said)
        page.unroute("**/api/cameras")
        expect(page.locator("#said")).to_be_empty()
        remove = page.get_by_role("button", name="Remove gate")
        remove.click()
        page.get_by_role("button", name="Add a zone to gate").click()
        expect(page.locator("#cameras .said").first).to_contain_text("The zones are changed.")
        remove.click()
        expect(page.locator("#cameras .said").first).to_have_text("Press Remove again to remove gate.")


def test_the_page_works_where_the_browser_refuses_storage(chromium, server, behind):  # noqa: F811
    with chromium.new_context() as context:
        refused = "Object.defineProperty(window, 'sessionStorage', { get() { throw new Error('denied'); } })"
        context.add_init_script(refused)
        page = open_cameras(context, server, behind)
        page.get_by_role("button", name="Remove gate").click()
        page.get_by_role("button", name="Remove gate").click()
        until(page, "document.querySelectorAll('#cameras > li').length === 1")
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login")


def test_a_camera_is_found_tried_out_added_changed_and_removed(chromium, server, behind):  # noqa: F811
    with chromium.new_context() as context:
        page = open_cameras(context, server, behind)
        page.locator("#name").fill("a" * 201)
        page.locator("#source").fill("1")
        page.locator("#save").click()
        expect(page.locator("#result")).to_have_text("name: String should have at most 200 characters")
        page.locator("#name").fill("")
        page.get_by_text("Find it on the network").click()
        page.get_by_role("button", name="Search the network").click()
        page.get_by_role("button", name="Hall (http://10.0.0.7").click()
        expect(page.locator("#answer")).to_contain_text("refuses this user and password")
        page.get_by_label("User").fill("admin")
        page.get_by_label("Password").fill("s3cret")
        page.get_by_role("button", name="List the streams").click()
        page.get_by_role("button", name="main: 1920 × 1080").click()
        expect(page.get_by_label("Address")).to_have_value("rtsp://10.0.0.7/main")
        page.get_by_role("button", name="Test", exact=True).click()
        expect(page.locator("#trial .advice")).to_have_text(
            "Faces are 24 px here: move the camera closer or choose the main stream."
        )
        assert behind.running.cameras.tried["password"] == "s3cret"
        page.locator("#save").click()
        expect(page.locator("#said")).to_have_text("Hall is added. Saved in config.yaml.")
        until(page, "document.querySelectorAll('#cameras > li').length === 3")
        page.get_by_role("button", name="Change gate").click()
        expect(page.get_by_label("Address")).to_have_attribute(
            "placeholder", "unchanged: rtsp://***@10.0.0.5/live"
        )
        page.get_by_label("Name").fill("front")
        page.keyboard.press("Enter")
        expect(page.locator("#said")).to_have_text("front is changed. Saved in config.yaml.")
        until(page, "document.querySelectorAll('#cameras > li').length === 3")
        expect(page.get_by_label("Width, in px")).to_be_hidden()
        page.get_by_role("button", name="Change 문/앞").click()
        expect(page.get_by_label("Width, in px")).to_have_value("640")
        page.get_by_label("Width, in px").fill("12")
        page.get_by_label("Height, in px").fill("720")
        page.keyboard.press("Enter")
        expect(page.locator("#result")).to_have_text("Width, in px: expected a number from 64 to 7680.")
        assert faults(page) == []
        page.get_by_label("Width, in px").fill("1280")
        page.keyboard.press("Enter")
        expect(page.locator("#said")).to_have_text("문/앞 is changed. Saved in config.yaml.")
        assert behind.running.cameras.given == {"name": "문/앞", "width": 1280, "height": 720}
        until(page, "document.querySelectorAll('#cameras > li').length === 3")
        page.get_by_role("button", name="Remove Hall").click()
        expect(page.locator("#cameras > li").first.locator(".said")).to_have_text(
            "Press Remove again to remove Hall."
        )
        page.get_by_role("button", name="Remove Hall").click()
        expect(page.locator("#said")).to_have_text("Hall is removed. Saved in config.yaml.")
        assert set(behind.running.cameras.sources) == {"문/앞", "front"}


def near(found, wanted) -> bool:
    return len(found) == len(wanted) and all(
        len(one) == 4 and all(abs(a - b) < 0.011 for a, b in zip(one, other, strict=True))
        for one, other in zip(found, wanted, strict=True)
    )


def waits_for(page: Page, behind, holds) -> None:
    """Wait until something holds in the program behind the page."""
    for _ in range(500):
        if holds():
            return
        page.wait_for_timeout(20)
    pytest.fail(str(zones_of(behind)))


def test_a_camera_that_does_not_see_says_why(chromium, server, behind):  # noqa: F811
    behind.running.cameras.reason = "frozen"
    with chromium.new_context(locale="ko") as context:
        page = open_cameras(context, server, behind)
        expect(page.locator("#cameras .facts").first).to_contain_text(
            "카메라 이상: 카메라 화면이 멈췄습니다 · "
        )
