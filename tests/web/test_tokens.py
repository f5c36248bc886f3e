"""Tokens: made once, for this user alone, and found wrong when they are."""

from __future__ import annotations

import json
import stat

import pytest

pytest.importorskip("fastapi")

from gatecam.errors import OutputError
from gatecam.web.tokens import FILE, TOKEN_ROLES, load_tokens


def test_they_are_made_once_and_kept_for_this_user_alone(tmp_path):
    tokens = load_tokens(tmp_path / "new")
    file = tmp_path / "new" / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [FILE]
    assert load_tokens(tmp_path / "new") == tokens
    assert len({tokens.operator, tokens.door, tokens.metrics, tokens.key}) == 4
    assert load_tokens(tmp_path / "other") != tokens


def test_each_gives_its_role_and_no_other_text_does(tmp_path):
    tokens = load_tokens(tmp_path)
    assert [tokens.role_of(tokens.of(role)) for role in TOKEN_ROLES] == list(TOKEN_ROLES)
    for text in ("", tokens.key, tokens.door[:-1], f"{tokens.door} ", "\udcff", "é"):
        assert tokens.role_of(text) is None


def test_they_are_in_no_log(tmp_path):
    tokens = load_tokens(tmp_path)
    assert tokens.operator not in repr(tokens)


def test_a_file_that_others_could_read_is_told_and_closed(tmp_path, caplog):
    tokens = load_tokens(tmp_path)
    (tmp_path / FILE).chmod(0o644)
    assert load_tokens(tmp_path) == tokens
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert "could be read by other users" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        json.dumps({"operator": "", "door": "", "metrics": "", "key": ""}),
        '"text"',
        "\xff",
    ],
)
def test_a_damaged_file_is_told_and_left_alone(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(OutputError, match="contains no tokens: delete it"):
        load_tokens(tmp_path)
    assert (tmp_path / FILE).read_text() == text


def test_a_folder_that_cannot_be_had_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot be created or checked \(Not a directory\)"):
        load_tokens(tmp_path / "file" / "folder")


def test_a_folder_that_others_can_write_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(OutputError, match=r"other users can write to it \(mode 777\)"):
        load_tokens(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_place_of_the_file_is_refused(tmp_path):
    there = tmp_path / "there"
    load_tokens(there)
    (tmp_path / FILE).symlink_to(there / FILE)
    with pytest.raises(
        OutputError, match=r"cannot be read \(is a link, which is not followed here: delete it"
    ):
        load_tokens(tmp_path)
