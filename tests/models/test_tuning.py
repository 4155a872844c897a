"""The search: seeded, kept trial by trial, and judged on the validation part alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch

from longspan.core.errors import InputError, TrainingError
from longspan.data.panel import Panel
from longspan.models import tuning
from longspan.models.fitting import Recipe, fit_forecaster, prepare
from longspan.models.planning import Wishes
from longspan.models.session import Budget, Session
from longspan.models.tuning import TUNED, Trial, choose, held_out_loss, tune
from longspan.store.workspace import Run, Workspace
from longspan.training.settings import Settings

Panels = Callable[..., Panel]


def wave(length: int = 200) -> np.ndarray:
    draws = np.random.default_rng(0)
    return np.sin(np.arange(length) * 2 * np.pi / 12) + 0.1 * draws.normal(size=length)


def recipe() -> Recipe:
    settings = Settings(max_steps=8, validate_every=4)
    return Recipe(4, None, Wishes(hidden_size=8), settings, 16, torch.device("cpu"))


@pytest.fixture
def panel(panel_of: Panels) -> Panel:
    return panel_of(wave(), seasons=(12,))


def pretend(monkeypatch: pytest.MonkeyPatch, loss: Callable[[dict[str, Any]], float]) -> list[dict[str, Any]]:
    """Trials whose loss is a formula, so that many cost nothing."""
    tried: list[dict[str, Any]] = []

    def try_one(panel: Any, recipe: Any, number: int, values: Any, budget: Any, *_: Any) -> Any:
        tried.append(values)
        record = {"number": number, "values": values, "loss": loss(values), "steps": 1, "seconds": 0.0}
        return record | {"budget": budget, "failure": ""}, {}

    monkeypatch.setattr(tuning, "_try", try_one)
    return tried


def test_the_first_trial_is_the_design_as_it_is(panel: Panel) -> None:
    ready = prepare(panel, recipe())
    trials = tune(panel, recipe(), 2, (), Session())
    assert trials[0].values == {
        "hidden_size": 8, "num_layers": 1, "dropout": 0.0, "context": ready.design.context,
        "learning_rate": 1e-3, "batch_size": 16,
    }  # fmt: skip
    made, best = choose(recipe(), trials)
    assert best.loss == min(each.loss for each in trials)
    assert made.wishes.hidden_size == best.values["hidden_size"]
    assert (made.settings.learning_rate, made.batch_size) == (
        best.values["learning_rate"],
        best.values["batch_size"],
    )
    assert all(each.steps == 8 for each in trials)


def test_the_same_seed_searches_the_same_and_stays_in_range(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = pretend(monkeypatch, lambda values: values["dropout"])
    runs = []
    for seed in (0, 0, 1):
        tried.clear()
        tune(panel, recipe(), 15, (), Session(seed=seed))
        runs.append(list(tried))
    assert runs[0] == runs[1] != runs[2]
    base = prepare(panel, recipe()).design.context
    for values in runs[0]:
        assert set(values) == set(TUNED)
        assert values["hidden_size"] in (8, 16, 32, 64, 128)
        assert values["num_layers"] in (1, 2)
        assert 0 <= values["dropout"] <= 0.3
        assert 3e-4 <= values["learning_rate"] <= 1e-2
        assert 8 <= values["context"] <= 2 * base
        assert values["batch_size"] in (16, 32, 64, 128, 256)


def test_it_finds_what_is_better(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimator learns: after 40 trials it comes nearer to the optimum than chance would."""

    def loss(values: dict[str, Any]) -> float:
        return (np.log10(values["learning_rate"]) + 2.5) ** 2 + (values["hidden_size"] != 32)

    pretend(monkeypatch, loss)
    trials = tune(panel, recipe(), 40, (), Session())
    late = [each.loss for each in trials[20:]]
    early = [each.loss for each in trials[:8]]
    assert np.median(late) < np.median(early)
    assert min(each.loss for each in trials) < 0.01


def test_what_the_user_sets_is_not_searched(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = pretend(monkeypatch, lambda _: 1.0)
    tune(panel, recipe(), 6, ("hidden_size", "batch_size", "context"), Session())
    assert {values["hidden_size"] for values in tried} == {8}
    assert {values["batch_size"] for values in tried} == {16}
    assert len({values["learning_rate"] for values in tried}) == 6
    with pytest.raises(InputError, match="tune: expected something to search, but all of hidden_size"):
        tune(panel, recipe(), 6, TUNED, Session())


def test_resumed_it_proposes_what_it_would_have(
    panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = pretend(monkeypatch, lambda values: values["learning_rate"])
    whole = tune(panel, recipe(), 12, (), Session())
    tried.clear()
    for count in (5, 12):
        begin = Workspace.create if count == 5 else Workspace.resume
        with begin(tmp_path / "m.partial", Run({}, "a" * 64, 0)) as workspace:
            found = tune(panel, recipe(), count, (), Session(workspace=workspace))
    assert len(tried) == 12
    assert found == whole


def test_a_trial_that_cannot_be_trained_is_a_failed_trial(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fit_forecaster

    def sometimes(ready: Any, tried: Recipe, *rest: Any) -> Any:
        if tried.wishes.num_layers == 2:
            raise TrainingError("training step 3: the loss is nan")
        return real(ready, tried, *rest)

    monkeypatch.setattr(tuning, "fit_forecaster", sometimes)
    trials = tune(panel, recipe(), 5, ("hidden_size", "context", "batch_size"), Session())
    failed = [each for each in trials if each.values["num_layers"] == 2]
    assert failed
    assert all(each.loss is None and "the loss is nan" in each.failure for each in failed)
    assert choose(recipe(), trials)[1].values["num_layers"] == 1
    monkeypatch.setattr(
        tuning, "fit_forecaster", lambda *_: (_ for _ in ()).throw(TrainingError("it is nan"))
    )
    with pytest.raises(TrainingError, match="tune: every trial failed, the first with: it is nan"):
        tune(panel, recipe(), 2, (), Session())


def test_the_first_of_equal_trials_is_taken() -> None:
    def trial(number: int, loss: float | None) -> Trial:
        return Trial(number, dict.fromkeys(TUNED, number), loss, 1, 0.0)

    assert choose(recipe(), [trial(1, None), trial(2, 0.5), trial(3, 0.5)])[1].number == 2


def test_the_loss_of_a_trial_does_not_depend_on_the_unit_nor_on_what_comes_later(panel: Panel) -> None:
    """The same network is judged alike in other units: trials of other contexts can be compared."""
    losses = []
    for scale, shift in ((1.0, 0.0), (1000.0, -5e4)):
        other = replace(panel, target=panel.target * scale + shift)
        wishes = replace(recipe().wishes, nonnegative=False)
        ready = prepare(other, replace(recipe(), wishes=wishes))
        forecaster, _ = fit_forecaster(ready, recipe(), 0)
        losses.append(held_out_loss(forecaster, ready, 0))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_trials_share_half_of_the_time(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, lambda _: 1.0)
    trials = tune(panel, recipe(), 4, (), Session(budget=Budget(100.0)))
    assert [each.budget for each in trials] == pytest.approx([75 / 2 / n for n in (4, 3, 2, 1)])


def test_optuna_keeps_its_voice(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    before = optuna.logging.get_verbosity()
    pretend(monkeypatch, lambda _: 1.0)
    tune(panel, recipe(), 3, (), Session())
    assert optuna.logging.get_verbosity() == before
