from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from backtest_examples import backtest_of, point, walk_backtest
from numpy.typing import NDArray

from longspan.evaluation.backtest import Backtest
from longspan.evaluation.verdict import judge, untested
from longspan.metrics.significance import diebold_mariano, holm, paired_bootstrap

Array = NDArray[np.float64]
NAN = float("nan")


def errors(n: int, horizon: int, size: float, seed: int) -> Array:
    """(n, H) positive errors about ``size``."""
    return size * np.exp(0.1 * np.random.default_rng(seed).normal(size=(n, horizon)))


def one_series(model: float, baseline: float, *, horizon: int = 1, n: int = 16) -> Backtest:
    return backtest_of(errors(n, horizon, model, 1), {"seasonal_naive": errors(n, horizon, baseline, 2)})


def many_series(model: float, baseline: float, *, count: int = 30, horizon: int = 4) -> Backtest:
    series = np.repeat(np.arange(count), 4)
    n = len(series)
    return backtest_of(
        errors(n, horizon, model, 1), {"last_value": errors(n, horizon, baseline, 2)}, series=series
    )


@pytest.mark.parametrize("forecaster", ["noise", "fitted"])
@pytest.mark.parametrize(
    ("series", "origins", "horizon", "stride", "shared"),
    [
        (1, 16, 1, 1, 0.0),
        (1, 16, 20, 20, 0.0),
        (1, 32, 12, 3, 0.0),  # overlapping origins
        (1, 8, 4, 4, 0.0),  # too few to say
        (3, 16, 4, 4, 0.0),
        (8, 16, 4, 4, 0.8),
    ],
)
def test_a_random_walk_is_hardly_ever_beaten(
    forecaster: str, series: int, origins: int, horizon: int, stride: int, shared: float
) -> None:
    said = [
        judge(
            walk_backtest(
                seed,
                forecaster,
                series=series,
                origins=origins,
                horizon=horizon,
                stride=stride,
                shared=shared,
            )
        ).outcome
        for seed in range(100)
    ]
    assert said.count("better") <= 5
    assert said.count("worse") <= 20  # noise is worse, and a fitted walk a little


@pytest.mark.parametrize("forecaster", ["noise", "fitted"])
@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_many_random_walks_are_hardly_ever_beaten(forecaster: str, shared: float) -> None:
    walks = [walk_backtest(k, forecaster, series=30, origins=4, horizon=2, shared=shared) for k in range(100)]
    assert [judge(each).outcome for each in walks].count("better") <= 5


def test_walks_that_move_together_would_fool_a_bootstrap_over_series() -> None:
    fooled = 0
    for seed in range(60):
        walks = walk_backtest(seed, "fitted", series=30, origins=4, horizon=4, shared=0.8)
        late = walks.tests
        loss = [
            np.abs(walks.actual - each.median).mean(axis=1)[late]
            for each in (walks.model[0], walks.baselines[0])
        ]
        difference = (loss[0] - loss[1]).reshape(30, 2).mean(axis=1)
        fooled += difference.mean() < 0 and paired_bootstrap(difference, seed, 199).p < 0.05
    assert fooled > 6


def test_a_model_that_knows_the_drift_is_better_than_the_last_value() -> None:
    rng = np.random.default_rng(0)
    walk = np.cumsum(2 + rng.normal(size=400))
    cuts = np.arange(300, 396, 6)
    actual = np.stack([walk[cut : cut + 6] for cut in cuts])
    last = walk[cuts - 1][:, None] + np.zeros(6)
    tested = backtest_of(last + 2 * np.arange(1, 7), {"last_value": last}, actual=actual)
    found = judge(tested)
    assert found.outcome == "better"
    assert found.comparisons[0].effect is not None
    assert found.comparisons[0].effect < -50
    assert found.words.startswith(
        "The LSTM is better than last value, the strongest simple method: its MASE is"
    )


def test_one_series_by_hand() -> None:
    tested = one_series(0.8, 1.0)
    found = judge(tested)
    late = tested.tests
    ours, theirs = (each.median[late, 0] for each in (tested.model[0], tested.baselines[0]))
    expected = diebold_mariano(ours, theirs)
    (whole,) = found.comparisons  # one step ahead: no groups beside the whole
    assert whole.p == whole.adjusted == pytest.approx(expected.p)
    assert whole.effect == pytest.approx(100 * (ours.mean() / theirs.mean() - 1))
    assert whole.interval == pytest.approx(tuple(100 * each / theirs.mean() for each in expected.interval))
    assert (whole.n, whole.test) == (8, "Diebold–Mariano over origins")
    assert found.outcome == "better"
    assert (found.baseline, found.title, found.measure) == ("seasonal_naive", "seasonal naive", "MASE")


def test_the_losing_model_is_told_what_to_use_instead() -> None:
    found = judge(one_series(1.5, 1.0))
    assert found.outcome == "worse"
    assert found.words.startswith("The LSTM loses to seasonal naive: its MASE is 1.")
    assert "% higher than" in found.words
    assert "Use seasonal naive instead: it is simpler and errs less." in found.words
    assert judge(many_series(1.5, 1.0)).outcome == "worse"


def test_no_difference_says_that_the_simpler_one_is_enough() -> None:
    for tested in (one_series(1.0, 1.0), many_series(1.0, 1.0)):
        found = judge(tested)
        assert found.outcome == "no difference"
        assert found.words.startswith("No difference shown between the LSTM and ")
        assert f"Use {found.title}: it is simpler and enough." in found.words
        assert "95 % interval" in found.words
        assert "adjusted p = " in found.words


def test_too_few_origins_say_why_and_what_would_help() -> None:
    found = judge(one_series(0.1, 1.0, n=14))
    assert found.outcome == "cannot tell"
    assert "there are 7 test origins, and the test needs 8" in found.words
    assert "More rows or a shorter horizon give more origins." in found.words
    (whole,) = found.comparisons
    assert whole.p is whole.adjusted is None
    assert (whole.test, whole.reason[:9]) == ("", "there are")
    one = judge(one_series(0.1, 1.0, n=1))
    assert one.outcome == "cannot tell"
    assert "there is 1 test origin, and the test needs 8" in one.words


def test_origins_within_one_forecast_say_nothing() -> None:
    model, baseline = errors(16, 9, 0.5, 1), errors(16, 9, 1.0, 2)
    found = judge(backtest_of(model, {"drift": baseline}, stride=1))
    assert found.outcome == "cannot tell"
    assert "the 8 test origins overlap: together they span less than one forecast" in found.words


def test_one_origin_of_many_series_cannot_be_told_from_luck() -> None:
    tested = backtest_of(
        errors(40, 1, 0.5, 1), {"drift": errors(40, 1, 1.0, 2)}, series=np.arange(40), calibrating=0
    )
    found = judge(tested)
    assert found.outcome == "cannot tell"
    assert "what all series share cannot be told from skill" in found.words


def test_many_series_are_better_and_say_how_sure() -> None:
    found = judge(many_series(0.7, 1.0))
    whole = found.comparisons[0]
    assert found.outcome == "better"
    assert whole.n == 30
    assert whole.effect == pytest.approx(-30, abs=3)
    assert whole.interval is not None
    assert -36 < whole.interval[0] < whole.effect < whole.interval[1] < -24
    assert [(each.first, each.last) for each in found.comparisons] == [(1, 4), (1, 1), (2, 2), (3, 3), (4, 4)]
    assert [each.adjusted for each in found.comparisons] == pytest.approx(
        holm([NAN if each.p is None else each.p for each in found.comparisons]).tolist()
    )


def test_the_baseline_to_beat_is_the_strongest_on_the_earlier_origins() -> None:
    n = 16
    early = np.arange(n)[:, None] < 8
    turning = np.where(early, 0.5, 3.0) * errors(n, 1, 1.0, 3)  # strong before, weak after
    steady = errors(n, 1, 1.0, 4)
    found = judge(backtest_of(errors(n, 1, 0.5, 5), {"steady": steady, "turning": turning}))
    assert found.baseline == "turning"
    assert found.outcome == "better"  # and than steady too
    spoilt = judge(backtest_of(errors(n, 1, 2.0, 5), {"steady": steady, "turning": turning}))
    assert spoilt.comparisons[0].adjusted is not None
    assert spoilt.comparisons[0].adjusted < 0.05
    assert spoilt.comparisons[0].error < spoilt.comparisons[0].baseline
    assert spoilt.outcome == "no difference"  # because steady errs less than the model
    assert (
        "but steady errs less than it on the later ones. Use steady: it is simpler and enough."
        in spoilt.words
    )


def test_the_choice_of_the_baseline_reads_no_test_origin() -> None:
    n = 16
    names = {
        name: errors(n, 1, size, k) for k, (name, size) in enumerate({"a": 1.0, "b": 1.1, "c": 0.9}.items())
    }
    late = np.arange(n)[:, None] >= 8
    spoilt = {
        name: np.where(late, errors(n, 1, 5.0, 9 + k), each) for k, (name, each) in enumerate(names.items())
    }
    model = errors(n, 1, 1.0, 7)
    assert judge(backtest_of(model, names)).baseline == judge(backtest_of(model, spoilt)).baseline == "c"


def test_a_baseline_chosen_on_the_test_origins_costs_its_price() -> None:
    rivals = {name: errors(8, 1, 1.0, k) for k, name in enumerate("abc")}
    model = errors(8, 1, 0.9, 9)
    found = judge(backtest_of(model, rivals, calibrating=0)).comparisons[0]
    assert found.p is not None
    assert found.adjusted == pytest.approx(min(1, 3 * found.p))


def test_a_sampled_baseline_is_compared_on_its_sample() -> None:
    tested = many_series(0.8, 1.0, horizon=1)
    rows = np.flatnonzero(tested.series < 10)
    ets = point("ets", errors(40, 1, 0.5, 3), rows, title="ETS")
    found = judge(replace(tested, baselines=(*tested.baselines, ets)))
    assert (found.baseline, found.sample, found.comparisons[0].n) == ("ets", "10 of 30 series", 10)
    assert found.outcome == "worse"
    assert "compared on 10 of 30 series" in found.words
    weak = point("ets", errors(40, 1, 5.0, 3), rows, title="ETS")
    found = judge(replace(tested, baselines=(weak, *tested.baselines)))
    assert (found.baseline, found.sample) == ("last_value", None)


def test_steps_that_differ_from_the_whole_are_named() -> None:
    near, far = errors(120, 8, 1.0, 1), errors(120, 8, 1.0, 2)
    near[:, :2] *= 0.5
    near[:, 6:] *= 1.5
    found = judge(backtest_of(near, {"drift": far}, series=np.repeat(np.arange(30), 4)))
    assert found.outcome == "no difference"
    assert "By steps it is better at step 1, step 2 ahead and worse at step 7, step 8 ahead." in found.words


def test_series_that_move_together_have_to_convince_over_time_too() -> None:
    series = np.repeat(np.arange(6), 16)
    luck = np.tile(np.random.default_rng(1).normal(size=16), 6)[:, None]
    model = 10 + luck + 0.01 * np.random.default_rng(2).normal(size=(96, 1))
    tested = backtest_of(model, {"drift": np.full((96, 1), 10.3)}, series=series)
    found = judge(tested)
    assert found.outcome == "no difference"
    assert found.comparisons[0].test == "Diebold–Mariano over origins, of the mean over series"


def test_an_exact_baseline_cannot_be_beaten() -> None:
    zero = np.zeros((16, 2))
    found = judge(backtest_of(errors(16, 2, 0.1, 1), {"seasonal_naive": zero}))
    assert found.outcome == "worse"
    assert found.comparisons[0].effect is found.comparisons[0].interval is None
    assert "and that method is exact" in found.words
    nearly = judge(backtest_of(errors(16, 2, 0.1, 1), {"seasonal_naive": zero + 1e-15}))
    assert nearly.outcome == "worse"
    assert "with 1e-15, is all but exact" in nearly.words
    both = judge(backtest_of(zero, {"seasonal_naive": zero}))
    assert both.outcome == "no difference"
    assert both.comparisons[0].p == 1
    assert "and both are exact" in both.words


def test_equal_errors_are_no_difference() -> None:
    same = errors(16, 3, 1.0, 1)
    for series in (None, np.repeat(np.arange(8), 2)):
        found = judge(backtest_of(same, {"last_value": -same}, series=series))
        assert found.outcome == "no difference"
        assert {each.p for each in found.comparisons} == {1.0}
        assert "the same (" in found.words


def test_steps_that_are_never_known_are_no_comparison() -> None:
    actual = np.zeros((16, 2))
    actual[:, 1] = NAN
    found = judge(backtest_of(errors(16, 2, 1.0, 1), {"drift": errors(16, 2, 2.0, 2)}, actual=actual))
    assert found.outcome == "better"
    whole, first, second = found.comparisons
    assert whole.p == first.p
    assert second.p is None
    assert second.reason == "there are 0 test origins, and the test needs 8"
    assert math.isnan(second.error)
    nothing = judge(backtest_of(np.ones((16, 1)), {"drift": np.ones((16, 1))}, actual=np.full((16, 1), NAN)))
    assert nothing.outcome == "cannot tell"
    assert "no value of the test part is known" in nothing.words


def test_without_a_scale_absolute_errors_are_compared() -> None:
    tested = one_series(0.8, 1.0)
    found = judge(replace(tested, scale=np.full(16, NAN)))
    assert found.measure == "mean absolute error"
    assert "its mean absolute error is 0.8" in found.words
    assert found.comparisons[0].p == judge(tested).comparisons[0].p


def test_series_without_a_scale_are_left_out_and_said_so() -> None:
    tested = many_series(0.7, 1.0)
    found = judge(replace(tested, scale=np.where(tested.series < 5, NAN, 2.0)))
    assert found.comparisons[0].n == 25
    assert found.sample == "25 of 30 series"


def test_the_loss_of_seeds_is_what_one_of_them_loses() -> None:
    low, high = -errors(16, 1, 1.0, 1), errors(16, 1, 1.0, 2)  # they err to opposite sides
    tested = backtest_of([low, high], {"drift": errors(16, 1, 1.0, 3)})
    one, together = judge(tested).comparisons[0], judge(tested, together=True).comparisons[0]
    assert one.error == pytest.approx(1, abs=0.1)
    assert together.error < 0.2


def test_no_backtest_and_no_baseline_are_not_tested() -> None:
    found = judge(backtest_of(np.ones((4, 1)), {}))
    assert found.outcome == "not tested"
    assert found.words.startswith("Not tested: there is no baseline to compare with.")
    words = untested("--backtest 0 turned the backtest off").words
    assert words == (
        "Not tested: --backtest 0 turned the backtest off. "
        "Whether the LSTM is better than a simple method is not known."
    )


def test_the_same_seed_gives_the_same_verdict_and_json_holds_no_nan() -> None:
    tested = many_series(0.95, 1.0)
    assert judge(tested, seed=1) == judge(tested, seed=1)
    assert judge(tested, seed=1).comparisons != judge(tested, seed=2).comparisons
    for found in (judge(tested), judge(one_series(1.0, 1.0, n=1)), untested("x")):
        record = json.loads(json.dumps(found.to_json(), allow_nan=False))
        assert record["outcome"] == found.outcome
        assert len(record["comparisons"]) == len(found.comparisons)
