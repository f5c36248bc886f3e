"""The sentences of the program in Korean, as the pages show them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatecam.errors import MissingExtraError
from gatecam.pictures import sentences
from gatecam.pictures.sentences import in_language

PACKAGE = Path(sentences.__file__).parents[1]
PAIRS = json.loads(Path(sentences.__file__).with_suffix(".json").read_text())
# Errors of these files reach a page as they are
SHOWN = (
    *("web/accounts.py", "web/cameras_page.py", "web/events.py", "web/guard.py", "web/pages.py"),
    *("web/settings_page.py", "live/camera_setup.py", "live/page_settings.py", "live/reload.py"),
    "capture/onvif.py",
)
ERRORS = {"HTTPException", "RefusedError", "ConfigError", "CameraError"}
# Sentences of pydantic, and those that are put together from pieces
ELSEWHERE = ("List should", "String should", "Input should", "Field required", "{key}: needs", "expected ")


def text_of(node: ast.expr) -> str | None:
    """Return a text of the source with `x` for what is filled in, or None for another expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(one.value if isinstance(one, ast.Constant) else "x" for one in node.values)
    return None


def raised(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS:
            yield from (text for one in node.args if (text := text_of(one)) and " " in text)


@pytest.mark.parametrize("name", SHOWN)
def test_each_sentence_that_a_page_shows_is_in_korean(name):
    to_login = "Log in."  # leads to the form, and is not shown
    lacking = [one for one in raised(PACKAGE / name) if not re.search("[가-힣]", in_language(one, "ko"))]
    assert [one for one in lacking if one != to_login] == []


def test_no_translation_is_left_of_a_sentence_that_the_program_no_longer_says():
    texts = [
        text.replace("{}", "x")
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.expr) and (text := text_of(node))
    ]
    said = "\n".join(texts)
    own = [english for english in PAIRS if not english.startswith(ELSEWHERE)]
    stale = [one for one in own if max(re.split(r"{\w+}", one), key=len).strip(" ().") not in said]
    assert stale == []


def test_each_translation_fills_in_only_what_the_sentence_has():
    for english, korean in PAIRS.items():
        assert re.search("[가-힣]", korean), english
        assert set(re.findall(r"{\w+}", korean)) <= set(re.findall(r"{\w+}", english)), english


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        (
            "policy.remind_s: expected 1 to 3600, got 0",
            "다시 알릴 때까지의 시간: 1~3600 범위의 값을 입력하세요. 입력한 값: 0",
        ),
        (
            "webhook http://a: events are not accepted (it answered 500); they are sent again.",
            "웹훅 http://a: 이벤트를 받지 않습니다(응답 코드: 500). 다시 보냅니다.",
        ),
        (
            "camera 10.0.0.5 does not answer; check the address and the network.",
            "10.0.0.5 카메라: 응답하지 않습니다. 주소와 네트워크를 확인하세요.",
        ),
        (
            str(MissingExtraError("Finding network cameras", "onvif")),
            "네트워크 카메라 찾기: 추가 구성 [onvif]이(가) 필요합니다. "
            "`pip install 'gatecam[onvif]'`로 설치하세요.",
        ),
        ("Something else {happened}.", "Something else {happened}."),
    ],
)
def test_a_sentence_is_translated_with_the_sentences_in_it(english, korean):
    assert in_language(english, "ko") == korean
    assert in_language(english, "en") == english
