"""Change settings, and write the changes into the settings file with its comments kept.

`edited` returns the new settings, and `save` writes the same edits. ruamel.yaml keeps comments, order and
quotes. The new text must give exactly the new settings before it replaces the file.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import SingleQuotedScalarString
from ruamel.yaml.util import load_yaml_guess_indent

from gatecam.errors import ConfigError, OutputError
from gatecam.runtime.files import cannot_write, write_output
from gatecam.settings.fields import Key
from gatecam.settings.loading import compose, is_plain_text, parse, read_text
from gatecam.settings.problems import said_of
from gatecam.settings.schema import CameraConfig, Config
from gatecam.settings.text import line_of

CAMERAS = "cameras"
BEGIN = re.compile(r"(?:[ \t]*(?:#.*)?\n)*---[ \t]*(?:#.*)?\n")  # the marker before a document, which is rare

# New values by path. A camera of several is named: ("cameras", "north", "region"). With ("cameras", "north")
# the value is a new camera's keys, or None to remove it.
Edits = Mapping[Key, object]


class OverriddenError(ConfigError):
    """An environment variable sets a setting, so a value in the file would have no effect."""


class BrokenError(ConfigError):
    """The settings file is missing or has a mistake, which a person has to correct first."""


def camera_key(config: Config, camera: str, name: str) -> Key:
    """Return the path of a camera's own setting, such as its source or region."""
    if config.cameras:
        return (CAMERAS, camera, name)
    return ("camera" if name in CameraConfig.model_fields else "detector", name)


def edited(config: Config, edits: Edits) -> Config:
    """Return the settings with edits.

    Raises:
        ConfigError: a value is not valid.
    """
    tree = config.model_dump(mode="json", exclude_unset=True)
    for key, value in edits.items():
        _put(tree, key, value)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(said_of(error, tree)) from None


def save(path: Path, edits: Edits, is_new: bool = False) -> None:
    """Write edits into the settings file. With `is_new` it is created and must not exist yet.

    Raises:
        OverriddenError: an environment variable sets one of the settings.
        BrokenError: the file is missing or not valid.
        ConfigError: it has a form in which only a person can change it.
        OutputError: the file cannot be written.
    """
    try:
        text = None if is_new else read_text(path, required=True)
        before = parse(text, path)
    except ConfigError as error:
        raise BrokenError(str(error)) from None
    if names := [
        place for key in edits if (place := before.origins.get(".".join(key), "")).startswith("env")
    ]:
        raise OverriddenError(f"the {names[0]} sets this: remove that variable, or change it there.")
    wanted = edited(before.config, edits)
    changed = _written(text or "", edits, path)
    try:
        is_right = parse(changed, path).config.model_dump() == wanted.model_dump()
    except ConfigError:
        is_right = False
    if not is_right:
        raise ConfigError(f"{path}: has a form that gatecam does not change: edit it yourself.")
    if is_new:
        _create(path)
    try:
        write_output(path, changed, keeps=True)
    except OutputError:
        if is_new:  # the next change tries again
            path.unlink(missing_ok=True)
        raise


def _create(path: Path) -> None:
    """Create an empty file that only its owner may read, because addresses of cameras hold passwords."""
    try:
        path.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise cannot_write(path, error) from error


def _written(text: str, edits: Edits, path: Path) -> str:
    """Return the text of a settings file with edits.

    Lines of whole cameras are put in and cut out as text, because ruamel.yaml takes a comment after a camera
    for a part of it.

    Raises:
        ConfigError: ruamel.yaml cannot read the text, or finds other sections in it than PyYAML.
    """
    end = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n")
    rest = dict(edits)
    for key, value in edits.items():
        if key[0] == CAMERAS and len(key) == 2 and (entries := _entries(compose(path, text))):
            text = _with_entry(text, entries, key[1], value)
            del rest[key]
    return (_with_values(text, rest, path) if rest else text).replace("\n", end)


def _with_values(text: str, edits: Edits, path: Path) -> str:
    begun = BEGIN.match(text)
    head = "" if begun is None else begun[0]
    text, out = text.removeprefix(head), io.StringIO()
    try:
        node = compose(path, text)
        writer = _round_trip(text, node)
        tree = writer.load(text)
        is_empty = tree is None
        tree = CommentedMap() if is_empty else tree
        tree.update({name: _Empty() for name in _empty_sections(node)})
        for key, value in edits.items():
            _put(tree, key, _node(value))
        writer.dump(tree, out)
    except (YAMLError, AttributeError, TypeError) as error:
        raise ConfigError(f"{path}: has a form that gatecam does not change: edit it yourself.") from error
    if is_empty and text:  # it may have comments
        return head + text.removesuffix("\n") + "\n" + out.getvalue()
    return head + out.getvalue()


def _empty_sections(node: yaml.Node | None) -> list[str]:
    """Return the names of the sections without a value, whose keys may all be commented out."""
    pairs = node.value if isinstance(node, yaml.MappingNode) and not node.flow_style else []
    return [key.value for key, value in pairs if isinstance(value, yaml.ScalarNode) and value.value == ""]


def _with_entry(text: str, entries: Sequence[yaml.MappingNode], camera: str, value: object) -> str:
    """Return a text with a camera's entry after the last one, or without its lines. All comments stay."""
    names = [_name_of(entry) for entry in entries]
    if not isinstance(value, dict) and camera not in names:
        return text
    entry = entries[-1 if isinstance(value, dict) else names.index(camera)]
    column, start = _dash(text, entry)
    end = text.find("\n", _end(entry)) + 1
    if end == 0:
        text, end = f"{text}\n", len(text) + 1
    if not isinstance(value, dict):
        return text[:start] + text[end:]
    lines = textwrap.indent("\n".join(line_of(key, one) for key, one in value.items()), " " * (column + 2))
    return f"{text[:end]}{' ' * column}- {lines.lstrip()}\n{text[end:]}"


def _dash(text: str, entry: yaml.MappingNode) -> tuple[int, int]:
    """Return the column of an entry's dash, and where the dash's line starts. The keys may begin below it."""
    end = entry.start_mark.index
    while True:
        start = text.rfind("\n", 0, end) + 1
        line = text[start:end]
        if line.lstrip().startswith("-") or start == 0:
            return len(line) - len(line.lstrip()), start
        end = start - 1


def _entries(node: yaml.Node | None) -> list[yaml.MappingNode]:
    """Return the entries of `cameras:` that have lines of their own."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    lists = [value for key, value in pairs if key.value == CAMERAS and isinstance(value, yaml.SequenceNode)]
    return [entry for one in lists if not one.flow_style for entry in one.value]


def _name_of(entry: yaml.MappingNode) -> str | None:
    return next((str(value.value) for key, value in entry.value if key.value == "name"), None)


def _end(node: yaml.Node) -> int:
    """Return where a node's text ends, without the comments after it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


class _Representer(RoundTripRepresenter):
    """Writes `null` for None instead of nothing."""


class _Empty:
    """Stands for a section without a value, which stays so."""

    def __bool__(self) -> bool:
        return False


NULL = "tag:yaml.org,2002:null"
_Representer.add_representer(type(None), lambda representer, _: representer.represent_scalar(NULL, "null"))
_Representer.add_representer(_Empty, lambda representer, _: representer.represent_scalar(NULL, ""))


def _round_trip(text: str, node: yaml.Node | None) -> YAML:
    """Return a ruamel.yaml that writes with the indents of a text."""
    writer = YAML()
    writer.preserve_quotes = True
    writer.width = 100_000
    writer.Representer = _Representer
    sections = node.value if isinstance(node, yaml.MappingNode) and not node.flow_style else []
    columns = [value.start_mark.column for _, value in sections if _is_block(value, yaml.MappingNode)]
    sequence, offset = None, None
    with suppress(IndexError):  # a dash stands alone in its line
        _, sequence, offset = load_yaml_guess_indent(text)
    if offset is None:  # no list has lines of its own
        sequence, offset = 4, 2
    writer.indent(mapping=min(columns, default=2), sequence=sequence, offset=offset)
    return writer


def _is_block(node: yaml.Node, kind: type[yaml.CollectionNode]) -> bool:
    return isinstance(node, kind) and not node.flow_style


def _put(tree: Any, key: Key, value: object) -> None:
    """Set a value in a tree of mappings, and of the list of cameras, whose entries are found by name."""
    *path, last = key
    for name in path:
        if isinstance(tree, list):
            tree = tree[_index(tree, name)]
            continue
        if not tree.get(name):  # missing or null, or an empty list
            tree[name] = [] if name == CAMERAS else {}
        tree = tree[name]
    if not isinstance(tree, list):
        tree[last] = _with_comments(value, tree.get(last))
    elif isinstance(value, dict):
        tree.append(value)
    elif any(entry.get("name") == last for entry in tree):
        del tree[_index(tree, last)]


def _with_comments(value: Any, old: Any) -> Any:
    """Return a value. A list gets the layout and comments of the list that it replaces."""
    is_list = isinstance(value, CommentedSeq) and isinstance(old, CommentedSeq)
    if is_list and value and old and not old.fa.flow_style():
        value.fa.set_block_style()
        value.ca.comment, value.ca.end = old.ca.comment, old.ca.end
        value.ca.items.update(old.ca.items)
    return value


def _index(cameras: list[Any], name: str) -> int:
    try:
        return [entry.get("name") for entry in cameras].index(name)
    except ValueError:
        raise ConfigError(f"there is no camera {name[:60]}.") from None


def _node(value: object) -> object:
    """Return a value as ruamel.yaml writes it: lists in brackets, and quotes where YAML 1.1 needs them."""
    if isinstance(value, tuple | list):
        items = CommentedSeq([_node(item) for item in value])
        items.fa.set_flow_style()
        return items
    if isinstance(value, dict):
        return CommentedMap({key: _node(item) for key, item in value.items()})
    return SingleQuotedScalarString(value) if isinstance(value, str) and not is_plain_text(value) else value
