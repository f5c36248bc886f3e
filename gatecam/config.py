"""Floor 1: typed settings. `Config()` is the defaults; `load` adds a YAML file and the environment.

Every key has a unit and bounds; an unknown key or a value out of bounds is a `ConfigError` that
names the file and line, what was expected and what came. `config.yaml` at the top of the project is
`to_yaml(Config())`.
"""

from __future__ import annotations

import difflib
import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo

from gatecam.errors import ConfigError

DEFAULT_PATH = Path("config.yaml")
ENV_PREFIX = "GATECAM_"
MAX_FILE_BYTES = 64 * 1024  # the full config.yaml has 5 KiB; a log file given by mistake ends here


class Section(BaseModel):
    """A group of settings: frozen, and strict about names, types and bounds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class CameraConfig(Section):
    """The camera that `gatecam run` reads."""

    source: str = Field(
        default="0",
        min_length=1,
        description="camera: an index (0), a device path (/dev/video0), an rtsp:// or http:// URL",
        json_schema_extra={"type": ["string", "integer"]},
    )
    name: str = Field(default="entrance", min_length=1, description="name of the camera in events")
    width: int = Field(default=640, ge=64, le=7680, description="width asked of a USB camera, in px")
    height: int = Field(default=480, ge=64, le=4320, description="height asked of a USB camera, in px")
    fps: float = Field(
        default=30.0, ge=1, le=240, description="frame rate asked of a USB camera, in frames/s"
    )
    open_timeout_s: float = Field(
        default=10.0, ge=0.5, le=120, description="longest wait for a camera to open, in s"
    )
    read_timeout_s: float = Field(
        default=5.0, ge=0.5, le=120, description="time without a frame before the camera counts as lost, in s"
    )

    @field_validator("source", mode="before")
    @classmethod
    def _index_as_text(cls, value: object) -> object:
        """A camera's index is a number in YAML."""
        return str(value) if type(value) is int and value >= 0 else value


class DetectorConfig(Section):
    """The MTCNN cascade that finds faces."""

    min_face_px: int = Field(
        default=32, ge=12, le=2000, description="smallest side of a face that is looked for, in px"
    )
    pyramid_factor: float = Field(
        default=0.709, ge=0.3, le=0.9, description="size of one pyramid level, as a ratio of the level before"
    )
    pnet_threshold: float = Field(
        default=0.6, ge=0, le=1, description="score that P-Net must give a face, a probability"
    )
    rnet_threshold: float = Field(
        default=0.7, ge=0, le=1, description="score that R-Net must give a face, a probability"
    )
    onet_threshold: float = Field(
        default=0.7, ge=0, le=1, description="score that O-Net must give a face, a probability"
    )


class ClassifierConfig(Section):
    """The mask, gender and age classifier."""

    weights: str = Field(
        default="gatecam-faces",
        min_length=1,
        description="name of weights in models/, or path of a .safetensors file",
    )


class TrackerConfig(Section):
    """How faces become people, and how a verdict settles."""

    min_hits: int = Field(
        default=3, ge=1, le=100, description="frames that must show a face before a person counts"
    )
    lost_s: float = Field(
        default=1.0, ge=0.1, le=60, description="time without a face before a person counts as gone, in s"
    )
    confidence: float = Field(
        default=0.7,
        ge=0.34,
        le=0.999,
        description="smoothed probability below which a verdict is unknown, and alerts nobody",
    )
    smooth_s: float = Field(
        default=0.4,
        ge=0.05,
        le=10,
        description="time in which the weight of a face in the verdict falls to 1/e, in s",
    )
    settle_s: float = Field(
        default=0.25, ge=0, le=10, description="time that a first verdict must hold before it counts, in s"
    )
    change_s: float = Field(
        default=1.0, ge=0, le=10, description="time that another verdict must hold to replace one, in s"
    )


class PolicyConfig(Section):
    """When to speak up."""

    remind_s: float = Field(
        default=10.0,
        ge=1,
        le=3600,
        description="time between an alert and its reminder while nothing changes, in s",
    )
    cooldown_s: float = Field(
        default=3.0,
        ge=0,
        le=600,
        description="time in which a face back in one place is the same person, told nothing twice, in s",
    )


class ReplayConfig(Section):
    """Recorded video."""

    batch: int = Field(default=8, ge=1, le=256, description="frames analysed at once")
    image_fps: float = Field(
        default=10.0, ge=0.1, le=240, description="rate that a folder of images stands for, in frames/s"
    )


class NotifyConfig(Section):
    """Where alerts go besides the screen."""

    sound: bool = Field(default=True, description="whether each alert sounds a tone")
    log: str | None = Field(
        default=None,
        min_length=1,
        description="path of a file that `gatecam run` appends events to as JSON lines",
    )
    queue: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="events kept for a slow output before new ones are dropped and counted",
    )


class PrivacyConfig(Section):
    """What of a face leaves the program."""

    blur_faces: bool = Field(
        default=True, description="whether faces in saved videos and pictures are made unreadable"
    )


Device = Literal["auto", "cpu", "cuda"]


class Config(Section):
    """All settings."""

    device: Device = Field(
        default="auto", description="where the networks run; auto takes CUDA where it works, else the CPU"
    )
    camera: CameraConfig = CameraConfig()
    detector: DetectorConfig = DetectorConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    tracker: TrackerConfig = TrackerConfig()
    policy: PolicyConfig = PolicyConfig()
    replay: ReplayConfig = ReplayConfig()
    notify: NotifyConfig = NotifyConfig()
    privacy: PrivacyConfig = PrivacyConfig()


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """Settings, and where each came from.

    `path` is the file that was read, None without one. `origins` maps the dotted name of every
    setting that was given to its place: `config.yaml:14` or `environment GATECAM_DEVICE`.
    """

    config: Config
    path: Path | None
    origins: Mapping[str, str]


def load(path: Path | None = None, env: Mapping[str, str] | None = None) -> LoadedConfig:
    """Settings from the defaults, then a YAML file, then `GATECAM_…` variables; the last one wins.

    Args:
        path: The file, which must exist. None takes `config.yaml` of the working folder if there is one.
        env: The environment; None takes the process's. `GATECAM_DETECTOR_MIN_FACE_PX=60` sets
            `detector.min_face_px`; values are read as plain YAML scalars.

    Raises:
        ConfigError: The file cannot be read, or settings are wrong: one line for each problem.
    """
    text = _read_text(path or DEFAULT_PATH, required=path is not None)
    found = None if text is None else path or DEFAULT_PATH
    draft = _Draft()
    if found is not None and text is not None:
        draft.add_file(_compose(found, text), found)
    draft.add_environment(os.environ if env is None else env)
    return LoadedConfig(draft.finished(), found, draft.origins())


def to_yaml(config: Config, origins: Mapping[str, str] | None = None) -> str:
    """Commented YAML of every key: what it is, its unit and range; `load` reads it back.

    `origins`, as of `LoadedConfig`, adds to each value a comment that says where it came from.
    """
    blocks = [textwrap.dedent(_HEADER).lstrip()]
    for name, info in Config.model_fields.items():
        value = getattr(config, name)
        if not isinstance(value, Section):
            blocks.append(_entry((name,), info, value, origins or {}))
            continue
        lines = [f"# {(type(value).__doc__ or '').strip()}\n{name}:\n"]
        for key, leaf in type(value).model_fields.items():
            entry = _entry((name, key), leaf, getattr(value, key), origins or {})
            lines.append(textwrap.indent(entry, "  "))
        blocks.append("".join(lines))
    return "\n".join(blocks)


def schema() -> dict[str, Any]:
    """The JSON schema of `config.yaml`, for editors that check while typing."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


# Names and words -------------------------------------------------------------------------------

_Key = tuple[str, ...]

_HEADER = """
    # Settings of gatecam: what each key means, its unit and its range. A key may be left out.
    # After a change, `gatecam config check` says whether the file is right.
    # An environment variable overrides a key: GATECAM_DETECTOR_MIN_FACE_PX=60 sets min_face_px below.
"""


def _section(info: FieldInfo) -> type[Section] | None:
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _leaves(section: type[Section] = Config, prefix: _Key = ()) -> Iterator[tuple[_Key, FieldInfo]]:
    """Every setting with its path."""
    for name, info in section.model_fields.items():
        inner = _section(info)
        if inner is None:
            yield (*prefix, name), info
        else:
            yield from _leaves(inner, (*prefix, name))


def _is_text(info: FieldInfo) -> bool:
    return info.annotation is str or str in get_args(info.annotation)


def _bounds(info: FieldInfo) -> str:
    """`12 to 2000`, or nothing for a setting without bounds."""
    low = next((m.ge for m in info.metadata if hasattr(m, "ge")), None)
    high = next((m.le for m in info.metadata if hasattr(m, "le")), None)
    return "" if low is None or high is None else f"{low} to {high}"


def _kind(info: FieldInfo) -> str:
    """What a setting takes: `a whole number`, `auto, cpu or cuda`, …"""
    kind = info.annotation
    if get_origin(kind) is Literal:
        *choices, last = get_args(kind)
        return f"{', '.join(choices)} or {last}"
    if _is_text(info):
        return "non-empty text or null" if NoneType in get_args(kind) else "non-empty text"
    return "true or false" if kind is bool else "a whole number" if kind is int else "a number"


def _entry(key: _Key, info: FieldInfo, value: object, origins: Mapping[str, str]) -> str:
    """One key: its comment, then the key and its value."""
    description = info.description or ""
    sentence = f"{description[:1].upper()}{description[1:]}: {_bounds(info) or _kind(info)}."
    comment = textwrap.fill(sentence, 100, initial_indent="# ", subsequent_indent="# ")
    line = yaml.safe_dump({key[-1]: value}, allow_unicode=True, width=10_000).rstrip()
    origin = origins.get(".".join(key))
    return f"{comment}\n{line}{f'  # {origin}' if origin else ''}\n"


def _printable(text: str) -> str:
    """Text that is safe in a one-line message or comment."""
    return text if text.isprintable() else repr(text)[1:-1]


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def _got(value: object) -> str:
    """A rejected value as its author would know it."""
    if isinstance(value, str):
        return repr(_short(value))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    return _short(str(value))


# Reading ---------------------------------------------------------------------------------------


def _read_text(path: Path, required: bool) -> str | None:
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


def _compose(path: Path, text: str) -> yaml.Node | None:
    """The YAML tree of a text, with line numbers; nothing is built from it yet."""
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


_RESOLVER = yaml.resolver.Resolver()
_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}


def _untagged(kind: type[yaml.Node], value: object, quoted: bool = False) -> str:
    """The tag that YAML gives a node whose author wrote none."""
    return str(_RESOLVER.resolve(kind, value, (not quoted, quoted)))  # type: ignore[no-untyped-call]


def _scalar(text: str) -> object:
    """The null, boolean, number or text that a plain YAML scalar stands for."""
    tag = _untagged(yaml.ScalarNode, text)
    if tag not in _PLAIN_TAGS:
        return text
    try:
        value: object = yaml.constructor.SafeConstructor().construct_object(yaml.ScalarNode(tag, text))
    except (ValueError, OverflowError):
        return text
    # Python refuses to write numbers of thousands of digits, and no setting has one.
    return text if isinstance(value, int) and value.bit_length() > 1000 else value


@dataclass(slots=True)
class _Value:
    value: object
    place: str
    rank: int  # orders problems as a reader meets them: lines of the file, then the environment


@dataclass(slots=True)
class _Draft:
    """Settings on the way to a `Config`, with all problems met so far."""

    values: dict[_Key, _Value] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)

    def add_file(self, node: yaml.Node | None, path: Path) -> None:
        """Take the settings of a YAML tree."""
        if node is not None:
            self._add_mapping(node, path, Config, ())
            self._check()

    def _add_mapping(self, node: yaml.Node, path: Path, section: type[Section], prefix: _Key) -> None:
        if isinstance(node, yaml.ScalarNode) and _node_value(node) is None:
            return  # all keys of the section are left out or commented out
        if not isinstance(node, yaml.MappingNode) or _has_tag(node):
            what = ".".join(prefix) or "settings"
            self._problem(f"{what}: expected keys with values, got {_node_got(node)}", path, node)
            return
        seen: set[str] = set()
        for key_node, value_node in node.value:
            name = key_node.value if isinstance(key_node, yaml.ScalarNode) else "[…]"
            if name in seen:
                self._problem(f"{_dotted(prefix, name)}: given twice, keep one", path, key_node)
            elif name not in section.model_fields:
                self._problem(_unknown(prefix, name, section), path, key_node)
            else:
                self._add_node(value_node, path, section.model_fields[name], (*prefix, name), key_node)
            seen.add(name)

    def _add_node(self, node: yaml.Node, path: Path, info: FieldInfo, key: _Key, key_node: yaml.Node) -> None:
        inner = _section(info)
        if inner is not None:
            self._add_mapping(node, path, inner, key)
        elif _has_tag(node):
            self._problem(f"{'.'.join(key)}: expected a plain value, got {_node_got(node)}", path, node)
        else:
            line = key_node.start_mark.line + 1
            self.values[key] = _Value(_node_value(node), _place(path, line), line)

    def add_environment(self, env: Mapping[str, str]) -> None:
        """Take the `GATECAM_…` variables."""
        known = {ENV_PREFIX + "_".join(key).upper(): (key, info) for key, info in _leaves()}
        for name in sorted(name for name in env if name.startswith(ENV_PREFIX)):
            place, rank = f"environment {_printable(name)}", MAX_FILE_BYTES
            if name in known:
                key, info = known[name]
                self.values[key] = _Value(_env_value(env[name], info), place, rank)
            else:
                self.problems.append((rank, f"{_printable(name)}: {_unknown_variable(name, known)}"))
        self._check()

    def finished(self) -> Config:
        """The settings, or a `ConfigError` with every problem."""
        if self.problems:
            raise ConfigError("\n".join(text for _, text in sorted(self.problems, key=lambda p: p[0])))
        return Config.model_validate(self._tree())

    def _tree(self) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for key, given in self.values.items():
            branch = tree
            for name in key[:-1]:
                branch = branch.setdefault(name, {})
            branch[key[-1]] = given.value
        return tree

    def _check(self) -> None:
        """Turn wrong values into problems, also those of the file that a variable would override."""
        try:
            Config.model_validate(self._tree())
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                self._add_invalid(tuple(str(part) for part in detail["loc"]), detail["type"])

    def origins(self) -> dict[str, str]:
        """Where each setting came from, by its dotted name."""
        return {".".join(key): given.place for key, given in self.values.items()}

    def _add_invalid(self, key: _Key, error_type: str) -> None:
        info, given = dict(_leaves())[key], self.values.pop(key)
        expected = f"{_kind(info)} {_bounds(info)}".strip()
        if error_type in ("greater_than_equal", "less_than_equal"):
            expected = _bounds(info)
        elif _is_text(info) and not isinstance(given.value, str | list | dict | None):
            expected += " in quotes"
        text = f"{'.'.join(key)}: expected {expected}, got {_got(given.value)} ({given.place})"
        self.problems.append((given.rank, text))

    def _problem(self, text: str, path: Path, node: yaml.Node) -> None:
        line = node.start_mark.line + 1
        self.problems.append((line, f"{text} ({_place(path, line)})"))


def _place(path: Path, line: int | None = None) -> str:
    name = _printable(str(path))
    return name if line is None else f"{name}:{line}"


def _dotted(prefix: _Key, name: str) -> str:
    return ".".join((*prefix, _printable(_short(name))))


def _unknown(prefix: _Key, name: str, section: type[Section]) -> str:
    """Says that a key is unknown, and which one was likely meant."""
    near = difflib.get_close_matches(name, section.model_fields, n=1)
    homes = [".".join(key[:-1]) for key, _ in _leaves() if key[-1] == name.rsplit(".")[-1] and key[:-1]]
    if near:
        hint = f", did you mean {near[0]}?"
    elif homes:
        hint = f", it belongs under {homes[0]}:"
    else:
        hint = f", expected one of {', '.join(section.model_fields)}"
    return f"{_dotted(prefix, name)}: unknown key{hint}"


def _unknown_variable(name: str, known: Iterable[str]) -> str:
    ends = [other.removeprefix(ENV_PREFIX) for other in known]
    near = difflib.get_close_matches(name.removeprefix(ENV_PREFIX), ends, n=1)
    return f"unknown variable, {f'did you mean {ENV_PREFIX}{near[0]}?' if near else 'unset it'} (environment)"


def _node_value(node: yaml.Node) -> object:
    """A scalar's value; an empty list or mapping stands for one of any size, which no setting takes."""
    if isinstance(node, yaml.ScalarNode):
        return node.value if node.style else _scalar(node.value)
    return [] if isinstance(node, yaml.SequenceNode) else {}


def _has_tag(node: yaml.Node) -> bool:
    """Whether a node was given a YAML tag such as `!!python/name:os.system`."""
    return node.tag != _untagged(type(node), node.value, quoted=bool(getattr(node, "style", None)))


def _node_got(node: yaml.Node) -> str:
    return f"the tag {_printable(_short(node.tag))}" if _has_tag(node) else _got(_node_value(node))


def _env_value(text: str, info: FieldInfo) -> object:
    """A variable's value; for text it is taken as it stands, so that `GATECAM_CAMERA_NAME=12` works."""
    value = _scalar(text.strip())
    nothing = value is None and NoneType in get_args(info.annotation)
    return None if nothing else text if _is_text(info) else value
