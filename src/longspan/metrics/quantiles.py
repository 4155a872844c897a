"""Scores of quantile forecasts (B, H, Q) at levels (Q,) against actuals (B, H), NaN where unknown.

Levels lie inside (0, 1) and increase. Every known value counts once; a score of nothing known is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from longspan.core.errors import InputError
from longspan.metrics.arrays import Values, actual_values, forecast_values, increasing_levels, mean

__all__ = [
    "central_coverage",
    "central_pairs",
    "mean_from_quantiles",
    "pinball_loss",
    "weighted_quantile_loss",
]

# Two levels are symmetric about a half if they miss it by no more than rounding does: 0.1 and 1 - 0.9.
_SYMMETRY = 1e-9


def pinball_loss(actual: ArrayLike, forecast: ArrayLike, levels: Sequence[float] | Values) -> Values:
    """Mean pinball loss of each level (Q,), in the unit of the data: mean max(τ (y - q), (τ - 1)(y - q)).

    Its expectation is least where q is the τ-quantile of y.

    Source: Koenker and Bassett, "Regression quantiles", Econometrica 46 (1978).
    """
    _, losses = _losses(actual, forecast, levels, "pinball_loss")
    return losses.mean(axis=0) if len(losses) else np.full(losses.shape[1], np.nan)


def weighted_quantile_loss(actual: ArrayLike, forecast: ArrayLike, levels: Sequence[float] | Values) -> float:
    """Twice the pinball loss over the size of the data, mean over the levels: 2 Σ pinball / Σ |y|.

    Sums run over all windows and steps, so large series weigh more. It is NaN where all actuals are zero.

    Source: Park, Maddix, Aubry, Kan, Gasthaus and Wang, "Learning quantile functions without quantile
    crossing for distribution-free time series forecasting", AISTATS 2022; GluonTS calls it
    ``mean_weighted_sum_quantile_loss``.
    """
    y, losses = _losses(actual, forecast, levels, "weighted_quantile_loss")
    size = float(np.abs(y).sum())
    return 2 * float(losses.sum(axis=0).mean()) / size if size > 0 else float("nan")


def central_coverage(
    actual: ArrayLike, forecast: ArrayLike, levels: Sequence[float] | Values
) -> dict[float, float]:
    """Share of known actuals inside each central interval: nominal → measured, narrow first.

    An interval runs between two levels that are symmetric about a half and holds its ends: levels 0.1, 0.5,
    0.9 give ``{0.8: …}``. A calibrated forecast measures what it is called. Levels without a partner form no
    interval.

    Source: Gneiting, Balabdaoui and Raftery, "Probabilistic forecasts, calibration and sharpness", Journal of
    the Royal Statistical Society B 69 (2007).
    """
    taus = increasing_levels(levels, "central_coverage")
    y, known = actual_values(actual, "central_coverage")
    q = forecast_values(forecast, known, "central_coverage", levels=len(taus))[known]
    y = y[known]
    return {
        nominal: mean(((q[:, low] <= y) & (y <= q[:, high])).astype(np.float64))
        for nominal, (low, high) in central_pairs(taus).items()
    }


def central_pairs(levels: Sequence[float] | Values) -> dict[float, tuple[int, int]]:
    """The central intervals that the levels form: nominal share → indices of its two levels, narrow first.

    The two ends are symmetric about a half; a level without a partner forms no interval.
    """
    taus = increasing_levels(levels, "central_pairs")
    pairs: dict[float, tuple[int, int]] = {}
    for low in reversed(np.flatnonzero(taus < 0.5).tolist()):
        for high in np.flatnonzero(np.abs(taus - (1 - taus[low])) <= _SYMMETRY).tolist():
            pairs[round(float(taus[high] - taus[low]), 9)] = (low, high)
    return pairs


def mean_from_quantiles(forecast: ArrayLike, levels: Sequence[float] | Values) -> Values:
    """The mean of the distribution whose quantile function is linear between the quantiles: ∫₀¹ Q(p) dp.

    The tails are cut flat: below the first level and above the last Q stays at the outermost quantile. So the
    mean never leaves the range of the given quantiles (a non-negative series keeps a non-negative mean), and
    it is a little too near the middle where a tail is long; wider levels cure that.

    Args:
        forecast: (..., Q).
        levels: (Q,).

    Returns:
        (...), in the unit of the data.

    Source: E[Y] = ∫₀¹ Q(p) dp, for instance Gilchrist, "Statistical Modelling with Quantile Functions"
    (2000), ch. 3; the integral by the trapezoidal rule, which is exact for a piecewise linear Q.
    """
    taus = increasing_levels(levels, "mean_from_quantiles")
    values = np.asarray(forecast, dtype=np.float64)
    if values.ndim < 1 or values.shape[-1] != len(taus):
        raise InputError(
            f"mean_from_quantiles: expected forecast of shape (..., Q) with Q = {len(taus)} levels, "
            f"got {values.shape}"
        )
    # The first and last knots are mirrored at 0 and 1, which gives the flat tails their whole width.
    knots = np.concatenate(([-taus[0]], taus, [2 - taus[-1]]))
    weights: Values = (knots[2:] - knots[:-2]) / 2
    result: Values = values @ weights
    return result


def _losses(
    actual: ArrayLike, forecast: ArrayLike, levels: Sequence[float] | Values, where: str
) -> tuple[Values, Values]:
    """The K known actuals (K,) and their pinball losses (K, Q)."""
    taus = increasing_levels(levels, where)
    y, known = actual_values(actual, where)
    q = forecast_values(forecast, known, where, levels=len(taus))
    difference = y[known][:, None] - q[known]
    return y[known], np.maximum(taus * difference, (taus - 1) * difference)
