"""Where the pages are put, in Chromium: behind nginx or Caddy below a path, and in another site's frame."""

from __future__ import annotations

import http.server
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urljoin

import httpx
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright")

from playwright.sync_api import expect
from websockets.sync.client import connect

from gatecam.settings.schema import Config, WebConfig
from gatecam.web.server import WebServer
from gatecam.web.site import build_app
from gatecam.web.tokens import Role
from tests.streams import free_port
from tests.web.conftest import TOKENS
from tests.web.test_browser import CHROMIUM, STATES, chromium, jpeg, tell, until, wait_for_state  # noqa: F401
from tests.web.test_server import certificate  # noqa: F401

DOCS = Path(__file__).parents[2] / "docs" / "web.md"
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; {location} }}
}}
"""


def serve(behind, folder: Path, **words: object) -> WebServer:
    """The site with settings of the pages."""
    web = WebConfig(**{"port": free_port(), **words})
    return WebServer(build_app(Config(web=web), TOKENS, behind, folder), web, pytest.fail)


@pytest.fixture
def proxied(behind, tmp_path) -> Iterator[tuple[str, WebServer]]:
    """The site behind nginx as the docs set it up, and its address there."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/entrance/"
    (location,) = re.findall(r"```nginx\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    with serve(behind, tmp_path, proxy=address) as server:
        location = location.replace("127.0.0.1:8790", f"127.0.0.1:{server.port}")
        folder = tmp_path / "nginx"
        folder.mkdir()
        (folder / "conf").write_text(NGINX.format(folder=folder, port=port, location=location))
        words = ["nginx", "-c", str(folder / "conf"), "-e", str(folder / "error.log")]
        with subprocess.Popen(words) as nginx:
            try:
                wait_for(port)
                yield address, server
            finally:
                nginx.terminate()


def wait_for(port: int) -> None:
    end_s = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < end_s
            time.sleep(0.02)
        else:
            return


@needs_nginx
@needs_chromium
def test_all_pages_work_below_a_path_of_nginx(chromium, proxied, behind):  # noqa: F811
    address, server = proxied
    assert server.urls[-1] == address
    with chromium.new_context() as context:
        page = context.new_page()
        asked, said = [], []
        page.on("request", lambda one: asked.append(one.url))
        page.on("websocket", lambda one: asked.append(one.url))
        page.on("console", lambda one: said.append(one.text))
        page.goto(f"{address}statistics")
        assert page.url == f"{address}login?next=/statistics"
        page.get_by_label("Token").fill(TOKENS.operator)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}statistics?**")
        expect(page.locator("#chart svg")).to_be_visible()
        page.get_by_role("link", name="Live").click()
        page.wait_for_url(address)
        tell(server, behind, STATES["missing"])
        expect(page.locator("#cameras .what")).to_have_text("2 people; speaking to: no mask")
        server.call_soon(lambda: behind.hub.show("gate", Role.OPERATOR, jpeg(320, 240)))
        until(page, "document.querySelector('#cameras canvas').width === 320")
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        assert download.value.suggested_filename == "gatecam-events.csv"
        page.get_by_role("link", name="Settings").click()
        page.get_by_role("link", name="한국어").click()
        page.wait_for_url(f"{address}settings?language=ko")
        page.goto(f"{address}door")
        wait_for_state(page, "missing")
        (cookie,) = [one for one in context.cookies() if one["name"].startswith("gatecam-e")]
        assert cookie["name"] == "gatecam-entrance"
        page.goto(address)
        page.locator("#logout").click()
        page.wait_for_url(f"{address}login")
        page.goto(f"{address}login?next=/door#token={TOKENS.door}")
        page.wait_for_url(f"{address}door")
        assert all(re.sub("^ws", "http", one).startswith((address, "blob:", "data:")) for one in asked), asked
        assert any(one.startswith("ws") for one in asked)
        assert said == []


@needs_nginx
def test_a_failure_behind_nginx_is_told_with_the_address_of_the_visitor(proxied, caplog):
    address, _ = proxied
    headers = {"X-Forwarded-For": "192.0.2.1, 198.51.100.7"}
    with httpx.Client(headers=headers) as client:
        assert client.post(f"{address}login", data={"token": "wrong"}).status_code == 401
    assert "A wrong token came from 198.51.100.7." in caplog.text


@pytest.fixture
def behind_caddy(behind, tmp_path, monkeypatch) -> Iterator[tuple[str, WebServer]]:
    """The site behind Caddy as the docs set it up, but without TLS, and its address there."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/entrance/"
    (site,) = re.findall(r"```\ngate\.example (.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    with serve(behind, tmp_path, proxy=address) as server:
        site = site.replace("127.0.0.1:8790", f"127.0.0.1:{server.port}")
        file = tmp_path / "Caddyfile"
        file.write_text(f"{{\nadmin off\n}}\nhttp://127.0.0.1:{port} {site}")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        words = ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)]
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as caddy:
            try:
                wait_for(port)
                yield address, server
            finally:
                caddy.terminate()


@pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is not installed")
def test_pages_live_pictures_and_settings_work_below_a_path_of_caddy(behind_caddy, behind, caplog):
    address, server = behind_caddy
    with httpx.Client(headers={"Origin": address.removesuffix("/entrance/")}) as client:
        assert client.get(address.removesuffix("/")).headers["location"] == "/entrance/"
        forged = {"X-Forwarded-For": "198.51.100.7"}
        assert client.post(f"{address}login", data={"token": "wrong"}, headers=forged).status_code == 401
        assert "A wrong token came from 127.0.0.1." in caplog.text
        answer = client.post(f"{address}login", data={"token": TOKENS.operator})
        assert (answer.status_code, answer.headers["location"]) == (303, "./")
        page = client.get(address)
        assert page.status_code == 200
        names = re.findall(r'(?:src|href)="([^":]+\.(?:js|css))"', page.text)
        assert names
        assert {client.get(urljoin(address, name)).status_code for name in names} == {200}
        csrf = {"X-CSRF-Token": client.get(f"{address}session").json()["csrf_token"]}
        wanted = {"values": {"policy.remind_s": 20}}
        told = client.post(f"{address}api/settings", json=wanted, headers=csrf).json()
        assert told["settings"]["policy.remind_s"]["value"] == 20
        cookie = {"Cookie": f"gatecam-entrance={client.cookies['gatecam-entrance']}"}
        origin = client.headers["Origin"]
    with connect(f"{address.replace('http', 'ws', 1)}live", additional_headers=cookie, origin=origin) as live:
        assert '"camera": "' in live.recv(timeout=10)
        server.call_soon(lambda: behind.hub.show("gate", Role.OPERATOR, jpeg(320, 240)))
        while isinstance(live.recv(timeout=10), str):  # the states come as texts, the pictures as bytes
            pass


class Dashboard(http.server.BaseHTTPRequestHandler):
    """A page of another site with one frame, whose address is the query."""

    def do_GET(self) -> None:
        address = unquote(self.path.partition("?")[2])
        html = f"<!doctype html><iframe src='{address}' width=900 height=600></iframe>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(html.encode())

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def dashboard() -> Iterator[str]:
    """The address of a dashboard under another host name than the pages."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dashboard) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://localhost:{made.server_port}"
        made.shutdown()


@needs_chromium
def test_only_the_named_site_may_show_the_pages_in_a_frame(
    chromium,  # noqa: F811
    behind,
    tmp_path,
    dashboard,
    certificate,  # noqa: F811
):
    with (
        serve(behind, tmp_path, framed_by=(dashboard,), **certificate) as server,
        chromium.new_context(ignore_https_errors=True) as context,
    ):
        page = context.new_page()
        page.goto(f"{dashboard}/?{quote(f'{server.url}login?next=/door#token={TOKENS.door}')}")
        frame = page.frame_locator("iframe")
        expect(frame.locator("body")).to_have_attribute("data-state", re.compile("starting|unseen"))
        tell(server, behind, STATES["missing"])
        expect(frame.locator("body")).to_have_attribute("data-state", "missing")
        other = dashboard.replace("localhost", "127.0.0.1")
        page.goto(f"{other}/?{server.url}login")
        page.wait_for_timeout(300)
        assert "chrome-error" in page.frames[1].url
