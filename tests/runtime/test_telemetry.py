"""Stage times as percentiles and histograms."""

from __future__ import annotations

import pytest

from gatecam.runtime.telemetry import BOUNDS_S, Telemetry


def test_a_histogram_holds_all_times_cumulated_and_their_sum():
    telemetry = Telemetry()
    for seconds in (0.001, 0.0011, 0.3, 9.0):
        telemetry.record("detect", seconds)
    telemetry.record("detect", 0.02, frames=2)
    telemetry.record("detect", 5.0, frames=0)
    (histogram,) = telemetry.histograms()
    at_most = dict(zip((*BOUNDS_S, float("inf")), histogram.counts, strict=True))
    assert [at_most[bound] for bound in (0.001, 0.0025, 0.01, 0.25, 0.5, 2.5, float("inf"))] == [
        *(1, 2, 4, 4, 5, 5),
        6,
    ]
    assert histogram.sum_s == pytest.approx(9.3221)


def test_percentiles_are_of_times_that_happened():
    telemetry = Telemetry()
    for milliseconds in range(1, 101):
        telemetry.record("track", milliseconds / 1000)
    (latency,) = telemetry.latencies()
    assert (latency.stage, latency.count) == ("track", 100)
    assert (latency.p50_ms, latency.p95_ms, latency.p99_ms) == pytest.approx((51, 96, 100))
