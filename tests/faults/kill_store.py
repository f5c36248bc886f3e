"""`gatecam run --web` killed while other commands read its store: `make kill-store ROUNDS=50`.

Ten commands (`events`, `report`, `privacy`, `status`) come and go beside it all the time. After each SIGKILL
every event that it had printed must be in the store, and no store may have been set aside. Prints a line a
round; exit code 1 where one fails.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.faults.soak import Entrance, Program, Record, StoreReaders

READERS = 10
EVENTS = 4  # printed in a round before the kill, beside as many commands that ended
LIMIT_S = 120.0


def kill_rounds(rounds: int, say: Callable[[str], None] = print, readers: int = READERS) -> list[str]:
    """Kill the program so many times, and return what went wrong."""
    problems: list[str] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "disk").mkdir()
        entrance = Entrance()
        stack.enter_context(entrance.north)
        stack.enter_context(entrance.south)
        program = Program(folder, entrance, Record(), "policy: {remind_s: 1}\n")
        stack.callback(lambda: program.process.kill())
        _wait(lambda: program.store.exists(), program)
        beside = StoreReaders(program, readers)
        stack.callback(beside.close)
        for number in range(rounds):
            before, seen, begun_s = len(program.record.printed), beside.done, time.monotonic()
            came = _wait(lambda: len(program.record.printed) >= before + EVENTS, program)  # noqa: B023
            came = came and _wait(lambda: beside.done >= seen + EVENTS, program)  # noqa: B023
            time.sleep(random.random() / 2)
            program.process.kill()
            program.process.wait(30)
            program.wait_for_silence()
            printed, missing, asides = _missing(program)
            say(
                f"round {number + 1}: {printed} events printed so far, {missing} missing, {asides} stores "
                f"set aside, {beside.done - seen} readers, {time.monotonic() - begun_s:.0f} s"
            )
            if missing or asides:
                problems.append(f"round {number + 1}: {missing} events missing, {asides} stores set aside")
            if not came:
                problems.append(f"round {number + 1}: fewer than {EVENTS} events or readers in {LIMIT_S:g} s")
            if number + 1 < rounds:
                program.start()
    return problems + beside.problems


def _wait(holds: Callable[[], bool], program: Program) -> bool:
    """Whether something comes to hold while the program lives."""
    end_s = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > end_s or program.process.poll() is not None:
            return False
        time.sleep(0.05)
    return True


def _missing(program: Program) -> tuple[int, int, int]:
    """Return how many events were printed, how many the store lacks, and how many stores were set aside."""
    printed = set(program.record.printed)
    asides = list(program.store.parent.glob("*.damaged-*[0-9]"))
    return len(printed), len(printed - program.stored()), len(asides)


def main() -> None:
    """Kill, and say what came of it."""
    problems = kill_rounds(
        int(sys.argv[1]) if len(sys.argv) > 1 else 50, lambda text: print(text, flush=True)
    )
    print("\n".join(problems) or "all well")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
