"""Forecasting as a contest: the splits, the counts, and losses that are those of the backtest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray

from longspan.core.errors import DataError, InputError
from longspan.data.inference import Roles, read_panel
from longspan.data.panel import Panel
from longspan.metrics.point import mase
from longspan.models.contest import Job
from longspan.models.design import build_forecaster
from longspan.models.fitting import Recipe
from longspan.models.forecast_contest import ForecastContest, plan_contest
from longspan.models.planning import Wishes
from longspan.models.session import Session
from longspan.nn.encoders import encoder_names
from longspan.training.settings import Settings

PanelOf = Callable[..., Panel]
SMALL = Settings(max_steps=4, validate_every=2, learning_rate=1e-3)


def wave(count: int, period: int = 12, seed: int = 0) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).normal(0, 0.3, count)
    return 10 + 3 * np.sin(2 * np.pi * np.arange(count) / period) + noise


def contest_of(panel: Panel, horizon: int = 6, **how: object) -> ForecastContest:
    wishes = Wishes(hidden_size=8, context=24)
    recipe = Recipe(horizon, None, wishes, SMALL, 16, torch.device("cpu"))
    return plan_contest(panel, recipe, "hash", **how)  # type: ignore[arg-type]


def test_nothing_of_the_test_part_is_seen_before(panel_of: PanelOf) -> None:
    """Two panels that differ in the test part alone give the same training, bit for bit."""
    values = wave(300)
    other = values.copy()
    other[-60:] = 1000.0
    found = [contest_of(panel_of(each, seasons=(12,)), test=60) for each in (values, other)]
    a, b = found
    assert a.ready.design == b.ready.design
    job = Job(a.contestant("gru", 7), seed=3)
    trained = [each.train(job, None, None) for each in found]
    assert [r.validation_loss for r in trained[0].history.records] == [
        r.validation_loss for r in trained[1].history.records
    ]
    assert not np.array_equal(trained[0].losses, trained[1].losses)


def test_every_window_of_the_test_part_is_forecast(panel_of: PanelOf) -> None:
    contest = contest_of(panel_of(wave(300), seasons=(12,)), test=60)
    assert len(contest.units) == 60 - 6 + 1
    assert contest.units.reach == 6
    assert list(contest.units.place[:3]) == [0, 1, 2]
    assert contest.title == "y, 6 steps ahead"
    facts = dict(contest.facts().pairs)
    assert facts["tested on"] == "the last 60 values: 55 origins, at every step"
    assert "a linear map of the last 48 steps, begun as ridge regression" in facts["around each encoder"]
    bare = replace(contest.recipe, wishes=replace(contest.recipe.wishes, shortcut=False))
    alone = plan_contest(panel_of(wave(300), seasons=(12,)), bare, "hash", test=60)
    assert "linear map" not in dict(alone.facts().pairs)["around each encoder"]
    assert len(contest_of(panel_of(wave(300), seasons=(12,)), test=60, stride=6).units) == 10
    assert contest_of(panel_of(wave(300))).test == 60, "a fifth where nothing is said"


def test_series_end_together(panel_of: PanelOf) -> None:
    contest = contest_of(panel_of(wave(200), wave(150, seed=1), wave(30, seed=2)), test=40)
    assert contest.units.group.max() == 1
    assert contest.units.place.max() == 34
    assert "1 of 3 series is too short for the test part of 40 values" in contest.notes


def test_origins_are_placed_by_the_calendar() -> None:
    """The second series ends a day before the first, and begins as much later as it is shorter."""
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 8, 27), "1d", eager=True)
    table = pl.concat(
        pl.DataFrame({"id": name, "day": days[first:last], "y": wave(last - first, seed=first)})
        for name, first, last in (("a", 0, 240), ("b", 40, 239))
    )
    panel = read_panel(table, Roles(target="y", series=("id",), time="day"), seasons=())
    contest = contest_of(panel, test=40)
    group, place = contest.units.group, contest.units.place
    assert place[group == 0].tolist() == list(range(1, 36))
    assert place[group == 1].tolist() == list(range(35))
    assert contest.units.reach == 6


def test_losses_are_those_of_mase(panel_of: PanelOf) -> None:
    panel = panel_of(wave(300), seasons=(12,))
    contest = contest_of(panel, test=60)
    simple, notes = contest.baselines(1.0, Session())
    naive = next(each for each in simple if each.name == "seasonal_naive")
    values = panel.values(0)
    origins = np.arange(240, 295)
    actual = np.stack([values[o : o + 6] for o in origins])
    past = np.stack([values[o - 12 : o - 6] for o in origins])
    scale = np.abs(np.diff(values[:240].reshape(-1, 12), axis=0)).mean()
    assert naive.losses.mean() == pytest.approx(mase(actual, past, np.full(55, scale)))
    assert naive.scores["RMSE"] == pytest.approx(float(np.sqrt(((actual - past) ** 2).mean())))
    assert contest.measure == "MASE"
    assert len(naive.early) > 10
    assert not notes
    assert {each.name for each in simple if each.learned} == {"ridge", "ets", "arima"}


@pytest.mark.parametrize("name", encoder_names())
def test_parameters_are_those_of_the_network(name: str, panel_of: PanelOf) -> None:
    contest = contest_of(panel_of(wave(300), seasons=(12,)), test=60)
    counted = contest.contestant(name, 7)
    design = contest.ready.design.model_copy(update={"encoder": name, "hidden_size": 7})
    network = build_forecaster(design)
    assert counted.parameters == sum(each.numel() for each in network.parameters())
    assert 0 < counted.own < counted.parameters
    assert contest.contestant(name, 8).parameters > counted.parameters


@pytest.mark.parametrize("name", encoder_names())
def test_every_encoder_of_the_table_can_enter(name: str, panel_of: PanelOf) -> None:
    contest = contest_of(panel_of(wave(200), seasons=(12,)), test=40)
    found = contest.train(Job(contest.contestant(name, 6), seed=0), None, None)
    assert found.losses.shape == (len(contest.units),)
    assert np.isfinite(found.losses).all()
    assert found.history.steps == 4
    assert found.seconds >= found.history.seconds
    assert found.span is None or found.span >= 1


def test_a_share_is_the_most_recent_part(panel_of: PanelOf) -> None:
    contest = contest_of(panel_of(wave(400), wave(300, seed=1), seasons=(12,)), test=60)
    whole, part = contest._recent(1.0), contest._recent(0.1)
    assert whole is contest.ready.training
    assert np.array_equal(part.last_cut, whole.last_cut)
    counts = whole.last_cut - whole.first_cut + 1
    assert np.array_equal(part.last_cut - part.first_cut + 1, np.ceil(0.1 * counts))
    forgotten = contest._forgotten(0.1)
    first = int(part.first_cut[0] - whole.context)
    assert np.isnan(forgotten.target[:first]).all()
    assert np.array_equal(forgotten.target[first:400], contest.panel.target[first:400])
    again, _ = contest.baselines(0.1, Session())
    assert {each.name for each in again} == {"ridge", "ets", "arima"}
    one = contest.train(Job(contest.contestant("rnn", 6), 0, share=0.1), None, None)
    other = contest.train(Job(contest.contestant("rnn", 6), 0), None, None)
    assert not np.array_equal(one.losses, other.losses)


def test_a_constant_series_has_no_scale(panel_of: PanelOf) -> None:
    values = np.concatenate([np.full(240, 5.0), np.linspace(5, 6, 60)])
    contest = contest_of(panel_of(values), test=60)
    assert contest.measure == "mean absolute error"
    naive = contest.baselines(1.0, Session())[0][0]
    assert np.isfinite(naive.losses).all()


def test_only_named_baselines_run(panel_of: PanelOf) -> None:
    contest = contest_of(panel_of(wave(300), seasons=(12,)), test=60, baselines=("last_value",))
    assert [each.name for each in contest.baselines(1.0, Session())[0]] == ["last_value"]
    assert contest.baselines(0.1, Session()) == ((), ())
    with pytest.raises(InputError, match="baselines: expected names among"):
        contest_of(panel_of(wave(300)), baselines=("prophet",))


def test_missing_values_are_not_scored(panel_of: PanelOf) -> None:
    values = wave(300)
    values[260:275] = np.nan
    contest = contest_of(panel_of(values, seasons=(12,)), test=60, baselines=("seasonal_naive",))
    naive = contest.baselines(1.0, Session())[0][0]
    assert len(naive.losses) == 55 - 10, "origins with nothing known after them are left out"
    assert np.isfinite(naive.losses).all()
    assert any("left out" in line for line in contest.facts().cut)


@pytest.mark.parametrize(
    ("count", "test", "error", "words"),
    [
        (300, 4, InputError, "test: expected at least the horizon, 6 values, got 4"),
        (40, 20, InputError, "before the test part, the last 20 values of each series: context: expected"),
        (40, 30, DataError, "the last 30 values of each series are kept to test on, and what lies before"),
    ],
)
def test_what_does_not_fit_is_refused(
    count: int, test: int, error: type[Exception], words: str, panel_of: PanelOf
) -> None:
    with pytest.raises(error, match=words):
        contest_of(panel_of(wave(count)), test=test)


def test_the_design_of_another_encoder_has_none_of_the_reference_s_options() -> None:
    table = pl.DataFrame({"y": wave(300)})
    panel = read_panel(table, Roles(target="y"), seasons=(12,))
    wishes = Wishes(hidden_size=8, context=24, encoder_options=(("peephole", True),))
    recipe = Recipe(6, None, wishes, SMALL, 16, torch.device("cpu"))
    contest = plan_contest(panel, recipe, "hash", test=60)
    plain = plan_contest(panel, replace(recipe, wishes=replace(wishes, encoder_options=())), "hash", test=60)
    assert contest.contestant("lstm", 8).parameters > plain.contestant("lstm", 8).parameters
    assert contest.contestant("gru", 8) == plain.contestant("gru", 8)
