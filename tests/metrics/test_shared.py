"""The variance that series share: as the analysis of variance has it, and unbiased where tables have gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from longspan.metrics.shared import Shared, shared_variance

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def of_table(table: Array) -> Shared:
    """Of a table (N, K), NaN where a series has no value at an origin."""
    series, origin = (each[~np.isnan(table)] for each in np.indices(table.shape).astype(np.int64))
    return shared_variance(table[~np.isnan(table)], series, origin)


@given(st.integers(0, 10_000), st.integers(2, 8), st.integers(2, 8))
def test_of_a_complete_table_it_is_the_analysis_of_variance(seed: int, N: int, K: int) -> None:
    table = np.random.default_rng(seed).normal(size=(N, K)) + np.arange(N)[:, None]
    centred = table - table.mean(axis=1, keepdims=True)
    columns = centred.mean(axis=0)
    own = ((centred - columns) ** 2).sum() / ((N - 1) * (K - 1))
    found = of_table(table)
    assert found.variance == pytest.approx(max(0.0, columns.var(ddof=1) - own / N), abs=1e-9)
    assert found.degrees == pytest.approx(K - 1)
    assert found.p == pytest.approx(stats.f.sf(N * columns.var(ddof=1) / own, K - 1, (N - 1) * (K - 1)))


def staggered(rng: np.random.Generator) -> Mask:
    """Which of 12 series have a value at which of 20 origins: four in a row each, at three ends."""
    first = rng.choice([0, 2, 13], 12)[:, None]
    return (np.arange(20) >= first) & (np.arange(20) < first + 4)


def test_it_is_unbiased_where_series_have_different_origins() -> None:
    rng = np.random.default_rng(0)
    there = staggered(rng)
    there[3, there[3].argmax() + 1] = False
    found = []
    for _ in range(1500):
        table = 3 * rng.normal(size=(12, 1)) + np.sqrt(0.5) * rng.normal(size=20) + rng.normal(size=(12, 20))
        series, origin = (each[there] for each in np.indices(there.shape).astype(np.int64))
        found.append(shared_variance(table[there], series, origin).variance)
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)  # zero at least: a little above


def test_p_rejects_what_is_not_shared_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    there = staggered(rng)
    p = np.array([of_table(np.where(there, rng.normal(size=there.shape), np.nan)).p for _ in range(1000)])
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.03)


def test_the_order_and_the_numbers_of_series_and_origins_do_not_count() -> None:
    rng = np.random.default_rng(2)
    values, series, origin = rng.normal(size=12), np.repeat(np.arange(3), 4), np.tile(np.arange(4), 3)
    mixed = rng.permutation(12)
    again = shared_variance(values[mixed], 7 * series[mixed] + 100, -3 * origin[mixed])
    assert again == pytest.approx(shared_variance(values, series, origin))


def test_series_that_never_meet_share_nothing() -> None:
    assert shared_variance(np.arange(6.0), np.repeat([0, 1], 3), np.arange(6)) == (0.0, 1.0, 1.0)
    assert shared_variance(np.arange(3.0), np.arange(3), np.arange(3)) == (0.0, 1.0, 1.0)


def test_one_origin_of_each_series_tells_nothing() -> None:
    assert np.isnan(shared_variance(np.arange(4.0), np.arange(4), np.array([0, 0, 1, 1]))).all()
    chain = np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1])  # the middle one alone has two origins
    assert np.isnan(shared_variance(np.arange(4.0), *chain)).all()


def test_a_series_that_meets_no_other_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    values, series, origin = (
        rng.normal(size=15),
        np.repeat(np.arange(4), 4)[:15],
        np.tile(np.arange(4), 4)[:15],
    )
    more = np.r_[values, 90.0, -90.0], np.r_[series, 9, 9], np.r_[origin, 100, 101]
    assert shared_variance(*more) == pytest.approx(shared_variance(values, series, origin))


def test_what_is_wholly_shared_is_certain() -> None:
    found = of_table(np.tile([0.0, 1.0, 4.0], (5, 1)))
    assert found.variance == pytest.approx(np.var([0, 1, 4], ddof=1))
    assert found.p == pytest.approx(0, abs=1e-12)
