"""Count and log wrong tokens and passwords, and make clients wait after too many.

Only wrong tokens are refused during the wait. A right one is always accepted, so that nobody can lock others
out. Nobody can guess one of 2**256 tokens, however fast. The waits and the log make attempts noticeable.

A password can be guessed, so even a right one is refused during the wait (`passwords.py`).
"""

from __future__ import annotations

import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from gatecam.runtime.backoff import Pauses

FREE = 5  # the number of the first failure that makes a client wait
FIRST_WAIT_S, LONGEST_WAIT_S = 15.0, 900.0
FORGET_S = 3600.0  # failures are forgotten after this time without another one
MOST_CLIENTS = 1000  # of which failures are counted. The client with the oldest failure is dropped first.
LINE_S, LINES = 60.0, 20  # the log gets one line per address in this time, and at most this many lines

OnLine = Callable[[str, str, int], None]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Client:
    """Identifies a client by its address and the name that its browser or program gives itself."""

    address: str
    agent: str


@dataclass(slots=True)
class _Failed:
    """Counts one client's failures. After the free ones, each makes the client wait twice as long."""

    number: int = 0
    last_s: float = 0.0
    until_s: float = 0.0
    pauses: Pauses = field(default_factory=lambda: Pauses(FIRST_WAIT_S, LONGEST_WAIT_S))

    def note(self, now_s: float, free: int) -> None:
        self.number, self.last_s = self.number + 1, now_s
        self.until_s = now_s + (self.pauses.next() if self.number >= free else 0.0)


class Failures:
    """Counts failures by client, and by network for IPv6, because a host there has 2**64 addresses."""

    def __init__(
        self,
        clock: Callable[[], float],
        what: str = "token",
        free: int = FREE,
        on_line: OnLine = lambda address, about, number: None,
    ) -> None:
        """Start without failures.

        Args:
            clock: returns monotonic time in s.
            what: what was wrong, for the log.
            free: the number of the first failure that makes a client wait.
            on_line: called for each line of the log with the address (empty for the sum of many), with what
                was wrong, and with the number of failures.
        """
        self._clock, self._free = clock, free
        self._of: OrderedDict[Client, _Failed] = OrderedDict()
        self._log = _Log(clock, what, on_line)

    def wait_s(self, client: Client) -> float:
        """Return how many seconds a client still has to wait because of its failures, or 0."""
        failed = self._of.get(_key(client))
        return 0.0 if failed is None else max(0.0, failed.until_s - self._clock())

    def note(self, client: Client, about: str = "") -> float:
        """Log a failure and return how many seconds the client still has to wait.

        If the client does not have to wait, count the failure and return 0. `about` says more than what was
        wrong, such as `password of kim`.
        """
        self._log.note(network_of(client.address), about)
        return self.count(client)

    def count(self, client: Client) -> float:
        """Count a failure without logging it. The result is that of `note`."""
        if (wait_s := self.wait_s(client)) > 0:
            return wait_s
        key, now_s = _key(client), self._clock()
        failed = self._of.pop(key, None)
        if failed is None or now_s - failed.last_s > FORGET_S:
            failed = _Failed()
        failed.note(now_s, self._free)
        self._of[key] = failed
        while len(self._of) > MOST_CLIENTS:
            self._of.popitem(last=False)
        return 0.0

    def note_link(self, client: Client) -> None:
        """Log a wrong token from a link that a logged-in browser opened. It causes no wait."""
        self._log.note(network_of(client.address))

    def forget(self, client: Client) -> None:
        """Forget a client's failures after a success."""
        self._of.pop(_key(client), None)

    def tell(self) -> None:
        """Log how many failures came since the last line, if a minute has passed."""
        self._log.tell()


class _Log:
    """Writes at most one line per address and minute, and at most 20 lines per minute."""

    def __init__(self, clock: Callable[[], float], what: str, on_line: OnLine) -> None:
        self._clock, self._what, self._on_line = clock, what, on_line
        self._since: OrderedDict[str, tuple[float, int]] = OrderedDict()  # time of the line, number since
        self._others = 0

    def note(self, address: str, about: str = "") -> None:
        """Log a failure or only count it. `about` says more than what was wrong."""
        self.tell()
        about = about or self._what
        if address in self._since:
            start_s, number = self._since[address]
            self._since[address] = start_s, number + 1
        elif len(self._since) < LINES:
            self._since[address] = self._clock(), 0
            self._write(address, 1, f"A wrong {about} came from {address}.", about)
        else:
            self._others += 1

    def tell(self) -> None:
        """Log the counts of addresses whose minute has passed."""
        while self._since:
            address, (start_s, number) = next(iter(self._since.items()))
            if self._clock() - start_s < LINE_S:
                return
            self._since.pop(address, None)  # another thread may tell as well
            if number:
                self._write(
                    address, number, f"{number} more wrong {self._what}s came from {address} within a minute."
                )
            if self._others:
                text = f"{self._others} wrong {self._what}s came from further addresses within a minute."
                self._write("", self._others, text)
                self._others = 0

    def _write(self, address: str, number: int, text: str, about: str = "") -> None:
        log.warning("%s", text)
        self._on_line(address, about or self._what, number)


def _key(client: Client) -> Client:
    return Client(network_of(client.address), client.agent)


def network_of(address: str) -> str:
    """Return the key to count an address by: an IPv4 address itself, an IPv6 address's /64 network."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
