"""Origins by series and time: which fell together, how far they reach, and what is tested of them."""

from __future__ import annotations

import numpy as np
import pytest
from backtest_examples import backtest_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from longspan.core.errors import InputError
from longspan.evaluation.backtest import Backtest
from longspan.evaluation.paired import Units, paired_test
from longspan.evaluation.verdict import judge
from longspan.evaluation.versus import compare, losses_of
from longspan.metrics.significance import diebold_mariano, paired_bootstrap, shared_shocks

Array = NDArray[np.float64]
Index = NDArray[np.int64]
NAN = float("nan")


def of_ends(ends: list[int], origins: int, stride: int) -> tuple[Index, Index]:
    """Series and moment of so many origins of each series, a stride apart, the last at its end."""
    series = np.repeat(np.arange(len(ends)), origins)
    back = np.tile(np.arange(origins)[::-1], len(ends))
    return series, np.array(ends)[series] - stride * back


def test_origins_of_one_step_are_at_one_place_whenever_series_end() -> None:
    series, moment = of_ends([30, 36, 24], 4, 6)
    units = Units.of_origins(series, moment, 6)
    assert units.place.reshape(3, 4).tolist() == [[1, 2, 3, 4], [2, 3, 4, 5], [0, 1, 2, 3]]
    assert (units.reach, units.word, units.groups) == (1, "origin", "series")


def test_an_origin_that_is_left_out_moves_no_other() -> None:
    """The second series has no window at 18: its earlier origins stay where the first one's are."""
    series, moment = np.array([0, 0, 0, 0, 5, 5, 5]), np.array([10, 14, 18, 22, 10, 14, 22])
    units = Units.of_origins(series, moment, 4)
    assert units.group.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert units.place.tolist() == [0, 1, 2, 3, 0, 1, 3]
    tested = backtest_of(np.ones((7, 1)), {}, series=series, origin=100 + moment)
    assert tested.units().place.tolist() == [0, 1, 2, 3, 0, 1, 3]


def test_without_a_calendar_series_end_together() -> None:
    series = np.array([4, 4, 4, 2, 2])
    origin = np.array([100, 110, 120, 510, 520])
    units = backtest_of(np.ones((5, 10)), {}, series=series, origin=origin).units()
    assert units.place.tolist() == [0, 1, 2, 1, 2]
    moment = np.array([40, 50, 60, 60, 70])
    dated = backtest_of(np.ones((5, 10)), {}, series=series, origin=origin, moment=moment)
    assert dated.units().place.tolist() == [0, 1, 2, 2, 3]
    with pytest.raises(InputError, match=r"expected moment of shape \(5,\), got \(2,\)"):
        backtest_of(np.ones((5, 10)), {}, series=series, origin=origin, moment=moment[:2])


def test_places_begin_after_the_longest_pause_between_origins() -> None:
    series, moment = of_ends([100, 101, 99], 3, 10)  # 99, 100 and 101 are nearly the same time
    units = Units.of_origins(series, moment, 10)
    assert units.place.reshape(3, 3).tolist() == [[0, 1, 2]] * 3
    assert units.reach == 1, "two steps of ten reach over"
    series, moment = np.array([0, 0, 0, 1, 1]), np.array([80, 90, 100, 89, 99])  # 79 was left out
    assert Units.of_origins(series, moment, 10).place.tolist() == [0, 1, 2, 1, 2]
    far = Units.of_origins(*of_ends([100, 102, 104, 106], 3, 10), 10)
    assert far.place.reshape(4, 3).tolist() == [[0, 1, 2]] * 4
    assert far.reach == 2, "six of ten do"


@pytest.mark.parametrize(
    ("horizon", "stride", "reach"), [(6, 6, 1), (6, 2, 3), (7, 2, 4), (1, 1, 1), (3, 7, 1), (24, 10, 3)]
)
def test_a_forecast_reaches_over_as_many_origins_as_begin_within_it(
    horizon: int, stride: int, reach: int
) -> None:
    assert Units.of_origins(*of_ends([50, 50 + 3 * stride], 5, stride), horizon).reach == reach


def test_a_gap_between_two_kinds_of_origins_is_no_matter() -> None:
    """Closer together than a horizon, the last origin that calibrates is a horizon before the first that
    tests, which is no multiple of their distance."""
    series, moment = np.repeat(np.arange(2), 6), np.tile([0, 3, 6, 14, 17, 20], 2)
    units = Units.of_origins(series, moment, 8)
    assert units.place.reshape(2, 6).tolist() == [[0, 1, 2, 3, 4, 5]] * 2
    assert units.reach == 3


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12), st.integers(1, 6))
def test_a_place_holds_at_most_one_origin_of_a_series(
    seed: int, horizon: int, stride: int, count: int
) -> None:
    draws = np.random.default_rng(seed)
    series, moment = of_ends(draws.integers(-40, 40, 7).tolist(), count, stride)
    there = draws.random(len(series)) < 0.8
    there[0] = True
    units = Units.of_origins(series[there], moment[there], horizon)
    assert len(np.unique(np.stack([units.group, units.place]), axis=1).T) == len(units)
    for a in np.unique(units.place):  # places follow each other as their times do
        assert moment[there][units.place == a].max() < moment[there][units.place > a].min(initial=1000)


def test_the_tested_places_weigh_as_the_mean_over_series_does() -> None:
    """A few of many series at places of their own: the test is of the mean that is shown."""
    draws = np.random.default_rng(0)
    series = np.r_[np.repeat(np.arange(20), 12), np.repeat([20, 21], 2)]
    place = np.r_[np.tile(np.arange(12), 20), 12, 13, 14, 15]
    difference = draws.normal(0.1, 1, len(series))
    found, name = paired_test(Units(series, place, 1, "origin", "series"), difference, 0)
    assert found is not None
    assert name == "Diebold–Mariano over origins, of the mean over series"
    means = [difference[series == each].mean() for each in range(22)]
    assert sum(found.interval) / 2 == pytest.approx(np.mean(means))


def test_many_places_that_weigh_as_few_are_tested_as_few() -> None:
    """Twenty series at two places, ten at ten of their own: the two decide."""
    series = np.r_[np.repeat(np.arange(20), 4), np.repeat(np.arange(20, 30), 2)]
    place = np.r_[np.tile(np.arange(4), 20), np.arange(4, 24)]
    late = np.r_[np.tile([False, False, True, True], 20), np.tile([False, True], 10)]
    difference = np.random.default_rng(7).normal(size=24)[place] + 0.1 * np.arange(len(series)) % 0.3
    _, name = paired_test(Units(series, place, 1, "origin", "series"), difference, 0, late)
    assert name == "t test over series, with what origins share"


def test_of_a_complete_table_the_places_are_tested_by_their_means() -> None:
    table = np.random.default_rng(1).normal(0.2, 1, (6, 9)) + np.random.default_rng(2).normal(size=9)
    series, place = (each.ravel() for each in np.indices(table.shape))
    found, _ = paired_test(Units(series, place, 1, "origin", "series"), table.ravel(), 0)
    means = table.mean(axis=0)
    assert found is not None
    assert found.p == pytest.approx(diebold_mariano(means, np.zeros(9)).p)


def test_fewer_than_eight_places_are_tested_with_what_origins_share() -> None:
    table = np.random.default_rng(3).normal(0.2, 1, (9, 4)) + np.random.default_rng(4).normal(size=4)
    series, place = (each.ravel() for each in np.indices(table.shape))
    late = place > 1
    found, name = paired_test(Units(series, place, 1, "origin", "series"), table.ravel(), 0, late)
    assert name == "t test over series, with what origins share"
    assert found == shared_shocks(table.ravel(), series, place, late)
    alone = paired_bootstrap(table[:, 2:].mean(axis=1), 0)
    assert found is not None
    assert found.p > alone.p


def test_one_origin_of_each_series_says_nothing() -> None:
    units = Units(np.arange(20), np.arange(20) % 3, 1, "origin", "series")
    found, why = paired_test(units, np.arange(20.0), 0)
    assert found is None
    assert why.startswith("there is one origin of each, where what all series share cannot be told")


def shaken(seed: int, ends: Index, *, dated: bool, horizon: int = 1, origins: int = 4) -> Backtest:
    """Two forecasts that are equally good: what is between them is the luck of a date, and a little noise.

    ``ends``: of each series, in steps. Half of the origins calibrate.
    """
    draws = np.random.default_rng(seed)
    series, moment = of_ends(ends.tolist(), origins, horizon)
    luck = np.sqrt(horizon) * draws.normal(size=int(ends.max()) + horizon)
    shared = np.array([luck[each : each + horizon].mean() for each in moment])
    size = 10 + shared + 0.3 * draws.normal(size=len(series))
    model = np.repeat(size[:, None], horizon, axis=1)
    known = moment if dated else None
    return backtest_of(model, {"naive": np.full_like(model, 10.0)}, series=series, moment=known)


@pytest.mark.parametrize(
    ("horizon", "spread", "count", "origins"),
    [(1, 8, 40, 4), (14, 40, 40, 4), (7, 30, 3, 16), (7, 30, 8, 16)],
)
def test_what_a_date_brings_is_no_skill_whenever_series_end(
    horizon: int, spread: int, count: int, origins: int
) -> None:
    first = horizon * origins
    ends = first + np.random.default_rng(0).integers(0, spread, count)
    said = [
        judge(shaken(seed, ends, dated=True, horizon=horizon, origins=origins)).outcome for seed in range(100)
    ]
    assert said.count("better") + said.count("worse") <= 10


def test_taken_to_end_together_they_would_fool_it() -> None:
    ends = 10 + np.arange(40) % 8
    said = [judge(shaken(seed, ends, dated=False)).outcome for seed in range(60)]
    assert said.count("better") + said.count("worse") > 20


def test_a_true_difference_is_found_though_series_end_apart() -> None:
    ends = 40 + np.arange(40) % 8
    tested = shaken(5, ends, dated=True)
    better = [each.median - 3 for each in tested.model]
    found = judge(
        backtest_of(better, {"naive": tested.baselines[0].median}, series=tested.series, moment=tested.moment)
    )
    assert found.outcome == "better"


def test_a_group_of_steps_reaches_as_far_as_its_last() -> None:
    """Origins every two steps: a forecast of step 6 alone reaches over three of them, like the whole."""
    draws = np.random.default_rng(6)
    ours, theirs = np.abs(draws.normal(size=(24, 6))), np.abs(draws.normal(size=(24, 6)))
    tested = backtest_of(ours, {"b": theirs}, stride=2, calibrating=0)
    losses = losses_of(tested, together=False)
    for first, last, reach in ((1, 6, 3), (6, 6, 3), (3, 4, 2), (2, 2, 1)):
        part = slice(first - 1, last)
        expected = diebold_mariano(ours[:, part].mean(axis=1), theirs[:, part].mean(axis=1), reach)
        assert compare(losses, "b", (first, last), 0).p == pytest.approx(expected.p), (first, last)
