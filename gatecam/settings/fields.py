"""Describe one setting: its type, its bounds and its place among the sections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from gatecam.settings.schema import Config, Section

Key = tuple[str, ...]


def section_of(info: FieldInfo) -> type[Section] | None:
    """Return the group of settings that a setting is, or None."""
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def entries_of(info: FieldInfo) -> type[Section] | None:
    """Return the group of settings that a setting holds a list of, or None."""
    kind = next(iter(get_args(info.annotation)), None)
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def leaves(section: type[Section] = Config, prefix: Key = ()) -> Iterator[tuple[Key, FieldInfo]]:
    """Yield every setting with its path, except those in lists of groups."""
    for name, info in section.model_fields.items():
        inner = section_of(info)
        if entries_of(info) is not None:
            continue
        if inner is None:
            yield (*prefix, name), info
        else:
            yield from leaves(inner, (*prefix, name))


def leaf(key: Key) -> FieldInfo:
    """Return the setting at a path such as `detector.region` or `cameras.0.region`."""
    section: type[Section] = Config
    for name in key[:-1]:
        if not name.isdecimal():
            info = section.model_fields[name]
            section = section_of(info) or entries_of(info) or section
    return section.model_fields[key[-1]]


def takes(info: FieldInfo) -> tuple[Any, bool]:
    """Return the type of a setting, and whether it may be null instead."""
    kinds = get_args(info.annotation)
    if NoneType not in kinds:
        return info.annotation, False
    (kind,) = (kind for kind in kinds if kind is not NoneType)
    return kind, True


def is_text(info: FieldInfo) -> bool:
    """Return whether a setting takes text."""
    return takes(info)[0] is str


def is_list(info: FieldInfo) -> bool:
    """Return whether a setting takes a list of values."""
    return get_origin(takes(info)[0]) is tuple


def is_nested(info: FieldInfo) -> bool:
    """Return whether a setting takes a list of lists."""
    return is_list(info) and get_origin(next(iter(get_args(takes(info)[0])))) is tuple


def bounds_of(metadata: Iterable[object]) -> tuple[float | None, float | None]:
    """Return the lowest and the highest value of a setting, each None if there is no such bound."""
    metadata = list(metadata)
    low = next((m.ge for m in metadata if hasattr(m, "ge")), None)
    high = next((m.le for m in metadata if hasattr(m, "le")), None)
    return low, high


def unit_of(name: str) -> str:
    """Return the unit of a setting, which is the end of its name, or an empty string.

    >>> unit_of("remind_s"), unit_of("max_fps"), unit_of("min_hits")
    ('s', 'frames/s', '')
    """
    ends = {"fps": "frames/s", "deg": "°", "mb": "MB", **{end: end for end in ("s", "px", "m", "days")}}
    return ends.get(name.rpartition("_")[2], "") if "_" in name or name in ends else ""


def range_text(metadata: Iterable[object]) -> str:
    """Return `12 to 2000`, or an empty string without two bounds."""
    low, high = bounds_of(metadata)
    return "" if low is None or high is None else f"{low} to {high}"


def bounds_text(info: FieldInfo) -> str:
    """Return `12 to 2000`, or an empty string for a setting without bounds."""
    bounds = range_text(info.metadata)
    return f"{bounds} or null" if bounds and takes(info)[1] else bounds


def kind_text(info: FieldInfo) -> str:
    """Return what a setting accepts: `a whole number`, `auto, cpu or cuda`, …"""
    kind, nullable = takes(info)
    if get_origin(kind) is Literal:
        *choices, last = get_args(kind)
        return f"{', '.join(choices)} or {last}"
    or_null = " or null" if nullable and not bounds_text(info) else ""
    if is_list(info):
        items = get_args(kind)
        if is_nested(info):
            return f"a list of lists, each of {_numbers_text(get_args(items[0]))}"
        if items[-1] is ...:
            return f"a list of texts{or_null}"
        return f"a list of {_numbers_text(items)}{or_null}"
    if is_text(info):
        return f'text such as "{info.examples[0]}"{or_null}' if info.examples else f"non-empty text{or_null}"
    return "true or false" if kind is bool else "a whole number" if kind is int else "a number"


def _numbers_text(items: Sequence[Any]) -> str:
    bounds = range_text(m for part in get_args(items[0])[1:] for m in getattr(part, "metadata", ()))
    return f"{len(items)} numbers {bounds}"
