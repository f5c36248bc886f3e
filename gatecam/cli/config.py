"""Run `gatecam config`, which shows, explains, checks and describes the settings."""

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
        bool, typer.Option("--passwords", help="Print addresses with their passwords.")
    ] = False,
) -> None:
    """Print the current settings as YAML, with a comment where each given setting comes from.

    Parts of addresses that may be passwords are shown as ***.
    """
    from gatecam.runtime.addresses import hide_path
    from gatecam.settings.explain import KEY, face_note
    from gatecam.settings.loading import load
    from gatecam.settings.text import to_yaml

    loaded = load(config)
    shown = loaded.config if passwords else _without_passwords(loaded.config)
    if not passwords and shown.webhook.url is not None:
        hook = shown.webhook.model_copy(update={"url": hide_path(loaded.config.webhook.url or "")})
        shown = shown.model_copy(update={"webhook": hook})
    typer.echo(to_yaml(shown, loaded.origins, {KEY: face_note(loaded.config)}), nl=False)


@app.command()
def explain(config: ConfigOption = None) -> None:
    """Explain what the settings mean: the smallest face, how far faces are found, region and searches."""
    from gatecam.runtime.console import open_console
    from gatecam.settings.explain import explain as print_explanation
    from gatecam.settings.loading import load

    loaded = load(config)
    print_explanation(open_console(), loaded.config, loaded.origins)


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Settings file. Default: ./config.yaml.")
    ] = None,
) -> None:
    """Check a settings file and the GATECAM_ variables. List problems, and exit with 2 if there are any."""
    from gatecam.errors import ConfigError
    from gatecam.runtime.logs import say
    from gatecam.settings.loading import load
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
    from gatecam.settings.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def _without_passwords(section: S) -> S:
    """Return settings without the secrets in addresses."""
    from pydantic import BaseModel

    from gatecam.runtime.addresses import hide_secrets

    def hidden(value: object) -> object:
        if isinstance(value, BaseModel):
            return _without_passwords(value)
        if isinstance(value, tuple):
            return tuple(map(hidden, value))
        return hide_secrets(value) if isinstance(value, str) else value

    return section.model_copy(update={name: hidden(value) for name, value in section})
