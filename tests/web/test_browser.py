"""Chromium drives both pages while a camera shows the demo clip; screenshots stay in `test-output/pages`."""

from __future__ import annotations

import io
import itertools
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gatecam.errors import OutputError
from gatecam.types import Event, EventKind, Presence, Verdict
from tests.clips import write_demo
from tests.streams import MjpegServer, free_port
from tests.web.conftest import TOKENS

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

PICTURES = Path(__file__).parents[2] / "test-output" / "pages"
FPS = 25
WAIT_MS = 40_000  # the clip takes 24 s
HAS_EVENTS = "document.querySelectorAll('#events tr').length > 0"
SERIOUS = ("serious", "critical")
SIZES = {"landscape": (1280, 720), "portrait": (1080, 1920), "phone": (390, 844)}


@dataclass
class Kiosk:
    """A running gatecam before a camera that shows the demo clip again and again."""

    camera: MjpegServer
    env: dict[str, str]
    err: Path

    def link(self, *words: str) -> str:
        """An address that logs in."""
        asked = [sys.executable, "-m", "gatecam", "token", *words, "--link"]
        return subprocess.run(asked, env=self.env, capture_output=True, text=True, check=True).stdout.strip()


def frames_of(path: Path) -> list[bytes]:
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            out = io.BytesIO()
            frame.to_image().save(out, "JPEG", quality=85)
            found.append(out.getvalue())
    return found


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory) -> Iterator[Kiosk]:
    folder = tmp_path_factory.mktemp("kiosk")
    write_demo(folder / "demo.mp4")
    frames = frames_of(folder / "demo.mp4")
    camera = MjpegServer(plan=lambda viewer: viewer.film(itertools.cycle(frames), FPS))
    camera.start()
    env = {
        **os.environ,
        "XDG_RUNTIME_DIR": str(folder),
        "XDG_DATA_HOME": str(folder),
        "GATECAM_NOTIFY_SOUND": "false",
        "GATECAM_WEB_PORT": str(free_port()),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    words = [sys.executable, "-m", "gatecam", "run", "--camera", camera.url, "--headless", "--web"]
    with (folder / "err").open("w") as err:
        process = subprocess.Popen(words, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=err)
    try:
        wait_for_pages(process, folder / "err")
        yield Kiosk(camera, env, folder / "err")
    finally:
        process.terminate()
        process.wait(30)
        camera.kill()


def wait_for_pages(process: subprocess.Popen, err: Path) -> None:
    end_s = time.monotonic() + 60
    while "the pages are at" not in err.read_text():
        assert process.poll() is None, err.read_text()
        assert time.monotonic() < end_s, err.read_text()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, kiosk):
    """Opens a page of a size, logged in; every word of its console fails the test, as does any other host."""
    pages: list[SimpleNamespace] = []

    def open_page(*words: str, size: str = "landscape", **more) -> Page:
        width, height = SIZES[size]
        context = chromium.new_context(viewport={"width": width, "height": height}, **more)
        page, said = context.new_page(), []
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                "//127.0.0.1" in asked.url or asked.url[:4] in ("blob", "data") or said.append(asked.url)
            ),
        )
        pages.append(SimpleNamespace(context=context, said=said))
        page.goto(kiosk.link(*words))
        return page

    yield open_page
    for one in pages:
        one.context.close()
        assert one.said == []


def photograph(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def faults(page: Page) -> list[str]:
    """What axe-core finds that is serious."""
    found = Axe().run(
        page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    return [
        f"{one['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for one in found.response["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


def until(page: Page, expression: str) -> None:
    """Wait until an expression of JavaScript is true; the library's own way is what the pages forbid."""
    end_s = time.monotonic() + WAIT_MS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < end_s, expression
        page.wait_for_timeout(20)


def wait_for_state(page: Page, state: str) -> None:
    until(page, f"document.body.dataset.state === '{state}'")


@pytest.mark.parametrize("size", ["landscape", "portrait"])
def test_the_door_says_what_to_do_in_two_languages(visit, size):
    page = visit("door", size=size)
    assert page.url.endswith("/door")
    seen: dict[str, list[str]] = {}
    for state in ("missing", "incorrect", "correct"):
        wait_for_state(page, state)
        page.wait_for_timeout(500)  # the colour has changed
        if page.evaluate("document.body.dataset.state") != state:
            continue  # the clip has gone on
        seen[state] = page.locator("#words p").all_inner_texts()
        photograph(page, f"door-{size}-{state}")
        assert faults(page) == []
        assert is_whole(page)
    assert {"missing", "correct"} <= seen.keys()
    for lines in seen.values():
        assert len(lines) == 2
        assert re.search("[가-힣]", lines[0])
        assert re.fullmatch("[ -~]+", lines[1])
    assert len({tuple(lines) for lines in seen.values()}) == len(seen), "each state has its words"


STATES = {
    "welcome": Presence("gate"),
    "missing": Presence("gate", 2, Verdict.NONE),
    "incorrect": Presence("gate", 1, Verdict.INCORRECT),
    "unknown": Presence("gate", 1, Verdict.UNKNOWN),
    "correct": Presence("gate", 1, Verdict.CORRECT),
    "unseen": Presence("gate", blindness="covered"),
}


def test_every_state_of_the_door_is_legible(chromium, server, behind):
    with chromium.new_context(viewport={"width": 1280, "height": 720}, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(f"{server.url}login#token={TOKENS.door}")
        page.wait_for_url("**/door")
        texts = set()
        for state, presence in STATES.items():
            server.call_soon(lambda presence=presence: behind.hub.tell_state(presence))
            wait_for_state(page, state)
            texts.add(page.locator("#words").inner_text())
            assert page.locator("#sign").is_visible()
            assert (is_whole(page), faults(page)) == (True, []), state
            photograph(page, f"state-{state}")
        assert len(texts) == len(STATES)


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
    boxes = [line.bounding_box() for line in page.locator("#words p").all()]
    width, height = page.viewport_size["width"], page.viewport_size["height"]
    size = float(page.locator("#words p").first.evaluate("e => parseFloat(getComputedStyle(e).fontSize)"))
    on_screen = all(
        box["x"] >= 0
        and box["y"] >= 0
        and box["x"] + box["width"] <= width
        and box["y"] + box["height"] <= height
        for box in boxes
    )
    return on_screen and size >= min(width, height) / 20


def test_the_door_shows_a_live_picture(visit):
    page = visit("door")
    shown = "document.getElementById('live').toDataURL()"
    first = page.evaluate(shown)
    until(page, f"{shown} !== {first!r}")
    second = page.evaluate(shown)
    until(page, f"{shown} !== {second!r}")


def test_who_wants_less_motion_gets_none(visit):
    page = visit("door", reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.body).transitionDuration") in ("0s", "0.001s")


@pytest.mark.parametrize("size", ["landscape", "phone"])
def test_the_operator_sees_all_on_one_page(visit, size):
    page = visit("operator", size=size)
    expect(page.get_by_role("heading", level=1)).to_have_text("gatecam")
    expect(page.locator("#cameras li")).to_have_count(1)
    until(page, HAS_EVENTS)
    expect(page.locator("#summary")).to_have_text("All cameras see.")
    expect(page.locator("#hours svg")).to_be_visible()
    expect(page.locator("#days svg")).to_be_visible()
    expect(page.locator("#machine")).to_contain_text("openvino")
    page.wait_for_timeout(2000)
    photograph(page, f"operator-{size}")
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"operator-{size}-whole.png", full_page=True)
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_operators_page_is_legible_by_day_and_by_night(visit, scheme):
    page = visit("operator", color_scheme=scheme)
    until(page, HAS_EVENTS)
    assert faults(page) == []
    photograph(page, f"operator-{scheme}")


def test_the_operator_filters_events_and_takes_them_along(visit):
    page = visit("operator")
    until(page, HAS_EVENTS)
    page.get_by_label("Event", exact=True).select_option("mask_missing")
    page.get_by_role("button", name="Show").click()
    rows = "[...document.querySelectorAll('#events tr')]"
    until(page, f"{rows}.length && {rows}.every(row => row.dataset.kind === 'mask_missing')")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0].startswith("at,kind,camera")
    assert {line.split(",")[1] for line in lines[1:]} == {"mask_missing"}


def event(number: int) -> Event:
    at = datetime.now().astimezone().isoformat(timespec="milliseconds")
    return Event(EventKind.MASK_OK, "gate", number, Verdict.CORRECT, 1.0, at=at, first=True)


def test_new_events_come_without_asking_and_what_fails_is_told(chromium, server, behind, monkeypatch):
    persons = "[...document.querySelectorAll('#events tr')].map(row => row.cells[3].textContent)"
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
        page.get_by_label("Event", exact=True).select_option("camera_ok")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#found")).to_have_text("No such events.")
        with monkeypatch.context() as broken:
            broken.setattr(behind.store, "find", fail)
            expect(page.locator("#found")).to_have_text(
                "Not shown: The disk is gone: mend it.", timeout=WAIT_MS
            )
        expect(page.locator("#found")).to_have_text("No such events.", timeout=WAIT_MS)


def fail(*asked: object) -> None:
    raise OutputError("The disk is gone: mend it.")


def test_the_operator_changes_a_setting_by_keys_alone(visit):
    page = visit("operator")
    field = page.get_by_label("Time until a reminder (s)")
    field.wait_for()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "setting-policy.remind_s":
            break
    assert page.evaluate("document.activeElement.id") == "setting-policy.remind_s"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Control+A")
    page.keyboard.type("33")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("33")
    page.reload()
    expect(page.get_by_label("Time until a reminder (s)")).to_have_value("33")


def test_a_wrong_token_is_told_and_a_right_one_leads_in_by_keys_alone(chromium, kiosk):
    link = kiosk.link()
    address, token = link.split("/login#token=")
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}/")
        assert "/login" in page.url
        assert faults(page) == []
        photograph(page, "login")
        page.keyboard.press("Tab")
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        assert faults(page) == []
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}/")
        assert token not in page.url
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login")
        page.goto(f"{address}/api/events")
        assert "/login" in page.url


def test_the_door_says_when_the_camera_does_not_see(visit, kiosk):
    """The last one: the camera is gone afterwards."""
    page, operator = visit("door"), visit("operator")
    wait_for_state(page, "missing")
    kiosk.camera.kill()
    wait_for_state(page, "unseen")
    page.wait_for_timeout(500)
    photograph(page, "door-unseen")
    assert faults(page) == []
    assert page.locator("#live").is_hidden()
    expect(operator.locator("#cameras li.blind .what")).to_contain_text("Does not see: The camera")
    expect(operator.locator("#summary")).to_have_text("A camera does not see.")
    photograph(operator, "operator-unseen")
    assert faults(operator) == []
