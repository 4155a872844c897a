"""The sample of slow baselines: seeded, nested, as large as a fifth of the budget allows, at least thirty."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.baselines.sampling import measured_sample, sample_order, sampled_series
from longspan.core.errors import InputError

seconds = st.floats(0, 100)


class Clock:
    """Time that passes only when series are run: `cost` seconds for the n-th call."""

    def __init__(self, cost: Callable[[int], float]) -> None:
        self.now, self.cost, self.ran = 0.0, cost, list[int]()

    def __call__(self) -> float:
        return self.now

    def run(self, series: int) -> None:
        self.now += self.cost(len(self.ran))
        self.ran.append(series)


@given(
    count=st.integers(0, 300), cost=seconds, budget=seconds, seed=st.integers(0, 99), least=st.integers(0, 60)
)
def test_a_sample_is_increasing_large_enough_and_fits(
    count: int, cost: float, budget: float, seed: int, least: int
) -> None:
    sample = sampled_series(count, cost, budget, seed, least)
    assert sample.dtype == np.int64
    assert (np.diff(sample) > 0).all()
    assert set(sample.tolist()) <= set(range(count))
    assert len(sample) >= min(count, least)
    if len(sample) > least:
        assert len(sample) * cost <= 0.2 * budget * (1 + 1e-12)


@given(count=st.integers(1, 300), seed=st.integers(0, 99), costs=st.tuples(seconds, seconds))
def test_a_cheaper_series_makes_the_same_sample_larger(
    count: int, seed: int, costs: tuple[float, float]
) -> None:
    many, few = (set(sampled_series(count, cost, 60.0, seed, 5).tolist()) for cost in sorted(costs))
    assert few <= many


def test_a_fifth_of_the_budget_by_hand() -> None:
    assert len(sampled_series(1000, 0.5, 300.0, 0)) == 120
    assert len(sampled_series(1000, 5.0, 300.0, 0)) == 30
    assert len(sampled_series(20, 5.0, 300.0, 0)) == 20
    assert len(sampled_series(1000, 5.0, None, 0)) == 1000
    assert len(sampled_series(1000, 0.0, 0.0, 0)) == 1000


def test_the_seed_draws_the_sample() -> None:
    first, again, other = (sampled_series(400, 10.0, 60.0, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert set(first.tolist()) != set(other.tolist())
    np.testing.assert_array_equal(np.sort(sample_order(400, 1)), np.arange(400))


def test_the_second_series_is_timed_since_the_first_pays_for_imports() -> None:
    clock = Clock(lambda call: 50.0 if call == 0 else 0.25)
    sample = measured_sample(1000, clock.run, 100.0, seed=3, clock=clock)
    np.testing.assert_array_equal(sample, sampled_series(1000, 0.25, 100.0, seed=3))
    assert len(sample) == 80
    assert clock.ran == sample_order(1000, 3)[:2].tolist()
    assert set(clock.ran) <= set(sample.tolist())


@pytest.mark.parametrize(("count", "budget"), [(30, 1.0), (400, None), (1, 1.0), (0, 1.0)])
def test_nothing_is_timed_where_all_are_run_anyway(count: int, budget: float | None) -> None:
    clock = Clock(float)
    np.testing.assert_array_equal(measured_sample(count, clock.run, budget, 0, clock=clock), np.arange(count))
    assert clock.ran == []


@pytest.mark.parametrize(
    ("cost", "budget", "text"),
    [
        (-1.0, 60.0, "expected seconds_each of at least 0 seconds, got -1.0"),
        (float("nan"), 60.0, "expected seconds_each of at least 0 seconds, got nan"),
        (1.0, -2.0, "expected budget of at least 0 seconds, got -2.0"),
    ],
)
def test_refusals(cost: float, budget: float, text: str) -> None:
    with pytest.raises(InputError) as caught:
        sampled_series(10, cost, budget, 0)
    assert str(caught.value) == f"sampled_series: {text}"
