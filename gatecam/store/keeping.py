"""Floor 3: keeps no more than is wanted: once a minute old events go, and full totals are written."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from gatecam.config import StoreConfig
from gatecam.errors import OutputError
from gatecam.store.events import EventStore
from gatecam.store.totals import ClassTotals

PERIOD_S = 60.0
MB = 1_000_000

log = logging.getLogger(__name__)


class Housekeeping:
    """Works in a daemon thread until it is closed; a store that fails is tried again at the next turn."""

    def __init__(
        self,
        stores: Sequence[EventStore],
        config: StoreConfig,
        totals: ClassTotals,
        clock: Callable[[], datetime],
        period_s: float = PERIOD_S,
    ) -> None:
        """Start the thread, with a first turn at once.

        Args:
            stores: all are kept small; totals go to the first.
            config: for how long, and how large.
            totals: asked for those that are due.
            clock: tells the time of day.
            period_s: time from turn to turn.
        """
        self._stores, self._config, self._totals = stores, config, totals
        self._clock, self._period_s = clock, period_s
        self._trouble = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="housekeeping", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End within a second or two."""
        self._closing.set()
        self._thread.join(2)

    def _work(self) -> None:
        while True:
            try:
                tidy(self._stores, self._config, self._totals, self._clock())
            except OutputError as error:
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    log.warning("Old events could not be deleted: %s", error)
            else:
                self._trouble = ""
            if self._closing.wait(self._period_s):
                return


def tidy(stores: Sequence[EventStore], config: StoreConfig, totals: ClassTotals, now: datetime) -> None:
    """One turn.

    Raises:
        OutputError: a store failed.
    """
    if due := totals.due(now):
        stores[0].add_totals(due)
    oldest = now - timedelta(days=config.keep_days)
    for store in stores:
        gone = store.delete_before(round(oldest.timestamp() * 1000), f"{oldest:%Y-%m-%d}")
        gone += store.delete_beyond(config.keep_mb * MB)
        if gone:
            log.info("%s: %d events were deleted, as store.keep_days and keep_mb say.", store.name, gone)
