"""Ridge regression from a window to what follows it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from longspan.baselines.base import Run, Values
from longspan.baselines.naive import checked_past
from longspan.core.errors import InputError

__all__ = ["ridge_map", "ridge_on_the_window"]

_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)  # per window
# Alone the map has to carry everything: next to none for an exact recurrence, much for a random walk.
_PENALTIES_ALONE = tuple(10.0**power for power in range(-9, 3))


def ridge_map(
    past: Values, future: Values, penalties: Sequence[float] = _PENALTIES
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (H, C) and offsets (H,) of the linear map from window to future with the least squared error.

    The penalty for each window is chosen by generalised cross-validation (Golub, Heath and Wahba,
    Technometrics 21, 1979), among 1e-3 … 1 unless others are given. Windows whose future is not wholly known
    are left out; without any the map is zero.

    Args:
        past: (W, C), nothing missing, scaled alike. future: (W, H), NaN where unknown.
        penalties: to choose from.
    """
    whole = ~np.isnan(future).any(axis=1)
    if not whole.any():
        return np.zeros((future.shape[1], past.shape[1])), np.zeros(future.shape[1])
    from sklearn.linear_model import RidgeCV

    alphas = np.asarray(penalties) * int(whole.sum())
    fitted = RidgeCV(alphas=alphas).fit(past[whole], future[whole])
    return np.atleast_2d(fitted.coef_), np.atleast_1d(fitted.intercept_)


def ridge_on_the_window(past: Values, future: Values, season: int = 1) -> Run:
    """Learn one linear map from a window to each of the H steps ahead (direct forecasts); the season plays no
    part.

    Every window, of whatever series, is put on one footing by its own values: less its last known value, over
    its standard deviation. So forecasts follow the unit and the level of their row. Missing values take the
    last known one before them, at the beginning the first known one.

    Args:
        past: (W, C), NaN where missing. future: (W, H); windows with an unknown future, with a past that is
            constant or unknown, or with a jump a hundred times the median one are not learned from.

    Returns:
        A run for pasts of any length: the last C values count, and missing ones are put before a shorter one.
        It gives a constant past its own value, and refuses more steps than it has learned.

    Raises:
        InputError: there is no window to learn from.
    """
    past = checked_past(past, future.shape[1], season, "ridge")
    if len(future) != len(past):
        raise InputError(f"ridge: expected as many futures as pasts, got {len(future)} and {len(past)}")
    window, level, unit = _standard(past)
    learnable = (unit > 0) & ~np.isnan(future).any(axis=1)
    if not learnable.any():
        raise InputError(
            "ridge: expected a training window with a known future and a past that varies, got none among "
            f"{len(past)}. Give a longer series, a shorter context or a shorter horizon"
        )
    window, ahead = window[learnable], (future[learnable] - level[learnable, None]) / unit[learnable, None]
    usual = _usual(ahead)
    weights, offsets = ridge_map(window[usual], ahead[usual], _PENALTIES_ALONE)
    return partial(_forecast, weights=weights, offsets=offsets)


def _usual(ahead: Values) -> NDArray[np.bool_]:
    """(W,) windows that do not decide alone: where a series that hardly moved jumps, the future is thousands
    of deviations away, and squared errors would see nothing else. The limit is 100 times the median."""
    reach = np.abs(ahead).max(axis=1)
    usual: NDArray[np.bool_] = (reach <= 100 * np.median(reach)) | (np.median(reach) == 0)
    return usual


def _forecast(past: Values, horizon: int, season: int = 1, *, weights: Values, offsets: Values) -> Values:
    past = checked_past(past, horizon, season, "ridge")
    steps, context = weights.shape
    if horizon > steps:
        raise InputError(
            f"ridge: expected horizon of at most the {steps} steps that were learned, got {horizon}"
        )
    short = max(0, context - past.shape[1])
    window, level, unit = _standard(np.pad(past, ((0, 0), (short, 0)), constant_values=np.nan)[:, -context:])
    # One product a row: a matrix product may round a row differently in another batch.
    ahead = np.stack([weights[:horizon] @ row for row in window]) if len(window) else np.zeros((0, horizon))
    result: Values = level[:, None] + unit[:, None] * (ahead + offsets[:horizon])
    return result


def _standard(past: Values) -> tuple[Values, Values, Values]:
    """Windows (B, C) less their last known value over their standard deviation, that value and deviation
    (B,); an unknown past has level NaN, a constant one unit 0 and a window of zeros."""
    filled = _filled(past)
    level = filled[:, -1]
    centred = np.nan_to_num(filled - level[:, None])
    unit = centred.std(axis=1)
    unit = np.where(unit > 1e-12 * np.abs(np.nan_to_num(filled)).max(axis=1), unit, 0.0)
    scaled = np.divide(centred, unit[:, None], out=np.zeros_like(centred), where=unit[:, None] > 0)
    return scaled, level, unit


def _filled(past: Values) -> Values:
    """Missing values take the last known one before them; before the first known one, that one."""
    known = ~np.isnan(past)
    places = np.where(known, np.arange(past.shape[1]), -1)
    before = np.maximum.accumulate(places, axis=1)
    places = np.where(before < 0, known.argmax(axis=1)[:, None], before)
    return np.take_along_axis(past, places, axis=1)
