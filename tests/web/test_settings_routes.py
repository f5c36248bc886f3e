"""What the settings page asks for: settings are changed, saved and told, and outputs tested."""

from __future__ import annotations

import httpx
import pytest

pytest.importorskip("fastapi")


from gatecam.store.audit import Act
from tests.web.conftest import BEARER, DOOR_BEARER

WANTED = {"values": {"tracker.confidence": 0.8, "privacy.blur_door": False}}


def test_settings_are_changed_by_who_is_logged_in_and_no_other(browser, behind):
    for headers, status in (({}, 401), (DOOR_BEARER, 403)):
        assert browser.ask("POST", "/api/settings", json=WANTED, headers=headers).status_code == status
        assert browser.ask("GET", "/settings", headers=headers).status_code == status
    browser.log_in()
    assert browser.ask("POST", "/api/settings", json=WANTED).status_code == 403
    told = browser.ask("POST", "/api/settings", json=WANTED, headers=browser.csrf()).json()
    assert told["settings"]["tracker.confidence"]["value"] == 0.8
    assert (told["file"], told["problem"]) == ("config.yaml", "")
    entries = behind.store.audit.latest(9, acts=[Act.SETTING])
    assert {(one.actor.name, one.subject, one.before, one.after) for one in entries} == {
        ("token:operator", "tracker.confidence", "0.7", "0.8"),
        ("token:operator", "privacy.blur_door", "true", "false"),
    }


@pytest.mark.parametrize(
    "wanted",
    [
        {"values": {"web.host": 0}},
        {"values": {"tracker.confidence": 2}},
        {"values": {"tracker.confidence": "many"}},
        {"values": {"tracker.min_hits": 2.5}},
        {"values": {"detector.door_width_m": 2}},
        {"values": 1},
        {},
        [],
        None,
    ],
)
def test_a_setting_that_is_none_or_out_of_bounds_is_refused(browser, wanted):
    assert browser.ask("POST", "/api/settings", json=wanted, headers=BEARER).status_code == 422


def test_a_test_says_whether_it_arrived_and_why_not(browser):
    assert browser.ask("GET", "/api/tests", headers=BEARER).json() == ["chat:0123ab", "mqtt", "webhook"]
    told = browser.ask("POST", "/api/tests/mqtt", headers=BEARER).json()
    assert (told["arrived"], told["said"]) == (True, "")
    told = browser.ask("POST", "/api/tests/webhook", headers=BEARER).json()
    assert not told["arrived"]
    assert told["said"].endswith("; they are sent again.")
    answer = browser.ask("POST", "/api/tests/sound", headers=BEARER)
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "'sound': expected one of chat:0123ab, mqtt, webhook",
    )


def test_what_somebody_else_has_changed_meanwhile_is_not_overwritten(browser):
    def change(path: str, body: dict) -> httpx.Response:
        return browser.ask("POST", path, json=body, headers={**BEARER, "Accept-Language": "ko"})

    setting = {"values": {"policy.remind_s": 20}, "seen": {"policy.remind_s": 15}}
    zones = {"camera": "gate", "region": [0.1, 0.1, 0.9, 0.9], "ignore": []}
    zones["seen"] = {"region": None, "ignore": []}
    camera = {"camera": "gate", "values": {"source": "rtsp://10.0.0.6/live"}}
    camera["seen"] = {"name": "gate", "source": "rtsp://***@10.0.0.5/live"}
    default = browser.ask("GET", "/api/settings", headers=BEARER).json()["policy.remind_s"]["value"]
    setting["seen"]["policy.remind_s"] = default
    for path, body in (("/api/settings", setting), ("/api/zones", zones), ("/api/cameras", camera)):
        assert change(path, body).status_code == 200
        refused = change(path, body)
        assert refused.status_code == 409
        assert refused.json()["detail"].startswith("그사이에 다른 사람이 바꾸었습니다.")


def test_a_test_that_fails_says_why_in_the_language_of_the_page(browser):
    for language, said in (("ko", "이벤트를 받지 않습니다(응답 코드: 500)"), ("en", "it answered 500")):
        headers = {**BEARER, "Accept-Language": language}
        assert said in browser.ask("POST", "/api/tests/webhook", headers=headers).json()["said"]
