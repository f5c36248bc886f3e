"""Load the settings: the defaults, then a YAML file, then the environment.

An unknown key or a value out of bounds is a `ConfigError` that states the file and line, what was expected
and what was found.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from gatecam.errors import ConfigError
from gatecam.settings.fields import (
    Key,
    entries_of,
    is_list,
    is_nested,
    is_text,
    leaves,
    section_of,
    takes,
)
from gatecam.settings.problems import got, key_of, printable, rejected, short
from gatecam.settings.schema import Config, Section

log = logging.getLogger(__name__)

DEFAULT_PATH = Path("config.yaml")
ENV_PREFIX = "GATECAM_"
MAX_INNER = 8  # longest list in a list
MAX_FILE_BYTES = 64 * 1024  # the full config.yaml has 12 KiB; this stops a log file that is given by mistake


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """Holds settings and where each of them came from.

    `path` is the file that was read, or None. `origins` maps the dotted name of every setting that was given
    to its place: `config.yaml:14` or `environment GATECAM_DEVICE`.
    """

    config: Config
    path: Path | None
    origins: Mapping[str, str]


def load(path: Path | None = None, env: Mapping[str, str] | None = None) -> LoadedConfig:
    """Load settings from the defaults, then a YAML file, then `GATECAM_…` variables. The last one wins.

    Args:
        path: The file, which must exist. None means `config.yaml` in the working folder, if it exists.
        env: The environment, by default the process's. `GATECAM_DETECTOR_MIN_FACE_PX=60` sets
            `detector.min_face_px`. Values are parsed as plain YAML scalars, lists are separated by commas.

    Raises:
        ConfigError: The file cannot be read, or settings are wrong. The error has a line for each problem.
    """
    if path is None:
        _require_own(DEFAULT_PATH)
    text = read_text(path or DEFAULT_PATH, required=path is not None)
    return parse(text, None if text is None else path or DEFAULT_PATH, env)


def parse(text: str | None, path: Path | None, env: Mapping[str, str] | None = None) -> LoadedConfig:
    """Return the settings from the text of a file and the environment, as `load` does.

    Raises:
        ConfigError: Settings are wrong.
    """
    draft = _Draft()
    if path is not None and text is not None:
        draft.add_file(compose(path, text), path)
    draft.add_environment(os.environ if env is None else env)
    if draft.strange:
        _warn(f"variables that are no settings are ignored: {', '.join(draft.strange)}.")
    return LoadedConfig(draft.finished(), path, draft.origins())


@cache
def _warn(text: str) -> None:
    """Log a warning. Settings are read several times, so each text is logged only once."""
    log.warning("%s", text)


def _require_own(path: Path) -> None:
    """Check that root does not load settings that another user put into the working folder.

    Settings name programs to run and files to write.

    Raises:
        ConfigError: the file, or the link that leads to it, belongs to another user.
    """
    if os.geteuid() != 0:
        return
    try:
        owners = {path.lstat().st_uid, path.stat().st_uid}
    except OSError:
        return  # reading the file reports the error
    if others := owners - {0}:
        raise ConfigError(
            f"{path}: belongs to another user (id {min(others)}), so root does not take it from the working "
            f"folder; if you trust it, name it with --config {path}"
        )


def read_text(path: Path, required: bool) -> str | None:
    """Return the text of a settings file, or None if it does not exist and is not required.

    Raises:
        ConfigError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        if not required:
            return None
        raise ConfigError(f"{_place(path)}: no such file, check the path of the settings file") from None
    except OSError as error:
        raise ConfigError(
            f"{_place(path)}: cannot be read ({error.strerror}), check its path and permissions"
        ) from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(
            f"{_place(path)}: expected settings of at most {MAX_FILE_BYTES // 1024} KiB, got more"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"not UTF-8 text, save the file as UTF-8 ({_place(path, line)})") from None


def compose(path: Path, text: str) -> yaml.Node | None:
    """Parse a text into a YAML tree with line numbers, without building objects from it.

    Raises:
        ConfigError: The text is not valid YAML.
    """
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        problem, line = f"the character {error.character:#06x}", text.count("\n", 0, error.position) + 1
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem, line = error.problem or "a mistake", mark.line + 1 if mark else 1
    except RecursionError:
        problem, line = "too many brackets within brackets", 1
    else:
        return node
    raise ConfigError(f"not valid YAML, {problem}, check indents and quotes there ({_place(path, line)})")


_Pairs = list[tuple[yaml.Node, yaml.Node]]
_MERGE = "tag:yaml.org,2002:merge"
_RESOLVER = yaml.resolver.Resolver()
_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}


def _untagged(kind: type[yaml.Node], value: object, quoted: bool = False) -> str:
    """Return the tag that YAML gives a node without an explicit one."""
    return str(_RESOLVER.resolve(kind, value, (not quoted, quoted)))  # type: ignore[no-untyped-call]


def _scalar(text: str) -> object:
    """Return the null, boolean, number or text that a plain YAML scalar stands for."""
    tag = _untagged(yaml.ScalarNode, text)
    if tag not in _PLAIN_TAGS:
        return text
    try:
        value: object = yaml.constructor.SafeConstructor().construct_object(yaml.ScalarNode(tag, text))
    except (ValueError, OverflowError):
        return text
    # Python cannot print numbers with thousands of digits, and no setting has one.
    return text if isinstance(value, int) and value.bit_length() > 1000 else value


@dataclass(slots=True)
class _Value:
    value: object
    place: str
    rank: int  # orders problems: first the lines of the file, then the environment


@dataclass(slots=True)
class _Draft:
    """Collects settings for a `Config`, and all problems found on the way."""

    values: dict[Key, _Value] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)  # variables that are no settings

    def add_file(self, node: yaml.Node | None, path: Path) -> None:
        """Add the settings of a YAML tree."""
        if node is not None:
            self._add_mapping(node, path, Config, ())
            self._check_each()

    def _add_mapping(self, node: yaml.Node, path: Path, section: type[Section], prefix: Key) -> None:
        if isinstance(node, yaml.ScalarNode) and _node_value(node) is None:
            return  # all keys of the section are left out or commented out
        if not isinstance(node, yaml.MappingNode) or _has_tag(node):
            what = ".".join(prefix) or "settings"
            self._problem(f"{what}: expected keys with values, got {_node_got(node)}", path, node)
            return
        seen: set[str] = set()
        for key_node, value_node in self._pairs(node, path, {}):
            name = key_node.value if isinstance(key_node, yaml.ScalarNode) else "[…]"
            if name in seen:
                self._problem(f"{_dotted(prefix, name)}: given twice, keep one", path, key_node)
            elif name not in section.model_fields:
                self._problem(_unknown(prefix, name, section), path, key_node)
            else:
                self._add_node(value_node, path, section.model_fields[name], (*prefix, name), key_node)
            seen.add(name)

    def _pairs(self, node: yaml.MappingNode, path: Path, known: dict[int, _Pairs]) -> _Pairs:
        """Return the keys and values of a mapping, followed by those of its `<<` merges.

        Its own keys win over merged ones, and earlier merges over later ones. `known` caches the mappings
        that are already done, so nested merges take no longer than their result.
        """
        if id(node) in known:
            return known[id(node)]
        known[id(node)] = []  # for a mapping that merges itself
        own = [pair for pair in node.value if pair[0].tag != _MERGE]
        taken = {key.value for key, _ in own if isinstance(key, yaml.ScalarNode)}
        merged = []
        for key, value in node.value:
            if key.tag != _MERGE:
                continue
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(part, yaml.MappingNode):
                    self._problem(f"<<: expected keys with values, got {_node_got(part)}", path, key)
                    continue
                for pair in self._pairs(part, path, known):
                    if pair[0].value not in taken:
                        taken.add(pair[0].value)
                        merged.append(pair)
        known[id(node)] = [*own, *merged]
        return known[id(node)]

    def _add_node(self, node: yaml.Node, path: Path, info: FieldInfo, key: Key, key_node: yaml.Node) -> None:
        inner, entries = section_of(info), entries_of(info)
        if inner is not None:
            self._add_mapping(node, path, inner, key)
        elif entries is not None:
            self._add_list(node, path, entries, key)
        elif _has_tag(node):
            self._problem(f"{'.'.join(key)}: expected a plain value, got {_node_got(node)}", path, node)
        else:
            line = key_node.start_mark.line + 1
            self.values[key] = _Value(_node_value(node), _place(path, line), line)

    def _add_list(self, node: yaml.Node, path: Path, section: type[Section], key: Key) -> None:
        if isinstance(node, yaml.ScalarNode) and _node_value(node) is None:
            return
        if not isinstance(node, yaml.SequenceNode) or _has_tag(node):
            self._problem(f"{'.'.join(key)}: expected a list, got {_node_got(node)}", path, node)
            return
        for index, item in enumerate(node.value):
            place = _place(path, item.start_mark.line + 1)
            self.values[(*key, str(index))] = _Value({}, place, item.start_mark.line + 1)
            self._add_mapping(item, path, section, (*key, str(index)))

    def add_environment(self, env: Mapping[str, str]) -> None:
        """Add the `GATECAM_…` variables."""
        known = {ENV_PREFIX + "_".join(key).upper(): (key, info) for key, info in leaves()}
        for name in sorted(name for name in env if name.startswith(ENV_PREFIX)):
            place, rank = f"environment {printable(name)}", MAX_FILE_BYTES
            if name in known and not _is_service_link(name, env[name]):
                key, info = known[name]
                self.values[key] = _Value(_env_value(env[name], info), place, rank)
            else:
                self.strange.append(_strange_variable(name, known))
        self._check_each()

    def finished(self) -> Config:
        """Return the settings, or raise a `ConfigError` with every problem."""
        if not self.problems:
            try:
                return Config.model_validate(self._tree())
            except ValidationError as error:  # each setting is valid, but not together with the others
                for detail in error.errors(include_url=False):
                    key = (*map(str, detail["loc"]), *detail["ctx"]["key"].split("."))
                    given = self.values[key]
                    text = f"{'.'.join(key)}: {detail['msg']} ({given.place})"
                    self.problems.append((given.rank, text))
        raise ConfigError("\n".join(text for _, text in sorted(self.problems, key=lambda p: p[0])))

    def _tree(self) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for key, given in self.values.items():
            branch = tree
            for name in key[:-1]:
                branch = branch.setdefault(name, {})
            branch[key[-1]] = dict(given.value) if isinstance(given.value, dict) else given.value
        for name, info in Config.model_fields.items():
            if name in tree and entries_of(info) is not None:
                tree[name] = list(tree[name].values())
        return tree

    def _check_each(self) -> None:
        """Turn invalid values into problems, including those in the file that a variable would override."""
        try:
            Config.model_validate(self._tree())
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                key = key_of(detail["loc"])
                if (
                    key in self.values and not key[-1].isdecimal()
                ):  # not yet reported, and no section, which may still be completed
                    said = detail["msg"] if detail["type"] == "gatecam" else None
                    self._add_invalid(key, detail["type"], said)

    def origins(self) -> dict[str, str]:
        """Return where each setting came from, by its dotted name."""
        return {".".join(key): given.place for key, given in self.values.items()}

    def _add_invalid(self, key: Key, error_type: str, said: str | None) -> None:
        given = self.values.pop(key)
        text = f"{'.'.join(key)}: {rejected(key, given.value, error_type, said)} ({given.place})"
        self.problems.append((given.rank, text))

    def _problem(self, text: str, path: Path, node: yaml.Node) -> None:
        line = node.start_mark.line + 1
        self.problems.append((line, f"{text} ({_place(path, line)})"))


def is_plain_text(text: str) -> bool:
    """Return whether YAML reads a text without quotes as text, and not as a number or a word like `on`."""
    return _scalar(text) == text and text != ""


def _place(path: Path, line: int | None = None) -> str:
    name = printable(str(path))
    return name if line is None else f"{name}:{line}"


def _dotted(prefix: Key, name: str) -> str:
    return ".".join((*prefix, printable(short(name))))


def _unknown(prefix: Key, name: str, section: type[Section]) -> str:
    """Return the message for an unknown key, with the key that was probably meant."""
    near = difflib.get_close_matches(name, section.model_fields, n=1)
    homes = [".".join(key[:-1]) for key, _ in leaves() if key[-1] == name.rsplit(".")[-1] and key[:-1]]
    if near:
        hint = f", did you mean {near[0]}?"
    elif homes:
        hint = f", it belongs under {homes[0]}:"
    else:
        hint = f", expected one of {', '.join(section.model_fields)}"
    return f"{_dotted(prefix, name)}: unknown key{hint}"


def _is_service_link(name: str, value: str) -> bool:
    """Check for a variable that Docker and Kubernetes set for a service: `GATECAM_WEB_PORT=tcp://…`."""
    return name.endswith("_PORT") and value.startswith(("tcp://", "udp://", "sctp://"))


def _strange_variable(name: str, known: Iterable[str]) -> str:
    """Return the name of a variable that is no setting, with the setting that was probably meant."""
    ends = [other.removeprefix(ENV_PREFIX) for other in known]
    end = name.removeprefix(ENV_PREFIX)
    near = [] if end in ends else difflib.get_close_matches(end, ends, n=1, cutoff=0.75)
    return printable(short(name)) + (f" (did you mean {ENV_PREFIX}{near[0]}?)" if near else "")


def _node_value(node: yaml.Node) -> object:
    """Return the value of a scalar, of a list of scalars, or of a list of short lists of scalars.

    Longer, deeper or tagged values come back empty. No setting takes them, and with YAML's aliases they could
    expand to billions of values.
    """
    if isinstance(node, yaml.ScalarNode):
        return node.value if node.style else _scalar(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_node_value(item) if _is_plain(item) else _short_list(item) for item in node.value]
    return {}


def _short_list(node: yaml.Node) -> list[object]:
    if not isinstance(node, yaml.SequenceNode) or _has_tag(node) or len(node.value) > MAX_INNER:
        return []
    return [_node_value(item) if _is_plain(item) else [] for item in node.value]


def _is_plain(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not _has_tag(node)


def _has_tag(node: yaml.Node) -> bool:
    """Return whether a node has an explicit YAML tag such as `!!python/name:os.system`."""
    return node.tag != _untagged(type(node), node.value, quoted=bool(getattr(node, "style", None)))


def _node_got(node: yaml.Node) -> str:
    return f"the tag {printable(short(node.tag))}" if _has_tag(node) else got(_node_value(node))


def _env_value(text: str, info: FieldInfo) -> object:
    """Return the value of a variable. A text setting takes it unparsed, so `GATECAM_CAMERA_NAME=12` works."""
    value = _scalar(text.strip())
    if value is None and takes(info)[1]:
        return None
    if is_list(info):
        text = re.sub(r"[\[\]]", "", text) if is_nested(info) else text
        inner = text.strip().removeprefix("[").removesuffix("]").strip()
        return [_scalar(item.strip()) for item in inner.split(",")] if inner else []
    return text if is_text(info) else value
