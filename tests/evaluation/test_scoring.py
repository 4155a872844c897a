"""Each score is given the forecast that minimises it, and intervals are counted by their names."""

from __future__ import annotations

import numpy as np
import pytest

from longspan.evaluation.scoring import point_scores, quantile_scores

ACTUAL = np.array([[1.0, 2.0], [4.0, np.nan]])
MEDIAN = np.array([[1.0, 3.0], [2.0, 9.0]])
MEAN = np.array([[0.0, 2.0], [4.0, 9.0]])


def test_absolute_scores_take_the_median_and_squared_ones_the_mean() -> None:
    found = point_scores(ACTUAL, MEDIAN, MEAN, np.array([0.5, 2.0]))
    assert found["mae"] == pytest.approx((0 + 1 + 2) / 3)
    assert found["mase"] == pytest.approx((0 + 1 / 0.5 + 2 / 2) / 3)
    assert found["smape"] == pytest.approx(200 * (0 + 1 / 5 + 2 / 6) / 3)
    assert found["mse"] == pytest.approx(1 / 3)
    assert found["rmse"] == pytest.approx(np.sqrt(1 / 3))


def test_a_point_forecast_is_scored_as_both() -> None:
    found = point_scores(ACTUAL, ACTUAL, ACTUAL, np.ones(2))
    assert found == {"mase": 0, "smape": 0, "mae": 0, "rmse": 0, "mse": 0}


def test_coverage_is_named_after_the_interval() -> None:
    actual = np.array([[1.0, 5.0, np.nan, 10.0]])
    quantiles = np.array([[[0, 1, 2], [0, 1, 2], [0, 1, 2], [9, 10, 11]]], dtype=float)
    found = quantile_scores(actual, quantiles, (0.1, 0.5, 0.9))
    assert set(found) == {"wql", "coverage_80"}
    assert found["coverage_80"] == pytest.approx(2 / 3)
    # 2 · pinball summed over the three known values, mean over levels, over Σ|y| = 16
    pinball = [0.1 * 1 + 0.1 * 5 + 0.1 * 1, 0 + 0.5 * 4 + 0, 0.1 * 1 + 0.9 * 3 + 0.1 * 1]
    assert found["wql"] == pytest.approx(2 * np.mean(pinball) / 16)


def test_names_of_intervals_carry_no_rounding() -> None:
    levels = (0.025, 0.1, 0.5, 0.9, 0.975)
    found = quantile_scores(np.zeros((1, 1)), np.zeros((1, 1, 5)), levels)
    assert set(found) == {"wql", "coverage_80", "coverage_95"}
    assert np.isnan(found["wql"])  # no size to weigh by
