"""What is decided from the data: context, anchor, seasons, shortcut; and what is refused, in which words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from longspan.core.errors import DataError, InputError
from longspan.data.panel import Panel
from longspan.models.features import WindowFeatures
from longspan.models.fitting import held_out
from longspan.models.planning import (
    Wishes,
    choose_anchor,
    choose_context,
    describe_plan,
    plan_forecaster,
    training_part,
)

PanelOf = Callable[..., Panel]
Values = NDArray[np.float64]


def wave(length: int = 300, season: int = 12, noise: float = 0.05, seed: int = 0) -> Values:
    draws = np.random.default_rng(seed)
    return np.sin(2 * np.pi * np.arange(length) / season) + noise * draws.normal(size=length)


def walk(length: int = 300, seed: int = 0) -> Values:
    return np.random.default_rng(seed).normal(size=length).cumsum()


def test_a_wave_starts_from_the_season_before(panel_of: PanelOf) -> None:
    _, design, _ = plan_forecaster(panel_of(wave(), seasons=(12,)), 12, None, Wishes())
    assert (design.anchor, design.seasons) == (12, (12,))


def test_a_random_walk_starts_from_the_last_value(panel_of: PanelOf) -> None:
    for seed in range(5):
        _, design, _ = plan_forecaster(panel_of(walk(seed=seed), seasons=(12,)), 3, None, Wishes())
        assert design.anchor == 0, seed


def test_a_jump_after_a_flat_window_does_not_outvote_the_rest(panel_of: PanelOf) -> None:
    jump = np.r_[np.full(60, 100.0), wave(400) + 1e6]
    panel = panel_of(jump, seasons=(12,))
    features = WindowFeatures(24, 12, (12,))
    assert choose_anchor(training_part(panel, features, 40), features) == 12


def test_the_validation_part_has_no_say_in_the_anchor(panel_of: PanelOf) -> None:
    values = wave()
    changed = values.copy()
    changed[-30:] = np.random.default_rng(1).normal(scale=100, size=30)
    features = WindowFeatures(24, 12, (12,))
    parts = [training_part(panel_of(each, seasons=(12,)), features, 30) for each in (values, changed)]
    assert len(parts[0]) == len(parts[1])
    for one, two in zip(
        *(part.gather(*part.pairs(np.arange(len(part)))).__dict__.values() for part in parts), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_few_series_get_a_linear_map_and_many_do_not(panel_of: PanelOf) -> None:
    one = plan_forecaster(panel_of(wave()), 5, None, Wishes())[1]
    many = plan_forecaster(panel_of(*[wave(seed=n) for n in range(9)]), 5, None, Wishes())[1]
    assert (one.shortcut, many.shortcut) == (2 * one.context, 0)
    assert one.features.reach >= one.shortcut
    asked = plan_forecaster(panel_of(wave()), 5, None, Wishes(shortcut=False))[1]
    assert asked.shortcut == 0
    step = plan_forecaster(panel_of(wave()), 5, None, Wishes(decoding="step"))[1]
    assert step.shortcut == 0


def test_nonnegative_follows_the_data_and_the_wish(panel_of: PanelOf) -> None:
    assert plan_forecaster(panel_of(wave() + 2), 5, None, Wishes())[1].nonnegative
    assert not plan_forecaster(panel_of(wave()), 5, None, Wishes())[1].nonnegative
    assert not plan_forecaster(panel_of(wave() + 2), 5, None, Wishes(nonnegative=False))[1].nonnegative
    assert plan_forecaster(panel_of(wave()), 5, None, Wishes(nonnegative=True))[1].nonnegative


def test_the_validation_part_is_a_tenth_and_at_least_the_horizon(panel_of: PanelOf) -> None:
    panel = panel_of(wave(400))
    assert plan_forecaster(panel, 5, None, Wishes())[2] == 40
    assert plan_forecaster(panel, 60, None, Wishes())[2] == 60
    assert plan_forecaster(panel, 5, 17, Wishes())[2] == 17


@given(st.integers(1, 500), st.integers(-50, 20_000), st.lists(st.integers(2, 750), max_size=3))
def test_the_context_leaves_something_to_learn_from(horizon: int, spare: int, seasons: list[int]) -> None:
    context = choose_context(horizon, spare, tuple(seasons))
    assert context >= 8
    assert context <= max(spare // 2, 8)
    if seasons and spare > 2000:
        assert any(context % season == 0 for season in seasons)


@pytest.mark.parametrize(
    ("horizon", "seasons", "expected"),
    [
        (48, (24, 168), 168),
        (24, (24,), 168),
        (12, (12,), 168),
        (10, (365,), 365),
        (1, (), 24),
        (30, (), 60),
        (500, (), 168),
    ],
)
def test_contexts_of_usual_data(horizon: int, seasons: tuple[int, ...], expected: int) -> None:
    assert choose_context(horizon, 10_000, seasons) == expected


def test_a_season_too_long_for_the_data_is_left_out(panel_of: PanelOf) -> None:
    _, design, _ = plan_forecaster(panel_of(wave(100), seasons=(12, 90)), 5, None, Wishes())
    assert design.seasons == (12,)
    long = plan_forecaster(panel_of(wave(4000), seasons=(12, 800)), 5, None, Wishes())[1]
    assert long.seasons == (12,)


def test_training_and_validation_never_overlap(panel_of: PanelOf) -> None:
    panel = panel_of(wave(200), wave(150, seed=1), wave(40, seed=2))
    features = WindowFeatures(16, 6)
    training = training_part(panel, features, 20)
    held, numbers = held_out(panel, features, 20)
    _, cuts = training.pairs(np.arange(len(training)))
    series, _ = training.pairs(np.arange(len(training)))
    assert (cuts + 6 <= panel.observed[series] - 20).all()
    there, held_cuts = held.pairs(numbers)
    assert (held_cuts >= panel.observed[there] - 20).all()
    assert (held_cuts + 6 <= panel.observed[there]).all()


def test_held_out_windows_are_bounded_in_number(panel_of: PanelOf) -> None:
    held, numbers = held_out(panel_of(wave(6000)), WindowFeatures(8, 1), 5000)
    assert (len(held), len(numbers)) == (5000, 2048)
    assert (numbers[0], numbers[-1]) == (0, 4999)


def test_a_gap_before_the_validation_part_is_named(panel_of: PanelOf) -> None:
    values = np.full(500, np.nan)
    values[:200], values[-1] = walk(200), 1.0
    with pytest.raises(
        DataError, match=r"column 'y': expected known values in the 24 steps before .*got none\. Cut off"
    ):
        held_out(panel_of(values), WindowFeatures(24, 5), 50)


@pytest.mark.parametrize(
    ("wishes", "validation", "text"),
    [
        (
            Wishes(anchor=7),
            None,
            r"anchor: expected the last value \(0\) or one of the seasons, 0, 12; got 7",
        ),
        (Wishes(), 4, "validation: expected at least the horizon, 5, got 4"),
        (
            Wishes(context=10_000_000),
            None,
            "context: expected at most the longest series, 300 steps, got 10,000,000",
        ),
        (
            Wishes(levels=(0.1, 0.9)),
            None,
            r"levels: expected two or more rising numbers .* got \(0\.1, 0\.9\)",
        ),
        (
            Wishes(shortcut=True, decoding="step"),
            None,
            "shortcut= does not go with decoding='step' or counts",
        ),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(
    panel_of: PanelOf, wishes: Wishes, validation: int | None, text: str
) -> None:
    with pytest.raises(InputError, match=text):
        plan_forecaster(panel_of(wave(), seasons=(12,)), 5, validation, wishes)


@pytest.mark.parametrize("value", [-1.0, 2.5])
def test_what_is_no_count_is_refused_with_its_value(panel_of: PanelOf, value: float) -> None:
    values = np.arange(100.0)
    values[40] = value
    with pytest.raises(
        DataError, match=rf"column 'y': expected counts \(0, 1, 2 …\) .* got {value:g}\. Use head='quantile'"
    ):
        plan_forecaster(panel_of(values), 5, None, Wishes(head="negative-binomial"))


def test_missing_counts_are_still_counts(panel_of: PanelOf) -> None:
    values = np.arange(100.0)
    values[40] = np.nan
    _, design, _ = plan_forecaster(panel_of(values), 5, None, Wishes(head="negative-binomial"))
    assert (design.head, design.shortcut) == ("negative-binomial", 0)


def test_a_horizon_too_long_is_refused_with_the_lengths(panel_of: PanelOf) -> None:
    with pytest.raises(
        DataError, match=r"column 'y': expected 102 values of one series at least, got 80 in the longest"
    ):
        plan_forecaster(panel_of(wave(80)), 50, None, Wishes())


def test_short_series_beside_long_ones_are_noted(panel_of: PanelOf) -> None:
    panel, _, _ = plan_forecaster(panel_of(wave(200), wave(200), wave(6)), 5, None, Wishes())
    assert any("shorter than 27 values, not learned from" in note and "'s2'" in note for note in panel.notes)


def test_no_window_to_learn_from_is_refused(panel_of: PanelOf) -> None:
    panel = panel_of(wave(30))
    with pytest.raises(DataError, match=r"expected series of at least .* got 30 in the longest"):
        training_part(replace(panel), WindowFeatures(8, 10), 25)


def test_the_plan_in_words(panel_of: PanelOf) -> None:
    panel, design, validation = plan_forecaster(panel_of(wave(), seasons=(12,)), 12, None, Wishes())
    training = training_part(panel, design.features, validation)
    lines = list(describe_plan(panel, design, validation, len(training)))
    assert lines[0].startswith("one series of 300 values, ")
    assert lines[1] == "season: 12 steps"
    assert lines[2].endswith("forecasts 12, starting from the value 12 steps before")
    assert lines[3] == f"learns from {len(training):,} windows; the last 30 values validate"
