"""Run `gatecam status`, which prints what running programs report and serves as a health check."""

from __future__ import annotations

from json import dumps
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatecam.errors import ServiceError
from gatecam.live.health import CameraHealth, Health
from gatecam.live.status import Answer, ask_all, out_of_reach
from gatecam.runtime.console import open_console


def status(
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per running program and line.")
    ] = False,
) -> None:
    """Show how the running gatecam is doing: cameras, rates, outputs, device, memory and the last alert.

    The exit code is 0 if every camera sees, 1 if one does not, or if the program is too slow or hangs, and 2
    if none is running.
    """
    answers = ask_all()
    if not answers:
        if out_of_reach():
            raise ServiceError("gatecam is a service here: ask it as root, with `sudo gatecam status`.")
        raise ServiceError("gatecam does not run here: start it with `gatecam run` or as a service.")
    console = open_console()
    for answer in answers:
        if json:
            typer.echo(dumps(_as_dict(answer)))
        elif answer.health is None:
            console.print(Text(f"gatecam (process {answer.pid}) does not answer: it hangs.", "red"))
        else:
            _print(console, answer.health)
    if not all(_is_well(answer.health) for answer in answers):
        raise typer.Exit(1)


def _is_well(health: Health | None) -> bool:
    return health is not None and health.sees and not health.is_too_slow


def _as_dict(answer: Answer) -> dict[str, object]:
    return {"pid": answer.pid, "sees": False} if answer.health is None else answer.health.to_dict()


def _print(console: Console, health: Health) -> None:
    console.print(_headline(health))
    for trouble in health.troubles:
        console.print(Text(trouble, "yellow"))
    cameras = Table("camera", "state", "since")
    for name in ("newest frame", "frames/s", "in view", "dropped", "restarts"):
        cameras.add_column(name, justify="right")
    for camera in health.cameras:
        cameras.add_row(*_row(camera))
    console.print(cameras)
    if health.queues:
        queues = Table("output")
        for name in ("waiting", "sent", "failed", "dropped"):
            queues.add_column(name, justify="right")
        for queue in health.queues:
            counts = (queue.waiting, queue.sent, queue.failed, queue.dropped)
            queues.add_row(Text(queue.name), *map(str, counts))
        console.print(queues)
    alert = health.last_alert
    told = f"{alert.kind}, camera {alert.camera}, at {alert.at}" if alert else "none since the start"
    console.print(f"Last alert: {told}.")


def _headline(health: Health) -> Text:
    parts = [f" (version {health.version}, process {health.pid})", f"up {span(health.up_s)}"]
    parts.append(f"on {health.device}")
    if health.memory_mib is not None:
        parts.append(f"{health.memory_mib:.0f} MiB")
    if health.open_files is not None:
        parts.append(f"{health.open_files} open files")
    if health.cores_in_use is not None:
        parts.append(f"{health.cores_in_use:.0%} of the cores in use")
    if health.free_disk_mb is not None:
        parts.append(f"{health.free_disk_mb / 1000:.1f} GB of disk free")
    state = Text("gatecam sees", "green") if health.sees else Text("gatecam does not see", "bold red")
    if health.is_too_slow:
        state = Text.assemble(state, (" and is too slow", "bold yellow"))
    return state.append(", ".join(parts), "default not bold")


def _row(camera: CameraHealth) -> tuple[Text | str, ...]:
    state = "sees" if camera.sees else "frames are not judged" if camera.state == "open" else camera.state
    reason = f": {camera.reason}" if camera.reason else ", too slow" if camera.slowness else ""
    return (
        Text(camera.name),
        Text(state + reason, "yellow" if camera.slowness else "green" if camera.sees else "red"),
        span(camera.since_s),
        "none" if camera.age_s is None else f"{camera.age_s:.2f} s",
        f"{camera.frames_per_s:.1f}",
        str(camera.faces),
        str(camera.dropped),
        str(camera.restarts),
    )


def span(seconds: float) -> str:
    """Return a duration in its two largest units.

    >>> span(42.4), span(3_725), span(200_000)
    ('42 s', '1 h 2 min', '2 d 7 h')
    """
    left = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts or unit == "s":
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
