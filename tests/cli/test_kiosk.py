"""`gatecam kiosk`: the files it writes, what it refuses, and what systemd thinks of them."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pytest

from gatecam.errors import ServiceError
from gatecam.kiosk import install as installing
from gatecam.kiosk.unit import page_unit, quoted, service_unit
from gatecam.settings.loading import load
from gatecam.settings.schema import Config

UNITS = "etc/systemd/system"
UNIT = f"{UNITS}/gatecam.service"
SETTINGS = "etc/gatecam/config.yaml"
OPT = "opt/gatecam/bin"
PAGE = "http://127.0.0.1:8000/?door=1%20a&lang=$ko"
CHROMIUM = Path("/usr/lib/chromium/chromium")
NEEDS_ANALYZE = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here"
)


@pytest.fixture
def root(tmp_path) -> Path:
    """The files of another system."""
    root = tmp_path / "image"
    (root / OPT).mkdir(parents=True)
    (root / OPT / "gatecam").touch()
    (root / OPT / "python").symlink_to("/usr/bin/python3.of-the-image")
    return root


def files_of(folder: Path) -> set[str]:
    """The files below a folder but for the installed gatecam."""
    paths = (path for path in folder.rglob("*") if not path.is_dir() and path.parent != folder / OPT)
    return {str(path.relative_to(folder)) for path in paths}


def value(unit: str, name: str) -> str:
    """The only value of a name in a unit."""
    (line,) = [line for line in unit.splitlines() if line.startswith(f"{name}=")]
    return line.partition("=")[2]


# Into an image ------------------------------------------------------------------------------------


def test_an_image_gets_the_unit_its_user_and_settings(gatecam, root):
    ended = gatecam("kiosk", "install", "--root", root)
    assert (ended.code, ended.err) == (0, "")
    wanted = f"{UNITS}/multi-user.target.wants/gatecam.service"
    written = {UNIT, "etc/sysusers.d/gatecam.conf", "etc/tmpfiles.d/gatecam.conf", SETTINGS}
    assert files_of(root) == {*written, wanted}
    assert set(ended.out.splitlines()) == {
        *(f"written: {root / path}" for path in written),
        "Starts when that system boots: gatecam.service.",
    }
    assert (root / wanted).resolve() == root / UNIT
    assert load(root / SETTINGS, env={}).config == Config()
    assert (root / SETTINGS).stat().st_mode & 0o777 == 0o640
    assert "d /etc/gatecam 0770 root gatecam\n" in (root / "etc/tmpfiles.d/gatecam.conf").read_text()
    assert (root / UNIT).stat().st_mode & 0o777 == 0o644


def test_the_unit_is_supervised_backs_off_by_itself_and_is_not_root(gatecam, root):
    gatecam("kiosk", "install", "--root", root)
    unit = (root / UNIT).read_text()
    for name, wanted in {
        "Type": "notify",
        "WatchdogSec": "30",
        "Restart": "always",
        "SuccessExitStatus": "143",
        "StartLimitIntervalSec": "0",
        "User": "gatecam",
        "ProtectSystem": "strict",
        "ReadWritePaths": "/etc/gatecam",
        "ConfigurationDirectoryMode": "0770",
        "PrivateTmp": "yes",
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "RuntimeDirectory": "gatecam",
        "StateDirectory": "gatecam",
        "ExecReload": "/bin/kill -HUP $MAINPID",
        "MemoryHigh": "3G",
        "MemoryMax": "4G",
    }.items():
        assert value(unit, name) == wanted


def test_the_units_command_starts_this_gatecam(gatecam, machine, monkeypatch, root, tmp_path):
    monkeypatch.undo()
    monkeypatch.setattr(installing, "SYSTEM", root)
    for name in ("_require_systemd", "_require_reachable", "_start"):
        monkeypatch.setattr(installing, name, lambda *given: None)
    gatecam("kiosk", "install")
    words = shlex.split(value((root / UNIT).read_text(), "ExecStart"))
    assert words[0] == sys.executable
    assert words[4:] == ["run", "--headless", "--config", "/etc/gatecam/config.yaml"]
    env = {**os.environ, "PYTHONPATH": str(Path(installing.__file__).parents[2])}
    helped = subprocess.run(
        [*words, "--help"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
    )
    assert helped.returncode == 0
    assert "--headless" in helped.stdout


@pytest.mark.parametrize(
    ("python", "seen"),
    [
        ("opt/gatecam/bin/python", "/opt/gatecam/bin/python"),
        ("opt/door/bin/python3", "/opt/door/bin/python3"),
        ("usr/local/bin/python3", "/usr/local/bin/python3"),
        ("usr/bin/python3", "/usr/bin/python3"),
    ],
)
def test_an_images_units_start_the_images_own_gatecam(gatecam, root, python, seen):
    shutil.rmtree(root / "opt")
    (root / python).parent.mkdir(parents=True)
    (root / python).symlink_to("/only/in/the/image")
    (root / python).with_name("gatecam").touch()
    (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    (root / "usr/local/bin/door").symlink_to("/opt/gatecam/bin/gatecam")
    assert gatecam("kiosk", "install", "--root", root, "--page", PAGE).code == 0
    for unit in ("gatecam.service", "gatecam-page.service"):
        text = (root / UNITS / unit).read_text()
        assert shlex.split(value(text, "ExecStart"))[0] == seen
        assert sys.prefix not in text


def test_a_gatecam_that_runs_in_the_image_is_named_by_its_path_there(gatecam, root, monkeypatch):
    monkeypatch.setattr(installing.sys, "executable", str(root / "srv/venv/bin/python"))
    gatecam("kiosk", "install", "--root", root)
    assert shlex.split(value((root / UNIT).read_text(), "ExecStart"))[0] == "/srv/venv/bin/python"


def test_an_image_without_gatecam_is_refused(gatecam, root):
    shutil.rmtree(root / "opt")
    ended = gatecam("kiosk", "install", "--root", root)
    assert (ended.code, files_of(root)) == (2, set())
    assert "contains no gatecam that the service could start: install it there first" in ended.err


@pytest.mark.parametrize(
    "page", ["http://127.0.0.1:8790/login#token=abc", "http://a/login?next=/door#token=abc"]
)
def test_no_token_of_this_machine_gets_into_an_image(gatecam, root, page):
    ended = gatecam("kiosk", "install", "--root", root, "--page", page)
    assert (ended.code, files_of(root)) == (2, set())
    assert "--page: contains a token of this machine" in ended.err
    assert "abc" not in ended.err


def test_given_settings_become_the_services_and_are_never_overwritten(gatecam, root, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("detector:\n  min_face_px: 61  # as measured\n")
    assert gatecam("kiosk", "install", "--root", root, "--config", mine).code == 0
    assert (root / SETTINGS).read_text() == mine.read_text()
    other = tmp_path / "other.yaml"
    other.write_text("detector:\n  min_face_px: 62\n")
    ended = gatecam("kiosk", "install", "--root", root, "--config", other)
    assert ended.code == 0
    assert f"kept: {root / SETTINGS}; {other} was not copied\n" in ended.out
    assert (root / SETTINGS).read_text() == mine.read_text()


def test_wrong_settings_are_refused_before_anything_is_written(gatecam, root, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("detector:\n  min_face_px: 5\n")
    ended = gatecam("kiosk", "install", "--root", root, "--config", wrong)
    assert ended.code == 2
    assert "min_face_px: expected 12 to" in ended.err
    assert "wrong.yaml:2" in ended.err
    assert files_of(root) == set()


def test_settings_that_are_there_are_checked_too(gatecam, root):
    (root / SETTINGS).parent.mkdir(parents=True)
    (root / SETTINGS).write_text("camara: 0\n")
    ended = gatecam("kiosk", "install", "--root", root)
    assert ended.code == 2
    assert "camara" in ended.err
    assert files_of(root) == {SETTINGS}


def test_a_log_elsewhere_in_settings_that_are_there_is_left_to_whom_allowed_it(gatecam, root):
    (root / SETTINGS).parent.mkdir(parents=True)
    (root / SETTINGS).write_text("notify:\n  log: /srv/gatecam/events.jsonl\n")
    assert gatecam("kiosk", "install", "--root", root).code == 0


def install_with(gatecam, root, settings, text):
    """The end of an installation with settings of this text."""
    settings.write_text(text)
    return gatecam("kiosk", "install", "--root", root, "--config", settings)


@pytest.mark.parametrize(
    ("log", "code"),
    [
        ("events.jsonl", 0),
        ("/var/lib/gatecam/events.jsonl", 0),
        ("/var/log/gatecam/events.jsonl", 0),
        ("/var/log/gatecam/../events.jsonl", 2),
        ("/home/me/events.jsonl", 2),
    ],
)
def test_a_log_where_the_service_cannot_write_is_refused(gatecam, root, tmp_path, log, code):
    ended = install_with(gatecam, root, tmp_path / "mine.yaml", f"notify:\n  log: {log}\n")
    assert ended.code == code
    assert ("can write only in /var/lib/gatecam and /var/log/gatecam" in ended.err) is (code == 2)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/etc/gatecam/hook", 0),
        ("/var/lib/gatecam/hook", 0),
        ("hook", 2),
        ("/home/me/hook", 2),
        ("/tmp/../tmp/hook", 2),
    ],
)
def test_a_secret_that_the_service_could_not_read_is_refused(gatecam, root, tmp_path, path, code):
    text = f"webhook:\n  url: https://example.org/\n  secret_file: {path}\n"
    ended = install_with(gatecam, root, tmp_path / "mine.yaml", text)
    assert ended.code == code
    said = f"webhook.secret_file: the service could not read {path}: put the file into /etc/gatecam"
    assert (said in ended.err) is (code == 2)


def test_the_users_are_made_at_the_images_next_boot(gatecam, root):
    flag = root / "etc/.updated"
    flag.parent.mkdir()
    flag.touch()
    gatecam("kiosk", "install", "--root", root)
    assert not flag.exists()


@pytest.mark.skipif(not CHROMIUM.is_file(), reason="Debian's Chromium is not here")
def test_chromium_knows_every_option_that_it_is_given():
    words = shlex.split(value(page_unit(PAGE, "/usr/bin/python3", "yes"), "ExecStart"))
    options = [word for word in words if word.startswith("--") and word != "--"]
    assert len(options) > 5
    with CHROMIUM.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as program:
        unknown = [one for one in options if program.find(one[2:].partition("=")[0].encode()) < 0]
    assert unknown == []


def test_a_page_is_a_second_unit_of_a_user_of_its_own(gatecam, root):
    ended = gatecam("kiosk", "install", "--root", root, "--page", PAGE)
    assert ended.out.endswith("Starts when that system boots: gatecam.service, gatecam-page.service.\n")
    unit = (root / UNITS / "gatecam-page.service").read_text()
    mode = stat.S_IMODE((root / UNITS / "gatecam-page.service").stat().st_mode)
    assert mode == 0o600, "its address may hold a token"
    # % and $ are systemd's own.
    assert value(unit, "ExecStart").endswith('"http://127.0.0.1:8000/?door=1%%20a&lang=$$ko"')
    assert value(unit, "User") == "gatecam-page"
    assert "u gatecam-page " in (root / "etc/sysusers.d/gatecam-page.conf").read_text()
    assert (root / UNITS / "multi-user.target.wants/gatecam-page.service").exists()


@pytest.mark.parametrize(
    "url",
    ["", "gate", "file:///etc/passwd", "http://", "--no-sandbox", "http://a/\nUser=root", "http://a/ b"],
)
def test_a_page_that_is_no_address_is_refused(gatecam, root, url):
    ended = gatecam("kiosk", "install", "--root", root, f"--page={url}")
    assert ended.code == 2
    assert ended.err.endswith("expected a web address such as http://127.0.0.1:8000/.\n")
    assert ended.err.count("\n") == 1
    assert files_of(root) == set()


def test_a_dry_run_prints_all_files_and_writes_none(gatecam, root):
    ended = gatecam("kiosk", "install", "--root", root, "--page", PAGE, "--dry-run")
    assert ended.code == 0
    assert files_of(root) == set()
    gatecam("kiosk", "install", "--root", root, "--page", PAGE)
    for path in files_of(root):
        if "wants" not in path:
            assert f"# {root / path}\n{(root / path).read_text()}" in ended.out


def test_a_root_that_is_not_there_is_refused(gatecam, tmp_path):
    for command in ("install", "uninstall"):
        ended = gatecam("kiosk", command, "--root", tmp_path / "missing")
        assert ended.code == 2
        assert "missing: is no folder" in ended.err


def test_what_is_removed_and_what_stays_is_told(gatecam, root):
    gatecam("kiosk", "install", "--root", root, "--page", PAGE)
    ended = gatecam("kiosk", "uninstall", "--root", root)
    assert (ended.code, files_of(root)) == (0, {SETTINGS})
    assert ended.out == (
        "Removed: gatecam.service, gatecam-page.service.\n"
        "Kept: the settings in /etc/gatecam, the data in /var/lib/gatecam and /var/log/gatecam, the users.\n"
    )
    again = gatecam("kiosk", "uninstall", "--root", root)
    assert (again.code, again.out.splitlines()[0]) == (0, "There was no service to remove.")


# On this system -----------------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch, root, tmp_path):
    """A machine run by systemd, with root's rights; gives the calls it gets, and what it answers them."""

    class Machine:
        def __init__(self):
            self.calls: list[str] = []
            self.answers: dict[str, tuple[int, str]] = {}

        def run(self, words, **more):
            line = " ".join(map(str, words))
            self.calls.append(line)
            code, said = next((a for begin, a in self.answers.items() if line.startswith(begin)), (0, ""))
            return subprocess.CompletedProcess(words, code, said, said)

    machine = Machine()
    monkeypatch.setattr(installing, "SYSTEM", root)
    monkeypatch.setattr(installing, "BOOTED", tmp_path)
    monkeypatch.setattr(installing.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(installing.os, "geteuid", lambda: 0)
    monkeypatch.setattr(installing.subprocess, "run", machine.run)
    package = Path("/opt/gatecam/lib/gatecam")
    monkeypatch.setattr(installing.gatecam, "__file__", str(package / "__init__.py"))
    monkeypatch.setattr(installing.sys, "executable", "/opt/gatecam/bin/python")
    machine.answers["/opt/gatecam/bin/python -P -c"] = (0, f"{package}\n")
    return machine


def test_here_the_user_is_made_and_the_service_started(gatecam, machine, root):
    ended = gatecam("kiosk", "install")
    assert (ended.code, ended.err) == (0, "")
    assert machine.calls[1:] == [
        "systemd-sysusers",
        "systemd-tmpfiles --create /etc/tmpfiles.d/gatecam.conf",
        "systemctl daemon-reload",
        "systemctl restart --no-block gatecam.service",
    ]
    assert ended.out.endswith("Started: gatecam.service. `gatecam kiosk status` shows the state.\n")
    assert UNIT in files_of(root)


def test_here_it_is_stopped_before_its_files_go(gatecam, machine, root):
    gatecam("kiosk", "install")
    machine.calls.clear()
    assert gatecam("kiosk", "uninstall").code == 0
    assert machine.calls == ["systemctl stop gatecam.service", "systemctl daemon-reload"]
    assert files_of(root) == {SETTINGS}


def test_a_step_that_fails_is_told_with_its_words(gatecam, machine):
    machine.answers["systemd-sysusers"] = (1, "Failed to open\n/etc/passwd\n")
    ended = gatecam("kiosk", "install")
    said = "gatecam: `systemd-sysusers` failed (Failed to open /etc/passwd), see `journalctl -b`.\n"
    assert (ended.code, ended.err) == (2, said)


def test_without_systemd_the_container_is_named(gatecam, machine, monkeypatch, tmp_path):
    monkeypatch.setattr(installing, "BOOTED", tmp_path / "missing")
    for command in ("install", "uninstall", "status"):
        ended = gatecam("kiosk", command)
        assert ended.code == 2
        assert "This machine does not run systemd" in ended.err


def test_without_roots_rights_sudo_is_named_and_nothing_is_looked_at(gatecam, machine, monkeypatch, root):
    monkeypatch.setattr(installing.os, "geteuid", lambda: 1000)
    for command in ("install", "uninstall"):
        ended = gatecam("kiosk", command)
        assert (ended.code, machine.calls) == (2, [])
        assert "use sudo, or --root DIR" in ended.err


@pytest.mark.parametrize("answer", [(1, ""), (0, "/usr/lib/python3/dist-packages/gatecam\n")])
def test_a_gatecam_that_other_users_cannot_run_is_refused(gatecam, machine, root, answer):
    machine.answers["/opt/gatecam/bin/python -P -c"] = answer
    ended = gatecam("kiosk", "install")
    assert ended.code == 2
    assert "not every user can run it with /opt/gatecam/bin/python" in ended.err
    assert files_of(root) == set()


def test_a_gatecam_in_tmp_is_refused(gatecam, machine, monkeypatch):
    monkeypatch.setattr(installing.sys, "executable", "/tmp/venv/bin/python")
    ended = gatecam("kiosk", "install")
    assert ended.code == 2
    assert "/tmp/venv/bin/python: the service cannot see this /tmp" in ended.err


@pytest.mark.parametrize(
    ("base", "home"), [("/home/me/python", "read-only"), ("/usr", "yes"), ("/homes", "yes")]
)
def test_home_is_hidden_unless_python_lies_there(gatecam, machine, monkeypatch, root, base, home):
    monkeypatch.setattr(installing.sys, "base_prefix", base)
    gatecam("kiosk", "install")
    assert value((root / UNIT).read_text(), "ProtectHome") == home


def test_the_pages_programs_are_asked_for(gatecam, machine, monkeypatch):
    monkeypatch.setattr(installing, "PAGE_NEEDS", {"cage": "cage", "no-such-program": "its-package"})
    ended = gatecam("kiosk", "install", "--page", PAGE)
    assert ended.code == 2
    assert "its-package`." in ended.err


RUNNING = """\
LoadState=loaded
ActiveState=active
SubState=running
StateChangeTimestamp=Mon 2026-11-23 14:05:09 UTC
NRestarts=3
StatusText=watches 2 cameras
Result=success
"""


def test_status_tells_the_state_since_when_restarts_and_last_words(gatecam, machine, monkeypatch):
    monkeypatch.setattr(installing.os, "geteuid", lambda: 1000)
    machine.answers = {
        f"systemctl show --property={'LoadState'}": (0, RUNNING),
        "journalctl --unit gatecam.service --lines 10": (0, "Nov 23 gate python[7]: watching camera gate\n"),
    }
    ended = gatecam("kiosk", "status")
    line = "active (running) since Mon 2026-11-23 14:05:09 UTC, 3 restarts"
    assert ended.code == 0
    assert ended.out == (
        f"gatecam.service: {line}\ngatecam-page.service: {line}\nStatus: watches 2 cameras\n"
        "Nov 23 gate python[7]: watching camera gate\n"
    )


def test_status_of_a_service_that_failed_exits_1(gatecam, machine):
    failed = RUNNING.replace("=active", "=activating").replace("=running", "=auto-restart")
    machine.answers["systemctl show"] = (0, failed.replace("success", "watchdog"))
    ended = gatecam("kiosk", "status")
    assert ended.code == 1
    assert "activating (auto-restart)" in ended.out
    assert "ended with watchdog, 3 restarts" in ended.out
    assert "No journal lines that you may read" in ended.out


def test_status_of_what_is_not_installed_names_the_command(gatecam, machine):
    machine.answers["systemctl show"] = (0, "LoadState=not-found\n")
    ended = gatecam("kiosk", "status")
    assert (ended.code, ended.out) == (2, "")
    assert "install it with `sudo gatecam kiosk install`" in ended.err


# The units ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/usr/bin/python3.11", "/usr/bin/python3.11"),
        ("a b", '"a b"'),
        ("50%", "50%%"),
        ("$HOME", "$$HOME"),
        ('"', '"\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("", '""'),
        (";", '";"'),
    ],
)
def test_words_are_written_as_systemd_reads_them(word, written):
    assert quoted([word]) == written


def test_a_page_that_is_no_address_raises():
    with pytest.raises(ServiceError, match="expected a web address"):
        page_unit("javascript:alert(1)", sys.executable, "yes")


@pytest.fixture
def units(tmp_path) -> Path:
    """Both units, with commands that every machine has."""
    folder = tmp_path / "units"
    folder.mkdir()
    command = [sys.executable, "-m", "gatecam"]
    (folder / "gatecam.service").write_text(service_unit(command, "yes"))
    page = page_unit(PAGE, sys.executable, "yes")
    (folder / "gatecam-page.service").write_text(page)
    return folder


@NEEDS_ANALYZE
@pytest.mark.parametrize("unit", ["gatecam.service", "gatecam-page.service"])
def test_the_exposure_is_3_or_less(units, unit):
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=30", "--no-pager", units / unit]
    analyzed = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert analyzed.returncode == 0, analyzed.stdout[-200:] + analyzed.stderr
    assert "Overall exposure level" in analyzed.stdout


@NEEDS_ANALYZE
@pytest.mark.parametrize("unit", ["gatecam.service", "gatecam-page.service"])
def test_systemd_understands_every_line(units, unit):
    words = ["systemd-analyze", "verify", "--man=no", units / unit]
    verified = subprocess.run(words, capture_output=True, text=True, timeout=60)
    complaints = [line for line in verified.stderr.splitlines() if unit in line]
    assert (verified.returncode, complaints) == (0, [])
