"""Choosing sizes and rates of a forecaster by its validation loss: the tree-structured Parzen estimator.

Bergstra, Bardenet, Bengio and Kégl, "Algorithms for hyper-parameter optimization", NeurIPS 2011, as optuna
has it. The first trial is the design without tuning, so tuning never ends with a worse validation loss.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.core.errors import DataError, InputError, TrainingError
from longspan.core.seeds import derive
from longspan.data.panel import Panel
from longspan.metrics.point import seasonal_scale
from longspan.metrics.quantiles import pinball_loss
from longspan.models.fitting import Preparation, Recipe, fit_forecaster, prepare
from longspan.models.forecaster import Forecaster
from longspan.models.forecasting import forecast_all
from longspan.models.session import TRIAL, Session
from longspan.store.stage import Result, Stage

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

__all__ = ["TUNED", "Trial", "choose", "held_out_loss", "tune"]

_HIDDEN, _BATCHES = (16, 32, 64, 128), (32, 64, 128, 256)
_LAYERS, _DROPOUT, _RATES = (1, 2), (0.0, 0.3), (3e-4, 1e-2)
_CONTEXTS = (0.5, 1.0, 2.0)  # times the context that would be taken without tuning
_STARTUP = 8  # trials that are drawn before the estimator takes over, counting the first

TUNED = ("hidden_size", "num_layers", "dropout", "context", "learning_rate", "batch_size")
"""What is searched: 16 to 128 units, 1 or 2 layers, dropout up to 0.3, half to twice the context, learning
rates from 0.0003 to 0.01, 32 to 256 windows a step."""


@dataclass(frozen=True)
class Trial:
    """One trial of a search.

    Args:
        number: from 1.
        values: what was tried, by the names of `TUNED`.
        loss: mean quantile loss on the validation part, in units of each series' scale of MASE, which is the
            same for every context; None where the trial failed.
        steps: of training. seconds: of the trial. budget: seconds that it was allotted.
        failure: why it failed, else empty.
    """

    number: int
    values: dict[str, Any]
    loss: float | None
    steps: int
    seconds: float
    budget: float | None = None
    failure: str = ""

    def row(self) -> dict[str, Any]:
        """One row of the table that is kept."""
        return {
            "trial": self.number,
            "loss": self.loss,
            **self.values,
            "steps": self.steps,
            "seconds": self.seconds,
        }


def tune(panel: Panel, recipe: Recipe, count: int, fixed: Sequence[str], session: Session) -> list[Trial]:
    """Try ``count`` settings, each judged on the validation part of `panel` alone.

    Every trial is a stage; what it tries is a function of the seed, its number and the losses before it.

    Args:
        panel: the part before the backtest.
        recipe: the settings without tuning, from which the first trial is made.
        count: of trials.
        fixed: names of `TUNED` that the user has set.
        session: seed, budget, stages.

    Raises:
        InputError: nothing is left to search.
        TrainingError: every trial failed.
    """
    searched = [name for name in TUNED if name not in fixed]
    if not searched:
        raise InputError(
            f"tune: expected something to search, but all of {', '.join(TUNED)} are given. Leave one out"
        )
    ready = prepare(panel, recipe)
    first = _as_it_is(ready, recipe)
    space = _space(first, searched, ready)
    trials: list[Trial] = []
    for number in range(1, count + 1):
        seed = derive(session.seed, "tune", number)
        values = first | (_propose(space, trials, seed) if number > 1 else {})
        session.say(f"trial {number} of {count}: {_shown(values, searched)}")
        budget = session.budget.trial(count - number + 1)
        work = partial(_try, panel, recipe, number, values, budget, session)
        record, _ = session.stage(f"{TRIAL}{number}", work)
        trials.append(Trial(**record))
    if all(each.loss is None for each in trials):
        raise TrainingError(f"tune: every trial failed, the first with: {trials[0].failure}")
    return trials


def choose(recipe: Recipe, trials: Sequence[Trial]) -> tuple[Recipe, Trial]:
    """The recipe of the best trial, and that trial; the first of equals."""
    best = min((each for each in trials if each.loss is not None), key=lambda each: (each.loss, each.number))
    return _with(recipe, best.values), best


def held_out_loss(forecaster: Forecaster, ready: Preparation, seed: int) -> float:
    """Mean quantile loss on the validation windows, in units of each series' scale before that part.

    Where no series has a scale, in the user's units.
    """
    design, panel = ready.design, ready.panel
    found = forecast_all(
        forecaster, design.features, ready.held, ready.numbers, design.levels,
        nonnegative=design.nonnegative, seed=seed,
    )  # fmt: skip
    season = next(iter(panel.schema.seasons), 1)
    before = np.maximum(panel.observed - ready.validation, 0)
    scale = np.full(len(panel), np.nan)
    for series in np.unique(found.series):
        scale[series] = seasonal_scale(panel.values(int(series))[: before[series]], season)
    here = scale[found.series][:, None]
    if np.isnan(here).all():
        here = np.ones_like(here)
    actual = np.where(np.isnan(here), np.nan, found.actual / here)
    quantiles = found.quantiles / np.where(np.isnan(here), 1.0, here)[..., None]
    return float(pinball_loss(actual, quantiles, found.levels).mean())


def _as_it_is(ready: Preparation, recipe: Recipe) -> dict[str, Any]:
    design = ready.design
    return {
        "hidden_size": design.hidden_size,
        "num_layers": design.num_layers,
        "dropout": design.dropout,
        "context": design.context,
        "learning_rate": recipe.settings.learning_rate,
        "batch_size": recipe.batch_size,
    }


def _with(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    wishes = replace(recipe.wishes, **{name: values[name] for name in TUNED[:4]})
    settings = replace(recipe.settings, learning_rate=values["learning_rate"])
    return replace(recipe, wishes=wishes, settings=settings, batch_size=values["batch_size"])


def _space(first: dict[str, Any], searched: Sequence[str], ready: Preparation) -> dict[str, BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    spare = int(np.median(ready.panel.observed)) - ready.validation - ready.design.horizon
    contexts = {int(np.clip(share * first["context"], 8, max(spare // 2, 8))) for share in _CONTEXTS}
    space: dict[str, BaseDistribution] = {
        "hidden_size": CategoricalDistribution(sorted({*_HIDDEN, first["hidden_size"]})),
        "num_layers": IntDistribution(*_LAYERS),
        "dropout": FloatDistribution(*_DROPOUT),
        "context": CategoricalDistribution(sorted({*contexts, first["context"]})),
        "learning_rate": FloatDistribution(*_RATES, log=True),
        "batch_size": CategoricalDistribution(sorted({*_BATCHES, first["batch_size"]})),
    }
    return {name: space[name] for name in searched}


def _propose(space: dict[str, BaseDistribution], trials: Sequence[Trial], seed: int) -> dict[str, Any]:
    """What to try next: a function of the trials so far and the seed."""
    import optuna

    with _quiet(optuna):
        sampler = optuna.samplers.TPESampler(n_startup_trials=_STARTUP, seed=seed % 2**32)
        study = optuna.create_study(direction="minimize", sampler=sampler)
        study.add_trials([_frozen(each, space) for each in trials])
        return dict(study.ask(space).params)


def _frozen(trial: Trial, space: dict[str, BaseDistribution]) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    params = {name: trial.values[name] for name in space}
    if trial.loss is None:
        return create_trial(state=TrialState.FAIL, params=params, distributions=space)
    return create_trial(value=trial.loss, params=params, distributions=space)


@contextlib.contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _try(
    panel: Panel,
    recipe: Recipe,
    number: int,
    values: dict[str, Any],
    budget: float | None,
    session: Session,
    stage: Stage | None,
) -> Result:
    """The record of one trial; what cannot be trained is a failed trial, not the end of the search."""
    began = time.monotonic()
    record: dict[str, Any] = {
        "number": number,
        "values": values,
        "budget": budget,
        "loss": None,
        "steps": 0,
        "failure": "",
    }
    seconds = 0.0
    try:
        tried = _with(recipe, values)
        ready = prepare(panel, tried)
        forecaster, history = fit_forecaster(ready, tried, session.seed, budget, stage, session.progress())
        loss = held_out_loss(forecaster, ready, session.seed)
        seconds = history.seconds  # of all sessions
        record |= {"loss": loss if np.isfinite(loss) else None, "steps": history.steps}
    except (TrainingError, DataError, InputError) as error:
        record["failure"] = str(error)
    return record | {"seconds": max(seconds, time.monotonic() - began)}, {}


def _shown(values: dict[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {values[name]:.3g}" for name in names)
