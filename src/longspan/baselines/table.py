"""The table of baselines, and which of them is the one to beat."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from longspan.baselines.arima import arima
from longspan.baselines.base import Baseline, Kind, Values, refusing
from longspan.baselines.ets import ets
from longspan.baselines.linear import ridge_on_the_window
from longspan.baselines.naive import drift, last_value, seasonal_mean, seasonal_naive
from longspan.core.checks import choice, whole
from longspan.core.errors import InputError
from longspan.metrics.point import mase

__all__ = ["BASELINES", "applicable", "strongest"]

_BOOK = 'Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd edition (2021), section 5.2'
_RIDGE = "Hoerl and Kennard, Technometrics 12 (1970)"
_ETS = "Hyndman, Koehler, Snyder and Grose, International Journal of Forecasting 18 (2002)"
_ARIMA = (
    "Hyndman and Khandakar, Journal of Statistical Software 27:3 (2008); "
    "STL: Cleveland, Cleveland, McRae and Terpenning, Journal of Official Statistics 6 (1990)"
)
_UNLEARNED = "expected to be fitted to training windows before it runs. Call fitted(...) first"
_EACH_SERIES = "it is fitted to each series, not to windows. Call over_origins(...)"

BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        Baseline("last_value", "last value", last_value, False, _BOOK),
        Baseline("drift", "drift", drift, False, _BOOK),
        Baseline("seasonal_naive", "seasonal naive", seasonal_naive, True, _BOOK),
        Baseline("seasonal_mean", "seasonal mean", seasonal_mean, True, _BOOK),
        Baseline(
            "ridge",
            "ridge on the window",
            refusing("ridge", _UNLEARNED),
            False,
            _RIDGE,
            fit=ridge_on_the_window,
        ),
        Baseline("ets", "ETS", refusing("ETS", _EACH_SERIES), False, _ETS, over_origins=ets),
        Baseline(
            "arima",
            "ARIMA on the STL-adjusted series",
            refusing("ARIMA", _EACH_SERIES),
            False,
            _ARIMA,
            over_origins=arima,
        ),
    )
}


_AT_ONCE: tuple[Kind, ...] = ("window",)


def applicable(season: int, kinds: Collection[Kind] = _AT_ONCE) -> tuple[Baseline, ...]:
    """The baselines that have something of their own to say at this season, in the order of the table.

    Args:
        season: steps of one season.
        kinds: ``window`` (they run at once), ``learned`` (over training windows first), ``series`` (fitted to
            each series, slow).
    """
    season = whole(season, "season", "applicable", minimum=1)
    for kind in kinds:
        choice(kind, "kind", "applicable", get_args(Kind))
    return tuple(
        baseline
        for baseline in BASELINES.values()
        if baseline.kind in kinds and (season > 1 or not baseline.needs_season)
    )


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
