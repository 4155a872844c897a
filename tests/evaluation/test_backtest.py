from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from backtest_examples import LEVELS, backtest_of, point
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.evaluation.backtest import Method, by_horizon, common, ensemble, horizon_groups, score_table

NAN = float("nan")


def quantile_method(name: str, median: np.ndarray, width: float) -> Method:
    quantiles = median[..., None] + width * np.array([-1.0, 0.0, 1.0])
    return Method(name, "LSTM", median, median, quantiles, None, 2.0)


def test_only_test_origins_are_scored() -> None:
    model = np.array([[9.0], [9.0], [1.0], [3.0]])
    rows = score_table(backtest_of(model, {"last_value": np.array([[0.0], [0.0], [4.0], [4.0]])}))
    assert [each.name for each in rows] == ["model", "last_value"]
    assert rows[0].scores["mase"] == pytest.approx(2)
    assert rows[0].scores["rmse"] == pytest.approx(np.sqrt((1 + 9) / 2))
    assert rows[1].scores["mae"] == pytest.approx(4)
    assert (rows[0].origins, rows[0].series, rows[0].sample) == (2, 1, None)


def test_seeds_are_averaged_with_their_spread_and_the_ensemble_has_a_row() -> None:
    seeds = [np.full((4, 1), 1.0), np.full((4, 1), -3.0)]
    rows = score_table(backtest_of(seeds, {"drift": np.full((4, 1), 2.0)}))
    assert [each.name for each in rows] == ["model", "ensemble", "drift"]
    assert rows[0].scores["mase"] == pytest.approx(2)
    assert rows[0].spread["mase"] == pytest.approx(np.sqrt(2))  # of 1 and 3
    assert rows[1].scores["mase"] == pytest.approx(1)  # their mean is -1
    assert rows[1].title == "LSTM, mean of 2 seeds"
    assert rows[1].spread == rows[2].spread == {}


def test_quantiles_bring_loss_and_coverage() -> None:
    median = np.array([[0.0], [0.0], [0.5], [2.0]])
    tested = replace(
        backtest_of(median, {"last_value": median}), model=(quantile_method("model", median, 1.0),)
    )
    model, baseline = score_table(tested)
    assert model.scores["coverage_80"] == pytest.approx(0.5)
    assert "wql" in model.scores
    assert "coverage_80" not in baseline.scores


def test_a_sampled_baseline_stands_beside_the_model_on_the_same_sample() -> None:
    series = np.repeat(np.arange(4), 2)
    model = np.arange(8.0)[:, None]
    tested = backtest_of(model, {"drift": np.ones((8, 1))}, series=series)
    rows = np.array([2, 3, 6, 7])
    sampled = point("ets", np.full((4, 1), 2.0), rows, title="ETS")
    found = score_table(replace(tested, baselines=(sampled, *tested.baselines)))
    assert [(each.name, each.sample) for each in found] == [
        ("model", None),
        ("drift", None),
        ("model", "2 of 4 series"),
        ("ets", "2 of 4 series"),
    ]
    assert found[0].scores["mase"] == pytest.approx((1 + 3 + 5 + 7) / 4)
    assert found[2].scores["mase"] == pytest.approx((3 + 7) / 2)
    assert (found[3].origins, found[3].series) == (2, 2)


def test_two_baselines_on_one_sample_share_the_row_of_the_model() -> None:
    tested = backtest_of(np.ones((4, 1)), {"a": np.ones((4, 1))})
    late = np.array([3])
    more = tuple(point(name, np.ones((1, 1)), late) for name in ("b", "c"))
    found = score_table(replace(tested, baselines=(*tested.baselines, *more)))
    assert [each.name for each in found] == ["model", "a", "model", "b", "c"]
    assert {each.sample for each in found[2:]} == {"1 of 2 origins"}


def test_a_baseline_with_gaps_is_scored_where_it_forecasts() -> None:
    gap = np.array([[1.0, 1.0]] * 3 + [[1.0, NAN]])
    found = score_table(backtest_of(np.full((4, 2), 3.0), {"ets": gap}))
    assert [each.sample for each in found] == [None, "3 of 4 values", "3 of 4 values"]
    assert found[2].scores["mase"] == pytest.approx(1)


def test_a_gap_in_the_calibrating_part_alone_changes_no_row() -> None:
    gap = np.array([[NAN], [1.0], [1.0], [1.0]])
    assert [each.sample for each in score_table(backtest_of(np.ones((4, 1)), {"ets": gap}))] == [None, None]


def test_unknown_values_and_scales_are_left_out() -> None:
    actual = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, NAN], [0.0, 0.0]])
    scale = np.array([1.0, 1.0, 2.0, NAN])
    model = np.array([[9.0, 9.0], [9.0, 9.0], [4.0, 9.0], [5.0, 7.0]])
    row = score_table(backtest_of(model, {}, actual=actual, scale=scale))[0]
    assert row.scores["mase"] == pytest.approx(2)
    assert row.scores["mae"] == pytest.approx((4 + 5 + 7) / 3)


def test_nothing_to_score_is_not_a_number_and_none_in_json() -> None:
    tested = backtest_of(np.ones((2, 1)), {"drift": np.ones((2, 1))}, calibrating=2)
    row = score_table(tested)[0]
    assert row.origins == 0
    assert np.isnan(row.scores["mase"])
    assert json.loads(json.dumps(row.to_json(), allow_nan=False))["scores"]["mase"] is None


def test_an_infinite_forecast_is_no_gap() -> None:
    model = np.array([[1.0], [np.inf]])
    with pytest.raises(InputError, match="expected a finite forecast wherever the actual is known, got inf"):
        score_table(backtest_of(model, {}))


def test_by_horizon_scores_each_group_of_steps() -> None:
    model = np.tile(np.arange(1.0, 25.0), (4, 1))
    found = by_horizon(backtest_of(model, {"drift": 2 * model}))
    assert [(each.first, each.last) for each in found] == [(k, k + 2) for k in range(1, 25, 3)]
    assert [each.rows[0].scores["mase"] for each in found] == pytest.approx(list(range(2, 25, 3)))
    assert found[0].rows[1].scores["mase"] == pytest.approx(4)
    assert found[1].to_json()["first"] == 4


@given(st.integers(1, 400), st.integers(1, 12))
def test_groups_of_steps_cover_the_horizon_evenly(horizon: int, most: int) -> None:
    groups = horizon_groups(horizon, most)
    steps = [step for first, last in groups for step in range(first, last + 1)]
    sizes = [last - first + 1 for first, last in groups]
    assert steps == list(range(1, horizon + 1))
    assert len(groups) == min(horizon, most)
    assert max(sizes) - min(sizes) <= 1


def test_ensemble_averages_quantiles_of_each_level() -> None:
    a = quantile_method("a", np.zeros((3, 2)), 1.0)
    b = quantile_method("b", np.full((3, 2), 4.0), 3.0)
    found = ensemble((a, b))
    assert (found.median == 2).all()
    assert found.quantiles is not None
    np.testing.assert_allclose(found.quantiles[0, 0], [0, 2, 4])
    assert found.seconds == 4
    assert ensemble((a,)).title == "LSTM"


def test_ensemble_refuses_what_does_not_belong_together() -> None:
    a = quantile_method("a", np.zeros((3, 2)), 1.0)
    with pytest.raises(InputError, match="at least one method"):
        ensemble(())
    with pytest.raises(InputError, match=r"on the same origins, got 'a' \(3, 2\) and 'b' \(2, 2\)"):
        ensemble((a, quantile_method("b", np.zeros((2, 2)), 1.0)))
    with pytest.raises(InputError, match="on the same origins"):
        ensemble((point("a", np.zeros((1, 1)), np.array([0])), point("b", np.zeros((1, 1)), np.array([1]))))
    with pytest.raises(InputError, match="quantiles of all methods or of none, got 1 of 2"):
        ensemble((a, point("b", np.zeros((3, 2)))))


def test_blocks_part_origins_that_share_no_values() -> None:
    series = np.repeat([7, 3], 6)
    tested = backtest_of(np.zeros((12, 5)), {}, series=series, stride=2)
    # origins 100, 102, … of horizon 5: a block reaches over three of them
    assert tested.blocks.tolist() == [2, 2, 2, 3, 3, 3, 0, 0, 0, 1, 1, 1]
    assert len(set(backtest_of(np.zeros((4, 5)), {}).blocks.tolist())) == 4


def test_places_are_known_and_forecast_by_all() -> None:
    actual = np.array([[NAN, 0.0], [0.0, 0.0]])
    tested = backtest_of([np.zeros((2, 2)), np.array([[0.0, 0.0], [NAN, 0.0]])], {}, actual=actual)
    assert common(tested, ()).tolist() == [[False, True], [False, True]]
    late = point("b", np.array([[1.0, NAN]]), np.array([1]))
    assert not common(tested, (late,)).any()


def test_records_refuse_shapes_that_do_not_fit() -> None:
    two = np.zeros((2, 3))
    with pytest.raises(InputError, match=r"'a': expected median and mean of one shape \(m, H\), got"):
        Method("a", "A", two, np.zeros((2, 2)), None, None, 0.0)
    with pytest.raises(InputError, match=r"quantiles of shape \(m, H, L\)"):
        Method("a", "A", two, two, np.zeros((2, 2, 3)), None, 0.0)
    with pytest.raises(InputError, match=r"expected rows of shape \(2,\), increasing"):
        point("a", two, np.array([1, 1]))
    with pytest.raises(InputError, match="at least one method in model"):
        replace(backtest_of(two, {}), model=())
    with pytest.raises(InputError, match=r"expected scale of shape \(2,\), got \(3,\)"):
        backtest_of(two, {}, scale=np.ones(3))
    with pytest.raises(InputError, match="baselines of different names, got"):
        replace(backtest_of(two, {}), baselines=(point("a", two), point("a", two)))
    with pytest.raises(InputError, match=r"expected 'b' of shape \(2, 3\), got \(3, 3\)"):
        backtest_of(two, {"b": np.zeros((3, 3))})
    with pytest.raises(InputError, match="rows of 'c' in 0 to 1, got 1 to 2"):
        replace(backtest_of(two, {}), baselines=(point("c", two, np.array([1, 2])),))
    with pytest.raises(InputError, match="at 2 levels"):
        replace(backtest_of(two, {}), levels=LEVELS[:2], model=(quantile_method("m", two, 1.0),))
    with pytest.raises(InputError, match="expected 1 <= first <= last <= 3, got 2 to 4"):
        backtest_of(two, {}).steps(2, 4)
