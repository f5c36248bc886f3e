"""Write settings as YAML with comments.

`config.yaml` in the top folder of the project is `to_yaml(Config())`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import yaml
from pydantic.fields import FieldInfo

from gatecam.settings.fields import Key, bounds_text, entries_of, kind_text
from gatecam.settings.schema import Config, Section

_HEADER = """
    # Settings of gatecam, each with its meaning, unit and range. Keys may be left out.
    # After a change, run `gatecam config check` to see whether the file is correct.
    # An environment variable overrides a key: GATECAM_DETECTOR_MIN_FACE_PX=60 sets min_face_px below.
"""


def to_yaml(
    config: Config, origins: Mapping[str, str] | None = None, notes: Mapping[str, str] | None = None
) -> str:
    """Return commented YAML of every key, with its meaning, unit and range. `load` can read it.

    `origins`, as in `LoadedConfig`, adds where each value came from in a comment beside it. `notes` maps
    dotted names to further sentences for the comment above.
    """
    origins, notes = origins or {}, notes or {}
    blocks = [textwrap.dedent(_HEADER).lstrip()]
    for name, info in Config.model_fields.items():
        value = getattr(config, name)
        if entries_of(info) is not None:
            blocks.append(_entry_list(name, info, value, origins))
            continue
        if not isinstance(value, Section):
            blocks.append(_entry((name,), info, value, origins, notes))
            continue
        lines = [f"# {(type(value).__doc__ or '').strip()}\n{name}:\n"]
        for key, leaf in type(value).model_fields.items():
            entry = _entry((name, key), leaf, getattr(value, key), origins, notes)
            lines.append(textwrap.indent(entry, "  "))
        blocks.append("".join(lines))
    return "\n".join(blocks)


def _entry(
    key: Key, info: FieldInfo, value: object, origins: Mapping[str, str], notes: Mapping[str, str]
) -> str:
    """Return the lines of one key: its comments, then the key and its value."""
    name = ".".join(key)
    sentences = [sentence(info, f": {bounds_text(info) or kind_text(info)}")]
    sentences += [notes[name]] if name in notes else []
    return "\n".join([*map(_comment, sentences), line_of(key[-1], value, origins.get(name)) + "\n"])


def _entry_list(name: str, info: FieldInfo, entries: Sequence[Section], origins: Mapping[str, str]) -> str:
    """Return the lines of a list of groups: its comment, then the keys that each group sets."""
    comment = _comment(sentence(info))
    if not entries:
        return f"{comment}\n{name}: []\n"
    lines = [comment, f"{name}:"]
    for index, entry in enumerate(entries):
        given = [key for key in type(entry).model_fields if key in entry.model_fields_set]
        for key in given:
            mark = "-" if key == given[0] else " "
            lines.append(
                f"  {mark} {line_of(key, getattr(entry, key), origins.get(f'{name}.{index}.{key}'))}"
            )
    return "\n".join(lines) + "\n"


def sentence(info: FieldInfo, more: str = "") -> str:
    """Return a setting's description as a sentence, with `more` at its end."""
    description = info.description or ""
    return f"{description[:1].upper()}{description[1:]}{more}."


def _comment(sentence: str) -> str:
    return textwrap.fill(sentence, 100, initial_indent="# ", subsequent_indent="# ")


def line_of(key: str, value: object, origin: str | None = None) -> str:
    """Return the line of a key, with where its value came from as a comment."""
    if isinstance(value, tuple | list):  # in brackets on the line of its key
        line = (
            f"{key}: {yaml.safe_dump(list(value), allow_unicode=True, width=10_000, default_flow_style=True)}"
        )
    else:
        line = yaml.safe_dump({key: value}, allow_unicode=True, width=10_000, default_flow_style=False)
    line = line.rstrip()
    return f"{line}  # {origin}" if origin else line
