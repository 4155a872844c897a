"""Scores of a forecaster beside those of the simple baselines, on the same windows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.baselines.table import applicable, strongest
from longspan.data.panel import Panel
from longspan.evaluation.backtest import Backtest, Method
from longspan.evaluation.scoring import point_scores, quantile_scores
from longspan.metrics.point import seasonal_scale
from longspan.models.forecasting import Forecasts
from longspan.models.origins import moments

__all__ = ["beside_baselines", "compare", "scores_of"]


def beside_baselines(
    found: Forecasts, panel: Panel, until: NDArray[np.int64], title: str = "model"
) -> Backtest:
    """The forecasts of windows with known futures, beside those of the baselines that need no fitting.

    Args:
        found: forecasts of windows with known futures.
        panel: where they were cut.
        until: int64 (N,), rows of each series before the test part: the scale of MASE is taken from them
            alone. Negative where a series is shorter than the test part: then nothing is before it.
        title: of the model.

    Returns:
        A backtest whose origins all test.
    """
    season, horizon = next(iter(panel.schema.seasons), 1), found.actual.shape[1]
    before = np.maximum(until, 0)
    scale = np.array([seasonal_scale(panel.values(n)[: before[n]], season) for n in range(len(panel))])
    simple = [(each, each.run(found.past, horizon, season)) for each in applicable(season)]
    return Backtest(
        series=found.series,
        origin=found.cut,
        actual=found.actual,
        scale=scale[found.series],
        calibrates=np.zeros(len(found.cut), dtype=bool),
        season=season,
        levels=found.levels,
        model=(Method("model", title, found.median, found.mean, found.quantiles, None, 0.0),),
        baselines=tuple(Method(each.name, each.title, made, made, None, None, 0.0) for each, made in simple),
        moment=moments(panel, found.series, found.cut),
    )


def compare(found: Forecasts, panel: Panel, until: NDArray[np.int64]) -> dict[str, Any]:
    """`scores_of` the forecasts `beside_baselines`."""
    return scores_of(beside_baselines(found, panel, until))


def scores_of(tested: Backtest) -> dict[str, Any]:
    """Scores of the model and of each baseline, and which baseline is the strongest.

    Returns:
        ``{"model": scores, "baselines": {name: scores}, "strongest": name, "season": m}``.
    """
    (model,), actual, scale = tested.model, tested.actual, tested.scale
    scores = point_scores(actual, model.median, model.mean, scale)
    if model.quantiles is not None:
        scores |= quantile_scores(actual, model.quantiles, tested.levels)
    simple = {each.name: each.median for each in tested.baselines}
    return {
        "model": scores,
        "baselines": {name: point_scores(actual, each, each, scale) for name, each in simple.items()},
        "strongest": strongest(actual, simple, scale),
        "season": tested.season,
    }
