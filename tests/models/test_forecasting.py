"""The whole forecaster in the user's units: what it follows, what it cannot see, how it is scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan.data.panel import Panel
from longspan.data.windows import Windows, validation_windows
from longspan.metrics.point import mae, seasonal_scale
from longspan.models.comparison import compare
from longspan.models.design import Decoding, Design, build_forecaster
from longspan.models.forecasting import Forecasts, forecast_all

PanelOf = Callable[..., Panel]
LEVELS = (0.1, 0.5, 0.9)
DESIGN = Design(
    context=12, horizon=4, seasons=(6,), anchor=6, step_size=3, future_size=5, hidden_size=6, shortcut=12
)


def series(length: int = 60, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    return np.sin(np.arange(length) * np.pi / 3) + 0.3 * draws.normal(size=length)


def ahead(panel: Panel, design: Design = DESIGN, cut: int | None = None, seed: int = 0) -> Forecasts:
    torch.manual_seed(0)
    network = build_forecaster(design)
    with torch.no_grad():  # a linear map that is not yet zero
        for each in network.parameters():
            each.add_(0.05 * torch.randn_like(each))
    where = panel.observed if cut is None else cut
    windows = Windows(panel, design.features.reach, design.horizon, where, where, min_future=0)
    numbers = np.arange(len(windows))
    return forecast_all(
        network, design.features, windows, numbers, LEVELS, nonnegative=design.nonnegative, seed=seed
    )


@pytest.mark.parametrize("head", ["quantile", "student-t"])
@pytest.mark.parametrize("decoding", ["direct", "step"])
@settings(max_examples=15)
@given(a=st.floats(1e-2, 1e3), b=st.floats(-1e5, 1e5))
def test_a_forecast_follows_the_unit_of_measurement(
    panel_of: PanelOf, head: str, decoding: Decoding, a: float, b: float
) -> None:
    design = DESIGN.model_copy(update={"head": head, "decoding": decoding})
    y = series()
    one, two = ahead(panel_of(y), design), ahead(panel_of(a * y + b), design)
    tolerance = a * 2e-4 + 1e-12 * abs(b)  # float32 in scaled units, and the rounding of a·y + b
    np.testing.assert_allclose(two.quantiles, a * one.quantiles + b, atol=tolerance, rtol=1e-12)
    np.testing.assert_allclose(two.mean, a * one.mean + b, atol=tolerance, rtol=1e-12)


def test_an_offset_of_a_thousand_million_does_not_blur_the_forecast(panel_of: PanelOf) -> None:
    y = series()
    near, far = ahead(panel_of(y)), ahead(panel_of(y + 1e9))
    np.testing.assert_allclose(far.quantiles - 1e9, near.quantiles, atol=1e-4)


@pytest.mark.parametrize("decoding", ["direct", "step"])
def test_what_comes_after_the_cut_changes_no_bit(panel_of: PanelOf, decoding: Decoding) -> None:
    design = DESIGN.model_copy(update={"decoding": decoding})
    y = series()
    noise = y.copy()
    noise[40:] = np.random.default_rng(5).normal(scale=1e3, size=20)
    one, two = (ahead(panel_of(each), design, cut=40) for each in (y, noise))
    assert np.array_equal(one.quantiles, two.quantiles)
    assert np.array_equal(one.mean, two.mean)
    assert np.array_equal(one.past, two.past)
    assert not np.array_equal(one.actual, two.actual)


@pytest.mark.parametrize("decoding", ["direct", "step"])
def test_the_last_observation_changes_the_forecast(panel_of: PanelOf, decoding: Decoding) -> None:
    design = DESIGN.model_copy(update={"decoding": decoding})
    y = series()
    moved = y.copy()
    moved[39] += 0.2
    one, two = (ahead(panel_of(each), design, cut=40) for each in (y, moved))
    assert not np.isclose(one.mean, two.mean).all()


def test_steps_before_the_series_read_as_missing(panel_of: PanelOf) -> None:
    """A short history gives what the same values behind blanks give."""
    y = series(7)
    short = ahead(panel_of(y))
    torch.testing.assert_close(short.past[:, :11], np.full((1, 11), np.nan), equal_nan=True)
    padded = ahead(panel_of(np.r_[0.0, np.full(30, np.nan), y]))
    assert np.array_equal(short.quantiles, padded.quantiles)
    assert np.isfinite(short.quantiles).all()


@pytest.mark.parametrize("value", [0.0, 7.0, 1e-9, -3e8])
def test_a_constant_history_gives_a_finite_forecast_near_it(panel_of: PanelOf, value: float) -> None:
    found = ahead(panel_of(np.full(40, value)))
    assert np.isfinite(found.quantiles).all()
    assert np.abs(found.median - value).max() <= 1e-2 * abs(value) + (2.0 if value == 0 else 0.0)


def test_nonnegative_forecasts_are_cut_at_zero_and_stay_in_order(panel_of: PanelOf) -> None:
    y = series() - 0.5
    free, bound = ahead(panel_of(y)), ahead(panel_of(y), DESIGN.model_copy(update={"nonnegative": True}))
    assert (free.quantiles < 0).any()
    assert np.array_equal(bound.quantiles, np.maximum(free.quantiles, 0))
    assert np.array_equal(bound.mean, np.maximum(free.mean, 0))


def test_the_network_is_given_back_in_the_mode_it_came_in(panel_of: PanelOf) -> None:
    network = build_forecaster(DESIGN.model_copy(update={"dropout": 0.5})).train()
    windows = Windows(panel_of(series()), DESIGN.features.reach, 4, 50, 50, min_future=0)
    found = [
        forecast_all(network, DESIGN.features, windows, np.array([0]), LEVELS, nonnegative=False)
        for _ in range(2)
    ]
    assert np.array_equal(found[0].mean, found[1].mean)  # no dropout in a forecast
    assert network.training


def test_more_windows_than_a_batch_are_all_forecast_in_order(panel_of: PanelOf) -> None:
    panel = panel_of(series(700))
    network = build_forecaster(DESIGN)
    windows = validation_windows(panel, DESIGN.features.reach, 4, holdout=600)
    every = np.arange(len(windows))
    found = forecast_all(network, DESIGN.features, windows, every, LEVELS, nonnegative=False)
    assert found.cut.tolist() == list(range(100, 697))
    alone = forecast_all(network, DESIGN.features, windows, np.array([300]), LEVELS, nonnegative=False)
    np.testing.assert_allclose(found.quantiles[300], alone.quantiles[0], atol=1e-5)


def test_scores_are_those_of_the_same_windows_by_hand(panel_of: PanelOf) -> None:
    y = series(80)
    panel = panel_of(y, seasons=(6,))
    found = ahead(panel, cut=70)
    scores = compare(found, panel, np.array([70]))
    actual = y[None, 70:74]
    assert scores["season"] == 6
    assert scores["model"]["mae"] == pytest.approx(mae(actual, found.median))
    scale = float(seasonal_scale(y[:70], 6))
    assert scores["model"]["mase"] == pytest.approx(mae(actual, found.median) / scale)
    naive = y[None, 64:68]
    assert scores["baselines"]["seasonal_naive"]["mae"] == pytest.approx(mae(actual, naive))
    assert scores["baselines"]["last_value"]["mae"] == pytest.approx(mae(actual, np.full((1, 4), y[69])))
    best = min(scores["baselines"], key=lambda name: scores["baselines"][name]["mase"])
    assert scores["strongest"] == best
    assert {"wql", "coverage_80"} <= scores["model"].keys()


def test_a_series_shorter_than_the_test_part_has_no_scale(panel_of: PanelOf) -> None:
    """A length before the test part that is negative must not count from the end of the series."""
    panel = panel_of(series(60), series(20, seed=1))
    found = ahead(panel, cut=18)
    assert found.series.tolist() == [0, 1]
    scores = compare(found, panel, np.array([40, -12]))
    first = replace(
        found,
        **{
            name: getattr(found, name)[:1]
            for name in ("series", "cut", "past", "actual", "mean", "quantiles")
        },
    )
    assert scores["model"]["mase"] == pytest.approx(
        compare(first, panel, np.array([40, -12]))["model"]["mase"]
    )


def test_scores_without_a_scale_are_not_a_number_but_the_strongest_is_found(panel_of: PanelOf) -> None:
    panel = panel_of(np.full(60, 3.0))
    scores = compare(ahead(panel, cut=50), panel, np.array([50]))
    assert np.isnan(scores["model"]["mase"])
    assert scores["strongest"] == "last_value"
    assert scores["baselines"]["last_value"]["mae"] == 0
