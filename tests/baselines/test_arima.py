"""ARIMA on the adjusted series: known processes are forecast as they must be, and nothing later is read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan.baselines.arima import arima
from longspan.baselines.base import Unsuited

NAN = float("nan")
ORIGINS = np.array([100, 106, 112])


def autoregressive(phi: float, length: int = 600, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    series = np.zeros(length)
    for t in range(1, length):
        series[t] = phi * series[t - 1] + draws.normal()
    return series


def seasonal(length: int = 124, season: int = 6) -> np.ndarray:
    steps = np.arange(length)
    return 30 + 2 * autoregressive(0.6, length) + 5 * np.sin(2 * np.pi * steps / season)


@pytest.mark.parametrize("phi", [0.5, 0.8])
def test_an_autoregression_decays_by_phi_to_its_mean(phi: float) -> None:
    series = 20 + autoregressive(phi)
    origin = 400 + int(np.argmax(np.abs(series[400:] - 20))) + 1  # where there is most to decay
    found = arima(series, np.array([400, origin]), 8, 1).values[1]
    expected = 20 + (series[origin - 1] - 20) * phi ** np.arange(1, 9)
    np.testing.assert_allclose(found, expected, atol=0.6)
    assert (np.diff(np.abs(found - 20)) < 0).all()


def test_a_walk_with_drift_goes_on_drifting() -> None:
    walk = np.cumsum(0.8 + np.random.default_rng(1).normal(size=500))
    found = arima(walk, np.array([400, 500]), 10, 1)
    assert "ARIMA(" in found.form and ",1," in found.form and " with drift" in found.form
    np.testing.assert_allclose(np.diff(found.values, axis=1)[:, 3:], 0.8, atol=0.15)


def test_white_noise_is_forecast_by_its_mean() -> None:
    noise = 5 + np.random.default_rng(2).normal(size=400)
    found = arima(noise, np.array([400]), 6, 1)
    assert found.form == "ARIMA(0,0,0) with a mean on the last 400 values"
    np.testing.assert_allclose(found.values[0], noise.mean(), atol=1e-3)


def test_trend_and_season_are_continued_exactly() -> None:
    steps = np.arange(140)
    series = 50 + 0.7 * steps + np.array([3.0, -1, 4, -1, -5, 0])[steps % 6]
    found = arima(series, ORIGINS, 24, 6)
    assert found.form == "a straight line after STL of 6 steps on the last 100 values"
    expected = np.stack([series[origin : origin + 24] for origin in ORIGINS])
    np.testing.assert_allclose(found.values, expected, atol=1e-6)


def test_the_last_cycle_is_added_back() -> None:
    pattern = np.array([9.0, -4, 2, -7])
    series = pattern[np.arange(130) % 4] + np.random.default_rng(4).normal(0, 0.2, 130)
    found = arima(series, np.array([101, 122]), 8, 4).values
    expected = np.stack([pattern[(origin + np.arange(8)) % 4] for origin in (101, 122)])
    np.testing.assert_allclose(found, expected, atol=0.7)


def test_later_origins_use_later_values_without_a_fit() -> None:
    walk = np.cumsum(np.random.default_rng(9).normal(size=112))
    walk[106:] += 60
    found = arima(walk, ORIGINS, 6, 1)
    np.testing.assert_allclose(found.values[:, 0], walk[ORIGINS - 1], atol=3)
    np.testing.assert_array_equal(found.values[0], arima(walk[:100], ORIGINS[:1], 6, 1).values[0])


@settings(max_examples=3)
@given(seed=st.integers(0, 1000), season=st.sampled_from([1, 6]))
def test_noise_after_an_origin_changes_no_bit(seed: int, season: int) -> None:
    series, draws = seasonal(), np.random.default_rng(seed)
    before = arima(series, ORIGINS, 6, season)
    for place, origin in enumerate(ORIGINS[:2]):
        noisy = series.copy()
        noisy[origin:] = draws.normal(0, 1e4, len(series) - origin)
        noisy[origin + int(draws.integers(5))] = NAN
        after = arima(noisy, ORIGINS, 6, season)
        np.testing.assert_array_equal(after.values[: place + 1], before.values[: place + 1])
        assert after.form == before.form


def test_the_last_value_is_read() -> None:
    series = seasonal()
    before = arima(series, ORIGINS, 6, 6).values
    series[111] += 9
    after = arima(series, ORIGINS, 6, 6).values
    assert (after[2] != before[2]).any()
    np.testing.assert_array_equal(after[:2], before[:2])


@pytest.mark.parametrize("season", [1, 6])
@pytest.mark.parametrize(("factor", "shift"), [(1e-3, 0.0), (250.0, -4e4)])
def test_forecasts_follow_the_unit_and_the_level(season: int, factor: float, shift: float) -> None:
    series = seasonal()
    found = arima(series, ORIGINS, 6, season)
    other = arima(factor * series + shift, ORIGINS, 6, season)
    assert other.form == found.form
    np.testing.assert_allclose((other.values - shift) / factor, found.values, rtol=1e-3)


def test_gaps_hardly_move_the_forecast() -> None:
    steps = np.arange(124)
    series = 30 + 5 * np.sin(steps * np.pi / 3) + np.random.default_rng(6).normal(0, 0.1, 124)
    whole = arima(series, ORIGINS, 6, 6)
    gaps = series.copy()
    gaps[[7, 8, 31, 98, 99, 104, 110, 111]] = NAN
    found = arima(gaps, ORIGINS, 6, 6)
    assert "5 of 100 values are missing" in found.notes
    np.testing.assert_allclose(found.values, whole.values, atol=0.4)


@pytest.mark.parametrize(("series", "text"), [(np.ones(40), "all its values"), (np.arange(8.0), "8 known")])
def test_a_series_without_a_forecast_says_why(series: np.ndarray, text: str) -> None:
    with pytest.raises(Unsuited, match=text):
        arima(series, np.array([len(series)]), 3, 1)


@pytest.mark.parametrize("season", [1, 6])
def test_a_series_of_zeros_and_a_few_counts_is_forecast(season: int) -> None:
    counts = np.random.default_rng(8).poisson(0.15, 120).astype(float)
    found = arima(counts, np.array([100, 110]), 6, season)
    assert np.isfinite(found.values).all()
    assert np.abs(found.values).max() < 3
