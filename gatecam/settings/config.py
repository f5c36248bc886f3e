"""Define and load the settings. `Config()` holds the defaults, `load` adds a YAML file and the environment.

Every number has bounds, and its description states the unit. An unknown key or a value out of bounds is a
`ConfigError` that states the file and line, what was expected and what was found. `config.yaml` in the top
folder of the project is `to_yaml(Config())`.
"""

from __future__ import annotations

import difflib
import logging
import math
import os
import re
import socket
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, Self, get_args, get_origin
from urllib.parse import urlsplit

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from gatecam.errors import ConfigError
from gatecam.runtime.addresses import hide_in_source, hide_secrets, source_problem

log = logging.getLogger(__name__)

DEFAULT_PATH = Path("config.yaml")
ENV_PREFIX = "GATECAM_"
MAX_FILE_BYTES = 64 * 1024  # the full config.yaml has 12 KiB; this stops a log file that is given by mistake

FACE_BREADTH_M = 0.14  # about the breadth of an adult's face at the cheekbones
SMALLEST_FACE_PX = 12  # size of P-Net's input: no smaller face can be found (Zhang et al. 2016, section 2.2)
DEFAULT_FACE_PX = 32
MIN_REGION_SHARE = 0.05
MOST_CAMERAS = 64

Share = Annotated[float, Field(ge=0, le=1)]
Words = tuple[Annotated[str, Field(min_length=1)], ...]
Region = tuple[Share, Share, Share, Share]  # x1, y1, x2, y2 as shares of the picture's width and height


class Section(BaseModel):
    """Holds a group of settings. It is frozen, and strict about names, types and bounds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _as_it_was_meant(cls, value: object, info: ValidationInfo) -> object:
        """Reject a text with a placeholder, outer spaces or curly quotes, which would not work as meant."""
        if isinstance(value, str):
            if found := re.search(r"\$\{\w*\}?", value):
                raise _problem(f"expected no {found[0]}, which nothing fills in; write the value itself")
            if info.field_name in _ADDRESSES and value != value.strip():
                raise _problem("expected no spaces before or after it")
            if info.field_name in _ADDRESSES and value[:1] in _CURLY:
                raise _problem('expected straight quotes, "…", around it')
        return value


_ADDRESSES = ("source", "url", "host", "proxy")
_CURLY = tuple("\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb")


class CameraConfig(Section):
    """The camera that `gatecam run` reads."""

    source: str = Field(
        default="0",
        min_length=1,
        description="the camera, as an index (0), a device path (/dev/video0), or an rtsp:// or http:// URL",
        json_schema_extra={"type": ["string", "integer"]},
    )
    name: str = Field(default="entrance", min_length=1, description="name of the camera in events")
    width: int = Field(default=640, ge=64, le=7680, description="width to request from a USB camera, in px")
    height: int = Field(default=480, ge=64, le=4320, description="height to request from a USB camera, in px")
    fps: float = Field(
        default=30.0, ge=1, le=240, description="frame rate to request from a USB camera, in frames/s"
    )
    max_fps: float | None = Field(
        default=None,
        ge=5,
        le=240,
        description="maximum rate at which frames are used, in frames/s (null: no limit)",
    )
    open_timeout_s: float = Field(
        default=10.0, ge=0.5, le=120, description="maximum wait for a camera to open, in s"
    )
    read_timeout_s: float = Field(
        default=2.0, ge=0.5, le=120, description="time without a frame before the camera counts as lost, in s"
    )
    rtsp_transport: Literal["auto", "tcp", "udp"] = Field(
        default="auto",
        description="transport of the video of an rtsp:// camera (auto tries TCP, then UDP, and keeps what "
        "works)",
    )
    other_hosts: bool = Field(
        default=False,
        description="whether the camera's address may lead to other hosts and ports, by redirects or "
        "playlists (HLS)",
    )

    @field_validator("source", mode="before")
    @classmethod
    def _index_as_text(cls, value: object) -> object:
        """Return an index, which is a number in YAML, as text."""
        return str(value) if type(value) is int and value >= 0 else value

    @field_validator("source")
    @classmethod
    def _one_camera(cls, source: str) -> str:
        if problem := source_problem(source):
            raise _problem(problem)
        return source


@dataclass(frozen=True, slots=True)
class Door:
    """Describes a doorway by its width and the distance from the lens to a face in its middle, in m."""

    width_m: float
    distance_m: float

    @property
    def farthest_m(self) -> float:
        """Return the longest distance from the lens to a face in the doorway, in m.

        The sides of the doorway are half its width away from its middle. So no face in it is farther than the
        distance to the middle plus that half, wherever the camera hangs (triangle inequality).
        """
        return self.distance_m + self.width_m / 2


class Geometry(Section):
    """The view of a camera, and the smallest face to find in it."""

    min_face_px: int | None = Field(
        default=None,
        ge=SMALLEST_FACE_PX,
        le=2000,
        description="side of the smallest face to find, in px (null: computed from the door, or "
        f"{DEFAULT_FACE_PX} without a door)",
    )
    door_width_m: float | None = Field(
        default=None, ge=0.3, le=20, description="width of the doorway, in m (needs door_distance_m as well)"
    )
    door_distance_m: float | None = Field(
        default=None,
        ge=0.3,
        le=50,
        description="distance from the lens to a face in the middle of the doorway, in m (needs door_width_m "
        "as well)",
    )
    view_deg: float = Field(
        default=70.0,
        ge=10,
        le=170,
        description="angle of view of the lens across the whole width of the picture, in degrees",
    )
    region: Region | None = Field(
        default=None,
        description="part of the picture that is searched, as [x1, y1, x2, y2] in shares of its width and "
        f"height from the top left, at least {MIN_REGION_SHARE} wide and high (null: the whole picture)",
    )

    @field_validator("region", mode="before")
    @classmethod
    def _list_as_tuple(cls, value: object) -> object:
        """Return a list as a tuple, because YAML has no tuples."""
        return tuple(value) if isinstance(value, list) else value

    @field_validator("region")
    @classmethod
    def _with_an_area(cls, region: Region | None) -> Region | None:
        if region is not None:
            for low, high, axis in ((region[0], region[2], "x"), (region[1], region[3], "y")):
                if round(high - low, 6) < MIN_REGION_SHARE:
                    raise _problem(f"expected {axis}2 at least {MIN_REGION_SHARE} above {axis}1")
        return region

    @model_validator(mode="after")
    def _whole_door(self) -> Self:
        width, distance = ("door_width_m", self.door_width_m), ("door_distance_m", self.door_distance_m)
        for (given, value), (missing, other) in ((width, distance), (distance, width)):
            if value is not None and other is None:
                raise _problem(f"needs {missing} as well, give both or neither", given)
        return self

    @property
    def door(self) -> Door | None:
        """Return the doorway if its measures are given, else None."""
        if self.door_width_m is None or self.door_distance_m is None:
            return None
        return Door(self.door_width_m, self.door_distance_m)

    def view_m(self, distance_m: float) -> float:
        """Return how much the whole width of the picture shows at a depth, in m, without lens distortion."""
        return 2 * distance_m * math.tan(math.radians(self.view_deg) / 2)

    def face_px(self, distance_m: float, width_px: float) -> float:
        """Return the width of a face at a depth in a picture that is `width_px` wide, in px."""
        return FACE_BREADTH_M / self.view_m(distance_m) * width_px

    def smallest_face_px(self, width_px: int) -> int:
        """Return the smallest face to find, in px.

        This is `min_face_px` if given, else the width of the farthest face in the doorway, else 32.

        Args:
            width_px: width of the area that is searched: the region if one is set, else the whole picture.
        """
        if self.min_face_px is not None:
            return self.min_face_px
        if self.door is None:
            return DEFAULT_FACE_PX
        share = 1.0 if self.region is None else self.region[2] - self.region[0]
        return max(SMALLEST_FACE_PX, math.floor(self.face_px(self.door.farthest_m, width_px / share)))


class DetectorConfig(Geometry):
    """The MTCNN cascade that finds faces."""

    weights: str = Field(
        default="gatecam-mtcnn",
        min_length=1,
        description="name of weights in models/, path of a .safetensors file, or stock for the weights of "
        "facenet-pytorch",
    )
    detect_every: int = Field(
        default=10,
        ge=1,
        le=300,
        description="maximum number of frames from one search of the whole picture to the next (1: every "
        "frame is searched whole)",
    )
    pyramid_factor: float = Field(
        default=0.709, ge=0.3, le=0.9, description="size of each pyramid level relative to the level before"
    )
    pnet_threshold: float = Field(
        default=0.6, ge=0, le=1, description="minimum probability of a face from P-Net"
    )
    rnet_threshold: float = Field(
        default=0.7, ge=0, le=1, description="minimum probability of a face from R-Net"
    )
    onet_threshold: float = Field(
        default=0.7, ge=0, le=1, description="minimum probability of a face from O-Net"
    )


class CameraEntry(Geometry, CameraConfig):
    """Settings of a camera among several. Missing keys are taken from `camera:` and `detector:`."""


def _problem(text: str, key: str | None = None) -> PydanticCustomError:
    """Return an error for a setting whose type and bounds are right. `key` names it if many are checked."""
    return PydanticCustomError("gatecam", "{text}", {"text": text, "key": key})


def _host(text: str | None) -> str | None:
    """Return the name or address of a host, without the brackets that URLs need around `::1`."""
    host = text[1:-1] if text and text.startswith("[") and text.endswith("]") else text
    if host is not None and not _is_host(host):
        raise _problem("expected a name or an address alone, such as broker.example or 192.0.2.7")
    return host


def _is_host(text: str) -> bool:
    """Return whether a text is the name or address of a host, without a scheme, a port or a path."""
    try:
        ip_address(text)
    except ValueError:
        try:
            text.encode("idna")  # the look-up of its address does the same
        except UnicodeError:
            return False
        return not re.search(r"[\s:/@\[\]]", text)
    return True


def _has_host(url: str) -> bool:
    """Return whether a URL has a host, and a number as its port if it has one."""
    try:
        parts = urlsplit(url)
        return parts.port != 0 and _is_host(parts.hostname or " ")
    except ValueError:
        return False


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class ClassifierConfig(Section):
    """The classifier of masks, gender and age."""

    weights: str = Field(
        default="gatecam-faces",
        min_length=1,
        description="name of weights in models/, or path of a .safetensors file",
    )


class TrackerConfig(Section):
    """The tracking of faces and the settling of verdicts."""

    min_hits: int = Field(default=3, ge=1, le=100, description="frames with a face before a person counts")
    lost_s: float = Field(
        default=1.0, ge=0.1, le=60, description="time without a face before a person counts as gone, in s"
    )
    confidence: float = Field(
        default=0.7,
        ge=0.34,
        le=0.999,
        description="minimum smoothed probability of a verdict; below it the verdict is unknown, without an "
        "alert",
    )
    smooth_s: float = Field(
        default=0.4,
        ge=0.05,
        le=10,
        description="time constant of smoothing, after which a face counts 1/e as much in a verdict, in s",
    )
    settle_s: float = Field(
        default=0.25, ge=0, le=10, description="time for which a first verdict must hold to count, in s"
    )
    change_s: float = Field(
        default=1.0, ge=0, le=10, description="time for which a new verdict must hold to replace one, in s"
    )


class PolicyConfig(Section):
    """Alerts and reminders."""

    remind_s: float = Field(
        default=10.0,
        ge=1,
        le=3600,
        description="time between an alert and its reminder if nothing changes, in s",
    )
    cooldown_s: float = Field(
        default=3.0,
        ge=0,
        le=600,
        description="time within which a face that returns to its place is the same person, who gets no "
        "second alert, in s",
    )


class PaceConfig(Section):
    """Limits beyond which a camera counts as too slow."""

    min_fps: float = Field(
        default=4.0,
        ge=0,
        le=60,
        description="minimum rate of classified frames for each camera, in frames/s (0: no limit); a camera "
        "that delivers fewer is not too slow",
    )
    max_age_s: float = Field(
        default=1.0,
        ge=0.2,
        le=60,
        description="maximum time from a frame to its verdicts, in s",
    )


class ReplayConfig(Section):
    """The processing of recorded video."""

    batch: int = Field(
        default=8,
        ge=1,
        le=256,
        description="frames analyzed at once if each is searched whole, on a GPU or with detect_every 1",
    )
    hardware: bool = Field(
        default=True, description="whether a GPU that analyzes also decodes the videos, if it can (NVDEC)"
    )
    image_fps: float = Field(
        default=10.0, ge=0.1, le=240, description="frame rate assumed for a folder of pictures, in frames/s"
    )


class NotifyConfig(Section):
    """Sound and log of events."""

    sound: bool = Field(default=True, description="whether alerts are heard; see sound below")
    log: str | None = Field(
        default=None,
        min_length=1,
        description="path of a file to which `gatecam run` appends events as JSON lines",
    )
    queue: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="events that wait for a slow output before new ones are dropped and counted",
    )


class SoundConfig(Section):
    """The sound of alerts."""

    tones: bool = Field(default=True, description="whether a tone is played before the words")
    voices: Words = Field(
        default=("ko", "en"),
        description="languages of the spoken words, in order, from ko and en (an empty list: tones only)",
    )
    volume: float = Field(default=1.0, ge=0, le=1, description="volume, as a share of full volume")
    quiet_hours: str | None = Field(
        default=None,
        pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$",
        examples=["22:00-07:00"],
        description="time of day without sound",
    )
    pause_s: float = Field(
        default=1.0,
        ge=0,
        le=600,
        description="minimum silence between two sounds of the same kind, in s",
    )

    @field_validator("voices", mode="before")
    @classmethod
    def _list_as_tuple(cls, value: object) -> object:
        """Return a list as a tuple, because YAML has no tuples."""
        return tuple(value) if isinstance(value, list) else value

    @field_validator("quiet_hours")
    @classmethod
    def _hours_that_last(cls, hours: str | None) -> str | None:
        if hours is not None and len(set(hours.split("-"))) == 1:
            raise _problem("expected different start and end times; sound.volume: 0 is quiet all day")
        return hours

    @field_validator("voices")
    @classmethod
    def _that_ship(cls, voices: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(voices)) < len(voices) or not set(voices) <= {"ko", "en"}:
            raise _problem("expected ko, en, both or none, each once")
        return voices


class StoreConfig(Section):
    """The database of events, its limits, and a copy in PostgreSQL."""

    path: str | None = Field(
        default=None,
        min_length=1,
        description="path of the SQLite file (null: events.sqlite3 in gatecam's data folder)",
    )
    url: str | None = Field(
        default=None,
        pattern=r"^postgresql://",
        examples=["postgresql://gatecam@db.example/gatecam"],
        description="address of a PostgreSQL database that also gets every event and then answers queries; "
        "put its password into ~/.pgpass rather than here",
    )

    @field_validator("url")
    @classmethod
    def _whole_address(cls, url: str | None) -> str | None:
        if url is not None and (url.count("@") > 1 or not _has_host(url)):
            raise _problem(
                "expected an address such as postgresql://gatecam@db.example/gatecam, with @ in a password "
                "as %40"
            )
        return url

    keep_days: int = Field(default=30, ge=1, le=3650, description="age at which events are deleted, in days")
    keep_mb: int = Field(
        default=200, ge=5, le=1_000_000, description="size above which the oldest events are deleted, in MB"
    )


class MqttConfig(Section):
    """The MQTT broker that gets events and the state of the cameras, with discovery for Home Assistant."""

    host: str | None = Field(default=None, min_length=1, description="host of the broker (null: no MQTT)")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="port of the broker (null: 1883, or 8883 with tls)"
    )
    tls: bool = Field(default=False, description="whether to encrypt the connection and verify the broker")
    ca_file: str | None = Field(
        default=None, min_length=1, description="path of CA certificates for the broker (null: the system's)"
    )
    user: str | None = Field(default=None, min_length=1, description="user name at the broker")
    password_file: str | None = Field(
        default=None, min_length=1, description="path of a file that holds the password"
    )
    topic: str = Field(
        default="gatecam",
        pattern=r"^[^#+/\s]+(/[^#+/\s]+)*$",
        examples=["building/gatecam"],
        description="first part of all topics",
    )
    discovery: str | None = Field(
        default="homeassistant",
        pattern=r"^[^#+/\s]+(/[^#+/\s]+)*$",
        examples=["homeassistant"],
        description="topic prefix of Home Assistant's discovery (null: no discovery)",
    )

    _one_host = field_validator("host")(_host)

    @model_validator(mode="after")
    def _nothing_in_vain(self) -> Self:
        if self.ca_file is not None and not self.tls:
            raise _problem("needs tls: true as well, without which nothing is encrypted", "ca_file")
        if self.password_file is not None and self.user is None:
            raise _problem("needs user as well, give both or no password", "password_file")
        return self


class WebhookConfig(Section):
    """The web address to which each event is posted."""

    url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        examples=["https://example.org/hook"],
        description="the address (null: no webhook)",
    )
    secret_file: str | None = Field(
        default=None,
        min_length=1,
        description="path of a file that holds the secret with which requests are signed",
    )
    timeout_s: float = Field(default=10.0, ge=0.5, le=120, description="maximum wait for an answer, in s")

    @field_validator("url")
    @classmethod
    def _with_a_host(cls, url: str | None) -> str | None:
        if url is not None and not (url.isascii() and _has_host(url)):
            raise _problem("expected an address such as https://example.org/hook")
        return url


class CommandConfig(Section):
    """The program that is run for each event and gets it as JSON on standard input."""

    run: Words = Field(default=(), description="the program and its arguments (an empty list: no program)")
    timeout_s: float = Field(
        default=10.0, ge=0.1, le=600, description="time after which the program is killed, in s"
    )
    max_age_s: float | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="maximum age of an event that is handed over, in s, so that no door opens late (null: no "
        "limit)",
    )

    @field_validator("run", mode="before")
    @classmethod
    def _list_as_tuple(cls, value: object) -> object:
        """Return a list as a tuple, because YAML has no tuples."""
        return tuple(value) if isinstance(value, list) else value


class ChatConfig(Section):
    """Messages by chat and mail, sent through Apprise."""

    urls_file: str | None = Field(
        default=None,
        min_length=1,
        description="path of a file with one Apprise address per line (null: no chat and mail)",
    )
    people: bool = Field(
        default=False,
        description="whether alerts about people are sent too, not only those about cameras",
    )


class WebConfig(Section):
    """The web pages: the page at the door and the operator's page."""

    enabled: bool = Field(default=False, description="whether `gatecam run` serves the pages, as with --web")
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="address to serve the pages on; 0.0.0.0 means all IPv4 addresses, :: also all IPv6 ones",
    )
    port: int = Field(default=8790, ge=1, le=65535, description="port on which the pages are served")
    certificate: str | None = Field(
        default=None, min_length=1, description="path of a TLS certificate chain (needs key as well)"
    )
    key: str | None = Field(default=None, min_length=1, description="path of the certificate's private key")
    proxy: str | None = Field(
        default=None,
        pattern=r"^https?://[A-Za-z0-9.\-]+(:[0-9]+)?$",
        description="address that browsers use if a reverse proxy on this machine serves the pages",
    )
    fps: float = Field(default=10.0, ge=0.5, le=30, description="rate of the live pictures, in frames/s")
    languages: Words = Field(
        default=("ko", "en"), description="languages of the page at the door, the first one largest"
    )
    words_file: str | None = Field(
        default=None,
        min_length=1,
        description="path of a YAML file with texts for the page in more languages",
    )

    @field_validator("languages", mode="before")
    @classmethod
    def _list_as_tuple(cls, value: object) -> object:
        """Return a list as a tuple, because YAML has no tuples."""
        return tuple(value) if isinstance(value, list) else value

    @property
    def is_secure(self) -> bool:
        """Return whether browsers connect by TLS."""
        return self.certificate is not None or (self.proxy or "").startswith("https:")

    @property
    def is_local(self) -> bool:
        """Return whether only this machine can connect."""
        return _is_this_machine(self.host)

    _one_host = field_validator("host")(_host)

    @property
    def link_hosts(self) -> tuple[str, ...]:
        """Return hosts for links: one for this machine, then this machine's name if all may connect."""
        if self.host in ("0.0.0.0", "::"):
            return "127.0.0.1", socket.gethostname()
        return (f"[{self.host}]" if ":" in self.host else self.host,)

    @model_validator(mode="after")
    def _whole_tls(self) -> Self:
        certificate, key = ("certificate", self.certificate), ("key", self.key)
        for (given, value), (missing, other) in ((certificate, key), (key, certificate)):
            if value is not None and other is None:
                raise _problem(f"needs {missing} as well, give both or neither", given)
        if not 1 <= len(self.languages) <= 3:
            raise _problem("expected one to three languages", "languages")
        return self


class PrivacyConfig(Section):
    """The blurring of faces in everything that leaves the program."""

    blur_faces: bool = Field(
        default=True, description="whether faces are made unreadable in saved videos and pictures"
    )
    blur_door: bool = Field(
        default=True, description="whether faces are made unreadable on the page at the door"
    )
    blur_operator: bool = Field(
        default=True, description="whether faces are made unreadable on the operator's page"
    )


Device = Literal["auto", "cpu", "cuda", "openvino"]


class Config(Section):
    """Holds all settings."""

    device: Device = Field(
        default="auto",
        description="backend of the networks (auto: the first of CUDA, OpenVINO and torch that works)",
    )
    camera: CameraConfig = CameraConfig()
    cameras: tuple[CameraEntry, ...] = Field(
        default=(),
        max_length=MOST_CAMERAS,
        description="several cameras instead of the one above; each needs a name and a source, and may set "
        "the keys of camera: and the door, region and smallest face of detector: for itself",
    )
    detector: DetectorConfig = DetectorConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    tracker: TrackerConfig = TrackerConfig()
    policy: PolicyConfig = PolicyConfig()
    pace: PaceConfig = PaceConfig()
    replay: ReplayConfig = ReplayConfig()
    notify: NotifyConfig = NotifyConfig()
    sound: SoundConfig = SoundConfig()
    store: StoreConfig = StoreConfig()
    mqtt: MqttConfig = MqttConfig()
    webhook: WebhookConfig = WebhookConfig()
    command: CommandConfig = CommandConfig()
    chat: ChatConfig = ChatConfig()
    web: WebConfig = WebConfig()
    privacy: PrivacyConfig = PrivacyConfig()

    @field_validator("cameras", mode="before")
    @classmethod
    def _list_as_tuple(cls, value: object) -> object:
        """Return a list as a tuple, because YAML has no tuples."""
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _cameras_apart(self) -> Self:
        for key in ("name", "source"):
            seen: list[str] = []
            for index, entry in enumerate(self.cameras):
                value = str(getattr(entry, key))
                if key not in entry.model_fields_set:
                    raise _problem(f"expected a {key} of its own", f"cameras.{index}")
                if value in seen:
                    raise _problem(f"expected another {key} for each camera", f"cameras.{index}.{key}")
                seen.append(value)
        return self

    @property
    def watched(self) -> tuple[Config, ...]:
        """Return the settings of each camera, with its own `camera` and `detector` and without `cameras`."""
        if not self.cameras:
            return (self,)
        return tuple(self._of_entry(entry) for entry in self.cameras)

    def _of_entry(self, entry: CameraEntry) -> Config:
        own = {name: getattr(entry, name) for name in entry.model_fields_set}
        camera = {name: value for name, value in own.items() if name in CameraConfig.model_fields}
        detector = {name: value for name, value in own.items() if name in Geometry.model_fields}
        return self.model_copy(
            update={
                "camera": self.camera.model_copy(update=camera),
                "detector": self.detector.model_copy(update=detector),
                "cameras": (),
            }
        )

    def exposed(self, is_served: bool = True) -> tuple[str, ...]:
        """Return sentences on what others on the network could read. The pages count only if served."""
        said = []
        mqtt, web = self.mqtt, self.web
        if mqtt.password_file and not mqtt.tls and mqtt.host and not _is_this_machine(mqtt.host):
            said.append(
                f"the password for the broker {mqtt.host} is sent without TLS and can be read on its way; "
                "set mqtt.tls: true."
            )
        if is_served and not web.is_local and web.certificate is None:
            said.append(
                f"the pages are served to the network ({web.host}) without TLS: tokens and pictures can be "
                "read on their way; set web.certificate and web.key."
            )
        return tuple(said)

    def for_any_picture(self) -> Self:
        """Return the settings for pictures from elsewhere, without the camera's door and region."""
        camera = {"door_width_m": None, "door_distance_m": None, "region": None}
        return self.model_copy(update={"detector": self.detector.model_copy(update=camera)})


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """Holds settings and where each of them came from.

    `path` is the file that was read, or None. `origins` maps the dotted name of every setting that was given
    to its place: `config.yaml:14` or `environment GATECAM_DEVICE`.
    """

    config: Config
    path: Path | None
    origins: Mapping[str, str]


def load(path: Path | None = None, env: Mapping[str, str] | None = None) -> LoadedConfig:
    """Load settings from the defaults, then a YAML file, then `GATECAM_…` variables. The last one wins.

    Args:
        path: The file, which must exist. None means `config.yaml` in the working folder, if it exists.
        env: The environment, by default the process's. `GATECAM_DETECTOR_MIN_FACE_PX=60` sets
            `detector.min_face_px`. Values are parsed as plain YAML scalars, lists are separated by commas.

    Raises:
        ConfigError: The file cannot be read, or settings are wrong. The error has a line for each problem.
    """
    if path is None:
        _require_own(DEFAULT_PATH)
    text = _read_text(path or DEFAULT_PATH, required=path is not None)
    found = None if text is None else path or DEFAULT_PATH
    draft = _Draft()
    if found is not None and text is not None:
        draft.add_file(_compose(found, text), found)
    draft.add_environment(os.environ if env is None else env)
    if draft.strange:
        _warn(f"variables that are no settings are ignored: {', '.join(draft.strange)}.")
    return LoadedConfig(draft.finished(), found, draft.origins())


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
        if _entries(info) is not None:
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


def schema() -> dict[str, Any]:
    """Return the JSON schema of `config.yaml`, for editors that check while typing."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


# Names and texts -------------------------------------------------------------------------------

_Key = tuple[str, ...]

_HEADER = """
    # Settings of gatecam, each with its meaning, unit and range. Keys may be left out.
    # After a change, run `gatecam config check` to see whether the file is correct.
    # An environment variable overrides a key: GATECAM_DETECTOR_MIN_FACE_PX=60 sets min_face_px below.
"""


def _section(info: FieldInfo) -> type[Section] | None:
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _entries(info: FieldInfo) -> type[Section] | None:
    """Return the group of settings that a setting holds a list of, or None."""
    kind = next(iter(get_args(info.annotation)), None)
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _leaves(section: type[Section] = Config, prefix: _Key = ()) -> Iterator[tuple[_Key, FieldInfo]]:
    """Yield every setting with its path, except those in lists of groups."""
    for name, info in section.model_fields.items():
        inner = _section(info)
        if _entries(info) is not None:
            continue
        if inner is None:
            yield (*prefix, name), info
        else:
            yield from _leaves(inner, (*prefix, name))


def _leaf(key: _Key) -> FieldInfo:
    """Return the setting at a path such as `detector.region` or `cameras.0.region`."""
    section: type[Section] = Config
    for name in key[:-1]:
        if not name.isdecimal():
            info = section.model_fields[name]
            section = _section(info) or _entries(info) or section
    return section.model_fields[key[-1]]


def _takes(info: FieldInfo) -> tuple[Any, bool]:
    """Return the type of a setting, and whether it may be null instead."""
    kinds = get_args(info.annotation)
    if NoneType not in kinds:
        return info.annotation, False
    (kind,) = (kind for kind in kinds if kind is not NoneType)
    return kind, True


def _is_text(info: FieldInfo) -> bool:
    return _takes(info)[0] is str


def _is_list(info: FieldInfo) -> bool:
    return get_origin(_takes(info)[0]) is tuple


def _range(metadata: Iterable[object]) -> str:
    metadata = list(metadata)
    low = next((m.ge for m in metadata if hasattr(m, "ge")), None)
    high = next((m.le for m in metadata if hasattr(m, "le")), None)
    return "" if low is None or high is None else f"{low} to {high}"


def _bounds(info: FieldInfo) -> str:
    """Return `12 to 2000`, or an empty string for a setting without bounds."""
    bounds = _range(info.metadata)
    return f"{bounds} or null" if bounds and _takes(info)[1] else bounds


def _kind(info: FieldInfo) -> str:
    """Return what a setting accepts: `a whole number`, `auto, cpu or cuda`, …"""
    kind, nullable = _takes(info)
    if get_origin(kind) is Literal:
        *choices, last = get_args(kind)
        return f"{', '.join(choices)} or {last}"
    or_null = " or null" if nullable and not _bounds(info) else ""
    if _is_list(info):
        items = get_args(kind)
        if items[-1] is ...:
            return f"a list of texts{or_null}"
        bounds = _range(m for part in get_args(items[0])[1:] for m in getattr(part, "metadata", ()))
        return f"a list of {len(items)} numbers {bounds}{or_null}"
    if _is_text(info):
        return f'text such as "{info.examples[0]}"{or_null}' if info.examples else f"non-empty text{or_null}"
    return "true or false" if kind is bool else "a whole number" if kind is int else "a number"


def _entry(
    key: _Key, info: FieldInfo, value: object, origins: Mapping[str, str], notes: Mapping[str, str]
) -> str:
    """Return the lines of one key: its comments, then the key and its value."""
    description = info.description or ""
    sentence = f"{description[:1].upper()}{description[1:]}: {_bounds(info) or _kind(info)}."
    sentences = [sentence, *([notes[".".join(key)]] if ".".join(key) in notes else [])]
    comments = [textwrap.fill(s, 100, initial_indent="# ", subsequent_indent="# ") for s in sentences]
    plain = list(value) if isinstance(value, tuple) else value
    flow = None if isinstance(plain, list) else False  # None: a list in brackets on the line of its key
    line = yaml.safe_dump({key[-1]: plain}, allow_unicode=True, width=10_000, default_flow_style=flow)
    origin = origins.get(".".join(key))
    return "\n".join([*comments, f"{line.rstrip()}{f'  # {origin}' if origin else ''}\n"])


def _entry_list(name: str, info: FieldInfo, entries: Sequence[Section], origins: Mapping[str, str]) -> str:
    """Return the lines of a list of groups: its comment, then the keys that each group sets."""
    description = info.description or ""
    comment = textwrap.fill(
        f"{description[:1].upper()}{description[1:]}.", 100, initial_indent="# ", subsequent_indent="# "
    )
    if not entries:
        return f"{comment}\n{name}: []\n"
    lines = [comment, f"{name}:"]
    for index, entry in enumerate(entries):
        given = [key for key in type(entry).model_fields if key in entry.model_fields_set]
        for key in given:
            value = getattr(entry, key)
            plain, flow = (list(value), None) if isinstance(value, tuple) else (value, False)
            text = yaml.safe_dump({key: plain}, allow_unicode=True, width=10_000, default_flow_style=flow)
            origin = origins.get(f"{name}.{index}.{key}")
            mark = "-" if key == given[0] else " "
            lines.append(f"  {mark} {text.rstrip()}{f'  # {origin}' if origin else ''}")
    return "\n".join(lines) + "\n"


def _printable(text: str) -> str:
    """Return text that is safe in a message or comment of one line."""
    return text if text.isprintable() else repr(text)[1:-1]


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def _got(value: object) -> str:
    """Return a rejected value in the form in which its author wrote it."""
    if isinstance(value, str):
        return repr(_short(hide_secrets(value)))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    return _short(str(value))


# Reading ---------------------------------------------------------------------------------------


@cache
def _warn(text: str) -> None:
    """Log a warning. Settings are read several times, so each text is logged only once."""
    log.warning("%s", text)


def _require_own(path: Path) -> None:
    """Check that root does not load settings that another user put into the working folder.

    Settings name programs to run and files to write.

    Raises:
        ConfigError: the file, or the link that leads to it, belongs to another user.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    try:
        owners = {path.lstat().st_uid, path.stat().st_uid}
    except OSError:
        return  # reading the file reports the error
    if others := owners - {0}:
        raise ConfigError(
            f"{path}: belongs to another user (id {min(others)}), so root does not take it from the working "
            f"folder; if you trust it, name it with --config {path}"
        )


def _read_text(path: Path, required: bool) -> str | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        if not required:
            return None
        raise ConfigError(f"{_place(path)}: no such file, check the path of the settings file") from None
    except OSError as error:
        raise ConfigError(
            f"{_place(path)}: cannot be read ({error.strerror}), check its path and permissions"
        ) from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(
            f"{_place(path)}: expected settings of at most {MAX_FILE_BYTES // 1024} KiB, got more"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"not UTF-8 text, save the file as UTF-8 ({_place(path, line)})") from None


def _compose(path: Path, text: str) -> yaml.Node | None:
    """Parse a text into a YAML tree with line numbers, without building objects from it."""
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        problem, line = f"the character {error.character:#06x}", text.count("\n", 0, error.position) + 1
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem, line = error.problem or "a mistake", mark.line + 1 if mark else 1
    except RecursionError:
        problem, line = "too many brackets within brackets", 1
    else:
        return node
    raise ConfigError(f"not valid YAML, {problem}, check indents and quotes there ({_place(path, line)})")


_Pairs = list[tuple[yaml.Node, yaml.Node]]
_MERGE = "tag:yaml.org,2002:merge"
_RESOLVER = yaml.resolver.Resolver()
_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float")}


def _untagged(kind: type[yaml.Node], value: object, quoted: bool = False) -> str:
    """Return the tag that YAML gives a node without an explicit one."""
    return str(_RESOLVER.resolve(kind, value, (not quoted, quoted)))  # type: ignore[no-untyped-call]


def _scalar(text: str) -> object:
    """Return the null, boolean, number or text that a plain YAML scalar stands for."""
    tag = _untagged(yaml.ScalarNode, text)
    if tag not in _PLAIN_TAGS:
        return text
    try:
        value: object = yaml.constructor.SafeConstructor().construct_object(yaml.ScalarNode(tag, text))
    except (ValueError, OverflowError):
        return text
    # Python cannot print numbers with thousands of digits, and no setting has one.
    return text if isinstance(value, int) and value.bit_length() > 1000 else value


@dataclass(slots=True)
class _Value:
    value: object
    place: str
    rank: int  # orders problems: first the lines of the file, then the environment


@dataclass(slots=True)
class _Draft:
    """Collects settings for a `Config`, and all problems found on the way."""

    values: dict[_Key, _Value] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)  # variables that are no settings

    def add_file(self, node: yaml.Node | None, path: Path) -> None:
        """Add the settings of a YAML tree."""
        if node is not None:
            self._add_mapping(node, path, Config, ())
            self._check_each()

    def _add_mapping(self, node: yaml.Node, path: Path, section: type[Section], prefix: _Key) -> None:
        if isinstance(node, yaml.ScalarNode) and _node_value(node) is None:
            return  # all keys of the section are left out or commented out
        if not isinstance(node, yaml.MappingNode) or _has_tag(node):
            what = ".".join(prefix) or "settings"
            self._problem(f"{what}: expected keys with values, got {_node_got(node)}", path, node)
            return
        seen: set[str] = set()
        for key_node, value_node in self._pairs(node, path, {}):
            name = key_node.value if isinstance(key_node, yaml.ScalarNode) else "[…]"
            if name in seen:
                self._problem(f"{_dotted(prefix, name)}: given twice, keep one", path, key_node)
            elif name not in section.model_fields:
                self._problem(_unknown(prefix, name, section), path, key_node)
            else:
                self._add_node(value_node, path, section.model_fields[name], (*prefix, name), key_node)
            seen.add(name)

    def _pairs(self, node: yaml.MappingNode, path: Path, known: dict[int, _Pairs]) -> _Pairs:
        """Return the keys and values of a mapping, followed by those of its `<<` merges.

        Its own keys win over merged ones, and earlier merges over later ones. `known` caches the mappings
        that are already done, so nested merges take no longer than their result.
        """
        if id(node) in known:
            return known[id(node)]
        known[id(node)] = []  # for a mapping that merges itself
        own = [pair for pair in node.value if pair[0].tag != _MERGE]
        taken = {key.value for key, _ in own if isinstance(key, yaml.ScalarNode)}
        merged = []
        for key, value in node.value:
            if key.tag != _MERGE:
                continue
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(part, yaml.MappingNode):
                    self._problem(f"<<: expected keys with values, got {_node_got(part)}", path, key)
                    continue
                for pair in self._pairs(part, path, known):
                    if pair[0].value not in taken:
                        taken.add(pair[0].value)
                        merged.append(pair)
        known[id(node)] = [*own, *merged]
        return known[id(node)]

    def _add_node(self, node: yaml.Node, path: Path, info: FieldInfo, key: _Key, key_node: yaml.Node) -> None:
        inner, entries = _section(info), _entries(info)
        if inner is not None:
            self._add_mapping(node, path, inner, key)
        elif entries is not None:
            self._add_list(node, path, entries, key)
        elif _has_tag(node):
            self._problem(f"{'.'.join(key)}: expected a plain value, got {_node_got(node)}", path, node)
        else:
            line = key_node.start_mark.line + 1
            self.values[key] = _Value(_node_value(node), _place(path, line), line)

    def _add_list(self, node: yaml.Node, path: Path, section: type[Section], key: _Key) -> None:
        if isinstance(node, yaml.ScalarNode) and _node_value(node) is None:
            return
        if not isinstance(node, yaml.SequenceNode) or _has_tag(node):
            self._problem(f"{'.'.join(key)}: expected a list, got {_node_got(node)}", path, node)
            return
        for index, item in enumerate(node.value):
            place = _place(path, item.start_mark.line + 1)
            self.values[(*key, str(index))] = _Value({}, place, item.start_mark.line + 1)
            self._add_mapping(item, path, section, (*key, str(index)))

    def add_environment(self, env: Mapping[str, str]) -> None:
        """Add the `GATECAM_…` variables."""
        known = {ENV_PREFIX + "_".join(key).upper(): (key, info) for key, info in _leaves()}
        for name in sorted(name for name in env if name.startswith(ENV_PREFIX)):
            place, rank = f"environment {_printable(name)}", MAX_FILE_BYTES
            if name in known and not _is_service_link(name, env[name]):
                key, info = known[name]
                self.values[key] = _Value(_env_value(env[name], info), place, rank)
            else:
                self.strange.append(_strange_variable(name, known))
        self._check_each()

    def finished(self) -> Config:
        """Return the settings, or raise a `ConfigError` with every problem."""
        if not self.problems:
            try:
                return Config.model_validate(self._tree())
            except ValidationError as error:  # each setting is valid, but not together with the others
                for detail in error.errors(include_url=False):
                    key = (*map(str, detail["loc"]), *detail["ctx"]["key"].split("."))
                    given = self.values[key]
                    text = f"{'.'.join(key)}: {detail['msg']} ({given.place})"
                    self.problems.append((given.rank, text))
        raise ConfigError("\n".join(text for _, text in sorted(self.problems, key=lambda p: p[0])))

    def _tree(self) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for key, given in self.values.items():
            branch = tree
            for name in key[:-1]:
                branch = branch.setdefault(name, {})
            branch[key[-1]] = dict(given.value) if isinstance(given.value, dict) else given.value
        for name, info in Config.model_fields.items():
            if name in tree and _entries(info) is not None:
                tree[name] = list(tree[name].values())
        return tree

    def _check_each(self) -> None:
        """Turn invalid values into problems, including those in the file that a variable would override."""
        try:
            Config.model_validate(self._tree())
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                key = _key_of(detail["loc"])
                if (
                    key in self.values and not key[-1].isdecimal()
                ):  # not yet reported, and no section, which may still be completed
                    said = detail["msg"] if detail["type"] == "gatecam" else None
                    self._add_invalid(key, detail["type"], said)

    def origins(self) -> dict[str, str]:
        """Return where each setting came from, by its dotted name."""
        return {".".join(key): given.place for key, given in self.values.items()}

    def _add_invalid(self, key: _Key, error_type: str, said: str | None) -> None:
        info, given = _leaf(key), self.values.pop(key)
        value = given.value
        got = _got(hide_in_source(value) if key[-1] == "source" and isinstance(value, str) else value)
        expected = f"expected {_kind(info)} {_bounds(info)}".strip()
        if _is_list(info) and isinstance(given.value, list):
            got = _short(f"[{', '.join(map(_got, given.value))}]")
        if said is not None:
            expected = said
        elif error_type in ("greater_than_equal", "less_than_equal") and not _is_list(info):
            expected = f"expected {_range(info.metadata)}"
        elif _is_text(info) and not isinstance(given.value, str | list | dict | None):
            expected += " in quotes"
        text = f"{'.'.join(key)}: {expected}, got {got} ({given.place})"
        self.problems.append((given.rank, text))

    def _problem(self, text: str, path: Path, node: yaml.Node) -> None:
        line = node.start_mark.line + 1
        self.problems.append((line, f"{text} ({_place(path, line)})"))


def _key_of(location: Iterable[int | str]) -> _Key:
    """Return the path of a setting from pydantic's location, with indices only for lists of groups."""
    key: list[str] = []
    for part in location:
        if isinstance(part, str) or (len(key) == 1 and _entries(Config.model_fields[key[0]]) is not None):
            key.append(str(part))
    return tuple(key)


def _place(path: Path, line: int | None = None) -> str:
    name = _printable(str(path))
    return name if line is None else f"{name}:{line}"


def _dotted(prefix: _Key, name: str) -> str:
    return ".".join((*prefix, _printable(_short(name))))


def _unknown(prefix: _Key, name: str, section: type[Section]) -> str:
    """Return the message for an unknown key, with the key that was probably meant."""
    near = difflib.get_close_matches(name, section.model_fields, n=1)
    homes = [".".join(key[:-1]) for key, _ in _leaves() if key[-1] == name.rsplit(".")[-1] and key[:-1]]
    if near:
        hint = f", did you mean {near[0]}?"
    elif homes:
        hint = f", it belongs under {homes[0]}:"
    else:
        hint = f", expected one of {', '.join(section.model_fields)}"
    return f"{_dotted(prefix, name)}: unknown key{hint}"


def _is_service_link(name: str, value: str) -> bool:
    """Check for a variable that Docker and Kubernetes set for a service: `GATECAM_WEB_PORT=tcp://…`."""
    return name.endswith("_PORT") and value.startswith(("tcp://", "udp://", "sctp://"))


def _strange_variable(name: str, known: Iterable[str]) -> str:
    """Return the name of a variable that is no setting, with the setting that was probably meant."""
    ends = [other.removeprefix(ENV_PREFIX) for other in known]
    end = name.removeprefix(ENV_PREFIX)
    near = [] if end in ends else difflib.get_close_matches(end, ends, n=1, cutoff=0.75)
    return _printable(_short(name)) + (f" (did you mean {ENV_PREFIX}{near[0]}?)" if near else "")


def _node_value(node: yaml.Node) -> object:
    """Return the value of a scalar or of a list of scalars. Deeper or tagged values come back empty.

    No setting takes them, and with YAML's aliases they could expand to billions of values.
    """
    if isinstance(node, yaml.ScalarNode):
        return node.value if node.style else _scalar(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_node_value(item) if _is_plain(item) else [] for item in node.value]
    return {}


def _is_plain(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not _has_tag(node)


def _has_tag(node: yaml.Node) -> bool:
    """Return whether a node has an explicit YAML tag such as `!!python/name:os.system`."""
    return node.tag != _untagged(type(node), node.value, quoted=bool(getattr(node, "style", None)))


def _node_got(node: yaml.Node) -> str:
    return f"the tag {_printable(_short(node.tag))}" if _has_tag(node) else _got(_node_value(node))


def _env_value(text: str, info: FieldInfo) -> object:
    """Return the value of a variable. A text setting takes it unparsed, so `GATECAM_CAMERA_NAME=12` works."""
    value = _scalar(text.strip())
    if value is None and _takes(info)[1]:
        return None
    if _is_list(info):
        inner = text.strip().removeprefix("[").removesuffix("]").strip()
        return [_scalar(item.strip()) for item in inner.split(",")] if inner else []
    return text if _is_text(info) else value
