"""The scores of a forecast, by name, from plain arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from longspan.metrics.point import mae, mase, mse, rmse, smape
from longspan.metrics.quantiles import central_coverage, weighted_quantile_loss

__all__ = ["point_scores", "quantile_scores"]

Array = NDArray[np.float64]


def point_scores(actual: Array, median: Array, mean: Array, scale: Array) -> dict[str, float]:
    """MASE, sMAPE and MAE of the median, RMSE and MSE of the mean: each by the forecast that minimises it.

    Args:
        actual: (B, H), NaN where unknown. median, mean: (B, H); a point forecast is both.
        scale: (B,), in-sample mean absolute seasonal difference; NaN where there is none.
    """
    return {
        "mase": mase(actual, median, scale),
        "smape": smape(actual, median),
        "mae": mae(actual, median),
        "rmse": rmse(actual, mean),
        "mse": mse(actual, mean),
    }


def quantile_scores(actual: Array, quantiles: Array, levels: Sequence[float]) -> dict[str, float]:
    """Weighted quantile loss, and the share of values inside each central interval (``coverage_80``)."""
    covered = central_coverage(actual, quantiles, levels)
    shares = {f"coverage_{100 * nominal:g}": share for nominal, share in covered.items()}
    return {"wql": weighted_quantile_loss(actual, quantiles, levels), **shares}
