"""The program that is started for each event: what it gets, and that nothing it does holds gatecam up."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gatecam.errors import OutputError
from gatecam.notify.command import CommandOutput
from gatecam.settings.schema import CommandConfig
from gatecam.types import Event, EventKind, StoredEvent, Verdict

NOON = datetime(2026, 11, 24, 12).astimezone()
EVENT = Event(EventKind.MASK_OK, "gate", 3, Verdict.CORRECT, 1.5, 37, 0.98, at=NOON.isoformat())
STORED = StoredEvent(7, "a1b2", EVENT)


def command(*words: str, after_s: float = 0, **settings) -> CommandOutput:
    clock = (NOON + timedelta(seconds=after_s)).timestamp
    return CommandOutput(CommandConfig(run=words, **settings), clock)


def test_it_gets_the_event_as_a_line_of_json_and_little_else(tmp_path, monkeypatch):
    monkeypatch.setenv("GATECAM_SECRET", "sesame")
    output = command("sh", "-c", f"cat > {tmp_path}/in; env > {tmp_path}/env; pwd")
    assert output.deliver([STORED, STORED]) == 1
    (line,) = (tmp_path / "in").read_text().splitlines()
    assert json.loads(line)["id"] == "a1b2"
    assert json.loads(line)["kind"] == "mask_ok"
    assert "sesame" not in (tmp_path / "env").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sh", "-c", "exit 3"), "command sh: it ended with 3; it is run again."),
        (("sh", "-c", "printf 'a\\n\\033[31mno relay\\n' >&2; exit 1"), r"it ended with 1 ( [31mno relay)"),
        (("sh", "-c", "kill -9 $$"), "it ended with -9"),
        (("/nowhere/relay",), "it cannot be started: No such file or directory"),
        (("/etc",), "it cannot be started: Permission denied"),
        (("a\0b",), "it cannot be started"),
    ],
)
def test_a_program_that_fails_is_one_sentence(words, said):
    with pytest.raises(OutputError) as told:
        command(*words).deliver([STORED])
    assert said in str(told.value)


@pytest.mark.parametrize("program", ["/nowhere/relay", "/etc", "no-such-relay"])
def test_a_program_that_is_not_there_is_told_before_there_is_an_event(program):
    said = f"command {program}: there is no such program: correct command.run, or install it."
    assert command(program).trouble == said
    assert command("sh").trouble is None


def test_one_that_does_not_read_its_input_is_fine():
    assert command("true").deliver([STORED]) == 1


def test_one_that_says_very_much_takes_no_memory_and_is_fine():
    script = "import os; [os.write(2, b'x' * 65536) for _ in range(2000)]; os.write(1, b'x' * 1000000)"
    assert command(sys.executable, "-c", script).deliver([STORED]) == 1


def test_one_that_takes_too_long_is_ended_with_all_it_started(tmp_path):
    script = f"sleep 600 & echo $! > {tmp_path}/child; wait"
    start_s = time.monotonic()
    with pytest.raises(OutputError, match=r"it took longer than 0\.5 s"):
        command("sh", "-c", script, timeout_s=0.5).deliver([STORED])
    assert time.monotonic() - start_s < 5
    assert ends(int((tmp_path / "child").read_text()))


def test_closing_ends_a_program_that_runs(tmp_path):
    os.mkfifo(tmp_path / "started")
    output, failed = (
        command("sh", "-c", f"echo > {tmp_path}/started; sleep 600", timeout_s=300),
        threading.Event(),
    )

    def deliver():
        with suppress(OutputError):
            output.deliver([STORED])
        failed.set()

    threading.Thread(target=deliver, daemon=True).start()
    (tmp_path / "started").read_text()
    output.close()
    assert failed.wait(5)


def test_an_event_that_is_too_old_is_passed_over_and_told_once(caplog):
    late = command("true", after_s=61, max_age_s=60)
    with caplog.at_level(logging.WARNING):
        assert [late.wants(STORED), late.wants(STORED)] == [False, False]
    assert caplog.messages == ["Events older than command.max_age_s are not handed to true."]
    assert command("true", after_s=59, max_age_s=60).wants(STORED)


def ends(pid: int) -> bool:
    """Whether a process is gone, or is as good as that, within some seconds."""
    end_s = time.monotonic() + 5
    while time.monotonic() < end_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
    return False
