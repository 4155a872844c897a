"""Forecasts that need no fitting: (B, C) past with NaN where missing → (B, H).

A row without any known value gives a row of NaN: there is nothing to forecast from.
Source of all four: Hyndman and Athanasopoulos,
"Forecasting: Principles and Practice", 3rd edition (2021), section 5.2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longspan.baselines.base import Values
from longspan.core.checks import whole
from longspan.core.errors import InputError
from longspan.metrics.arrays import known_means

__all__ = ["checked_past", "drift", "last_value", "seasonal_mean", "seasonal_naive"]


def last_value(past: Values, horizon: int, season: int = 1) -> Values:
    """The last known value, for every step ahead; the season plays no part."""
    past = checked_past(past, horizon, season, "last_value")
    return np.repeat(_last(past)[:, None], horizon, axis=1)


def drift(past: Values, horizon: int, season: int = 1) -> Values:
    """The line through the first and the last known value, continued; level where only one is known."""
    past = checked_past(past, horizon, season, "drift")
    known = ~np.isnan(past)
    first, last = known.argmax(axis=1), _last_index(known)
    rows = np.arange(len(past))
    rise = past[rows, last] - past[rows, first]
    slope = rise / np.maximum(last - first, 1)
    ahead = past.shape[1] + np.arange(horizon) - last[:, None]  # steps since the last known value, >= 1
    result: Values = past[rows, last][:, None] + slope[:, None] * ahead
    return result


def seasonal_naive(past: Values, horizon: int, season: int) -> Values:
    """The last known value of the same phase of the season; where a phase has none, that of the row."""
    past = checked_past(past, horizon, season, "seasonal_naive")
    cycles = _cycles(past, season)
    known = ~np.isnan(cycles)
    latest = np.take_along_axis(cycles, _last_index(known)[:, None], axis=1)[:, 0]
    phases = np.where(known.any(axis=1), latest, _last(past)[:, None])
    return _repeat(phases, horizon)


def seasonal_mean(past: Values, horizon: int, season: int) -> Values:
    """The mean of the known values of the same phase; where a phase has none, that of the row."""
    past = checked_past(past, horizon, season, "seasonal_mean")
    overall = known_means(past)
    means = known_means(_cycles(past, season))
    return _repeat(np.where(np.isnan(means), overall[:, None], means), horizon)


def checked_past(past: Values, horizon: int, season: int, where: str) -> Values:
    """``past`` as float64 (B, C) with C of at least 1, finite or NaN; horizon and season of at least 1."""
    whole(horizon, "horizon", where, minimum=1)
    whole(season, "season", where, minimum=1)
    values = np.asarray(past, dtype=np.float64)
    if values.ndim != 2 or not values.shape[1]:
        raise InputError(f"{where}: expected past of shape (B, C) with C of at least 1, got {values.shape}")
    if np.isinf(values).any():
        raise InputError(f"{where}: expected finite values or NaN (missing) in past, got an infinity")
    return values


def _last_index(known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Where along axis 1 the last True stands; the last place where there is none."""
    index: NDArray[np.intp] = known.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    return index


def _last(past: Values) -> Values:
    """(B,) the last known value of each row, NaN where none is."""
    values: Values = past[np.arange(len(past)), _last_index(~np.isnan(past))]
    return values


def _cycles(past: Values, season: int) -> Values:
    """(B, whole cycles, season): the past cut so that phase 0 is that of the first step ahead."""
    missing = -past.shape[1] % season
    padded = np.pad(past, ((0, 0), (missing, 0)), constant_values=np.nan)
    return padded.reshape(len(past), -1, season)


def _repeat(phases: Values, horizon: int) -> Values:
    """(B, season) → (B, H): the season over and over."""
    return phases[:, np.arange(horizon) % phases.shape[1]]
