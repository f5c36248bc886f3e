"""Chromium drives both pages of a running gatecam, whose camera shows the demo clip again and again."""

from __future__ import annotations

import io
import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright")

from playwright.sync_api import Page, expect

from tests.streams import MjpegServer, free_port
from tests.web.test_browser import (
    CHROMIUM,
    HAS_EVENTS,
    PICTURES,
    SIZES,
    WAIT_MS,
    chromium,  # noqa: F401
    faults,
    is_narrow,
    is_whole,
    photograph,
    until,
    wait_for_state,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

FPS = 15  # half of the clip's
ANIMATIONS = "document.body.getAnimations({ subtree: true })"


@dataclass
class Kiosk:
    """A running gatecam before a camera that shows the demo clip again and again."""

    camera: MjpegServer
    env: dict[str, str]

    def link(self, role: str) -> str:
        """Return an address that logs in."""
        return link_of(role, tuple(self.env.items()))


@cache
def link_of(role: str, env: tuple[tuple[str, str], ...]) -> str:
    asked = [sys.executable, "-m", "gatecam", "token", role, "--link"]
    return subprocess.run(asked, env=dict(env), capture_output=True, text=True, check=True).stdout.strip()


def frames_of(path: Path) -> list[bytes]:
    """Return every second picture of a video."""
    found = []
    with av.open(str(path)) as container:
        for frame in itertools.islice(container.decode(video=0), None, None, 2):
            out = io.BytesIO()
            frame.to_image().save(out, "JPEG", quality=85)
            found.append(out.getvalue())
    return found


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory, demo) -> Iterator[Kiosk]:
    folder = tmp_path_factory.mktemp("kiosk")
    frames = frames_of(demo)
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
        yield Kiosk(camera, env)
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


@pytest.fixture
def visit(chromium, kiosk):  # noqa: F811
    """Opens a page of a size, logged in; every word of its console fails the test, as does any other host."""
    pages: list[SimpleNamespace] = []

    def open_page(role: str, size: str = "landscape") -> Page:
        width, height = SIZES[size]
        context = chromium.new_context(viewport={"width": width, "height": height})
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
        page.goto(kiosk.link(role))
        page.wait_for_url(lambda url: "/login" not in url)
        return page

    yield open_page
    for one in pages:
        one.context.close()
        assert one.said == []


def test_the_door_says_what_to_do_in_two_languages(visit):
    page = visit("door")
    assert page.url.endswith("/door")
    seen: dict[str, list[str]] = {}
    for state in ("missing", "incorrect", "correct") * 3:
        if state in seen:
            continue
        wait_for_state(page, state)
        until(page, f"{ANIMATIONS}.length === 0")
        if page.evaluate("document.body.dataset.state") != state:
            continue  # the clip has gone on
        seen[state] = page.locator("#words p").all_inner_texts()
        assert is_whole(page)  # before the slow checks, because the clip goes on
        photograph(page, f"door-{state}")
        assert faults(page) == []
        if {"missing", "correct"} <= seen.keys():
            break
    assert {"missing", "correct"} <= seen.keys()
    for lines in seen.values():
        assert len(lines) == 2
        assert re.search("[가-힣]", lines[0])
        assert re.fullmatch("[ -~]+", lines[1])
    assert len({tuple(lines) for lines in seen.values()}) == len(seen), "each state has its words"


def test_the_door_shows_a_live_picture(visit):
    page = visit("door")
    shown = "document.getElementById('live').toDataURL()"
    first = page.evaluate(shown)
    until(page, f"{shown} !== {first!r}")
    second = page.evaluate(shown)
    until(page, f"{shown} !== {second!r}")


@pytest.mark.parametrize("size", ["landscape", "phone"])
def test_the_operator_sees_all_on_one_page(visit, size):
    page = visit("operator", size)
    expect(page.get_by_role("heading", level=1)).to_have_text("gatecam")
    expect(page.locator("#cameras li")).to_have_count(1)
    until(page, HAS_EVENTS)
    expect(page.locator("#summary")).to_contain_text("All cameras see.")  # perhaps slowly, beside other tests
    expect(page.locator("#hours svg")).to_be_visible()
    expect(page.locator("#days svg")).to_be_visible()
    expect(page.locator("#machine")).to_contain_text("openvino")
    until(page, "document.querySelector('#cameras canvas').width === 640")
    photograph(page, f"operator-{size}")
    page.screenshot(path=PICTURES / f"operator-{size}-whole.png", full_page=True)
    assert faults(page) == []
    assert is_narrow(page)


def test_the_door_says_when_the_camera_does_not_see(visit, kiosk):
    """The last one: the camera is gone afterwards."""
    page, operator = visit("door"), visit("operator")
    wait_for_state(page, "missing")
    kiosk.camera.kill()
    wait_for_state(page, "unseen")
    until(page, f"{ANIMATIONS}.length === 0")
    photograph(page, "door-unseen")
    assert faults(page) == []
    assert page.locator("#live").is_hidden()
    expect(operator.locator("#cameras li.blind .what")).to_contain_text("Does not see: The camera")
    expect(operator.locator("#cameras .rate")).to_contain_text("Has not seen for ")
    expect(operator.locator("#summary")).to_contain_text("A camera does not see.")
    photograph(operator, "operator-unseen")
    assert faults(operator) == []
