from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import stats

from longspan.core.errors import InputError
from longspan.metrics.shared import shared_variance
from longspan.metrics.significance import Test as Outcome
from longspan.metrics.significance import diebold_mariano, holm, paired_bootstrap, shared_shocks

NAN = float("nan")
Array = NDArray[np.float64]
probabilities = arrays.arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1))
differences = arrays.arrays(
    np.float64, st.integers(5, 20), elements=st.floats(-100, 100).map(lambda each: round(each, 3))
)


def shocks(table: Array, late: list[bool] | NDArray[np.bool_], reach: int = 1) -> Outcome:
    """The test of a table (N, K), whose columns are origins that all series share."""
    series, origin = np.indices(table.shape).astype(np.int64)
    tests = np.broadcast_to(late, table.shape)
    return shared_shocks(table.ravel(), series.ravel(), origin.ravel(), tests.ravel(), reach)


def overlapping_losses(rng: np.random.Generator, n: int, reach: int) -> tuple[Array, Array]:
    """Absolute errors of two forecasts that are equally good; errors h ahead are moving averages of h - 1."""

    def errors() -> Array:
        return np.convolve(rng.normal(size=n + reach - 1), np.ones(reach), mode="valid")

    common = errors()
    return np.abs(common + 0.7 * errors()), np.abs(common + 0.7 * errors())


def test_diebold_mariano_without_overlap_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=11), rng.normal(size=11)
    found, expected = diebold_mariano(a, b), stats.ttest_rel(a, b)
    assert (found.statistic, found.p, found.n) == pytest.approx((expected.statistic, expected.pvalue, 11))
    interval = expected.confidence_interval()
    assert found.interval == pytest.approx((interval.low, interval.high))


def test_diebold_mariano_by_the_formula_of_harvey_leybourne_and_newbold() -> None:
    d = np.array([0.3, -0.1, 0.4, 0.2, 0.0, 0.5, 0.1, -0.2])
    n, h = len(d), 1
    plain = d.mean() / np.sqrt(((d - d.mean()) ** 2).mean() / n)
    corrected = plain * np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    found = diebold_mariano(d, np.zeros(n))
    assert found.statistic == pytest.approx(corrected)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(corrected), n - 1))


def test_diebold_mariano_with_overlap_by_hand() -> None:
    d = np.array([1.0, 2.0, 4.0, 3.0])
    # n = 4, h = 2: B = floor(min(0.4 · 4^(2/3), 4 / 2)) = 1; one cosine of phase (t - 1/2) π / 4
    wave = np.cos(np.pi * (np.arange(4) + 0.5) / 4)
    variance = 2 / 4 * float((wave * (d - 2.5)).sum()) ** 2
    found = diebold_mariano(d, np.zeros(4), 2)
    assert found.statistic == pytest.approx(2.5 / np.sqrt(variance / 4))
    assert found.p == pytest.approx(2 * stats.cauchy.sf(found.statistic))


@pytest.mark.parametrize(
    ("n", "reach"), [(8, 1), (16, 1), (50, 1), (8, 4), (12, 12), (16, 8), (24, 24), (50, 4), (50, 24)]
)
def test_diebold_mariano_rejects_a_true_hypothesis_in_about_five_percent(n: int, reach: int) -> None:
    rng = np.random.default_rng([n, reach])
    runs = 2000
    p = [diebold_mariano(*overlapping_losses(rng, n, reach), reach).p for _ in range(runs)]
    # 5 %, three standard errors of 2,000 runs up and, since caution is no fault, more down.
    assert 0.025 <= np.mean(np.array(p) < 0.05) <= 0.065 + 0.005 * (reach >= n)


def test_diebold_mariano_finds_a_true_difference_with_overlap() -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(200):
        a, b = overlapping_losses(rng, 50, 4)
        found.append(diebold_mariano(a + 1.5, b, 4).p < 0.05)
    assert np.mean(found) > 0.5


def test_equal_losses_give_no_evidence_at_all() -> None:
    same = np.arange(9.0)
    assert diebold_mariano(same, same).p == 1
    assert diebold_mariano(same, same, 3).p == 1
    assert paired_bootstrap(np.zeros(9), 0).p == 1
    assert shocks(np.zeros((9, 2)), [False, True]).p == 1


def test_a_difference_that_never_varies_is_certain() -> None:
    found = diebold_mariano(np.full(8, 0.3), np.zeros(8))
    assert (found.p, found.statistic, found.interval) == (0, math.inf, (0.3, 0.3))
    assert paired_bootstrap(np.full(8, -0.3), 0).statistic == -math.inf
    assert shocks(np.full((8, 2), 1.0), [False, True]).p == 0


def test_unknown_losses_are_left_out_and_too_few_test_nothing() -> None:
    a, b = np.array([1.0, NAN, 3.0, 4.0]), np.array([0.0, 1.0, NAN, 2.0])
    assert diebold_mariano(a, b).n == 2
    assert diebold_mariano(a, b).p == diebold_mariano([1.0, 4.0], [0.0, 2.0]).p
    for found in (
        diebold_mariano(a[:2], b[:2]),
        diebold_mariano(b[:2], a[:2], 5),
        paired_bootstrap(a[:2], 0),
    ):
        assert found.n == 1
        assert math.isnan(found.p)
        assert math.isnan(found.interval[0])
    assert math.isnan(diebold_mariano(np.arange(8.0), np.zeros(8), 9).p)  # all within one forecast


@given(differences, st.floats(0.01, 100), st.integers(1, 5))
def test_tests_do_not_depend_on_the_unit_or_on_who_is_first(d: Array, unit: float, reach: int) -> None:
    zero = np.zeros(len(d))
    found, swapped = diebold_mariano(d, zero, reach), diebold_mariano(zero, d, reach)
    scaled = diebold_mariano(unit * d, zero, reach)
    assert swapped.p == pytest.approx(found.p)
    assert scaled.p == pytest.approx(found.p, rel=1e-6, abs=1e-9)
    assert swapped.interval == pytest.approx((-found.interval[1], -found.interval[0]))
    boot = paired_bootstrap(d, 3, 199)
    assert paired_bootstrap(-d, 3, 199).p == boot.p
    assert paired_bootstrap(2.0 * d, 3, 199).p == boot.p  # powers of two do not round


@given(differences, st.integers(0, 2**31))
def test_the_interval_agrees_with_p(d: Array, seed: int) -> None:
    for found in (paired_bootstrap(d, seed, 199), diebold_mariano(d, np.zeros(len(d)))):
        low, high = found.interval
        assert 0 <= found.p <= 1
        assert low <= d.mean() <= high
        if found.p > 0.0501:
            assert low <= 0 <= high
        if found.p < 0.0499:
            assert low > 0 or high < 0 or low == high == 0


@pytest.mark.parametrize(
    ("n", "draw", "most"),
    [(5, "normal", 0.06), (12, "normal", 0.06), (40, "normal", 0.065), (12, "exponential", 0.09)],
)
def test_the_bootstrap_keeps_its_level(n: int, draw: str, most: float) -> None:
    rng = np.random.default_rng(n)
    runs = 600
    mean = {"normal": 0.0, "exponential": 1.0}[draw]
    values = getattr(rng, {"normal": "standard_normal", "exponential": "standard_exponential"}[draw])(
        (runs, n)
    )
    p = np.array([paired_bootstrap(each - mean, k, 299).p for k, each in enumerate(values)])
    assert np.mean(p < 0.05) <= most
    assert np.mean([paired_bootstrap(each - mean + 3, 0, 299).p < 0.05 for each in values[:50]]) > 0.8


def test_the_bootstrap_is_close_to_student_where_that_is_exact() -> None:
    d = np.random.default_rng(5).normal(0.3, 1, 60)
    found, expected = paired_bootstrap(d, 0), stats.ttest_1samp(d, 0)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue, abs=0.01)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval()), abs=0.04)
    many = np.random.default_rng(6).normal(0.02, 1, 2500)
    assert paired_bootstrap(many, 0).p == pytest.approx(stats.ttest_1samp(many, 0).pvalue)


def test_the_same_seed_draws_the_same_p() -> None:
    d = np.random.default_rng(7).normal(size=30)
    assert paired_bootstrap(d, 1) == paired_bootstrap(d, 1)
    assert paired_bootstrap(d, 1).interval != paired_bootstrap(d, 2).interval


def test_holm_by_hand() -> None:
    # sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, each no less than the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == pytest.approx([1, 1])


def test_holm_counts_only_what_was_tested() -> None:
    found = holm([0.01, NAN, 0.04])
    assert found[[0, 2]] == pytest.approx([0.02, 0.04])
    assert math.isnan(found[1])
    assert holm([]).shape == (0,)


@given(probabilities)
def test_holm_never_lowers_keeps_the_order_and_stays_below_bonferroni(p: Array) -> None:
    found = holm(p)
    assert (found >= p).all()
    assert (found <= 1).all()
    assert (np.diff(found[np.argsort(p, kind="stable")]) >= 0).all()
    assert (found <= np.minimum(1, len(p) * p) + 1e-15).all()


@pytest.mark.parametrize("shared", [0.0, 0.5, 0.9])
def test_what_all_series_share_does_not_fool_the_test(shared: float) -> None:
    rng = np.random.default_rng(int(10 * shared))
    late = np.array([False, False, True, True])
    runs, wrong, naive = 400, 0, 0
    for k in range(runs):
        d = np.sqrt(1 - shared) * rng.normal(size=(30, 4)) + np.sqrt(shared) * rng.normal(size=(1, 4))
        wrong += shocks(d, late).p < 0.05
        naive += paired_bootstrap(d[:, late].mean(axis=1), k, 199).p < 0.05
    assert wrong / runs <= 0.08
    assert shared == 0 or naive / runs > 0.3  # which is why it is there


def test_a_true_difference_is_found_though_series_share_a_little() -> None:
    rng = np.random.default_rng(8)
    d = rng.normal(size=(100, 4)) + 0.05 * rng.normal(size=(1, 4)) + 0.5
    assert shocks(d, [False, False, True, True]).p < 0.001


def test_shared_shocks_by_hand() -> None:
    """Three series at three origins, the last two tested: each part of the variance computed apart."""
    d = np.array([[1.0, 4.0, 2.0], [2.0, 7.0, 3.0], [0.0, 5.0, 4.0]])
    tested = d[:, 1:].mean(axis=1)
    of_series = tested.var(ddof=1) / 3
    centred = d - d.mean(axis=1, keepdims=True)
    columns = centred.mean(axis=0)
    own = ((centred - columns) ** 2).sum() / (2 * 2)
    of_origins = (columns.var(ddof=1) - own / 3) / 2
    variance = of_series + of_origins
    degrees = variance**2 / (of_series**2 / 2 + of_origins**2 / 2)
    found = shocks(d, [False, True, True])
    assert found.statistic == pytest.approx(tested.mean() / np.sqrt(variance))
    assert found.p == pytest.approx(2 * stats.t.sf(tested.mean() / np.sqrt(variance), degrees))
    assert (found.n, sum(found.interval) / 2) == (3, pytest.approx(tested.mean()))
    wide = shocks(
        d, [False, True, True], reach=2
    )  # two overlapping origins count as one, and three as one more
    variance = of_series + 2 * of_origins
    assert wide.statistic == pytest.approx(tested.mean() / np.sqrt(variance))
    degrees = variance**2 / (of_series**2 / 2 + (2 * of_origins) ** 2 / 1)
    assert wide.p == pytest.approx(2 * stats.t.sf(wide.statistic, degrees))


def test_an_origin_counts_by_its_weight() -> None:
    """Two of five tested origins have nine tenths of the series: their shocks count as those of two."""
    rng = np.random.default_rng(11)
    series = np.r_[np.repeat(np.arange(27), 4), np.repeat(np.arange(27, 30), 2)]
    origin = np.r_[np.tile(np.arange(4), 27), np.arange(4, 10)]
    late = np.r_[np.tile([False, False, True, True], 27), np.tile([False, True], 3)]
    d = rng.normal(size=10)[origin] + 0.1 * rng.normal(size=len(origin))
    found, means = (
        shared_shocks(d, series, origin, late),
        np.array([d[late & (series == n)].mean() for n in range(30)]),
    )
    shares = np.r_[0.45, 0.45, np.full(3, 1 / 30)]
    variance = means.var(ddof=1) / 30 + shared_variance(d, series, origin).variance * (shares**2).sum()
    assert found.statistic == pytest.approx(means.mean() / np.sqrt(variance))
    wrong = 0
    for _ in range(400):
        d = rng.normal(size=10)[origin] + 0.1 * rng.normal(size=len(origin))
        wrong += shared_shocks(d, series, origin, late).p < 0.05
    assert wrong / 400 <= 0.08


def test_shared_shocks_of_one_origin_say_nothing() -> None:
    assert math.isnan(shocks(np.arange(6.0)[:, None], [True]).p)
    d = np.array([[NAN, 1.0], [NAN, 2.0], [NAN, 4.0]])
    assert math.isnan(shocks(d, [False, True]).p)


def test_shared_shocks_take_gaps() -> None:
    rng = np.random.default_rng(9)
    d = rng.normal(size=(40, 4))
    d[rng.random(d.shape) < 0.2] = NAN
    found = shocks(d, [False, False, True, True])
    assert found.n == int((~np.isnan(d[:, 2:])).any(axis=1).sum())
    assert 0 < found.p < 1


def test_refusals_name_what_is_wrong() -> None:
    with pytest.raises(InputError, match="losses of one length, got 3 and 2"):
        diebold_mariano([1, 2, 3], [1, 2])
    with pytest.raises(InputError, match="finite values or NaN \\(unknown\\) in loss_b, got an infinity"):
        diebold_mariano([1, 2], [1, math.inf])
    with pytest.raises(InputError, match="expected difference of shape \\(n,\\), got \\(1, 2\\)"):
        paired_bootstrap([[1, 2]], 0)
    with pytest.raises(InputError, match="expected horizon of at least 1, got 0"):
        diebold_mariano([1, 2], [1, 3], 0)
    with pytest.raises(InputError, match=r"p values in \[0, 1\] or NaN, got \[0.5, 1.5\]"):
        holm([0.5, 1.5])
    one = np.zeros(2, dtype=np.int64)
    with pytest.raises(InputError, match=r"shared_shocks: expected origin of shape \(2,\), got \(3,\)"):
        shared_shocks([1, 2], one, np.arange(3), [True, True])
    with pytest.raises(InputError, match=r"shared_shocks: expected tests of shape \(2,\), got \(1,\)"):
        shared_shocks([1, 2], one, np.arange(2), [True])
