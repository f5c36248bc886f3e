"""Count and log wrong tokens by client, and make clients wait after too many.

Only wrong tokens are refused during the wait. A right one is always accepted, so that nobody can lock others
out. Nobody can guess one of 2**256 tokens, however fast. The waits and the log make attempts noticeable.
"""

from __future__ import annotations

import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from gatecam.runtime.backoff import Pauses

FREE = 5
FIRST_WAIT_S = 15.0
LONGEST_WAIT_S = 900.0
FORGET_S = 3600.0
MOST_CLIENTS = 1000
LINE_S = 60.0
LINES = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Client:
    """Identifies a client by its address and the name that its browser or program gives itself."""

    address: str
    agent: str


@dataclass(slots=True)
class _Failed:
    """Counts one client's failures. From the fifth on, each makes it wait twice as long."""

    number: int = 0
    last_s: float = 0.0
    until_s: float = 0.0
    pauses: Pauses = field(default_factory=lambda: Pauses(FIRST_WAIT_S, LONGEST_WAIT_S))

    def note(self, now_s: float) -> None:
        self.number, self.last_s = self.number + 1, now_s
        self.until_s = now_s + (self.pauses.next() if self.number >= FREE else 0.0)


class Failures:
    """Counts failures by client, and by network for IPv6, because a host there has 2**64 addresses."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start without failures. `clock` returns monotonic time in s."""
        self._clock = clock
        self._of: OrderedDict[Client, _Failed] = OrderedDict()
        self._log = _Log(clock)

    def wait_s(self, client: Client) -> float:
        """Return how long a client still has to wait because of wrong tokens, or 0."""
        failed = self._of.get(_key(client))
        return 0.0 if failed is None else max(0.0, failed.until_s - self._clock())

    def note(self, client: Client) -> float:
        """Log a wrong token and return how long the client still has to wait.

        If the client does not have to wait, count the token and return 0.
        """
        self._log.note(network_of(client.address))
        if (wait_s := self.wait_s(client)) > 0:
            return wait_s
        key, now_s = _key(client), self._clock()
        failed = self._of.pop(key, None)
        if failed is None or now_s - failed.last_s > FORGET_S:
            failed = _Failed()
        failed.note(now_s)
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
        """Log how many wrong tokens came since the last line, if a minute has passed."""
        self._log.tell()


class _Log:
    """Writes at most one line per address and minute, and at most 20 lines per minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: OrderedDict[str, tuple[float, int]] = OrderedDict()  # time of the line, number since
        self._others = 0

    def note(self, address: str) -> None:
        """Log a wrong token or only count it."""
        self.tell()
        if address in self._since:
            start_s, number = self._since[address]
            self._since[address] = start_s, number + 1
        elif len(self._since) < LINES:
            self._since[address] = self._clock(), 0
            log.warning("A wrong token came from %s.", address)
        else:
            self._others += 1

    def tell(self) -> None:
        """Log the counts of addresses whose minute has passed."""
        while self._since:
            address, (start_s, number) = next(iter(self._since.items()))
            if self._clock() - start_s < LINE_S:
                return
            del self._since[address]
            if number:
                log.warning("%d more wrong tokens came from %s within a minute.", number, address)
            if self._others:
                log.warning("%d wrong tokens came from further addresses within a minute.", self._others)
                self._others = 0


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
