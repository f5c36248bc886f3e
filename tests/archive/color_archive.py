"""A driver for tests to kill: `python -m tests.archive.color_archive ADDRESS FOLDER OUT`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from gatecam.archive.cluster import Cluster
from gatecam.archive.run import Archive, Report
from gatecam.archive.sources import find_sources
from gatecam.archive.tables import Tables
from gatecam.settings.schema import Config
from gatecam.types import Box, Expected, Face, Image
from tests.archive.conftest import ColorAnalyzer

DEADLY = "GATECAM_TEST_DEADLY"  # names a file: the worker that makes it ends at once


def load(config: Config) -> ColorAnalyzer:
    return ColorAnalyzer()


class DeadlyAnalyzer(ColorAnalyzer):
    """Ends its process in the middle of a recording, once."""

    def __init__(self, marker: Path) -> None:
        self._marker, self._frames = marker, 0

    def analyze(
        self,
        images: Sequence[Image],
        hints: Sequence[Sequence[Box] | None] | None = None,
        cameras: Sequence[str] | None = None,
        expected: Sequence[Sequence[Expected]] | None = None,
    ) -> list[list[Face]]:
        self._frames += 1
        if self._frames == 100 and not self._marker.exists():
            self._marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().analyze(images, hints, cameras, expected)


def analyzed(address: str, folder: Path, out: Path, load=load) -> Report:
    config = Config()
    with Tables(out, "settings") as kept:
        waiting = [one for one in find_sources([str(folder)], None, None) if not kept.is_done(one)]
        with Cluster(config, address, workers=2, gpu_workers=0, load=load) as workers:
            return Archive(waiting, kept, workers, may_cut=True).run(lambda done, note: None)


if __name__ == "__main__":
    analyzed(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
