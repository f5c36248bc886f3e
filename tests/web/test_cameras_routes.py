"""What the page for cameras asks for: only the operator may, and no password comes back."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")

from gatecam.store.audit import Act
from tests.web.conftest import BEARER, DOOR_BEARER

NEW = {"camera": None, "values": {"name": "side", "source": "rtsp://u:s3cret@10.0.0.6/x"}}
ZONES = {"camera": "gate", "region": [0, 0, 0.5, 1], "ignore": [[0.1, 0.2, 0.3, 0.4]]}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/cameras", None),
        ("GET", "/api/cameras", None),
        ("GET", "/api/cameras/usb", None),
        ("POST", "/api/cameras", NEW),
        ("POST", "/api/cameras/remove", {"camera": "gate"}),
        ("POST", "/api/cameras/trial", NEW),
        ("POST", "/api/cameras/search", None),
        ("POST", "/api/cameras/streams", {"address": "10.0.0.7"}),
        ("POST", "/api/zones", ZONES),
    ],
)
def test_nobody_else_sees_or_changes_cameras(browser, behind, method, path, body):
    for headers, status in (({}, 401), (DOOR_BEARER, 403)):
        assert browser.ask(method, path, json=body, headers=headers).status_code == status
    assert set(behind.running.cameras.sources) == {"gate", "문/앞"}


def test_a_camera_is_added_and_removed_and_the_audit_log_says_who(browser, behind):
    told = browser.ask("POST", "/api/cameras", json=NEW, headers=BEARER)
    assert (told.json()["problem"], "s3cret" in told.text) == ("", False)
    names = [one["name"] for one in browser.ask("GET", "/api/cameras", headers=BEARER).json()["cameras"]]
    assert names == ["gate", "문/앞", "side"]
    browser.ask("POST", "/api/cameras/remove", json={"camera": "side"}, headers=BEARER)
    entries = behind.store.audit.latest(9, acts=[Act.SETTING])
    assert [(one.actor.name, one.subject, one.before, one.after) for one in entries] == [
        ("token:operator", "cameras.side.name", "side", ""),
        ("token:operator", "cameras.side.source", "", "rtsp://***@10.0.0.6/x"),
    ]


def test_a_request_of_a_wrong_form_is_refused_without_what_it_holds(browser):
    browser.log_in()
    json = {**browser.csrf(), "Content-Type": "application/json"}
    for path, body in (
        ("/api/zones", '{"camera": "gate", "region": [NaN, 0, 1, 1], "ignore": []}'),
        ("/api/cameras/streams", '{"address": "http://10.0.0.7", "password": ["s3cret"]}'),
    ):
        answer = browser.ask("POST", path, content=body, headers=json)
        assert answer.status_code == 422
        assert "s3cret" not in answer.text
        assert answer.json()["detail"][0]["msg"]


def test_zones_are_drawn(browser, behind):
    assert browser.ask("POST", "/api/zones", json=ZONES, headers=BEARER).json()["problem"] == ""
    gate = browser.ask("GET", "/api/cameras", headers=BEARER).json()["cameras"][0]
    assert (gate["region"], gate["ignore"]) == ([0, 0, 0.5, 1], [[0.1, 0.2, 0.3, 0.4]])
    for wrong in (
        {"camera": "moon"},
        {"region": [0, 1]},
        {"ignore": [[0, 0, 1, 2]]},
        {"ignore": [[0, 0, 1, 1]] * 51},
    ):
        assert browser.ask("POST", "/api/zones", json={**ZONES, **wrong}, headers=BEARER).status_code == 422


def test_a_trial_is_told_while_it_is_asked_for(browser):
    assert browser.ask("GET", "/api/cameras?trial=1", headers=BEARER).json()["trial"] is None
    browser.ask("POST", "/api/cameras/trial", json=NEW, headers=BEARER)
    told = browser.ask("GET", "/api/cameras?trial=1", headers=BEARER).json()["trial"]
    assert (told["sight"]["face_px"], told["advice"]) == (24, ["small"])
    assert browser.ask("GET", "/api/cameras", headers=BEARER).json()["trial"] is None
    same = {"camera": None, "values": {"source": "rtsp://10.0.0.5/live"}}
    answer = browser.ask("POST", "/api/cameras/trial", json=same, headers=BEARER)
    assert (answer.status_code, answer.json()["detail"][:11]) == (422, "camera gate")


def test_cameras_are_found(browser):
    assert browser.ask("GET", "/api/cameras/usb", headers=BEARER).json() == [
        {"source": "/dev/v4l/by-id/usb-HD", "name": "HD Webcam (C270)"}
    ]
    found = browser.ask("POST", "/api/cameras/search", headers=BEARER).json()
    login = {"address": found[0]["address"], "user": "admin", "password": "s3cret"}
    streams = browser.ask("POST", "/api/cameras/streams", json=login, headers=BEARER).json()
    assert streams[0]["source"] == "rtsp://10.0.0.7/main"
    answer = browser.ask("POST", "/api/cameras/streams", json={**login, "password": ""}, headers=BEARER)
    assert (answer.status_code, answer.json()["detail"][-31:]) == (422, "refuses this user and password.")
