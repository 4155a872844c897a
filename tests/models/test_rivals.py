"""Baselines on the origins of a backtest: what they are given, and on which series the slow ones run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from longspan.baselines.base import Baseline, SeriesForecast, Unsuited
from longspan.baselines.table import BASELINES
from longspan.core.errors import InputError
from longspan.data.panel import Panel
from longspan.models import rivals as module
from longspan.models.fitting import Preparation, Recipe, prepare
from longspan.models.origins import Origins, before_origins
from longspan.models.planning import Wishes
from longspan.models.rivals import Rivals, run_baselines, select_baselines
from longspan.models.session import Budget, Session
from longspan.training.settings import Settings

Panels = Callable[..., Panel]
HORIZON = 4


def walk(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=length).cumsum()


def recipe(**settings: Any) -> Recipe:
    return Recipe(HORIZON, None, Wishes(hidden_size=4), Settings(**settings), 16, torch.device("cpu"))


def rivals_of(panel: Panel) -> Rivals:
    """Four origins, twelve steps apart, of every series."""
    plan = Origins(2, 2, 12, HORIZON)  # 40 rows
    ready: Preparation = prepare(before_origins(panel, plan, seasons=False), recipe())
    full = replace(ready.panel, target=panel.target, observed=panel.observed)
    cuts = [int(end) - back for end in panel.observed for back in (40, 28, 16, 4)]
    series = np.repeat(np.arange(len(panel)), 4)
    return Rivals(full, ready, series, np.array(cuts, dtype=np.int64))


def test_histories_end_together_at_their_origins(panel_of: Panels) -> None:
    one, other = walk(100, 1), walk(80, 2)
    found = rivals_of(panel_of(one, other))
    past = found.histories(np.array([0, 3, 5]))
    assert past.shape == (3, 96)
    for row, (values, cut) in zip(past, ((one, 60), (one, 96), (other, 52)), strict=True):
        assert np.isnan(row[: 96 - cut]).all()
        np.testing.assert_array_equal(row[96 - cut :], values[:cut])


def test_fast_ones_forecast_every_origin_from_the_whole_history(panel_of: Panels) -> None:
    one, other = walk(100, 1), walk(80, 2)
    found = rivals_of(panel_of(one, other))
    methods, notes = run_baselines(found, ("drift", "last_value", "ridge"), Session())
    assert notes == ()
    assert [each.name for each in methods] == ["last_value", "drift", "ridge"]
    assert all(each.rows is None for each in methods)
    slope = (one[59] - one[0]) / 59
    np.testing.assert_allclose(methods[1].median[0], one[59] + slope * np.arange(1, 5), rtol=1e-12)
    np.testing.assert_array_equal(methods[0].median[5], np.full(4, other[51]))


def test_batches_of_origins_change_nothing(panel_of: Panels, monkeypatch: pytest.MonkeyPatch) -> None:
    found = rivals_of(panel_of(walk(100, 1), walk(80, 2)))
    whole = run_baselines(found, ("drift", "ridge"), Session())[0]
    monkeypatch.setattr(module, "_AT_ONCE", 3 * 96)
    parts = run_baselines(found, ("drift",), Session())[0]
    assert parts[0].median.tobytes() == whole[0].median.tobytes()


@pytest.mark.parametrize("name", ["last_value", "drift", "ridge", "ets"])
def test_what_comes_after_an_origin_changes_no_bit(panel_of: Panels, name: str) -> None:
    values = walk(120, 3)
    noised = values.copy()
    noised[80:] = 1e6
    one, other = (
        run_baselines(rivals_of(panel_of(each)), (name,), Session())[0][0] for each in (values, noised)
    )
    assert one.median[0].tobytes() == other.median[0].tobytes()
    assert one.median[1].tobytes() != other.median[1].tobytes()


def slow(name: str, forecast: Any) -> Baseline:
    return Baseline(name, name.upper(), BASELINES["ets"].run, False, "test", over_origins=forecast)


def test_slow_ones_run_on_one_sample_that_is_the_same_without_a_budget(
    panel_of: Panels, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int]] = []

    def forecasting(name: str) -> Any:
        def run(history: np.ndarray, origins: np.ndarray, horizon: int, season: int) -> SeriesForecast:
            seen.append((name, len(history)))
            assert origins.tolist() == sorted(origins)
            return SeriesForecast(np.repeat(origins[:, None], horizon, axis=1).astype(float), "test", ())

        return run

    table = {name: slow(name, forecasting(name)) for name in ("one", "two")}
    monkeypatch.setattr(module, "select_baselines", lambda *_: tuple(table.values()))
    found = rivals_of(panel_of(*(walk(90 + n, n) for n in range(40))))
    methods, _ = run_baselines(found, None, Session(seed=5))
    assert [each.name for each in methods] == ["one", "two"]
    assert len(seen) == 60
    rows = methods[0].rows
    assert np.array_equal(rows, methods[1].rows)
    assert len(rows) == 30 * 4
    np.testing.assert_array_equal(methods[0].median[:, 0], found.origin[rows])
    again, _ = run_baselines(found, None, Session(seed=5))
    assert np.array_equal(again[0].rows, rows)
    other, _ = run_baselines(found, None, Session(seed=6))
    assert not np.array_equal(other[0].rows, rows)


def test_a_series_that_suits_no_model_is_no_forecast_and_a_note(
    panel_of: Panels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def some(history: np.ndarray, origins: np.ndarray, horizon: int, season: int) -> SeriesForecast:
        if len(history) == 80:
            raise Unsuited("it is too dull")
        return SeriesForecast(np.zeros((len(origins), horizon)), "test", ())

    def none(*_: Any) -> SeriesForecast:
        raise Unsuited("nothing suits it")

    table = (slow("some", some), slow("none", none))
    monkeypatch.setattr(module, "select_baselines", lambda *_: table)
    methods, notes = run_baselines(rivals_of(panel_of(walk(100, 1), walk(80, 2))), None, Session())
    assert [each.name for each in methods] == ["some"]
    assert np.isnan(methods[0].median).all(axis=1).tolist() == [False] * 4 + [True] * 4
    assert notes == (
        "SOME: no forecast of 1 of 2 series, the first since it is too dull",
        "NONE: no forecast of 2 of 2 series, the first since nothing suits it",
    )


def test_slow_ones_that_would_take_too_much_of_a_budget_are_left_out(
    panel_of: Panels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(history: np.ndarray, origins: np.ndarray, horizon: int, season: int) -> SeriesForecast:
        return SeriesForecast(np.zeros((len(origins), horizon)), "test", ())

    monkeypatch.setattr(module, "select_baselines", lambda *_: (slow("one", run),))
    found = rivals_of(panel_of(*(walk(90, n) for n in range(40))))
    methods, notes = run_baselines(found, None, Session(budget=Budget(10.0)))  # 2 s for 30 series
    assert methods == []
    assert notes[0].startswith("ONE left out: on enough series")
    methods, notes = run_baselines(found, None, Session(budget=Budget(1e6)))
    assert methods[0].rows is None  # all 40 fit
    one = rivals_of(panel_of(walk(90)))
    assert len(run_baselines(one, None, Session(budget=Budget(10.0)))[0]) == 1


def test_slow_ones_stop_when_their_share_is_spent(panel_of: Panels, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first two series take no time, so all 40 seem to fit; the others take a second each."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "measured_sample", lambda count, run, *_: run(0) or np.arange(count))
    runs: list[int] = []

    def run(history: np.ndarray, origins: np.ndarray, horizon: int, season: int) -> SeriesForecast:
        runs.append(len(history))
        now[0] += 1.0 if len(runs) > 2 else 0.0
        return SeriesForecast(np.zeros((len(origins), horizon)), "test", ())

    monkeypatch.setattr(module, "select_baselines", lambda *_: (slow("one", run),))
    found = rivals_of(panel_of(*(walk(90, n) for n in range(40))))
    methods, _ = run_baselines(found, None, Session(budget=Budget(165.0)))  # a share of 33 seconds
    assert len(methods[0].rows) == 4 * len(runs)
    assert 34 <= len(runs) <= 36


def test_ridge_with_nothing_to_learn_from_is_left_out(panel_of: Panels) -> None:
    methods, notes = run_baselines(rivals_of(panel_of(np.full(100, 5.0))), ("last_value", "ridge"), Session())
    assert [each.name for each in methods] == ["last_value"]
    assert notes[0].startswith("ridge on the window left out: ridge: expected a training window")


def test_names_are_those_of_the_table() -> None:
    assert [each.name for each in select_baselines(None, 7)] == list(BASELINES)
    without = [each.name for each in select_baselines(None, 1)]
    assert without == [name for name, each in BASELINES.items() if not each.needs_season]
    assert [each.name for each in select_baselines(("ets", "drift"), 1)] == ["drift", "ets"]
    with pytest.raises(InputError, match=r"expected names among last_value, drift, .* got 'naive'"):
        select_baselines(("naive",), 1)
