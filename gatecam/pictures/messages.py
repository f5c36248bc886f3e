"""Define the texts for people in Korean and English: on the screen, aloud and in messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gatecam.types import Blindness, Event, EventKind, Slowness, Verdict


@dataclass(frozen=True, slots=True)
class BannerText:
    """Holds the banner's text in both languages and the verdict that gives its color."""

    korean: str
    english: str
    verdict: Verdict


MESSAGES: Mapping[Verdict, BannerText] = MappingProxyType(
    {
        verdict: BannerText(korean, english, verdict)
        for verdict, korean, english in (
            (Verdict.CORRECT, "감사합니다", "Thank you"),
            (Verdict.INCORRECT, "마스크로 코와 입을 덮어 주세요", "Please cover your nose and mouth"),
            (Verdict.NONE, "마스크를 써 주세요", "Please put on your mask"),
            (Verdict.UNKNOWN, "카메라를 봐 주세요", "Please look at the camera"),
        )
    }
)

# The two meanings of `mask_ok`, in both languages: the person came with a mask, or put it on after an alert.
WEARING = ("마스크 착용", "wearing a mask")
PUT_ON = ("알림 뒤 마스크 착용", "put a mask on")

# Why a face counts as a picture and not as a person, in both languages.
PICTURE = ("그림: 움직인 적이 없음", "picture: never moved")


def event_label(event: Event) -> str:
    """Return an event's kind for a table of events. `mask_ok` gets a note, because it has two meanings."""
    if event.kind is not EventKind.MASK_OK:
        return event.kind
    return f"{event.kind} ({(WEARING if event.first else PUT_ON)[1]})"


# The reasons why a camera is blind, in both languages, for the people in front of the screen.
CAMERA_MESSAGES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        Blindness.LOST: ("카메라 연결이 끊어졌습니다", "The camera gives no picture"),
        Blindness.FROZEN: ("카메라 화면이 멈췄습니다", "The camera's picture is frozen"),
        Blindness.COVERED: ("카메라가 가려져 있습니다", "The camera is covered"),
        Blindness.DARK: ("카메라로 보기에는 너무 어둡습니다", "It is too dark for the camera"),
        Blindness.BLINDED: ("카메라에 들어오는 빛이 너무 강합니다", "The camera is blinded by light"),
        Blindness.UNFOCUSED: ("카메라 초점이 맞지 않습니다", "The camera is out of focus"),
        Blindness.TURNED: ("카메라 방향이 바뀌었습니다", "The camera was turned away"),
    }
)

# The reasons of camera events, in both languages, for the operator.
REASON_MESSAGES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        **CAMERA_MESSAGES,
        Slowness.FEW_FRAMES: (
            "컴퓨터가 느려 카메라 영상을 너무 드물게 판정합니다",
            "The machine is too slow: few of the camera's frames are judged",
        ),
        Slowness.LATE: (
            "컴퓨터가 느려 카메라 영상을 너무 늦게 판정합니다",
            "The machine is too slow: the camera's frames are judged late",
        ),
    }
)

# What the program that watches many doors tells about one or many of them, in both languages.
DOOR_MESSAGES: Mapping[EventKind, tuple[str, str]] = MappingProxyType(
    {
        EventKind.DOOR_SILENT: ("출입문이 보고하지 않습니다", "The door does not report"),
        EventKind.DOOR_BACK: ("출입문이 다시 보고합니다", "The door reports again"),
        EventKind.DOORS_SILENT: ("출입문 여러 곳이 보고하지 않습니다", "Many doors do not report"),
        EventKind.DOORS_BACK: ("출입문 여러 곳이 다시 보고합니다", "Many doors report again"),
    }
)
