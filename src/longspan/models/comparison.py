"""Scores of a forecaster beside those of the simple baselines, on the same windows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.baselines.table import applicable, strongest
from longspan.data.panel import Panel
from longspan.evaluation.scoring import point_scores, quantile_scores
from longspan.metrics.point import seasonal_scale
from longspan.models.forecasting import Forecasts

__all__ = ["compare"]


def compare(found: Forecasts, panel: Panel, until: NDArray[np.int64]) -> dict[str, Any]:
    """Scores of the model and of each baseline, and which baseline is the strongest.

    Args:
        found: forecasts of windows with known futures.
        panel: where they were cut.
        until: int64 (N,), rows of each series before the test part: the scale of MASE is taken from them
            alone. Negative where a series is shorter than the test part: then nothing is before it.

    Returns:
        ``{"model": scores, "baselines": {name: scores}, "strongest": name, "season": m}``.
    """
    season = next(iter(panel.schema.seasons), 1)
    before = np.maximum(until, 0)
    scale = np.array([seasonal_scale(panel.values(n)[: before[n]], season) for n in range(len(panel))])
    here = scale[found.series]
    actual, horizon = found.actual, found.actual.shape[1]
    model = point_scores(actual, found.median, found.mean, here)
    model |= quantile_scores(actual, found.quantiles, found.levels)
    simple = {each.name: each.run(found.past, horizon, season) for each in applicable(season)}
    return {
        "model": model,
        "baselines": {name: point_scores(actual, each, each, here) for name, each in simple.items()},
        "strongest": strongest(actual, simple, here),
        "season": season,
    }
