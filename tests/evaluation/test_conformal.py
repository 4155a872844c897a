from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from backtest_examples import backtest_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from longspan.core.errors import InputError
from longspan.evaluation.backtest import Method, ensemble, score_table
from longspan.evaluation.conformal import (
    Calibration,
    apply,
    calibrate,
    calibrated,
    calibration_of,
    needed,
)
from longspan.evaluation.paired import Units

Array = NDArray[np.float64]
NAN = float("nan")
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
NORMAL = np.array([NormalDist().inv_cdf(each) for each in LEVELS])
PAIRS = {0.8: (1, 3), 0.95: (0, 4)}


def normal_quantiles(n: int, horizon: int, width: float = 1.0) -> Array:
    return np.broadcast_to(width * NORMAL, (n, horizon, len(LEVELS))).copy()


def independent(rng: np.random.Generator, n: int, horizon: int) -> Array:
    return rng.normal(size=(n, horizon))


def heavy(rng: np.random.Generator, n: int, horizon: int) -> Array:
    return rng.standard_t(3, size=(n, horizon))


def growing(rng: np.random.Generator, n: int, horizon: int) -> Array:
    return rng.normal(size=(n, horizon)) * np.linspace(1, 6, horizon)


def walking(rng: np.random.Generator, n: int, horizon: int) -> Array:
    return np.cumsum(rng.normal(size=(n, horizon)), axis=1)


def coverages(
    draw: Callable[[np.random.Generator, int, int], Array], n: int, horizon: int, width: float, runs: int
) -> dict[float, Array]:
    """Coverage by step of later origins, mean over ``runs`` calibrations on n origins: nominal → (H,)."""
    rng = np.random.default_rng([n, horizon])
    found: dict[float, list[Array]] = {nominal: [] for nominal in PAIRS}
    for _ in range(runs):
        calibration = calibrate(draw(rng, n, horizon), normal_quantiles(n, horizon, width), LEVELS)
        mended = apply(calibration, normal_quantiles(50, horizon, width), LEVELS)
        later = draw(rng, 50, horizon)
        for nominal, (low, high) in PAIRS.items():
            if calibration.factors[nominal] is not None:
                found[nominal].append(
                    ((mended[..., low] <= later) & (later <= mended[..., high])).mean(axis=0)
                )
    return {nominal: np.mean(each, axis=0) for nominal, each in found.items() if each}


@pytest.mark.parametrize(
    ("draw", "n", "horizon", "width"),
    [
        (independent, 60, 1, 0.4),  # too narrow
        (independent, 60, 1, 3.0),  # too wide
        (independent, 16, 12, 0.4),
        (heavy, 40, 6, 1.0),
        (growing, 60, 12, 1.0),
        (walking, 60, 12, 1.0),
    ],
)
def test_intervals_cover_what_they_say(
    draw: Callable[[np.random.Generator, int, int], Array], n: int, horizon: int, width: float
) -> None:
    found = coverages(draw, n, horizon, width, 120)
    for nominal, by_step in found.items():
        assert by_step.mean() == pytest.approx(nominal, abs=0.03), nominal
    assert set(found) == {0.8, 0.95}


def test_steps_are_mended_each_by_its_own_scale() -> None:
    by_step = coverages(growing, 200, 8, 1.0, 30)[0.8]
    assert by_step.min() > 0.74
    assert by_step.max() < 0.86
    calibration = calibrate(growing(np.random.default_rng(0), 400, 8), normal_quantiles(400, 8), LEVELS)
    assert calibration.scale[-1] / calibration.scale[0] == pytest.approx(6, rel=0.2)


def test_the_factor_is_the_finite_sample_quantile() -> None:
    # Nine scores 1 … 9 in half-widths; at 80 % the rank is ceil(10 · 0.8) = 8.
    actual = np.arange(1.0, 10.0)[:, None]
    found = calibrate(actual, np.tile([-1.0, 0.0, 1.0], (9, 1, 1)), (0.1, 0.5, 0.9))
    assert found.n == 9
    assert found.factors == {0.8: 8.0}
    assert found.scale == (1.0,)
    np.testing.assert_allclose(apply(found, [[[3.0, 5.0, 6.0]]], (0.1, 0.5, 0.9)), [[[-11, 5, 13]]])


def test_the_correction_counts_the_next_score_too() -> None:
    # Ten scores; of eleven, with the next one, 80 % are the nine lowest, where of ten they would be eight.
    found = calibrate(np.arange(1.0, 11.0)[:, None], np.tile([-1.0, 0.0, 1.0], (10, 1, 1)), (0.1, 0.5, 0.9))
    assert found.factors == {0.8: 9.0}


def test_a_step_of_few_origins_is_drawn_towards_the_others() -> None:
    # Scores of 1 and 3: their scales are 1/2 and 3/2, to the power of 10 origins over 10 + 10.
    found = calibrate(np.tile([1.0, 3.0], (10, 1)), np.tile([-1.0, 0.0, 1.0], (10, 2, 1)), (0.1, 0.5, 0.9))
    assert found.scale == pytest.approx((0.5**0.5, 1.5**0.5))


def test_scores_take_the_side_on_which_the_value_fell() -> None:
    actual = np.tile([[-4.0], [2.0], [0.0]], (4, 1))
    found = calibrate(actual, np.tile([-2.0, 0.0, 1.0], (12, 1, 1)), (0.1, 0.5, 0.9))
    assert found.factors == {0.8: 2.0}  # 4 / 2 below, 2 / 1 above


def test_needed_scores() -> None:
    assert [needed(each) for each in (0.5, 0.8, 0.9, 0.95, 0.98)] == [3, 9, 19, 39, 99]


@pytest.mark.parametrize(("n", "done"), [(8, []), (9, [0.8]), (38, [0.8]), (39, [0.8, 0.95])])
def test_too_few_scores_calibrate_nothing(n: int, done: list[float]) -> None:
    rng = np.random.default_rng(n)
    before = normal_quantiles(n, 1, 0.3)
    found = calibrate(rng.normal(size=(n, 1)), before, LEVELS)
    assert [each for each, factor in found.factors.items() if factor is not None] == done
    after = apply(found, before, LEVELS)
    if not done:
        assert found.words() == "not calibrated, n = 8 (80 % needs 9, 95 % needs 39)"
        np.testing.assert_array_equal(after, before)
    elif len(done) == 1:
        assert f"calibrated, n = {n}: 80 % ×" in found.words()
        assert "; not calibrated: 95 % needs 39" in found.words()
    else:
        assert "not calibrated" not in found.words()


def test_an_interval_that_is_not_calibrated_is_widened_with_the_widest_that_is_and_never_narrowed() -> None:
    rng = np.random.default_rng(1)
    wide = calibrate(10 * rng.normal(size=(20, 1)), normal_quantiles(20, 1), LEVELS)
    assert wide.factors[0.95] is None
    after = apply(wide, normal_quantiles(1, 1), LEVELS)[0, 0]
    assert after[[0, 4]] == pytest.approx(NORMAL[[0, 4]] * wide.factors[0.8])
    assert after[0] < after[1] < NORMAL[0]
    assert wide.words().endswith("; not calibrated: 95 % needs 39, widened with 80 %")
    narrow = calibrate(0.1 * rng.normal(size=(20, 1)), normal_quantiles(20, 1), LEVELS)
    after = apply(narrow, normal_quantiles(1, 1), LEVELS)[0, 0]
    assert after[[0, 4]] == pytest.approx(NORMAL[[0, 4]])
    assert after[1] > NORMAL[1]
    assert narrow.words().endswith("; not calibrated: 95 % needs 39")


def test_scores_of_one_origin_do_not_count_as_many() -> None:
    rng = np.random.default_rng(2)
    levels = rng.normal(size=(12, 1))
    alike = levels + 1e-3 * rng.normal(size=(12, 24))
    q = normal_quantiles(12, 24)
    assert calibrate(alike, q, LEVELS).n <= 14
    assert calibrate(rng.normal(size=(12, 24)), q, LEVELS).n > 180
    between = calibrate(walking(rng, 12, 24), q, LEVELS).n
    assert 12 <= between < 120
    assert calibrate(alike[:1], q[:1], LEVELS).n == 1  # one origin tells nothing of the next


def test_rows_of_one_group_count_together() -> None:
    rng = np.random.default_rng(3)
    actual = np.repeat(rng.normal(size=(10, 1)), 8, axis=0)
    q = normal_quantiles(80, 1)
    assert calibrate(actual, q, LEVELS).n == 80
    assert calibrate(actual, q, LEVELS, np.repeat(np.arange(10), 8)).n == 10


def panel_of_errors(
    rng: np.random.Generator, series: int, origins: int, horizon: int, share: float, swings: float = 0.0
) -> tuple[Array, Units]:
    """Normal errors (n, H), walking over the steps, that all series share in part at each origin.

    Args:
        share: of the variance that is shared. swings: deviation of the logarithm of the size at an origin.
    """
    shared, own = (rng.normal(size=(each, origins, horizon)) for each in (1, series))
    steps = (np.sqrt(share) * shared + np.sqrt(1 - share) * own) * np.exp(
        swings * rng.normal(size=(origins, 1))
    )
    number, place = (each.ravel() for each in np.indices((series, origins)))
    return np.cumsum(steps, axis=2).reshape(-1, horizon), Units(number, place, 1, "origin", "series")


def walking_quantiles(n: int, horizon: int) -> Array:
    return np.sqrt(np.arange(1, horizon + 1))[:, None] * normal_quantiles(n, horizon)


def test_what_series_share_at_one_time_does_not_count_as_many() -> None:
    rng = np.random.default_rng(11)
    found = {}
    for share in (0.0, 0.5, 0.95):
        counts = []
        for _ in range(40):
            y, units = panel_of_errors(rng, 100, 4, 1, share)
            counts.append(calibrate(y, normal_quantiles(400, 1), LEVELS, units=units).n)
        found[share] = float(np.median(counts))
    assert found[0.0] > 380
    assert 6 < found[0.5] < 40  # about 4 / 0.5²
    assert found[0.95] <= 6


def test_a_size_that_is_shared_is_seen_whatever_the_signs() -> None:
    rng = np.random.default_rng(12)
    counts = []
    for _ in range(40):
        y, units = panel_of_errors(rng, 100, 4, 1, 0.0, swings=0.7)
        counts.append(calibrate(y, normal_quantiles(400, 1), LEVELS, units=units).n)
    assert np.median(counts) < 60


@pytest.mark.parametrize(("share", "origins"), [(0.9, 2), (0.5, 2), (0.9, 4)])
@pytest.mark.parametrize("horizon", [1, 6])
def test_intervals_cover_where_series_share_their_luck(share: float, origins: int, horizon: int) -> None:
    rng = np.random.default_rng([origins, horizon])
    covered: dict[float, list[float]] = {nominal: [] for nominal in PAIRS}
    n = 40 * origins
    for _ in range(250):
        y, units = panel_of_errors(rng, 40, origins, horizon, share)
        calibration = calibrate(y, walking_quantiles(n, horizon), LEVELS, units=units)
        later, _ = panel_of_errors(rng, 40, 1, horizon, share)
        mended = apply(calibration, walking_quantiles(40, horizon), LEVELS)
        for nominal, (low, high) in PAIRS.items():
            covered[nominal].append(((mended[..., low] <= later) & (later <= mended[..., high])).mean())
    assert np.mean(covered[0.8]) > 0.75
    assert np.mean(covered[0.95]) > 0.9


def test_overlapping_times_count_for_fewer() -> None:
    y, units = panel_of_errors(np.random.default_rng(13), 60, 12, 1, 0.6)
    q = normal_quantiles(720, 1)
    once, twice = (calibrate(y, q, LEVELS, units=replace(units, reach=each)).n for each in (1, 2))
    assert twice == pytest.approx(once / 2, abs=2)


def test_one_time_alone_tells_nothing_of_what_is_shared() -> None:
    y, units = panel_of_errors(np.random.default_rng(14), 60, 1, 1, 0.9)
    assert calibrate(y, normal_quantiles(60, 1), LEVELS, units=units).n == 60


def test_an_interval_of_too_few_times_is_widened_and_never_narrowed() -> None:
    rng = np.random.default_rng(15)
    y, units = panel_of_errors(rng, 60, 4, 1, 1.0)
    wide, narrow = (calibrate(size * y, normal_quantiles(240, 1), LEVELS, units=units) for size in (10, 0.1))
    free = calibrate(10 * y, normal_quantiles(240, 1), LEVELS)
    assert (wide.n, wide.calibrated) == (narrow.n, narrow.calibrated) == (4, {})
    assert wide.factors == free.factors  # as if nothing were shared
    np.testing.assert_array_equal(
        apply(wide, normal_quantiles(2, 1), LEVELS), apply(free, normal_quantiles(2, 1), LEVELS)
    )
    np.testing.assert_array_equal(apply(narrow, normal_quantiles(2, 1), LEVELS), normal_quantiles(2, 1))
    factors = [wide.factors[nominal] for nominal in PAIRS]
    assert wide.words() == (
        f"not calibrated, n = 4 (80 % needs 9, widened × {factors[0]:.3g}, 95 % needs 39, widened × "
        f"{factors[1]:.3g})"
    )
    assert narrow.words() == "not calibrated, n = 4 (80 % needs 9, 95 % needs 39)"
    assert Calibration.from_json(json.loads(json.dumps(wide.to_json()))) == wide


def test_a_wider_interval_is_widened_with_the_calibrated_one_at_least() -> None:
    levels, before = (0.025, 0.1, 0.5, 0.9, 0.975), normal_quantiles(1, 1)
    for own, expected, words in (
        (3.0, 3.0, "95 % needs 39, widened × 3"),
        (1.5, 2.0, "needs 39, widened with 80 %"),
    ):
        found = Calibration((1.0,), {0.8: 2.0, 0.95: own}, 12)
        assert found.calibrated == {0.8: 2.0}
        assert apply(found, before, levels)[0, 0] == pytest.approx(NORMAL * [expected, 2, 1, 2, expected])
        assert found.words() == f"calibrated, n = 12: 80 % × 2; not calibrated: {words}".replace(
            ": needs", ": 95 % needs"
        )


def test_seeds_are_pooled_and_counted_once() -> None:
    rng = np.random.default_rng(4)
    actual = rng.normal(size=(20, 1))
    q = np.stack([normal_quantiles(20, 1, 0.5), normal_quantiles(20, 1, 2.0)])
    found = calibrate(actual, q, LEVELS)
    assert found.n == 20
    single = [calibrate(actual, each, LEVELS).factors[0.8] for each in q]
    assert single[1] < found.factors[0.8] < single[0]


def test_unknown_values_are_left_out() -> None:
    rng = np.random.default_rng(5)
    actual, q = rng.normal(size=(30, 3)), normal_quantiles(30, 3)
    gaps, holes = actual.copy(), q.copy()
    gaps[20:] = NAN
    holes[20:] = NAN
    expected = calibrate(actual[:20], q[:20], LEVELS)
    for found in (calibrate(gaps, q, LEVELS), calibrate(actual, holes, LEVELS)):
        assert found.n == expected.n
        assert found.factors == pytest.approx(expected.factors)
        assert found.scale == pytest.approx(expected.scale)
    nothing = calibrate(np.full((4, 2), NAN), normal_quantiles(4, 2), LEVELS)
    assert nothing.n == 0
    assert nothing.words().startswith("not calibrated, n = 0")


def test_values_outside_intervals_without_width() -> None:
    q = np.zeros((40, 1, 3))
    inside = calibrate(np.zeros((40, 1)), q, (0.1, 0.5, 0.9))
    assert inside.factors == {0.8: 0.0}
    outside = calibrate(np.ones((40, 1)), q, (0.1, 0.5, 0.9))
    assert outside.factors == {0.8: None}
    assert outside.words() == "not calibrated, n = 40 (80 % has values outside intervals without width)"


def test_levels_without_partners_form_no_interval() -> None:
    found = calibrate(np.zeros((40, 1)), np.zeros((40, 1, 2)), (0.5, 0.9))
    assert found.factors == {}
    assert found.words() == "not calibrated: no two quantile levels form a central interval"
    np.testing.assert_array_equal(apply(found, [[[1.0, 2.0]]], (0.5, 0.9)), [[[1.0, 2.0]]])


def test_other_levels_take_the_factor_between() -> None:
    calibration = Calibration((1.0,), {0.5: 2.0, 0.9: 4.0}, 100)
    levels = (0.01, 0.15, 0.25, 0.45, 0.5, 0.85)
    # nominal 0.98 (outside: 4), 0.7 (between: 3), 0.5 (2), 0.1 (inside: 2), the median, 0.7 (3)
    found = apply(calibration, [[[-9.0, -2.0, -1.0, -0.5, 0.0, 2.0]]], levels)[0, 0]
    np.testing.assert_allclose(found, [-36, -6, -2, -1, 0, 6])
    assert apply(calibration, [[[-1.0, 3.0]]], (0.25, 0.75))[0, 0] == pytest.approx([-3, 5])  # about 1


values = arrays.arrays(np.float64, (12, 3), elements=st.floats(-50, 50))
forecasts = arrays.arrays(np.float64, (12, 3, 5), elements=st.floats(-50, 50)).map(
    lambda q: np.sort(q, axis=-1)
)


@given(values, forecasts)
def test_quantiles_never_cross_and_the_median_stays(y: Array, q: Array) -> None:
    found = calibrate(y, q, LEVELS)
    after = apply(found, q, LEVELS)
    assert (np.diff(after, axis=-1) >= 0).all()
    np.testing.assert_allclose(after[..., 2], q[..., 2], rtol=0, atol=1e-12)


@given(st.integers(0, 1000), st.sampled_from([0.25, 4.0, 1024.0]), st.floats(-100, 100))
def test_calibration_does_not_depend_on_the_unit(seed: int, unit: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    y, q = rng.normal(size=(40, 3)), np.sort(rng.normal(size=(40, 3, 5)), axis=-1)
    found, moved = calibrate(y, q, LEVELS), calibrate(unit * y + shift, unit * q + shift, LEVELS)
    assert moved.n == found.n
    for nominal, factor in found.factors.items():
        assert moved.factors[nominal] == pytest.approx(factor, rel=1e-6)
    np.testing.assert_allclose(
        apply(moved, unit * q + shift, LEVELS), unit * apply(found, q, LEVELS) + shift, rtol=1e-6, atol=1e-6
    )
    mirrored = calibrate(-y, -q[..., ::-1], LEVELS)
    assert mirrored.factors == pytest.approx(found.factors)


def test_each_row_is_widened_in_its_own_unit() -> None:
    rng = np.random.default_rng(6)
    units = np.exp(rng.normal(0, 4, (80, 1)))
    y, q = rng.normal(size=(80, 2)), normal_quantiles(80, 2, 0.5)
    found = calibrate(units * y, units[..., None] * q, LEVELS)
    assert found.factors == pytest.approx(calibrate(y, q, LEVELS).factors)


def test_json_gives_the_same_record_back() -> None:
    found = calibrate(np.random.default_rng(7).normal(size=(20, 1)), normal_quantiles(20, 1), LEVELS)
    assert None in found.factors.values()
    text = json.dumps(found.to_json(), allow_nan=False)
    assert Calibration.from_json(json.loads(text)) == found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": [1.0, -1.0]}, "scales and factors of zero or above"),
        ({"factors": [{"nominal": 0.8, "factor": math.inf}]}, "scales and factors of zero or above"),
        ({"factors": [{"nominal": 1.8, "factor": 1.0}]}, "nominal shares inside"),
        ({"n": None}, "expected scale, factors"),
        ({"factors": [0.8]}, "expected scale, factors"),
    ],
)
def test_json_of_another_kind_is_refused(change: dict[str, object], words: str) -> None:
    record = Calibration((1.0, 1.0), {0.8: 1.0}, 9).to_json()
    with pytest.raises(InputError, match=words):
        Calibration.from_json(record | change)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected quantiles of shape \(n, H, L\) = \(4, 2, 5\)"):
        calibrate(np.zeros((4, 2)), np.zeros((4, 3, 5)), LEVELS)
    with pytest.raises(InputError, match="calibrate: expected 4 units, one a row, got 3"):
        calibrate(np.zeros((4, 2)), np.zeros((4, 2, 5)), LEVELS, units=Units.independent(3))
    with pytest.raises(InputError, match=r"expected groups of shape \(4,\), got \(3,\)"):
        calibrate(np.zeros((4, 2)), np.zeros((4, 2, 5)), LEVELS, np.zeros(3, dtype=np.int64))
    with pytest.raises(InputError, match=r"apply: expected quantiles of shape \(…, 2, 5\), got \(4, 3, 5\)"):
        apply(Calibration((1.0, 1.0), {0.8: 1.0}, 9), np.zeros((4, 3, 5)), LEVELS)


def test_a_backtest_is_calibrated_on_its_earlier_origins_and_scored_on_the_later() -> None:
    rng = np.random.default_rng(8)
    n, H = 2000, 2
    q = normal_quantiles(n, H, 0.4)
    model = Method("model", "LSTM", q[..., 2], q[..., 2], q, None, 1.0)
    series = np.repeat(np.arange(500), 4)
    plain = backtest_of(q[..., 2], {}, series=series, actual=rng.normal(size=(n, H)))
    tested = replace(plain, model=(model, model), levels=LEVELS)
    spoilt = replace(tested, actual=np.where(tested.tests[:, None], 1e6, tested.actual))
    calibration = calibration_of(tested, every=False, together=False)
    assert calibration_of(spoilt, every=False, together=False) == calibration
    assert calibration_of(spoilt, every=True, together=False) != calibration
    before, after = (score_table(each)[0].scores for each in (tested, calibrated(tested, calibration)))
    assert before["coverage_80"] < 0.5
    assert after["coverage_80"] == pytest.approx(0.8, abs=0.03)
    assert after["coverage_95"] == pytest.approx(0.95, abs=0.02)
    assert after["wql"] < before["wql"]
    assert after["mase"] == before["mase"]


def test_a_backtest_knows_which_of_its_origins_fell_together() -> None:
    """Series that share all at one date, and end at dates far apart: then each origin counts by itself."""
    y, units = panel_of_errors(np.random.default_rng(16), 40, 4, 1, 1.0)
    q = normal_quantiles(160, 1)
    model = Method("model", "LSTM", q[..., 2], q[..., 2], q, None, 1.0)
    plain = backtest_of(q[..., 2], {}, series=units.group, actual=y)
    tested = replace(plain, model=(model,), levels=LEVELS)
    assert calibration_of(tested, every=True, together=False).n == 4
    assert calibration_of(tested, every=False, together=False).n == 2
    apart = replace(tested, moment=tested.origin + 50 * units.group)
    assert calibration_of(apart, every=True, together=False).n == 160


def test_calibrating_the_seeds_calibrates_their_ensemble() -> None:
    rng = np.random.default_rng(9)
    centres = rng.normal(size=(3, 40, 2, 1))
    q = [centre + normal_quantiles(40, 2, width) for centre, width in zip(centres, (0.5, 1, 2), strict=True)]
    seeds = tuple(Method("model", "LSTM", each[..., 2], each[..., 2], each, None, 1.0) for each in q)
    plain = backtest_of(q[0][..., 2], {}, actual=rng.normal(size=(40, 2)))
    tested = replace(plain, model=seeds, levels=LEVELS)
    calibration = calibration_of(tested, every=True, together=True)
    mixed, mended = ensemble(seeds).quantiles, ensemble(calibrated(tested, calibration).model).quantiles
    assert mixed is not None
    assert mended is not None
    assert calibration == calibrate(tested.actual, mixed, LEVELS, tested.blocks, tested.units())
    assert calibration.factors[0.95] != pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(mended, apply(calibration, mixed, LEVELS), atol=1e-12)


def test_without_earlier_origins_nothing_is_calibrated() -> None:
    q = normal_quantiles(20, 1)
    model = Method("model", "LSTM", q[..., 2], q[..., 2], q, None, 1.0)
    plain = backtest_of(q[..., 2], {}, calibrating=0)
    tested = replace(plain, model=(model,), levels=LEVELS)
    found = calibration_of(tested, every=False, together=False)
    assert found.words() == "not calibrated, n = 0 (80 % needs 9, 95 % needs 39)"
    np.testing.assert_array_equal(calibrated(tested, found).model[0].quantiles, q)


def test_point_forecasts_have_no_intervals_to_calibrate() -> None:
    with pytest.raises(InputError, match="quantiles of every seed of the model, got point forecasts"):
        calibration_of(backtest_of(np.zeros((4, 1)), {}), every=True, together=False)


def test_a_width_of_next_to_nothing_counts_as_none() -> None:
    y = np.full((12, 2), -4.0)
    q = np.zeros((1, 12, 2, len(LEVELS)))
    none = calibrate(y, q, LEVELS)
    q[..., 0] = -2.3e-308
    assert calibrate(y, q, LEVELS) == none
