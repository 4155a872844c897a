"""A column that carries a later target is named with its lag; one that carries the past, or none, is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from longspan.evaluation.shifted import find_shifted

Array = NDArray[np.float64]
H = 12


def found(
    target: Array, columns: dict[str, Array], known: tuple[str, ...] = (), horizon: int = H
) -> list[tuple[str, int]]:
    offsets, observed = np.array([0, len(target)]), np.array([len(target)])
    return [
        (each.column, each.lag) for each in find_shifted(target, columns, known, offsets, observed, horizon)
    ]


def moved(values: Array, lag: int) -> Array:
    """The value ``lag`` steps later, NaN where there is none."""
    result = np.full(len(values), np.nan)
    if lag >= 0:
        result[: len(values) - lag] = values[lag:]
    else:
        result[-lag:] = values[:lag]
    return result


def series(kind: str, seed: int, length: int = 400) -> Array:
    draws = np.random.default_rng(seed)
    steps = np.arange(length)
    if kind == "walk":
        return 100 + draws.normal(size=length).cumsum()
    if kind == "wave":
        return np.sin(2 * np.pi * steps / 12) + 0.2 * draws.normal(size=length)
    if kind == "counts":
        return draws.poisson(0.3, size=length).astype(float)
    if kind == "sine":
        return np.sin(2 * np.pi * steps / 100)
    return np.tile(draws.normal(size=24), length)[:length]  # "table": exactly periodic


@pytest.mark.parametrize("kind", ["walk", "wave", "counts"])
@given(
    seed=st.integers(0, 1000), lag=st.integers(1, H + 1), scale=st.floats(0.01, 100), shift=st.floats(-50, 50)
)
@settings(max_examples=15)
def test_a_later_target_is_named_with_its_lag(
    kind: str, seed: int, lag: int, scale: float, shift: float
) -> None:
    y = series(kind, seed)
    assert found(y, {"x": scale * moved(y, lag) + shift}) == [("x", lag)]
    assert found(y, {"x": -scale * moved(y, lag)}, known=("x",)) == [("x", lag)]


@pytest.mark.parametrize("seed", range(10))
def test_the_next_difference_and_the_next_return_are_named(seed: int) -> None:
    y = series("walk", seed)
    later = moved(y, 1)
    assert found(y, {"x": later - y}) == [("x", 1)]
    assert found(y, {"x": later / y - 1}) == [("x", 1)]
    assert found(y, {"x": np.round(later, 2)}) == [("x", 1)]


@pytest.mark.parametrize("kind", ["walk", "wave", "counts", "sine", "table"])
@pytest.mark.parametrize("seed", range(4))
def test_the_past_the_calendar_and_noise_carry_nothing(kind: str, seed: int) -> None:
    y, steps, draws = series(kind, seed), np.arange(400), np.random.default_rng(99 + seed)
    free = {
        "noise": draws.normal(size=400),
        "event": (draws.random(400) < 0.1).astype(float),
        "phase": np.sin(2 * np.pi * steps / 12 + 0.3),
        "slow phase": np.cos(2 * np.pi * steps / 100),
        "weekday": (steps % 7 < 5).astype(float),
        "long ago": moved(y, -H),
        "trend": steps.astype(float),
        "constant": np.full(400, 3.0),
        "nothing": np.full(400, np.nan),
    }
    past = {"itself": 2 * y + 1, "one ago": moved(y, -1), "mean": (y + moved(y, -1)) / 2}
    assert found(y, free | past) == []
    assert found(y, free, known=tuple(free)) == []


def test_a_target_known_ahead_is_named_as_far_as_the_horizon() -> None:
    y = series("walk", 0)
    for lag in (0, 1, H - 1):
        assert found(y, {"x": moved(y, -lag)}, known=("x",)) == [("x", -lag)]
    assert found(y, {"x": moved(y, -H)}, known=("x",)) == []


def test_shifts_beyond_the_horizon_and_one_are_not_looked_for() -> None:
    y = series("walk", 0)
    assert found(y, {"x": moved(y, H + 1)}) == [("x", H + 1)]
    assert found(y, {"x": moved(y, H + 2)}) == []


def test_gaps_hide_no_leak() -> None:
    y = series("walk", 0)
    y[np.random.default_rng(1).random(400) < 0.3] = np.nan
    assert found(y, {"x": moved(y, 2)}) == [("x", 2)]


def test_one_event_tells_nothing() -> None:
    """A promotion before the only sale fits by chance."""
    y = np.zeros(200)
    y[150] = 9.0
    column = np.zeros(200)
    column[145] = 1.0
    assert found(y, {"x": column}) == []


def test_most_series_must_agree() -> None:
    values = [series("walk", seed) for seed in range(6)]
    offsets, observed = 400 * np.arange(7), np.full(6, 400)
    noise = np.random.default_rng(9).normal(size=400)
    for leaking in (2, 3, 6):
        column = np.concatenate([moved(y, 1) if n < leaking else noise for n, y in enumerate(values)])
        result = find_shifted(np.concatenate(values), {"x": column}, (), offsets, observed, H)
        assert [(each.series, each.looked_at) for each in result] == ([] if leaking < 3 else [(leaking, 6)])


def test_series_too_short_to_tell_are_left_out() -> None:
    y = series("walk", 0, 20)
    assert found(y, {"x": moved(y, 1)}) == []
