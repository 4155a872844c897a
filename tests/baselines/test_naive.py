from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from longspan.baselines.naive import drift, last_value, seasonal_mean, seasonal_naive
from longspan.baselines.table import BASELINES, applicable
from longspan.core.errors import InputError

NAN = float("nan")
ALL = pytest.mark.parametrize("name", [baseline.name for baseline in applicable(2)])

pasts = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 12)),
    elements=st.floats(-1e5, 1e5) | st.just(NAN),
)


def test_last_value_by_hand() -> None:
    past = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, NAN], [7.0, NAN, NAN]])
    np.testing.assert_array_equal(last_value(past, 2), [[3, 3], [2, 2], [7, 7]])


def test_drift_by_hand() -> None:
    past = np.array([[1.0, 9.0, 5.0], [NAN, 2.0, 5.0], [0.0, 4.0, NAN], [NAN, 3.0, NAN]])
    # Slopes 2, 3, 4 and none; the third row's first forecast is two steps after its last known value.
    np.testing.assert_array_equal(drift(past, 2), [[7, 9], [8, 11], [12, 16], [3, 3]])


def test_seasonal_naive_by_hand() -> None:
    past = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, NAN, NAN], [NAN, NAN, NAN, 8.0, NAN]])
    # Five values, season 3: the next step has the phase of index 2.
    np.testing.assert_array_equal(
        seasonal_naive(past, 5, 3), [[3, 4, 5, 3, 4], [3, 1, 2, 3, 1], [8, 8, 8, 8, 8]]
    )


def test_seasonal_mean_by_hand() -> None:
    past = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, NAN, 3.0, NAN, NAN]])
    np.testing.assert_array_equal(seasonal_mean(past, 4, 2), [[3, 3, 3, 3], [2, 2, 2, 2]])
    np.testing.assert_array_equal(seasonal_mean(past[:1], 3, 3), [[3, 2.5, 3.5]])


def test_a_season_longer_than_the_past_uses_the_phases_that_are_known() -> None:
    past = np.array([[1.0, 2.0]])
    np.testing.assert_array_equal(seasonal_naive(past, 5, 4), [[2, 2, 1, 2, 2]])


@ALL
@given(past=pasts, horizon=st.integers(1, 9), season=st.integers(1, 8))
def test_every_row_with_a_known_value_is_forecast(name: str, past, horizon: int, season: int) -> None:
    before = past.copy()
    forecast = BASELINES[name].run(past, horizon, season)
    assert forecast.shape == (len(past), horizon)
    assert forecast.dtype == np.float64
    empty = np.isnan(past).all(axis=1)
    np.testing.assert_array_equal(np.isnan(forecast), np.repeat(empty[:, None], horizon, axis=1))
    np.testing.assert_array_equal(past, before)


@ALL
@given(past=pasts, season=st.integers(1, 8), order=st.randoms(use_true_random=False))
def test_rows_do_not_see_each_other(name: str, past, season: int, order) -> None:
    rows = list(range(len(past)))
    order.shuffle(rows)
    run = BASELINES[name].run
    np.testing.assert_array_equal(run(past[rows], 5, season), run(past, 5, season)[rows])
    np.testing.assert_array_equal(run(past[:1], 5, season), run(past, 5, season)[:1])


@ALL
@given(past=pasts, season=st.integers(1, 8), padding=st.integers(1, 9))
def test_padding_on_the_left_changes_nothing(name: str, past, season: int, padding: int) -> None:
    padded = np.pad(past, ((0, 0), (padding, 0)), constant_values=NAN)
    run = BASELINES[name].run
    np.testing.assert_allclose(run(padded, 6, season), run(past, 6, season), rtol=1e-12, atol=1e-9)


@ALL
@given(past=pasts, season=st.integers(1, 8), factor=st.floats(0.5, 4), shift=st.floats(-100, 100))
def test_forecasts_follow_the_unit(name: str, past, season: int, factor: float, shift: float) -> None:
    run = BASELINES[name].run
    expected = factor * run(past, 6, season) + shift
    np.testing.assert_allclose(run(factor * past + shift, 6, season), expected, rtol=1e-9, atol=1e-6)


@given(st.integers(1, 9), st.integers(1, 30), st.integers(0, 40))
def test_an_exactly_seasonal_series_is_forecast_exactly(season: int, horizon: int, extra: int) -> None:
    steps = np.arange(season + extra + horizon)
    series = np.random.default_rng(season).normal(size=season)[steps % season]
    past, future = series[None, : season + extra], series[None, season + extra :]
    np.testing.assert_array_equal(seasonal_naive(past, horizon, season), future)
    np.testing.assert_allclose(seasonal_mean(past, horizon, season), future, rtol=1e-12, atol=1e-12)


@given(st.floats(-50, 50), st.floats(-5, 5), st.integers(2, 12), st.integers(1, 12))
def test_a_straight_line_is_drifted_exactly(level: float, slope: float, context: int, horizon: int) -> None:
    line = level + slope * np.arange(context + horizon)
    np.testing.assert_allclose(drift(line[None, :context], horizon), line[None, context:], atol=1e-9)


def test_a_season_of_one_is_the_last_value() -> None:
    past = np.random.default_rng(0).normal(size=(3, 10))
    np.testing.assert_array_equal(seasonal_naive(past, 4, 1), last_value(past, 4))


@ALL
@pytest.mark.parametrize(
    ("past", "horizon", "season", "text"),
    [
        (np.zeros(3), 2, 1, "expected past of shape (B, C) with C of at least 1, got (3,)"),
        (np.zeros((2, 0)), 2, 1, "expected past of shape (B, C) with C of at least 1, got (2, 0)"),
        (np.array([[np.inf]]), 2, 1, "expected finite values or NaN (missing) in past"),
        (np.zeros((1, 3)), 0, 1, "expected horizon of at least 1, got 0"),
        (np.zeros((1, 3)), 2, 0, "expected season of at least 1, got 0"),
    ],
)
def test_refusals(name: str, past, horizon: int, season: int, text: str) -> None:
    with pytest.raises(InputError) as caught:
        BASELINES[name].run(past, horizon, season)
    assert str(caught.value).startswith(name + ": ")
    assert text in str(caught.value)
