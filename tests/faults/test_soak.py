"""The whole program through every fault once: it stays, recovers in time, and loses no acknowledged event."""

from __future__ import annotations

import sys

import pytest

from tests.faults.soak import FAULTS, soak, verdict

ALL_S = 600.0  # far more than all faults take


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, stops processes")
def test_the_program_survives_every_fault():
    record = soak(ALL_S, 0.0, rounds=1)
    assert verdict(record) == []
    assert {outcome.fault for outcome in record.outcomes} == {fault.__name__ for fault in FAULTS}
