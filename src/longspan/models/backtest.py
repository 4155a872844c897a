"""The rolling-origin backtest of one forecaster beside the simple methods that it has to beat.

The network is trained on what lies before the backtest part, once a seed, and forecasts from every origin
with the values up to the origin; nothing is fitted again in between, for the baselines neither.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from longspan.core.seeds import derive
from longspan.data.panel import Panel
from longspan.data.windows import Windows
from longspan.evaluation.backtest import Backtest, Method
from longspan.metrics.point import seasonal_scale
from longspan.models.fitting import Preparation, Recipe, fit_forecaster
from longspan.models.forecasting import forecast_all
from longspan.models.origins import Origins, chosen_series, moments, origin_windows
from longspan.models.rivals import Rivals, run_baselines
from longspan.models.session import Session
from longspan.store.stage import Result, Stage
from longspan.training.history import History

__all__ = ["Backtested", "member_seed", "run_backtest"]


@dataclass(frozen=True, eq=False)
class Backtested:
    """A backtest and how it came about.

    Attributes:
        backtest: what every method forecast, and what came.
        histories: title of each network → the course of its training.
        notes: what the reader should know, in words: fewer seeds or series than asked, methods left out.
    """

    backtest: Backtest
    histories: dict[str, History]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Places:
    """The origins of all series: windows to forecast, and what is known of them, in the same order."""

    windows: tuple[Windows, ...]
    series: NDArray[np.int64]
    origin: NDArray[np.int64]
    actual: NDArray[np.float64]
    calibrates: NDArray[np.bool_]


def member_seed(seed: int, number: int) -> int:
    """Seed of a network: that of the fit for the first (0), one derived from it for each further one."""
    return seed if number == 0 else derive(seed, "member", number)


def run_backtest(
    panel: Panel,
    ready: Preparation,
    recipe: Recipe,
    origins: Origins,
    session: Session,
    *,
    seeds: int,
    ensemble: bool = False,
    baselines: Sequence[str] | None = None,
) -> Backtested:
    """Train and forecast, every seed and every baseline a stage.

    Args:
        panel: all the data. ready: the part before the first origins, prepared.
        recipe: how to train. origins: the plan, with some that test.
        session: seed, budget, stages.
        seeds: networks wanted; fewer where the time budget allows no more.
        ensemble: the final forecast is the mean over the seeds, so each needs time for a final training too.
        baselines: names; None for all that have something of their own to say.
    """
    full = replace(ready.panel, target=panel.target, observed=panel.observed)
    chosen = chosen_series(full, origins, session.seed)
    places = _places(full, origins, chosen, ready.design.features.reach)
    rivals = Rivals(full, ready, places.series, places.origin)
    simple, notes = run_baselines(rivals, baselines, session)
    model, histories = _networks(ready, recipe, places, session, seeds, ensemble)
    if len(model) < seeds:
        notes = (*notes, f"{len(model)} of {seeds} seeds were tested: the time budget allowed no more")
    if len(chosen) < len(panel):
        notes = (*notes, _left_out(panel, origins, chosen))
    backtest = Backtest(
        series=places.series,
        origin=places.origin,
        actual=places.actual,
        scale=_scale(full, origins, rivals.season, places.series),
        calibrates=places.calibrates,
        season=rivals.season,
        levels=ready.design.levels,
        model=tuple(model),
        baselines=tuple(simple),
        moment=moments(full, places.series, places.origin),
    )
    return Backtested(backtest, histories, notes)


def _places(panel: Panel, origins: Origins, chosen: NDArray[np.int64], reach: int) -> _Places:
    both = origin_windows(panel, origins, chosen, reach)
    windows = tuple(each for each in both if len(each))
    batches = [each.gather(*each.pairs(np.arange(len(each)))) for each in windows]
    return _Places(
        windows,
        np.concatenate([each.series for each in batches]),
        np.concatenate([each.cut for each in batches]),
        np.concatenate([each.future for each in batches]),
        np.concatenate([np.full(len(each), each is both[0]) for each in windows]),
    )


def _networks(
    ready: Preparation, recipe: Recipe, places: _Places, session: Session, seeds: int, ensemble: bool
) -> tuple[list[Method], dict[str, History]]:
    """One method a seed. A further seed is trained only where its time leaves enough for the final ones."""
    title = ready.design.encoder.upper()
    methods: list[Method] = []
    histories: dict[str, History] = {}
    for number in range(seeds):
        budget = session.budget.training(2 + (number if ensemble else 0))
        longest = max((each.seconds for each in methods), default=0.0)
        stopped = any(each.stopped_by == "time_budget" for each in histories.values())
        if stopped or (budget is not None and longest > budget):
            break
        session.say(f"backtest: training {number + 1} of {seeds}")
        seed = member_seed(session.seed, number)
        work = partial(_forecast_origins, ready, recipe, places, seed, budget, session)
        record, arrays = session.stage(f"seed-{number + 1}", work)
        median = arrays["quantiles"][..., ready.design.levels.index(0.5)]
        methods.append(
            Method(
                f"seed {number + 1}",
                title,
                median,
                arrays["mean"],
                arrays["quantiles"],
                None,
                record["seconds"],
            )
        )
        histories[f"seed {number + 1}"] = History.from_json(record["history"])
    return methods, histories


def _forecast_origins(
    ready: Preparation,
    recipe: Recipe,
    places: _Places,
    seed: int,
    budget: float | None,
    session: Session,
    stage: Stage | None,
) -> Result:
    forecaster, history = fit_forecaster(ready, recipe, seed, budget, stage, session.progress())
    began, design = time.monotonic(), ready.design
    found = [
        forecast_all(
            forecaster,
            design.features,
            windows,
            np.arange(len(windows)),
            design.levels,
            nonnegative=design.nonnegative,
            seed=seed,
        )
        for windows in places.windows
    ]
    arrays = {name: np.concatenate([getattr(each, name) for each in found]) for name in ("mean", "quantiles")}
    seconds = history.seconds + time.monotonic() - began
    return {"seconds": seconds, "budget": budget, "seed": seed, "history": history.to_json()}, arrays


def _scale(panel: Panel, origins: Origins, season: int, series: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) the scale of MASE, from the rows of each series before its backtest part."""
    numbers, where = np.unique(series, return_inverse=True)
    scales = [
        seasonal_scale(panel.values(n)[: int(panel.observed[n]) - origins.part], season)
        for n in numbers.tolist()
    ]
    return np.asarray(scales, dtype=np.float64)[where]


def _left_out(panel: Panel, origins: Origins, chosen: NDArray[np.int64]) -> str:
    short = int((panel.observed <= origins.part).sum())
    if len(chosen) == len(panel) - short:
        are = "is" if short == 1 else "are"
        return (
            f"{short:,} of {len(panel):,} series {are} too short for the backtest, whose part is "
            f"{origins.part:,} values"
        )
    return f"the backtest is on a seeded sample of {len(chosen):,} of {len(panel):,} series"
