"""Translate the words of labelled collections for mask states, genders, ages and classes into labels."""

from __future__ import annotations

import math
import re

from gatecam.labels import CLASS_COUNT, MASK_LABELS, age_band, class_parts
from gatecam.training.data.rows import UNKNOWN

OLDEST_YEARS = 120
MASK_WORDS = (  # in the order of labels.MASK_LABELS
    ("correct", "correct_mask", "with_mask", "withmask", "mask", "masked", "mask_on", "worn"),
    ("incorrect", "incorrect_mask", "with_incorrect_mask", "mask_weared_incorrect", "wrong", "improper"),
    ("none", "without_mask", "withoutmask", "no_mask", "nomask", "normal", "bare", "unmasked"),
)
GENDER_WORDS = (
    ("male", "m", "man", "남", "남자", "남성"),
    ("female", "f", "woman", "여", "여자", "여성"),
)
AGE_WORDS = (
    ("<30", "under_30", "under30", "below_30", "0_29"),
    ("30_59", "30_60", ">=30_and_<60"),
    (">=60", "60+", "60_and_over", "over_60", "over60"),
)
CLASS_FOLDERS = (
    "0 to 17 (or class_3); correct, incorrect, none (or with_mask, without_mask, normal …); "
    "mask state, gender and age such as correct_male_<30 (or _under_30, _30-59, _60+)"
)


def mask_state(word: str) -> int:
    """Return the index of a mask state in `labels.MASK_LABELS`, or -1 for an unknown word."""
    return _index(word, MASK_WORDS)


def gender(word: str) -> int:
    """Return the index of a gender in `labels.GENDER_LABELS`, or -1 for an unknown word.

    >>> gender("Female"), gender("f"), gender("?")
    (1, 1, -1)
    """
    return _index(word, GENDER_WORDS)


def years(word: str) -> int:
    """Return whole years of age, or -1 if the word is no valid age, such as 0, 200 or `abc`."""
    try:
        number = float(word)
    except ValueError:
        return UNKNOWN
    return int(number) if math.isfinite(number) and 1 <= number <= OLDEST_YEARS else UNKNOWN


def band(years_of_age: int) -> int:
    """Return the index of an age's band in `labels.AGE_LABELS`, or -1 if the age is unknown."""
    return UNKNOWN if years_of_age == UNKNOWN else age_band(years_of_age)


def kind(word: str) -> str:
    """Return what covers a face in lower case, or "" if nothing does or if it is unknown.

    >>> kind("Surgical"), kind("none")
    ('surgical', '')
    """
    return "" if mask_state(word) == MASK_LABELS.index("none") else word.casefold()


def class_of_folder(name: str) -> tuple[int, int, int] | None:
    """Return the mask, gender and age indices that a folder's name stands for, or None if it names no class.

    An index is -1 if the name does not tell it.

    >>> class_of_folder("class_3"), class_of_folder("without_mask"), class_of_folder("correct_male_<30")
    ((0, 1, 0), (2, -1, -1), (0, 0, 0))
    """
    word = _plain(name)
    if (number := re.fullmatch(r"(?:class_?)?(\d{1,2})", word)) and int(number[1]) < CLASS_COUNT:
        return class_parts(int(number[1]))
    if (mask := mask_state(word)) != UNKNOWN:
        return mask, UNKNOWN, UNKNOWN
    for text in (w for words in MASK_WORDS for w in words if word.startswith(w + "_")):
        sex, _, age = word.removeprefix(text + "_").partition("_")
        if gender(sex) != UNKNOWN and _index(age, AGE_WORDS) != UNKNOWN:
            return mask_state(text), gender(sex), _index(age, AGE_WORDS)
    return None


def _index(word: str, words: tuple[tuple[str, ...], ...]) -> int:
    plain = _plain(word)
    return next((index for index, known in enumerate(words) if plain in known), UNKNOWN)


def _plain(word: str) -> str:
    return re.sub(r"[\s\-_]+", "_", word.strip().casefold())
