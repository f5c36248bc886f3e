"""The whole program through every fault once: it stays, recovers, and loses no acknowledged event.

Other tests run beside it, so it waits longer than `make soak`, which measures times.
"""

from __future__ import annotations

import sys

import pytest

from tests.faults.soak import FAULTS, soak, verdict

ALL_S = 1200.0  # far more than all faults take
PATIENCE = 10.0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, stops processes")
def test_the_program_survives_every_fault():
    record = soak(ALL_S, 0.0, rounds=1, patience=PATIENCE)
    assert verdict(record) == []
    assert {outcome.fault for outcome in record.outcomes} == {fault.__name__ for fault in FAULTS}
