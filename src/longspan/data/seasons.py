"""Season lengths: proposed by the frequency or found in the data, and kept only where the data show them.

A season of ``m`` steps is believed when the mean of each of its ``m`` phases explains enough of what is left
of a series after a moving average over ``m`` steps is taken away (the strength of seasonality of Wang, Smith
and Hyndman, Characteristic-based clustering for time series data, 2006, corrected for the ``m`` means as an
adjusted R²), in the median of a bounded sample of series.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from longspan.data.panel import Panel

__all__ = ["infer_seasons", "seasonal_strength"]

Values = NDArray[np.float64]
_SERIES, _VALUES = 64, 20_000
_CYCLES = 3
# Share of the variance that a first season must explain in the median series, and a longer one after it in a
# quarter of them (a week is rarely in all).
_FIRST, _FURTHER = 0.12, 0.2


def infer_seasons(panel: Panel) -> tuple[int, ...]:
    """Season lengths in steps, the primary one first; ``()`` when there is none.

    A frequency with natural cycles (hour, day, month …) proposes them. Rows without time are searched for the
    lag of the first high peak of the autocorrelation; with 24, seven times it is tried as well.
    """
    sample = _sample(panel)
    if not sample:
        return ()
    if panel.frequency.unit != "row":
        return _confirm(sample, panel.frequency.seasons)
    found = _search(sample)
    return () if found is None else _confirm(sample, (found, 7 * found) if found == 24 else (found,))


def _sample(panel: Panel) -> list[Values]:
    """The last values of series spread evenly over the panel, without the constant and the very short."""
    chosen = np.unique(np.linspace(0, len(panel) - 1, min(_SERIES, len(panel))).astype(np.int64))
    series = [panel.values(int(number))[-_VALUES:] for number in chosen]
    return [
        values
        for values in series
        if np.isfinite(values).sum() >= 8 and np.nanmax(values) > np.nanmin(values)
    ]


def _confirm(sample: list[Values], lags: tuple[int, ...]) -> tuple[int, ...]:
    """The lags that explain enough, the shortest first; longer ones only by what they add to it."""
    kept: list[int] = []
    for lag in sorted(lags):
        long_enough = [values for values in sample if len(values) >= _CYCLES * lag]
        if 2 * len(long_enough) < len(sample):
            continue
        shorter = max((other for other in kept if lag % other == 0), default=None)
        strengths = [seasonal_strength(values, lag, shorter) for values in long_enough]
        if np.quantile(strengths, 0.75 if kept else 0.5) >= (_FURTHER if kept else _FIRST):
            kept.append(lag)
    return tuple(kept)


def seasonal_strength(values: Values, lag: int, without: int | None = None) -> float:
    """Adjusted share of the variance around a moving average that the means of ``lag`` phases explain.

    With ``without``, only what they add to the means of that shorter season is counted.
    """
    rest = values - _moving_average(values, lag)
    known = np.isfinite(rest)
    if without is not None:
        rest = rest - _phase_means(rest, without)
    left = rest - _phase_means(rest, lag)
    count = int(known.sum())
    total, remaining = float(np.nanvar(rest)) if count else 0.0, float(np.nanvar(left)) if count else 0.0
    scale = float(np.nanmax(np.abs(values)))
    if count <= lag + 1 or total <= (1e-12 * scale) ** 2:
        return 0.0
    return 1.0 - remaining / total * (count - 1) / (count - lag)


def _moving_average(values: Values, lag: int) -> Values:
    """Centred mean over one season (half weights at both ends when it is even), NaN at the edges, blanks left
    out."""
    weights = np.ones(lag) / lag if lag % 2 else np.r_[0.5, np.ones(lag - 1), 0.5] / lag
    known = np.isfinite(values)
    size = 1 << (len(values) + len(weights)).bit_length()
    kernel = np.fft.rfft(weights, size)
    level = float(np.nanmean(values))
    total, share = (
        np.fft.irfft(np.fft.rfft(part, size) * kernel, size)[: len(values) + len(weights) - 1]
        for part in (np.where(known, values - level, 0.0), known.astype(np.float64))
    )
    half = len(weights) // 2
    inner = slice(half, half + len(values))
    average = np.full(len(values), np.nan)
    enough = share[inner] > 0.5
    average[enough] = total[inner][enough] / share[inner][enough] + level
    average[:half] = np.nan
    average[len(values) - half :] = np.nan
    return average


def _phase_means(rest: Values, lag: int) -> Values:
    phase = np.arange(len(rest)) % lag
    known = np.isfinite(rest)
    count = np.bincount(phase[known], minlength=lag)
    total = np.bincount(phase[known], weights=rest[known], minlength=lag)
    means = total / np.maximum(count, 1)
    return np.asarray(means[phase])


def _autocorrelation(values: Values) -> Values:
    """Autocorrelation around a straight line at every lag to a third of the length, missing pairs left
    out."""
    steps = np.arange(len(values)) / len(values)
    known = np.isfinite(values)
    slope, level = np.polyfit(steps[known], values[known], 1)
    rest = np.where(known, values - level - slope * steps, 0.0)
    lags = len(values) // _CYCLES + 1
    size = 1 << (2 * len(values) - 1).bit_length()
    pairs, product = (
        np.fft.irfft(np.abs(np.fft.rfft(part, size)) ** 2, size)[:lags]
        for part in (known.astype(np.float64), rest)
    )
    variance = product[0] / max(pairs[0], 1.0)
    if variance <= (1e-12 * float(np.nanmax(np.abs(values)))) ** 2:
        return np.zeros(lags)
    return np.where(pairs >= 1.5, product / np.maximum(pairs, 1.0) / variance, 0.0)


def _search(sample: list[Values]) -> int | None:
    """The lag that half the series agree on."""
    votes = [lag for values in sample if (lag := _first_peak(_autocorrelation(values))) is not None]
    if not votes:
        return None
    lags, counts = np.unique(votes, return_counts=True)
    return int(lags[counts.argmax()]) if 2 * counts.max() >= len(sample) else None


def _first_peak(curve: Values) -> int | None:
    """Of the peaks after the first fall below zero, the first that is nearly as high as the highest."""
    below = np.flatnonzero(curve < 0)
    if len(below) == 0:
        return None
    inner = np.arange(max(int(below[0]), 2), len(curve) - 1)
    peaks = inner[
        (curve[inner] >= curve[inner - 1]) & (curve[inner] >= curve[inner + 1]) & (curve[inner] > 0.3)
    ]
    if len(peaks) == 0:
        return None
    high = peaks[curve[peaks] >= 0.85 * curve[peaks].max()]
    # Near a smooth top its neighbours are as high: take the highest of the first hill.
    hill = high[high <= high[0] * 1.2]
    return int(hill[curve[hill].argmax()])
