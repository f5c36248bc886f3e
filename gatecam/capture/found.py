"""List the pictures for a command, and report the files that it leaves out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gatecam.capture.images import find_images, left_out_sentence
from gatecam.runtime.logs import say


def list_pictures(paths: Iterable[Path]) -> list[Path]:
    """Return the pictures among files and folders, and report on standard error which files are none.

    Raises:
        SourceError: a path does not exist, or a folder holds no picture.
    """
    left_out: list[Path] = []
    pictures = find_images(paths, left_out)
    if sentence := left_out_sentence(left_out):
        say(sentence)
    return pictures
