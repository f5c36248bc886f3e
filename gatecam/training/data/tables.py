"""Read CSV files line by line, so that a bad line affects no other, and find the pictures they name."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gatecam.capture.formats import is_system_file
from gatecam.errors import DataError
from gatecam.runtime.picture_files import IMAGE_SUFFIXES
from gatecam.training.data.rows import Problem


@dataclass(slots=True)
class Notes:
    """Collects the problems of a collection. All files of operating systems become a single problem."""

    folder: Path
    problems: list[Problem] = field(default_factory=list)
    system: list[Path] = field(default_factory=list)

    def add(self, where: str | Path, what: str, done: str) -> None:
        """Add a problem of a file, or at `file:line`."""
        text = where if isinstance(where, str) else relative(where, self.folder)
        self.problems.append(Problem(text, what, done))

    def close(self) -> list[Problem]:
        """Return all problems, including one for the files of operating systems."""
        if self.system:
            what = f"files of an operating system: {len(self.system)}, such as {self.system[0].name}"
            self.add(self.system[0].parent, what, "ignored")
        return self.problems


@dataclass(frozen=True, slots=True)
class Line:
    """Holds one line of a table."""

    where: str  # `file:line`
    values: dict[str, str]  # by the column's name in lower case, "" if empty


def read_table(path: Path, notes: Notes) -> tuple[list[str], list[Line]]:
    """Read the columns and lines of a CSV file that is separated by commas, semicolons or tabs.

    Args:
        path: a file in UTF-8, or in CP949 as written by Korean spreadsheets.
        notes: lines that cannot be read are added here.

    Raises:
        DataError: the file cannot be read, or is not text.
    """
    head, *body = _text(path).splitlines() or [""]
    delimiter = max(",;\t", key=head.count)
    columns = _columns(head, delimiter)
    lines = []
    for number, line in enumerate(body, start=2):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        try:
            values = [value.strip() for value in _values(line, delimiter)]
        except csv.Error as error:
            notes.add(where, f"line cannot be read: {error}", "left out")
            continue
        if any(values[len(columns) :]):
            what = f"line has too many values: expected {len(columns)}, got {len(values)}"
            notes.add(where, what, "left out")
            continue
        values += [""] * (len(columns) - len(values))
        lines.append(Line(where, dict(zip(columns, values, strict=False))))
    return columns, lines


def columns_of(path: Path) -> list[str]:
    """Return the columns of a CSV file, or an empty list if it is not one."""
    try:
        head = _text(path).splitlines()[:1]
    except DataError:
        return []
    return _columns(head[0], max(",;\t", key=head[0].count)) if head else []


def read_lines(path: Path, columns: Sequence[str], what: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield where each line of a CSV file in UTF-8 stands, as `file:line`, and its values by column.

    Args:
        columns: columns that it must have.
        what: what the file should be, such as "a split file".

    Raises:
        DataError: the file cannot be read, or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            if not set(columns) <= set(reader.fieldnames or ()):
                raise DataError(f"{path}: expected the columns {','.join(columns)}; give {what}.")
            for line in reader:
                yield f"{path}:{reader.line_num}", line
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give {what}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV file in UTF-8 ({error}); give {what}.") from error


def _columns(head: str, delimiter: str) -> list[str]:
    try:
        return [name.strip().casefold() for name in _values(head, delimiter)]
    except csv.Error:
        return []


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check the file.") from error
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DataError(f"{path}: not a CSV file in UTF-8 or CP949. Save it in one of these encodings.")


def _values(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter, strict=True), [])


class Pictures:
    """Finds the pictures of a collection by the names in its table. Each folder is listed only once."""

    def __init__(self, notes: Notes) -> None:
        """Search in `images/` beside the table, then directly beside it. Problems are added to `notes`."""
        self._roots = [root for root in (notes.folder / "images", notes.folder) if root.is_dir()]
        self._notes = notes
        self._listings: dict[Path, dict[str, str]] = {}
        self._found: set[Path] = set()

    def find(self, name: str, where: str) -> Path | None:
        """Return the picture of that name, or None if there is none.

        A name that differs only in case or extension is accepted, or in how macOS writes letters like 가.
        """
        plain = name.replace("\\", "/")
        spelt = dict.fromkeys((plain, *(unicodedata.normalize(form, plain) for form in ("NFC", "NFD"))))
        for path in (root / one for root in self._roots for one in spelt):
            names = self._listing(path.parent)
            actual = names.get(path.name) or names.get(_key(path.name)) or names.get(_key(path.stem))
            if actual is None:
                continue
            if _composed(actual) != _composed(path.name):
                self._notes.add(where, f"picture has a different name: {name} exists as {actual}", "used")
            self._found.add(path.parent / actual)
            return path.parent / actual
        return None

    def _listing(self, folder: Path) -> dict[str, str]:
        """List the pictures of a folder by name, and by lower-case name with and without extension."""
        if folder not in self._listings:
            names = sorted(os.listdir(folder)) if folder.is_dir() else []
            self._notes.system += [folder / name for name in names if is_system_file(name)]
            pictures = [n for n in names if not is_system_file(n) and _is_picture(n)]
            self._listings[folder] = {
                **{_key(Path(name).stem): name for name in reversed(pictures)},
                **{_key(name): name for name in pictures},
                **{name: name for name in pictures},
            }
        return self._listings[folder]

    def list_the_rest(self, table: str) -> None:
        """Add one problem for all pictures that no line of the table names."""
        folders = {path.parent for path in self._found}
        rest = sorted(
            {folder / n for folder in folders for n in self._listing(folder).values()} - self._found
        )
        if rest:
            what = f"pictures are not in {table}: {len(rest)}, such as {rest[0].name}"
            self._notes.add(rest[0].parent, what, "not used")


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _key(name: str) -> str:
    return _composed(name).casefold()


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].casefold() in IMAGE_SUFFIXES


def relative(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, with forward slashes."""
    return os.path.relpath(path, folder).replace(os.sep, "/")
