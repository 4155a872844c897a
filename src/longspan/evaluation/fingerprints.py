"""Fingerprints of stretches of values, which scale (of either sign) and shift do not change."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["SHORTEST", "Stretches", "fingerprints"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]
SHORTEST = 16  # values of a stretch
_LAGS = 2  # of the filter
_WIDTH = SHORTEST - _LAGS - 1  # whitened increments that 16 values give
_GRID = 0.5  # of fingerprints, in units of the size of the whitened increments
_LIVELY = 6  # increments of a stretch that are not zero, at least
_PREDICTED = 1e-6  # whitened increments this much below the increments are rounding
_CHUNK = 1 << 15


class Stretches(NamedTuple):
    """Stretches by their fingerprints: int64 (n,) mark, series, and first value within the series."""

    mark: Index
    series: Index
    first: Index

    def take(self, which: NDArray[np.generic]) -> Stretches:
        """Some of them."""
        return Stretches(self.mark[which], self.series[which], self.first[which])


def fingerprints(values: Array, offsets: Index, rows: Mask) -> Stretches:
    """The lively stretches of some rows: 16 values whose increments are not nearly all zero, nor foretold by
    a linear recurrence up to rounding, as those of lines and sines are.

    The increments are whitened by one short filter for all series, divided by their size and rounded
    coarsely.

    Args:
        values: float64 (R,), series end to end, NaN where missing.
        offsets: int64 (N + 1,), where each begins.
        rows: bool (R,), which values are looked at.
    """
    if len(values) < SHORTEST:
        return Stretches(*(np.empty(0, dtype=np.int64) for _ in range(3)))
    steps = np.full(len(values), np.nan)
    steps[1:] = np.diff(values)
    steps[offsets[:-1][offsets[:-1] < len(steps)]] = np.nan
    steps[~rows] = np.nan
    white = _whiten(offsets, steps)
    draws = np.random.default_rng(0)
    keys = draws.integers(1, 1 << 62, _WIDTH) * 2 + 1
    weights = draws.normal(size=_WIDTH)
    marks, places = [], []
    for first in range(0, len(white) - _WIDTH + 1, _CHUNK):
        part = slice(first, first + _CHUNK + _WIDTH - 1)
        lively, mark = _marks(white[part], steps[part], values[part], keys, weights)
        places.append(first + lively)
        marks.append(mark)
    place = np.concatenate(places) - _LAGS - 1
    series = np.searchsorted(offsets, place, side="right") - 1
    return Stretches(np.concatenate(marks), series, place - offsets[series])


def _whiten(offsets: Index, steps: Array) -> Array:
    """Increments less what one linear filter, fitted to all series alike, foretells of them."""
    size = np.ones(len(offsets) - 1)
    for series, (first, last) in enumerate(pairwise(offsets)):
        known = steps[first:last][np.isfinite(steps[first:last])]
        size[series] = np.sqrt(np.mean(known**2)) if len(known) and known.any() else 1.0
    lagged = [np.r_[np.full(lag, np.nan), steps[: len(steps) - lag]] for lag in range(1, _LAGS + 1)]
    complete = np.flatnonzero(np.isfinite(steps + sum(lagged, np.zeros(len(steps)))))
    if len(complete) == 0:
        return np.full(len(steps), np.nan)
    sample = complete[:: max(1, len(complete) >> 16)]
    unit = size[np.searchsorted(offsets, sample, side="right") - 1]
    design = np.stack([each[sample] / unit for each in lagged], axis=1)
    weights = np.linalg.lstsq(design, steps[sample] / unit, rcond=None)[0]
    return steps - sum((w * each for w, each in zip(weights, lagged, strict=True)), np.zeros(len(steps)))


def _marks(white: Array, steps: Array, values: Array, keys: Index, weights: Array) -> tuple[Index, Index]:
    """Places of the lively stretches of a chunk, and their fingerprints."""
    windows = np.lib.stride_tricks.sliding_window_view(white, _WIDTH)
    count = len(windows)
    size = np.sqrt(np.einsum("nw,nw->n", windows, windows) / _WIDTH)
    rise = np.sqrt(np.convolve(steps**2, np.ones(_WIDTH), "valid")[:count] / _WIDTH)
    with np.errstate(invalid="ignore"):
        real = (size > _PREDICTED * rise) & (size > 1e-12 * np.abs(values[:count]))
    places = np.flatnonzero(real)
    scaled = windows[places] / size[places, None]
    lively = (np.abs(scaled) > 1e-6).sum(axis=1) >= _LIVELY
    places, scaled = places[lively], scaled[lively]
    scaled *= np.where(scaled @ weights < 0, -1.0, 1.0)[:, None]
    coarse = np.floor(scaled / _GRID + _GRID / 2).astype(np.int64)
    with np.errstate(over="ignore"):
        return places, np.asarray((coarse * keys).sum(axis=1))
