"""Calibration against values worked out by hand and simulated truths."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gatecam.training.scores.calibration import (
    Bin,
    calibration_error,
    cross_fitted_error,
    fit_temperature,
    reliability,
)


def test_sure_and_always_right_is_perfectly_calibrated():
    probabilities = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]
    assert calibration_error(probabilities, np.array([0, 1, 2, 1])) == 0


def test_sure_and_right_half_the_time_is_overconfident_by_half():
    probabilities = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
    assert calibration_error(probabilities, np.array([0, 1, 0, 1])) == pytest.approx(0.5)


def test_nine_of_ten_at_nine_tenths_is_calibrated():
    probabilities = np.tile(np.array([[0.9, 0.1]], np.float32), (10, 1))
    labels = np.array([0] * 9 + [1])
    assert calibration_error(probabilities, labels) == pytest.approx(0, abs=1e-6)


def test_bins_are_weighed_by_their_faces():
    # Of four faces three say 0.95 and are right twice, one says 0.55 and is wrong.
    probabilities = np.array([[0.95, 0.05]] * 3 + [[0.55, 0.45]], np.float32)
    labels = np.array([0, 0, 1, 1])
    expected = 3 / 4 * (0.95 - 2 / 3) + 1 / 4 * 0.55
    assert calibration_error(probabilities, labels) == pytest.approx(expected, abs=1e-6)
    low, high = reliability(probabilities, labels)
    assert low == Bin(1, pytest.approx(0.55), 0.0)
    assert high == Bin(3, pytest.approx(0.95), pytest.approx(2 / 3))


def test_errors_of_two_bins_do_not_cancel_and_those_of_one_do():
    probabilities = np.array([[0.9, 0.1]] * 2 + [[0.6, 0.4]] * 2, np.float32)
    labels = np.array([0, 1, 0, 0])  # 0.9 is right half the time, 0.6 always
    assert calibration_error(probabilities, labels) == pytest.approx(0.4, abs=1e-6)
    within_a_bin = np.array([[0.9, 0.1]] * 9 + [[0.91, 0.09]], np.float32)  # one of ten is wrong
    assert calibration_error(within_a_bin, np.array([0] * 9 + [1])) == pytest.approx(0, abs=2e-3)


def overconfident(count: int) -> tuple[torch.Tensor, np.ndarray]:
    """Logits three times as large as the labels drawn from them are sure."""
    rng = np.random.default_rng(0)
    honest = torch.from_numpy(rng.normal(0, 1.5, (count, 3)).astype(np.float32))
    labels = np.array([rng.choice(3, p=p / p.sum()) for p in honest.softmax(1).double().numpy()])
    return honest * 3, labels


def test_cross_fitting_mends_what_a_temperature_can_mend():
    logits, labels = overconfident(3000)
    keys = np.arange(3000).astype(str)
    assert calibration_error(logits.softmax(1).numpy(), labels) > 0.15
    assert cross_fitted_error(logits, labels, keys) < 0.03


def test_cross_fitting_never_judges_faces_by_their_own_temperature():
    # Each key's faces need a temperature of their own; those of the other half get it wrong.
    logits, labels = overconfident(2000)
    keys = np.repeat(["a", "e"], 1000)  # their hashes lie in different halves
    logits[1000:] /= 9
    mixed = cross_fitted_error(logits, labels, keys)
    own = [fit_temperature(logits[part], labels[part]) for part in (slice(1000), slice(1000, None))]
    swapped = np.repeat(own[::-1], 1000)[:, None].astype(np.float32)
    expected = calibration_error((logits / torch.from_numpy(swapped)).softmax(1).numpy(), labels)
    assert mixed == pytest.approx(expected, abs=1e-6)
    assert mixed > 0.1


def test_one_key_cannot_be_cross_fitted():
    logits, labels = overconfident(10)
    assert cross_fitted_error(logits, labels, np.full(10, "a")) is None
