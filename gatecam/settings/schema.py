"""Define the settings. `Config()` holds the defaults.

Every number has bounds, and its description states the unit.
"""

from __future__ import annotations

import math
import re
import socket
import unicodedata
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from gatecam.runtime.addresses import source_problem

FACE_BREADTH_M = 0.14  # about the breadth of an adult's face at the cheekbones
SMALLEST_FACE_PX = 12  # size of P-Net's input: no smaller face can be found (Zhang et al. 2016, section 2.2)
DEFAULT_FACE_PX = 32
MIN_REGION_SHARE = 0.05
MOST_CAMERAS = 64
TRIAL = "?"  # name of a camera that is only tried out
MOST_IGNORED = 50

Share = Annotated[float, Field(ge=0, le=1)]
Words = tuple[Annotated[str, Field(min_length=1)], ...]
Region = tuple[Share, Share, Share, Share]  # x1, y1, x2, y2 as shares of the picture's width and height
Regions = tuple[Region, ...]


class Section(BaseModel):
    """Holds a group of settings. It is frozen, and strict about names, types and bounds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _as_it_was_meant(cls, value: object, info: ValidationInfo) -> object:
        """Return a list as a tuple, also the lists in it, because YAML has no tuples.

        A text with a placeholder, outer spaces or curly quotes is rejected. It would not work as meant.
        """
        if isinstance(value, str):
            if found := re.search(r"\$\{\w*\}?", value):
                raise _problem(f"expected no {found[0]}, which nothing fills in; write the value itself")
            if info.field_name in _ADDRESSES and value != value.strip():
                raise _problem("expected no spaces before or after it")
            if info.field_name in _ADDRESSES and value[:1] in _CURLY:
                raise _problem('expected straight quotes, "…", around it')
        if not isinstance(value, list):
            return value
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)


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

    @field_validator("name")
    @classmethod
    def _in_one_line(cls, name: str) -> str:
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
            raise _problem("expected a name in one line, without control characters")
        return name

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

    ignore: Regions = Field(
        default=(),
        max_length=MOST_IGNORED,
        description="places where faces are ignored, such as a picture on the wall, each as "
        "[x1, y1, x2, y2] in shares of the picture's width and height from the top left; a face is ignored "
        "if its middle lies in one",
    )

    @field_validator("ignore", mode="before")
    @classmethod
    def _four_by_four(cls, value: object) -> object:
        """Return numbers without inner brackets, as a variable has them, in groups of four."""
        if not isinstance(value, list | tuple) or any(isinstance(item, list | tuple) for item in value):
            return value
        return tuple(tuple(value[i : i + 4]) for i in range(0, len(value), 4))

    @field_validator("ignore")
    @classmethod
    def _with_areas(cls, places: Regions) -> Regions:
        for x1, y1, x2, y2 in places:
            if x1 >= x2 or y1 >= y2:
                raise _problem("expected x2 above x1 and y2 above y1 in each place")
        return places

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
        default=0.709,
        ge=0.3,
        le=0.9,
        description="size of each pyramid level relative to the level before, with the weights stock; all "
        "others use 0.5",
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
        default=0.25, ge=0, le=10, description="time for which a first alert must hold to count, in s"
    )
    change_s: float = Field(
        default=0.9,
        ge=0,
        le=10,
        description="time for which another verdict must hold to count, in s; two thirds of it for a "
        "mask that comes off or is worn wrong, twice it for a first mask worn wrong that is unsure",
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
        description="time within which a face that returns near its place, in the same clothes, is the same "
        "person, who gets no second alert, in s",
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
    audit_days: int = Field(
        default=90,
        ge=1,
        le=3650,
        description="age at which entries of the audit log are deleted, in days",
    )


class FleetConfig(Section):
    """Many doors on one page: what this door reports to the database of `store.url`, and `gatecam fleet`."""

    door: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="name of this door, different for each door (null: the machine's name)",
    )
    report_s: float = Field(
        default=20.0, ge=5, le=3600, description="time between two reports of this door's health, in s"
    )
    silent_s: float = Field(
        default=90.0,
        ge=10,
        le=86_400,
        description="silence of a door after which `gatecam fleet` raises an alert, in s",
    )

    @property
    def door_name(self) -> str:
        """Return the name of this door."""
        return self.door or socket.gethostname()


class EvidenceConfig(Section):
    """Pictures and videos of alerts about people. None is kept unless you ask for it."""

    snapshots: bool = Field(
        default=False, description="whether a picture of each alert about a person is kept"
    )
    clip_before_s: float = Field(
        default=0.0,
        ge=0,
        le=5,
        description="time before the alert that a video of it shows, in s (both times 0: no videos)",
    )
    clip_after_s: float = Field(
        default=0.0, ge=0, le=10, description="time after the alert that a video of it shows, in s"
    )
    keep_days: int = Field(
        default=7, ge=1, le=365, description="age at which pictures and videos are deleted, in days"
    )
    keep_mb: int = Field(
        default=500,
        ge=10,
        le=1_000_000,
        description="size above which the oldest pictures and videos are deleted, in MB",
    )

    @property
    def has_clips(self) -> bool:
        """Return whether a video of each alert is kept."""
        return self.clip_before_s + self.clip_after_s > 0

    @model_validator(mode="after")
    def _nothing_in_vain(self) -> Self:
        for name in ("clip_before_s", "clip_after_s"):
            if getattr(self, name) and not self.snapshots:
                raise _problem("needs snapshots: true as well", name)
        return self


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
    snapshots: bool = Field(
        default=False,
        description="whether pictures of alerts are published too (needs evidence.snapshots as well)",
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
    snapshots: bool = Field(
        default=False,
        description="whether pictures of alerts are sent with them (needs evidence.snapshots as well)",
    )

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
    snapshots: bool = Field(
        default=False,
        description="whether pictures are sent with alerts about people (needs people and "
        "evidence.snapshots as well)",
    )

    @model_validator(mode="after")
    def _nothing_in_vain(self) -> Self:
        if self.snapshots and not self.people:
            raise _problem("needs people: true as well", "snapshots")
        return self


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
        pattern=r"^https?://([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?(/[A-Za-z0-9._~\-]+)*/?$",
        examples=["https://gate.example/entrance"],
        description="address that browsers use if a reverse proxy on this machine serves the pages, with the "
        "path below which it does so",
    )
    framed_by: Words = Field(
        default=(),
        max_length=8,
        description="addresses of the sites that may show the pages in a frame, such as "
        "https://home.example:8123 for a dashboard of Home Assistant",
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

    @field_validator("framed_by")
    @classmethod
    def _whole_origins(cls, framed_by: tuple[str, ...]) -> tuple[str, ...]:
        for one in framed_by:
            if not re.fullmatch(r"https?://([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?", one):
                raise _problem("expected addresses without a path, such as https://home.example:8123")
        return framed_by

    @property
    def proxy_origin(self) -> str | None:
        """Return the proxy's address as browsers send it, without a path and the usual port."""
        origin = "/".join((self.proxy or "").lower().split("/")[:3])
        usual = ":443" if origin.startswith("https:") else ":80"
        return origin.removesuffix(usual) or None

    @property
    def cookie(self) -> str:
        """Return the name of the cookie of a session.

        It contains the proxy's path, because browsers send a cookie to all paths of a host.
        """
        path = urlsplit(self.proxy or "").path.strip("/")
        return f"gatecam-{path.replace('/', '-')}" if path else "gatecam"

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
    blur_evidence: bool = Field(
        default=True,
        description="whether faces are made unreadable in the pictures and videos of alerts that are kept",
    )


Device = Literal["auto", "cpu", "cuda", "openvino", "openvino-bf16", "openvino-int8"]


class Config(Section):
    """Holds all settings."""

    device: Device = Field(
        default="auto",
        description="backend of the networks (auto: the first of CUDA, OpenVINO and torch that works, and "
        "OpenVINO in the fastest of float32, bf16 and int8; openvino: float32)",
    )
    camera: CameraConfig = CameraConfig()
    cameras: tuple[CameraEntry, ...] = Field(
        default=(),
        max_length=MOST_CAMERAS,
        description="several cameras instead of the one above; each needs a name and a source, and may set "
        "the keys of camera: and the door, region, ignored places and smallest face of detector: for itself",
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
    fleet: FleetConfig = FleetConfig()
    evidence: EvidenceConfig = EvidenceConfig()
    mqtt: MqttConfig = MqttConfig()
    webhook: WebhookConfig = WebhookConfig()
    command: CommandConfig = CommandConfig()
    chat: ChatConfig = ChatConfig()
    web: WebConfig = WebConfig()
    privacy: PrivacyConfig = PrivacyConfig()

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

    @model_validator(mode="after")
    def _pictures_that_exist(self) -> Self:
        if (name := self.sends_pictures) and not self.evidence.snapshots:
            raise _problem("needs evidence.snapshots: true as well", f"{name}.snapshots")
        return self

    @property
    def sends_pictures(self) -> str:
        """Return the name of the first output that sends pictures of alerts, or an empty string."""
        return next((name for name in ("mqtt", "webhook", "chat") if getattr(self, name).snapshots), "")

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
        """Return the settings for pictures from elsewhere, without the camera's door and places."""
        camera = {"door_width_m": None, "door_distance_m": None, "region": None, "ignore": ()}
        return self.model_copy(update={"detector": self.detector.model_copy(update=camera)})


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of `config.yaml`, for editors that check while typing."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
