"""Ridge from window to future: exact on linear data, deaf to windows whose future is not wholly known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from longspan.baselines.linear import ridge_map, ridge_on_the_window
from longspan.baselines.table import BASELINES
from longspan.core.errors import InputError

NAN = float("nan")
CONTEXT, HORIZON = 6, 3


def linear(windows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    weights, offsets = draws.normal(size=(3, 5)), draws.normal(size=3)
    past = draws.normal(size=(windows, 5))
    return past, past @ weights.T + offsets, weights, offsets


def test_it_finds_the_map_that_made_the_data() -> None:
    past, future, weights, offsets = linear()
    found, shift = ridge_map(past, future)
    # The least penalty, 1e-3 a window, shrinks weights on inputs of variance one by about a thousandth.
    np.testing.assert_allclose(found, weights, rtol=5e-3, atol=2e-3)
    np.testing.assert_allclose(shift, offsets, rtol=5e-3, atol=2e-3)


def test_windows_with_an_unknown_future_change_nothing() -> None:
    past, future, *_ = linear()
    alone = ridge_map(past[:300], future[:300])
    future[300:, 1], past[300:] = np.nan, 1e6
    for found, expected in zip(ridge_map(past, future), alone, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_without_a_known_future_the_map_is_zero() -> None:
    weights, offsets = ridge_map(np.ones((4, 5)), np.full((4, 2), np.nan))
    assert weights.shape == (2, 5) and offsets.shape == (2,)
    assert not weights.any() and not offsets.any()


def test_one_step_ahead_keeps_two_dimensions() -> None:
    past, future, *_ = linear()
    weights, offsets = ridge_map(past, future[:, :1])
    assert weights.shape == (1, 5) and offsets.shape == (1,)


def test_noise_is_not_learned() -> None:
    draws = np.random.default_rng(1)
    past, future = draws.normal(size=(40, 30)), draws.normal(size=(40, 1))
    free = np.linalg.lstsq(past - past.mean(0), future - future.mean(0), rcond=None)[0]
    assert np.abs(ridge_map(past, future)[0]).sum() < 0.7 * np.abs(free).sum()


def windows(
    series: np.ndarray, context: int = CONTEXT, horizon: int = HORIZON
) -> tuple[np.ndarray, np.ndarray]:
    both = np.lib.stride_tricks.sliding_window_view(series, context + horizon)
    return both[:, :context].copy(), both[:, context:].copy()


def noisy_waves() -> np.ndarray:
    draws = np.random.default_rng(5)
    steps = np.arange(300)
    return 20 + 4 * np.sin(steps / 3) + draws.normal(size=300)


def learned(series: np.ndarray | None = None):
    return ridge_on_the_window(*windows(noisy_waves() if series is None else series))


pasts = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.just(CONTEXT)),
    elements=st.floats(-1e3, 1e3).map(lambda value: round(value, 3)) | st.just(NAN),
)


def test_an_exact_recurrence_is_recovered() -> None:
    # An oscillation that slowly dies about a level: roots 0.998 exp(+-0.7 i).
    series = np.zeros(120)
    series[:2] = 3.0, -1.0
    for t in range(2, 120):
        series[t] = 1.996 * np.cos(0.7) * series[t - 1] - 0.996004 * series[t - 2] + 2
    past, future = windows(series, 8, 5)
    run = ridge_on_the_window(past[:80], future[:80])
    np.testing.assert_allclose(run(past[80:], 5, 1), future[80:], atol=1e-6 * series.std())


def test_a_line_is_continued() -> None:
    run = learned(3.0 + 0.5 * np.arange(60))
    np.testing.assert_allclose(run(np.arange(6.0)[None], 3, 1), [[6, 7, 8]], atol=1e-5)


@given(past=pasts)
def test_every_row_with_a_known_value_is_forecast(past: np.ndarray) -> None:
    before = past.copy()
    forecast = learned()(past, HORIZON, 1)
    empty = np.isnan(past).all(axis=1)
    np.testing.assert_array_equal(np.isnan(forecast), np.repeat(empty[:, None], HORIZON, axis=1))
    np.testing.assert_array_equal(past, before)


@given(past=pasts, order=st.randoms(use_true_random=False))
def test_rows_do_not_see_each_other(past: np.ndarray, order) -> None:
    rows, run = list(range(len(past))), learned()
    order.shuffle(rows)
    np.testing.assert_array_equal(run(past[rows], HORIZON, 1), run(past, HORIZON, 1)[rows])
    np.testing.assert_array_equal(run(past[:1], HORIZON, 1), run(past, HORIZON, 1)[:1])


@given(past=pasts, factor=st.floats(0.5, 4), shift=st.floats(-100, 100))
def test_forecasts_follow_the_unit_and_the_level(past: np.ndarray, factor: float, shift: float) -> None:
    run = learned()
    expected = factor * run(past, HORIZON, 1) + shift
    np.testing.assert_allclose(run(factor * past + shift, HORIZON, 1), expected, rtol=1e-9, atol=1e-6)


def test_the_map_does_not_depend_on_the_unit_of_each_training_window() -> None:
    past, future = windows(noisy_waves())
    factor, shift = np.linspace(0.1, 50, len(past))[:, None], np.linspace(-900, 70, len(past))[:, None]
    other = ridge_on_the_window(factor * past + shift, factor * future + shift)
    np.testing.assert_allclose(other(past, HORIZON, 1), learned()(past, HORIZON, 1), rtol=1e-8)


def test_a_missing_value_takes_the_one_before_it() -> None:
    run = learned()
    gaps = np.array([[NAN, 2.0, NAN, 5.0, 4.0, NAN]])
    np.testing.assert_array_equal(run(gaps, 2, 1), run(np.array([[2.0, 2.0, 2.0, 5.0, 4.0, 4.0]]), 2, 1))


def test_longer_and_shorter_pasts() -> None:
    run, row = learned(), np.array([[4.0, 2.0, 7.0, 5.0, 4.0, 3.0]])
    np.testing.assert_array_equal(
        run(np.pad(row, ((0, 0), (4, 0)), constant_values=9.0), 3, 1), run(row, 3, 1)
    )
    padded = np.pad(row[:, 3:], ((0, 0), (3, 0)), constant_values=NAN)
    np.testing.assert_array_equal(run(row[:, 3:], 3, 1), run(padded, 3, 1))
    np.testing.assert_array_equal(run(row, 1, 1), run(row, 3, 1)[:, :1])


def test_a_constant_past_keeps_its_value() -> None:
    np.testing.assert_array_equal(learned()(np.full((1, 6), 0.1), 3, 1), np.full((1, 3), 0.1))


def test_windows_that_say_nothing_are_not_learned_from() -> None:
    past, future = windows(noisy_waves())
    idle = np.full((5, CONTEXT), 3.0), np.full((5, HORIZON), 1e9)
    unknown = np.full((5, CONTEXT), NAN), np.ones((5, HORIZON))
    open_end = past[:5], np.full((5, HORIZON), NAN)
    jump = np.array([[3.0, 3.0, 3.0, 3.0, 3.0, 3.001]]), np.full((1, HORIZON), 5e3)
    more = (
        np.concatenate(parts) for parts in zip((past, future), idle, unknown, open_end, jump, strict=True)
    )
    other = ridge_on_the_window(*more)
    np.testing.assert_array_equal(other(past, HORIZON, 1), learned()(past, HORIZON, 1))


def test_a_random_walk_is_left_where_it_is() -> None:
    draws = np.random.default_rng(2)
    walks = np.cumsum(draws.normal(size=(40, 200)), axis=1)
    parts = [windows(walk, 24, 4) for walk in walks]
    run = ridge_on_the_window(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    past, future = windows(np.cumsum(draws.normal(size=4000)), 24, 4)
    error, still = run(past, 4, 1) - future, past[:, -1:] - future
    assert (error**2).mean() < 1.02 * (still**2).mean()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda run: run(np.ones((1, 6)), 4, 1),
            "expected horizon of at most the 3 steps that were learned, got 4",
        ),
        (lambda run: run(np.ones(6), 1, 1), "expected past of shape (B, C) with C of at least 1, got (6,)"),
        (
            lambda _: ridge_on_the_window(np.ones((2, 6)), np.ones((2, 3))),
            "expected a training window with a known future and a past that varies, got none among 2. Give a "
            "longer series, a shorter context or a shorter horizon",
        ),
        (
            lambda _: ridge_on_the_window(np.ones((2, 6)), np.ones((3, 3))),
            "expected as many futures as pasts, got 3 and 2",
        ),
    ],
)
def test_refusals(call, text: str) -> None:
    with pytest.raises(InputError) as caught:
        call(learned())
    assert str(caught.value).startswith("ridge: ")
    assert text in str(caught.value)


@pytest.mark.data
def test_on_etth1_it_reaches_the_known_error(shared_data: Path) -> None:
    table = pl.read_csv(shared_data / "timeseries" / "ETTh1.csv.gz", columns=["OT"])
    series = table["OT"].to_numpy().astype(np.float64)
    series = (series - series[:8640].mean()) / series[:8640].std()
    run = BASELINES["ridge"].fitted(*windows(series[:8640], 336, 24), 24).run
    past, future = windows(series[11520 - 336 : 14400], 336, 24)
    assert ((run(past, 24, 24) - future) ** 2).mean() == pytest.approx(0.0260, abs=2e-4)
