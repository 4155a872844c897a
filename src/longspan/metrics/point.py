"""Scores of point forecasts (B, H) against actuals (B, H), NaN where unknown.

Every known value counts once, whichever window it lies in; a score of nothing known is NaN. Where no value is
missing this is also the mean over series of each series' mean, as in the M4 competition.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from longspan.core.checks import whole
from longspan.core.errors import InputError
from longspan.metrics.arrays import Values, actual_values, forecast_values, mean

__all__ = ["by_horizon", "mae", "mase", "mse", "rmse", "seasonal_scale", "smape"]

_CONSTANT = 1e-12  # of the largest value: a scale below it is rounding


def mae(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Mean absolute error, in the unit of the data: mean |y - f|."""
    y, f = _known(actual, forecast, "mae")
    return mean(np.abs(y - f))


def mse(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Mean squared error, in the unit of the data squared: mean (y - f)²."""
    y, f = _known(actual, forecast, "mse")
    return mean((y - f) ** 2)


def rmse(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Root of the mean squared error over all known values, in the unit of the data."""
    y, f = _known(actual, forecast, "rmse")
    return float(np.sqrt(mean((y - f) ** 2)))


def smape(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Symmetric mean absolute percentage error in [0, 200]: mean 200 |y - f| / (|y| + |f|), with 0/0 = 0.

    Source: Makridakis, Spiliotis and Assimakopoulos, "The M4 Competition: 100,000 time series and 61
    forecasting methods", International Journal of Forecasting 36 (2020), section 2.
    """
    y, f = _known(actual, forecast, "smape")
    size = np.abs(y) + np.abs(f)
    parts = np.divide(np.abs(y - f), size, out=np.zeros_like(size), where=size > 0)
    return 200 * mean(parts)


def mase(actual: ArrayLike, forecast: ArrayLike, scale: ArrayLike) -> float:
    """Mean absolute scaled error: mean |y - f| / scale; 1 is what the seasonal naive errs in the past.

    Windows whose scale is NaN (`seasonal_scale` of a constant or too short history) are left out, because no
    error can be called large or small there; count them with ``np.isnan(scale)``.

    Args:
        actual: (B, H), NaN where unknown.
        forecast: (B, H).
        scale: (B,) from `seasonal_scale`, each above zero or NaN.

    Source: Hyndman and Koehler, "Another look at measures of forecast accuracy", International Journal of
    Forecasting 22 (2006); with the seasonal scale of the M4 competition.
    """
    y, known = actual_values(actual, "mase")
    divisor = _scale(scale, len(y))
    known &= ~np.isnan(divisor)[:, None]
    f = forecast_values(forecast, known, "mase")
    return mean((np.abs(y - f) / divisor[:, None])[known])


def seasonal_scale(history: ArrayLike, season: int) -> Values:
    """The seasonal naive's error in the past: mean |y_t - y_{t-season}| over pairs with both values known.

    It is NaN where it says nothing: no such pair (a history no longer than a season, or too many gaps), or
    all pairs equal but for rounding (a constant history).

    Args:
        history: (..., C), oldest first, NaN where missing; shorter series are padded with NaN on the left.
        season: steps of one season; 1 for none.

    Returns:
        (...), above zero or NaN.

    Source: as `mase`.
    """
    season = whole(season, "season", "seasonal_scale", minimum=1)
    values = np.asarray(history, dtype=np.float64)
    if values.ndim < 1:
        raise InputError(f"seasonal_scale: expected history of shape (..., C), got one number, {values}")
    if np.isinf(values).any():
        raise InputError(
            "seasonal_scale: expected finite values or NaN (missing) in history, got an infinity"
        )
    steps = np.abs(values[..., season:] - values[..., :-season])
    known = ~np.isnan(steps)
    total = np.where(known, steps, 0).sum(axis=-1)
    count = known.sum(axis=-1)
    largest = np.abs(np.nan_to_num(values)).max(axis=-1, initial=0.0)
    scale = np.full(total.shape, np.nan)
    np.divide(total, count, out=scale, where=total > _CONSTANT * count * largest)
    return scale


def by_horizon(
    metric: Callable[..., float], actual: ArrayLike, forecast: ArrayLike, *rest: ArrayLike
) -> Values:
    """A score for each step ahead (H,), NaN at steps with nothing known: ``by_horizon(mase, y, f, scale)``.

    Args:
        metric: a score of this package that returns one number.
        actual: (B, H), NaN where unknown.
        forecast: (B, H), or (B, H, Q) for scores of quantiles.
        rest: what else the metric takes, whole: the scale, the quantile levels.
    """
    y, f = np.asarray(actual), np.asarray(forecast)
    if y.ndim != 2 or f.shape[:2] != y.shape:
        raise InputError(
            f"by_horizon: expected actual (B, H) and forecast (B, H) or (B, H, Q), "
            f"got {y.shape} and {f.shape}"
        )
    steps = range(y.shape[1])
    return np.array([metric(y[:, h : h + 1], f[:, h : h + 1], *rest) for h in steps], dtype=np.float64)


def _known(actual: ArrayLike, forecast: ArrayLike, where: str) -> tuple[Values, Values]:
    y, known = actual_values(actual, where)
    f = forecast_values(forecast, known, where)
    return y[known], f[known]


def _scale(scale: ArrayLike, windows: int) -> Values:
    values = np.asarray(scale, dtype=np.float64)
    if values.shape != (windows,):
        raise InputError(f"mase: expected scale of shape (B,) = ({windows},), got {values.shape}")
    faults = np.flatnonzero((values <= 0) | np.isinf(values))
    if len(faults):
        raise InputError(
            f"mase: expected scales above zero, or NaN where a history has none, got {values[faults[0]]} "
            f"at window {faults[0]}. Use seasonal_scale"
        )
    return values
