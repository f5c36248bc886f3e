"""Save a changed setting into the settings file, and leave everything else in the file as it is.

A new value replaces exactly the characters of the old one, so comments, order and layout stay. Libraries that
write YAML again, such as ruamel.yaml, change lines that nobody touched: `null` becomes an empty value, lists
are indented anew, and comments move.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from gatecam.errors import ConfigError
from gatecam.runtime.files import write_output
from gatecam.settings.loading import compose, parse, read_text
from gatecam.settings.schema import Config, Regions
from gatecam.settings.text import line_of

KEY = "ignore"


def with_ignored(config: Config, camera: str, places: Regions) -> Config:
    """Return the settings with the ignored places of a camera changed."""
    if not config.cameras:
        return config.model_copy(update={"detector": config.detector.model_copy(update={KEY: places})})
    cameras = tuple(
        one.model_copy(update={KEY: places}) if one.name == camera else one for one in config.cameras
    )
    return config.model_copy(update={"cameras": cameras})


def save_ignored(path: Path, camera: str, places: Regions) -> None:
    """Write the ignored places of a camera into the settings file.

    Raises:
        ConfigError: the file cannot be read, is not valid, or has a form in which only a person can change
            this setting.
        OutputError: the file cannot be written.
    """
    text = read_text(path, required=True) or ""
    before = parse(text, path).config
    names = [one.name for one in before.cameras]
    if names and camera not in names:
        raise ConfigError(f"{path}: has no camera {camera}.")
    node = compose(path, text)
    line = line_of(KEY, places)
    if names:
        changed = _with_line(text, node, ["cameras", names.index(camera)], line)
    else:
        changed = _with_line(text, node, ["detector"], line)
    if not _holds(changed, path, with_ignored(before, camera, places)):
        raise ConfigError(f"{path}: has a form that gatecam does not change: edit it yourself.")
    write_output(path, changed)


def _holds(text: str, path: Path, wanted: Config) -> bool:
    """Check whether a text, with the environment's variables, gives the wanted settings."""
    try:
        config = parse(text, path).config
    except ConfigError:
        return False
    return _dump(config) == _dump(wanted)


def _dump(config: Config) -> list[dict[str, Any]]:
    return [one.model_dump() for one in config.watched]


def _with_line(text: str, node: yaml.Node | None, path: list[str | int], line: str) -> str:
    """Return a text in which the section at `path` has a line `key: value` instead of its old one, if any."""
    key, value = line.split(": ", 1)
    end = "\r\n" if "\r\n" in text else "\n"
    after = 0  # where the section's key ends
    for part in path:
        after, node = _child(node, part)
    if node is None:
        gap = "" if not text or text.endswith("\n") else end
        return f"{text}{gap}{path[-1]}:{end}  {line}{end}"
    _, old = _child(node, key)
    if old is not None:
        if isinstance(old, yaml.SequenceNode) and not old.flow_style:
            value = f"  {value}"  # its dashes may stand right below the key, but a value may not
        return text[: old.start_mark.index] + value + text[_end(old) :]
    column = 2
    if isinstance(node, yaml.MappingNode):
        if node.flow_style:
            start = text.index("{", node.start_mark.index) + 1  # an anchor may come first
            return f"{text[:start]}{line}{', ' if node.value else ''}{text[start:]}"
        column = node.start_mark.column
        if isinstance(path[-1], int):  # the key of an entry would be its dash
            after = _end(node.value[0][1])
    else:  # `null` or nothing
        text = text[: node.start_mark.index] + text[node.end_mark.index :]
    start = text.find("\n", after) + 1
    if start == 0:
        text, start = text + end, len(text + end)
    return f"{text[:start]}{' ' * column}{line}{end}{text[start:]}"


def _child(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node | None]:
    """Return where the key of a child ends and the child, or None if there is none."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return node.value[part].start_mark.index, node.value[part]
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key.end_mark.index, value
    return 0, None


def _end(node: yaml.Node) -> int:
    """Return where a node's text ends, without the comments after it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)
