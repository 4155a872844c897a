"""What every score asks of its arrays, so that each refuses the same things in the same words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longspan.core.errors import InputError

__all__ = [
    "Known",
    "Values",
    "actual_values",
    "forecast_values",
    "group_means",
    "increasing_levels",
    "known_means",
    "mean",
]

Values = NDArray[np.float64]
Known = NDArray[np.bool_]


def actual_values(actual: ArrayLike, where: str) -> tuple[Values, Known]:
    """The actuals (B, H) as float64, and which of them are known (not NaN)."""
    values = np.asarray(actual, dtype=np.float64)
    if values.ndim != 2:
        raise InputError(f"{where}: expected actual of shape (B, H), got {values.shape}")
    _refuse_infinite(values, "actual", where)
    return values, ~np.isnan(values)


def forecast_values(forecast: ArrayLike, known: Known, where: str, *, levels: int | None = None) -> Values:
    """The forecast (B, H), or (B, H, Q) with ``levels`` Q, as float64: finite where the actual is known."""
    values = np.asarray(forecast, dtype=np.float64)
    shape = known.shape if levels is None else (*known.shape, levels)
    if values.shape != shape:
        form = "(B, H)" if levels is None else "(B, H, Q)"
        raise InputError(f"{where}: expected forecast of shape {form} = {shape}, got {values.shape}")
    wanted = known if levels is None else known[..., None]
    faults = np.argwhere(wanted & ~np.isfinite(values))
    if len(faults):
        place = tuple(int(i) for i in faults[0])
        raise InputError(
            f"{where}: expected a finite forecast wherever the actual is known, got {values[place]} "
            f"at window {place[0]}, step {place[1]} (counted from 0), and at {len(faults) - 1} more places. "
            "Set the actual to NaN where there is no forecast to score"
        )
    return values


def increasing_levels(levels: Sequence[float] | Values, where: str) -> Values:
    """Quantile levels (Q,) inside (0, 1), strictly increasing."""
    values = np.asarray(levels, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise InputError(
            f"{where}: expected at least one quantile level in one row, got shape {values.shape}"
        )
    inside = bool(np.all((values > 0) & (values < 1)))
    if not inside or not np.all(np.diff(values) > 0):
        raise InputError(
            f"{where}: expected quantile levels inside (0, 1), each above the one before, "
            f"got {values.tolist()}"
        )
    return values


def mean(terms: Values) -> float:
    """Mean of the terms, or NaN of none: no known actual, no score."""
    return float(terms.mean()) if terms.size else float("nan")


def known_means(values: Values, known: Known | None = None) -> Values:
    """Means along axis 1 over the known places (not NaN, or as ``known`` says); NaN where there are none."""
    there = ~np.isnan(values) if known is None else known
    total, count = np.where(there, values, 0.0).sum(axis=1), there.sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))


def group_means(values: Values, group: NDArray[np.int64], groups: int) -> Values:
    """(groups,): means of the known values (n,) of each group, numbered from 0; NaN where there are none."""
    known = ~np.isnan(values)
    count = np.bincount(group[known], minlength=groups)
    total = np.bincount(group[known], values[known], minlength=groups)
    return np.asarray(np.divide(total, count, out=np.full(groups, np.nan), where=count > 0))


def _refuse_infinite(values: Values, name: str, where: str) -> None:
    faults = np.argwhere(np.isinf(values))
    if len(faults):
        place = tuple(int(i) for i in faults[0])
        raise InputError(
            f"{where}: expected finite values or NaN (unknown) in {name}, got {values[place]} at {place}"
        )
