"""Wrong tokens: counted and logged, and never a way to keep others out."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest

pytest.importorskip("fastapi")

from gatecam.settings.schema import Config, WebConfig
from gatecam.web.failures import LINES, Client, Failures
from gatecam.web.site import build_app
from tests.web.conftest import DOOR_BEARER, HOST, TOKENS, Browser


def attempt(browser: Browser, way: str, token: str, **headers: str):
    if way == "bearer":
        return browser.ask("GET", "/door", headers={"Authorization": f"Bearer {token}", **headers})
    link = {"link": "1"} if way == "link" else {}
    return browser.ask("POST", "/login", data={"token": token, **link}, headers=headers)


@pytest.mark.parametrize("way", ["form", "link", "bearer"])
def test_who_tries_tokens_has_to_wait_but_a_right_one_is_taken_at_once(site, way):
    bad, other = Browser(site, "192.0.2.7"), Browser(site, "192.0.2.7")
    assert [attempt(bad, way, "wrong").status_code for _ in range(5)] == [401] * 5
    refused = attempt(bad, way, "wrong")
    assert refused.status_code == 429
    assert "right" in refused.text
    if way != "link":
        assert 10 <= int(refused.headers["retry-after"]) <= 16
    assert attempt(other, way, "wrong", **{"User-Agent": "another"}).status_code == 401
    assert attempt(bad, way, TOKENS.door).status_code in (200, 303)
    assert attempt(bad, way, "wrong").status_code in (200, 401), "a right token ends the wait"


def test_waits_grow_to_a_quarter_of_an_hour_and_are_forgotten():
    now_s = [0.0]
    failures = Failures(lambda: now_s[0])
    waits = []
    for _ in range(1100):
        failures.note(Client("2001:db8::1", ""))
        waits.append(failures.wait_s(Client("2001:db8::ffff", "")))
        now_s[0] += waits[-1]
    assert waits[:5] == [0, 0, 0, 0, 15]
    assert all(b == min(900, 2 * a) for a, b in pairwise(waits[4:]))
    assert failures.wait_s(Client("2001:db8:1::1", "")) == 0
    for number in range(2000):
        failures.note(Client(f"10.0.{number // 250}.{number % 250}", ""))
    assert len(failures._of) == 1000


def test_a_link_of_a_foreign_page_changes_no_session_and_costs_no_wait(site):
    """Such a page can open /login#token=… in the browser of whoever visits it."""
    browser = Browser(site)
    browser.log_in(TOKENS.operator)
    cookie = browser.cookies["gatecam"]
    for token in ["bogus"] * 7 + [TOKENS.door, TOKENS.metrics]:
        answer = attempt(browser, "link", token)
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert answer.json()["place"] == ("/door" if token == TOKENS.door else "/")
    assert browser.cookies["gatecam"] == cookie
    assert browser.log_in("wrong").status_code == 401
    assert browser.ask("GET", "/api/status").status_code == 200


def test_a_link_leads_to_its_page_and_gives_the_operators_rights(site):
    browser = Browser(site)
    assert attempt(browser, "link", TOKENS.door).json() == {"role": "door", "place": "/door"}
    asked = {"token": TOKENS.operator, "link": "1", "next": "/door?camera=a"}
    answer = browser.ask("POST", "/login", data=asked)
    assert answer.json() == {"role": "operator", "place": "/door?camera=a"}
    assert browser.ask("GET", "/api/status").status_code == 200


@pytest.mark.parametrize(
    ("proxy", "peer", "forwarded", "expected"),
    [
        (None, "127.0.0.1", "10.0.0.9", "127.0.0.1"),
        ("https://gate.example", "127.0.0.1", "10.0.0.9", "10.0.0.9"),
        ("https://gate.example", "::ffff:127.0.0.1", "10.0.0.9", "10.0.0.9"),
        ("https://gate.example", "127.0.0.1", "203.0.113.5, 10.0.0.9", "10.0.0.9"),
        ("https://gate.example", "127.0.0.1", "203.0.113.5, 10.0.0.9, ::1", "10.0.0.9"),
        ("https://gate.example", "127.0.0.1", "10.0.0.9, x\"'<b>", "127.0.0.1"),
        ("https://gate.example", "127.0.0.1", "", "127.0.0.1"),
        ("https://gate.example", "192.0.2.7", "10.0.0.9", "192.0.2.7"),
    ],
)
def test_only_the_proxy_says_who_asks_and_only_by_the_last_address(
    behind, caplog, proxy, peer, forwarded, expected
):
    browser = Browser(build_app(Config(web=WebConfig(proxy=proxy)), TOKENS, behind), peer)
    attempt(browser, "form", "bogus", **{"X-Forwarded-For": forwarded, "Host": HOST})
    assert f"A wrong token came from {expected}." in caplog.messages


def test_a_local_process_that_claims_to_be_a_visitor_keeps_that_visitor_out_of_nothing(behind):
    site = build_app(Config(web=WebConfig(proxy="http://gate.example")), TOKENS, behind)
    claim = {"X-Forwarded-For": "10.0.0.9"}
    for way in ("form", "link", "bearer"):
        for _ in range(9):
            attempt(Browser(site), way, "bogus", **claim)
        assert attempt(Browser(site), way, TOKENS.door, **claim).status_code in (200, 303)


def test_wrong_tokens_are_logged_once_for_an_address_and_minute_and_never_as_they_are(caplog):
    now_s = [0.0]
    failures = Failures(lambda: now_s[0])
    with caplog.at_level(logging.WARNING):
        for _ in range(30):
            failures.note(Client("192.0.2.7", "a"))
        failures.note_link(Client("192.0.2.8", "a"))
        now_s[0] = 61.0
        failures.tell()
        failures.tell()
    assert caplog.messages == [
        "A wrong token came from 192.0.2.7.",
        "A wrong token came from 192.0.2.8.",
        "29 more wrong tokens came from 192.0.2.7 within a minute.",
    ]


def test_a_thousand_addresses_do_not_fill_the_log(caplog):
    now_s = [0.0]
    failures = Failures(lambda: now_s[0])
    for number in range(1000):
        failures.note(Client(f"10.0.{number // 250}.{number % 250}", ""))
    now_s[0] = 61.0
    failures.tell()
    assert len(caplog.messages) == LINES + 1
    assert caplog.messages[-1] == f"{1000 - LINES} wrong tokens came from further addresses within a minute."


def test_no_log_line_holds_a_token(site, caplog):
    browser = Browser(site)
    attempt(browser, "bearer", "s3cret-guess")
    attempt(browser, "form", "s3cret-guess")
    browser.ask("GET", "/door", headers=DOOR_BEARER)
    assert "s3cret" not in caplog.text
    assert TOKENS.door not in caplog.text
