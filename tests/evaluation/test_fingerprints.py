"""Fingerprints stay under scale and shift, and lines, sines and silence have none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from longspan.evaluation.fingerprints import SHORTEST, Stretches, fingerprints

Array = NDArray[np.float64]


def marks(*series: Array) -> Stretches:
    values = np.concatenate(series)
    return fingerprints(
        values, np.r_[0, np.cumsum([len(each) for each in series])], np.ones(len(values), dtype=bool)
    )


def noise(seed: int, length: int = 60) -> Array:
    return np.random.default_rng(seed).normal(size=length)


@given(st.integers(0, 1000), st.floats(0.01, 1e4), st.booleans(), st.floats(-1e3, 1e3))
def test_scale_and_shift_leave_a_fingerprint(seed: int, scale: float, turned: bool, shift: float) -> None:
    values = noise(seed)
    found = marks(values, (-scale if turned else scale) * values + shift)
    one, other = (found.mark[found.series == n] for n in (0, 1))
    assert len(one) == len(other) == 60 - SHORTEST + 1
    assert np.mean(one == other) > 0.95  # a value on the edge of the grid may fall to either side


@given(st.integers(0, 1000))
def test_other_values_have_other_fingerprints(seed: int) -> None:
    found = marks(noise(seed), noise(seed + 1))
    assert len(set(found.mark.tolist())) == len(found.mark)


def test_every_stretch_of_sixteen_values_is_numbered_from_its_first() -> None:
    found = marks(noise(0, 16), noise(1, 15), noise(2, 18))
    assert found.series.tolist() == [0, 2, 2, 2]
    assert found.first.tolist() == [0, 0, 1, 2]


def test_a_missing_value_takes_away_the_stretches_that_hold_it() -> None:
    values = noise(0)
    values[30] = np.nan
    first = marks(values).first
    assert first.tolist() == [*range(15), *range(31, 45)]


def test_rows_that_are_not_looked_at_have_none() -> None:
    looked_at = np.arange(60) >= 40
    found = fingerprints(noise(0), np.array([0, 60]), looked_at)
    assert found.first.min() >= 39


STEPS = np.arange(400.0)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(400),
        np.full(400, 1e9),
        3 * STEPS - 7,
        np.sin(2 * np.pi * STEPS / 100),
        1.01**STEPS,
        np.where(STEPS % 50 == 0, 1.0, 0.0),
        np.full(400, np.nan),
        np.empty(0),
    ],
)
def test_what_a_line_a_sine_or_a_rare_event_looks_like_says_nothing(values: Array) -> None:
    assert len(marks(values).mark) == 0
