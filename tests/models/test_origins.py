"""Where a backtest begins, how far its origins are apart, and that nothing of it is seen before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.data.panel import Panel
from longspan.models.origins import (
    Origins,
    before_origins,
    chosen_series,
    origin_windows,
    plan_origins,
)

Panels = Callable[..., Panel]


def walk(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=length).cumsum()


@pytest.mark.parametrize(
    ("length", "horizon", "count", "expected"),
    [
        (1000, 10, None, (8, 8, 10)),  # as wanted: 16 origins a horizon apart
        (200, 10, None, (8, 8, 4)),  # closer: 2 * 10 + 14 * 4 = 76 of 80
        (85, 10, None, (8, 8, 1)),  # 2 * 10 + 14 = 34
        (64, 10, None, (3, 4, 1)),  # fewer: 2 * 10 + 5 = 25
        (50, 10, None, (1, 1, 10)),  # the least: 20 of 50
        (1000, 1, None, (48, 48, 1)),  # 96 values
        (1000, 5, None, (10, 10, 5)),
        (1000, 10, 5, (2, 3, 10)),
        (1000, 10, 2, (1, 1, 10)),
    ],
)
def test_origins_come_closer_and_then_fewer(
    panel_of: Panels, length: int, horizon: int, count: int | None, expected: tuple[int, int, int]
) -> None:
    found = plan_origins(panel_of(walk(length)), horizon, None, count)
    assert (found.calibrating, found.testing, found.stride) == expected
    assert found.part <= 0.4 * length
    assert found.reason == ""


def test_many_series_have_four_origins_each(panel_of: Panels) -> None:
    many = panel_of(*(walk(100, n) for n in range(30)))
    few = panel_of(*(walk(100, n) for n in range(29)))
    assert plan_origins(many, 5, None) == Origins(2, 2, 5, 5)
    assert plan_origins(few, 6, None) == Origins(8, 8, 2, 6)


def test_what_is_too_short_is_not_tested_and_says_what_is_needed(panel_of: Panels) -> None:
    found = plan_origins(panel_of(walk(49)), 10, None)
    assert (found.testing, found.part) == (0, 0)
    assert found.reason == "the series has 49 values and a backtest of 10 steps needs 50"
    assert plan_origins(panel_of(walk(50)), 10, None).testing == 1
    two = plan_origins(panel_of(walk(49), walk(30)), 10, None)
    assert two.reason.startswith("the median series has 39 values")
    validating = plan_origins(panel_of(walk(100)), 10, 80)
    assert validating.reason.endswith("needs 112")
    assert plan_origins(panel_of(walk(112)), 10, 80).testing == 1


def test_none_asked_is_none_and_one_is_no_backtest(panel_of: Panels) -> None:
    panel = panel_of(walk(100))
    assert plan_origins(panel, 5, None, 0).reason == "the backtest was turned off"
    with pytest.raises(InputError, match=r"expected 0, or at least 2 origins .* got 1\. Leave it out"):
        plan_origins(panel, 5, None, 1)
    with pytest.raises(InputError, match=r"expected at most 32 origins for series of 100 values .* got 33"):
        plan_origins(panel, 5, None, 33)
    assert plan_origins(panel, 5, None, 32).part <= 40


@given(st.integers(4, 400), st.integers(1, 30), st.integers(2, 60) | st.none(), st.integers(1, 3))
def test_every_plan_leaves_enough_to_learn_from(
    panel_of: Panels, length: int, horizon: int, count: int | None, series: int
) -> None:
    panel = panel_of(*(walk(length, n) for n in range(series)))
    try:
        plan = plan_origins(panel, horizon, None, count)
    except InputError:
        assert count is not None
        return
    if not plan.testing:
        assert plan.reason
        assert length < max(5 * horizon, 4 * horizon + 2)
        return
    assert plan.calibrating + plan.testing == (count or plan.calibrating + plan.testing)
    assert plan.part <= 0.4 * length
    assert length - plan.part >= 2 * horizon + 2
    assert 1 <= plan.stride <= horizon
    calibrates, tests = origin_windows(panel, plan, chosen_series(panel, plan, 0), 5)
    early, late = (each.pairs(np.arange(len(each))) for each in (calibrates, tests))
    for n in range(series):
        first, then = early[1][early[0] == n], late[1][late[0] == n]
        assert (len(first), len(then)) == (plan.calibrating, plan.testing)
        assert first[0] == length - plan.part
        assert then[-1] + horizon == length
        # What calibrates is over before the first origin that tests.
        assert first[-1] + horizon <= then[0]
        assert set(np.diff(first)) | set(np.diff(then)) <= {plan.stride}


def test_before_the_part_nothing_of_it_is_left(panel_of: Panels) -> None:
    one, other = walk(100, 1), walk(60, 2)
    one[53:58] = np.nan  # the part begins inside a gap
    panel = panel_of(one, other)
    plan = Origins(2, 2, 5, 10)  # part 30
    assert before_origins(panel, Origins(2, 2, 11, 10), seasons=False).observed.tolist() == [53, 17]
    hidden = before_origins(panel, plan, seasons=False)
    assert plan.part == 30
    assert hidden.observed.tolist() == [70, 30]
    for n in range(2):
        first, last = int(hidden.offsets[n]), int(hidden.offsets[n + 1])
        rows = hidden.target[first:last]
        assert np.isnan(rows[hidden.observed[n] :]).all()
        np.testing.assert_array_equal(hidden.values(n), panel.values(n)[: hidden.observed[n]])
    noised = panel.target.copy()
    noised[70:100], noised[130:160] = 1e9, -1e9
    again = before_origins(replace(panel, target=noised), plan, seasons=True)
    assert again.target.tobytes() == before_origins(panel, plan, seasons=True).target.tobytes()


def test_seasons_are_found_again_in_what_is_left(panel_of: Panels) -> None:
    steps = np.arange(200)
    values = np.where(steps < 120, walk(200), 10 * np.sin(2 * np.pi * steps / 10))
    panel = panel_of(values, seasons=(10,))
    plan = Origins(4, 4, 10, 10)
    assert before_origins(panel, plan, seasons=False).schema.seasons == (10,)
    assert before_origins(panel, plan, seasons=True).schema.seasons == ()


def test_more_origins_than_8192_are_of_a_seeded_sample(panel_of: Panels) -> None:
    panel = panel_of(*(walk(40, n) for n in range(40)), walk(9))
    plan = Origins(150, 150, 1, 1)
    short = Origins(2, 2, 5, 5)
    assert chosen_series(panel, short, 0).tolist() == list(range(40))  # the last is too short
    assert len(chosen_series(panel, plan, 0)) == 0
    few = Origins(2, 298, 1, 1)
    long = panel_of(*(walk(400, n) for n in range(40)))
    chosen = chosen_series(long, few, 3)
    assert len(chosen) == 8192 // 300
    assert (np.diff(chosen) > 0).all()
    assert chosen.tolist() == chosen_series(long, few, 3).tolist()
    assert chosen.tolist() != chosen_series(long, few, 4).tolist()


def test_more_values_than_a_million_are_of_a_seeded_sample(
    panel_of: Panels, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = panel_of(*(walk(60, n) for n in range(40)))
    plan = Origins(1, 1, 10, 10)
    assert len(chosen_series(panel, plan, 0)) == 40
    monkeypatch.setattr("longspan.models.origins._MOST_VALUES", 400)
    assert len(chosen_series(panel, plan, 0)) == 20  # two origins of ten values each
