"""What the pages ask for: events, people, settings, pictures, and the live connection."""

from __future__ import annotations

import csv
import io
import json
import time
from datetime import datetime

import pytest

pytest.importorskip("fastapi")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from gatecam.errors import OutputError
from gatecam.store.events import EventStore
from gatecam.types import Presence, Verdict
from gatecam.web.live import Viewer
from gatecam.web.tokens import Role
from tests.web.conftest import BEARER, DOOR_BEARER, HOST, NOW, Browser


def get(browser: Browser, path: str):
    answer = browser.ask("GET", path, headers=BEARER)
    assert answer.status_code == 200, answer.text
    return answer


def ms(hours_ago: float) -> int:
    return round((NOW.timestamp() - hours_ago * 3600) * 1000)


def test_events_are_found_newest_first_by_what_is_asked(browser):
    for query, people in (
        ("", [4, 3, 2, 1, 0]),
        ("limit=2", [4, 3]),
        (f"since_ms={ms(1.5)}", [1, 0]),
        (f"until_ms={ms(2.5)}", [4, 3]),
        (f"since_ms={ms(3.5)}&until_ms={ms(1.5)}", [3, 2]),
        ("camera=%3Dgate&kind=mask_missing", [4, 3, 2, 1, 0]),
        ("camera=yard", []),
        ("kind=mask_ok", []),
    ):
        told = get(browser, f"/api/events?{query}").json()
        assert [event["person"] for event in told["events"]] == people, query
        assert told["more"] is (query == "limit=2")


def test_older_events_follow_on_those_that_are_there(browser):
    first = get(browser, "/api/events?limit=3").json()
    second = get(browser, f"/api/events?limit=3&before_id={first['events'][-1]['id']}").json()
    assert [one["person"] for one in first["events"] + second["events"]] == [4, 3, 2, 1, 0]
    assert (first["more"], second["more"]) == (True, False)


def test_an_event_tells_no_gender_and_no_age(browser):
    (event, *_) = get(browser, "/api/events").json()["events"]
    known = {"id", "at", "kind", "camera", "person", "verdict", "probability", "reason", "first"}
    assert set(event) == known | {"lasted_s", "answer", "picture"}


def test_what_cannot_be_asked_is_refused(browser):
    odd = (
        "kind=nothing",
        "limit=0",
        "limit=501",
        "since_ms=-1",
        "since_ms=x",
        "before_id=9e99",
        "until_ms=1e99",
    )
    for query in odd:
        for path in ("/api/events", "/api/events.csv"):
            assert browser.ask("GET", f"{path}?{query}", headers=BEARER).status_code == 422, query


def test_csv_holds_what_is_asked_and_computes_nothing(browser, behind):
    answer = get(browser, f"/api/events.csv?since_ms={ms(2.5)}")
    assert answer.headers["content-disposition"] == 'attachment; filename="gatecam-events.csv"'
    assert answer.content.startswith("\ufeffat,".encode()), "a spreadsheet takes Hangul for another encoding"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["track_id"] for row in rows] == ["0", "1", "2"]
    assert {row["camera"] for row in rows} == {"'=gate"}
    (entry,) = behind.store.audit.latest(10)
    assert (entry.actor.name, entry.act) == ("token:operator", "export")


def test_people_are_told_as_drawings_with_numbers(browser):
    told = get(browser, "/api/people").json()
    if datetime.now().date() != NOW.date():
        pytest.skip("the day changed since the events were made")
    assert told["cameras"] == ["=gate"]
    assert told["hours"].startswith("<svg")
    assert told["days"].startswith("<svg")
    today = sum(
        event["at"][:10] == f"{NOW:%Y-%m-%d}" for event in get(browser, "/api/events").json()["events"]
    )
    assert (told["people"], told["share"]) == (today, 0.0)
    assert f"<td>{today}</td><td>0 %</td></tr></tbody></table>" in told["days_table"]
    assert told["hours_table"].count("<tr>") == 1 + today
    assert told["summary"].startswith(f"{today} pe")
    assert get(browser, "/api/people?camera=yard").json()["people"] == 0


def test_health_is_told(browser):
    assert get(browser, "/api/status").json()["cameras"][0]["name"] == "gate"


def test_a_store_that_cannot_be_read_is_told_and_the_pages_live_on(browser, monkeypatch):
    def fail(*words):
        raise OutputError("events.sqlite3: cannot be read: mend it.")

    monkeypatch.setattr(EventStore, "find", fail)
    monkeypatch.setattr(EventStore, "arrivals", fail)
    for path in ("/api/events", "/api/people", "/api/events.csv"):
        answer = browser.ask("GET", path, headers=BEARER)
        assert (answer.status_code, answer.json()["detail"][-8:]) == (503, "mend it."), path
    assert browser.ask("GET", "/api/status", headers=BEARER).status_code == 200


def test_a_place_is_ignored_and_judged_again_by_the_operator_alone(browser):
    wanted = {"camera": "gate", "place": [0.1, 0.2, 0.3, 0.4], "ignored": True}
    for headers, status in (({}, 401), (DOOR_BEARER, 403)):
        assert browser.ask("POST", "/api/ignored", json=wanted, headers=headers).status_code == status
        assert browser.ask("GET", "/api/ignored", headers=headers).status_code == status
    browser.log_in()
    assert browser.ask("POST", "/api/ignored", json=wanted).status_code == 403
    assert get(browser, "/api/ignored").json() == {"gate": [], "문/앞": []}
    told = browser.ask("POST", "/api/ignored", json=wanted, headers=browser.csrf()).json()
    assert (told["places"]["gate"], told["problem"]) == ([[0.1, 0.2, 0.3, 0.4]], "")
    assert get(browser, "/api/ignored").json()["gate"] == [[0.1, 0.2, 0.3, 0.4]]
    again = {**wanted, "ignored": False}
    told = browser.ask("POST", "/api/ignored", json=again, headers=browser.csrf()).json()
    assert told["places"]["gate"] == []


@pytest.mark.parametrize(
    "changed", [{"camera": "yard"}, {"place": [0, 0, 1]}, {"place": [0, 0, 1, 2]}, {"place": "all"}]
)
def test_a_place_that_cannot_be_is_refused(browser, changed):
    wanted = {"camera": "gate", "place": [0.1, 0.2, 0.3, 0.4], "ignored": True, **changed}
    assert browser.ask("POST", "/api/ignored", json=wanted, headers=BEARER).status_code == 422


def test_only_the_operator_is_told_of_pictures_and_only_when_they_change(server, behind):
    place = (0.1, 0.2, 0.3, 0.4)
    with live(server) as operator, live(server, DOOR_BEARER, "?page=door") as door:
        for socket, cameras in ((operator, 2), (door, 1)):
            for _ in range(cameras):
                socket.recv(timeout=10)
        for places in ((place,), (place,), ()):
            server.call_soon(lambda places=places: behind.hub.tell_still("gate", places))
        told = [json.loads(operator.recv(timeout=10))]
        if told[0]["still"]:  # otherwise both came before it was sent
            told.append(json.loads(operator.recv(timeout=10)))
        assert told[-1] == {"camera": "gate", "still": []}
        server.call_soon(lambda: behind.hub.tell_state(Presence("gate", 1, Verdict.NONE)))
        assert json.loads(door.recv(timeout=10))["people"] == 1
        assert json.loads(operator.recv(timeout=10))["people"] == 1


def test_a_picture_is_there_while_there_is_one(browser, behind):
    path = "/api/cameras/문/앞/picture.jpg"
    for role in (Role.DOOR, Role.OPERATOR):
        behind.hub.join(Viewer(role, ("문/앞",)))
    assert browser.ask("GET", path, headers=BEARER).status_code == 404
    behind.hub.show("문/앞", Role.DOOR, b"of the door")
    assert browser.ask("GET", path, headers=BEARER).status_code == 404
    behind.hub.show("문/앞", Role.OPERATOR, b"jpeg")
    answer = get(browser, path)
    assert (answer.content, answer.headers["content-type"]) == (b"jpeg", "image/jpeg")


def test_the_door_has_its_words(browser):
    told = browser.ask("GET", "/door/words", headers=DOOR_BEARER).json()
    assert [words["lang"] for words in told] == ["ko", "en"]


def live(server, headers=BEARER, query="", **words):
    url = f"ws://127.0.0.1:{server.port}/live{query}"
    return connect(url, additional_headers=headers, open_timeout=10, **words)


def test_a_viewer_is_told_states_and_pictures_one_at_a_time(server, behind):
    with live(server) as socket:
        states = [json.loads(socket.recv(timeout=10)) for _ in range(2)]
        assert {state["camera"] for state in states} == {"gate", "문/앞"}
        server.call_soon(lambda: behind.hub.tell_state(Presence("gate", 2, Verdict.NONE)))
        assert json.loads(socket.recv(timeout=10))["verdict"] == "none"
        for picture in (b"one", b"two", b"three"):
            server.call_soon(lambda picture=picture: behind.hub.show("gate", Role.OPERATOR, picture))
        assert socket.recv(timeout=10) in (b"\x00one", b"\x00two", b"\x00three")
        with pytest.raises(TimeoutError):  # nothing comes before it is asked for
            socket.recv(timeout=0.2)
        socket.send("next")
        server.call_soon(lambda: behind.hub.show("gate", Role.OPERATOR, b"four"))
        assert socket.recv(timeout=10) in (b"\x00three", b"\x00four")


@pytest.mark.parametrize(
    ("headers", "query", "camera"),
    [
        (DOOR_BEARER, "", "gate"),
        (DOOR_BEARER, "&camera=gate", "gate"),
        (BEARER, "&camera=문/앞", "문/앞"),
    ],
)
def test_the_door_is_told_of_one_camera_alone(server, headers, query, camera):
    with live(server, headers, f"?page=door{query}") as socket:
        assert json.loads(socket.recv(timeout=10))["camera"] == camera
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.2)


def test_who_asks_for_a_camera_that_is_none_is_told_which_there_are(server):
    with live(server, query="?camera=moon") as socket:
        assert json.loads(socket.recv(timeout=10)) == {"cameras": ["gate", "문/앞"]}
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
    assert closed.value.rcvd.code == 4404


def test_the_door_goes_on_to_the_first_camera_when_its_own_is_removed_or_gets_another_name(server, behind):
    with live(server, DOOR_BEARER) as socket, live(server, query="?camera=문/앞") as other:
        socket.recv(timeout=10)
        other.recv(timeout=10)
        server.call_soon(lambda: behind.hub.watch(["문/앞", "yard"]))
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=4)
        server.call_soon(lambda: behind.hub.tell_state(Presence("문/앞", 1, Verdict.NONE)))
        assert json.loads(other.recv(timeout=10))["verdict"] == "none"
    with live(server, DOOR_BEARER) as socket:
        assert json.loads(socket.recv(timeout=10))["camera"] == "문/앞"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Cookie": "gatecam=operator.1.2.3.4"},
        {"Origin": "http://evil"},
    ],
)
def test_nobody_else_is_told_anything(server, headers):
    with pytest.raises(InvalidStatus) as caught, live(server, headers):
        pass
    assert caught.value.response.status_code == 403


def test_a_session_is_told_only_from_its_own_site(server, browser):
    browser.log_in()
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    own = {"origin": f"http://127.0.0.1:{server.port}"}
    with live(server, cookie, **own) as socket:
        assert json.loads(socket.recv(timeout=10))
    for other in ({}, {"origin": f"http://{HOST}"}, {"origin": "null"}):
        with pytest.raises(InvalidStatus), live(server, cookie, **other):
            pass


def drain(socket) -> None:
    for _ in range(100):
        socket.recv(timeout=10)


def test_who_sends_too_much_is_let_go(server, behind):
    with live(server) as socket:
        socket.send("x" * 100_000)
        with pytest.raises(ConnectionClosed):
            drain(socket)
    with live(server) as socket:
        assert socket.recv(timeout=10)


def test_who_goes_is_told_no_more(server, behind):
    with live(server) as socket:
        socket.recv(timeout=10)
        assert behind.hub.watched
    end_s = time.monotonic() + 10
    while behind.hub.watched and time.monotonic() < end_s:
        time.sleep(0.01)
    assert behind.hub.watched == frozenset()
