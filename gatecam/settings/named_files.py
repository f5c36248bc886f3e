"""Check the files that settings name, which loading the settings does not open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from gatecam.settings.schema import Config


def unreadable_files(config: Config) -> Iterator[str]:
    """Yield one sentence for each file that a setting names and that cannot be read.

    `gatecam run` would refuse these settings, or start without what the file is for.
    """
    for key, name in named_files(config):
        try:
            with Path(name).open("rb") as file:
                file.read(1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            yield f"{key}: {name} cannot be read ({reason}): correct its path or its permissions."


def named_files(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the key and the path of every file that a section and its parts name."""
    for field in type(section).model_fields:
        value, key = getattr(section, field), f"{prefix}{field}"
        if isinstance(value, BaseModel):
            yield from named_files(value, f"{key}.")
        elif isinstance(value, str):
            is_file = field.endswith("_file") or key in ("web.certificate", "web.key")
            if is_file or (field == "weights" and value.endswith(".safetensors")):
                yield key, value
