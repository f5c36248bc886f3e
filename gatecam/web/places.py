"""Limit how many connections each role, address and session may hold.

listener ─► Places.enter (a stranger) ─► guard ─► Places.settle (a role, address and session)

Each role has its own places, so that strangers and the door's token can never use up the operator's. A new
connection always gets a place. If there are too many, the address and session with the most places of that
role lose their oldest connection.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from gatecam.web.failures import network_of
from gatecam.web.tokens import Role

MOST: Mapping[Role | None, int] = {
    None: 96,
    Role.DOOR: 64,
    Role.METRICS: 16,
    Role.VIEWER: 64,
    Role.OPERATOR: 128,
    Role.ADMIN: 64,
}


@dataclass(eq=False, slots=True)
class Place:
    """Holds one open connection. It belongs to a stranger until one of its requests is let in."""

    socket: socket.socket
    address: str
    role: Role | None = None
    session: str = ""  # the session's identifier, empty without one
    since_s: float = field(default_factory=time.monotonic)
    is_cut: bool = False

    @property
    def is_open(self) -> bool:
        """Return whether the connection is open and was not cut."""
        return not self.is_cut and self.socket.fileno() != -1

    def cut(self) -> None:
        """End the connection, whatever its protocol."""
        self.is_cut = True
        with suppress(OSError):  # the client has already disconnected
            self.socket.shutdown(socket.SHUT_RDWR)


class Places:
    """Holds all open connections of a server. Only the server's loop may use it.

    An address gets at most half of a role's places, and a session a quarter.
    """

    def __init__(self, most: Mapping[Role | None, int] = MOST) -> None:
        """Start without connections. `most` is the number of places by role. None stands for strangers."""
        self._most = most
        self._places: dict[tuple[str, int], Place] = {}  # by the client's address and port

    def enter(self, connection: socket.socket, peer: tuple[str, int]) -> None:
        """Add a connection that was just accepted."""
        self._places = {key: place for key, place in self._places.items() if place.is_open}
        place = self._places[peer] = Place(connection, network_of(peer[0]))
        self._make_room(place)

    def of(self, peer: tuple[str, int] | None) -> Place | None:
        """Return the place of a client's address and port, or None if there is none."""
        return None if peer is None else self._places.get(peer)

    def settle(self, place: Place, role: Role | None, address: str, session: str) -> None:
        """Assign a place to a role, address and session, and make room among those of the same role."""
        now = (role, network_of(address), session)
        if now == (place.role, place.address, place.session):
            return
        place.role, place.address, place.session = now
        self._make_room(place)

    def _make_room(self, place: Place) -> None:
        of_role = [one for one in self._places.values() if one.is_open and one.role is place.role]
        of_address = [one for one in of_role if one.address == place.address]
        of_session = [one for one in of_address if one.session == place.session != ""]
        most = self._most[place.role]
        for found, limit in ((of_session, most // 4), (of_address, most // 2), (of_role, most)):
            if len(found) > limit:
                _greediest([one for one in found if one is not place]).cut()
                return


def _greediest(places: Sequence[Place]) -> Place:
    """Return the oldest place of the session with the most places, among those of the busiest address."""
    addresses = Counter(one.address for one in places)
    sessions = Counter((one.address, one.session) for one in places)
    return min(
        places,
        key=lambda one: (-addresses[one.address], -sessions[one.address, one.session], one.since_s),
    )


class Listener(socket.socket):
    """A listening socket that gives each connection a place before its TLS handshake."""

    places: Places

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection and give it a place."""
        connection, peer = super().accept()
        self.places.enter(connection, (str(peer[0]), int(peer[1])))
        return connection, peer
