"""A PostgreSQL server of tests, on a free port of 127.0.0.1, that can be stopped and started."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.streams import free_port


def programs() -> Path | None:
    """The folder of Debian's newest server, or None without one."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return folders[-1] if folders else None


class PostgresServer:
    """Runs as the user `postgres` where the tests are root's, as the server refuses root."""

    def __init__(self, folder: Path) -> None:
        """Make a cluster in `folder`, which that user must reach, and a database `gatecam`."""
        self._folder = folder
        self._port = free_port()
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
        self._call("initdb", "--pgdata", f"{folder}/data", "--auth", "trust", "--username", "gatecam", "-N")
        self.start()
        self._call("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", "gatecam", "gatecam")

    @property
    def url(self) -> str:
        """The address, as `store.url` takes it."""
        return f"postgresql://gatecam@127.0.0.1:{self._port}/gatecam"

    def start(self) -> None:
        """Start, and wait until it answers."""
        words = f"-p {self._port} -h 127.0.0.1 -k {self._folder}"
        log = f"{self._folder}/log"
        self._call("pg_ctl", "start", "-w", "-D", f"{self._folder}/data", "-l", log, "-o", words)

    def stop(self) -> None:
        """Stop at once, as a crash does."""
        self._call("pg_ctl", "stop", "-w", "-m", "immediate", "-D", f"{self._folder}/data")

    def _call(self, program: str, *words: str) -> None:
        folder = programs()
        assert folder is not None
        before = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        done = subprocess.run(
            [*before, str(folder / program), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if program != "pg_ctl" else subprocess.DEVNULL,
            cwd=self._folder,
        )
        assert done.returncode == 0, (program, done.stdout)
