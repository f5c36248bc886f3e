"""Chromium drives both pages of a site without a camera; screenshots stay in `test-output/pages`."""

from __future__ import annotations

import io
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import numpy as np
import PIL.Image
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import Error as PageError

from gatecam.errors import OutputError
from gatecam.live.control import SavingProblem
from gatecam.live.health import CameraHealth, Health
from gatecam.pictures.page_words import TEXTS
from gatecam.pictures.snapshots import snapshot_jpeg
from gatecam.pictures.video import VideoWriter
from gatecam.settings.schema import Config, WebConfig
from gatecam.store.events import EventFilter
from gatecam.types import Answer, Box, Event, EventKind, Frame, Presence, Step, Track, Verdict
from gatecam.web import login, pages, static
from gatecam.web.door_words import KEYS
from gatecam.web.live import Hub
from gatecam.web.painting import draw
from gatecam.web.server import WebServer
from gatecam.web.site import build_app
from gatecam.web.tokens import Role
from tests.streams import free_port
from tests.web.conftest import TOKENS

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

PICTURES = Path(__file__).parents[2] / "test-output" / "pages"
WAIT_MS = 40_000
HAS_EVENTS = "document.querySelectorAll('#events tr').length > 0"
SERIOUS = ("serious", "critical")
SIZES = {"landscape": (1280, 720), "portrait": (1080, 1920), "phone": (390, 844)}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=WAIT_MS)  # pages are slow beside other tests
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=120_000)
        yield browser
        browser.close()


def photograph(page: Page, name: str, full_page: bool = False) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=full_page)


AXE = Axe()
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],  # else as much time again goes into describing what is right
}


def faults(page: Page) -> list[str]:
    """What axe-core finds that is serious."""
    found = AXE.run(page, options=RULES)
    return [
        f"{one['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for one in found.response["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


def until(page: Page, expression: str) -> None:
    """Wait until an expression of JavaScript is true; the library's own way is what the pages forbid."""
    end_s = time.monotonic() + WAIT_MS / 1000
    while True:
        with suppress(PageError):  # another page is being loaded
            if page.evaluate(expression):
                return
        assert time.monotonic() < end_s, expression
        page.wait_for_timeout(20)


def wait_for_field(page: Page) -> None:
    """Wait until what is typed goes into the field that a page focuses when it opens."""
    until(page, "document.activeElement?.matches('input')")


def wait_for_state(page: Page, state: str) -> None:
    until(page, f"document.body.dataset.state === '{state}'")


STATES = {
    "welcome": Presence("gate"),
    "missing": Presence("gate", 2, Verdict.NONE),
    "incorrect": Presence("gate", 1, Verdict.INCORRECT),
    "unknown": Presence("gate", 1, Verdict.UNKNOWN),
    "correct": Presence("gate", 1, Verdict.CORRECT),
    "unseen": Presence("gate", blindness="covered"),
}


@pytest.mark.parametrize("size", ["landscape", "portrait"])
def test_every_state_of_the_door_is_legible_in_two_languages(chromium, server, behind, size):
    page = door_of(server, chromium, SIZES[size], reduced_motion="reduce")
    texts = set()
    for state, presence in STATES.items():
        tell(server, behind, presence)
        wait_for_state(page, state)
        lines = page.locator("#words p").all_inner_texts()
        assert re.search("[가-힣]", lines[0])
        assert re.fullmatch("[ -~]+", lines[1])
        texts.add(tuple(lines))
        assert page.locator("#sign").is_visible()
        assert (is_whole(page), faults(page)) == (True, []), state
        photograph(page, f"state-{size}-{state}")
    assert len(texts) == len(STATES)
    page.context.close()


def door_of(server, chromium, size=(1280, 720), place="door", **more) -> Page:
    """The page at the door of a site without a camera, logged in; its context is `page.context`."""
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, **more)
    page = context.new_page()
    page.goto(f"{server.url}login?next=/{quote(place)}#token={TOKENS.door}")
    page.wait_for_url(lambda url: "/login" not in url)
    return page


def tell(server, behind, presence: Presence) -> None:
    server.call_soon(lambda: behind.hub.tell_state(presence))


LONG = (
    {
        "lang": "de",
        "missing": "Bitte setzen Sie vor dem Betreten des Gebäudes Ihre Mund-Nasen-Bedeckung auf, ja",
    },
    {"lang": "ar", "missing": "يرجى ارتداء الكمامة قبل دخول المبنى (COVID-19)، شكراً جزيلاً لكم جميعاً أيها"},
    {
        "lang": "ko",
        "missing": " ".join(["마스크를 올바르게 써 주시기 바랍니다."] * 4)[:80],
    },
)
LONGER = (
    {
        "lang": "de",
        "missing": "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenhaltervorrichtungslager",
    },
)


@pytest.fixture(params=[LONG, LONGER], ids=["three", "unbreakable"])
def wordy(request, behind) -> Iterator[WebServer]:
    """A site whose words are as long as the settings accept."""
    words = [{**dict.fromkeys(KEYS, "x"), **one} for one in request.param]
    site = build_app(Config(), TOKENS, replace(behind, door_words=words))
    with WebServer(site, WebConfig(port=free_port()), pytest.fail) as server:
        yield server


def jpeg(width: int, height: int) -> bytes:
    out = io.BytesIO()
    PIL.Image.new("RGB", (width, height), "gray").save(out, "JPEG")
    return out.getvalue()


FITS = """() => { const box = e => e.getBoundingClientRect(), p = [...document.querySelectorAll("#words p")];
  const inside = e => box(e).left >= 0 && box(e).top >= 0
    && box(e).right <= innerWidth && box(e).bottom <= innerHeight;
  const sign = box(document.getElementById("sign")), live = box(document.getElementById("live"));
  return { inside: [...p, document.getElementById("sign"), document.getElementById("live")].every(inside),
    whole: p.every(e => e.scrollWidth <= e.clientWidth + 1), above: sign.bottom <= box(p[0]).top + 1,
    sign: sign.height / Math.min(innerWidth, innerHeight), aspect: live.width / live.height,
    dirs: p.map(e => e.dir) }; }"""


@pytest.mark.parametrize("size", [(1280, 720), (1080, 1920), (800, 480)])
def test_the_longest_words_are_whole_beneath_the_sign_and_so_is_the_picture(chromium, wordy, behind, size):
    page = door_of(wordy, chromium, size, reduced_motion="reduce")
    tell(wordy, behind, STATES["missing"])
    wait_for_state(page, "missing")
    for width, height in ((854, 480), (360, 640)):
        wordy.call_soon(lambda shape=(width, height): behind.hub.show("gate", Role.DOOR, jpeg(*shape)))
        until(page, f"document.getElementById('live').width === {width}")
        page.evaluate("document.fonts.ready.then(() => 1)")
        page.wait_for_timeout(1100)  # one picture a second is shown to who wants less motion
        seen = page.evaluate(FITS)
        assert (seen["inside"], seen["whole"], seen["above"]) == (True, True, True), seen
        assert seen["sign"] >= 0.24
        assert seen["aspect"] == pytest.approx(width / height, rel=0.02)
        assert set(seen["dirs"]) == {"auto"}
    photograph(page, f"door-long-{size[0]}")
    page.context.close()


def test_short_words_stay_as_large_as_they_were(chromium, server, behind):
    page = door_of(server, chromium)
    tell(server, behind, STATES["missing"])
    wait_for_state(page, "missing")
    page.evaluate("document.fonts.ready.then(() => 1)")
    sizes = "[...document.querySelectorAll('#words p')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    until(page, f"{sizes}.join() === [81.92, 50.4].join()")
    page.context.close()


def test_nobody_is_welcomed_before_a_frame_was_judged_and_nothing_flashes(chromium, server, behind):
    page = door_of(server, chromium)
    until(page, "document.body.dataset.state === 'starting' && !document.querySelector('#words p')")
    page.evaluate(
        """() => { window.seen = [];
        new MutationObserver(() => seen.push([document.body.dataset.state, performance.now()]))
          .observe(document.body, { attributes: true, attributeFilter: ["data-state"] }); }"""
    )
    for number in range(12):
        tell(server, behind, STATES["missing" if number % 2 else "correct"])
        page.wait_for_timeout(100)
    wait_for_state(page, "missing")
    seen = [one for one in page.evaluate("seen") if one[0] != "starting"]
    assert {state for state, _ in seen} == {"correct", "missing"}
    assert all(later - sooner > 150 for (_, sooner), (_, later) in pairwise(seen)), seen
    page.context.close()


def test_a_second_link_in_one_browser_opens_its_page_as_the_first_did(chromium, server):
    with chromium.new_context() as context:
        for token, place in ((TOKENS.door, "/door"), (TOKENS.door, "/door"), (TOKENS.operator, "/")):
            page = context.new_page()
            page.goto(f"{server.url}login#token={token}")
            page.wait_for_url(f"{server.url.rstrip('/')}{place}")
            page.close()


def test_bogus_links_of_a_foreign_page_keep_no_screen_out(chromium, server):
    """Neither with a session nor without one; where gatecam does not answer, the page tries again."""
    with chromium.new_context() as context:
        page = context.new_page()
        for _ in range(7):
            page.goto(f"{server.url}login#token=bogus")
            expect(page.get_by_role("alert")).to_be_visible()
            page.goto("about:blank")
        lost: list[str] = []

        def lose_once(route) -> None:
            is_lost = route.request.method == "POST" and not lost
            lost.extend([route.request.url] * is_lost)
            route.abort() if is_lost else route.continue_()

        page.route("**/login", lose_once)
        page.goto(f"{server.url}login#token={TOKENS.door}")
        page.wait_for_url("**/door")
        assert lost
        page.unroute("**/login")
        cookies = context.cookies()
        for _ in range(7):
            page.goto("about:blank")
            page.goto(f"{server.url}login?next=/door#token=bogus")
            page.wait_for_url(f"{server.url}door")
        assert context.cookies() == cookies


def test_a_link_leads_to_its_camera_and_one_that_is_none_is_told(chromium, server, behind):
    page = door_of(server, chromium, place="door?camera=moon")
    wait_for_state(page, "refused")
    expect(page.locator("#words p").last).to_have_text("There is no camera moon. Available: gate, 문/앞")
    assert (is_whole(page), faults(page)) == (True, [])
    page.goto(f"{server.url}door?camera=gate")
    wait_for_state(page, "starting")
    page.context.clear_cookies()
    page.evaluate("sessionStorage.clear()")
    page.goto(f"{server.url}door?camera=gate")
    page.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This token is wrong.")
    page.get_by_label("Token").fill(TOKENS.door)
    page.keyboard.press("Enter")
    page.wait_for_url("**/door?camera=gate")
    page.goto(server.url)
    expect(page.get_by_role("alert")).to_contain_text("log in with the operator's token")
    page.context.close()


def test_pages_of_an_earlier_start_are_loaded_anew_and_lost_sessions_led_to_the_login(
    chromium, behind, tmp_path
):
    """The door has kept its link's token and comes back by itself."""
    config = WebConfig(port=free_port())
    with WebServer(build_app(Config(), TOKENS, behind, tmp_path), config, pytest.fail) as server:
        door = door_of(server, chromium, place="door?camera=gate")
        wait_for_state(door, "starting")
        operator = door.context.browser.new_context().new_page()
        operator.goto(f"{server.url}login#token={TOKENS.operator}")
        expect(operator.locator("#cameras h3")).to_have_text(["gate"])
        for page in (door, operator):
            page.evaluate("window.isOld = true")
    wait_for_state(door, "unseen")
    expect(operator.locator("#cameras li.lost .what")).to_have_text("No connection")
    expect(operator.locator("#found")).to_have_text("Not shown: gatecam does not answer.")
    health = Health(
        "0.1.0", 7, 60.0, "cpu", cameras=(CameraHealth("yard", "open"), CameraHealth("gate", "open"))
    )
    other = replace(behind, hub=Hub(["yard", "gate"]), running=replace(behind.running, health=lambda: health))
    with WebServer(build_app(Config(), TOKENS, other, tmp_path), config, pytest.fail):
        expect(door.locator("body")).to_have_attribute("data-state", "starting")
        assert not door.evaluate("window.isOld")
        expect(operator.locator("#cameras h3")).to_have_text(["yard", "gate"])
        assert not operator.evaluate("window.isOld")
    anew = replace(TOKENS, key="another-" + "k" * 40)
    door.evaluate("window.isOld = true")
    with WebServer(build_app(Config(), anew, other, tmp_path), config, pytest.fail):
        expect(operator).to_have_url(re.compile(r"/login\?next=%2F$"))
        until(door, "!window.isOld && location.search === '?camera=gate' && document.body.dataset.state")
        wait_for_state(door, "starting")
    door.context.close()
    operator.context.close()


def test_a_picture_that_is_not_live_says_so(chromium, server, behind):
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{server.url}login#token={TOKENS.operator}")
        item, what = page.locator("#cameras li"), page.locator("#cameras .what")
        expect(what).to_have_text("Nothing judged yet")
        tell(server, behind, STATES["missing"])
        expect(what).to_have_text("2 people; speaking to: no mask")
        server.call_soon(lambda: behind.hub.show("gate", Role.OPERATOR, jpeg(360, 640)))
        until(page, "document.querySelector('#cameras canvas').width === 360")
        assert page.evaluate("document.querySelector('#cameras canvas').clientHeight <= 0.61 * innerHeight")
        expect(page.locator("#cameras .of")).to_have_text("")
        page.get_by_role("button", name="Pause pictures").click()
        expect(page.locator("#cameras .of")).to_contain_text("Picture of ")
        server.call_soon(lambda: behind.hub.show("gate", Role.OPERATOR, jpeg(640, 480)))
        page.get_by_role("button", name="Show live pictures").click()
        server.call_soon(lambda: behind.hub.show("gate", Role.OPERATOR, jpeg(320, 240)))
        until(page, "document.querySelector('#cameras canvas').width === 320")
        tell(server, behind, STATES["unseen"])
        expect(item).to_have_class("blind still")
        expect(page.locator("#cameras .of")).to_contain_text("Picture of ")
        expect(what).to_have_text("Does not see: The camera is covered")
        assert faults(page) == []


STILL = ((0.4, 0.3, 0.46, 0.42), (0.7, 0.1, 0.72, 0.13))


def still(server, behind, *places) -> None:
    server.call_soon(lambda: behind.hub.tell_still("gate", places))


@pytest.mark.parametrize(
    ("way", "locale", "words"),
    [
        (
            "mouse",
            "en-US",
            ("never moved", "Faces in this place are ignored now. Saved in config.yaml.", "Undo"),
        ),
        (
            "keys",
            "en-US",
            ("never moved", "Faces in this place are ignored now. Saved in config.yaml.", "Undo"),
        ),
        (
            "keys",
            "ko-KR",
            (
                "움직인 적이 없음",
                "이제 이 위치의 얼굴을 무시합니다. 설정 파일에 저장했습니다: config.yaml",
                "되돌리기",
            ),
        ),
    ],
)
def test_one_click_ignores_the_place_of_a_picture_and_undo_takes_it_back(
    chromium, server, behind, way, locale, words
):
    """The button keeps its focus while the face's box trembles."""
    with chromium.new_context(locale=locale, viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{server.url}login#token={TOKENS.operator}")
        until(page, HAS_EVENTS)
        tell(server, behind, STATES["welcome"])
        show_portraits(server, behind)
        still(server, behind, *STILL)
        buttons, undo = page.locator("#cameras .view button"), page.locator("#cameras .undo")
        expect(buttons).to_have_count(2)
        until(page, "document.querySelector('#cameras canvas').width === 854")
        assert words[0] in buttons.first.get_attribute("aria-label")
        assert faults(page) == []
        photograph(page, f"ignore-before-{locale}")
        if way == "mouse":
            buttons.first.click()
        else:
            buttons.first.focus()
            still(server, behind, (0.41, 0.3, 0.46, 0.43), STILL[1])
            until(page, "document.activeElement.dataset.place === '0.41,0.3,0.46,0.43'")
            page.keyboard.press("Enter")
        still(server, behind, STILL[1])
        expect(page.locator("#cameras .kept")).to_contain_text(words[1])
        expect(undo).to_have_text(words[2])
        expect(undo).to_be_focused()
        expect(page.locator("#cameras .ignored li")).to_have_count(1)
        place = STILL[0] if way == "mouse" else (0.41, 0.3, 0.46, 0.43)
        assert behind.running.ignored()["gate"] == (place,)
        assert (is_narrow(page), faults(page)) == (True, [])
        photograph(page, f"ignore-after-{locale}")
        page.keyboard.press("Enter")
        expect(page.locator("#cameras .ignored li")).to_have_count(0)
        assert behind.running.ignored()["gate"] == ()
        still(server, behind)
        expect(buttons).to_have_count(0)


def show_portraits(server, behind) -> None:
    """Show a live picture with two faces that never moved."""
    frame = Frame("gate", 0, 0.0, np.full((480, 854, 3), 120, np.uint8))
    boxes = [Box(854 * x1, 480 * y1, 854 * x2, 480 * y2) for x1, y1, x2, y2 in STILL]
    tracks = [Track(i, box, 90, 5.0, Verdict.NONE, is_picture=True) for i, box in enumerate(boxes)]
    picture = draw(Step(frame, (), tuple(tracks), ()), boxes, Role.OPERATOR)
    server.call_soon(lambda: behind.hub.show("gate", Role.OPERATOR, picture))


def test_an_ignored_place_is_judged_again_by_its_button_and_what_is_not_saved_says_so(
    chromium, site, server, behind, monkeypatch
):
    ignoring = behind.running.ignore
    unsaved = lambda *asked: replace(ignoring(*asked), problem=SavingProblem.NOT_WRITABLE)  # noqa: E731
    running = replace(behind.running, ignore=unsaved)
    ignoring("gate", STILL[0], True)
    app = build_app(Config(), TOKENS, replace(behind, running=running))
    with WebServer(app, WebConfig(port=free_port()), pytest.fail) as own, chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{own.url}login#token={TOKENS.operator}")
        page.get_by_role("button", name="Judge again in ignored place 1 of gate").click()
        expect(page.locator("#cameras .kept")).to_contain_text(
            "Faces in this place are judged again now. This could not be saved, because config.yaml cannot "
            "be written. It lasts until gatecam restarts or its settings file is saved. To keep it, add this "
            "to the settings file: ignore: [["
        )
        assert behind.running.ignored()["gate"] == ()
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#cameras .ignored li")).to_have_count(1)


def test_who_wants_less_motion_begins_with_pictures_paused(chromium, server):
    with chromium.new_context(reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(f"{server.url}login#token={TOKENS.operator}")
        expect(page.get_by_role("button", name="Show live pictures")).to_be_visible()


def test_a_filter_is_in_the_link_at_once_and_one_that_finds_nothing_by_itself_is_told(chromium, server):
    with chromium.new_context(viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        page.goto(f"{server.url}login#token={TOKENS.operator}")
        until(page, HAS_EVENTS)
        until(page, "document.getElementById('days').scrollLeft > 0")
        page.get_by_label("Event", exact=True).select_option("no mask")
        assert "kind=mask_missing" in page.get_by_role("link", name="CSV").get_attribute("href")
        page.get_by_label("From").fill("2026-02-02T00:00")
        page.get_by_label("Until").fill("2026-01-01T00:00")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#found")).to_have_text("No such events: From is later than Until.")
        page.get_by_text("Masks worn right by day, in numbers").click()
        expect(page.locator("#days-table tbody tr").first).to_be_visible()
        assert faults(page) == []


def test_thanks_stay_for_a_moment_and_a_new_alert_does_not_wait(chromium, server, behind):
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{server.url}login#token={TOKENS.door}")
        page.wait_for_url("**/door")
        server.call_soon(lambda: behind.hub.tell_state(STATES["correct"]))
        wait_for_state(page, "correct")
        server.call_soon(lambda: behind.hub.tell_state(STATES["welcome"]))
        page.wait_for_timeout(500)
        assert page.evaluate("document.body.dataset.state") == "correct"
        server.call_soon(lambda: behind.hub.tell_state(STATES["missing"]))
        page.wait_for_timeout(300)
        assert page.evaluate("document.body.dataset.state") == "missing"
        server.call_soon(lambda: behind.hub.tell_state(STATES["welcome"]))
        wait_for_state(page, "welcome")


def is_whole(page: Page) -> bool:
    """Whether all words are on the screen, and large: a twentieth of its height at least."""
    width, height = page.viewport_size["width"], page.viewport_size["height"]
    lines = page.locator("#words p").evaluate_all(  # at once, because the page may replace them
        """lines => lines.map(line => {
            const { left, top, right, bottom } = line.getBoundingClientRect();
            return [left, top, right, bottom, parseFloat(getComputedStyle(line).fontSize)];
        })"""
    )
    size = lines[0][4]
    on_screen = all(
        left >= 0 and top >= 0 and right <= width and bottom <= height
        for left, top, right, bottom, _ in lines
    )
    return on_screen and size >= min(width, height) / 20


def test_who_wants_less_motion_gets_none(chromium, server):
    page = door_of(server, chromium, reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.body).transitionDuration") in ("0s", "0.001s")
    page.context.close()


def test_the_operators_page_is_legible_by_night(chromium, server):
    with chromium.new_context(viewport={"width": 1280, "height": 720}, color_scheme="dark") as context:
        page = context.new_page()
        page.goto(f"{server.url}login#token={TOKENS.operator}")
        until(page, HAS_EVENTS)
        assert faults(page) == []
        photograph(page, "operator-dark")


def test_the_operator_filters_events_and_takes_them_along(chromium, server, behind):
    behind.store.append([event(70)])
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{server.url}login#token={TOKENS.operator}")
        until(page, "document.querySelectorAll('#events tr').length === 6")
        page.get_by_label("Event", exact=True).select_option("mask_missing")
        page.get_by_role("button", name="Show").click()
        rows = "[...document.querySelectorAll('#events tr')]"
        until(page, f"{rows}.length === 5 && {rows}.every(row => row.dataset.kind === 'mask_missing')")
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert lines[0].startswith("at,kind,camera")
    assert [line.split(",")[1] for line in lines[1:]] == ["mask_missing"] * 5


LATIN = re.compile("[A-Za-z]{2,}")
ADDRESSES = {"rtsp", "live", "http", "onvif", "device", "service", "dev", "by", "id", "usb"}
CAMERAS = ADDRESSES | {"Hall", "HD", "Webcam"}
# Units, keys of the settings file and the hash of a chat address
UNITS = {"px", "MB", "MQTT", "notify", "sound", "command", "run", "ab"}
DATA = {"gatecam", "gate", "config", "yaml", "CSV", "English", "MiB", "GB", "cpu", "log", "min", "AM", "PM"}


def test_no_page_shows_a_word_outside_of_the_table(chromium, server, behind, monkeypatch):
    """All words are replaced by Hangul, so that every other word on a page is one that was forgotten."""
    nothing = {key: "가" + "".join(re.findall("{.+?}", text["en"])) for key, text in TEXTS.items()}
    for room in (pages, static, login):
        monkeypatch.setattr(room, "page_words", lambda language: {**nothing, "language.other": "English"})
    with chromium.new_context(locale="ko-KR") as context:
        page = context.new_page()
        page.goto(f"{server.url}login")
        assert words_of(page) <= DATA
        page.goto(f"{server.url}login?next=/#token={TOKENS.operator}")
        until(page, HAS_EVENTS)
        for presence in (STATES["welcome"], STATES["missing"], STATES["unseen"]):
            tell(server, behind, presence)
        until(page, "document.querySelector('#cameras li.blind')")
        still(server, behind, *STILL)
        page.locator(".view button").first.click()
        until(page, "document.querySelector('.ignored li')")
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        until(page, "document.querySelector('#hours svg')")
        assert words_of(page) <= DATA
        page.goto(f"{server.url}settings")
        until(page, "document.querySelectorAll('#outputs li').length === 5")
        page.locator("input[type=checkbox]").last.uncheck()
        page.locator("#outputs button").last.click()
        page.locator("form button").last.click()
        page.locator("form .main").last.click()
        until(page, "document.querySelector('#outputs .good')")
        assert words_of(page) <= DATA | UNITS
        page.goto(f"{server.url}cameras")
        until(page, "document.querySelectorAll('#cameras .facts').length === 2 && $('usb').length === 2")
        page.locator("button.add").first.click()
        page.locator("#network summary").click()
        page.locator("#search").click()
        until(page, "document.querySelector('#found button')")
        assert words_of(page) <= DATA | CAMERAS


def words_of(page: Page) -> set[str]:
    """All words in Latin letters that a page shows or reads aloud."""
    told = "[...document.body.querySelectorAll('[aria-label], [title], [placeholder]')]"
    told += ".map(e => [e.ariaLabel, e.title, e.placeholder].join(' ')).join(' ')"
    return set(LATIN.findall(f"{page.title()} {page.locator('body').inner_text()} {page.evaluate(told)}"))


def keep_picture(behind) -> None:
    """Keep a picture and a video of the newest event, which ended, was played aloud and was sent."""
    (stored,) = behind.store.find(EventFilter(), 1)
    image = np.full((480, 640, 3), (90, 120, 150), np.uint8)
    behind.evidence.make_ready()
    face = Box(250, 120, 350, 250)
    behind.evidence.save_snapshot(stored.key, snapshot_jpeg(image, face, [face]))

    def write(path: Path) -> None:
        with VideoWriter(path, 5) as video:
            for number in range(5):
                video.write(image, number / 5)

    behind.evidence.save_clip(stored.key, write)
    at_s = datetime.fromisoformat(stored.event.at).timestamp()
    behind.store.notes.end(stored.key, round(1000 * (at_s + 12)))
    behind.store.notes.say(stored.key, "tone, ko, en")


@pytest.mark.parametrize(
    ("size", "language", "scheme", "right", "played"),
    [
        ("landscape", "en-GB", "light", "It is right", "tone, Korean, English"),
        ("phone", "ko-KR", "dark", "맞음", "신호음, 한국어 음성, 영어 음성"),
    ],
)
def test_an_event_opens_by_keys_shows_its_picture_and_takes_an_answer(
    chromium, server, behind, size, language, scheme, right, played
):
    keep_picture(behind)
    width, height = SIZES[size]
    with chromium.new_context(
        viewport={"width": width, "height": height}, locale=language, color_scheme=scheme
    ) as context:
        page = context.new_page()
        page.goto(f"{server.url}login#token={TOKENS.operator}")
        until(page, "document.querySelector('#events img')?.naturalWidth === 160")
        page.locator("#events button").first.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#event")).to_be_visible()
        until(page, "document.getElementById('event-picture').naturalWidth === 640")
        until(page, "document.getElementById('event-video').duration > 0.9")
        expect(page.locator("#event figure i")).to_be_visible()
        said = page.locator("#event-facts").inner_text()
        assert all(text in said for text in ("0 %", "12", played, "Please put on your mask")), said
        assert faults(page) == []
        photograph(page, f"event-{size}")
        page.get_by_role("button", name=right, exact=True).focus()
        page.keyboard.press("Enter")
        until(page, "document.getElementById('event-said').textContent")
        expect(page.get_by_role("button", name=right, exact=True)).to_be_focused()
        assert behind.store.find(EventFilter(), 1)[0].answer is Answer.RIGHT
        page.keyboard.press("Escape")
        expect(page.locator("#event")).not_to_be_visible()
        expect(page.locator("#events button").first).to_be_focused()
        expect(page.locator("#weeks tr")).to_have_count(1)
        assert (is_narrow(page), faults(page)) == (True, [])
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"events-{size}-whole.png", full_page=True)
        page.goto(f"{server.url}#event-1")
        page.reload()
        expect(page.locator("#event")).to_be_visible()


@pytest.mark.parametrize("size", ["landscape", "phone"])
def test_a_korean_sees_every_page_in_korean_and_may_switch(chromium, server, behind, size):
    width, height = SIZES[size]
    with chromium.new_context(viewport={"width": width, "height": height}, locale="ko-KR") as context:
        page = context.new_page()
        page.goto(f"{server.url}login")
        expect(page.get_by_role("button")).to_have_text("로그인")
        assert (is_narrow(page), faults(page)) == (True, [])
        photograph(page, f"login-ko-{size}")
        page.get_by_role("link", name="English").click()
        expect(page.get_by_role("button")).to_have_text("Log in")
        assert is_narrow(page)
        photograph(page, f"login-en-{size}")
        page.goto(f"{server.url}login#token={TOKENS.operator}")
        until(page, HAS_EVENTS)
        expect(page.locator("#summary")).to_have_text("All cameras see.")
        page.get_by_role("link", name="한국어").click()
        until(page, f"{HAS_EVENTS} && document.documentElement.lang === 'ko'")
        tell(server, behind, STATES["missing"])
        expect(page.locator("#cameras .what")).to_have_text("2명, 안내 대상: 마스크 미착용")
        expect(page.locator("#hours svg")).to_be_visible()
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"operator-ko-{size}-whole.png", full_page=True)
        assert (is_narrow(page), faults(page)) == (True, [])
        page.goto(server.url)
        expect(page.get_by_role("button", name="로그아웃")).to_be_visible()


def is_narrow(page: Page) -> bool:
    """Whether the page does not scroll sideways."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def event(number: int) -> Event:
    at = datetime.now().astimezone().isoformat(timespec="milliseconds")
    return Event(EventKind.MASK_OK, "gate", number, Verdict.CORRECT, 1.0, at=at, first=True)


def test_new_events_come_without_asking_and_what_fails_is_told(chromium, server, behind, monkeypatch):
    persons = "[...document.querySelectorAll('#events tr')].map(row => row.cells[4].textContent)"
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{server.url}login#token={TOKENS.operator}")
        until(page, f"{persons}.length === 5")
        behind.store.append([event(70), event(71)])
        until(page, f"{persons}.length === 7")
        assert page.evaluate(persons)[:2] == ["#71", "#70"]
        behind.store.append([event(number) for number in range(100, 200)])
        until(page, f"{persons}[0] === '#199' && {persons}.length === 100")
        page.get_by_role("button", name="Older").click()
        until(page, f"{persons}.length === 107")
        behind.store.append([event(201)])
        until(page, f"{persons}[0] === '#201' && {persons}.length === 108")
        behind.store.erase()
        until(page, f"{persons}.length === 0")
        page.get_by_label("Event", exact=True).select_option("camera_ok")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#found")).to_have_text("No such events.")
        with monkeypatch.context() as broken:
            broken.setattr(behind.store, "find", fail)
            broken.setattr(behind.store, "arrivals", fail)
            expect(page.locator("#found")).to_have_text("Not shown: The disk is gone: mend it.")
            page.evaluate("refreshCharts()")
            expect(page.locator("section.old #people")).to_have_text("Not shown: The disk is gone: mend it.")
        page.evaluate("refreshCharts()")
        expect(page.locator("section.old")).to_have_count(0)
        expect(page.locator("#found")).to_have_text("No such events.")


def fail(*asked: object) -> None:
    raise OutputError("The disk is gone: mend it.")


def test_a_wrong_token_is_told_and_a_right_one_leads_in_by_keys_alone(chromium, server):
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(server.url)
        assert "/login" in page.url
        assert faults(page) == []
        photograph(page, "login")
        wait_for_field(page)
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        assert faults(page) == []
        page.get_by_label("Token").fill(TOKENS.operator)
        page.keyboard.press("Enter")
        page.wait_for_url(server.url)
        assert TOKENS.operator not in page.url
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login*")
        page.goto(f"{server.url}api/events")
        assert "/login" in page.url
