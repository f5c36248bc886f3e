"""Floor 4: slows down who tries tokens: after five failures each next one costs twice the wait."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable

FREE = 5
FIRST_WAIT_S = 15.0
LONGEST_WAIT_S = 900.0
FORGET_S = 3600.0
MOST_ADDRESSES = 1000


class Failures:
    """Counts failures by address; of IPv6 by network, as one host has 2**64 addresses there."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` is monotonic, in s."""
        self._clock = clock
        self._of: OrderedDict[str, tuple[int, float]] = OrderedDict()  # number, and when the last was

    def wait_s(self, address: str) -> float:
        """How long an address must wait before it may try again; 0 for at once."""
        number, last_s = self._of.get(_network(address), (0, 0.0))
        if number < FREE:
            return 0.0
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (number - FREE))
        return max(0.0, last_s + wait_s - self._clock())

    def note(self, address: str) -> None:
        """Count a failure."""
        key, now_s = _network(address), self._clock()
        number, last_s = self._of.pop(key, (0, now_s))
        self._of[key] = (1 if now_s - last_s > FORGET_S else number + 1, now_s)
        while len(self._of) > MOST_ADDRESSES:
            self._of.popitem(last=False)

    def forget(self, address: str) -> None:
        """Begin anew after a success."""
        self._of.pop(_network(address), None)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
