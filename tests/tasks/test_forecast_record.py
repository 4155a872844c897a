"""What is said of an evaluation: who erred less, whether that is a test, and on how much."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from longspan.data.inference import Roles, read_panel
from longspan.data.panel import Panel
from longspan.models.comparison import beside_baselines
from longspan.models.forecasting import Forecasts
from longspan.models.learned import Learned
from longspan.tasks.forecast_record import erred, evaluated

Array = NDArray[np.float64]
LEVELS = (0.1, 0.5, 0.9)


@pytest.mark.parametrize(
    ("model", "how"), [(0.9, "less than"), (1.0, "as much as"), (1.001, "more than"), (1.4, "more than")]
)
def test_who_erred_less_is_told_as_it_is(model: float, how: str) -> None:
    baselines = {"last_value": {"mase": 2.0, "mae": 1.0}, "seasonal_naive": {"mase": 1.0, "mae": 3.0}}
    scores = {"model": {"mase": model, "mae": 5.0}, "baselines": baselines, "strongest": "seasonal_naive"}
    assert erred(scores, "GRU") == (
        f"the GRU erred {how} seasonal naive, the strongest simple method that needs no fitting "
        f"(MASE {model:.4g} against 1)"
    )


@pytest.mark.parametrize("none", [None, float("nan")])
def test_without_a_scale_absolute_errors_are_told(none: float | None) -> None:
    scores = {
        "model": {"mase": none, "mae": 1.0},
        "baselines": {"drift": {"mase": none, "mae": 2.0}},
        "strongest": "drift",
    }
    told = erred(scores, "LSTM")
    assert told.startswith("the LSTM erred less than drift, ")
    assert told.endswith(" (mean absolute error 1 against 2)")


def walk_panel(count: int, series: int = 1) -> Panel:
    draws = np.random.default_rng(count)
    table = pl.concat(
        pl.DataFrame({"id": f"s{n}", "y": np.cumsum(draws.normal(size=count))}) for n in range(series)
    )
    return read_panel(table, Roles(target="y", series=("id",)), seasons=())


def forecasts(panel: Panel, first: int, horizon: int, better: float, seed: int = 0) -> Forecasts:
    """From every cut of every series: the last value, moved towards the truth by a share, and noise."""
    draws = np.random.default_rng(seed)
    cuts = np.arange(first, int(panel.observed[0]) - horizon + 1)
    series, cut = np.repeat(np.arange(len(panel)), len(cuts)), np.tile(cuts, len(panel))
    pairs = list(zip(series.tolist(), cut.tolist(), strict=True))
    actual = np.stack([panel.values(n)[c : c + horizon] for n, c in pairs])
    past = np.stack([panel.values(n)[c - 20 : c] for n, c in pairs])
    median = past[:, -1:] + better * (actual - past[:, -1:]) + 0.05 * draws.normal(size=actual.shape)
    quantiles = median[..., None] + np.array([-1.0, 0.0, 1.0])
    return Forecasts(series, cut, past, actual, median, quantiles, LEVELS)


def told(panel: Panel, found: Forecasts, record: dict[str, Any] | None = None) -> dict[str, Any]:
    return evaluated(found, panel, panel.observed - 60, record or {}, "LSTM")


@pytest.mark.parametrize(
    ("better", "outcome", "start"),
    [
        (
            0.5,
            "better",
            "The LSTM is better than last value, the strongest simple method that needs no fitting: ",
        ),
        (
            0.0,
            "no difference",
            "No difference shown between the LSTM and last value, the strongest simple method",
        ),
        (-0.5, "worse", "The LSTM loses to last value: its MASE is "),
    ],
)
def test_enough_windows_are_tested(better: float, outcome: str, start: str) -> None:
    panel = walk_panel(160)
    found = told(panel, forecasts(panel, 100, 3, better))
    assert (found["outcome"], found["windows"], found["learned_windows"]) == (outcome, 58, 0)
    assert found["verdict"].startswith(start)
    assert "Diebold–Mariano over origins, n = 58" in found["verdict"]
    assert found["strongest"] == "last_value"


def test_overlapping_windows_are_no_experiments_of_their_own() -> None:
    """On walks that nothing foretells, every step's forecast of the ten next: hardly ever better."""
    said = []
    for seed in range(40):
        panel = walk_panel(160 + seed)
        first = int(panel.observed[0]) - 60
        found = forecasts(panel, first, 10, 0.0, seed)
        shift = 0.5 * np.random.default_rng(seed).normal()
        said.append(told(panel, replace(found, quantiles=found.quantiles + shift))["outcome"])
    assert said.count("better") <= 3


def test_many_series_at_one_origin_are_too_few_times() -> None:
    panel = walk_panel(120, series=30)
    found = told(panel, forecasts(panel, 117, 3, 0.9))
    assert (found["outcome"], found["windows"], found["series"]) == ("cannot tell", 30, 30)
    assert found["verdict"].startswith("On 30 windows the LSTM erred less than ")
    assert "too few to test, since there is one origin, where what all series share" in found["verdict"]


def test_windows_are_placed_by_the_calendar() -> None:
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 12, 31), "1d", eager=True)
    walk = np.cumsum(np.random.default_rng(0).normal(size=len(days)))
    parts = [pl.DataFrame({"id": f"s{n}", "day": days[5 * n :], "y": walk[5 * n :]}) for n in range(3)]
    panel = read_panel(pl.concat(parts), Roles(target="y", series=("id",), time="day"), seasons=())
    found = forecasts(replace(panel, observed=panel.observed - np.array([10, 0, 0])), 300, 3, 0.5)
    tested = beside_baselines(found, panel, panel.observed - 66)
    assert tested.moment is not None
    assert tested.moment.tolist() == (found.cut + 5 * found.series).tolist()


def test_what_was_learned_is_counted_and_ends_the_test() -> None:
    panel = walk_panel(160)
    target, observed = panel.target.copy(), panel.observed - 50
    fitted = replace(panel, target=target, observed=observed)
    record = {"learned": Learned.of_panel(fitted).model_dump(mode="json")}
    found = told(panel, forecasts(panel, 100, 3, 0.9), record)
    assert (found["outcome"], found["learned_windows"]) == ("not tested", 10)
    assert found["verdict"].startswith(
        "This is no test: the model has learned from values of 10 of 58 windows. Here the LSTM erred less "
    )
    some = {"learned": record["learned"] | {"of": 2000}}
    assert (
        "values of at least 10 of 58 windows" in told(panel, forecasts(panel, 100, 3, 0.9), some)["verdict"]
    )
    later = told(panel, forecasts(panel, 110, 3, 0.9), record)
    assert (later["outcome"], later["learned_windows"]) == ("better", 0)
    first = told(panel, forecasts(panel, 100, 60, 0.9), record)
    assert first["verdict"].startswith("This is no test: the model has learned from values of 1 window. ")
