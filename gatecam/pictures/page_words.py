"""Load the words of the operator's pages and reports, which are all in `page_words.json`.

The reasons of camera events come from `messages.py`, because chat messages contain them too. The English
help for settings comes from their schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from gatecam.pictures.messages import PUT_ON, REASON_MESSAGES, WEARING
from gatecam.settings.fields import Key, leaf
from gatecam.settings.text import sentence

LANGUAGES = ("ko", "en")


def _load() -> dict[str, dict[str, str]]:
    words = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    pairs = {f"reason.{reason}": pair for reason, pair in REASON_MESSAGES.items()}
    pairs |= {"kind.mask_ok.first": WEARING, "kind.mask_ok.later": PUT_ON}
    for key in [key for key in words if key.startswith("help.")]:
        words[key]["en"] = _help(tuple(key.split(".")[1:]), words)
    own = {key: dict(zip(LANGUAGES, pair, strict=True)) for key, pair in pairs.items()}
    return {**words, **own}


def _help(key: Key, words: Mapping[str, Mapping[str, str]]) -> str:
    """Return a setting's description for people who see a form and not the keys of the settings file."""
    text = sentence(leaf(key)).replace("(null:", "(empty:")
    for name in set(re.findall(r"\w+_\w+", text)):
        text = text.replace(name, f"“{words[f'setting.{key[0]}.{name}']['en']}”")
    return text


# Each text in every language, by key. Names in braces are filled in.
TEXTS: Mapping[str, Mapping[str, str]] = MappingProxyType(_load())


def page_words(language: str) -> dict[str, str]:
    """Return all texts in one of `LANGUAGES`, by key."""
    return {key: text[language] for key, text in TEXTS.items()}
