"""Connections: nobody can take the operator's places, and who comes anew always gets in."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import count

import pytest

pytest.importorskip("fastapi")

import httpx
from websockets.sync.client import connect

from gatecam.settings.schema import Config, WebConfig
from gatecam.web.places import Place, Places
from gatecam.web.server import WebServer
from gatecam.web.site import build_app
from gatecam.web.tokens import Role
from tests.streams import free_port
from tests.web.conftest import BEARER, DOOR_BEARER, TOKENS

MOST = {None: 16, Role.DOOR: 8, Role.METRICS: 4, Role.OPERATOR: 8}


class Hall:
    """Places, and clients that are no real connections."""

    def __init__(self) -> None:
        self.places, self._ports = Places(MOST), count(1)
        self._stack = ExitStack()

    def come(self, address: str, role: Role | None = None, session: str = "") -> Place:
        end, other = socket.socketpair()
        self._stack.callback(end.close)
        self._stack.callback(other.close)
        peer = (address, next(self._ports))
        self.places.enter(end, peer)
        place = self.places.of(peer)
        assert place is not None
        self.places.settle(place, role, address, session)
        return place

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def hall() -> Iterator[Hall]:
    with closing(Hall()) as made:
        yield made


def number_open(places: list[Place]) -> int:
    return sum(place.is_open for place in places)


@pytest.mark.parametrize("role", [None, Role.DOOR, Role.METRICS])
def test_no_other_role_takes_places_of_the_operator(hall, role):
    operator = hall.come("10.0.0.1", Role.OPERATOR, "o")
    others = [hall.come(f"10.1.0.{n}", role) for n in range(40)]
    more = hall.come("10.0.0.1", Role.OPERATOR, "o")
    assert MOST[role] - 1 <= number_open(others) <= MOST[role]
    assert operator.is_open
    assert more.is_open


def test_an_address_gets_half_and_a_session_a_quarter_and_the_oldest_goes(hall):
    of_session = [hall.come("10.0.0.1", Role.DOOR, "s") for _ in range(5)]
    assert [place.is_open for place in of_session] == [False, False, False, True, True]
    of_address = [hall.come("10.0.0.2", Role.DOOR, str(n)) for n in range(9)]
    assert [place.is_open for place in of_address] == [False] * 5 + [True] * 4
    network = [hall.come(f"2001:db8::{n:x}", Role.DOOR, str(n)) for n in range(9)]
    assert number_open(network) == 4


def test_who_holds_most_gives_way_to_who_comes_anew(hall):
    screen = hall.come("10.0.0.1", Role.DOOR, "screen")
    greedy = [hall.come("10.0.0.1", Role.DOOR, "greedy") for _ in range(9)]
    greedy += [hall.come("10.0.0.2", Role.DOOR, str(n)) for n in range(9)]
    come = [hall.come(f"10.0.1.{n}", Role.DOOR, "s") for n in range(4)]
    assert screen.is_open
    assert number_open(come) == 4
    assert number_open([screen, *greedy, *come]) == MOST[Role.DOOR]


def test_places_of_connections_that_ended_are_free(hall):
    gone = [hall.come("10.0.0.1", Role.OPERATOR, "o") for _ in range(2)]
    for place in gone:
        place.socket.close()
    assert number_open([hall.come("10.0.0.1", Role.OPERATOR, "o") for _ in range(2)]) == 2


@pytest.fixture
def small(behind) -> Iterator[WebServer]:
    """A server with few places."""
    app = build_app(Config(), TOKENS, behind, most=MOST)
    with WebServer(app, WebConfig(port=free_port()), pytest.fail) as server:
        yield server


@pytest.mark.parametrize("kind", ["sockets of the door", "keep-alive of the door", "strangers", "no head"])
def test_however_many_connections_others_hold_the_operators_page_answers(small, kind):
    """The server of before answered 503 to everybody after 256 WebSockets with the door's token."""
    with ExitStack() as stack, httpx.Client(base_url=small.url, headers=BEARER) as operator:
        assert operator.get("api/status").status_code == 200
        for _ in range(40):
            if kind == "sockets of the door":
                address = small.url.replace("http", "ws") + "live"
                made = connect(address, additional_headers=DOOR_BEARER, close_timeout=0.1)
                stack.callback(made.socket.close)
            else:
                client = stack.enter_context(socket.create_connection(("127.0.0.1", small.port), 10))
                words = f"Authorization: {DOOR_BEARER['Authorization']}\r\n" if "door" in kind else ""
                if kind != "no head":
                    client.sendall(f"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n{words}\r\n".encode())
                    assert client.recv(65536).startswith(b"HTTP/1.1 200")
        role = Role.DOOR if "door" in kind else None

        def held() -> int:
            return sum(one.is_open and one.role is role for one in small._places._places.values())

        end_s = time.monotonic() + 5
        while not held() and time.monotonic() < end_s:  # the server accepts in its own time
            assert operator.get("api/status").status_code == 200
        assert 0 < held() <= MOST[role]
        assert operator.get("api/status").status_code == 200
        assert httpx.get(small.url, headers=BEARER).status_code == 200
        assert httpx.get(f"{small.url}door", headers=DOOR_BEARER).status_code == 200
