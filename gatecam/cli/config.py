"""`gatecam config`: the settings that hold, what they come to, if a file is right, its schema."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gatecam.cli.options import ConfigOption

if TYPE_CHECKING:
    from pydantic import BaseModel

    S = TypeVar("S", bound=BaseModel)

app = typer.Typer(no_args_is_help=True, help="Show, explain, check or describe the settings.")


@app.command()
def show(
    config: ConfigOption = None,
    passwords: Annotated[
        bool, typer.Option("--passwords", help="Print addresses as they are, with their passwords.")
    ] = False,
) -> None:
    """Print the settings that hold, as YAML; a comment says where each that was set comes from.

    What may be a password in an address is shown as ***.
    """
    from gatecam.runtime.addresses import hide_path
    from gatecam.settings.config import load, to_yaml
    from gatecam.settings.explain import KEY, face_note

    loaded = load(config)
    shown = loaded.config if passwords else _without_passwords(loaded.config)
    if not passwords and shown.webhook.url is not None:
        hook = shown.webhook.model_copy(update={"url": hide_path(loaded.config.webhook.url or "")})
        shown = shown.model_copy(update={"webhook": hook})
    typer.echo(to_yaml(shown, loaded.origins, {KEY: face_note(loaded.config)}), nl=False)


@app.command()
def explain(config: ConfigOption = None) -> None:
    """Say what the settings come to: the smallest face, how far faces are found, the region, the searches."""
    from gatecam.runtime.console import open_console
    from gatecam.settings.config import load
    from gatecam.settings.explain import explain as print_explanation

    loaded = load(config)
    print_explanation(open_console(), loaded.config, loaded.origins)


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Settings file, ./config.yaml if left out.")
    ] = None,
) -> None:
    """Check a settings file and the GATECAM_ variables; problems are listed, and the exit code is 2."""
    from gatecam.errors import ConfigError
    from gatecam.runtime.logs import say
    from gatecam.settings.config import load
    from gatecam.settings.named_files import unreadable_files

    loaded = load(file)
    for sentence in loaded.config.exposed():
        say(sentence, level=logging.WARNING)
    if problems := list(unreadable_files(loaded.config)):
        raise ConfigError("\n".join(problems))
    typer.echo(f"{loaded.path}: ok" if loaded.path else "no config.yaml here, the defaults hold: ok")


@app.command()
def schema() -> None:
    """Print the JSON schema of the settings, for editors that check while typing."""
    from gatecam.settings import config

    typer.echo(json.dumps(config.schema(), indent=2, ensure_ascii=False))


def _without_passwords(section: S) -> S:
    """Return settings whose addresses show no secret."""
    from pydantic import BaseModel

    from gatecam.runtime.addresses import hide_secrets

    def hidden(value: object) -> object:
        if isinstance(value, BaseModel):
            return _without_passwords(value)
        if isinstance(value, tuple):
            return tuple(map(hidden, value))
        return hide_secrets(value) if isinstance(value, str) else value

    return section.model_copy(update={name: hidden(value) for name, value in section})
