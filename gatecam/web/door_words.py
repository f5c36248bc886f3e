"""Load the texts of the door page in the languages from the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import yaml

from gatecam.errors import ConfigError
from gatecam.pictures.messages import MESSAGES
from gatecam.types import Verdict

MAX_BYTES = 64 * 1024
MAX_LETTERS = 80  # longer texts are hard to read from three meters away
WELCOME = {"ko": "어서 오세요", "en": "Welcome"}
UNSEEN = {"ko": "지금은 카메라를 사용할 수 없습니다", "en": "The camera cannot see right now"}

# missing, incorrect, correct and unknown are shown for a verdict, welcome if nobody is there, and unseen if
# the camera does not see.
KEYS = ("missing", "incorrect", "correct", "unknown", "welcome", "unseen")
_VERDICTS = {
    "missing": Verdict.NONE,
    "incorrect": Verdict.INCORRECT,
    "correct": Verdict.CORRECT,
    "unknown": Verdict.UNKNOWN,
}
SHIPPED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        language: MappingProxyType(
            {
                **{key: getattr(MESSAGES[verdict], name) for key, verdict in _VERDICTS.items()},
                "welcome": WELCOME[language],
                "unseen": UNSEEN[language],
            }
        )
        for language, name in (("ko", "korean"), ("en", "english"))
    }
)


def door_words(languages: Sequence[str], file: str | None) -> list[dict[str, str]]:
    """Return the texts of each language by key, with the language's tag under `lang`.

    Args:
        languages: tags such as `ko`, `en`, `ja`.
        file: a YAML file that maps tags to texts by key. It may also change the built-in texts.

    Raises:
        ConfigError: the file cannot be read, or a language lacks texts.
    """
    own = {} if file is None else _read(Path(file))
    found = []
    for language in languages:
        words = {**SHIPPED.get(language, {}), **own.get(language, {})}
        if lacks := [key for key in KEYS if key not in words]:
            raise ConfigError(
                f"web.languages: {language} lacks the words {', '.join(lacks)}: give them in web.words_file."
            )
        found.append({"lang": language, **words})
    return found


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES)
        given = yaml.safe_load(data.decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}): correct web.words_file.") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: is not YAML in UTF-8: correct it.") from error
    except ValueError as error:  # a NUL in the path, or a date that the calendar lacks
        raise ConfigError(f"{path}: cannot be read ({error}): correct it.") from error
    if not isinstance(given, dict):
        raise ConfigError(f"{path}: expected languages with words, such as `ja: {{missing: …}}`.")
    for language, words in given.items():
        if isinstance(language, bool):  # YAML reads `no` (Norwegian) as False
            raise ConfigError(f'{path}: a language without quotes reads as {language}: write "no": for no.')
        if not isinstance(language, str) or not isinstance(words, dict):
            raise ConfigError(f"{path}: expected words by key under {language!r}.")
        for key, text in words.items():
            if key not in KEYS:
                raise ConfigError(f"{path}: {language}.{key}: expected one of {', '.join(KEYS)}.")
            if not isinstance(text, str) or not text.strip() or len(text) > MAX_LETTERS:
                raise ConfigError(f"{path}: {language}.{key}: expected 1 to {MAX_LETTERS} letters.")
    return given
