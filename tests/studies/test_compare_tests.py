"""Paired tests: their level where nothing differs, their power where something does, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.evaluation.backtest import Backtest, Method
from longspan.evaluation.versus import compare, losses_of
from longspan.metrics.significance import Test as Outcome
from longspan.metrics.significance import paired_bootstrap
from longspan.models.contest import Units
from longspan.studies.compare_tests import adjust, duel, mean_loss, strongest, with_seeds


def in_time(count: int, reach: int = 1) -> Units:
    return Units(np.zeros(count, dtype=np.int64), np.arange(count), reach, "origin")


def test_units_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"group and place of one shape \(n,\), got \(3,\) and \(2,\)"):
        Units(np.zeros(3, dtype=np.int64), np.zeros(2, dtype=np.int64))
    with pytest.raises(InputError, match="a reach from 1, got 0"):
        Units(np.zeros(3, dtype=np.int64), np.arange(3), 0)


def test_the_level_holds_where_seeds_make_the_only_difference() -> None:
    """Two encoders of one distribution, whose seeds differ more than their units do: without the variance
    over seeds nearly every comparison would find a difference."""
    draws, units, rejected, naive = np.random.default_rng(1), in_time(100), 0, 0
    runs = 400
    for _ in range(runs):
        shared = draws.normal(size=100)
        sides = [
            [1 + draws.normal() + shared + 0.2 * draws.normal(size=100) for _ in range(3)] for _ in range(2)
        ]
        found = duel(units, ("a", sides[0]), ("b", sides[1]))
        rejected += found.p is not None and found.p < 0.05
        plain = duel(units, ("a", [np.mean(sides[0], axis=0)]), ("b", [np.mean(sides[1], axis=0)]))
        naive += plain.p is not None and plain.p < 0.05
    assert rejected / runs <= 0.08
    assert naive / runs > 0.8


def test_the_level_holds_where_seeds_and_units_differ_alike() -> None:
    draws, units, rejected, runs = np.random.default_rng(2), in_time(64), 0, 400
    for _ in range(runs):
        noise = draws.normal(size=64)
        sides = [[1 + 0.125 * draws.normal() + (noise if side else 0) for _ in range(3)] for side in range(2)]
        found = duel(units, ("a", [each + np.zeros(64) for each in sides[0]]), ("b", sides[1]))
        rejected += found.p is not None and found.p < 0.05
    assert 0.01 <= rejected / runs <= 0.08


def test_a_clear_difference_is_found_from_three_seeds() -> None:
    draws = np.random.default_rng(3)
    one = [0.8 + 0.01 * draws.normal() + 0.1 * draws.normal(size=200) for _ in range(3)]
    other = [1.0 + 0.01 * draws.normal() + 0.1 * draws.normal(size=200) for _ in range(3)]
    (found,) = adjust([duel(in_time(200), ("lstm", one), ("rnn", other))])
    assert found.better
    assert not found.worse
    assert found.effect == pytest.approx(-20, abs=2)
    assert found.interval is not None
    assert found.interval[0] < found.effect < found.interval[1] < 0


@given(
    st.integers(0, 10_000),
    st.lists(st.floats(-1, 1), min_size=2, max_size=5),
    st.lists(st.floats(-1, 1), min_size=1, max_size=5),
)
def test_seeds_never_make_a_test_surer(seed: int, one: list[float], other: list[float]) -> None:
    values = np.random.default_rng(seed).normal(0.3, 1, 40)
    before = paired_bootstrap(values, seed)
    after = with_seeds(before, one, other)
    assert after.p >= before.p
    assert after.interval[0] <= before.interval[0] + 1e-12
    assert after.interval[1] >= before.interval[1] - 1e-12
    assert (after.p > 0.05) == (after.interval[0] <= 0 <= after.interval[1]) or before.p == after.p


def test_equal_seeds_change_nothing() -> None:
    test = paired_bootstrap(np.random.default_rng(0).normal(size=30), 0)
    assert with_seeds(test, [0.5, 0.5, 0.5], [0.25]) == test


def test_with_units_that_never_vary_only_the_seeds_count() -> None:
    """Welch's t test of the seeds, as scipy has it."""
    from scipy.stats import ttest_ind

    one, other = [1.0, 1.1, 1.3], [2.0, 2.4, 2.1]
    exact = Outcome(0.0, -math.inf, 50, (-1.0333333, -1.0333333))
    found = with_seeds(exact, one, other)
    assert found.p == pytest.approx(ttest_ind(one, other, equal_var=False).pvalue, rel=1e-5)


def test_it_agrees_with_the_backtest() -> None:
    """One seed each: the same p as `evaluation.versus` gives, of one series and of many."""
    draws = np.random.default_rng(4)
    for series, origins, stride in ((1, 40, 2), (12, 10, 6)):
        number = np.repeat(np.arange(series), origins)
        origin = np.tile(100 + stride * np.arange(origins), series)
        actual = draws.normal(size=(series * origins, 6))
        ours, theirs = (actual + size * draws.normal(size=actual.shape) for size in (0.9, 1.0))
        methods = [
            Method(name, name, each, each, None, None, 0.0) for name, each in (("a", ours), ("b", theirs))
        ]
        backtest = Backtest(
            number, origin, actual, np.ones(len(actual)), np.zeros(len(actual), dtype=bool), 1, (0.5,),
            (methods[0],), (methods[1],),
        )  # fmt: skip
        expected = compare(losses_of(backtest, together=False), "b", (1, 6), 0)
        units = Units(number, np.tile(np.arange(origins), series), math.ceil(6 / stride), "origin")
        found = duel(units, ("a", [np.abs(actual - ours).mean(1)]), ("b", [np.abs(actual - theirs).mean(1)]))
        assert found.loss == pytest.approx(expected.error)
        assert expected.p is not None
        if series == 1:
            assert found.p == pytest.approx(expected.p)
        else:  # the bootstrap draws from a seed of its own
            assert found.p == pytest.approx(expected.p, abs=0.02)


def test_what_cannot_be_tested_says_why() -> None:
    few = duel(in_time(5), ("a", [np.ones(5)]), ("b", [np.arange(5.0)]))
    assert few.p is None
    assert few.test == "there are 5 test origins, and the test needs 8"
    overlap = duel(in_time(10, 24), ("a", [np.ones(10)]), ("b", [np.arange(10.0)]))
    assert overlap.test == "the 10 test origins overlap: together they span less than one forecast"
    once = Units(np.arange(20), np.zeros(20, dtype=np.int64), 1, "origin")
    alone = duel(once, ("a", [np.ones(20)]), ("b", [np.arange(20.0)]))
    assert "there is one origin" in alone.test
    unknown = duel(in_time(20), ("a", [np.full(20, np.nan)]), ("b", [np.ones(20)]))
    assert unknown.p is None
    assert unknown.to_json()["loss"] is None
    assert not adjust([few, overlap])[0].better
    assert adjust([]) == ()


def test_a_series_counts_once_however_long_it_is() -> None:
    """As the backtest has it: of many series the mean of the series' means."""
    group = np.repeat(np.arange(6), [20, 10, 10, 10, 10, 10])
    place = np.concatenate([np.arange(20), *(np.arange(10, 20) for _ in range(5))])
    losses = np.where(group == 0, 7.0, 1.0)
    assert mean_loss(Units(group, place), losses) == pytest.approx(2.0)
    assert mean_loss(in_time(4), np.array([1.0, np.nan, 2.0, 3.0])) == pytest.approx(2.0)
    assert math.isnan(mean_loss(in_time(3), np.full(3, np.nan)))
    rival = np.random.default_rng(0).normal(2, 0.1, 70)
    found = duel(Units(group, place), ("a", [losses]), ("b", [rival]))
    assert found.loss == pytest.approx(2.0)
    assert found.interval is not None
    middle = sum(found.interval) / 2
    assert found.effect == pytest.approx(middle), "what is shown is what is tested"


def test_what_a_date_brings_is_no_skill_whenever_series_end() -> None:
    """As the backtest has it: units are placed by the calendar, not by their rank in their series."""
    ends = np.arange(40) % 8
    series, back = np.repeat(np.arange(40), 3), np.tile(np.arange(3), 40)
    moment = 10 + ends[series] - back
    dated, ranked = Units.of_origins(series, moment, 1), Units.of_origins(series, -back, 1)
    found = {"dated": 0, "ranked": 0}
    for seed in range(100):
        draws = np.random.default_rng([7, seed])
        rival = 10 + draws.normal(size=20)[moment] + 0.3 * draws.normal(size=120)
        for name, units in (("dated", dated), ("ranked", ranked)):
            p = duel(units, ("a", [np.full(120, 10.0)]), ("b", [rival])).p
            found[name] += p is not None and p < 0.05
    assert found["dated"] <= 10
    assert found["ranked"] > 30


def test_independent_examples_are_compared_by_the_bootstrap() -> None:
    draws = np.random.default_rng(5)
    one, other = draws.random(60), draws.random(60) + 0.3
    found = duel(Units.independent(60), ("a", [one]), ("b", [other]))
    assert found.test == "paired bootstrap over examples"
    assert found.p == paired_bootstrap(one - other, 0).p


def test_an_exact_rival_has_no_percentage() -> None:
    found = duel(in_time(30), ("a", [np.full(30, 0.1)]), ("b", [np.zeros(30)]))
    assert found.effect is None
    assert found.p == 0.0


def test_p_is_adjusted_over_all_duels() -> None:
    draws, base = np.random.default_rng(6), np.zeros(50)
    duels = [duel(in_time(50), ("a", [base]), (str(n), [0.4 + draws.normal(size=50)])) for n in range(4)]
    least = min(each.p for each in duels if each.p is not None)
    assert min(each.adjusted for each in adjust(duels) if each.adjusted is not None) == pytest.approx(
        4 * least
    )


def test_the_strongest_is_found_on_what_both_answered() -> None:
    whole, sample = np.array([1.0, 1, 9, 9]), np.array([2.0, 2, np.nan, np.nan])
    assert strongest([whole, sample]) == 0  # on the first two the whole one is better
    assert strongest([whole, sample - 1.5]) == 1
    assert strongest([np.full(4, np.nan)]) is None
    assert strongest([]) is None
