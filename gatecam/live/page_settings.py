"""List the settings that the pages may change while gatecam runs, and describe what a change changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from gatecam.errors import ConfigError
from gatecam.runtime.addresses import hide_in_source
from gatecam.settings.fields import Key, bounds_of, leaves, takes, unit_of
from gatecam.settings.saving import CAMERAS, Edits
from gatecam.settings.schema import Config
from gatecam.settings.text import line_of

# Groups of settings, and settings of the detector, that a running program applies
LIVE_GROUPS = ("camera", "cameras", "tracker", "policy", "pace", "evidence", "privacy", "replay")
LIVE_DETECTOR = (
    "detect_every",
    "min_face_px",
    "door_width_m",
    "door_distance_m",
    "view_deg",
    "region",
    "ignore",
    "pnet_threshold",
    "rnet_threshold",
    "onet_threshold",
)
DRAWN = ("region", "ignore")  # on the picture, not in the form
# Of all cameras that have no value of their own. Other hosts are not for a page to allow.
PAGE_CAMERA = ("fps", "max_fps", "open_timeout_s", "read_timeout_s")
PAGE_GROUPS = ("tracker", "policy", "pace", "evidence", "privacy")


@dataclass(frozen=True, slots=True)
class Changed:
    """Holds the dotted name of a changed setting with its texts before and after, without passwords.

    A text is empty if there was or is no value.
    """

    name: str
    before: str
    after: str


def page_settings(config: Config) -> dict[str, dict[str, Any]]:
    """Return the settings that the pages may change, by dotted name.

    Each has its `value`, `default`, `kind` (bool, int or float), `nullable`, `unit` and `help`. A number also
    has the bounds `low` and `high`. None of these settings is secret or grants access.
    """
    found = {}
    for key, info in _changeable():
        kind, nullable = takes(info)
        low, high = bounds_of(info.metadata)
        found[".".join(key)] = {
            "value": getattr(getattr(config, key[0]), key[1]),
            "default": info.default,
            "kind": kind.__name__,
            "nullable": nullable,
            "unit": unit_of(key[-1]),
            "low": low,
            "high": high,
            "help": info.description or "",
        }
    return found


def page_edits(values: Mapping[str, object]) -> Edits:
    """Return the edits for new values of `page_settings`.

    Raises:
        ConfigError: a name is not among them.
    """
    names = [".".join(key) for key, _ in _changeable()]
    if strange := [name for name in values if name not in names]:
        raise ConfigError(f"{strange[0][:60]!r}: expected one of {', '.join(names)}")
    return {tuple(name.split(".")): value for name, value in values.items()}


def _changeable() -> Iterator[tuple[Key, FieldInfo]]:
    """Yield the settings for `page_settings`. Each camera has a form of its own, and replay is not live."""
    parts = {"camera": PAGE_CAMERA, "detector": tuple(key for key in LIVE_DETECTOR if key not in DRAWN)}
    for key, info in leaves():
        if key[0] in PAGE_GROUPS or key[-1] in parts.get(key[0], ()):
            yield key, info


def differences(before: Config, after: Config) -> tuple[Changed, ...]:
    """Return the settings that differ, by dotted name. Cameras in a list are matched by their names."""
    old, new, nothing = _by_name(before), _by_name(after), (None, "")
    return tuple(
        Changed(name, old.get(name, nothing)[1], new.get(name, nothing)[1])
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    )


def _by_name(config: Config) -> dict[str, tuple[object, str]]:
    """Return the value of each setting by dotted name, and the text that shows it without passwords."""
    tree = config.model_dump(exclude={CAMERAS})
    tree |= {f"{CAMERAS}.{one.name}": one.model_dump(exclude_unset=True) for one in config.cameras}
    return {
        f"{group}.{key}": (value, value_text(key, value))
        for group, keys in tree.items()
        if isinstance(keys, dict)
        for key, value in keys.items()
    }


def value_text(key: str, value: object) -> str:
    """Return a value as it is written in the settings file, without passwords."""
    shown = hide_in_source(value) if key == "source" and isinstance(value, str) else value
    return line_of(key, shown).removeprefix(f"{key}: ")


def lines_of(edits: Edits) -> str:
    """Return the lines that a person adds to the settings file to save edits, without passwords."""
    lines = []
    for key, value in edits.items():
        if key[0] == CAMERAS:  # the line or lines of one camera, none for one that is removed
            if len(key) == 2 and value is None:
                continue
            keys = value if isinstance(value, dict) else {key[-1]: value}
            lines += [f"{name}: {value_text(name, one)}" for name, one in keys.items()]
        else:
            lines.append(f"{key[0]}: {{{key[1]}: {value_text(key[1], value)}}}")
    return "\n".join(lines)
