"""ETS: exact series are continued, the states are those of the textbook, nothing later is read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from longspan.baselines.base import Unsuited
from longspan.baselines.ets import ets

NAN = float("nan")
ORIGINS = np.array([60, 66, 72])


def seasonal(length: int = 84, season: int = 6, noise: float = 0.3, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    steps = np.arange(length)
    level = 30 + np.cumsum(draws.normal(0, noise, length))
    return level + 5 * np.sin(2 * np.pi * steps / season) + draws.normal(0, noise, length)


def test_trend_and_season_are_continued_exactly() -> None:
    steps = np.arange(96)
    series = 50 + 0.7 * steps + np.array([3.0, -1, 4, -1, -5, 0])[steps % 6]
    found = ets(series, ORIGINS, 24, 6)
    expected = np.stack([series[origin : origin + 24] for origin in ORIGINS])
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)


def test_a_growing_season_is_multiplied() -> None:
    steps = np.arange(120)
    factors = np.array([1.3, 0.9, 1.1, 0.7])[steps % 4]
    noise = np.random.default_rng(1).normal(1, 0.01, 120)
    found = ets((10 + steps) * factors * noise, np.array([100]), 8, 4)
    assert found.form.startswith("ETS(M,") and found.form.endswith(",M) on the last 100 values")
    np.testing.assert_allclose(found.values[0], ((10 + steps) * factors)[100:108], rtol=0.03)


def test_a_random_walk_stays_where_it_is() -> None:
    walk = np.cumsum(np.random.default_rng(3).normal(size=500))
    found = ets(walk, np.array([400, 450]), 5, 1)
    assert found.form == "ETS(A,N,N) on the last 400 values"
    np.testing.assert_allclose(found.values, np.repeat(walk[[399, 449], None], 5, axis=1), atol=0.2)


@pytest.mark.parametrize(
    ("series", "season"),
    [
        (seasonal(), 6),
        (seasonal() - 40, 6),
        (seasonal() * np.linspace(1, 4, 84), 6),
        (seasonal(noise=1.0, seed=4), 1),
        (np.exp(seasonal(noise=0.3, seed=5) / 20) * np.linspace(1, 3, 84), 1),
    ],
)
def test_its_forecast_is_that_of_the_library_that_fitted_it(series: np.ndarray, season: int) -> None:
    # Our own recursion carries the states on; at the end of what it fitted statsmodels must say the same.
    found = ets(series, np.array([72]), 15, season)
    error, trend, seasons = found.form[4 : found.form.index(")")].split(",")
    kind = {"A": "add", "M": "mul", "N": None}
    form = {"error": kind[error], "trend": kind[trend[0]], "damped_trend": trend == "Ad"}
    values = series[:72] / np.nanstd(series[:72])
    if seasons == "N":
        model = ETSModel(values, **form)
    else:
        form |= {"seasonal": kind[seasons], "seasonal_periods": season}
        begun = ETSModel(values, **form | {"trend": "add"}, initialization_method="heuristic")
        level = begun.initial_level - 3 * begun.initial_trend
        model = ETSModel(values, **form)
        model.set_initialization_method("known", level, begun.initial_trend, begun.initial_seasonal)
    expected = model.fit(disp=False).forecast(15) * np.nanstd(series[:72])
    np.testing.assert_allclose(found.values[0], expected, rtol=1e-12)


def test_later_origins_use_later_values_without_a_fit() -> None:
    series = seasonal()
    series[66:] += 40
    found = ets(series, ORIGINS, 6, 6)
    assert abs(found.values[0].mean() - series[60:66].mean()) < 5
    assert found.values[2].mean() > found.values[0].mean() + 20
    # At the first origin it is what it would be alone.
    np.testing.assert_array_equal(found.values[0], ets(series[:60], ORIGINS[:1], 6, 6).values[0])


@settings(max_examples=8)
@given(seed=st.integers(0, 1000), season=st.sampled_from([1, 6]))
def test_noise_after_an_origin_changes_no_bit(seed: int, season: int) -> None:
    series, draws = seasonal(), np.random.default_rng(seed)
    before = ets(series, ORIGINS, 6, season)
    for place, origin in enumerate(ORIGINS):
        noisy = series.copy()
        noisy[origin:] = draws.normal(0, 1e4, len(series) - origin)
        noisy[origin + int(draws.integers(5))] = NAN
        after = ets(noisy, ORIGINS, 6, season)
        np.testing.assert_array_equal(after.values[: place + 1], before.values[: place + 1])
        assert after.form == before.form


def test_the_last_value_is_read() -> None:
    series = seasonal()
    before = ets(series, ORIGINS, 6, 6).values
    series[71] += 9
    after = ets(series, ORIGINS, 6, 6).values
    assert (after[2] != before[2]).any()
    np.testing.assert_array_equal(after[:2], before[:2])


@settings(max_examples=8)
@given(factor=st.floats(0.01, 100), season=st.sampled_from([1, 6]))
def test_forecasts_follow_the_unit(factor: float, season: int) -> None:
    series = seasonal()
    expected = factor * ets(series, ORIGINS, 6, season).values
    np.testing.assert_allclose(ets(factor * series, ORIGINS, 6, season).values, expected, rtol=1e-3)


def test_additive_forecasts_follow_the_level() -> None:
    series = seasonal() - 100  # not positive, so that no form is multiplicative
    expected = ets(series, ORIGINS, 6, 6).values - 7
    np.testing.assert_allclose(ets(series - 7, ORIGINS, 6, 6).values, expected, atol=0.02)


def test_gaps_hardly_move_the_forecast() -> None:
    series = seasonal(noise=0.05)
    whole = ets(series, ORIGINS, 6, 6)
    gaps = series.copy()
    gaps[[7, 8, 31, 58, 59, 64, 70]] = NAN
    found = ets(gaps, ORIGINS, 6, 6)
    assert "5 of 60 values are missing" in found.notes
    np.testing.assert_allclose(found.values, whole.values, atol=0.6)


def test_values_that_turn_negative_later_leave_no_number_that_is_not_finite() -> None:
    steps = np.arange(90)
    series = (10 + steps) * np.array([1.3, 0.9, 1.1])[steps % 3]
    series[70:] = -series[70:]
    found = ets(series, np.array([60, 80]), 6, 3)
    assert np.isfinite(found.values[0]).all()
    assert np.isfinite(found.values[1]).all() or "no finite forecast from 1 of 2 origins" in found.notes


@pytest.mark.parametrize(("series", "text"), [(np.ones(40), "all its values"), (np.arange(8.0), "8 known")])
def test_a_series_without_a_forecast_says_why(series: np.ndarray, text: str) -> None:
    with pytest.raises(Unsuited, match=text):
        ets(series, np.array([len(series)]), 3, 1)
