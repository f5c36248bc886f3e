"""Rates against scikit-learn's, and intervals against what the statistics of the bootstrap must be."""

from __future__ import annotations

import numpy as np
import pytest

from gatecam.training.scores.rates import confusion_by_key, interval, rates_of, resampled

RNG = np.random.default_rng(3)
TRUE, PREDICTED = RNG.integers(0, 4, 300), RNG.integers(0, 4, 300)


@pytest.mark.parametrize("labels", [4, 5])  # a fifth that never occurs changes nothing
def test_rates_are_those_of_scikit_learn(labels):
    metrics = pytest.importorskip("sklearn.metrics")
    keys = np.array([f"person {i % 37}" for i in range(300)])
    by_key = confusion_by_key(TRUE, PREDICTED, labels, keys)
    assert by_key.shape == (37, labels, labels)
    rates = rates_of(by_key.sum(0))
    options = {"average": None, "labels": range(4)}
    assert rates.precision[:4] == pytest.approx(metrics.precision_score(TRUE, PREDICTED, **options))
    assert rates.recall[:4] == pytest.approx(metrics.recall_score(TRUE, PREDICTED, **options))
    assert float(rates.macro_f1) == pytest.approx(metrics.f1_score(TRUE, PREDICTED, average="macro"))
    assert float(rates.micro_f1) == pytest.approx(metrics.f1_score(TRUE, PREDICTED, average="micro"))


def test_a_label_that_is_predicted_and_never_true_counts_nothing_in_macro_f1_as_in_scikit_learn():
    true, predicted = np.array([0, 0, 1]), np.array([0, 2, 1])
    rates = rates_of(confusion_by_key(true, predicted, 4, np.array(["a", "b", "c"])).sum(0))
    assert np.isnan(rates.recall[2:]).all()
    assert rates.precision[2] == 0
    assert float(rates.macro_f1) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_the_interval_of_single_faces_is_that_of_the_binomial():
    right = np.arange(400) < 300
    by_key = confusion_by_key(np.zeros(400, int), (~right).astype(int), 2, np.arange(400).astype(str))
    low, high = interval(rates_of(resampled(by_key)).micro_f1)
    spread = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert (low, high) == pytest.approx((0.75 - spread, 0.75 + spread), abs=0.008)


def test_faces_of_one_person_tell_no_more_than_one_face():
    people = np.arange(40)
    keys = np.repeat(people, 10).astype(str)
    wrong = np.repeat((people % 4 == 0).astype(int), 10)
    by_key = confusion_by_key(np.zeros(400, int), wrong, 2, keys)
    low, high = interval(rates_of(resampled(by_key)).micro_f1)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 40), rel=0.15)


def test_resampling_draws_as_many_keys_as_there_are_and_the_same_ones_again(monkeypatch):
    by_key = np.ones((7, 2, 2))
    assert (resampled(by_key, 50) == 7).all()
    counts = confusion_by_key(TRUE, PREDICTED, 4, np.arange(300).astype(str))
    at_once = resampled(counts, 20, seed=5)
    assert (at_once == resampled(counts, 20, seed=5)).all()
    assert (at_once != resampled(counts, 20, seed=6)).any()
    monkeypatch.setattr("gatecam.training.scores.rates.CHUNK", 900)  # three rounds of 300 keys at a time
    assert (resampled(counts, 20, seed=5) == at_once).all()


def test_of_no_faces_there_is_no_interval():
    none = confusion_by_key(np.zeros(0, int), np.zeros(0, int), 3, np.zeros(0, str))
    assert interval(rates_of(resampled(none, 10)).macro_f1) is None
