"""The words of the pages: one table holds all of them, in Korean and English."""

from __future__ import annotations

import re
from pathlib import Path

from gatecam.labels import AGE_LABELS, GENDER_LABELS, MASK_LABELS
from gatecam.live.control import SavingProblem
from gatecam.live.page_settings import page_settings
from gatecam.pictures.page_words import LANGUAGES, TEXTS
from gatecam.settings.schema import Config
from gatecam.store.audit import Act
from gatecam.types import Answer, Blindness, EventKind, Slowness, Verdict
from gatecam.web.fleet_page import STATES
from gatecam.web.tokens import Role

SETTINGS = page_settings(Config())
PACKAGE = Path(__file__).parents[2] / "gatecam"
# The pages put these keys together from a prefix and the name of something.
NAMES = {
    "reason": {*Blindness, *Slowness},
    "kind": {*EventKind, "mask_ok.first", "mask_ok.later"},
    "verdict": {*Verdict},
    "answer": {*Answer},
    "class": {*MASK_LABELS, *GENDER_LABELS, *AGE_LABELS},
    "setting": {*SETTINGS},
    "unit": {"s", "days", "frames/s"},
    "help": {*SETTINGS},
    "group": {name.partition(".")[0] for name in SETTINGS},
    "advice": {"good", "small", "nobody", "dark", "bright", "few"},
    "output": {
        *("sound", "mqtt", "webhook", "command", "chat"),  # which can be tested
        *("postgres", "store", "log", "print", "evidence"),
    },
    "played": {"tone", "ko", "en"},
    "unsaved": {*SavingProblem} - {SavingProblem.NONE},
    "role": {*Role},
    "weekday": set(map(str, range(7))),
    "count": {"s", "min", "h", "h_min", "days", "person", "people"},
}


def test_every_text_is_there_in_both_languages():
    for key, texts in TEXTS.items():
        assert tuple(texts) == LANGUAGES, key
        assert all(text == text.strip() != "" for text in texts.values()), key
        holes = [set(re.findall(r"{\w+}", text)) for text in texts.values()]
        assert holes[0] == holes[1], key
        if key not in ("language.other", "report.title", "account.who"):
            assert [bool(re.search("[가-힣]", text)) for text in texts.values()] == [True, False], key


def test_everything_that_has_a_name_has_words():
    for prefix, names in NAMES.items():
        known = {key.partition(".")[2] for key in TEXTS if key.startswith(f"{prefix}.")}
        assert known == {str(name) for name in names}


def test_the_help_of_a_setting_is_that_of_the_schema():
    assert TEXTS["help.policy.remind_s"]["en"] == (
        "Time between an alert and its reminder if nothing changes, in s."
    )
    assert "(needs “Distance of the door” as well)" in TEXTS["help.detector.door_width_m"]["en"]
    assert "(empty: computed from the door" in TEXTS["help.detector.min_face_px"]["en"]


def test_no_text_is_left_that_no_page_uses():
    places = [*(PACKAGE / "web").rglob("*.*"), PACKAGE / "store" / "day_page.py"]
    places += [PACKAGE / "archive" / "page.py"]
    made = {f"audit.{act}" for act in Act}
    made |= {f"{wait}_{unit}" for wait in ("login.wait", "login.pause") for unit in ("s", "min")}
    orders = re.findall(r"^  (\w+): ", (PACKAGE / "web" / "static" / "fleet.js").read_text(), re.MULTILINE)
    made |= {f"fleet.{name}" for name in (*STATES, *(f"by_{order}" for order in orders))}
    used = "\n".join(path.read_text() for path in places if path.suffix in (".py", ".js", ".html"))
    used += "".join(re.sub('"(.+?)"', r'"report.\1"', line) for line in re.findall(r"for key in .*", used))
    used += "".join(re.sub('"(.+?)"', r'"report.\1"', line) for line in re.findall(r"keys = .*", used))
    used += "".join(f'"health.{name}"' for name in re.findall(r"(\w+): ", used))
    unused = [
        key
        for key in set(TEXTS) - made
        if key.partition(".")[0] not in NAMES and f'"{key}"' not in used and f"{{{{{key}}}}}" not in used
    ]
    assert unused == []
