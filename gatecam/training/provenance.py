"""Record how weights were made: by which command and commit, from which data, in which time."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gatecam.runtime.files import write_output
from gatecam.vision.weights import hash_of

SECONDS = "seconds.txt"  # in a run's folder


@contextmanager
def timed(folder: Path) -> Iterator[Callable[[], int]]:
    """Measure the seconds that a run takes, over all commands that continue it.

    Yields a function that returns the seconds so far. They are kept in the run's folder.
    """
    begun_s, path = time.monotonic(), folder / SECONDS
    try:
        before = int(path.read_text())
    except (OSError, ValueError):  # a new run, or a file that a power cut left empty
        before = 0

    def so_far() -> int:
        return before + round(time.monotonic() - begun_s)

    try:
        yield so_far
    finally:
        write_output(path, str(so_far()))


def provenance(data: Iterable[Path], seconds: int) -> dict[str, object]:
    """Describe how weights were made, for their spec.

    The commit is "" outside of a checkout. It ends in "+" if files were changed since.

    Args:
        data: the collections, as folders or CSV files.
        seconds: how long it took.
    """
    root = Path(__file__).parents[2]
    tables = [path for one in data for path in (sorted(one.glob("*.csv")) if one.is_dir() else [one])]
    return {
        "command": shlex.join(["gatecam", *map(_without_folders, sys.argv[1:])]),
        "commit": _git(root, "rev-parse", "HEAD") + ("+" if _git(root, "status", "--porcelain") else ""),
        "data_sha256": {f"{path.parent.name}/{path.name}": hash_of(path) for path in tables},
        "seconds": seconds,
    }


def _without_folders(word: str) -> str:
    """Shorten an absolute path to its name, so that weights do not tell about the machine."""
    return Path(word).name if word.startswith("/") else word


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
