"""Check the passwords of users, and slow down those who guess them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gatecam.web.failures import Client, Failures, OnLine, network_of
from gatecam.web.users import User, Users

FREE_OF_NAME = 20


class Passwords:
    """Checks one password at a time, because each takes 64 MiB and a tenth of a second of all cores.

    Failures count by address and by user, so that neither many names nor many addresses help. During a wait
    even a right password is refused. A network from which a user has logged in since the start only waits for
    its own failures, so that others cannot lock the user out there.
    """

    def __init__(self, users: Users, clock: Callable[[], float], on_line: OnLine) -> None:
        """Start without failures. `clock` and `on_line` are those of `Failures`."""
        self._users = users
        self._by_address = Failures(clock, "password", on_line=on_line)
        self._by_name = Failures(clock, "password", free=FREE_OF_NAME)
        self._known: set[tuple[str, str]] = set()  # user and network
        self._checking = threading.Lock()

    def check(self, name: str, password: str, address: str) -> User | float:
        """Return the user if the password is right, else the time in s to wait before the next try, or 0."""
        with self._checking:
            user = self._users.get(name)
            by_address, by_name = Client(address, ""), Client("", "" if user is None else user.name)
            is_known = user is not None and (user.name, network_of(address)) in self._known
            wait_s = max(
                self._by_address.wait_s(by_address), 0.0 if is_known else self._by_name.wait_s(by_name)
            )
            if wait_s == 0 and user is not None and self._users.check(name, password):
                self._by_address.forget(by_address)
                self._by_name.forget(by_name)
                self._known.add((user.name, network_of(address)))
                return user
            if user is None and wait_s == 0:
                self._users.check(name, password)  # takes the same time
            self._by_address.note(by_address, "" if user is None else f"password of {user.name}")
            if user is not None:
                self._by_name.count(by_name)
            return wait_s

    def tell(self) -> None:
        """Log how many wrong passwords came since the last line, if a minute has passed."""
        self._by_address.tell()
