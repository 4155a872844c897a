"""The backtest of a forecaster: its arrays, its seeds, and what it is not shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from longspan.data.inference import Roles, read_panel
from longspan.data.panel import Panel
from longspan.models import backtest as module
from longspan.models.backtest import Backtested, member_seed, run_backtest
from longspan.models.fitting import Recipe, fit_forecaster, prepare
from longspan.models.forecasting import forecast_all, forecast_members
from longspan.models.origins import Origins, before_origins
from longspan.models.planning import Wishes
from longspan.models.session import Budget, Session
from longspan.training.history import History
from longspan.training.settings import Settings

Panels = Callable[..., Panel]
PLAN = Origins(2, 3, 5, 4)  # 4 + 2 * 5 + 5 + 1 * 5 = 24 rows
SIMPLE = ("last_value", "drift")


def walk(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=length).cumsum()


def recipe() -> Recipe:
    settings = Settings(max_steps=6, validate_every=3)
    return Recipe(4, None, Wishes(hidden_size=4), settings, 16, torch.device("cpu"))


def backtested(panel: Panel, session: Session | None = None, seeds: int = 2, **more: Any) -> Backtested:
    ready = prepare(before_origins(panel, PLAN, seasons=False), recipe())
    return run_backtest(
        panel, ready, recipe(), PLAN, session or Session(), seeds=seeds, baselines=SIMPLE, **more
    )


def test_origins_of_all_series_with_what_came(panel_of: Panels) -> None:
    one, other = walk(100, 1), walk(80, 2)
    other[72] = np.nan
    found = backtested(panel_of(one, other)).backtest
    assert PLAN.part == 24
    assert found.series.tolist() == [0, 0, 1, 1, 0, 0, 0, 1, 1, 1]
    assert found.origin.tolist() == [76, 81, 56, 61, 86, 91, 96, 66, 71, 76]
    assert found.calibrates.tolist() == [True] * 4 + [False] * 6
    for row, (series, origin) in enumerate(zip(found.series, found.origin, strict=True)):
        values = (one, other)[series]
        np.testing.assert_array_equal(found.actual[row], values[origin : origin + 4])
    assert np.isnan(found.actual).sum() == 1
    for n, values in enumerate((one, other)):
        before = values[: len(values) - 24]
        expected = np.nanmean(np.abs(np.diff(before)))
        np.testing.assert_allclose(found.scale[found.series == n], expected)
    assert found.season == 1
    assert [each.name for each in found.baselines] == list(SIMPLE)


def test_origins_are_placed_by_the_calendar() -> None:
    """The second series ends two days before the first."""
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 4, 9), "1d", eager=True)
    table = pl.concat(
        pl.DataFrame({"id": name, "day": days[first:last], "y": walk(last - first, first)})
        for name, first, last in (("a", 0, 100), ("b", 18, 98))
    )
    panel = read_panel(table, Roles(target="y", series=("id",), time="day"), seasons=())
    found = backtested(panel, seeds=1).backtest
    assert found.moment is not None
    assert (found.moment - found.origin == 18 * found.series).all()
    assert found.moment[found.series == 1].tolist() == [74, 79, 84, 89, 94]


def test_each_seed_is_a_network_of_its_own(panel_of: Panels) -> None:
    panel = panel_of(walk(100, 1))
    found = backtested(panel, seeds=3)
    assert [each.name for each in found.backtest.model] == ["seed 1", "seed 2", "seed 3"]
    assert {each.title for each in found.backtest.model} == {"LSTM"}
    one, two, _ = found.backtest.model
    assert not np.array_equal(one.quantiles, two.quantiles)
    np.testing.assert_array_equal(one.median, one.quantiles[..., found.backtest.levels.index(0.5)])
    assert list(found.histories) == ["seed 1", "seed 2", "seed 3"]
    again = backtested(panel, seeds=2)
    assert again.backtest.model[1].quantiles.tobytes() == two.quantiles.tobytes()
    other = backtested(panel, Session(seed=member_seed(0, 1)), seeds=1)
    assert other.backtest.model[0].quantiles.tobytes() == two.quantiles.tobytes()


def test_short_series_are_left_out_and_counted(panel_of: Panels) -> None:
    more = backtested(panel_of(walk(100, 1), walk(24, 2), walk(20, 3)), seeds=1)
    assert more.notes == ("2 of 3 series are too short for the backtest, whose part is 24 values",)
    found = backtested(panel_of(walk(100, 1), walk(24, 2), walk(90, 3)), seeds=1)
    assert set(found.backtest.series.tolist()) == {0, 2}
    assert found.notes == ("1 of 3 series is too short for the backtest, whose part is 24 values",)


@pytest.mark.parametrize(
    ("seconds", "stopped", "ensemble", "expected"),
    [
        (1.0, "patience", False, 3),  # time for all
        (40.0, "time_budget", False, 1),  # the first takes all that it may
        (30.0, "patience", False, 2),  # 95 - 60 < 2 * 30: the third would leave too little
        (25.0, "patience", True, 1),  # an ensemble of two trains two final networks: 95 - 25 < 3 * 25
        (15.0, "patience", True, 3),
    ],
)
def test_seeds_are_trained_while_they_leave_time_for_the_final_networks(
    panel_of: Panels,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    stopped: str,
    ensemble: bool,
    expected: int,
) -> None:
    def quick(ready: Any, recipe: Any, places: Any, seed: int, budget: float, *_: Any) -> Any:
        history = History(steps=1, seconds=seconds, stopped_by=stopped)
        count = len(places.series)
        arrays = {"mean": np.zeros((count, 4)), "quantiles": np.zeros((count, 4, len(ready.design.levels)))}
        return {"seconds": seconds, "budget": budget, "history": history.to_json()}, arrays

    monkeypatch.setattr(module, "_forecast_origins", quick)
    session = Session(budget=Budget(100.0))
    found = backtested(panel_of(walk(100, 1)), session, seeds=3, ensemble=ensemble)
    assert len(found.backtest.model) == expected
    said = f"{expected} of 3 seeds were tested: the time budget allowed no more"
    assert (said in found.notes) == (expected < 3)
    finals = expected if ensemble else 1
    assert session.budget.training(finals) >= seconds * 0.99  # the final ones have as long as each tested one


def test_an_ensemble_forecasts_the_mean_of_its_quantiles(panel_of: Panels) -> None:
    ready = prepare(panel_of(walk(100, 1)), recipe())
    networks = [fit_forecaster(ready, recipe(), seed)[0] for seed in (0, 1)]
    given: Any = (ready.design.features, ready.held, ready.numbers, ready.design.levels)
    both = forecast_members(networks, *given, nonnegative=False)
    each = [forecast_all(network, *given, nonnegative=False) for network in networks]
    np.testing.assert_allclose(both.quantiles, (each[0].quantiles + each[1].quantiles) / 2)
    np.testing.assert_allclose(both.mean, (each[0].mean + each[1].mean) / 2)
    one = forecast_members(networks[:1], *given, nonnegative=False)
    assert one.quantiles.tobytes() == each[0].quantiles.tobytes()
