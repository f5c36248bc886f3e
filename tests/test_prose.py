"""Hold two signs of prose that has to be decoded: semicolons, and docstrings that begin with a fragment.

The aim is that every sentence is understood at once, which no test can check. See "Rules" in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "gatecam"
FRAGMENTS = {
    *("what", "whether", "of", "those", "how", "why", "who", "which", "where", "when", "all", "for", "from"),
    *("as", "in", "at", "on", "with", "unlike", "such", "one", "that", "to", "no", "nothing", "beside", "by"),
    *("until", "under", "this", "these", "it", "if", "not", "some", "any", "each", "every", "both", "none"),
}


def first_paragraphs(package: Path) -> Iterator[str]:
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text:
                    yield text.split("\n\n")[0]


def is_fragment(paragraph: str) -> bool:
    word = re.match(r"\W*([A-Za-z'-]+)", paragraph)
    return word is not None and word[1].lower() in FRAGMENTS


def test_docstrings_begin_with_a_verb_and_say_one_thing_a_sentence():
    paragraphs = list(first_paragraphs(PACKAGE))
    assert len(paragraphs) > 1000
    with_semicolon = [paragraph for paragraph in paragraphs if ";" in paragraph]
    fragments = [paragraph for paragraph in paragraphs if is_fragment(paragraph)]
    assert len(with_semicolon) < 0.03 * len(paragraphs), with_semicolon
    assert len(fragments) < 0.04 * len(paragraphs), fragments


def test_a_fragment_is_one():
    assert is_fragment("Whether there is too little light.")
    assert not is_fragment("Return the largest face.")
