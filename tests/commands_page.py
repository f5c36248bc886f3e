"""Write docs/commands.md from the commands themselves: `python -m tests.commands_page`.

`tests/cli/test_commands_page.py` holds that the page is current and that it has every command and option.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import EnumType
from pathlib import Path
from typing import Any

import typer

from gatecam.cli.main import app

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
HEAD = """# Commands

This page is generated from each command's `--help` by `make docs`. Do not edit it.

Exit codes: 0 done, 1 done with problems, 2 wrong options or input, 130 Ctrl-C, 143 SIGTERM.
"""


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every command under a name, with its full name, in the order of `--help`."""
    if hasattr(command, "commands"):
        if command.invoke_without_command:
            yield name, command
        for part, inner in command.commands.items():
            yield from commands(inner, f"{name} {part}")
    else:
        yield name, command


def page() -> str:
    """Return the whole page."""
    return HEAD + "".join(section(*each) for each in commands(typer.main.get_command(app), "gatecam"))


def section(name: str, command: Any) -> str:
    """Return what the page says of one command."""
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(
        [
            "[OPTIONS]",
            *(p.metavar or p.name.upper() for p in command.params if p.param_type_name == "argument"),
        ]
    )
    rows = [row for parameter in command.params if (row := described(parameter, context))]
    table = "\n".join(["| option | what it does |", "|---|---|", *rows]) + "\n" if rows else ""
    return f"\n## {name}\n\n{plain(command.help or '')}\n\n```\n{name} {usage}\n```\n\n{table}"


def described(parameter: Any, context: Any) -> str | None:
    """Return the table's row of an option or argument; None for one that help hides."""
    if parameter.hidden or "--help" in parameter.opts:
        return None
    if parameter.param_type_name == "option":
        name = "/".join([", ".join(parameter.opts), *parameter.secondary_opts])
        if not parameter.is_flag:
            name += f" {parameter.metavar or parameter.name.upper()}"
    else:
        name = parameter.metavar or parameter.name.upper()
    text, default = plain(parameter.help or ""), parameter.default
    kind = parameter.type_descriptor.annotation
    if isinstance(kind, EnumType):
        text += f" One of {', '.join(f'`{one.value}`' for one in kind)}."
    if parameter.show_default and default not in (None, False, [], ()) and not callable(default):
        text += f" Default: `{getattr(default, 'value', default)}`."
    return f"| `{cell(name)}` | {cell(text)} |"


def cell(text: str) -> str:
    """Return text as a cell of a table."""
    return text.replace("|", "\\|")


def plain(text: str) -> str:
    """Return text on one line."""
    return re.sub(r"\s+", " ", text).strip()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
