"""Seasons are found where there are some and not where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from longspan.data.inference import Roles, read_panel
from longspan.data.seasons import infer_seasons, seasonal_strength
from longspan.data.synthetic import counts, random_walk, seasonal_panel, sine

LONG = Roles(target="value", series=("id",), time="time")


@pytest.mark.parametrize("period", [7, 24, 100])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_period_of_a_sine_is_found_without_time(period: int, noise: float) -> None:
    panel = read_panel(sine(12 * period, period, noise, seed=1))
    assert panel.schema.seasons[:1] == (period,)


def test_a_natural_season_is_confirmed() -> None:
    assert read_panel(seasonal_panel(4, 24 * 21, 24), LONG).schema.seasons == (24,)
    assert read_panel(counts(20, 400, 7, mean=20.0), LONG).schema.seasons == (7,)


def test_a_week_beside_a_day_is_kept_only_for_what_it_adds() -> None:
    frame = seasonal_panel(4, 24 * 7 * 8, 24, noise=0.2)
    hours = np.tile(np.arange(24 * 7 * 8), 4)
    weekend = 6.0 * (hours // 24 % 7 >= 5)
    with_week = frame.with_columns(value=frame["value"].to_numpy() + weekend)
    assert read_panel(with_week, LONG).schema.seasons == (24, 168)


def test_random_walks_have_no_season() -> None:
    found = [read_panel(random_walk(400, seed=seed)).schema.seasons for seed in range(20)]
    assert sum(bool(seasons) for seasons in found) <= 2


def test_short_constant_and_stated_seasons() -> None:
    assert read_panel({"y": [1.0, 2.0, 3.0]}).schema.seasons == ()
    assert read_panel({"y": [5.0] * 100}).schema.seasons == ()
    assert read_panel(sine(500, 50), seasons=(10, 50)).schema.seasons == (10, 50)
    assert read_panel(sine(500, 50), seasons=()).schema.seasons == ()


def test_gaps_do_not_hide_a_season() -> None:
    frame = seasonal_panel(3, 24 * 28, 24).sample(fraction=0.8, seed=0)
    assert infer_seasons(read_panel(frame, LONG)) == (24,)


def test_strength_is_near_one_for_a_season_and_near_zero_for_noise() -> None:
    steps = np.arange(600)
    assert seasonal_strength(np.sin(2 * np.pi * steps / 12), 12) > 0.99
    assert abs(seasonal_strength(np.random.default_rng(0).normal(size=600), 12)) < 0.1
