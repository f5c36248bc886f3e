"""Install the service on this system or in an image, remove it and print its state (`gatecam kiosk`)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

import gatecam
from gatecam.errors import ConfigError, ServiceError
from gatecam.kiosk.unit import (
    CONFIG,
    LOGS,
    PAGE,
    SERVICE,
    STATE,
    page_unit,
    quoted,
    service_unit,
    template,
)
from gatecam.settings.loading import load
from gatecam.settings.named_files import named_files
from gatecam.settings.schema import Config
from gatecam.settings.text import to_yaml

SYSTEM = Path("/")
UNITS = Path("etc/systemd/system")
WANTED = UNITS / "multi-user.target.wants"
SYSUSERS_FILES = {
    SERVICE: Path("etc/sysusers.d/gatecam.conf"),
    PAGE: Path("etc/sysusers.d/gatecam-page.conf"),
}
TMPFILES_FILE = Path("etc/tmpfiles.d/gatecam.conf")
PREFIXES = ("usr/local/bin", "usr/bin")  # places of gatecam in an image without a virtual environment
BOOTED = Path("/run/systemd/system")  # exists if the machine was booted by systemd (sd_booted(3))
PAGE_NEEDS = {"cage": "cage", "chromium": "chromium", "Xwayland": "xwayland"}  # program: its package
# The unit's PrivateTmp= and ProtectHome= hide these folders, but the second not if gatecam is installed there
HIDDEN_TMP, HIDDEN_HOMES = ("/tmp", "/var/tmp"), ("/home", "/root", "/run/user")
WORDS = 10  # number of journal lines that `status` prints
COMMAND_LIMIT_S = 90.0


@dataclass(frozen=True, slots=True)
class File:
    """Holds a file to write. `path` is relative to the root."""

    path: Path
    text: str
    mode: int = 0o644


def install(config: Path | None, page: str | None, root: Path | None, dry_run: bool) -> None:
    """Install gatecam as a service. Without `root`, also start it now.

    An existing settings file is kept. Otherwise `config` is copied to its place, or the defaults are written.
    All settings are checked first.

    Raises:
        ConfigError: the settings are wrong, or they name a log that the service cannot write.
        ServiceError: systemd, rights or the browser are missing, or the service's user could not run gatecam.
    """
    base = root or SYSTEM
    if root is not None:
        _require_folder(root)
        _require_no_token(page)
    elif not dry_run:
        _require_systemd()
        _require_reachable()
        _require_browser(page)
    files = _files(base, config, page, in_image=root is not None)
    if dry_run:
        typer.echo("\n".join(f"# {base / file.path}\n{file.text}" for file in files), nl=False)
        return
    for file in files:
        _write(base / file.path, file)
    units = [file.path.name for file in files if file.path.parent == UNITS]
    for unit in units:
        _enable(base / WANTED / unit)
    if root is None:
        _start(units)
    else:
        # systemd creates users at boot only if this file is missing or older than /usr.
        (base / "etc/.updated").unlink(missing_ok=True)
    _tell_installed(base, config, files, units, started=root is None)


def uninstall(root: Path | None) -> None:
    """Stop the service, remove its files and print what is kept: settings, data and users.

    Raises:
        ServiceError: systemd or the rights to use it are missing.
    """
    base = root or SYSTEM
    units = [unit for unit in (SERVICE, PAGE) if (base / UNITS / unit).exists()]
    if root is not None:
        _require_folder(root)
    else:
        _require_systemd()
        for unit in units:
            _call("systemctl", "stop", unit)
    for path in (WANTED / SERVICE, WANTED / PAGE, UNITS / SERVICE, UNITS / PAGE):
        (base / path).unlink(missing_ok=True)
    for path in (*SYSUSERS_FILES.values(), TMPFILES_FILE):
        (base / path).unlink(missing_ok=True)
    if root is None:
        _call("systemctl", "daemon-reload")
    typer.echo(f"Removed: {', '.join(units)}." if units else "There was no service to remove.")
    typer.echo(f"Kept: the settings in {Path(CONFIG).parent}, the data in {STATE} and {LOGS}, the users.")


def print_status() -> None:
    """Print each unit's state, its restarts, its status text and its last journal lines.

    Raises:
        ServiceError: there is no systemd, or the service is not installed.
        typer.Exit: with exit code 1 if the service is not running.
    """
    _require_systemctl()
    states = {unit: _properties(unit) for unit in (SERVICE, PAGE)}
    if states[SERVICE].get("LoadState") == "not-found":
        raise ServiceError("The service is not installed: install it with `sudo gatecam kiosk install`.")
    for unit, state in states.items():
        if state.get("LoadState") != "not-found":
            typer.echo(_state_line(unit, state))
    if said := states[SERVICE].get("StatusText"):
        typer.echo(f"Status: {said}")
    words = _output("journalctl", "--unit", SERVICE, "--lines", str(WORDS), "--no-pager", "--quiet")
    typer.echo(words.rstrip() or "No journal lines that you may read. Try again with sudo.")
    if states[SERVICE].get("ActiveState") != "active":
        raise typer.Exit(1)


# What is written -------------------------------------------------------------------------------


def _files(base: Path, config: Path | None, page: str | None, in_image: bool) -> list[File]:
    """Return all files of this installation. The settings are among them only if there are none yet."""
    python = Path(sys.executable)
    parts = [python, Path(sys.base_prefix), Path(gatecam.__file__)]
    if in_image:
        python = python_of_image(base)
        parts = [python]
    home = "read-only" if any(part.is_relative_to("/home") for part in parts) else "yes"
    # -P: do not import from the working folder, because the service can write there.
    command = [str(python), "-P", "-m", "gatecam", "run", "--headless", "--config", CONFIG]
    files = [
        File(UNITS / SERVICE, service_unit(command, home)),
        File(SYSUSERS_FILES[SERVICE], template("sysusers.conf")),
        File(TMPFILES_FILE, template("tmpfiles.conf")),
    ]
    if page is not None:
        unit = page_unit(page, str(python), home)
        files += [File(UNITS / PAGE, unit, 0o600), File(SYSUSERS_FILES[PAGE], template("sysusers-page.conf"))]
    hidden = (*HIDDEN_TMP, *(HIDDEN_HOMES if home == "yes" else ()))
    settings = File(Path(CONFIG).relative_to("/"), _settings(config, hidden), 0o640)
    there = base / settings.path
    if not there.exists():
        return [*files, settings]
    load(there, env={})  # the log's folder is not checked, since `systemctl edit` may have allowed more
    return files


def python_of_image(root: Path) -> Path:
    """Return the Python interpreter of the gatecam in an image, as a path inside the image.

    It is the interpreter that runs this program if it is in the image. Otherwise it is the one next to an
    installed `gatecam` command.

    Raises:
        ServiceError: the image contains no gatecam.
    """
    root, own = root.absolute(), Path(sys.executable)
    if own.is_relative_to(root) and root != SYSTEM:
        return SYSTEM / own.relative_to(root)
    for folder in (root / "opt/gatecam/bin", *sorted(root.glob("opt/*/bin")), *map(root.joinpath, PREFIXES)):
        command = folder / "gatecam"
        if command.is_file() and not command.is_symlink():
            for name in ("python", "python3"):
                if os.path.lexists(folder / name):  # may be a link whose target exists only inside the image
                    return SYSTEM / (folder / name).relative_to(root)
    raise ServiceError(
        f"--root {root}: contains no gatecam that the service could start: install it there first, for "
        f"example with `chroot {root} python3 -m venv /opt/gatecam` and its pip."
    )


def _settings(config: Path | None, hidden: Sequence[str]) -> str:
    """Return the settings to install, after checking them without this shell's variables.

    `hidden` are the folders that the service cannot see.
    """
    if config is None:
        return to_yaml(Config())
    loaded = load(config, env={}).config
    for key, name in named_files(loaded):
        path = Path(os.path.normpath(name))
        if not path.is_absolute() or any(path.is_relative_to(folder) for folder in hidden):
            raise ConfigError(
                f"{key}: the service could not read {name}: put the file into {Path(CONFIG).parent}, and "
                f"give its full path ({config})."
            )
    log = loaded.notify.log
    if log is not None and Path(log).is_absolute():  # a relative path is in the service's own folder
        own = (STATE, LOGS)
        if not any(Path(os.path.normpath(log)).is_relative_to(folder) for folder in own):
            raise ConfigError(
                f"notify.log: the service can write only in {STATE} and {LOGS}, got {log} ({config})."
            )
    return config.read_text(encoding="utf-8-sig")


def _write(path: Path, file: File) -> None:
    """Write a file completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as new:
        try:
            new.write(file.text)
            new.flush()
            os.fchmod(new.fileno(), file.mode)
            os.fsync(new.fileno())
            os.replace(new.name, path)
        except OSError:
            os.unlink(new.name)
            raise


def _enable(link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(Path("..") / link.name)


def _start(units: Sequence[str]) -> None:
    _call("systemd-sysusers")
    _call("systemd-tmpfiles", "--create", f"/{TMPFILES_FILE}")
    _call("systemctl", "daemon-reload")
    for unit in units:
        _call("systemctl", "restart", "--no-block", unit)


def _tell_installed(
    base: Path, config: Path | None, files: Sequence[File], units: Sequence[str], started: bool
) -> None:
    for file in files:
        typer.echo(f"written: {base / file.path}")
    if Path(CONFIG).relative_to("/") not in [file.path for file in files]:
        kept = f"; {config} was not copied" if config else ""
        typer.echo(f"kept: {base / CONFIG.lstrip('/')}{kept}")
    if started:
        typer.echo(f"Started: {', '.join(units)}. `gatecam kiosk status` shows the state.")
    else:
        typer.echo(f"Starts when that system boots: {', '.join(units)}.")


# What is needed --------------------------------------------------------------------------------


def _require_folder(root: Path) -> None:
    if not root.is_dir():
        raise ServiceError(f"--root {root}: is no folder: give the folder that contains the system's etc.")


def _require_no_token(page: str | None) -> None:
    if page is not None and re.search("[#?&]token=", page):
        raise ServiceError(
            "--page: contains a token of this machine, which is invalid in the image: leave #token=... out. "
            "The image creates its own at its first start. Then run `sudo gatecam kiosk install --page` "
            "there, with the link that its own `gatecam token door --link` prints."
        )


def _require_systemctl() -> None:
    if shutil.which("systemctl") is None or not BOOTED.is_dir():
        raise ServiceError(
            "This machine does not run systemd, which the service needs: use the container, or "
            "--root DIR to write into an image."
        )


def _require_systemd() -> None:
    _require_systemctl()
    if os.geteuid() != 0:
        raise ServiceError("Only root can change a service: use sudo, or --root DIR to write elsewhere.")


def _require_reachable() -> None:
    """Check that the service's user could start this gatecam, by starting it as the user nobody."""
    package = Path(gatecam.__file__).parent
    for path in (Path(sys.executable), package):
        if any(path.is_relative_to(folder) for folder in ("/tmp", "/var/tmp")):
            raise ServiceError(f"{path}: the service cannot see this /tmp: install gatecam elsewhere.")
    code = "import gatecam; print(gatecam.__path__[0])"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            user="nobody",
            extra_groups=[],
            cwd="/",
            env={},
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        found = ""
    else:
        found = done.stdout.strip()
    if found != str(package):
        raise ServiceError(
            f"{package}: not every user can run it with {sys.executable}: install gatecam where all users "
            "can read it, for example with `python3 -m venv /opt/gatecam` and its pip."
        )


def _require_browser(page: str | None) -> None:
    lacking = [name for program, name in PAGE_NEEDS.items() if not Path("/usr/bin", program).exists()]
    if page is not None and lacking:
        raise ServiceError(f"--page needs a browser: `apt-get install {' '.join(lacking)}`.")


# Calls -----------------------------------------------------------------------------------------


def _call(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"`{quoted(words)}` failed ({error}), see `journalctl -b`.") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise ServiceError(f"`{quoted(words)}` failed ({said}), see `journalctl -b`.")


def _output(*words: str) -> str:
    """Return a command's standard output. It is empty if the command cannot be run."""
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_LIMIT_S).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _properties(unit: str) -> dict[str, str]:
    names = "LoadState,ActiveState,SubState,StateChangeTimestamp,NRestarts,StatusText,Result"
    lines = _output("systemctl", "show", f"--property={names}", unit).splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _state_line(unit: str, state: dict[str, str]) -> str:
    since = f" since {state['StateChangeTimestamp']}" if state.get("StateChangeTimestamp") else ""
    ended = f", ended with {state['Result']}" if state.get("Result", "success") != "success" else ""
    line = f"{unit}: {state.get('ActiveState', 'unknown')} ({state.get('SubState', 'unknown')}){since}{ended}"
    return f"{line}, {state.get('NRestarts', '0')} restarts"
