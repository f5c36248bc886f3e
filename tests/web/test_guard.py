"""Who gets in, and who does not: one test for each way that others have tried."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from html import unescape

import pytest
from starlette.routing import BaseRoute, Route, WebSocketRoute

from gatecam.settings.schema import Config, WebConfig
from gatecam.web.guard import MAX_BODY_BYTES, PUBLIC
from gatecam.web.login import is_local
from gatecam.web.site import build_app
from tests.web.conftest import BEARER, DOOR_BEARER, HOST, METRICS_BEARER, ORIGIN, TOKENS, Browser

HTML = {"Accept": "text/html,*/*"}


def flat(routes) -> Iterator[BaseRoute]:
    """All routes, those of included routers too, which newer versions of the library keep apart."""
    for route in routes:
        router = getattr(route, "original_router", None)
        if router is None:
            yield route
        else:
            yield from flat(router.routes)


def routes(site) -> list[tuple[str, str]]:
    """Each method and path of the application, its parameters filled in."""
    found = []
    for route in flat(site._app.routes):
        if isinstance(route, Route):
            found += [(method, re.sub(r"{[^}]*}", "x", route.path)) for method in sorted(route.methods or ())]
        else:
            assert isinstance(route, WebSocketRoute), route
    assert len(found) > 12
    return found


def test_without_a_token_every_route_and_every_other_path_is_401_or_the_login(site, browser):
    for method, path in [*routes(site), ("GET", "/nothing"), ("GET", "/static/../site.py"), ("PUT", "/")]:
        if path in PUBLIC:
            continue
        answer = browser.ask(method, path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), (method, path)
        if method == "GET":
            led = browser.ask(method, path, headers=HTML)
            assert led.status_code == 303
            assert led.headers["location"].startswith("/login?next=/"), path


def test_the_token_of_the_door_opens_nothing_of_the_operators(site, browser):
    for method, path in routes(site):
        answer = browser.ask(method, path, headers=DOOR_BEARER)
        is_for_door = path.startswith(("/door", "/static", "/login", "/logout", "/session"))
        assert (answer.status_code == 403) is not is_for_door, (method, path, answer.status_code)


def test_the_token_of_metrics_opens_nothing_else(site, browser):
    for method, path in routes(site):
        expected = 200 if path == "/metrics" else 403
        assert browser.ask(method, path, headers=METRICS_BEARER).status_code == expected, (method, path)
    assert browser.log_in(TOKENS.metrics).status_code == 401


def test_the_operators_token_opens_all(browser):
    for path in ("/", "/door", "/api/status", "/api/events", "/api/people", "/api/openapi.json"):
        assert browser.ask("GET", path, headers=BEARER).status_code == 200, path


def test_every_answer_has_the_headers_that_browsers_need(site, browser):
    for path in ("/login", "/nothing", "/api/status", "/static/page.css"):
        headers = browser.ask("GET", path, headers=BEARER).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] in ("no-store", "private, max-age=0, must-revalidate")
        assert "server" not in headers


def test_a_login_gives_a_session_and_a_logout_ends_it(browser):
    answer = browser.log_in()
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKENS.operator not in cookie
    assert browser.ask("GET", "/api/status").status_code == 200
    stolen = dict(browser.cookies)
    assert browser.ask("POST", "/logout", headers=browser.csrf()).status_code == 204
    assert browser.ask("GET", "/api/status").status_code == 401
    browser.cookies.update(stolen)
    assert browser.ask("GET", "/api/status").status_code == 401


def test_a_login_leads_nowhere_else(browser):
    for place in (
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/a\r\nSet-Cookie: x=1",
        "/\tb",
        "evil",
        "/%0d%0a\x7f",
    ):
        assert not is_local(place)
        answer = browser.log_in(next=place)
        assert answer.headers["location"] == "/"
        assert "x" not in answer.cookies


def test_a_second_login_needs_no_more_than_the_first(browser):
    """A kiosk opens its link at every start, with the cookie of before."""
    for token, place in ((TOKENS.door, "/door"), (TOKENS.door, "/door"), (TOKENS.operator, "/")):
        answer = browser.log_in(token)
        assert (answer.status_code, answer.headers["location"]) == (303, place)
    assert browser.ask("GET", "/api/status").status_code == 200
    assert browser.ask("POST", "/login", data={"token": "wrong"}).status_code == 401


@pytest.mark.parametrize("place", ["/door?camera=b", "/door?camera=%EB%AC%B8%2F%EC%95%9E&x=a%20b%22%3E"])
def test_the_way_to_a_page_leads_through_the_login_past_a_wrong_token_to_it(browser, place):
    """As browsers do it: each step takes what the one before gave."""
    led = browser.ask("GET", place, headers=HTML)
    form = browser.ask("GET", led.headers["location"], headers=HTML)
    wanted = wanted_by(form.text)
    assert wanted == place
    wrong = browser.log_in("wrong", next=wanted)
    assert (wrong.status_code, wanted_by(wrong.text)) == (401, place)
    assert browser.log_in(TOKENS.door, next=wanted).headers["location"] == place


def wanted_by(form: str) -> str:
    (value,) = re.findall(r'name="next" value="([^"]*)"', form)
    return unescape(value)


def test_the_door_is_led_to_the_login_from_what_is_not_its_own_and_told_why(browser):
    browser.log_in(TOKENS.door)
    for path in ("/", "/nothing"):
        led = browser.ask("GET", path, headers=HTML)
        assert (led.status_code, led.headers["location"]) == (303, f"/login?next={path}")
        assert "operator&#x27;s token" in browser.ask("GET", led.headers["location"]).text
    assert "operator&#x27;s token" not in browser.ask("GET", "/login?next=/door").text
    assert browser.log_in(TOKENS.door, next="/").headers["location"] == "/door"
    assert browser.log_in(TOKENS.operator, next="/").headers["location"] == "/"


def test_headers_cannot_be_split_by_a_path(browser):
    answer = browser.ask("GET", "/a%0d%0aSet-Cookie:%20x=1", headers=HTML)
    assert "x" not in answer.cookies
    assert answer.headers["location"] == "/login?next=/a%250D%250ASet-Cookie%253A%2520x%253D1"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_session_changes_nothing_without_its_csrf_token(browser, method):
    browser.log_in()
    change = {"values": {"tracker.confidence": 0.8}}
    for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "x" * 64}, {"X-CSRF-Token": b"\xe9"}):
        assert browser.ask(method, "/api/settings", json=change, headers=headers).status_code == 403
    other = Browser(browser._app)
    other.log_in()
    assert browser.ask(method, "/api/settings", json=change, headers=other.csrf()).status_code == 403
    wanted = 200 if method == "POST" else 405
    assert browser.ask(method, "/api/settings", json=change, headers=browser.csrf()).status_code == wanted


def test_another_site_cannot_ask_through_a_browser(browser):
    browser.log_in()
    csrf = browser.csrf()
    change = {"values": {"tracker.confidence": 0.8}}
    for origin in ("https://evil.example", "null", f"https://{HOST}", f"{ORIGIN}.evil.example"):
        headers = {"Origin": origin, **csrf}
        assert browser.ask("POST", "/api/settings", json=change, headers=headers).status_code == 403, origin
        assert (
            browser.ask("POST", "/login", data={"token": TOKENS.operator}, headers=headers).status_code == 403
        )
    assert (
        browser.ask("POST", "/api/settings", json=change, headers={"Origin": ORIGIN, **csrf}).status_code
        == 200
    )


@pytest.mark.parametrize(
    ("proxy", "origin"),
    [
        ("https://Gate.example:443/entrance", "https://gate.example"),
        ("http://[FD00::1]:80", "http://[fd00::1]"),
        ("https://[fd00::1]:8443/", "https://[fd00::1]:8443"),
    ],
)
def test_the_address_of_a_proxy_is_compared_as_browsers_send_it(proxy, origin):
    assert WebConfig(proxy=proxy).proxy_origin == origin


def test_behind_a_proxy_its_address_is_our_own(behind):
    browser = Browser(build_app(Config(web=WebConfig(proxy="https://Gate.example:443")), TOKENS, behind))
    came = {"Host": "gate.example", "Origin": "https://gate.example", "X-Forwarded-For": "10.0.0.9"}
    answer = browser.ask("POST", "/login", data={"token": TOKENS.operator}, headers=came)
    assert answer.headers["set-cookie"].startswith("__Host-gatecam=")
    assert answer.headers["strict-transport-security"]
    cookie = {"Cookie": answer.headers["set-cookie"].split(";")[0], "Host": "gate.example"}
    csrf = browser.ask("GET", "/session", headers=cookie).json()["csrf_token"]
    change = {"values": {"tracker.confidence": 0.8}}
    for origin, status in (
        ("https://gate.example", 200),
        ("http://gate.example", 200),
        ("https://evil.example", 403),
    ):
        headers = {**cookie, "Origin": origin, "X-CSRF-Token": csrf}
        assert browser.ask("POST", "/api/settings", json=change, headers=headers).status_code == status, (
            origin
        )
    assert browser.ask("GET", "/", headers={"Host": "other.example"}).status_code == 400


def test_no_forged_cookie_opens_anything(site, browser):
    browser.log_in(TOKENS.door)
    real = browser.cookies["gatecam"]
    for forged in (f"{real[:-1]}", f"{real}x", real.swapcase(), real[:-2] + "é0", "....", "", "x" * 4000):
        cookie = {"Cookie": f"gatecam={forged}".encode()}
        assert Browser(site).ask("GET", "/door", headers=cookie).status_code == 401, forged
    assert Browser(site).ask("GET", "/door", headers={"Cookie": f"gatecam={real}"}).status_code == 200


def test_cookies_of_other_programs_log_nobody_out(site, browser):
    browser.log_in(TOKENS.door)
    for others in ('prefs={"a":"b c"}; ', "foo bar; ", "k=a,b c; ", "gatecam=old; ", "é=1;; =; "):
        cookie = f"{others}gatecam={browser.cookies['gatecam']}"
        assert Browser(site).ask("GET", "/door", headers={"Cookie": cookie.encode()}).status_code == 200


def test_no_other_file_can_be_read(browser):
    for path in (
        "/static/../guard.py",
        "/static/..%2fguard.py",
        "/static/%2e%2e/%2e%2e/config.py",
        "/static/..%5cguard.py",
        "/static//etc/passwd",
        "/static/%00",
        "/static/operator.html",
        "/static/README.md",
    ):
        assert browser.ask("GET", path, headers=BEARER).status_code == 404, path


def test_a_body_that_is_too_large_is_refused(browser):
    large = b"x" * (MAX_BODY_BYTES + 1)
    assert browser.ask("POST", "/login", content=large).status_code == 413

    async def chunks():
        for _ in range(70):
            yield b"x" * 1024

    assert browser.ask("POST", "/login", content=chunks()).status_code == 413
    assert (
        browser.ask("POST", "/login", headers={"Content-Length": "-1"}, content=chunks()).status_code == 413
    )


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"content": "&".join(f"f{n}=1" for n in range(12)), "headers": FORM}, 400),
        ({"content": "&" * 60_000, "headers": FORM}, 400),
        ({"content": b"\xff\xfe\x00token=\x80", "headers": FORM}, 401),
        ({"content": "token=%ff%00%ed%a0%80&next=%ed%a0%80%00", "headers": FORM}, 401),
        ({"content": "link&token=%ff", "headers": FORM}, 401),
        ({"content": "", "headers": FORM}, 401),
        ({"content": b"token=x".ljust(9), "headers": {"Content-Type": b"\xff;charset=\xfe"}}, 415),
        ({"files": {"token": TOKENS.operator}}, 415),
        ({"json": {"token": TOKENS.operator}}, 415),
        ({"content": "a", "headers": {**FORM, "Content-Length": "9" * 5000}}, 413),
    ],
)
def test_a_form_that_is_none_is_refused_in_a_sentence(browser, sent, status):
    answer = browser.ask("POST", "/login", **sent)
    assert answer.status_code == status
    assert re.search(r"login form|token is wrong|too large", answer.text)


def test_a_body_that_does_not_come_is_given_up(browser, monkeypatch):
    import asyncio

    monkeypatch.setattr("gatecam.web.guard.BODY_S", 0.05)

    async def chunks():
        yield b"token="
        await asyncio.sleep(3600)

    assert browser.ask("POST", "/login", content=chunks()).status_code == 408


def test_names_that_others_give_this_machine_are_refused(browser):
    for host, status in (
        ("evil.example", 400),
        ("", 400),
        ("127.0.0.1.evil.example", 400),
        ("[::1]:80", 200),
        ("10.0.0.5", 200),
        ("localhost:1", 200),
        (f"{socket.gethostname().partition('.')[0]}.LOCAL:8790", 200),
        ("other.local", 400),
    ):
        assert browser.ask("GET", "/login", headers={"Host": host}).status_code == status, host


def test_a_file_that_has_not_changed_is_not_sent_again(browser):
    first = browser.ask("GET", "/static/page.css")
    again = browser.ask("GET", "/static/page.css", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
