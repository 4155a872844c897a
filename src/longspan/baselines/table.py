"""The table of baselines, and which of them is the one to beat."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from longspan.baselines.base import Baseline, Values
from longspan.baselines.naive import drift, last_value, seasonal_mean, seasonal_naive
from longspan.core.checks import whole
from longspan.core.errors import InputError
from longspan.metrics.point import mase

__all__ = ["BASELINES", "applicable", "strongest"]

_BOOK = 'Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd edition (2021), section 5.2'

BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        Baseline("last_value", "last value", last_value, False, _BOOK),
        Baseline("drift", "drift", drift, False, _BOOK),
        Baseline("seasonal_naive", "seasonal naive", seasonal_naive, True, _BOOK),
        Baseline("seasonal_mean", "seasonal mean", seasonal_mean, True, _BOOK),
    )
}


def applicable(season: int) -> tuple[Baseline, ...]:
    """The baselines that have something of their own to say at this season, in the order of the table."""
    season = whole(season, "season", "applicable", minimum=1)
    return tuple(baseline for baseline in BASELINES.values() if season > 1 or not baseline.needs_season)


def strongest(actual: ArrayLike, forecasts: Mapping[str, Values], scale: ArrayLike) -> str:
    """Name of the forecast with the least mean absolute scaled error; the first of equals.

    All are scored on the same values: those that are known and that every one of them forecasts. Where no
    window has a scale (histories that are constant or no longer than a season) the errors count unscaled.

    Args:
        actual: (B, H), NaN where unknown.
        forecasts: name → (B, H).
        scale: (B,) from `seasonal_scale`.

    Raises:
        InputError: there is no forecast, or no value on which they can be compared.
    """
    if not forecasts:
        raise InputError("strongest: expected at least one forecast, got none")
    common = np.array(actual, dtype=np.float64)
    for forecast in forecasts.values():
        common[np.isnan(forecast)] = np.nan
    divisor = np.asarray(scale, dtype=np.float64)
    if np.isnan(divisor).all():
        divisor = np.ones_like(divisor)
    scores = {name: mase(common, forecast, divisor) for name, forecast in forecasts.items()}
    if any(np.isnan(score) for score in scores.values()):
        raise InputError(
            f"strongest: expected a known actual that all of {', '.join(forecasts)} forecast, got none. "
            "Score more windows, or fewer baselines"
        )
    return min(scores, key=lambda name: scores[name])
