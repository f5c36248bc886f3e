"""`gatecam kiosk`: the service's files, what is kept, and one sentence where something lacks."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from gatecam.cli import installing
from gatecam.cli.kiosk_unit import page_unit, quoted, service_unit
from gatecam.config import Config
from gatecam.errors import ServiceError

UNIT = Path("etc/systemd/system/gatecam.service")
LINK = Path("etc/systemd/system/multi-user.target.wants/gatecam.service")
SETTINGS = Path("etc/gatecam/config.yaml")
EXPOSURE_LIMIT = 30  # tenths: the score 3.0


@pytest.fixture
def root(tmp_path) -> Path:
    """Another system's files."""
    folder = tmp_path / "image"
    folder.mkdir()
    return folder


def section(text: str, name: str) -> dict[str, list[str]]:
    """The settings of a section of a unit; a name may be there more than once."""
    found: dict[str, list[str]] = {}
    lines = iter(text.splitlines())
    next(line for line in lines if line == f"[{name}]")
    for line in lines:
        if line.startswith("["):
            break
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_install_writes_a_unit_that_is_enabled_and_uninstall_keeps_the_settings(gatecam, root):
    said = gatecam("kiosk", "install", "--root", root)
    assert (said.code, said.err) == (0, "")
    service = section((root / UNIT).read_text(), "Service")
    assert service["Type"] == ["notify"]
    assert service["WatchdogSec"] == ["30"]
    assert service["User"] == ["gatecam"]
    assert service["ExecStart"][0].endswith("-m gatecam run --headless --config /etc/gatecam/config.yaml")
    assert (root / LINK).resolve() == (root / UNIT).resolve()
    assert yaml.safe_load((root / SETTINGS).read_text()) == Config().model_dump(mode="json")
    assert (root / SETTINGS).stat().st_mode & 0o777 == 0o640
    said = gatecam("kiosk", "uninstall", "--root", root)
    assert "Removed: gatecam.service." in said.out
    assert "Kept: the settings in /etc/gatecam" in said.out
    left = [path.relative_to(root) for path in root.rglob("*") if not path.is_dir()]
    assert left == [SETTINGS]
    assert "There was no service to remove." in gatecam("kiosk", "uninstall", "--root", root).out


def test_settings_are_copied_once_and_never_over_others(gatecam, root, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("camera: {name: door}\n")
    gatecam("kiosk", "install", "--root", root, "--config", mine)
    assert (root / SETTINGS).read_text() == mine.read_text()
    mine.write_text("camera: {name: gate}\n")
    said = gatecam("kiosk", "install", "--root", root, "--config", mine)
    assert "was not copied" in said.out
    assert "door" in (root / SETTINGS).read_text()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("camera: {nmae: door}\n", "camera.nmae"),
        (
            "notify: {log: /srv/events.jsonl}\n",
            "the service can write in /var/lib/gatecam and /var/log/gatecam",
        ),
    ],
)
def test_settings_that_would_not_run_are_refused_before_anything_is_written(
    gatecam, root, tmp_path, text, sentence
):
    (tmp_path / "mine.yaml").write_text(text)
    said = gatecam("kiosk", "install", "--root", root, "--config", "mine.yaml")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert sentence in said.err
    assert list(root.iterdir()) == []


def test_a_dry_run_prints_all_files_and_writes_none(gatecam, root):
    said = gatecam("kiosk", "install", "--root", root, "--dry-run", "--page", "http://127.0.0.1:8000/")
    assert said.code == 0
    for name in ("gatecam.service", "gatecam-page.service", "config.yaml"):
        assert f"{name}\n" in said.out
    assert list(root.iterdir()) == []


def test_a_page_is_a_second_service_of_another_user(gatecam, root):
    gatecam("kiosk", "install", "--root", root, "--page", "https://door.example:8443/kiosk?lang=ko")
    page = section((root / UNIT.with_name("gatecam-page.service")).read_text(), "Service")
    assert page["ExecStart"][0].endswith('"https://door.example:8443/kiosk?lang=ko"')
    assert page["User"] == ["gatecam-page"]
    gatecam("kiosk", "uninstall", "--root", root)
    assert not list((root / UNIT.parent).glob("gatecam*"))


@pytest.mark.parametrize(
    "url", ["ftp://door/", "http://door/ --no-sandbox", "door", "http://a/\nExecStart=x"]
)
def test_what_is_no_web_address_never_reaches_a_unit(url):
    with pytest.raises(ServiceError, match="expected a web address"):
        page_unit(url)


def test_words_of_a_command_stay_words():
    assert (
        quoted(["/opt/my venv/python", "100%", "$HOME", 'a"b'])
        == '"/opt/my venv/python" 100%% $$HOME "a\\"b"'
    )


def test_a_system_without_systemd_and_a_root_that_is_none_are_one_sentence(gatecam, monkeypatch, tmp_path):
    monkeypatch.setattr(installing, "BOOTED", tmp_path / "missing")
    for words in (["install"], ["uninstall"], ["status"]):
        said = gatecam("kiosk", *words)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
        assert "systemd does not run this machine" in said.err
    said = gatecam("kiosk", "install", "--root", tmp_path / "nowhere")
    assert (said.code, "is no folder" in said.err) == (2, True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("protect_home", ["yes", "read-only"])
def test_systemd_finds_the_unit_right_and_hardened(tmp_path, protect_home):
    unit = tmp_path / "gatecam.service"
    unit.write_text(service_unit(["/usr/bin/env", "gatecam"], protect_home))
    environment = {**os.environ, "SYSTEMD_PAGER": ""}
    for words in (["verify", unit], ["security", "--offline=true", f"--threshold={EXPOSURE_LIMIT}", unit]):
        done = subprocess.run(
            ["systemd-analyze", *words], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_container_runs_without_root_and_checks_its_health():
    lines = (Path(__file__).parents[2] / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    words = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    last = dict(words)
    assert last["USER"] not in ("root", "0", "0:0")
    assert "status" in last["HEALTHCHECK"]
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert last["ENTRYPOINT"].startswith("[")
    assert any(name == "ARG" and rest.startswith("TORCH") for name, rest in words)
    sources = [rest for name, rest in words if name in ("COPY", "ADD")]
    assert not any("shared" in source for source in sources)


def test_unit_files_are_well_formed():
    for text in (service_unit(["/usr/bin/env"], "yes"), page_unit("http://127.0.0.1/")):
        configparser.ConfigParser(strict=False, interpolation=None).read_string(text)
