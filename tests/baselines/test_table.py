from __future__ import annotations

import numpy as np
import pytest

from longspan.baselines.base import Baseline, Values
from longspan.baselines.table import BASELINES, applicable, strongest
from longspan.core.errors import InputError
from longspan.metrics.point import seasonal_scale

NAN = float("nan")


def test_the_table_is_keyed_by_name_with_distinct_titles_and_sources() -> None:
    assert [name for name, baseline in BASELINES.items() if name != baseline.name] == []
    assert len({baseline.title for baseline in BASELINES.values()}) == len(BASELINES)
    assert all(baseline.source for baseline in BASELINES.values())


def test_without_a_season_only_the_plain_ones_apply() -> None:
    assert [b.name for b in applicable(1)] == ["last_value", "drift"]
    assert [b.name for b in applicable(24)] == ["last_value", "drift", "seasonal_naive", "seasonal_mean"]
    with pytest.raises(InputError, match="expected season of at least 1, got 0"):
        applicable(0)


def test_all_kinds_together_are_the_table() -> None:
    assert [b.name for b in applicable(24, ("window", "learned", "series"))] == list(BASELINES)
    assert [b.name for b in applicable(1, ("learned", "series"))] == ["ridge", "ets", "arima"]
    with pytest.raises(InputError, match="expected kind to be one of window, learned, series, got 'slow'"):
        applicable(1, ("slow",))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ridge", "ridge: expected to be fitted to training windows before it runs. Call fitted(...) first"),
        ("ets", "ETS: it is fitted to each series, not to windows. Call over_origins(...)"),
        ("arima", "ARIMA: it is fitted to each series, not to windows. Call over_origins(...)"),
    ],
)
def test_what_is_not_learned_yet_refuses_to_run(name: str, text: str) -> None:
    with pytest.raises(InputError) as caught:
        BASELINES[name].run(np.ones((1, 3)), 1, 1)
    assert str(caught.value) == text


def test_a_baseline_is_of_one_kind() -> None:
    with pytest.raises(InputError, match="'both': expected fit or over_origins, got both"):
        both = BASELINES["ridge"], BASELINES["ets"]
        Baseline("both", "both", both[0].run, False, "a test", both[0].fit, both[1].over_origins)


def test_the_strongest_has_the_least_scaled_error() -> None:
    pattern = np.tile([1.0, 5.0, 3.0, 8.0, 2.0, 4.0, 9.0, 7.0, 6.0, 0.0, 2.0, 5.0], 5)
    series = np.stack(
        [pattern + np.repeat([0, 7, 1, 4, 4], 12), 100 * pattern]
    )  # the level moves, then stays
    past, future = series[:, :48], series[:, 48:]
    forecasts = {b.name: b.run(past, 12, 12) for b in applicable(12)}
    assert strongest(future, forecasts, seasonal_scale(past, 1)) == "seasonal_naive"
    line = np.arange(20.0)[None]
    forecasts = {b.name: b.run(line[:, :15], 5, 1) for b in applicable(1)}
    assert strongest(line[:, 15:], forecasts, seasonal_scale(line[:, :15], 1)) == "drift"


def test_errors_are_scaled_so_large_series_do_not_decide_alone() -> None:
    actual = np.array([[0.0], [0.0]])
    forecasts = {
        "good on the large": np.array([[4.0], [0.0]]),
        "good on the small": np.array([[0.0], [100.0]]),
    }
    assert strongest(actual, forecasts, [1.0, 1000.0]) == "good on the small"
    assert strongest(actual, forecasts, [1.0, 1.0]) == "good on the large"


def test_all_are_scored_on_the_same_values() -> None:
    actual = np.array([[0.0, 0.0, NAN]])
    # "partial" has no forecast where "whole" is bad, so that step counts for neither.
    forecasts = {"whole": np.array([[1.0, 50.0, 0.0]]), "partial": np.array([[2.0, NAN, 0.0]])}
    assert strongest(actual, forecasts, [1.0]) == "whole"


def test_without_any_scale_the_plain_error_decides() -> None:
    forecasts = {"far": np.array([[9.0]]), "near": np.array([[4.0]])}
    assert strongest([[3.0]], forecasts, [NAN]) == "near"


def test_the_first_of_equals_wins() -> None:
    same = np.array([[1.0]])
    assert strongest([[0.0]], {"b": same, "a": same}, [1.0]) == "b"


def test_the_actuals_are_left_as_they_were() -> None:
    actual = np.array([[1.0, 2.0]])
    strongest(actual, {"partial": np.array([[1.0, NAN]])}, [1.0])
    np.testing.assert_array_equal(actual, [[1.0, 2.0]])


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(InputError, match="expected at least one forecast, got none"):
        strongest([[1.0]], {}, [1.0])
    with pytest.raises(InputError, match="expected a known actual that all of one, two forecast, got none"):
        strongest([[NAN]], {"one": np.array([[1.0]]), "two": np.array([[1.0]])}, [1.0])


def test_a_baseline_with_parameters_is_learned_from_training_windows() -> None:
    def fit(past: Values, future: Values, season: int):
        level = float(np.nanmean(future)) + season
        return lambda past, horizon, _: np.full((len(past), horizon), level)

    def unfitted(past: Values, horizon: int, season: int) -> Values:
        raise InputError("mean: expected to be fitted first")

    learnable = Baseline("mean", "mean of training", unfitted, False, "a test", fit=fit)
    learned = learnable.fitted(np.zeros((2, 3)), np.array([[1.0], [3.0]]), 7)
    np.testing.assert_array_equal(learned.run(np.zeros((4, 3)), 2, 7), np.full((4, 2), 9.0))
    assert (learned.name, learned.fit) == ("mean", None)
    assert BASELINES["drift"].fitted(np.zeros((2, 3)), np.zeros((2, 1)), 7) is BASELINES["drift"]
