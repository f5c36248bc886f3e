"""`gatecam config`: what is shown and checked."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from gatecam.cli.main import app
from gatecam.errors import ConfigError
from gatecam.settings.schema import Config


@pytest.fixture
def gatecam(tmp_path, monkeypatch):
    """Runs a command in an empty folder without `GATECAM_` variables; errors come as they are raised."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GATECAM_")]:
        monkeypatch.delenv(name)

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_show_without_a_file_prints_the_defaults(gatecam):
    assert yaml.safe_load(gatecam("config", "show")) == Config().model_dump(mode="json")


def test_show_prints_what_holds_and_where_it_comes_from(gatecam, monkeypatch):
    Path("mine.yaml").write_text("camera: {fps: 15}", encoding="utf-8")
    monkeypatch.setenv("GATECAM_DEVICE", "cpu")
    text = gatecam("config", "show", "--config", "mine.yaml")
    assert "fps: 15.0  # mine.yaml:1" in text
    assert "device: cpu  # environment GATECAM_DEVICE" in text


def test_check_says_that_a_file_is_ok(gatecam):
    assert gatecam("config", "check") == "no config.yaml here, the defaults hold: ok\n"
    Path("config.yaml").write_text("device: cpu", encoding="utf-8")
    assert gatecam("config", "check") == "config.yaml: ok\n"
    assert gatecam("config", "check", "config.yaml") == "config.yaml: ok\n"


def test_check_tells_what_others_could_read_on_the_network(gatecam, caplog):
    Path("config.yaml").write_text("web: {host: 0.0.0.0}", encoding="utf-8")
    assert gatecam("config", "check") == "config.yaml: ok\n"
    assert "without TLS" in caplog.text


def test_show_hides_the_path_of_a_webhook_where_chat_services_put_their_secret(gatecam):
    url = "https://me:pw@hooks.example/T0/services/s3cret?x=1"
    Path("config.yaml").write_text(f"webhook: {{url: '{url}'}}", encoding="utf-8")
    assert "url: https://hooks.example/***  # config.yaml:1" in gatecam("config", "show")
    assert url in gatecam("config", "show", "--passwords")


def test_check_raises_the_problems_of_a_file(gatecam):
    Path("bad.yaml").write_text("device: gpu", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"expected auto, .*, got 'gpu' \(bad.yaml:1\)"):
        gatecam("config", "check", "bad.yaml")


def test_schema_prints_json(gatecam):
    assert "detector" in json.loads(gatecam("config", "schema"))["properties"]


DOOR = "detector: {door_width_m: 0.9, door_distance_m: 3"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["# Here 32 px, the default without a door."]),
        ("detector: {min_face_px: 40}", ["# Here 40 px, as given.", "min_face_px: 40  # config.yaml:1"]),
        (
            DOOR + "}",
            [
                "Here 18 px in pictures 640 px wide, from the door.",
                "3 + 0.9 / 2 = 3.45 m away.",
                "2 × 3.45 m × tan(70° / 2) = 4.83 m there.",
                "0.14 m / 4.83 m × 640 px = 18.55 px.",
            ],
        ),
    ],
)
def test_show_says_how_the_smallest_face_came_about(gatecam, text, said):
    Path("config.yaml").write_text(text, encoding="utf-8")
    shown = gatecam("config", "show")
    comment = shown[: shown.index("min_face_px: ") + 40].replace("\n  # ", " ")
    for part in said:
        assert part in comment.replace(" Here", " # Here")
    assert yaml.safe_load(shown)["detector"]["view_deg"] == 70


def explained(gatecam, text: str) -> str:
    Path("config.yaml").write_text(text, encoding="utf-8")
    return gatecam("config", "explain")


def rows(text: str) -> list[list[str]]:
    """The cells of the table's body."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]


def test_explain_says_how_far_faces_are_found_without_a_door(gatecam):
    text = explained(gatecam, "")
    assert text.startswith("Smallest face: 32 px, the default; set detector.door_width_m and detector.door_d")
    # 70° see 1.4004 × distance: 0.14 m is 32 of 640 px where these show 2.8 m, at 2.00 m.
    assert rows(text) == [
        ["camera.width 640 px", "32 px", "2.00 m"],
        ["1280 px", "32 px", "4.00 m"],
        ["1920 px", "32 px", "6.00 m"],
    ]
    assert "Region: none, the whole picture is searched.\n" in text
    assert (
        "Searches: the whole picture in every 10th frame at least (detect_every), and at once where" in text
    )
    assert text.endswith(
        "A new face that moves nothing is found after at most 10 frames, 0.33 s at 30 frames/s (camera.fps)"
        ".\n"
    )
    assert "Careful" not in text


def test_explain_works_the_smallest_face_out_from_the_door(gatecam):
    text = explained(gatecam, DOOR + "}\ncamera: {width: 1440, fps: 25}")
    assert "Smallest face: 41 px in pictures 1440 px wide (camera.width), from the door:\n" in text
    assert "0.14 m / 4.83 m × 1440 px = 41.73 px.\n" in text
    assert [row[:2] for row in rows(text)] == [
        ["640 px", "18 px"],
        ["1280 px", "37 px"],
        ["camera.width 1440 px", "41 px"],
        ["1920 px", "55 px"],
    ]
    assert all(3.45 <= float(found.removesuffix(" m")) < 3.6 for _, _, found in rows(text))
    assert "At the door, 3 m away, the picture shows 4.20 m; the doorway is 0.9 m wide.\n" in text
    assert "0.40 s at 25 frames/s" in text
    assert "Careful" not in text


def test_explain_says_what_the_region_leaves(gatecam):
    text = explained(gatecam, DOOR + ", region: [0.1, 0, 0.6, 0.8], detect_every: 1}\ncamera: {width: 1280}")
    assert "Region: 640 × 384 px of 1280 × 480 px are searched, 40% of the picture; faces outside are" in text
    assert "At the door it leaves 2.10 m of the 4.20 m.\n" in text
    assert rows(text)[1][:2] == ["camera.width 1280 px", "37 px"]
    assert "Searches: the whole region in every frame (detect_every 1).\n" in text
    assert "Careful" not in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            DOOR + "}",
            "Careful: 18 px are few for a reliable verdict; the classifier is evaluated on 32 px and more. "
            "The farthest face has 32 px with pictures 1105 px wide, or with the camera 1.5 m from the door, "
            "or with a lens of 44°.\n",
        ),
        # 7 m of doorway do not fit into less distance or a narrower view: only more pixels help.
        (
            "detector: {door_width_m: 7, door_distance_m: 5}",
            "The farthest face has 32 px with pictures 2721 px wide.",
        ),
        (
            "detector: {door_width_m: 0.9, door_distance_m: 9}",
            "Careful: the farthest face in the doorway is 6 px wide, and none under 12 px can be found.",
        ),
        (
            DOOR + ", min_face_px: 30}",
            "Careful: the farthest face in the doorway is 18 px wide, so it is not found; remove "
            "min_face_px to find it.",
        ),
        (
            "detector: {door_width_m: 2, door_distance_m: 1}",
            "Careful: people at the sides of the doorway are not seen. The picture shows all of it with the "
            "camera 1.5 m from the door, or with a lens of 90°.",
        ),
        (
            "detector: {door_width_m: 2, door_distance_m: 2, region: [0, 0, 0.5, 1]}",
            "Careful: people at the sides of the doorway are not found; widen the region.",
        ),
        (
            "detector: {min_face_px: 300, region: [0, 0, 1, 0.5]}",
            "Careful: such a face does not fit into the 640 × 240 px that are searched, so nothing is found",
        ),
    ],
)
def test_explain_says_what_is_amiss_and_what_to_do(gatecam, text, said):
    assert said in explained(gatecam, text)


@pytest.mark.parametrize(
    ("every", "word"), [(2, "2nd"), (3, "3rd"), (11, "11th"), (21, "21st"), (112, "112th")]
)
def test_explain_counts_frames_as_people_do(gatecam, every, word):
    assert f"in every {word} frame" in explained(gatecam, f"detector: {{detect_every: {every}}}")


def test_explain_tells_of_each_camera_what_holds_for_it(gatecam):
    assert "Ignored places: none (ignore).\n" in explained(gatecam, "")
    text = explained(
        gatecam,
        """
cameras:
  - {name: front, source: 0, ignore: [[0, 0.5, 0.25, 1]]}
  - {name: back, source: 1, width: 1280, region: [0, 0, 0.5, 1], min_face_px: 50}
""",
    )
    _, front, back = text.split("Camera ")
    assert front.startswith("front\nSmallest face: 32 px, the default;")
    assert "Region: none" in front
    assert "Ignored places: a face is ignored if its middle lies in one of these (ignore):\n" in front
    assert "  x from 0 to 160 px, y from 240 to 480 px\n" in front
    assert back.startswith("back\nSmallest face: 50 px, as given (config.yaml:4).\n")
    assert "Region: 640 × 480 px of 1280 × 480 px are searched" in back
    assert "Ignored places: none (ignore).\n" in back


@pytest.mark.parametrize("kind", ["device: gpu", "detector: {door_width_m: 1}"])
def test_explain_raises_the_problems_of_a_file(gatecam, kind):
    Path("config.yaml").write_text(kind, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config.yaml:1"):
        gatecam("config", "explain")


def test_config_alone_lists_its_words(gatecam):
    result = CliRunner().invoke(app, ["config"])
    assert result.exit_code == 2
    for word in ("show", "explain", "check", "schema"):
        assert word in result.output


def test_passwords_in_addresses_are_shown_only_when_asked_for(gatecam, tmp_path):
    (tmp_path / "config.yaml").write_text(
        "cameras: [{name: a, source: 'rtsp://admin:hush@10.0.0.5/live'}]\n"
        "store: {url: 'postgresql://gatecam:hush@db/x'}\nwebhook: {url: 'https://example.org/hook?token=hush'}"
    )
    shown = gatecam("config", "show")
    assert "hush" not in shown
    assert yaml.safe_load(shown)["cameras"][0]["source"] == "rtsp://***@10.0.0.5/live"
    assert gatecam("config", "show", "--passwords").count("hush") == 3


def test_check_refuses_settings_with_a_missing_file(tmp_path, gatecam):
    path = tmp_path / "config.yaml"
    path.write_text("web: {certificate: /nowhere/tls.pem, key: /nowhere/tls.key}\n")
    with pytest.raises(ConfigError, match=r"web\.certificate: /nowhere/tls\.pem cannot be read") as caught:
        gatecam("config", "check", str(path))
    assert "\nweb.key: /nowhere/tls.key cannot be read" in str(caught.value)
