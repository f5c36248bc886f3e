"""Write and read the tables of an archive as Parquet files, one of each kind for every recording."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from gatecam.archive.assembly import Result
from gatecam.archive.known import Known, Plan, content_of, plan
from gatecam.archive.query import ask
from gatecam.archive.sources import Source
from gatecam.errors import ConfigError, OutputError
from gatecam.labels import AGE_LABELS, GENDER_LABELS, MASK_LABELS
from gatecam.notify.jsonl import event_to_dict
from gatecam.runtime.files import cannot_write, replacing
from gatecam.runtime.locks import lock_open_file
from gatecam.store.totals import LEAST, MASKS
from gatecam.types import Verdict

_MOMENT = pa.timestamp("ms", tz="UTC")
_OF_RECORDING = [("recording", pa.string()), ("camera", pa.string())]
# docs/archive.md describes every column.
SCHEMAS = {
    "events": pa.schema(
        [
            *_OF_RECORDING,
            ("told_at", _MOMENT),
            ("time_s", pa.float64()),
            ("frame", pa.int64()),
            ("kind", pa.string()),
            ("track_id", pa.int64()),
            ("verdict", pa.string()),
            ("probability", pa.float64()),
            ("first", pa.bool_()),
            ("came_at", _MOMENT),
            ("came_s", pa.float64()),
        ]
    ),
    "people": pa.schema(
        [
            *_OF_RECORDING,
            ("track_id", pa.int64()),
            ("first_at", _MOMENT),
            ("last_at", _MOMENT),
            ("first_s", pa.float64()),
            ("last_s", pa.float64()),
            ("first_verdict", pa.string()),
            ("last_verdict", pa.string()),
            ("events", pa.int64()),
            ("came", pa.bool_()),
        ]
    ),
    "totals": pa.schema(
        [
            *_OF_RECORDING,
            ("started_at", _MOMENT),
            ("mask", pa.string()),
            ("gender", pa.string()),
            ("age", pa.string()),
            ("people", pa.int64()),
        ]
    ),
    "files": pa.schema(
        [
            *_OF_RECORDING,
            ("state", pa.string()),
            ("reason", pa.string()),
            ("started_at", _MOMENT),
            ("seconds", pa.float64()),
            ("frames", pa.int64()),
            ("people", pa.int64()),
            ("events", pa.int64()),
            ("bytes", pa.int64()),
            ("modified_ns", pa.int64()),
            ("content", pa.string()),
            ("device", pa.string()),
            ("settings", pa.string()),
        ]
    ),
}
_KNOWN = "SELECT recording, camera, epoch_ms(started_at), bytes, content, state, settings FROM files"
FEW_SIZES = 10_000  # that a query names; else it returns all rows
DONE, PARTLY, FAILED = "done", "partly", "failed"

Row = dict[str, Any]


class Tables:
    """Keeps the tables in a folder.

    A recording's row in `files` is written last. If it is there, the recording's other tables are complete.
    Every file is written under another name and then renamed, so a stop leaves only whole files.
    """

    def __init__(self, folder: Path, settings: str) -> None:
        """Keep the folder. `settings` is a hash of all that the results depend on."""
        self._folder, self._settings = folder, settings
        self._replaced: Mapping[Path, Sequence[Path]] = {}
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> Tables:
        """Create the folders, lock them, and remove unfinished files of a run that was killed.

        Raises:
            OutputError: the folders cannot be created, or another gatecam writes there.
        """
        try:
            for name in SCHEMAS:
                (self._folder / name).mkdir(parents=True, exist_ok=True)
            self._lock = (self._folder / ".lock").open("ab")
            holder = lock_open_file(self._lock.fileno())
            if holder is not None:
                self._lock.close()
                raise OutputError(f"{self._folder}: {holder} writes there; choose another --out or wait.")
            for name in SCHEMAS:
                for left in (self._folder / name).glob(".*.parquet"):
                    left.unlink()
        except OSError as error:
            raise cannot_write(self._folder, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.close()

    def is_done(self, source: Source) -> bool:
        """Check whether the recording has been analyzed as it is now, with the same settings."""
        path = self._path("files", source.path)
        with suppress(OSError, pa.ArrowInvalid, KeyError, IndexError):
            row = pq.read_table(path).to_pylist()[0]
            known = (row["bytes"], row["modified_ns"], row["settings"], row["camera"], row["started_at"])
            now = (source.bytes, source.modified_ns, self._settings, source.camera, source.started)
            is_whole = all(self._path(name, source.path).exists() for name in SCHEMAS)
            return row["state"] != FAILED and known == now and is_whole
        return False

    def plan(self, undone: Sequence[Source]) -> Plan:
        """Decide what to do with recordings, and move the results of those that were moved.

        Raises:
            OutputError: a file cannot be written.
        """
        made = plan(undone, self._known(undone) if undone else ())
        self._replaced = made.replaced
        for source, earlier in tuple(made.moved):
            try:
                rows = {name: pq.read_table(self._path(name, earlier)).to_pylist() for name in SCHEMAS}
            except (OSError, pa.ArrowInvalid):  # some are lost, so the recording is analyzed again
                made.moved.remove((source, earlier))
                made.waiting.append(source)
                made.replaced[source.path] = [earlier]
            else:
                self._move(source, earlier, rows)
        return made

    def _known(self, undone: Sequence[Source]) -> Iterator[Known]:
        """Yield what the tables hold about recordings that have the size of one of the given recordings.

        A recording whose path cannot be read back is left out.
        """
        sizes = {one.bytes for one in undone}
        few = f" WHERE bytes IN ({', '.join(map(str, sizes))})" if len(sizes) <= FEW_SIZES else ""
        try:
            rows = ask(self._folder, _KNOWN + few).rows
        except (ConfigError, OutputError):  # there are none yet, or one is damaged and is written again
            return
        for recording, camera, started_ms, size, content, state, settings in rows:
            path, is_current = Path(recording), state != FAILED and settings == self._settings
            if self._path("files", path).exists():
                yield Known(path, camera, started_ms, size, content, is_current)

    def _move(self, source: Source, earlier: Path, rows: Mapping[str, list[Row]]) -> None:
        """Write the results of a recording under its new path, and delete those under the earlier one."""
        rows["files"][0]["modified_ns"] = source.modified_ns
        for name, found in rows.items():
            if name == "files":  # the last
                self._delete(earlier)
            self._write(name, source, [{**row, **_of(source)} for row in found])

    def _delete(self, path: Path) -> None:
        """Delete the results of a recording. Its row in `files` goes first, so the rest never looks whole."""
        for name in reversed(SCHEMAS):
            self._path(name, path).unlink(missing_ok=True)

    def write(self, source: Source, result: Result, device: str) -> Row:
        """Write the tables of a recording, replacing older ones, and return its row in `files`.

        Raises:
            OutputError: a file cannot be written, for example because the disk is full.
        """
        self._path("files", source.path).unlink(missing_ok=True)
        rows = {"events": _events(source, result), "people": _people(source, result)}
        rows["totals"] = _totals(source, result)
        for name, found in rows.items():
            self._write(name, source, found)
        row = self._row(source, result, device)
        for earlier in self._replaced.get(source.path, ()):
            self._delete(earlier)
        self._write("files", source, [row])
        return row

    def _row(self, source: Source, result: Result, device: str) -> Row:
        state = FAILED if result.error else PARTLY if result.loss else DONE
        reason = result.error or result.loss
        return {
            **_of(source),
            "state": state,
            "reason": None if reason is None else reason.removeprefix(f"{source.path}: "),
            "started_at": source.started,
            "seconds": round(result.end_s, 3),
            "frames": result.frames,
            "people": sum(event.first for event in result.events),
            "events": len(result.events),
            "bytes": source.bytes,
            "modified_ns": source.modified_ns,
            "content": content_of(source.path),
            "device": device,
            "settings": self._settings,
        }

    def _path(self, name: str, recording: Path) -> Path:
        key = hashlib.sha256(str(recording).encode("utf-8", "surrogateescape")).hexdigest()[:20]
        return self._folder / name / f"{key}.parquet"

    def _write(self, name: str, source: Source, rows: Sequence[Row]) -> None:
        path = self._path(name, source.path)
        try:
            with replacing(path) as part, part.open("wb") as file:
                pq.write_table(pa.Table.from_pylist(list(rows), SCHEMAS[name]), file)
                file.flush()
                os.fsync(file.fileno())  # else a power cut may leave an empty file behind a row of `files`
        except OSError as error:
            raise cannot_write(path, error) from error


def _of(source: Source) -> Row:
    return {"recording": str(source.path).encode("utf-8", "replace").decode(), "camera": source.camera}


def _at(source: Source, time_s: float | None) -> datetime | None:
    if source.started is None or time_s is None:
        return None
    return source.started.astimezone(UTC) + timedelta(milliseconds=round(1000 * time_s))


def _events(source: Source, result: Result) -> list[Row]:
    return [
        {
            **_of(source),
            **event_to_dict(event),
            "told_at": _at(source, event.time_s),
            "came_at": _at(source, event.came_s),
            "came_s": None if event.came_s is None else round(event.came_s, 3),
        }
        for event in result.events
    ]


def _people(source: Source, result: Result) -> list[Row]:
    events = Counter(event.track_id for event in result.events)
    came = {event.track_id for event in result.events if event.first}
    rows = []
    for track_id, seen in result.people.items():
        known: list[Verdict] = [verdict for _, verdict in seen.verdicts if verdict is not Verdict.UNKNOWN]
        rows.append(
            {
                **_of(source),
                "track_id": track_id,
                "first_at": _at(source, seen.first_s),
                "last_at": _at(source, seen.last_s),
                "first_s": round(seen.first_s, 3),
                "last_s": round(seen.last_s, 3),
                "first_verdict": (known or [Verdict.UNKNOWN])[0].value,
                "last_verdict": (known or [Verdict.UNKNOWN])[-1].value,
                "events": events[track_id],
                "came": track_id in came,
            }
        )
    return rows


def _totals(source: Source, result: Result) -> list[Row]:
    """Return the classes with at least ten people in this recording, among at least ten others.

    Those others wore their mask in the same way, as `gatecam/store/totals.py` explains. Smaller counts are
    not kept at all.
    """
    counts: Counter[tuple[int, int, int]] = Counter()
    for event in result.events:
        seen = result.people.get(event.track_id)
        if event.first and seen is not None and any(seen.gender):
            gender, age = (sums.index(max(sums)) for sums in (seen.gender, seen.age))
            counts[MASKS[event.verdict], gender, age] += 1
    in_all = Counter(dict.fromkeys(range(len(MASK_LABELS)), 0))
    for (mask, _, _), people in counts.items():
        in_all[mask] += people
    return [
        {
            **_of(source),
            "started_at": source.started,
            "mask": MASK_LABELS[mask],
            "gender": GENDER_LABELS[gender],
            "age": AGE_LABELS[age],
            "people": people,
        }
        for (mask, gender, age), people in sorted(counts.items())
        if people >= LEAST <= in_all[mask] - people
    ]
