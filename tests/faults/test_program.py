"""The whole program killed, started twice, and in a crowd."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
import tracemalloc
from contextlib import ExitStack

import numpy as np
import pytest

from gatecam.app import build_pipeline
from gatecam.people.pipeline import People
from gatecam.runtime.telemetry import Telemetry
from gatecam.settings.schema import Config, DetectorConfig
from gatecam.types import Frame
from gatecam.vision.fake import FakeAnalyzer
from tests.faults.kill_store import kill_rounds
from tests.faults.soak import Entrance, Program, Record

LIMIT_S = 60.0
FACES = 10_000


@pytest.fixture
def program(tmp_path):
    """`gatecam run` on two streamed cameras, and what it prints."""
    with ExitStack() as stack:
        entrance = Entrance()
        stack.enter_context(entrance.north)
        stack.enter_context(entrance.south)
        (tmp_path / "disk").mkdir()
        program = Program(tmp_path, entrance, Record())
        yield program
        program.process.kill()
        program.process.wait(LIMIT_S)


def wait_for(holds, what: str) -> float:
    """How long it took until something holds, in s."""
    begun_s = time.monotonic()
    while not holds():
        assert time.monotonic() - begun_s < LIMIT_S, f"{what}: not within {LIMIT_S} s"
        time.sleep(0.02)
    return time.monotonic() - begun_s


@pytest.mark.slow
def test_killed_and_started_again_it_has_every_event_that_it_printed(program):
    record = program.record
    for kills in range(3):
        before = len(record.printed)
        wait_for(lambda: len(record.printed) > before + kills, "an event after a start")  # noqa: B023
        program.process.kill()
        program.process.wait(LIMIT_S)
        program.wait_for_silence()
        logged = program.log.read_text().splitlines(keepends=True)
        assert set(record.printed) <= set(logged)
        program.start()
    wait_for(program.health, "an answer after a restart")
    ats = [json.loads(line)["at"] for line in program.log.read_text().splitlines()]
    assert ats == sorted(ats)


@pytest.mark.slow
def test_killed_beside_readers_of_its_store_it_has_every_event_that_it_printed():
    assert kill_rounds(1, readers=4) == []


@pytest.mark.slow
def test_a_second_gatecam_is_refused_and_the_first_goes_on(program):
    wait_for(lambda: program.record.printed, "an event")
    second = subprocess.run(
        [sys.executable, "-m", "gatecam", "run", "--headless", "--config", program.settings],
        env={**os.environ, "XDG_RUNTIME_DIR": str(program.folder), "GATECAM_NOTIFY_LOG": ""},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert (second.returncode, second.stdout, second.stderr.count("\n")) == (2, "", 1)
    assert f"is used by another gatecam (process {program.process.pid})" in second.stderr
    assert program.health() is not None


def test_ten_thousand_people_leave_neither_memory_nor_each_other_s_alerts(make_face):
    """A hundred stand there at a time; each is told once."""
    columns, at_once = 10, 100

    def crowd(number: int):
        faces = [make_face(60.0 + 64 * (i % columns), 40.0 + 48 * (i // columns), 30) for i in range(at_once)]
        return faces if number % 8 < 6 else []  # six frames of faces, then gone for two seconds

    frames = FACES // at_once * 8
    analyzer = FakeAnalyzer(crowd(number) for number in itertools.count())
    config = Config(detector=DetectorConfig(detect_every=1))
    pipeline = build_pipeline(config, analyzer, "gate", Telemetry())
    people, told, sizes = People(), 0, []
    image = np.zeros((480, 640, 3), np.uint8)
    times_s = itertools.accumulate(10.0 if number % 8 == 6 else 0.1 for number in range(frames))
    tracemalloc.start()
    for step in pipeline.steps(Frame("gate", i, time_s, image) for i, time_s in enumerate(times_s)):
        people.add(step)
        told += len(step.events)
        if step.frame.index % 8 == 7:
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert (people.came, told) == (FACES, FACES)
    assert sizes[-1] - sizes[len(sizes) // 2] < 256 * 1024
