"""Sessions: over when they are over, whatever the clock does, a restart between or a full disk."""

from __future__ import annotations

import asyncio
import json
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from gatecam.settings.schema import WebConfig
from gatecam.web import guard as guarding
from gatecam.web.failures import Failures
from gatecam.web.guard import SESSION_OVER, Guard
from gatecam.web.passwords import Passwords
from gatecam.web.places import Places
from gatecam.web.sessions import Sessions
from gatecam.web.tokens import Role
from gatecam.web.users import Users
from tests.web.conftest import HOST, TOKENS, Browser

HALF_DAY_S = 12 * 3600
YEAR_S = 365 * 86_400


class Table:
    """Sessions with clocks that a test sets, in a file that is read anew by `restart`."""

    def __init__(self, file: Path) -> None:
        self.file, self.clock_s, self.monotonic_s = file, 1.8e9, 0.0
        self.restart()

    def restart(self, tokens=TOKENS) -> None:
        self.sessions = Sessions(
            tokens, WebConfig(), self.file, lambda: self.clock_s, lambda: self.monotonic_s
        )

    def log_in(self, role: Role = Role.OPERATOR) -> str:
        return self.sessions.issue(role).split(";")[0].partition("=")[2]

    def log_out(self, value: str) -> None:
        session = self.sessions.read(value)
        assert session is not None
        self.sessions.revoke(session)

    def holds(self, value: str) -> bool:
        return self.sessions.read(value) is not None


@pytest.fixture
def table(tmp_path) -> Table:
    return Table(tmp_path / "sessions.json")


@pytest.mark.parametrize(("role", "lifetime_s"), [(Role.OPERATOR, HALF_DAY_S), (Role.DOOR, 400 * 86_400)])
def test_a_session_holds_over_a_restart_and_ends_in_time(table, role, lifetime_s):
    value = table.log_in(role)
    table.restart()
    assert table.holds(value)
    table.monotonic_s += lifetime_s + 1
    assert not table.holds(value)
    table.clock_s += lifetime_s + 1
    table.restart()
    assert not table.holds(value)


@pytest.mark.parametrize("jump_s", [0, -YEAR_S, 3 * YEAR_S])
def test_who_logged_out_stays_out_over_restarts_and_jumps_of_the_clock(table, jump_s):
    value, other = table.log_in(), table.log_in(Role.DOOR)
    table.log_out(value)
    assert not table.holds(value)
    for shift_s in (jump_s, -jump_s):
        table.clock_s += shift_s
        table.restart()
        table.log_in()
        assert not table.holds(value)
    assert jump_s > 0 or table.holds(other)


def test_a_clock_that_jumps_ends_no_session_of_the_running_program_and_lengthens_none(table):
    value = table.log_in()
    table.clock_s += 10 * YEAR_S
    assert table.holds(value)
    table.clock_s -= 20 * YEAR_S
    table.restart()
    table.monotonic_s += HALF_DAY_S + 1
    assert not table.holds(value)


def test_new_tokens_end_all_sessions(table):
    value = table.log_in()
    table.restart(replace(TOKENS, key="another-" + "k" * 40))
    assert not table.holds(value)


def test_the_table_is_bounded_and_the_least_used_sessions_go_first(table, monkeypatch):
    monkeypatch.setattr("gatecam.web.sessions.MOST_SESSIONS", 5)
    used, unused, operator = table.log_in(Role.DOOR), table.log_in(Role.DOOR), table.log_in()
    for _ in range(4):
        assert table.holds(used)
        table.log_in(Role.DOOR)
    assert (table.holds(used), table.holds(unused), table.holds(operator)) == (True, False, True)
    assert len(json.loads(table.file.read_text())) == 6


def test_sessions_that_are_over_leave_the_file_which_is_this_users_and_holds_no_cookie(table):
    value = table.log_in()
    assert stat.S_IMODE(table.file.stat().st_mode) == 0o600
    assert value not in table.file.read_text()
    table.monotonic_s += HALF_DAY_S + 1
    table.log_in()
    assert len(json.loads(table.file.read_text())) == 1


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '[{"id": "x"}]', '[{"id": "x", "role": "god", "expires_s": 1}]', "{}"]
)
def test_a_damaged_file_ends_all_sessions_and_is_told(table, caplog, content):
    value = table.log_in()
    table.file.write_text(content)
    table.restart()
    assert not table.holds(value)
    assert table.holds(table.log_in())
    assert content == "{}" or "all browsers have to log in again" in caplog.text


def test_a_logout_that_cannot_be_written_is_none_that_a_restart_forgets(table, caplog, monkeypatch):
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    value = table.log_in()
    monkeypatch.setattr("gatecam.web.sessions.replace_own", full)
    table.log_out(value)
    table.restart()
    assert not table.holds(value)
    assert "No space left on device" in caplog.text


def test_with_tls_the_cookie_is_bound_to_it():
    cookie = Sessions(TOKENS, WebConfig(proxy="https://gate.example")).issue(Role.DOOR)
    assert cookie.startswith("__Host-gatecam=")
    assert "; Secure" in cookie


@pytest.mark.parametrize("way", ["logout", "expiry"])
def test_live_pictures_end_with_their_session(server, site, monkeypatch, way):
    monkeypatch.setattr(guarding, "FOLLOW_S", 0.05)
    with httpx.Client(base_url=server.url) as client:
        client.post("login", data={"token": TOKENS.operator})
        headers = {"Cookie": f"gatecam={client.cookies['gatecam']}"}
        address = server.url.replace("http", "ws") + "live"
        with connect(address, additional_headers=headers, origin=server.url.rstrip("/")) as socket:
            assert socket.recv(timeout=10)
            if way == "logout":
                csrf = {"X-CSRF-Token": client.get("session").json()["csrf_token"]}
                assert client.post("logout", headers=csrf).status_code == 204
            else:
                monkeypatch.setattr(site._sessions, "_monotonic", lambda: float("inf"))
            with suppress(ConnectionClosed):
                while True:
                    socket.recv(timeout=3)
            assert socket.close_code == SESSION_OVER


def test_a_download_ends_with_its_session():
    sessions = Sessions(TOKENS, WebConfig())
    value = sessions.issue(Role.OPERATOR).split(";")[0].partition("=")[2]

    async def download(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"before", "more_body": True})
        sessions.revoke(sessions.read(value))
        await send({"type": "http.response.body", "body": b"after", "more_body": True})

    sent = []

    async def send(message) -> None:
        sent.append(message.get("body"))

    passwords = Passwords(Users(None), lambda: 0.0, lambda *line: None)
    guard = Guard(download, TOKENS, sessions, Failures(lambda: 0.0), passwords, WebConfig(), Places())
    headers = [(b"host", HOST.encode()), (b"cookie", f"gatecam={value}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/api/events.csv", "headers": headers}
    with pytest.raises(guarding._OverError):
        asyncio.run(guard(scope, None, send))
    assert sent == [None, b"before"]


def test_a_restart_brings_no_session_back_that_logged_out(site, behind, tmp_path):
    from gatecam.settings.schema import Config
    from gatecam.web.site import build_app

    browser = Browser(site)
    browser.log_in()
    stolen = dict(browser.cookies)
    browser.ask("POST", "/logout", headers=browser.csrf())
    browser.log_in()
    again = Browser(build_app(Config(), TOKENS, behind, tmp_path))
    again.cookies.update(stolen)
    assert again.ask("GET", "/api/status").status_code == 401
    again.cookies.update(browser.cookies)
    assert again.ask("GET", "/api/status").status_code == 200
