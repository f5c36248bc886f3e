"""Run `gatecam setup`, which asks a handful of questions and writes the settings file."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatecam.errors import CameraError, ConfigError, GatecamError

if TYPE_CHECKING:
    from gatecam.live.sight import Sight
    from gatecam.settings.schema import Config

LOOK_S = 4.0  # how long the camera is watched before the advice
VOICES = {"both": ("ko", "en"), "ko": ("ko",), "en": ("en",), "none": ()}


def setup(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Settings file to write. Default: ./config.yaml. One that exists keeps its comments.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Ask which camera to watch, try it out with advice, and write the settings file.

    An existing file gets the camera beside those that it has.
    """
    if not _has_terminal():
        raise ConfigError(
            "gatecam setup asks questions, so it needs a terminal: start it in one, or write the settings "
            "file yourself; `gatecam config show` prints all settings with their meaning."
        )
    from gatecam.settings.loading import DEFAULT_PATH, load
    from gatecam.settings.saving import edited, save

    path = config or DEFAULT_PATH
    _require_folder(path)
    is_new = not path.exists()
    loaded = load(None if is_new else path)
    is_first = not loaded.config.cameras and "camera.source" not in loaded.origins
    edits = _camera_edits(loaded.config, is_first)
    edits |= _more_edits(is_first)
    edited(loaded.config, edits)
    save(path, edits, is_new)
    typer.echo(f"Written: {path}")
    typer.echo(
        f"Start gatecam with `gatecam run --config {path}`, or install it as a service with "
        f"`sudo gatecam kiosk install --config {path}`."
    )


def _require_folder(path: Path) -> None:
    """Check that the settings can be written, before any question is asked.

    Raises:
        ConfigError: the file's folder is missing, or this user may not write to it.
    """
    folder = Path(os.path.realpath(path)).parent
    if not os.access(folder, os.W_OK):
        raise ConfigError(
            f"{folder}: the settings cannot be written there: create the folder, use sudo if it belongs to "
            "root, or choose another file with --config."
        )


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _camera_edits(config: Config, is_first: bool) -> dict[tuple[str, ...], object]:
    """Ask for a camera until one is wanted, and return the edits that watch it."""
    from gatecam.live.camera_setup import put_edits, with_login
    from gatecam.runtime.addresses import is_url
    from gatecam.settings.saving import edited

    while True:
        source = _ask_source()
        try:
            if is_url(source) and "@" not in source:
                user, password = _ask_login()
                source = with_login(source, user, password) if user else source
            name = typer.prompt("Name of the camera in events", "entrance" if is_first else None)
            values = {"name": name, "source": source}
            camera = config.camera.name if is_first else None
            edits = dict(put_edits(config, camera, values))
            wanted = edited(config, edits).watched[-1]
            typer.echo("Opening the camera, which takes some seconds. Stand where people stand at the door.")
            _tell(_look(wanted))
        except (ConfigError, CameraError) as error:
            typer.echo(str(error))
            continue
        if typer.confirm("Use this camera?", default=True):
            return edits


def _ask_source() -> str:
    """Return the path or address of the chosen camera."""
    from gatecam.capture.devices import cameras_seen

    seen = cameras_seen()
    for number, one in enumerate(seen, 1):
        typer.echo(f"  {number}  {one}")
    typer.echo("  n  search the network (ONVIF)")
    typer.echo("  or the address of a camera, such as rtsp://10.0.0.5/live")
    while True:
        answer = str(typer.prompt("Camera", "1" if seen else None)).strip()
        if answer.isdecimal() and 1 <= int(answer) <= len(seen):
            return seen[int(answer) - 1].split(" (", 1)[0]
        if answer == "n":
            if source := _search():
                return source
        elif answer.isdecimal():
            typer.echo("There is no such number. Choose one of the list, or give an address.")
        else:
            return answer


def _search() -> str | None:
    """Return the address of a stream of a camera on the network, or None."""
    from gatecam.capture.onvif import discover, streams
    from gatecam.live.camera_setup import with_login

    typer.echo("Searching the network.")
    try:
        found = discover()
        if not found:
            typer.echo("No camera answered. Check that ONVIF is switched on in the camera.")
            return None
        camera = found[_choose([f"{one.name} ({one.address})" for one in found])]
        user, password = _ask_login()
        offered = streams(camera.address, user, password)
        if not offered:
            typer.echo("This camera offers no stream at its own address.")
            return None
        chosen = offered[_choose([f"{one.name}: {one.width} x {one.height}" for one in offered])].source
        return with_login(chosen, user, password) if user else chosen
    except GatecamError as error:
        typer.echo(str(error))
        return None


def _ask_login() -> tuple[str, str]:
    user = str(typer.prompt("User at the camera (Enter: none)", "", show_default=False))
    return user, typer.prompt("Password", "", hide_input=True, show_default=False) if user else ""


def _choose(texts: list[str]) -> int:
    for number, text in enumerate(texts, 1):
        typer.echo(f"  {number}  {text}")
    return int(_pick("Number", [str(number) for number in range(1, len(texts) + 1)], "1")) - 1


def _look(config: Config) -> Sight | None:
    """Watch a camera for some seconds, and return what it sees.

    Raises:
        CameraError: it cannot be opened.
    """
    from gatecam.app import build_analyzer, open_live
    from gatecam.live.sight import Sights
    from gatecam.runtime.telemetry import Telemetry

    sights, end_s = Sights(), None
    with open_live(config, lambda: build_analyzer(config, Telemetry()), Telemetry()) as live:
        for turn in live.rounds:
            sights.note(turn)
            end_s = turn.time_s + LOOK_S if end_s is None and turn.steps else end_s
            if end_s is not None and turn.time_s >= end_s:
                break
    return sights.of(config.camera.name)


def _tell(sight: Sight | None) -> None:
    from gatecam.pictures.page_words import page_words

    if sight is None:
        typer.echo("The camera gives no picture any more.")
        return
    words, parts = page_words("en"), {"px": sight.face_px, "fps": sight.fps}
    face = "" if sight.face_px is None else f", face {sight.face_px} px"
    facts = words["sight.facts"].format(
        width=sight.width, height=sight.height, fps=sight.fps, brightness=round(100 * sight.brightness)
    )
    typer.echo(f"{facts}{face}")
    for key in sight.advice():
        typer.echo(words[f"advice.{key}"].format(**parts))


def _more_edits(is_first: bool) -> dict[tuple[str, ...], object]:
    """Ask for what all cameras share, only for the first one."""
    if not is_first:
        return {}
    edits: dict[tuple[str, ...], object] = {}
    voices = _pick("Spoken words (both, ko, en or none)", list(VOICES), "both")
    if voices != "both":
        edits["sound", "voices"] = VOICES[voices]
    if typer.confirm("Serve the web pages on this machine?", default=True):
        edits["web", "enabled"] = True
    return edits


def _pick(text: str, answers: Sequence[str], default: str) -> str:
    """Ask until the answer is one of those given."""
    while (answer := str(typer.prompt(text, default)).strip()) not in answers:
        typer.echo(f"Expected one of {', '.join(answers)}.")
    return answer
