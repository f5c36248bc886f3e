"""Translate the sentences of the program for the pages. `sentences.json` has the Korean for each English one.

The program writes its sentences in English, into logs and answers alike. A page in Korean gets them
translated on their way to the browser. A sentence may hold others, such as the reason of a failure.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from gatecam.pictures.page_words import TEXTS

LONGEST = 2000  # letters of a sentence that is translated


def in_language(text: str, language: str) -> str:
    """Return a text of one or more sentences of the program in a language, as far as there is a translation.

    >>> in_language("There are too many users: remove one first.", "ko")
    '사용자가 너무 많습니다. 먼저 한 명을 삭제하세요.'
    """
    if language == "en":
        return text
    return "\n".join(_translated(line, language) for line in text.split("\n"))


def _translated(sentence: str, language: str) -> str:
    if len(sentence) > LONGEST:
        return sentence
    if (label := TEXTS.get(f"setting.{sentence}")) is not None:
        return label[language]
    for pattern, korean in _patterns():
        if (found := pattern.fullmatch(sentence)) is not None:
            parts = {name: _translated(part, language) for name, part in found.groupdict().items()}
            return korean.format(**parts)
    return sentence


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Return a pattern for each English sentence with its Korean, those that leave the least open first."""
    pairs = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    exact = sorted(pairs, key=lambda english: -len(re.sub(r"{\w+}", "", english)))
    return [(re.compile(_pattern(english)), pairs[english]) for english in exact]


def _pattern(english: str) -> str:
    fixed, *rest = re.split(r"{(\w+)}", english)
    holes = [f"(?P<{name}>.*?){re.escape(text)}" for name, text in zip(rest[::2], rest[1::2], strict=True)]
    return re.escape(fixed) + "".join(holes)
