"""Run `gatecam kiosk`, which installs gatecam as a systemd service that starts with the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Run gatecam as a service that starts with the machine.")

RootOption = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Work on the system whose files are in this folder, such as an image. Starts and stops nothing.",
        show_default=False,
    ),
]


@app.command()
def install(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="File to install as /etc/gatecam/config.yaml if there is none. Default: default settings.",
            show_default=False,
        ),
    ] = None,
    page: Annotated[
        str | None,
        typer.Option("--page", metavar="URL", help="Also show this page in full screen.", show_default=False),
    ] = None,
    root: RootOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the files that would be written, but write nothing.")
    ] = False,
) -> None:
    """Install the service and start it now and at every boot. Existing settings are kept."""
    from gatecam.kiosk.install import install as install_service

    install_service(config, page, root, dry_run)


@app.command()
def status() -> None:
    """Print the service's state, restarts and last log lines. Exit with 1 if it does not run."""
    from gatecam.kiosk.install import print_status

    print_status()


@app.command()
def uninstall(root: RootOption = None) -> None:
    """Stop the service and remove its files. Settings, data and users are kept."""
    from gatecam.kiosk.install import uninstall as uninstall_service

    uninstall_service(root)
