"""The settings: what is read from files and the environment, what is rejected, and how it is said."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import ValidationError

from gatecam.errors import ConfigError
from gatecam.settings.loading import MAX_FILE_BYTES, load
from gatecam.settings.schema import (
    CameraConfig,
    Config,
    DetectorConfig,
    Door,
    NotifyConfig,
    Section,
    WebConfig,
    json_schema,
)
from gatecam.settings.text import to_yaml

DEVICES = "auto, cpu, cuda, openvino, openvino-bf16 or openvino-int8"
TOP_LEVEL_FILE = Path(__file__).parents[2] / "config.yaml"
HOST = "expected a name or an address alone, such as broker.example or 192.0.2.7"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Loads a text as `config.yaml` of the working folder, with an environment."""
    monkeypatch.chdir(tmp_path)

    def load_text(text: str | bytes, **env: str):
        data = text if isinstance(text, bytes) else text.encode()
        Path("config.yaml").write_bytes(data)
        return load(env=env)

    return load_text


@pytest.fixture
def problems(settings):
    """The lines of the `ConfigError` that a text raises."""

    def problems_of(text: str | bytes, **env: str) -> list[str]:
        with pytest.raises(ConfigError) as error:
            settings(text, **env)
        return str(error.value).splitlines()

    return problems_of


def leaves(section: type[Section] = Config, prefix: str = ""):
    for name, info in section.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            yield from leaves(info.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", info


def test_the_file_at_the_top_is_the_defaults():
    assert load(TOP_LEVEL_FILE, env={}).config == Config()


def test_the_file_at_the_top_is_generated():
    # After a change of the defaults: write `to_yaml(Config())` there.
    assert TOP_LEVEL_FILE.read_text(encoding="utf-8") == to_yaml(Config())


def test_without_a_file_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = load(env={})
    assert (loaded.config, loaded.path, loaded.origins) == (Config(), None, {})


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "camera:\n  # source: 0\n", "---\n", "{}", "\ufeff"])
def test_an_empty_file_is_the_defaults(settings, text):
    assert settings(text).config == Config()


def test_a_file_and_the_environment_override_in_turn(settings):
    loaded = settings(
        "device: cpu\ndetector:\n  min_face_px: 60\n  pnet_threshold: 0.5\n",
        GATECAM_DETECTOR_MIN_FACE_PX="80",
        GATECAM_NOTIFY_SOUND="off",
        PATH="/bin",
    )
    assert loaded.config == Config(
        device="cpu",
        detector=DetectorConfig(min_face_px=80, pnet_threshold=0.5),
        notify=NotifyConfig(sound=False),
    )
    assert loaded.origins == {
        "device": "config.yaml:1",
        "detector.min_face_px": "environment GATECAM_DETECTOR_MIN_FACE_PX",
        "detector.pnet_threshold": "config.yaml:4",
        "notify.sound": "environment GATECAM_NOTIFY_SOUND",
    }


def test_a_named_file_is_taken_instead_of_the_one_in_the_folder(settings, tmp_path):
    settings("device: cpu")
    (tmp_path / "other.yaml").write_text("device: cuda", encoding="utf-8")
    assert load(Path("other.yaml"), env={}).config.device == "cuda"


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("0", "0"),
        ("12", "12"),
        ("'1'", "1"),
        ("/dev/video2", "/dev/video2"),
        ("rtsp://a:b@c/d", "rtsp://a:b@c/d"),
    ],
)
def test_a_camera_is_an_index_or_text(settings, text, source):
    assert settings(f"camera: {{source: {text}}}").config.camera.source == source
    assert settings("", GATECAM_CAMERA_SOURCE=source).config.camera.source == source


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("GATECAM_CAMERA_NAME", "12", CameraConfig(name="12")),
        ("GATECAM_CAMERA_NAME", "gate: {north} #2", CameraConfig(name="gate: {north} #2")),
        ("GATECAM_CAMERA_FPS", " 15 ", CameraConfig(fps=15.0)),
    ],
)
def test_a_variable_is_a_plain_scalar(settings, name, value, expected):
    assert settings("", **{name: value}).config.camera == expected


def test_a_variable_can_say_null(settings):
    assert settings("notify: {log: a.jsonl}", GATECAM_NOTIFY_LOG="null").config.notify.log is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("detector:\n  min_face_px: 5", "detector.min_face_px: expected 12 to 2000, got 5 (config.yaml:2)"),
        ("replay: {image_fps: 999.5}", "replay.image_fps: expected 0.1 to 240, got 999.5 (config.yaml:1)"),
        (
            "detector:\n  min_fce_px: 40",
            "detector.min_fce_px: unknown key, did you mean min_face_px? (config.yaml:2)",
        ),
        ("min_face_px: 40", "min_face_px: unknown key, it belongs under detector: (config.yaml:1)"),
        (
            "policy:\n  zzz: 1",
            "policy.zzz: unknown key, expected one of remind_s, cooldown_s (config.yaml:2)",
        ),
        ("camera:\n  fps: fast", "camera.fps: expected a number 1 to 240, got 'fast' (config.yaml:2)"),
        (
            "camera:\n\n  width: '640'",
            "camera.width: expected a whole number 64 to 7680, got '640' (config.yaml:3)",
        ),
        (
            "camera: {width: 640.0}",
            "camera.width: expected a whole number 64 to 7680, got 640.0 (config.yaml:1)",
        ),
        (
            "camera: {width: true}",
            "camera.width: expected a whole number 64 to 7680, got true (config.yaml:1)",
        ),
        ("camera: {fps: yes}", "camera.fps: expected a number 1 to 240, got true (config.yaml:1)"),
        ("camera: {fps: .nan}", "camera.fps: expected a number 1 to 240, got nan (config.yaml:1)"),
        ("camera: {fps: .inf}", "camera.fps: expected a number 1 to 240, got inf (config.yaml:1)"),
        ("camera: {fps: }", "camera.fps: expected a number 1 to 240, got null (config.yaml:1)"),
        ("camera: {fps: [1, 2]}", "camera.fps: expected a number 1 to 240, got a list (config.yaml:1)"),
        ("notify: {sound: 1}", "notify.sound: expected true or false, got 1 (config.yaml:1)"),
        (
            "device: gpu",
            f"device: expected {DEVICES}, got 'gpu' (config.yaml:1)",
        ),
        ("camera: {name: 12}", "camera.name: expected non-empty text in quotes, got 12 (config.yaml:1)"),
        (
            r'camera: {name: "a\nb"}',
            "camera.name: expected a name in one line, without control characters, "
            r"got 'a\nb' (config.yaml:1)",
        ),
        ("camera: {name: ''}", "camera.name: expected non-empty text, got '' (config.yaml:1)"),
        (
            "camera: {source: no}",
            "camera.source: expected non-empty text in quotes, got false (config.yaml:1)",
        ),
        (
            "notify: {log: {a: 1}}",
            "notify.log: expected non-empty text or null, got a mapping (config.yaml:1)",
        ),
        (
            'sound: {quiet_hours: "22:00-22:00"}',
            "sound.quiet_hours: expected different start and end times; sound.volume: 0 is quiet all day, "
            "got '22:00-22:00' (config.yaml:1)",
        ),
        ("mqtt:\n  host: mqtt://127.0.0.1", f"mqtt.host: {HOST}, got 'mqtt://127.0.0.1' (config.yaml:2)"),
        ("mqtt: {host: a..b}", f"mqtt.host: {HOST}, got 'a..b' (config.yaml:1)"),
        ("mqtt: {host: 'db:1883'}", f"mqtt.host: {HOST}, got 'db:1883' (config.yaml:1)"),
        (
            "mqtt:\n  ca_file: /ca.pem",
            "mqtt.ca_file: needs tls: true as well, without which nothing is encrypted (config.yaml:2)",
        ),
        (
            "mqtt:\n  password_file: /password",
            "mqtt.password_file: needs user as well, give both or no password (config.yaml:2)",
        ),
        (
            "detector:\n  door_width_m: 0.9",
            "detector.door_width_m: needs door_distance_m as well, give both or neither (config.yaml:2)",
        ),
        (
            "detector:\n  view_deg: 60\n  door_distance_m: 3",
            "detector.door_distance_m: needs door_width_m as well, give both or neither (config.yaml:3)",
        ),
        (
            "detector:\n  door_distance_m: 3\n  door_width_m: null",
            "detector.door_distance_m: needs door_width_m as well, give both or neither (config.yaml:2)",
        ),
        ("detector: {view_deg: 180}", "detector.view_deg: expected 10 to 170, got 180 (config.yaml:1)"),
        ("detector: {detect_every: 0}", "detector.detect_every: expected 1 to 300, got 0 (config.yaml:1)"),
        (
            "detector: {min_face_px: small}",
            "detector.min_face_px: expected a whole number 12 to 2000 or null, got 'small' (config.yaml:1)",
        ),
        (
            "detector:\n  region: 0.5",
            "detector.region: expected a list of 4 numbers 0 to 1 or null, got 0.5 (config.yaml:2)",
        ),
        (
            "detector:\n  region: [0, 0, 1]",
            "detector.region: expected a list of 4 numbers 0 to 1 or null, got [0, 0, 1] (config.yaml:2)",
        ),
        (
            "detector:\n  region:\n  - 0\n  - 0\n  - 1.5\n  - -2",
            "detector.region: expected a list of 4 numbers 0 to 1 or null, "
            "got [0, 0, 1.5, -2] (config.yaml:2)",
        ),
        (
            "detector: {region: [0, '0', true, .nan]}",
            "detector.region: expected a list of 4 numbers 0 to 1 or null, "
            "got [0, '0', true, nan] (config.yaml:1)",
        ),
        (
            "detector: {region: [[0, 0], 0, 1, !!float 1]}",
            "detector.region: expected a list of 4 numbers 0 to 1 or null, "
            "got [[0, 0], 0, 1, a list] (config.yaml:1)",
        ),
        (
            "detector: {ignore: [[0, 0, 1, 1], [0, 0, 1, 2]]}",
            "detector.ignore: expected a list of lists, each of 4 numbers 0 to 1, "
            "got [[0, 0, 1, 1], [0, 0, 1, 2]] (config.yaml:1)",
        ),
        (
            "detector: {ignore: [[0, 0, 1, 1], [0, 0, [1], &a [1, *a]]]}",
            "detector.ignore: expected a list of lists, each of 4 numbers 0 to 1, "
            "got [[0, 0, 1, 1], [0, 0, a list, a list]] (config.yaml:1)",
        ),
        (
            "cameras:\n- name: a\n  source: 0\n  ignore: [[0.5, 0, 0.5, 1]]",
            "cameras.0.ignore: expected x2 above x1 and y2 above y1 in each place, "
            "got [[0.5, 0, 0.5, 1]] (config.yaml:4)",
        ),
        (
            "detector: {region: !box [0, 0, 1, 1]}",
            "detector.region: expected a plain value, got the tag !box (config.yaml:1)",
        ),
        (
            "detector: {region: [0.5, 0, 0.2, 1]}",
            "detector.region: expected x2 at least 0.05 above x1, got [0.5, 0, 0.2, 1] (config.yaml:1)",
        ),
        (
            "detector: {region: [0, 0.3, 1, 0.34]}",
            "detector.region: expected y2 at least 0.05 above y1, got [0, 0.3, 1, 0.34] (config.yaml:1)",
        ),
        ("device: cpu\ndevice: cpu", "device: given twice, keep one (config.yaml:2)"),
        ("camera: 0", "camera: expected keys with values, got 0 (config.yaml:1)"),
        ("\n- device", "settings: expected keys with values, got a list (config.yaml:2)"),
        ("cpu", "settings: expected keys with values, got 'cpu' (config.yaml:1)"),
    ],
)
def test_a_rejected_setting_is_told_with_its_line(problems, text, problem):
    assert problems(text) == [problem]


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        (
            "GATECAM_DETECTOR_MIN_FACE_PX",
            "5",
            "detector.min_face_px: expected 12 to 2000, got 5 (environment GATECAM_DETECTOR_MIN_FACE_PX)",
        ),
        (
            "GATECAM_DEVICE",
            "",
            f"device: expected {DEVICES}, got null (environment GATECAM_DEVICE)",
        ),
        (
            "GATECAM_DETECTOR_REGION",
            "0.1, 0, 0.9",
            "detector.region: expected a list of 4 numbers 0 to 1 or null, got [0.1, 0, 0.9] (environm",
        ),
        (
            "GATECAM_DETECTOR_REGION",
            "0 0 1 1",
            "detector.region: expected a list of 4 numbers 0 to 1 or null, got ['0 0 1 1'] (env",
        ),
        (
            "GATECAM_DETECTOR_DOOR_WIDTH_M",
            "2",
            "detector.door_width_m: needs door_distance_m as well, give both or neither (environment",
        ),
    ],
)
def test_a_rejected_variable_is_told_by_its_name(problems, name, value, problem):
    (line,) = problems("", **{name: value})
    assert line.startswith(problem)


def test_variables_that_are_no_settings_are_told_once_and_ignored(settings, caplog):
    strange = {
        "GATECAM_PORT": "tcp://10.0.0.1:8790",
        "GATECAM_SERVICE_HOST": "10.0.0.1",
        "GATECAM_PORT_8790_TCP": "tcp://10.0.0.1:8790",
        "GATECAM_WEB_PORT": "tcp://10.0.0.1:8790",  # of a service named gatecam-web
        "GATECAM_DETECTOR_MIN_FACE_PZ": "60",
    }
    for _ in range(2):
        assert settings("", **strange, GATECAM_CAMERA_NAME="gate").config == Config(
            camera=CameraConfig(name="gate")
        )
    (record,) = caplog.records
    assert record.getMessage() == (
        "variables that are no settings are ignored: "
        "GATECAM_DETECTOR_MIN_FACE_PZ (did you mean GATECAM_DETECTOR_MIN_FACE_PX?), GATECAM_PORT, "
        "GATECAM_PORT_8790_TCP, GATECAM_SERVICE_HOST, GATECAM_WEB_PORT."
    )


def test_a_number_is_still_wanted_of_a_port(problems):
    (line,) = problems("", GATECAM_WEB_PORT="http")
    assert line.startswith("web.port: expected a whole number 1 to 65535, got 'http' (environment")


CAMERA = "expected an index (0), a device (/dev/video0) or an address (rtsp:// or http://); recorded files"
HOOK = "expected an address such as https://example.org/hook"


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("camera.source", "rtmp://10.0.0.5/live", CAMERA),
        ("camera.source", "clip.mp4", CAMERA),
        ("camera.source", '"rtsp://10.0.0.5"', CAMERA),
        ("camera.source", "rtsp://", "expected the name or address of the camera after rtsp://"),
        ("camera.source", "rtsp://me:pw@/live", "expected the name or address of the camera after rtsp://"),
        ("camera.source", "http://10.0.0.5/a b", "expected no spaces in an address; write %20 for one"),
        ("camera.source", " rtsp://10.0.0.5/live", "expected no spaces before or after it"),
        ("camera.source", "\u201crtsp://10.0.0.5/live\u201d", 'expected straight quotes, "…", around it'),
        (
            "camera.source",
            "rtsp://me:${PASSWORD}@10.0.0.5",
            "expected no ${PASSWORD}, which nothing fills in",
        ),
        ("notify.log", "${HOME}/events.jsonl", "expected no ${HOME}, which nothing fills in"),
        ("web.host", "http://localhost", HOST),
        ("web.host", "127.0.0.1:8790", HOST),
        ("web.host", "0.0.0.0 ", "expected no spaces before or after it"),
        ("mqtt.host", "\u2018broker\u2019", 'expected straight quotes, "…", around it'),
        ("webhook.url", "http://host:port/", HOOK),
        ("webhook.url", "http:///path", HOOK),
        ("webhook.url", "https://münchen.example/", HOOK),
        ("webhook.url", "http://a..b/x", HOOK),
        (
            "store.url",
            "postgresql://me:p@ss@db/gatecam",
            "expected an address such as postgresql://gatecam@db",
        ),
        ("store.url", "postgresql://db:port/gatecam", "expected an address such as postgresql://gatecam@db"),
    ],
)
def test_what_run_would_refuse_is_refused_with_its_line(problems, key, value, problem):
    section, name = key.split(".")
    (line,) = problems(yaml.safe_dump({section: {name: value}}, allow_unicode=True))
    assert line.startswith(f"{key}: {problem}")
    assert line.endswith("(config.yaml:2)")
    assert "p@ss" not in line


@pytest.mark.parametrize("host", ["::", "::1", "[::1]", "0.0.0.0", "localhost", "door.example"])
def test_a_host_is_served_at_with_brackets_or_without(settings, host):
    assert settings(f"web: {{host: '{host}'}}").config.web.host == host.strip("[]")


@pytest.mark.parametrize(
    ("host", "links"),
    [
        ("::1", ("[::1]",)),
        ("192.0.2.7", ("192.0.2.7",)),
        ("::", ("127.0.0.1", "kiosk")),
        ("0.0.0.0", ("127.0.0.1", "kiosk")),
    ],
)
def test_links_open_on_this_machine_and_name_it_for_others(monkeypatch, host, links):
    monkeypatch.setattr("socket.gethostname", lambda: "kiosk")
    assert WebConfig(host=host).link_hosts == links


MERGED = """
cameras:
  - &gate {name: gate, source: "rtsp://10.0.0.1", fps: 10, view_deg: 80}
  - &yard
    <<: *gate
    name: yard
    source: rtsp://10.0.0.2
  - <<: [{fps: 12}, *yard, *gate]
    name: door
    source: rtsp://10.0.0.3
"""


def test_merged_keys_give_way_to_a_groups_own_and_to_those_of_earlier_merges(settings):
    gate, yard, door = settings(MERGED).config.cameras
    assert (yard.name, yard.source, yard.fps, yard.view_deg) == ("yard", "rtsp://10.0.0.2", 10, 80)
    assert (door.name, door.source, door.fps, door.view_deg) == ("door", "rtsp://10.0.0.3", 12, 80)
    assert gate.name == "gate"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            MERGED.replace("fps: 10", "fps: 999"),
            "cameras.0.fps: expected 1 to 240, got 999 (config.yaml:3)",
        ),
        (MERGED.replace("view_deg", "view_dog"), "cameras.0.view_dog: unknown key"),
        ("camera:\n  <<: 5", "<<: expected keys with values, got 5 (config.yaml:2)"),
    ],
)
def test_a_problem_of_a_merged_key_is_told_with_the_line_where_it_stands(problems, text, problem):
    assert problems(text)[0].startswith(problem)


def test_merges_of_merges_cost_no_more_than_they_hold(settings):
    levels = "".join(f"  - &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 60))
    with pytest.raises(ConfigError, match="cameras"):
        settings(f"cameras:\n  - &a0 {{fps: 5}}\n{levels}")
    with pytest.raises(ConfigError, match=r"camera\.name: expected|expected"):
        settings("camera: &a\n  <<: *a\n  name: ''")  # one that merges itself


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            "mqtt: {host: broker.example, user: me, password_file: pw}",
            "the password for the broker broker.example",
        ),
        ("mqtt: {host: broker.example, user: me, password_file: pw, tls: true}", None),
        ("mqtt: {host: 127.0.0.2, user: me, password_file: pw}", None),
        ("mqtt: {host: '::1', user: me, password_file: pw}", None),
        ("mqtt: {host: broker.example}", None),
        ("web: {host: 0.0.0.0}", "the pages are served to the network (0.0.0.0) without TLS"),
        ("web: {host: '::'}", "the pages are served to the network (::) without TLS"),
        ("web: {host: '::', certificate: a, key: b}", None),
        ("", None),
    ],
)
def test_what_others_could_read_on_the_network_is_told(settings, config, said):
    told = settings(config).config.exposed()
    assert len(told) == (said is not None)
    assert not said or told[0].startswith(said)


@pytest.mark.parametrize(
    ("user", "owner", "is_taken"), [(0, 1000, False), (0, 0, True), (1000, 1000, True), (1000, 1001, True)]
)
def test_root_takes_no_settings_of_another_user_from_the_working_folder(
    settings, monkeypatch, user, owner, is_taken
):
    class Status:
        st_uid = owner

    settings("")
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr(Path, "lstat", lambda path: Status)
    if is_taken:
        assert settings("device: cpu").path == Path("config.yaml")
        return
    said = r"config\.yaml: belongs to another user \(id 1000\).* name it with --config config\.yaml"
    with pytest.raises(ConfigError, match=said):
        settings("device: cpu")
    assert load(Path("config.yaml"), env={}).config.device == "cpu"


def test_all_problems_are_told_at_once_in_the_order_of_the_lines(problems):
    lines = problems(
        "detector:\n  min_face_px: 5\n  oops: 1\ncamera: {fps: fast}\n",
        GATECAM_DETECTOR_MIN_FACE_PX="60",
        GATECAM_DEVICE="gpu",
    )
    assert [line.split(":")[0] for line in lines] == [
        "detector.min_face_px",
        "detector.oops",
        "camera.fps",
        "device",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("device: cpu\na: b: c", "config.yaml:2"),
        ("camera:\n\tname: x", "config.yaml:2"),
        ("device: 'cpu", "not valid YAML"),
        ("a: *nothing", "not valid YAML"),
        ("device: cpu\n---\ndevice: cpu", "config.yaml:2"),
        ("device: cpu\n\x00", "the character 0x0000"),
        ("[" * 20_000, "too many brackets"),
        (b"device: cpu\nname: \xff", "save the file as UTF-8 (config.yaml:2)"),
        ("device: cpu\n".encode("utf-16"), "save the file as UTF-8 (config.yaml:1)"),
        (b"#" * (MAX_FILE_BYTES + 1), "at most 64 KiB"),
        ("device: !!python/name:os.system", "got the tag tag:yaml.org,2002:python/name:os.system"),
        ("device: !secret cpu", "got the tag !secret"),
        ("!!python/object:os.system {}", "got the tag"),
        ("camera: {<<: {ftp: 5}}", "camera.ftp: unknown key"),
        ("? [a, b]\n: 1", "unknown key"),
        ("\x1b[31m: 1", "not valid YAML"),
        (f"replay: {{batch: {'9' * 5000}}}", "replay.batch: expected a whole number"),
        (f"replay: {{batch: 0x{'f' * 5000}}}", "replay.batch: expected a whole number"),
        (f"replay: {{image_fps: 1{':1' * 2000}.5}}", "replay.image_fps: expected a number"),
        (f"{'k' * 900}: 1", "…: unknown key"),
    ],
)
def test_a_file_that_is_no_settings_is_one_short_sentence(problems, text, said):
    (line,) = problems(text)
    assert said in line
    assert len(line) < 270


def test_a_yaml_bomb_is_not_unfolded(problems):
    layers = [f"b{i}: &b{i} [{', '.join([f'*b{i - 1}'] * 9)}]" for i in range(1, 12)]
    text = "\n".join(["b0: &b0 [x]", *layers, "device: *b11"])
    assert problems(text)[-1] == f"device: expected {DEVICES}, got a list (config.yaml:13)"


@pytest.mark.parametrize("make", ["nothing", "folder"])
def test_a_file_that_cannot_be_read_is_told_by_name(tmp_path, make):
    path = tmp_path / "settings.yaml"
    if make == "folder":
        path.mkdir()
    with pytest.raises(ConfigError, match=r"settings\.yaml: .*check"):
        load(path, env={})


def test_a_folder_named_config_yaml_is_not_taken_for_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load(env={})


@pytest.mark.parametrize(
    "text", ["plain", "12", "yes", "null", "a: b #c", "정문", "two\nlines", "\x7f\x85", "'\"", " x "]
)
def test_written_settings_read_back(settings, text):
    config = Config(camera=CameraConfig(fps=1.5), notify=NotifyConfig(log=text, sound=False))
    assert settings(to_yaml(config)).config == config


@pytest.mark.parametrize("region", [None, (0.1, 0.0, 0.9, 1.0), (0.123456789, 0.25, 1.0, 0.5)])
def test_a_written_region_reads_back(settings, region):
    config = Config(detector=DetectorConfig(region=region))
    text = to_yaml(config)
    assert settings(text).config == config
    assert f"\n  region: {'null' if region is None else list(region)}\n" in text


def test_a_note_stands_above_its_key(settings):
    config = Config()
    lines = to_yaml(config, notes={"detector.min_face_px": "Here 32 px."}).splitlines()
    assert lines[lines.index("  min_face_px: null") - 1] == "  # Here 32 px."
    assert settings("\n".join(lines)).config == config


def test_written_settings_say_where_they_come_from(settings):
    loaded = settings("device: cpu", GATECAM_CAMERA_FPS="15")
    text = to_yaml(loaded.config, loaded.origins)
    assert "\ndevice: cpu  # config.yaml:1\n" in text
    assert "\n  fps: 15.0  # environment GATECAM_CAMERA_FPS\n" in text
    assert yaml.safe_load(text) == loaded.config.model_dump(mode="json")


def test_every_number_has_bounds_and_every_key_a_comment_with_its_range():
    lines = to_yaml(Config()).splitlines()
    for name, info in leaves():
        above = lines[
            next(i for i, line in enumerate(lines) if line.strip().startswith(name.split(".")[-1] + ":")) - 1
        ]
        assert above.lstrip().startswith("# ")
        assert info.description
        if {int, float} & {info.annotation, *get_args(info.annotation)}:
            assert " to " in above, name


def test_every_key_in_seconds_or_pixels_says_so():
    units = {"_s": ", in s", "_px": ", in px", "fps": ", in frames/s", "_m": ", in m", "_deg": ", in degrees"}
    for name, info in leaves():
        for ending, unit in units.items():
            if name.endswith(ending):
                assert unit in info.description, name


def test_every_variable_name_means_one_key():
    names = [name.replace(".", "_").upper() for name, _ in leaves()]
    assert len(set(names)) == len(names)


def test_the_schema_is_json_and_knows_the_bounds():
    described = json.loads(json.dumps(json_schema()))
    detector = described["$defs"]["DetectorConfig"]
    assert detector["additionalProperties"] is False
    number, null = detector["properties"]["min_face_px"]["anyOf"]
    assert (number["minimum"], number["maximum"], null) == (12, 2000, {"type": "null"})
    four, _ = detector["properties"]["region"]["anyOf"]
    assert (four["minItems"], four["maxItems"]) == (4, 4)
    assert all((item["minimum"], item["maximum"]) == (0, 1) for item in four["prefixItems"])
    assert described["$defs"]["CameraConfig"]["properties"]["source"]["type"] == ["string", "integer"]


def test_settings_cannot_be_changed_or_built_wrong():
    with pytest.raises(ValidationError):
        Config().device = "cpu"
    with pytest.raises(ValidationError):
        DetectorConfig(min_face_px=5)
    with pytest.raises(ValidationError):
        DetectorConfig(min_face=50)


# The door and the region ------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["0.1, 0, 0.9, 1", "[0.1, 0, 0.9, 1]", " [ 0.1,0,0.9,1.0 ] "])
def test_a_variable_takes_a_list_with_or_without_brackets(settings, text):
    expected = DetectorConfig(region=(0.1, 0, 0.9, 1))
    assert settings("", GATECAM_DETECTOR_REGION=text).config.detector == expected
    assert settings(f"detector: {{region: [{text.strip(' []')}]}}").config.detector == expected


@pytest.mark.parametrize("text", ["0,0,0.5,1,0.5,0.5,1,1", "[[0, 0, 0.5, 1], [0.5, 0.5, 1, 1]]"])
def test_ignored_places_may_be_given_with_or_without_brackets(settings, text):
    places = ((0, 0, 0.5, 1), (0.5, 0.5, 1, 1))
    assert settings("", GATECAM_DETECTOR_IGNORE=text).config.detector.ignore == places
    inner = text if text.startswith("[") else f"[{text}]"
    assert settings(f"detector: {{ignore: {inner}}}").config.detector.ignore == places


def test_ignored_places_are_written_as_they_are_read(settings):
    places = ((0.0, 0.0, 0.5, 1.0), (0.5, 0.5, 1.0, 1.0))
    camera = {"name": "a", "source": "0", "ignore": places}
    config = Config.model_validate({"detector": {"ignore": places}, "cameras": (camera,)})
    assert settings(to_yaml(config)).config == config


@pytest.mark.parametrize("text", ["null", "", "~"])
def test_a_variable_takes_a_region_away(settings, text):
    loaded = settings("detector: {region: [0, 0, 0.5, 1]}", GATECAM_DETECTOR_REGION=text)
    assert loaded.config.detector.region is None


def test_a_door_may_be_given_half_by_the_file_and_half_by_the_environment(settings):
    loaded = settings("detector: {door_width_m: 0.9}", GATECAM_DETECTOR_DOOR_DISTANCE_M="3")
    assert loaded.config.detector.door == Door(0.9, 3.0)
    loaded = settings("detector: {door_width_m: 0.9}", GATECAM_DETECTOR_DOOR_WIDTH_M="null")
    assert loaded.config.detector.door is None


def test_a_wrong_half_of_a_door_is_not_told_as_missing(problems):
    assert problems("detector:\n  door_width_m: 0.9\n  door_distance_m: 99") == [
        "detector.door_distance_m: expected 0.3 to 50, got 99 (config.yaml:3)"
    ]


@pytest.mark.parametrize("region", [(0, 0, 0.05, 0.05), (0.3, 0.3, 0.35, 0.35), (0.95, 0.95, 1, 1)])
def test_the_smallest_region_is_a_twentieth_wide_and_high(region):
    assert DetectorConfig(region=region).region == region


@pytest.mark.parametrize(
    "host", ["broker.example", "localhost", "192.0.2.7", "2001:db8::1", "문앞.example", "a."]
)
def test_a_broker_may_be_a_name_or_an_address(settings, host):
    assert settings(f"mqtt: {{host: '{host}'}}").config.mqtt.host == host


@pytest.mark.parametrize(
    ("given", "width_px", "smallest_px"),
    [
        # 32 px, whatever the picture, as long as nothing else is said.
        ({}, 640, 32),
        ({}, 1920, 32),
        ({"region": (0, 0, 0.5, 1)}, 320, 32),
        # 90° see 2 × distance: at 2 + 1.6 / 2 = 2.8 m these are 5.6 m, 40 faces of 0.14 m side by side.
        ({"door_width_m": 1.6, "door_distance_m": 2, "view_deg": 90}, 640, 16),
        ({"door_width_m": 1.6, "door_distance_m": 2, "view_deg": 90}, 1280, 32),
        ({"door_width_m": 1.6, "door_distance_m": 2, "view_deg": 90}, 1300, 32),
        ({"door_width_m": 1.6, "door_distance_m": 2, "view_deg": 90}, 1320, 33),
        # 70° see 1.4004 × distance: at 3.45 m 4.8315 m, so that 640 px give 0.14 / 4.8315 × 640 = 18.54 px.
        ({"door_width_m": 0.9, "door_distance_m": 3}, 640, 18),
        ({"door_width_m": 0.9, "door_distance_m": 3}, 1920, 55),
        # P-Net's cell holds where the door asks for less (0.14 / 14.0 × 640 = 6.4 px).
        ({"door_width_m": 1, "door_distance_m": 9.5}, 640, 12),
        # A region is a part of the picture: 320 px that are half of it are as 640 px.
        ({"door_width_m": 0.9, "door_distance_m": 3, "region": (0.25, 0, 0.75, 1)}, 320, 18),
        ({"door_width_m": 0.9, "door_distance_m": 3, "region": (0, 0.25, 1, 0.75)}, 640, 18),
        # What is given holds.
        ({"min_face_px": 60}, 640, 60),
        ({"min_face_px": 60, "door_width_m": 0.9, "door_distance_m": 3}, 1920, 60),
    ],
)
def test_the_smallest_face_comes_from_the_door(given, width_px, smallest_px):
    assert DetectorConfig(**given).smallest_face_px(width_px) == smallest_px


def test_no_face_in_the_doorway_is_smaller_wherever_the_camera_hangs():
    """Seen from the side or from the front, to the nearer post or to the farther."""
    door = Door(width_m=1.2, distance_m=2.5)
    for degrees in range(0, 181, 5):
        lens = (
            door.distance_m * math.cos(math.radians(degrees)),
            door.distance_m * math.sin(math.radians(degrees)),
        )
        for side in (-0.6, 0.6):
            assert math.dist(lens, (side, 0)) <= door.farthest_m + 1e-9
    assert door.farthest_m == pytest.approx(3.1)


def test_pictures_that_are_not_the_cameras_have_neither_door_nor_region():
    detector = DetectorConfig(
        door_width_m=0.9, door_distance_m=3, region=(0, 0, 0.5, 1), weights="stock", onet_threshold=0.8
    )
    config = Config(device="cpu", detector=detector)
    assert config.for_any_picture() == Config(
        device="cpu", detector=DetectorConfig(weights="stock", onet_threshold=0.8)
    )
    assert config.for_any_picture().detector.smallest_face_px(640) == 32
    given = Config(detector=DetectorConfig(min_face_px=50))
    assert given.for_any_picture().detector.smallest_face_px(640) == 50


# Several cameras

TWO = """
camera: {width: 800}
detector: {detect_every: 5}
cameras:
  - name: front
    source: 0
    region: [0.1, 0, 0.9, 1]
  - name: back
    source: rtsp://10.0.0.5/live
    door_width_m: 1.2
    door_distance_m: 3
    fps: 15
"""


def test_each_of_several_cameras_has_its_own_and_the_common_settings(settings):
    front, back = settings(TWO).config.watched
    assert (front.camera.name, front.camera.source, front.camera.width) == ("front", "0", 800)
    assert front.detector.region == (0.1, 0, 0.9, 1)
    assert (back.camera.fps, back.detector.door, back.detector.region) == (15, Door(1.2, 3), None)
    assert {one.detector.detect_every for one in (front, back)} == {5}
    assert front.watched == (front,)


def test_without_a_list_the_one_camera_is_watched(settings):
    config = settings("camera: {name: gate}").config
    assert config.watched == (config,)
    assert settings("cameras:").config.watched[0].camera.name == "entrance"


def test_several_cameras_are_written_and_read_back(settings):
    loaded = settings(TWO)
    text = to_yaml(loaded.config, loaded.origins)
    assert "    name: front  # config.yaml:5\n" in text
    assert settings(text).config == loaded.config


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cameras: {name: a}", "cameras: expected a list, got a mapping (config.yaml:1)"),
        ("cameras: [a]", "cameras.0: expected keys with values, got 'a' (config.yaml:1)"),
        ("cameras:\n- {name: a}", "cameras.0: expected a source of its own (config.yaml:2)"),
        (
            "cameras:\n- {name: a, source: 0}\n- {name: a, source: 1}",
            "cameras.1.name: expected another name for each camera (config.yaml:3)",
        ),
        (
            "cameras:\n- {name: a, source: 0}\n- {name: b, source: 0}",
            "cameras.1.source: expected another source for each camera (config.yaml:3)",
        ),
        (
            "cameras:\n- name: a\n  source: 0\n  fps: 1000",
            "cameras.0.fps: expected 1 to 240, got 1000 (config.yaml:4)",
        ),
        (
            "cameras:\n- {name: a, source: 0, regoin: 1}",
            "cameras.0.regoin: unknown key, did you mean region? (config.yaml:2)",
        ),
        (
            "cameras:\n- {name: a, source: 0, region: [0, 0, 2, 1]}",
            "cameras.0.region: expected a list of 4 numbers 0 to 1 or null, got [0, 0, 2, 1] (config.yaml:2)",
        ),
        (
            "cameras:\n- {name: a, source: 0, door_width_m: 1}",
            "cameras.0.door_width_m: needs door_distance_m as well, give both or neither (config.yaml:2)",
        ),
    ],
)
def test_a_mistake_in_one_of_several_cameras_names_it(settings, text, problem):
    with pytest.raises(ConfigError) as error:
        settings(text)
    assert str(error.value) == problem
