"""The words of the page at the door: shipped ones, others by a file, and what is wrong with a file."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")

from gatecam.errors import ConfigError
from gatecam.web.door_words import KEYS, door_words

JAPANESE = """\
ja:
  missing: マスクを着けてください
  incorrect: 鼻まで覆ってください
  correct: ありがとうございます
  unknown: こちらを向いてください
  welcome: いらっしゃいませ
  unseen: カメラが見えません
"""


def test_korean_and_english_ship_with_every_word():
    korean, english = door_words(("ko", "en"), None)
    assert (korean["lang"], english["lang"]) == ("ko", "en")
    for words in (korean, english):
        assert set(words) == {"lang", *KEYS}
        assert all(words.values())
    assert len({tuple(words.values()) for words in (korean, english)}) == 2


def test_a_file_adds_a_language_and_changes_a_word(tmp_path):
    file = tmp_path / "words.yaml"
    file.write_text(JAPANESE + "en: {welcome: Come in}\n", encoding="utf-8")
    japanese, english = door_words(("ja", "en"), str(file))
    assert japanese["missing"] == "マスクを着けてください"
    assert english["welcome"] == "Come in"
    assert english["missing"] == door_words(("en",), None)[0]["missing"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected languages with words"),
        ("- ja", "expected languages with words"),
        ("ja: hello", "expected words by key under 'ja'"),
        ("1: {missing: a}", "expected words by key under 1"),
        ("ja: {mising: a}", "ja.mising: expected one of missing, incorrect"),
        ("ja: {missing: 3}", "ja.missing: expected 1 to 80 letters"),
        ("ja: {missing: ''}", "ja.missing: expected 1 to 80 letters"),
        ("ja: {missing: '  '}", "ja.missing: expected 1 to 80 letters"),
        ("ja: {missing: 2026-99-99}", "words.yaml: cannot be read (month must be in 1..12)"),
        ("no: {missing: a}", 'a language without quotes reads as False: write "no": for no.'),
        (f"ja: {{missing: {'a' * 81}}}", "ja.missing: expected 1 to 80 letters"),
        ("ja: {missing: a}", "web.languages: ja lacks the words incorrect, correct"),
        ("ja: [", "is not YAML in UTF-8"),
        ("ja: !!python/object:os.system {}", "is not YAML in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, text, expected):
    file = tmp_path / "words.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        door_words(("ja",), str(file))
    assert expected in str(caught.value)


def test_a_file_that_is_not_there_or_not_text_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml: cannot be read"):
        door_words(("ko",), str(tmp_path / "nothing.yaml"))
    with pytest.raises(ConfigError, match="cannot be read"):
        door_words(("ko",), "no\0file.yaml")
    (tmp_path / "odd.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not YAML in UTF-8"):
        door_words(("ko",), str(tmp_path / "odd.yaml"))


def test_a_language_without_words_is_told():
    with pytest.raises(ConfigError, match=r"web\.languages: fr lacks the words missing, .*web\.words_file"):
        door_words(("ko", "fr"), None)
