"""The outputs of `gatecam run` under a steady flow of events, to be killed.

It is told the log and, unless it is to go on for ever, the number of events. Each event is numbered by
its frame, on from the last one in the log. After that number it waits for the end of standard input,
closes the sinks, and says "end" on standard error.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
from pathlib import Path

from gatecam.app import build_live_sinks
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config, NotifyConfig
from gatecam.types import Event, EventKind, Verdict


def tell(name: str, text: str | None) -> None:
    if name == "log":
        print("trouble" if text else "well", file=sys.stderr, flush=True)


path = Path(sys.argv[1])
number = int(sys.argv[2]) if len(sys.argv) > 2 else None
logged = [json.loads(line)["frame"] for line in path.read_text().splitlines() if line.endswith("}")]
start = max(logged, default=-1) + 1
config = Config(notify=NotifyConfig(sound=False, log=str(path), queue=100_000))
sinks = build_live_sinks(config, Telemetry(), print_events=True, on_trouble=tell)
pause = threading.Event()
for frame in itertools.count(start) if number is None else range(start, start + number):
    sinks.send(Event(EventKind.MASK_MISSING, "gate", frame, Verdict.NONE, frame / 30, frame, 0.9))
    pause.wait(0.001 * (frame % 3))  # bursts, and events that come alone
if number is not None:
    sys.stdin.read()
    sinks.close()
    print("end", file=sys.stderr, flush=True)
