"""Run `gatecam token`, which prints the access tokens of the web pages."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from gatecam.cli.options import StateConfigOption
from gatecam.web.tokens import Role


class TokenRole(StrEnum):
    """Lists the roles that have a token."""

    OPERATOR = Role.OPERATOR.value
    DOOR = Role.DOOR.value
    METRICS = Role.METRICS.value


def token(
    whose: Annotated[
        TokenRole,
        typer.Argument(help="Whose token: the operator's, the screen's at the door, or Prometheus's."),
    ] = TokenRole.OPERATOR,
    link: Annotated[
        bool, typer.Option("--link", help="Print a link that logs a browser in, for example on a kiosk.")
    ] = False,
    camera: Annotated[
        str | None, typer.Option(metavar="NAME", help="Camera whose page the link opens. Default: the first.")
    ] = None,
    config: StateConfigOption = None,
) -> None:
    """Print the access token for the web pages, creating it on first use. Treat it like a password."""
    from urllib.parse import quote

    from gatecam.cli.state import find_state
    from gatecam.errors import ConfigError
    from gatecam.web.tokens import load_tokens

    role = Role(whose)
    state = find_state(config, "gatecam token")
    text = load_tokens(state.folder).of(role)
    if camera is not None and not (link and role is Role.DOOR):
        raise ConfigError("--camera: chooses the page of a link to the door: `gatecam token door --link`.")
    if link:
        if role is Role.METRICS:
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
