"""Forecasts of many windows, in the user's units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from longspan.core.seeds import derive
from longspan.data.windows import Windows
from longspan.models.features import WindowFeatures
from longspan.models.forecaster import Forecaster

__all__ = ["Forecasts", "forecast_all", "forecast_members"]

Array = NDArray[np.float64]
_BATCH = 256


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Forecasts of n windows in the user's units.

    ``series``, ``cut`` int64 (n,); ``past`` (n, reach) and ``actual`` (n, H), NaN where unknown; ``mean`` (n,
    H); ``quantiles`` (n, H, levels).
    """

    series: NDArray[np.int64]
    cut: NDArray[np.int64]
    past: Array
    actual: Array
    mean: Array
    quantiles: Array
    levels: tuple[float, ...]

    @property
    def median(self) -> Array:
        """(n, H): the quantile at 0.5."""
        return self.quantiles[..., self.levels.index(0.5)]


def forecast_all(
    forecaster: Forecaster,
    features: WindowFeatures,
    windows: Windows,
    numbers: NDArray[np.int64],
    levels: Sequence[float],
    *,
    nonnegative: bool,
    seed: int = 0,
) -> Forecasts:
    """Forecast the windows with these numbers; the forecaster is run in evaluation mode, without gradients.

    Args:
        forecaster: on its device.
        features: how its windows become inputs; ``windows`` have ``features.reach`` as their context.
        windows: where they are cut.
        numbers: int64 (n,), which of them.
        levels: quantiles that are wanted, 0.5 among them.
        nonnegative: set what lies below zero to zero.
        seed: of sample paths, where the forecaster draws some; the draws of a batch depend on it and on the
            batch.
    """
    device = next(forecaster.parameters()).device
    training = forecaster.training
    forecaster.eval()
    parts = []
    try:
        with torch.no_grad():
            for first in range(0, len(numbers), _BATCH):
                batch = windows.gather(*windows.pairs(numbers[first : first + _BATCH]))
                inputs, location, scale = features.inputs(batch)
                draws = np.random.default_rng(derive(seed, "paths", first))
                found = forecaster.forecast(inputs.to(device), levels, draws)
                mean = location + scale * found.mean
                quantiles = location[..., None] + scale[..., None] * found.quantiles
                parts.append((batch.series, batch.cut, batch.past, batch.future, mean, quantiles))
    finally:
        forecaster.train(training)
    series, cut, past, actual, mean, quantiles = (np.concatenate(each) for each in zip(*parts, strict=True))
    if nonnegative:
        mean, quantiles = np.maximum(mean, 0.0), np.maximum(quantiles, 0.0)
    return Forecasts(series, cut, past, actual, mean, quantiles, tuple(levels))


def forecast_members(
    forecasters: Sequence[Forecaster],
    features: WindowFeatures,
    windows: Windows,
    numbers: NDArray[np.int64],
    levels: Sequence[float],
    *,
    nonnegative: bool,
    seed: int = 0,
) -> Forecasts:
    """The mean over forecasters of what `forecast_all` gives: of their means, and of their quantiles.

    Averaging quantiles keeps the shape of the members' distributions (Lichtendahl, Grushka-Cockayne and
    Winkler, "Is it better to average probabilities or quantiles?", Management Science 59, 2013).
    """
    found = [
        forecast_all(each, features, windows, numbers, levels, nonnegative=nonnegative, seed=seed)
        for each in forecasters
    ]
    if len(found) == 1:
        return found[0]
    mean, quantiles = (
        np.mean([getattr(each, name) for each in found], axis=0) for name in ("mean", "quantiles")
    )
    return replace(found[0], mean=mean, quantiles=quantiles)
