"""Where the pages are put: in a frame of another site, over IPv6, and by a name in `.local`."""

from __future__ import annotations

import socket

import httpx
import pytest

pytest.importorskip("fastapi")

from websockets.sync.client import connect

from gatecam.settings.schema import Config, WebConfig
from gatecam.web.server import WebServer
from gatecam.web.site import build_app
from tests.streams import free_port
from tests.web.conftest import BEARER, TOKENS, Browser


def test_no_site_may_frame_the_pages_by_default_and_cookies_stay_strict(browser):
    headers = browser.ask("GET", "/login").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert "SameSite=Strict" in browser.log_in().headers["set-cookie"]


def test_over_plain_http_a_frame_keeps_the_strict_cookie(behind):
    web = WebConfig(framed_by=("http://home.local:8123",))
    answer = Browser(build_app(Config(web=web), TOKENS, behind)).log_in()
    assert answer.headers["set-cookie"].endswith("SameSite=Strict")
    assert "frame-ancestors http://home.local:8123" in answer.headers["content-security-policy"]
    assert "x-frame-options" not in answer.headers


@pytest.mark.parametrize(
    "given", ["https://home.example/lovelace", "home.example", "*", "https://a b", "'self'"]
)
def test_what_may_frame_must_be_the_address_of_a_site(given):
    with pytest.raises(ValueError, match="without a path"):
        WebConfig(framed_by=(given,))


@pytest.mark.parametrize("host", ["::1", "::"])
def test_pages_and_live_pictures_come_over_ipv6(behind, tmp_path, host):
    web = WebConfig(host=host, port=free_port())
    with WebServer(build_app(Config(web=web), TOKENS, behind, tmp_path), web, pytest.fail) as server:
        address = f"[::1]:{server.port}"
        with httpx.Client(base_url=f"http://{address}") as client:
            origin = {"Origin": f"http://{address}"}
            answer = client.post("/login", data={"token": TOKENS.operator}, headers=origin)
            assert (answer.status_code, answer.headers["location"]) == (303, "./")
            assert client.get("/api/status").status_code == 200
            cookie = {"Cookie": f"gatecam={client.cookies['gatecam']}"}
        with connect(f"ws://{address}/live", additional_headers=cookie, origin=f"http://{address}") as live:
            assert '"camera": "' in live.recv(timeout=10)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("gate.local:8790", 200),
        ("Gate-2.local", 200),
        ("gate.local.", 200),
        ("gate.example", 200),
        ("gate:8790", 200),
        ("gate-x.local", 400),
        ("other.local", 400),
        ("gate.local.evil.example", 400),
    ],
)
def test_the_machines_name_in_the_local_network_is_accepted(behind, monkeypatch, host, status):
    monkeypatch.setattr(socket, "gethostname", lambda: "gate.example")
    browser = Browser(build_app(Config(), TOKENS, behind))
    assert browser.ask("GET", "/api/status", headers={**BEARER, "Host": host}).status_code == status
