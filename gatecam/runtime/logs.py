"""Log to standard error, one line per message, as text for people or as JSON.

One formatter writes all lines. It hides the secrets in addresses and keeps each message on one line.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType

from gatecam.runtime.addresses import hide_secrets

Field = str | int | float | bool | None

ONCE_IN_S = 10.0
TEXTS_KEPT = 1000  # texts remembered for repeats; bounded, as endless different texts would fill the memory


def set_up(as_json: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
    """Send all log messages to standard error, replacing an earlier `set_up`.

    Lines are plain (`gatecam: text`), or with `as_json` objects with `at`, `level`, `logger`, `message` and
    the record's own fields. With `as_json`, Python's warnings and uncaught errors become such lines as well.
    A warning or error with the same text is logged once in 10 s. The next one says how many were left out.
    """
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _StandardError)]:
        handler.close()
        root.removeHandler(handler)
    root.addHandler(_StandardError(JsonFormatter() if as_json else PlainFormatter(), Limit(clock)))
    logging.getLogger("gatecam").setLevel(logging.INFO)
    logging.captureWarnings(as_json)
    if as_json:
        sys.excepthook = _log_uncaught


def say(text: str, *, level: int = logging.INFO, logger: str = "gatecam", **fields: Field) -> None:
    """Log a sentence, with fields such as `camera`, `kind` or `since_s` for programs that read the log."""
    logging.getLogger(logger).log(level, "%s", text, extra=with_fields(**fields))


def with_fields(**fields: Field) -> dict[str, dict[str, Field]]:
    """Return the `extra` argument that adds fields: `log.warning(text, extra=with_fields(…))`."""
    return {"fields": fields}


class PlainFormatter(logging.Formatter):
    """Formats a record for people as `gatecam: text`, with an error's type, text and place in the code."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its line end."""
        text = record.getMessage()
        if (error := _error_of(record)) is not None:
            text = f"{text}: {_in_words(error)}"
        return hide_secrets(f"gatecam: {_one_line(text)}")


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object in ASCII: `at`, `level`, `logger`, `message` and its own fields.

    An error adds its text as `error` and its traceback as `trace`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its line end."""
        line: dict[str, Field] = {
            "at": datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in getattr(record, "fields", {}).items():
            line.setdefault(name, value)
        if (error := _error_of(record)) is not None:
            line["error"] = _in_words(error)
            line["trace"] = "".join(traceback.format_exception(error))
        return json.dumps({name: _as_json(value) for name, value in line.items()})


class Limit:
    """Lets a warning or error with one text pass once in 10 s, and counts the repeats that it leaves out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[tuple[str, int, str], _Said] = {}  # oldest first

    def pass_on(self, record: logging.LogRecord) -> Iterator[logging.LogRecord]:
        """Yield the records to log now: counts for texts that are over, and the record if it passes."""
        now_s = self._clock()
        key = record.name, record.levelno, record.getMessage()
        said = self._said.get(key)
        if said is not None and now_s - said.at_s < ONCE_IN_S:
            said.left_out += 1
            return
        self._said.pop(key, None)
        yield from self.counts(lambda other: now_s - other.at_s >= ONCE_IN_S or len(self._said) >= TEXTS_KEPT)
        yield _counted(record, said.left_out) if said is not None else record
        if record.levelno >= logging.WARNING:
            bare = {"msg": key[2], "args": None, "exc_info": None}  # a traceback would keep pictures alive
            self._said[key] = _Said(logging.makeLogRecord({**vars(record), **bare}), now_s)

    def counts(self, is_over: Callable[[_Said], bool] = lambda said: True) -> Iterator[logging.LogRecord]:
        """Forget texts from the oldest on while they are over, and yield how often each was left out."""
        while self._said:
            key, said = next(iter(self._said.items()))
            if not is_over(said):
                return
            del self._said[key]
            if said.left_out:
                yield _counted(said.record, said.left_out)


@dataclass(slots=True)
class _Said:
    """Holds the last record of a text, its time, and how often the text was left out since."""

    record: logging.LogRecord
    at_s: float
    left_out: int = 0


class _StandardError(logging.Handler):
    """Writes to the current standard error. A reader that is gone stops nothing."""

    def __init__(self, formatter: logging.Formatter, limit: Limit) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._limit = limit

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record or count it as left out."""
        try:
            self._write(self._limit.pass_on(record))
        except Exception:  # a record that cannot be formatted; logging reports it on standard error
            self.handleError(record)

    def close(self) -> None:
        """Write the counts of texts that were left out."""
        with self.lock or nullcontext():
            self._write(self._limit.counts())
        super().close()

    def _write(self, records: Iterable[logging.LogRecord]) -> None:
        for record in records:
            line = self.format(record) + "\n"
            with suppress(OSError, ValueError):  # ValueError: the stream was closed
                if sys.stderr is not None:
                    sys.stderr.write(line)
                    sys.stderr.flush()


def _counted(record: logging.LogRecord, left_out: int) -> logging.LogRecord:
    """Return the record with the number of repeats that were left out, if there were any."""
    if not left_out:
        return record
    counted = logging.makeLogRecord({**vars(record), "created": time.time(), "args": None})
    counted.msg = f"{record.getMessage()} (and {left_out} more times)"
    counted.fields = {**getattr(record, "fields", {}), "left_out": left_out}
    return counted


def _error_of(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


def _in_words(error: BaseException) -> str:
    """Describe an error with the place where it was raised: `ValueError: no such size (mtcnn.py:120)`."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


def _one_line(text: str) -> str:
    """Return the text without line ends and terminal control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _as_json(value: object) -> Field:
    """Return a value that JSON can hold: no infinite number, no password, and text for other types."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return hide_secrets(str(value))


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("gatecam").critical("gatecam ended by an unknown error", exc_info=(kind, error, trace))
