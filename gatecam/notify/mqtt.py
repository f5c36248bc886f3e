"""Publish events and the current state to an MQTT broker, where Home Assistant discovers the entities.

`<topic>/status`             online or offline, retained; the broker sends offline if gatecam dies
`<topic>/<camera>/event`     each event as JSON, QoS 1
`<topic>/<camera>/presence`  ON or OFF, retained: whether anybody stands before the camera
`<topic>/<camera>/verdict`   the verdict of the addressed person, or nobody, retained
`<topic>/<camera>/problem`   ON or OFF, retained: whether the camera is blind or too slow;
                             `<topic>/<camera>/reason` says why
`<topic>/<camera>/snapshot`  the picture of each alert about a person as JPEG, if the settings ask for it

Discovery: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import ssl
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatecam import __version__
from gatecam.errors import MissingExtraError, OutputError
from gatecam.notify.jsonl import stored_to_line
from gatecam.notify.secrets import read_secret
from gatecam.settings.schema import MqttConfig
from gatecam.types import Presence, StoredEvent, Verdict

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo

KEEPALIVE_S = 30
ACK_S = 10.0  # longest wait until the broker acknowledges a batch
LONGEST_PAUSE_S = 60
STATES_PERIOD_S = 0.25  # shortest time between two reports of the current state
CLOSE_S = 1.0
HANGS_UP = "what answers there is no MQTT broker, or wants or refuses TLS: correct mqtt.port or mqtt.tls"
STATES = ("presence", "verdict", "problem", "reason", "snapshot")  # topics of a camera that the broker keeps
NOBODY = "nobody"
VERDICTS = [*Verdict, NOBODY]

log = logging.getLogger(__name__)


class MqttOutput:
    """Keeps a connection to the broker. An event is delivered when the broker acknowledges it."""

    name = "mqtt"
    batch = 50

    def __init__(self, config: MqttConfig, cameras: Sequence[str], identity: str) -> None:
        """Start to connect in a thread of the MQTT library.

        Args:
            config: the broker, the topics and the login.
            cameras: names of the cameras.
            identity: the same at each start, and different from that of any other gatecam. The broker then
                closes a half-open connection of an earlier run at once, so its last will cannot come later.

        Raises:
            MissingExtraError: paho-mqtt is not installed.
            OutputError: the password or the certificates cannot be read.
        """
        assert config.host is not None
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise MissingExtraError("MQTT", "mqtt") from error
        self._config, self._place = config, f"{config.host}:{port_of(config)}"
        self._names = {camera: topic_name(camera) for camera in cameras}
        self._newest: dict[str, Presence] = {camera: Presence(camera) for camera in cameras}
        self._unpublished: set[str] = set()
        self._gone: set[str] = set()  # removed cameras about which the broker still keeps messages
        self._changed = threading.Condition()
        self._closing = False
        self._refused = ""  # why there is no connection, once known
        self._greeted = False
        self._status = f"{config.topic}/status"
        digest = hashlib.sha256(f"{config.topic}\n{identity}".encode()).hexdigest()
        self._client = Client(CallbackAPIVersion.VERSION2, f"gatecam-{digest[:12]}")
        self._set_up()
        self._states_thread = threading.Thread(target=self._publish_states, name="mqtt states", daemon=True)
        self._client.connect_async(config.host, port_of(config), KEEPALIVE_S)
        self._client.loop_start()
        self._states_thread.start()

    @property
    def trouble(self) -> str | None:
        """Return why there is no connection. None while connected or before the first attempt has ended."""
        return self._no_connection() if self._refused and not self._client.is_connected() else None

    def note(self, presence: Presence) -> None:
        """Take what a camera sees now. Only the newest state is published, a moment later."""
        with self._changed:
            if presence.camera not in self._names:
                return  # it was just removed
            self._newest[presence.camera] = presence
            self._unpublished.add(presence.camera)
            self._changed.notify_all()

    def show(self, camera: str, jpeg: bytes) -> None:
        """Publish the picture of an alert, unless there is no connection. The broker does not keep it."""
        if self._client.is_connected():
            self._client.publish(self._topic(camera, "snapshot"), jpeg, qos=1)

    def wants(self, stored: StoredEvent) -> bool:
        """Return True, because every event is sent."""
        return True

    def watch(self, cameras: Sequence[str]) -> None:
        """Publish for these cameras from now on, and delete what the broker keeps of others.

        Without a connection, it is deleted as soon as there is one.
        """
        with self._changed:
            is_same = list(self._names) == list(cameras)
            self._gone = (self._gone | self._names.keys()) - set(cameras)
            self._names = {camera: topic_name(camera) for camera in cameras}
            self._newest = {camera: self._newest.get(camera, Presence(camera)) for camera in cameras}
        if not is_same and self._client.is_connected():
            self._introduce()

    def deliver(self, events: Sequence[StoredEvent]) -> int:
        """Publish events and return how many of the first ones the broker acknowledged.

        Raises:
            OutputError: there is no connection, or no event was acknowledged in time.
        """
        if not self._client.is_connected():
            raise OutputError(self._no_connection())
        waiting = [
            self._client.publish(
                self._topic(stored.event.camera, "event"), stored_to_line(stored).rstrip("\n"), qos=1
            )
            for stored in events
        ]
        end_s = time.monotonic() + ACK_S
        taken = 0
        for message in waiting:
            if not _has(message, end_s - time.monotonic()):
                break
            taken += 1
        if taken == 0:
            raise OutputError(f"mqtt {self._place}: the broker acknowledges no event; gatecam tries again.")
        return taken

    def close(self) -> None:
        """Publish `offline` and disconnect, within about two seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._states_thread.join(CLOSE_S)
        if self._client.is_connected():
            _has(self._client.publish(self._status, "offline", qos=1, retain=True), CLOSE_S)
        self._client.disconnect()
        self._client.loop_stop()

    def _no_connection(self) -> str:
        return f"mqtt {self._place}: {self._refused or 'not connected yet'}; gatecam tries again."

    def _set_up(self) -> None:
        config, client = self._config, self._client
        client.enable_logger(logging.getLogger("gatecam.paho"))
        logging.getLogger("gatecam.paho").setLevel(logging.CRITICAL)
        client.reconnect_delay_set(1, LONGEST_PAUSE_S)
        client.will_set(self._status, "offline", qos=1, retain=True)
        client.on_connect, client.on_message = self._on_connect, self._on_message
        client.on_connect_fail, client.on_disconnect = self._on_connect_fail, self._on_disconnect
        if config.user is not None:
            password = None if config.password_file is None else read_secret(Path(config.password_file))
            client.username_pw_set(config.user, password)
        if config.tls:
            try:
                client.tls_set(ca_certs=config.ca_file)
            except (OSError, ssl.SSLError, ValueError) as error:
                raise OutputError(
                    f"mqtt.ca_file {config.ca_file}: cannot be used ({error}): give a file of certificates."
                ) from error

    # Called in the library's thread ---------------------------------------------------------------

    def _on_connect(self, client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._greeted = True
        if reason.is_failure:
            self._refused = f"the broker refuses the connection ({reason})"
            return
        self._refused = "the connection was lost"
        client.subscribe(self._status, qos=1)
        if self._config.discovery is not None:
            client.subscribe(f"{self._config.discovery}/status", qos=1)
        self._introduce()

    def _on_connect_fail(self, client: Client, data: Any) -> None:
        self._refused = _reason(sys.exception())  # the library calls this while it handles the error

    def _on_disconnect(self, client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if not self._greeted:
            self._refused = HANGS_UP
        self._greeted = False

    def _on_message(self, client: Client, data: Any, message: MQTTMessage) -> None:
        if message.topic == self._status:
            # The last will of an earlier connection, or of another gatecam with the same topic.
            if message.payload == b"offline" and not self._closing:
                self._client.publish(self._status, "online", qos=1, retain=True)
        elif message.payload == b"online":  # Home Assistant has restarted
            self._introduce()

    def _introduce(self) -> None:
        with self._changed:
            gone, self._gone = self._gone, set()
        kept = [topic for topic, _ in self._discovery({camera: topic_name(camera) for camera in gone})]
        for topic in (*kept, *(self._topic(camera, what) for camera in gone for what in STATES)):
            self._client.publish(topic, "", qos=1, retain=True)
        for topic, payload in self._discovery(self._names):
            self._client.publish(topic, json.dumps(payload) if payload else "", qos=1, retain=True)
        self._client.publish(self._status, "online", qos=1, retain=True)
        with self._changed:
            self._unpublished.update(self._newest)
            self._changed.notify_all()

    # Called in the thread that publishes states --------------------------------------------------

    def _publish_states(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._unpublished)
                if self._closing:
                    return
                unpublished = [
                    self._newest[camera] for camera in sorted(self._unpublished) if camera in self._newest
                ]
                self._unpublished.clear()
            if self._client.is_connected():
                for presence in unpublished:
                    self._publish_state(presence)
            with self._changed:
                self._changed.wait_for(lambda: self._closing, STATES_PERIOD_S)

    def _publish_state(self, presence: Presence) -> None:
        verdict = NOBODY if presence.verdict is None else presence.verdict.value
        reason = presence.blindness or presence.slowness
        for what, payload in (
            ("presence", "ON" if presence.people else "OFF"),
            ("verdict", verdict),
            ("problem", "ON" if reason else "OFF"),
            ("reason", json.dumps({"reason": str(reason)})),
        ):
            self._client.publish(self._topic(presence.camera, what), payload, qos=1, retain=True)

    def _topic(self, camera: str, what: str) -> str:
        name = self._names.get(camera) or topic_name(camera)
        return f"{self._config.topic}/{name}/{what}"

    def _discovery(self, names: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
        if self._config.discovery is None:
            return []
        found = []
        for camera, name in names.items():
            base = f"gatecam_{topic_name(self._config.topic)}_{name}"
            shared = {
                "availability_topic": self._status,
                "device": {
                    "identifiers": [base],
                    "name": f"gatecam {camera}",
                    "manufacturer": "gatecam",
                    "sw_version": __version__,
                },
            }
            for kind, what, more in (
                ("binary_sensor", "presence", {"name": "Occupancy", "device_class": "occupancy"}),
                (
                    "sensor",
                    "verdict",
                    {"name": "Mask", "device_class": "enum", "options": VERDICTS},
                ),
                ("binary_sensor", "problem", {"name": "Camera", "device_class": "problem"}),
            ):
                entity = {
                    "unique_id": f"{base}_{what}",
                    "state_topic": self._topic(camera, what),
                    **more,
                    **shared,
                }
                if what == "problem":
                    entity["json_attributes_topic"] = self._topic(camera, "reason")
                found.append((f"{self._config.discovery}/{kind}/{base}/{what}/config", entity))
            picture = {
                "name": "Last alert",
                "unique_id": f"{base}_snapshot",
                "image_topic": self._topic(camera, "snapshot"),
                "content_type": "image/jpeg",
                **shared,
            }
            # Home Assistant removes an entity whose payload is empty.
            image = picture if self._config.snapshots else {}
            found.append((f"{self._config.discovery}/image/{base}/snapshot/config", image))
        return found


def port_of(config: MqttConfig) -> int:
    """Return the broker's port from the settings, or the usual one."""
    return config.port or (8883 if config.tls else 1883)


def topic_name(name: str) -> str:
    """Return a name as one level of a topic, made of a-z, 0-9, - and _.

    A name that had to be changed gets a hash, so that two names never share a topic.
    >>> topic_name("entrance"), topic_name("North gate/2")
    ('entrance', 'north-gate-2-6b0e20')
    """
    plain = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")
    if plain == name:
        return plain
    return f"{plain or 'camera'}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def _reason(error: BaseException | None) -> str:
    """Return why a connection failed, and what to do if that is known."""
    if isinstance(error, ssl.SSLCertVerificationError):
        said = error.verify_message
        return f"the broker's certificate is not valid ({said}): correct mqtt.ca_file or mqtt.host"
    if isinstance(error, ssl.SSLError | ConnectionResetError):
        return HANGS_UP
    why = getattr(error, "strerror", None) or error
    return f"there is no connection to the broker ({why})"


def _has(message: MQTTMessageInfo, timeout_s: float) -> bool:
    """Return whether the broker acknowledges a message in time."""
    try:
        message.wait_for_publish(max(0.0, timeout_s))
    except (ValueError, RuntimeError):  # the message was not even queued
        return False
    return message.is_published()
