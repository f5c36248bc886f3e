"""MQTT on Debian's broker and clients: acknowledged, retained, found by Home Assistant, back by itself."""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from gatecam.errors import OutputError
from gatecam.notify.mqtt import STATES, MqttOutput, topic_name
from gatecam.settings.schema import MqttConfig
from gatecam.types import Event, EventKind, Presence, StoredEvent, Verdict
from tests.streams import free_port

WAIT_S = 20
MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
EVENT = Event(
    EventKind.MASK_MISSING, "문 앞", 3, Verdict.NONE, 1.5, 37, 0.98, at="2026-11-24T12:00:00.000+00:00"
)
NAME = topic_name("문 앞")


class Broker:
    """Debian's mosquitto on a port that stays the same from start to start."""

    def __init__(self, folder: Path, lines: str = "allow_anonymous true") -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nuser root\n{lines}\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO is not None
        self._process = subprocess.Popen([MOSQUITTO, "-c", self._config], stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        while b"running" not in (line := self._process.stderr.readline()):
            assert line, "mosquitto did not start"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class Listener:
    """Debian's mosquitto_sub on all topics; `wait` gives the payload of the next message of a topic."""

    def __init__(self, port: int) -> None:
        place = ["-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", "#", "-F", "%r %t %p"]
        command = ["stdbuf", "-oL", "mosquitto_sub", "-d", *place]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._lines: list[tuple[str, str, str]] = []
        self._changed = threading.Condition()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        assert self._listens.wait(WAIT_S)

    def wait(self, topic: str, payload: str | None = None) -> tuple[str, str]:
        """Whether it was retained ("1"), and the payload."""

        def found():
            return next((x for x in self._lines if x[1] == topic and payload in (None, x[2])), None)

        with self._changed:
            assert self._changed.wait_for(found, WAIT_S), (topic, payload, self._lines)
            line = found()
            self._lines.remove(line)
        return line[0], line[2]

    def end(self) -> None:
        self._process.kill()
        self._thread.join()
        self._process.communicate()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("Subscribed"):
                self._listens.set()
            elif line.startswith(("0 ", "1 ")):
                retained, topic, payload = line.rstrip("\n").split(" ", 2)
                with self._changed:
                    self._lines.append((retained, topic, payload))
                    self._changed.notify_all()


@pytest.fixture
def broker(tmp_path) -> Iterator[Broker]:
    if MOSQUITTO is None or shutil.which("mosquitto_sub") is None:
        pytest.skip("mosquitto and its clients are not installed")
    pytest.importorskip("paho.mqtt.client")
    made = Broker(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def listener(broker) -> Iterator[Listener]:
    made = Listener(broker.port)
    yield made
    made.end()


def mqtt(broker: Broker, identity: str = "one", **more) -> MqttOutput:
    config = MqttConfig(**{"host": "127.0.0.1", "port": broker.port, **more})
    return MqttOutput(config, ["문 앞"], identity)


def deliver(output: MqttOutput, *ids: int) -> int:
    """Deliver events once there is a connection."""
    events = [StoredEvent(number, f"key{number}", EVENT) for number in ids]
    end_s = time.monotonic() + WAIT_S
    while True:
        try:
            return output.deliver(events)
        except OutputError:
            assert time.monotonic() < end_s
            threading.Event().wait(0.05)


def test_events_arrive_in_order_and_are_acknowledged(broker, listener):
    with closing(mqtt(broker)) as output:
        assert deliver(output, *range(20)) == 20
    for number in range(20):
        retained, payload = listener.wait(f"gatecam/{NAME}/event")
        assert (retained, json.loads(payload)["id"]) == ("0", f"key{number}")
    assert json.loads(payload)["camera"] == "문 앞"


def test_what_holds_now_is_retained_for_who_comes_later(broker):
    with closing(mqtt(broker)) as output:
        deliver(output, 1)
        output.note(Presence("문 앞", 2, Verdict.NONE))
        output.note(Presence("문 앞", 1, Verdict.CORRECT))
        first = Listener(broker.port)
        first.wait(f"gatecam/{NAME}/verdict", "correct")
        first.end()
        later = Listener(broker.port)
        said = [later.wait(f"gatecam/{NAME}/{what}") for what in ("presence", "verdict", "problem")]
        assert said == [("1", "ON"), ("1", "correct"), ("1", "OFF")]
        assert later.wait("gatecam/status") == ("1", "online")
        output.note(Presence("문 앞", blindness="covered"))
        assert later.wait(f"gatecam/{NAME}/problem", "ON")
        assert later.wait(f"gatecam/{NAME}/presence", "OFF")
        assert later.wait(f"gatecam/{NAME}/verdict", "nobody")
        assert later.wait(f"gatecam/{NAME}/reason", '{"reason": "covered"}')
        output.note(Presence("문 앞", 1, Verdict.NONE, slowness="late"))
        assert later.wait(f"gatecam/{NAME}/reason", '{"reason": "late"}')
        assert later.wait(f"gatecam/{NAME}/problem", "ON")
    assert later.wait("gatecam/status", "offline")
    later.end()


def test_home_assistant_finds_three_entities_a_camera_and_again_after_its_restart(broker, listener):
    base = f"gatecam_gatecam_{NAME}"
    with closing(mqtt(broker)) as output:
        deliver(output, 1)
        for kind, what, device_class in (
            ("binary_sensor", "presence", "occupancy"),
            ("sensor", "verdict", "enum"),
            ("binary_sensor", "problem", "problem"),
        ):
            entity = json.loads(listener.wait(f"homeassistant/{kind}/{base}/{what}/config")[1])
            assert (entity["device_class"], entity["unique_id"]) == (device_class, f"{base}_{what}")
            assert entity["state_topic"] == f"gatecam/{NAME}/{what}"
            assert entity["availability_topic"] == "gatecam/status"
            assert entity["device"]["name"] == "gatecam 문 앞"
        publish = ["mosquitto_pub", "-p", str(broker.port), "-t", "homeassistant/status", "-m", "online"]
        subprocess.run(publish, check=True)
        listener.wait(f"homeassistant/sensor/{base}/verdict/config")


IMAGE_KEYS = {  # of the image entity: https://www.home-assistant.io/integrations/image.mqtt/
    "availability_topic",
    "content_type",
    "device",
    "image_topic",
    "name",
    "unique_id",
}


def test_home_assistant_shows_the_picture_of_the_last_alert_if_asked(broker, listener):
    base, jpeg = f"gatecam_gatecam_{NAME}", b"picture"
    with closing(mqtt(broker, snapshots=True)) as output:
        deliver(output, 1)
        entity = json.loads(listener.wait(f"homeassistant/image/{base}/snapshot/config")[1])
        assert set(entity) == IMAGE_KEYS
        assert (entity["image_topic"], entity["content_type"]) == (f"gatecam/{NAME}/snapshot", "image/jpeg")
        assert entity["unique_id"] == f"{base}_snapshot"
        output.show("문 앞", jpeg)
        assert listener.wait(entity["image_topic"]) == ("0", "picture")
        later = Listener(broker.port)
        later.wait("gatecam/status")
        later.end()
        assert entity["image_topic"] not in [topic for _, topic, _ in later._lines]  # the broker keeps none
    with closing(mqtt(broker)) as output:
        deliver(output, 2)
        assert listener.wait(f"homeassistant/image/{base}/snapshot/config") == ("0", "")


@pytest.mark.parametrize("is_connected", [True, False])
def test_what_the_broker_keeps_of_a_removed_camera_is_deleted_even_if_it_was_away(monkeypatch, is_connected):
    pytest.importorskip("paho.mqtt.client")
    published: list[tuple[str, str]] = []
    with closing(
        MqttOutput(MqttConfig(host="127.0.0.1", port=free_port()), ["gate", "yard"], "one")
    ) as output:
        client = output._client
        monkeypatch.setattr(client, "is_connected", lambda: is_connected)
        monkeypatch.setattr(
            client, "publish", lambda topic, payload, **words: published.append((topic, payload))
        )
        output.watch(["gate"])
        if not is_connected:
            assert published == []
            output._on_connect(client, None, None, SimpleNamespace(is_failure=False), None)
        gone = [topic for topic, payload in published if payload == "" and "yard" in topic]
        entities = [f"{kind}/gatecam_gatecam_yard/{what}" for kind, what in ENTITIES]
        assert gone[:4] == [f"homeassistant/{one}/config" for one in entities]
        assert sorted(gone[4:]) == [f"gatecam/yard/{what}" for what in sorted(STATES)]
        assert "homeassistant/sensor/gatecam_gatecam_gate/verdict/config" in dict(published)
        published.clear()
        output._introduce()
        assert not [topic for topic, _ in published if "yard" in topic]
        monkeypatch.setattr(client, "is_connected", lambda: False)


ENTITIES = (
    ("binary_sensor", "presence"),
    ("sensor", "verdict"),
    ("binary_sensor", "problem"),
    ("image", "snapshot"),
)


def test_without_discovery_there_is_none(broker, listener):
    with closing(mqtt(broker, discovery=None, topic="house/door")) as output:
        deliver(output, 1)
    listener.wait(f"house/door/{NAME}/event")
    assert not [topic for _, topic, _ in listener._lines if topic.startswith("homeassistant")]


def test_it_is_back_by_itself_when_the_broker_is(broker):
    with closing(mqtt(broker)) as output:
        deliver(output, 1)
        broker.kill()
        with pytest.raises(OutputError, match=rf"^mqtt 127\.0\.0\.1:{broker.port}: "):
            output.deliver([StoredEvent(2, "key2", EVENT)])
        broker.start()
        assert deliver(output, 2) == 1


GATECAM = """
import sys, time
from gatecam.settings.schema import MqttConfig
from gatecam.notify.mqtt import MqttOutput
output = MqttOutput(MqttConfig(host="127.0.0.1", port=int(sys.argv[1])), ["gate"], "one")
time.sleep(600)
"""


def test_the_broker_tells_when_gatecam_is_killed(broker, listener):
    with subprocess.Popen([sys.executable, "-c", GATECAM, str(broker.port)]) as process:
        listener.wait("gatecam/status", "online")
        process.send_signal(signal.SIGKILL)
    listener.wait("gatecam/status", "offline")


@pytest.fixture
def tls(tmp_path) -> Iterator[tuple[Broker, str, dict[str, object]]]:
    """A broker that wants a name and a password, its certificate, and the settings that fit it."""
    if MOSQUITTO is None or shutil.which("openssl") is None:
        pytest.skip("mosquitto or openssl is not installed")
    pytest.importorskip("paho.mqtt.client")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    made = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(["openssl", *words.split(), *made], check=True, capture_output=True)
    subprocess.run(["mosquitto_passwd", "-b", "-c", tmp_path / "users", "gate", "sesame"], check=True)
    lines = f"password_file {tmp_path}/users\ncertfile {certificate}\nkeyfile {key}\ncafile {certificate}"
    broker = Broker(tmp_path, lines)
    broker.start()
    secret = tmp_path / "secret"
    secret.write_text("sesame")
    secret.chmod(0o600)
    yield broker, str(certificate), {"tls": True, "user": "gate", "password_file": str(secret)}
    broker.kill()


def trouble(output: MqttOutput) -> str:
    """What the output says before there is an event, once it knows; and says of an event alike."""
    end_s = time.monotonic() + WAIT_S
    while time.monotonic() < end_s:
        if (said := output.trouble) is not None:
            with pytest.raises(OutputError) as told:
                output.deliver([StoredEvent(2, "key2", EVENT)])
            if str(told.value) == said:
                return said
        threading.Event().wait(0.05)
    raise AssertionError("no trouble")


def test_with_tls_and_a_password_it_connects_and_logs_no_secret(tls, caplog):
    broker, certificate, more = tls
    with caplog.at_level(logging.DEBUG), closing(mqtt(broker, ca_file=certificate, **more)) as output:
        assert deliver(output, 1) == 1
    assert "sesame" not in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the library's own socket
def test_a_broker_that_cannot_be_proven_gets_nothing_and_why_is_told(tls):
    broker, certificate, more = tls
    with closing(mqtt(broker, **more)) as output:
        said = trouble(output)
    assert "the broker's certificate is not valid (self-signed certificate): correct mqtt.ca_file" in said
    with closing(mqtt(broker, ca_file=certificate, host="localhost", **more)) as output:
        said = trouble(output)
    assert "the broker's certificate is not valid (Hostname mismatch" in said
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_without_tls_where_there_should_be_is_told(broker):
    with closing(mqtt(broker, tls=True)) as output:
        said = trouble(output)
    gc.collect()
    assert "wants or refuses TLS: correct mqtt.port or mqtt.tls" in said


def test_a_broker_with_tls_where_there_should_be_none_is_told(tls):
    with closing(mqtt(tls[0])) as output:
        assert "wants or refuses TLS: correct mqtt.port or mqtt.tls" in trouble(output)


def test_a_password_that_is_wrong_is_told_before_there_is_an_event(tls):
    broker, certificate, more = tls
    Path(str(more["password_file"])).write_text("wrong")
    with closing(mqtt(broker, ca_file=certificate, **more)) as output:
        said = trouble(output)
    assert "the broker refuses the connection (Not authorized)" in said


def test_there_is_trouble_while_the_broker_is_gone(broker):
    with closing(mqtt(broker)) as output:
        deliver(output, 1)
        assert output.trouble is None
        broker.kill()
        assert trouble(output).startswith(f"mqtt 127.0.0.1:{broker.port}: the")
        broker.start()
        deliver(output, 2)
        assert output.trouble is None


def test_another_gatecam_of_the_same_topic_does_not_leave_it_offline(broker, listener):
    with closing(mqtt(broker)) as output:
        deliver(output, 1)
        with closing(mqtt(broker, "two")) as other:
            deliver(other, 2)
            for _ in range(2):
                listener.wait("gatecam/status", "online")
        listener.wait("gatecam/status", "offline")
        listener.wait("gatecam/status", "online")
        assert_found_online(broker)


def assert_found_online(broker):
    """Check that whoever comes later finds gatecam online, if not at once then within 10 s.

    The broker may tell the other's last will after gatecam has answered its farewell.
    """
    end_s = time.monotonic() + 10
    found = None
    while found != ("1", "online"):
        assert time.monotonic() < end_s, found
        later = Listener(broker.port)
        found = later.wait("gatecam/status")
        later.end()


def test_a_restart_ends_the_connection_that_was_left_half_open(broker, listener):
    """So that the broker cannot tell the old one's last will after the new one has come."""
    with subprocess.Popen([sys.executable, "-c", GATECAM, str(broker.port)]) as process:
        listener.wait("gatecam/status", "online")
        process.send_signal(signal.SIGSTOP)
        with closing(mqtt(broker)) as output:
            deliver(output, 1)
            listener.wait("gatecam/status", "offline")
            listener.wait("gatecam/status", "online")
            assert_found_online(broker)
        process.kill()


def test_certificates_that_are_none_are_one_sentence(tmp_path):
    pytest.importorskip("paho.mqtt.client")
    (tmp_path / "ca.pem").write_text("none")
    config = MqttConfig(host="127.0.0.1", tls=True, ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(OutputError, match=r"mqtt\.ca_file .*: cannot be used"):
        MqttOutput(config, ["gate"], "one")


@pytest.mark.parametrize(
    ("name", "topic"), [("entrance", "entrance"), ("a/b", "a-b-c14cdd"), ("A", "a-559aea"), ("+#", "camera-")]
)
def test_any_name_is_one_level_of_a_topic(name, topic):
    assert topic_name(name).startswith(topic)
    assert topic_name(name) == topic_name(name)
