"""Small backtests: of plain losses, and of simulated random walks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.evaluation.backtest import Backtest, Method

Array = NDArray[np.float64]
LEVELS = (0.1, 0.5, 0.9)


def point(name: str, median: Array, rows: NDArray[np.int64] | None = None, title: str = "") -> Method:
    """A point forecast."""
    return Method(name, title or name.replace("_", " "), median, median, None, rows, 1.0)


def backtest_of(
    model: Array | list[Array],
    baselines: Mapping[str, Array],
    *,
    series: NDArray[np.int64] | None = None,
    stride: int | None = None,
    calibrating: int | None = None,
    **changes: Any,
) -> Backtest:
    """One where all actual values are zero, so that the forecasts (n, H) are the errors.

    It is of one series unless ``series`` says otherwise. The earlier half of the origins of every series
    calibrates, or ``calibrating`` of them.
    """
    models = model if isinstance(model, list) else [model]
    n, H = models[0].shape
    series = np.zeros(n, dtype=np.int64) if series is None else series
    rank = np.array([int((series[:k] == series[k]).sum()) for k in range(n)])
    count = np.array([int((series == each).sum()) for each in series])
    early = rank < (count // 2 if calibrating is None else calibrating)
    parts: dict[str, Any] = {
        "series": series,
        "origin": 100 + rank.astype(np.int64) * (H if stride is None else stride),
        "actual": np.zeros((n, H)),
        "scale": np.ones(n),
        "calibrates": early,
        "season": 1,
        "levels": LEVELS,
        "model": tuple(point("model", each, title="LSTM") for each in models),
        "baselines": tuple(point(name, each) for name, each in baselines.items()),
    }
    return Backtest(**(parts | changes))


def walk_backtest(
    seed: int,
    forecaster: str,
    *,
    series: int = 1,
    origins: int = 16,
    horizon: int = 1,
    stride: int | None = None,
    shared: float = 0.0,
) -> Backtest:
    """Random walks, on which nothing beats the last value, and a model that has every chance to seem to.

    Args:
        seed: of the walks.
        forecaster: ``noise``, the last value and some noise; ``fitted``, an autoregression of order 1
            fitted to the 300 rows before the backtest part of each series.
        series, origins, horizon, stride: of the backtest; half of the origins calibrate.
        shared: share of the variance of the steps that all walks have in common.
    """
    rng = np.random.default_rng(seed)
    stride, before = stride or horizon, 300
    length = before + (origins - 1) * stride + horizon
    steps = np.sqrt(1 - shared) * rng.normal(size=(series, length))
    walks = np.cumsum(steps + np.sqrt(shared) * rng.normal(size=(1, length)), axis=1)
    ahead = np.arange(1, horizon + 1)
    number, origin, actual, scale, last, drift, model = [], [], [], [], [], [], []
    for n, walk in enumerate(walks):
        slope, level = np.polyfit(walk[: before - 1], walk[1:before], 1)
        for cut in before + stride * np.arange(origins):
            number.append(n)
            origin.append(cut)
            actual.append(walk[cut : cut + horizon])
            scale.append(np.abs(np.diff(walk[:before])).mean())
            last.append(np.full(horizon, walk[cut - 1]))
            drift.append(walk[cut - 1] + ahead * (walk[cut - 1] - walk[0]) / (cut - 1))
            if forecaster == "noise":
                model.append(walk[cut - 1] + 0.3 * rng.normal() + 0.1 * rng.normal(size=horizon))
            else:
                centre = level / (1 - slope)
                model.append(centre + slope**ahead * (walk[cut - 1] - centre))
    early = np.tile(np.arange(origins) < origins // 2, series)
    return Backtest(
        np.array(number),
        np.array(origin),
        np.array(actual),
        np.array(scale),
        early,
        1,
        LEVELS,
        (point("model", np.array(model), title="LSTM"),),
        (point("last_value", np.array(last)), point("drift", np.array(drift))),
    )
