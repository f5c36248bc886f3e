"""What the settings page asks for: settings are changed, saved and told, and outputs tested."""

from __future__ import annotations

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
    assert (told["arrived"], told["said"][-17:]) == (False, "it answered 500).")
    answer = browser.ask("POST", "/api/tests/sound", headers=BEARER)
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "'sound': expected one of chat:0123ab, mqtt, webhook",
    )
