"""`gatecam` with an analyzer that follows a script for tests with signals.

HALT says where it says "halted" on standard error and waits for a signal: `build` or a number of frames;
with `fail` it meets an unknown error at the tenth frame.
"""

from __future__ import annotations

import os
import sys
import threading

import numpy as np

from gatecam import app
from gatecam.cli.main import main
from gatecam.types import Box, Detection, Face, Prediction
from gatecam.vision.fake import FakeAnalyzer

HALT = os.environ["HALT"]
MASK = Prediction(*(np.array(p, np.float32) for p in ([0.02, 0.03, 0.95], [0.5, 0.5], [0.3, 0.4, 0.3])))
FACE = Face(Detection(Box(44, 28, 84, 68), 0.99), MASK)


def halt():
    print("halted", file=sys.stderr, flush=True)
    is_main = threading.current_thread() is threading.main_thread()
    threading.Event().wait(None if is_main else 3)  # no signal wakes another thread


def script():
    for _ in range(10 if HALT == "fail" else int(HALT)):
        yield [FACE]
    if HALT == "fail":
        raise ValueError("no such thing")
    halt()


def build_analyzer(*parts):
    if HALT == "build":
        halt()
    return FakeAnalyzer(script())


app.build_analyzer = build_analyzer
main()
