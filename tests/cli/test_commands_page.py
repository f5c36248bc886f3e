"""docs/commands.md says what `--help` says."""

from __future__ import annotations

import typer

from gatecam.cli.main import app
from tests.commands_page import PAGE, commands, page


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_command_and_option_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    for name, command in commands(typer.main.get_command(app), "gatecam"):
        assert f"\n## {name}\n" in text
        for option in command.params:
            if option.param_type_name == "option" and not option.hidden and "--help" not in option.opts:
                assert option.opts[0] in text, f"{name} {option.opts[0]}"


def test_the_page_names_the_values_of_a_choice():
    assert "| `--format FORM` | Output format. One of `table`, `csv`, `json`. Default: `table`. |" in page()
