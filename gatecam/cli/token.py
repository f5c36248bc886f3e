"""`gatecam token`: what lets people and programs into the pages."""

from __future__ import annotations

from typing import Annotated

import typer

from gatecam.cli.options import StateConfigOption
from gatecam.web.tokens import Role


def token(
    whose: Annotated[
        Role, typer.Argument(help="The operator's; of the screen at the door; of Prometheus.")
    ] = Role.OPERATOR,
    link: Annotated[
        bool, typer.Option("--link", help="As an address that logs in, for the browser of a kiosk.")
    ] = False,
    camera: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose page the link opens; else the first camera's.")
    ] = None,
    config: StateConfigOption = None,
) -> None:
    """Print what lets into the pages; the first call makes it. Who has it gets in: keep it to yourself."""
    from urllib.parse import quote

    from gatecam.cli.state import find_state
    from gatecam.errors import ConfigError
    from gatecam.web.tokens import load_tokens

    state = find_state(config, "gatecam token")
    text = load_tokens(state.folder).of(whose)
    if camera is not None and not (link and whose is Role.DOOR):
        raise ConfigError("--camera: chooses the page of a link to the door: `gatecam token door --link`.")
    if link:
        if whose is Role.METRICS:
            raise ConfigError("--link: Prometheus has no browser: give it the token alone.")
        settings = state.config
        web, names = settings.web, [one.camera.name for one in settings.watched]
        if camera is not None and camera not in names:
            raise ConfigError(f"--camera: expected one of {', '.join(names)}, got {camera!r}")
        scheme = "http" if web.certificate is None else "https"
        door = "/door?camera=" + quote(camera or "", safe="")
        page = "" if camera is None else f"?next={quote(door)}"
        text = f"{scheme}://{web.link_hosts[0]}:{web.port}/login{page}#token={text}"
    typer.echo(text)
