"""Delete old events and write totals once a minute, and once an hour in a database that doors share."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from gatecam.errors import OutputError
from gatecam.settings.schema import EvidenceConfig, StoreConfig
from gatecam.store.clock import DAY_MS, ClockGuard, to_ms
from gatecam.store.events import EventStore
from gatecam.store.evidence import EvidenceFolder
from gatecam.store.kept import set_aside_ms
from gatecam.store.totals import ClassTotals

PERIOD_S = 60.0
COPY_TURNS = 60  # copies are tidied only once in this many rounds, because many doors may share their server
MB = 1_000_000

log = logging.getLogger(__name__)


class Housekeeping:
    """Deletes old events and writes totals in a daemon thread. After a failure the next round tries again."""

    def __init__(
        self,
        stores: Sequence[EventStore],
        config: StoreConfig,
        totals: ClassTotals,
        clock: Callable[[], datetime],
        running_s: Callable[[], float],
        on_trouble: Callable[[str, str | None], None] = lambda name, text: None,
        files: Sequence[Path] = (),
        period_s: float = PERIOD_S,
        evidence: tuple[EvidenceFolder, EvidenceConfig] | None = None,
    ) -> None:
        """Start the thread, which does a first round at once.

        Args:
            stores: the stores to keep small. Totals are written to the first. The others are copies.
            config: the maximum age and size.
            totals: provides the totals that are due.
            clock: returns the time of day.
            running_s: returns the time of a monotonic clock, in s.
            on_trouble: called with `clock` and what is wrong with it, or None when that has ended.
            files: paths that gatecam writes. A file that is newer than now shows that the clock is behind.
            period_s: time from round to round.
            evidence: the pictures of the first store's alerts, and their maximum age and size.
        """
        self._stores, self._config, self._totals = stores, config, totals
        self._clock, self._running_s, self._period_s = clock, running_s, period_s
        self._guard, self._files, self._on_trouble = ClockGuard(clock(), running_s()), files, on_trouble
        self._evidence = evidence
        self._trouble = ""
        self._turns = 0
        self._clock_trouble: str | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="housekeeping", daemon=True)
        self._thread.start()

    def apply(self, config: EvidenceConfig) -> None:
        """Use another maximum age and size of pictures from the next round on."""
        if self._evidence is not None:
            self._evidence = (self._evidence[0], config)

    def close(self) -> None:
        """End the thread, within about two seconds."""
        self._closing.set()
        self._thread.join(2)

    def _work(self) -> None:
        while True:
            try:
                self._turn()
            except OutputError as error:
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    log.warning("Old events could not be deleted: %s", error)
            else:
                self._trouble = ""
            if self._closing.wait(self._period_s):
                return

    def _turn(self) -> None:
        now = self._clock()
        stores = self._stores if self._turns % COPY_TURNS == 0 else self._stores[:1]
        self._turns += 1
        try:
            newest_ms = max((*_newest(stores), *_written(self._files)), default=0)
            self._guard.tick(now, self._running_s(), newest_ms)
            tidy(stores, self._config, self._totals, self._guard, now)
        finally:  # a store that fails because the disk is full gets the space of pictures
            if self._evidence is not None:
                tidy_evidence(*self._evidence, self._stores[0], self._guard, now)
        self._tell(self._guard.trouble())

    def _tell(self, trouble: str | None) -> None:
        """Log a trouble with the clock when it begins and when it ends, but not each change of its text."""
        if trouble and not self._clock_trouble:
            log.warning("%s", trouble)
        elif self._clock_trouble and not trouble:
            log.warning("The clock is plausible again: old events are deleted as store.keep_days says.")
        if trouble != self._clock_trouble:
            self._on_trouble("clock", trouble)
        self._clock_trouble = trouble


def tidy(
    stores: Sequence[EventStore], config: StoreConfig, totals: ClassTotals, guard: ClockGuard, now: datetime
) -> None:
    """Write totals that are due, and delete events, totals and audit entries beyond their age or size.

    Raises:
        OutputError: a store failed.
    """
    if due := totals.due(now):
        try:
            stores[0].add_totals(due)
        except OutputError:
            totals.put_back(due)
            raise
    for store in stores:
        gone = _delete_old(store, config.keep_days, guard, now)
        gone += store.delete_beyond(config.keep_mb * MB)
        if gone:
            log.info("%s: %d events were deleted, as store.keep_days and keep_mb say.", store.name, gone)
    _delete_old_entries(stores[0], config.audit_days, guard, now)


def tidy_evidence(
    folder: EvidenceFolder, config: EvidenceConfig, store: EventStore, guard: ClockGuard, now: datetime
) -> None:
    """Delete pictures of alerts as `EvidenceFolder.tidy` does, with the age and size of the settings.

    Raises:
        OutputError: the store failed.
    """
    before_ms, files = 0, folder.files()
    if files and files[0].at_ms < to_ms(now - timedelta(days=config.keep_days)):
        before_ms = guard.oldest_ms(store.spans_ms(to_ms(now)), config.keep_days * DAY_MS)
    aside_ms = set_aside_ms(Path(store.name))
    gone = folder.tidy(before_ms, config.keep_mb * MB, to_ms(now), store.notes.known, aside_ms)
    if gone:
        log.info("%s: %d pictures and videos were deleted.", folder.path, gone)


def _delete_old(store: EventStore, keep_days: int, guard: ClockGuard, now: datetime) -> int:
    """Delete events that are certainly older than `keep_days`, and return how many were deleted."""
    by_clock = now - timedelta(days=keep_days)
    if not store.has_before(to_ms(by_clock), f"{by_clock:%Y-%m-%d}"):
        return 0
    oldest_ms = guard.oldest_ms(store.spans_ms(to_ms(now)), keep_days * DAY_MS)
    day = datetime.fromtimestamp(oldest_ms / 1000, tz=now.tzinfo)
    return store.delete_before(oldest_ms, f"{day:%Y-%m-%d}", to_ms(now))


def _delete_old_entries(store: EventStore, audit_days: int, guard: ClockGuard, now: datetime) -> None:
    """Delete entries of the audit log that are certainly older than `audit_days`."""
    audit = store.audit
    audit.delete_failures_beyond()
    if not audit.has_before(to_ms(now - timedelta(days=audit_days))):
        return
    spans = sorted([*store.spans_ms(to_ms(now)), *audit.spans_ms(to_ms(now))])  # both show that time passed
    audit.delete_before(guard.oldest_ms(spans, audit_days * DAY_MS))


def _newest(stores: Sequence[EventStore]) -> Iterator[int]:
    for store in stores:
        if (span := store.span_ms()) is not None:
            yield span[1]


def _written(files: Sequence[Path]) -> Iterator[int]:
    for path in files:
        with suppress(OSError):
            yield path.stat().st_mtime_ns // 1_000_000
