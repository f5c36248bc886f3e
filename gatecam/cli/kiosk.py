"""`gatecam kiosk`: gatecam as a service of systemd that starts with the machine."""

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
        help="Work on the system whose files lie there, such as an image; nothing is started or stopped.",
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
            help="Becomes /etc/gatecam/config.yaml, unless there is one; default: all defaults.",
            show_default=False,
        ),
    ] = None,
    page: Annotated[
        str | None,
        typer.Option(
            "--page", metavar="URL", help="Show this page in full screen as well.", show_default=False
        ),
    ] = None,
    root: RootOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the files that would be written, and write nothing.")
    ] = False,
) -> None:
    """Write the service's files, and start it now and at every boot; settings there are kept."""
    from gatecam.kiosk.install import install as install_service

    install_service(config, page, root, dry_run)


@app.command()
def status() -> None:
    """Print the service's state, since when, its restarts and last words; exit code 1 if it does not run."""
    from gatecam.kiosk.install import print_status

    print_status()


@app.command()
def uninstall(root: RootOption = None) -> None:
    """Stop the service and remove its files; settings, data and users stay."""
    from gatecam.kiosk.install import uninstall as uninstall_service

    uninstall_service(root)
