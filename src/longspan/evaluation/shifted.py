"""Covariates that carry a later target: found by asking what they tell that the past does not.

With a column, the target ``k`` steps later is fitted by ``[1, c, y, c·y]`` of the row, which holds what
people make by mistake: the target shifted, scaled, as a difference or as a return. It counts only if what
is left is a twentieth of what the target's own past leaves (an autoregression, or the lag at which the
series is most like itself): of a clean sine or an exactly periodic series nothing is told that the past
did not tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longspan.core.seeds import derive

__all__ = ["Carried", "find_shifted"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]
_SERIES, _ROWS, _LEADS = 16, 4096, 1024
_SHARE = 0.05  # of what the past leaves, may be left (rounding, a few digits)
_LEAST_ROWS, _LEAST_EVENTS = 24, 10.0
_PREDICTED = 1e-6  # of the spread: a target whose past leaves less has nothing to tell
_CONFIRMED = 16  # lags of a column that are fitted exactly
_ORDER = 8


@dataclass(frozen=True)
class Carried:
    """A column that is the target ``lag`` steps later (negative: earlier), in ``series`` of ``looked_at``."""

    column: str
    lag: int
    known: bool
    series: int
    looked_at: int


def find_shifted(
    target: Array,
    columns: Mapping[str, Array],
    known: Sequence[str],
    offsets: Index,
    observed: Index,
    horizon: int,
    *,
    seed: int = 0,
) -> list[Carried]:
    """Columns that carry a target which is not known yet.

    Of a past covariate a row must not tell of later rows. Of one that is known ahead, no row must tell of the
    rows after the origin, which may lie up to ``horizon - 1`` steps before it.

    Args:
        target: float64 (R,), series end to end, NaN where missing.
        columns: name → (R,), covariates of the same rows.
        known: names of those that are known ahead.
        offsets: int64 (N + 1,). observed: int64 (N,), known rows of each series.
        horizon: H. Shifts up to H + 1 steps, at most 1,024, are looked for.
        seed: of the sample of at most 16 series, of which the last 4,096 rows are looked at.
    """
    long_enough = np.flatnonzero(observed >= _LEAST_ROWS + 2)
    if len(long_enough) > _SERIES:
        draws = np.random.default_rng(derive(seed, "shifted"))
        long_enough = np.sort(draws.choice(long_enough, _SERIES, replace=False))
    votes: dict[str, dict[int, int]] = {name: {} for name in columns}
    looked_at = 0
    for series in long_enough:
        last = int(offsets[series] + observed[series])
        rows = slice(max(int(offsets[series]), last - _ROWS), last)
        y = _standard(target[rows])
        left = _left_by_past(y)
        if not left > _PREDICTED:
            continue
        looked_at += 1
        for name, column in columns.items():
            first = 1 - min(horizon, _LEADS) if name in known else 1
            for lag in _carried(y, _standard(column[rows]), first, min(horizon + 1, _LEADS), left):
                votes[name][lag] = votes[name].get(lag, 0) + 1
    found = []
    for name, lags in votes.items():
        if lags and 2 * max(lags.values()) >= looked_at:
            lag = max(lags, key=lambda each: (lags[each], -abs(each)))
            found.append(Carried(name, lag, name in known, lags[lag], looked_at))
    return found


def _standard(values: Array) -> Array:
    known = values[np.isfinite(values)].astype(np.float64)
    if len(known) == 0 or known.min() == known.max():
        return np.zeros(len(values))
    return np.asarray((values - known.mean()) / known.std(), dtype=np.float64)


def _left_by_past(y: Array) -> float:
    """Root mean square of what the past leaves of a standardised series: by an autoregression, or by the
    value at the lag at which the series is most like itself, whichever leaves less."""
    order = min(_ORDER, len(y) // 10)
    lagged = [y[order - lag : len(y) - lag] for lag in range(1, order + 1)]
    design = np.stack([np.ones(len(y) - order), *lagged], axis=1)
    complete = np.isfinite(design).all(axis=1) & np.isfinite(y[order:])
    least = _left_by_a_lag(y)
    if complete.sum() > 3 * (order + 1):
        left, count = _rest(design[complete], y[order:][complete])
        least = min(least, float(np.sqrt((left @ left) / (count - order - 1))))
    return least


def _left_by_a_lag(y: Array) -> float:
    known = np.isfinite(y)
    plain, square = np.where(known, y, 0.0), np.where(known, y * y, 0.0)
    lags = range(1, len(y) // 2 + 1)
    pairs = _correlate(known.astype(np.float64), known.astype(np.float64), lags)
    apart = (
        _correlate(square, known.astype(np.float64), lags)
        + _correlate(known.astype(np.float64), square, lags)
        - 2 * _correlate(plain, plain, lags)
    )
    enough = pairs >= max(_LEAST_ROWS // 2, 0.25 * float(pairs.max(initial=0.0)))
    if not enough.any():
        return float("inf")
    lag = int(np.where(enough, apart / np.maximum(pairs, 1), np.inf).argmin()) + 1
    return float(np.sqrt(np.nanmean((y[lag:] - y[:-lag]) ** 2) / 2))


def _correlate(one: Array, other: Array, lags: range) -> Array:
    """Σ_t one[t] · other[t + lag], by FFT."""
    size = 1 << (len(one) + max(abs(lags[0]), abs(lags[-1]))).bit_length()
    product = np.fft.rfft(one, size).conj() * np.fft.rfft(other, size)
    return np.asarray(np.fft.irfft(product, size)[np.asarray(lags) % size])


def _rest(design: Array, y: Array) -> tuple[Array, int]:
    weights = np.linalg.lstsq(design, y, rcond=None)[0]
    return y - design @ weights, len(y)


def _carried(y: Array, c: Array, first: int, last: int, left: float) -> list[int]:
    """Lags ``first … last`` at which the column gives the target."""
    last = min(last, len(y) - _LEAST_ROWS)
    first = max(first, _LEAST_ROWS - len(y))
    if last < first or not c.any():
        return []
    lags = [lag for lag in _promising(y, c, range(first, last + 1)) if _gives(y, c, lag, left)]
    return sorted(lags, key=abs)[:1]


def _promising(y: Array, c: Array, lags: range) -> list[int]:
    """The lags of the best fits, by products of spectra, whose rounding makes them candidates only."""
    known = np.isfinite(c) & np.isfinite(y)
    now, here = np.where(known, y, 0.0), np.where(known, c, 0.0)
    basis = [known.astype(np.float64), here, now, here * now]
    there = np.isfinite(y).astype(np.float64)
    later = np.where(np.isfinite(y), y, 0.0)
    gram = np.empty((len(lags), 4, 4))
    for i in range(4):
        for j in range(i, 4):
            gram[:, i, j] = gram[:, j, i] = _correlate(basis[i] * basis[j], there, lags)
    right = np.stack([_correlate(each, later, lags) for each in basis], axis=1)
    total = _correlate(known.astype(np.float64), later * later, lags)
    ridge = 1e-9 * np.maximum(np.trace(gram, axis1=1, axis2=2), 1.0)
    weights = np.linalg.solve(gram + ridge[:, None, None] * np.eye(4), right[..., None])[..., 0]
    rest = (total - (2 * right * weights).sum(axis=1)) + np.einsum("ki,kij,kj->k", weights, gram, weights)
    share = rest / np.maximum(total, 1e-300)
    if 0 in lags:  # the row's own target is among the basis
        share[lags.index(0)] = -1.0
    return [lags[int(place)] for place in np.argsort(share)[:_CONFIRMED]]


def _gives(y: Array, c: Array, lag: int, left: float) -> bool:
    """Whether the column gives the target ``lag`` steps later, up to a twentieth of what the past leaves."""
    rows = slice(max(0, -lag), len(y) - max(0, lag))
    now, here = y[rows], c[rows]
    later = y[rows.start + lag : rows.stop + lag]
    known = np.isfinite(now) & np.isfinite(here) & np.isfinite(later)
    if known.sum() < _LEAST_ROWS:
        return False
    now, here, later = now[known], here[known], later[known]
    ones = np.ones(len(now))
    alone, _ = _rest(np.stack([ones, now], axis=1) if lag > 0 else ones[:, None], later)
    events = float((alone**2).sum()) ** 2 / max(float((alone**4).sum()), 1e-300)
    if events < _LEAST_EVENTS:
        return False
    parts = [ones, here, now, here * now] if lag > 0 else [ones, here]
    rest, count = _rest(np.stack(parts, axis=1), later)
    without = float(np.sqrt((alone**2).mean()))
    with_it = float(np.sqrt((rest @ rest) / (count - len(parts))))
    return without > _PREDICTED and with_it <= _SHARE * min(left, without)
