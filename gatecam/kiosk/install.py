"""The work of `gatecam kiosk`: the service's files on this system or in an image, and its state."""

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
    PAGE_SYSUSERS,
    SERVICE,
    STATE,
    SYSUSERS,
    TMPFILES,
    page_unit,
    quoted,
    service_unit,
)
from gatecam.settings.config import Config, load, to_yaml

SYSTEM = Path("/")
UNITS = Path("etc/systemd/system")
WANTED = UNITS / "multi-user.target.wants"
SYSUSERS_FILES = {
    SERVICE: Path("etc/sysusers.d/gatecam.conf"),
    PAGE: Path("etc/sysusers.d/gatecam-page.conf"),
}
TMPFILES_FILE = Path("etc/tmpfiles.d/gatecam.conf")
PREFIXES = ("usr/local/bin", "usr/bin")  # where an image has gatecam without an environment of its own
BOOTED = Path("/run/systemd/system")  # is there where systemd runs the machine (sd_booted(3))
PAGE_NEEDS = {"cage": "cage", "chromium": "chromium", "Xwayland": "xwayland"}  # program: its package
WORDS = 10  # last lines of the journal that `status` prints
COMMAND_LIMIT_S = 90.0


@dataclass(frozen=True, slots=True)
class File:
    """A file to write, by its path from the root."""

    path: Path
    text: str
    mode: int = 0o644


def install(config: Path | None, page: str | None, root: Path | None, dry_run: bool) -> None:
    """Write what makes gatecam a service; without `root`, also start it now.

    A settings file that is there is kept and checked, and so is a `config` that becomes it.

    Raises:
        ConfigError: settings are wrong, or name a log that the service cannot write.
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
        # systemd makes users at boot only where this flag of its own says that /etc is out of date.
        (base / "etc/.updated").unlink(missing_ok=True)
    _tell_installed(base, config, files, units, started=root is None)


def uninstall(root: Path | None) -> None:
    """Stop the service and remove its files; settings, data and the users stay, which it says.

    Raises:
        ServiceError: systemd or the rights for it are missing.
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
    """Print each unit's state, since when, its restarts, what it says it does, and its last words.

    Exit code 1 if the service does not run; needs no rights, which the journal may.

    Raises:
        ServiceError: there is no systemd, or the service is not installed.
    """
    _require_systemctl()
    states = {unit: _properties(unit) for unit in (SERVICE, PAGE)}
    if states[SERVICE].get("LoadState") == "not-found":
        raise ServiceError("gatecam is no service here: install it with `sudo gatecam kiosk install`.")
    for unit, state in states.items():
        if state.get("LoadState") != "not-found":
            typer.echo(_state_line(unit, state))
    if said := states[SERVICE].get("StatusText"):
        typer.echo(f"It says: {said}")
    words = _output("journalctl", "--unit", SERVICE, "--lines", str(WORDS), "--no-pager", "--quiet")
    typer.echo(words.rstrip() or "No lines in its journal that you may read; with sudo there may be some.")
    if states[SERVICE].get("ActiveState") != "active":
        raise typer.Exit(1)


# What is written -------------------------------------------------------------------------------


def _files(base: Path, config: Path | None, page: str | None, in_image: bool) -> list[File]:
    """All files of this installation, the settings among them where there are none yet."""
    python = Path(sys.executable)
    parts = [python, Path(sys.base_prefix), Path(gatecam.__file__)]
    if in_image:
        python = python_of_image(base)
        parts = [python]
    home = "read-only" if any(part.is_relative_to("/home") for part in parts) else "yes"
    # -P: what lies in the working folder, which the service can write, is not imported.
    command = [str(python), "-P", "-m", "gatecam", "run", "--headless", "--config", CONFIG]
    files = [
        File(UNITS / SERVICE, service_unit(command, home)),
        File(SYSUSERS_FILES[SERVICE], SYSUSERS),
        File(TMPFILES_FILE, TMPFILES),
    ]
    if page is not None:
        unit = page_unit(page, str(python), home)
        files += [File(UNITS / PAGE, unit, 0o600), File(SYSUSERS_FILES[PAGE], PAGE_SYSUSERS)]
    settings = File(Path(CONFIG).relative_to("/"), _settings(config), 0o640)
    there = base / settings.path
    if not there.exists():
        return [*files, settings]
    load(there, env={})  # but not where its log lies: `systemctl edit` may have allowed more folders
    return files


def python_of_image(root: Path) -> Path:
    """Return the interpreter that has gatecam in an image, by its path as the image sees it.

    That is the one that runs this program if it lies in the image, else one beside an installed `gatecam`.

    Raises:
        ServiceError: there is none.
    """
    root, own = root.absolute(), Path(sys.executable)
    if own.is_relative_to(root) and root != SYSTEM:
        return SYSTEM / own.relative_to(root)
    for folder in (root / "opt/gatecam/bin", *sorted(root.glob("opt/*/bin")), *map(root.joinpath, PREFIXES)):
        command = folder / "gatecam"
        if command.is_file() and not command.is_symlink():
            for name in ("python", "python3"):
                if os.path.lexists(folder / name):  # a link whose target is there only in the image
                    return SYSTEM / (folder / name).relative_to(root)
    raise ServiceError(
        f"--root {root}: has no gatecam that the service could start: install it there first, for "
        f"example with `chroot {root} python3 -m venv /opt/gatecam` and that one's pip."
    )


def _settings(config: Path | None) -> str:
    if config is None:
        return to_yaml(Config())
    _check(config)
    return config.read_text(encoding="utf-8-sig")


def _check(path: Path) -> None:
    """Load settings as the service will, without this shell's variables."""
    log = load(path, env={}).config.notify.log
    if log is None or not Path(log).is_absolute():
        return  # a relative one lies in the service's own folder
    if not any(Path(os.path.normpath(log)).is_relative_to(folder) for folder in (STATE, LOGS)):
        raise ConfigError(
            f"notify.log: the service can write in {STATE} and {LOGS} alone, got {log} ({path})."
        )


def _write(path: Path, file: File) -> None:
    """Write a file whole or not at all."""
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
        typer.echo(f"Started: {', '.join(units)}; `gatecam kiosk status` says how it is.")
    else:
        typer.echo(f"Starts when that system boots: {', '.join(units)}.")


# What is needed --------------------------------------------------------------------------------


def _require_folder(root: Path) -> None:
    if not root.is_dir():
        raise ServiceError(f"--root {root}: is no folder; give the folder that holds the system's etc.")


def _require_no_token(page: str | None) -> None:
    if page is not None and re.search("[#?&]token=", page):
        raise ServiceError(
            "--page: holds a token of this machine, which opens nothing in the image: leave #token=... out. "
            "The image makes its own at its first start; then run `sudo gatecam kiosk install --page` there, "
            "with the link that its own `gatecam token door --link` prints."
        )


def _require_systemctl() -> None:
    if shutil.which("systemctl") is None or not BOOTED.is_dir():
        raise ServiceError(
            "systemd does not run this machine, so there are no services here: use the container, or "
            "--root DIR to write into an image."
        )


def _require_systemd() -> None:
    _require_systemctl()
    if os.geteuid() != 0:
        raise ServiceError("a service is root's to change: use sudo, or --root DIR to write elsewhere.")


def _require_reachable() -> None:
    """Try as a user with no rights whether this very gatecam starts, as the service's user will start it."""
    package = Path(gatecam.__file__).parent
    for path in (Path(sys.executable), package):
        if any(path.is_relative_to(folder) for folder in ("/tmp", "/var/tmp")):
            raise ServiceError(f"{path}: a service has a /tmp of its own; install gatecam elsewhere.")
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
            f"{package}: not every user can run it with {sys.executable}; install gatecam where all may "
            "read, for example with `python3 -m venv /opt/gatecam` and its pip."
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
        raise ServiceError(f"`{quoted(words)}` did not work ({error}), see `journalctl -b`.") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise ServiceError(f"`{quoted(words)}` did not work ({said}), see `journalctl -b`.")


def _output(*words: str) -> str:
    """What a command prints, as far as it works: one that fails says nothing that could be shown."""
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
