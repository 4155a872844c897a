"""What a person computes for five series without longspan: simple methods, their MASE, and the verdict.

The rule: each series has 16 origins, 8 that calibrate and then 8 that test, one horizon apart; of the 309
sunspots that would take more than 40 %, so these are 7 years apart. The last forecast ends at the last value,
the last one that calibrates where the first test begins. Errors are over the mean seasonal difference before
the first origin (MASE); where that is zero, as it is for the sine, they are absolute.

    python benchmarks/by_hand.py           with shared/data beside the checkout, or LONGSPAN_DATA
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

Array = NDArray[np.float64]


class Case(NamedTuple):
    """Steps ahead, steps of a season (1: none), steps between origins, values that ridge reads."""

    horizon: int
    season: int
    stride: int
    window: int


CASES = {
    "sine": Case(50, 100, 50, 100),
    "etth1": Case(24, 24, 24, 168),
    "exchange": Case(24, 1, 24, 48),
    "sunspots": Case(11, 1, 7, 24),
    "co2": Case(13, 52, 13, 156),
}
_FILES = {"sine": "sinewave.csv", "etth1": "ETTh1.csv.gz", "exchange": "exchange_rate.txt.gz"}


def read(name: str) -> Array:
    """(series, values), NaN where missing."""
    if name in _FILES:
        folder = os.environ.get("LONGSPAN_DATA") or Path(__file__).parents[2] / "shared" / "data"
        table = pd.read_csv(
            Path(folder, "timeseries", _FILES[name]), header=None if name == "exchange" else 0
        )
        return np.array((table[["OT"]] if name == "etth1" else table).T, float)
    from statsmodels.datasets import co2, sunspots

    table = (sunspots if name == "sunspots" else co2).load_pandas().data
    return np.array(table.iloc[:, -1:].T, float)


def origins(length: int, case: Case) -> list[int]:
    """Values known at the 8 origins that calibrate, then at the 8 that test."""
    tests = [length - case.horizon - case.stride * back for back in range(7, -1, -1)]
    last = tests[0] - max(case.horizon, case.stride)
    return [last - case.stride * back for back in range(7, -1, -1)] + tests


def simple(past: Array, case: Case) -> dict[str, Array]:
    """Forecasts of the methods that need no fitting, from the values before one origin."""
    known = np.flatnonzero(~np.isnan(past))
    first, last = known[0], known[-1]
    ahead = len(past) + np.arange(case.horizon)
    slope = (past[last] - past[first]) / (last - first)
    found = {"last_value": np.full(case.horizon, past[last]), "drift": past[last] + slope * (ahead - last)}
    if case.season > 1:
        found["seasonal_naive"] = past[[known[(known - step) % case.season == 0][-1] for step in ahead]]
    return found


def ridge(series: Array, first: int, case: Case) -> Array:
    """(window + 1, horizon) weights: least squares, a small penalty, all windows before row ``first``."""
    w = case.window
    pieces = [row[o - w : o + case.horizon] for row in series for o in range(w, first - case.horizon + 1)]
    whole = [each for each in pieces if not np.isnan(each).any() and np.ptp(each[:w]) > 0]
    table = np.array([scaled(each, w)[0] for each in whole])
    x, y = np.c_[table[:, :w], np.ones(len(table))], table[:, w:]
    penalty = np.sqrt(1e-3 * len(x)) * np.eye(w + 1)
    penalty[-1] = 0  # none on the constant
    return np.linalg.lstsq(np.r_[x, penalty], np.r_[y, np.zeros((len(penalty), y.shape[1]))], rcond=None)[0]


def scaled(piece: Array, window: int) -> tuple[Array, float, float]:
    """Less the last value of the window, over the window's standard deviation; and those two."""
    level, unit = float(piece[window - 1]), float(piece[:window].std())
    return (piece - level) / unit, level, unit


def losses(series: Array, case: Case, forecasts: Array) -> Array:
    """(series, 16, horizon) scaled absolute errors of such forecasts."""
    cuts = origins(series.shape[1], case)
    actual = np.stack([series[:, o : o + case.horizon] for o in cuts], axis=1)
    past = series[:, : cuts[0]]
    scale = np.nanmean(np.abs(past[:, case.season :] - past[:, : -case.season]), axis=1)
    return np.abs(actual - forecasts) / np.where(scale > 0, scale, 1.0)[:, None, None]


def by_hand(name: str) -> dict[str, Array]:
    """Losses (series, 16, horizon) of each simple method."""
    series, case = read(name), CASES[name]
    cuts = origins(series.shape[1], case)
    weights = ridge(series, cuts[0], case)
    found: dict[str, list[Array]] = {}
    for values in series:
        for o in cuts:
            window, level, unit = scaled(values[o - case.window : o], case.window)
            linear = level + unit * (np.r_[window, 1.0] @ weights)
            for method, forecast in (simple(values[:o], case) | {"ridge": linear}).items():
                found.setdefault(method, []).append(forecast)
    return {key: losses(series, case, np.reshape(found[key], (len(series), 16, -1))) for key in found}


def p_value(difference: Array, reach: int) -> float:
    """Diebold–Mariano over origins, oldest first: Harvey's correction, or where forecasts overlap cosines."""
    n, mean = len(difference), difference.mean()
    if not difference.any():
        return 1.0
    if reach == 1:
        return float(2 * student.sf(abs(mean) / np.sqrt(difference.var(ddof=1) / n), n - 1))
    count = max(1, int(min(0.4 * n ** (2 / 3), n / reach)))
    waves = [np.cos(np.pi * k * (np.arange(n) + 0.5) / n) for k in range(1, count + 1)]
    variance = np.mean([2 / n * (wave @ (difference - mean)) ** 2 for wave in waves])
    return float(2 * student.sf(abs(mean) / np.sqrt(variance / n), count))


def verdict(ours: Array, rivals: dict[str, Array], early: int, stride: int) -> tuple[str, str, float]:
    """Outcome, method to beat, and p of the whole horizon, Holm-adjusted with up to eight parts of it, of
    losses (series, origins, horizon); the first ``early`` origins calibrate, series count by their mean."""
    chosen = min(rivals, key=lambda name: float(np.nanmean(rivals[name][:, :early])))
    count, horizon = min(8, ours.shape[2]), ours.shape[2]
    edges = [horizon * k // count for k in range(count + 1)]
    parts = [(0, horizon), *(pairwise(edges) if count > 1 else ())]
    gap = (ours - rivals[chosen])[:, early:]
    p = [p_value(np.nanmean(np.nanmean(gap[..., a:b], 2), 0), -(-b // stride)) for a, b in parts]
    ranked = [min(1.0, (len(p) - rank) * each) for rank, each in enumerate(sorted(p))]
    adjusted = max(ranked[: sorted(p).index(p[0]) + 1])
    error = {name: float(np.nanmean(each[:, early:])) for name, each in (rivals | {"": ours}).items()}
    lower = [name for name in rivals if error[name] < error[""]]
    if adjusted >= 0.05 or (lower and chosen not in lower):
        return "no difference", chosen, adjusted
    return ("worse" if lower else "better"), chosen, adjusted


if __name__ == "__main__":
    for name in CASES:
        for method, loss in by_hand(name).items():
            print(f"{name:<9} {method:<15} {loss[:, :8].mean():<12.6g} then {loss[:, 8:].mean():.6g}")
