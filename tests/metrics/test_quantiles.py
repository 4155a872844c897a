from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from longspan.core.errors import InputError
from longspan.metrics.point import mae
from longspan.metrics.quantiles import (
    central_coverage,
    mean_from_quantiles,
    pinball_loss,
    weighted_quantile_loss,
)

NAN = float("nan")
LEVELS = (0.1, 0.5, 0.9)
values = st.floats(-1e4, 1e4)


def test_pinball_by_hand() -> None:
    actual = [[10.0, NAN], [0.0, 4.0]]
    forecast = np.array([[[8.0, 10.0, 12.0], [NAN] * 3], [[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]]])
    # level 0.1: 0.1·2, 0.9·1, 0;  level 0.5: 0, 0.5·2, 0;  level 0.9: 0.1·2, 0.1·3, 0
    np.testing.assert_allclose(pinball_loss(actual, forecast, LEVELS), [1.1 / 3, 1.0 / 3, 0.5 / 3])
    # 2 · (1.1 + 1.0 + 0.5) / 3 levels / (10 + 0 + 4)
    assert weighted_quantile_loss(actual, forecast, LEVELS) == pytest.approx(2 * 2.6 / 3 / 14)


def test_weighted_loss_of_the_median_is_the_weighted_absolute_error() -> None:
    rng = np.random.default_rng(0)
    actual, forecast = rng.normal(size=(5, 7)), rng.normal(size=(5, 7))
    expected = np.abs(actual - forecast).sum() / np.abs(actual).sum()
    assert weighted_quantile_loss(actual, forecast[..., None], [0.5]) == pytest.approx(expected)


@given(
    actual=arrays.arrays(np.float64, (3, 4), elements=values),
    forecast=arrays.arrays(np.float64, (3, 4, 3), elements=values),
    factor=st.floats(0.01, 100),
)
def test_scale_equivariance(actual, forecast, factor: float) -> None:
    plain, scaled = (
        pinball_loss(actual, forecast, LEVELS),
        pinball_loss(factor * actual, factor * forecast, LEVELS),
    )
    np.testing.assert_allclose(scaled, factor * plain, rtol=1e-9, atol=1e-9)
    if np.abs(actual).sum() > 1e-3:
        assert weighted_quantile_loss(factor * actual, factor * forecast, LEVELS) == pytest.approx(
            weighted_quantile_loss(actual, forecast, LEVELS), rel=1e-9, abs=1e-9
        )
    assert 2 * pinball_loss(actual, forecast[..., :1], [0.5])[0] == pytest.approx(
        mae(actual, forecast[..., 0])
    )


@given(
    sample=arrays.arrays(np.float64, st.integers(2, 40), elements=values),
    level=st.floats(0.02, 0.98),
    other=values,
)
def test_pinball_is_least_at_the_empirical_quantile(sample, level: float, other: float) -> None:
    def loss(quantile: float) -> float:
        return float(pinball_loss(sample[:, None], np.full((len(sample), 1, 1), quantile), [level])[0])

    best = loss(float(np.quantile(sample, level, method="inverted_cdf")))
    assert best <= loss(other) * (1 + 1e-9) + 1e-9
    # The other levels have minimisers of their own: the loss is steep on both sides of this one.
    spread = float(np.ptp(sample)) + 1
    assert best < loss(sample.max() + spread)
    assert best < loss(sample.min() - spread)


def test_coverage_by_hand() -> None:
    levels = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
    forecast = np.broadcast_to([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0], (1, 5, 7))
    actual = [[-1.0, 1.0, -1.5, 2.5, 99.0]]  # the ends of an interval belong to it
    coverage = central_coverage(actual, forecast, levels)
    assert coverage == {0.5: 0.4, 0.8: 0.6, 0.95: 0.8}
    assert list(coverage) == [0.5, 0.8, 0.95]


def test_coverage_of_the_true_quantiles_is_nominal() -> None:
    levels = np.arange(0.05, 1, 0.05)
    actual = np.random.default_rng(1).uniform(size=(2000, 10))
    coverage = central_coverage(actual, np.broadcast_to(levels, (2000, 10, 19)), levels)
    assert len(coverage) == 9
    for nominal, measured in coverage.items():
        assert measured == pytest.approx(nominal, abs=4 * math.sqrt(nominal * (1 - nominal) / actual.size))


def test_coverage_masks_unknown_values_and_lone_levels() -> None:
    forecast = np.array([[[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]])
    assert central_coverage([[1.0, NAN]], forecast, (0.1, 0.9, 0.95)) == {0.8: 1.0}
    assert central_coverage([[1.0, NAN]], forecast, (0.5, 0.6, 0.7)) == {}
    assert math.isnan(central_coverage([[NAN, NAN]], forecast, LEVELS)[0.8])


def test_mean_by_hand() -> None:
    # Flat at 0 up to 0.1, straight to 5 at 0.5, straight to 20 at 0.9, flat to 1:
    # 0.1·0 + 0.4·2.5 + 0.4·12.5 + 0.1·20
    assert mean_from_quantiles([0.0, 5.0, 20.0], LEVELS) == pytest.approx(8.0)
    assert mean_from_quantiles([[7.0]], [0.3]) == pytest.approx([7.0])


@given(
    quantiles=arrays.arrays(np.float64, (2, 3, 3), elements=values),
    shift=values,
    factor=st.floats(-10, 10),
)
def test_mean_is_linear_and_inside_the_quantiles(quantiles, shift: float, factor: float) -> None:
    mean = mean_from_quantiles(quantiles, LEVELS)
    assert mean.shape == (2, 3)
    close = {"rtol": 1e-9, "atol": 1e-7}
    np.testing.assert_allclose(
        mean_from_quantiles(factor * quantiles + shift, LEVELS), factor * mean + shift, **close
    )
    assert (mean <= quantiles.max(axis=-1) + 1e-7).all()
    assert (mean >= quantiles.min(axis=-1) - 1e-7).all()


def test_mean_agrees_with_a_fine_integral() -> None:
    levels, quantiles = [0.05, 0.3, 0.35, 0.8], [-4.0, 1.0, 3.0, 3.5]
    grid = (np.arange(200_000) + 0.5) / 200_000  # np.interp keeps the ends flat
    expected = np.interp(grid, levels, quantiles).mean()
    assert mean_from_quantiles(quantiles, levels) == pytest.approx(expected, abs=1e-8)


def test_nothing_known_is_no_score() -> None:
    forecast = np.zeros((1, 1, 3))
    assert np.isnan(pinball_loss([[NAN]], forecast, LEVELS)).all()
    assert math.isnan(weighted_quantile_loss([[NAN]], forecast, LEVELS))
    assert math.isnan(weighted_quantile_loss([[0.0]], forecast + 1, LEVELS))


@pytest.mark.parametrize(
    ("levels", "text"),
    [
        ([], "expected at least one quantile level"),
        ([0.5, 0.1, 0.9], "inside (0, 1), each above the one before, got [0.5, 0.1, 0.9]"),
        ([0.1, 0.5, 1.0], "inside (0, 1), each above the one before, got [0.1, 0.5, 1.0]"),
        ([0.1, NAN, 0.9], "got [0.1, nan, 0.9]"),
        ([0.1, 0.9], "expected forecast of shape (B, H, Q) = (1, 1, 2), got (1, 1, 3)"),
    ],
)
def test_refusals(levels: list[float], text: str) -> None:
    with pytest.raises(InputError) as caught:
        pinball_loss([[1.0]], np.zeros((1, 1, 3)), levels)
    assert text in str(caught.value)
    assert str(caught.value).startswith("pinball_loss: ")


def test_mean_refuses_another_number_of_levels() -> None:
    with pytest.raises(InputError, match=r"Q = 3 levels, got \(2, 4\)"):
        mean_from_quantiles(np.zeros((2, 4)), LEVELS)
