"""Say what is wrong with a setting: what was expected and what it got."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from gatecam.runtime.addresses import hide_in_source, hide_secrets
from gatecam.settings.fields import (
    Key,
    bounds_text,
    entries_of,
    is_list,
    is_text,
    kind_text,
    leaf,
    range_text,
)
from gatecam.settings.schema import Config


def rejected(key: Key, value: object, error_type: str, said: str | None) -> str:
    """Return what was expected of a setting and what it got."""
    info = leaf(key)
    found = got(hide_in_source(value) if key[-1] == "source" and isinstance(value, str) else value)
    expected = f"expected {kind_text(info)} {bounds_text(info)}".strip()
    if is_list(info) and isinstance(value, list):
        found = short(list_text(value))
    if said is not None:
        expected = said
    elif error_type in ("greater_than_equal", "less_than_equal") and not is_list(info):
        expected = f"expected {range_text(info.metadata)}"
    elif is_text(info) and not isinstance(value, str | list | dict | None):
        expected += " in quotes"
    return f"{expected}, got {found}"


def said_of(error: ValidationError, tree: Mapping[str, Any]) -> str:
    """Return the first problem of settings that were given as a tree."""
    detail = error.errors(include_url=False)[0]
    said = detail["msg"] if detail["type"] == "gatecam" else None
    more = (detail.get("ctx") or {}).get("key") if said else None
    key = (*key_of(detail["loc"]), *(more.split(".") if more else ()))
    if more or not key:
        return f"{'.'.join(key)}: {detail['msg']}"
    value: Any = tree
    for name in key:
        value = value[int(name)] if isinstance(value, list) else value.get(name)
    return f"{'.'.join(key)}: {rejected(key, value, detail['type'], said)}"


def key_of(location: Iterable[int | str]) -> Key:
    """Return the path of a setting from pydantic's location, with indices only for lists of groups."""
    key: list[str] = []
    for part in location:
        if isinstance(part, str) or (len(key) == 1 and entries_of(Config.model_fields[key[0]]) is not None):
            key.append(str(part))
    return tuple(key)


def printable(text: str) -> str:
    """Return text that is safe in a message or comment of one line."""
    return text if text.isprintable() else repr(text)[1:-1]


def short(text: str) -> str:
    """Return at most 60 letters of a text."""
    return text if len(text) <= 60 else text[:59] + "…"


def list_text(values: Iterable[object]) -> str:
    """Return a list, and the lists in it, in the form in which the author wrote them."""
    texts = (list_text(value) if value and isinstance(value, list) else got(value) for value in values)
    return f"[{', '.join(texts)}]"


def got(value: object) -> str:
    """Return a rejected value in the form in which its author wrote it."""
    if isinstance(value, str):
        return repr(short(hide_secrets(value)))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    return short(str(value))
