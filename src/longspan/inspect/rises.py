"""Do losses rise? One test for many correlated rises of the same examples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from longspan.core.seeds import derive

__all__ = ["Rises", "judge_rises"]

Array = NDArray[np.float64]
_DRAWS = 1999
_FEWEST = 4  # independent values, below which nothing is said
_LEAST_SPREAD = 0.5  # of a resample, in errors of the sample
_ROUNDING = 1e-6  # of the largest rise: a smaller one is rounding of float32
_TINY = 1e-12  # of the mean square: a smaller variance is rounding


class Rises(NamedTuple):
    """Of K rises, (K,) each; all but ``mean`` NaN where there are too few examples.

    ``low`` and ``high`` are the 95 % interval of the mean; ``p`` is one-sided and adjusted for all K.
    """

    mean: Array
    low: Array
    high: Array
    p: Array


def judge_rises(rises: Array, overlap: int, seed: int) -> Rises:
    """Which of K mean rises are above zero, whatever the others are?

    The studentised bootstrap of the largest statistic (Westfall and Young, "Resampling-based multiple
    testing", 1993, single step): examples are resampled together for all rises, so that what rises together
    is not paid for twice. Losses have long tails to the right, with which Student's t sees few rises.
    Examples whose answers overlap are first averaged in blocks of twice the overlap, taken for independent.

    Args:
        rises: (K, n) loss with something removed less the loss with everything there.
        overlap: neighbouring examples that share a part of their answers, 1 for none.
        seed: of the draws.
    """
    exact = np.where(np.abs(rises) <= _ROUNDING * np.abs(rises).max(initial=0.0), 0.0, rises)
    values = _blocks(exact, 2 * overlap if overlap > 1 else 1)
    mean, count = rises.mean(axis=1), values.shape[1]
    nothing = np.full(len(rises), np.nan)
    if count < _FEWEST:
        return Rises(mean, nothing, nothing, nothing)
    centre, error = _mean_and_error(values.mean(axis=1), (values**2).mean(axis=1), count)
    reach = stdtrit(count - 1, 0.975) * error
    times = _resampled(count, np.random.default_rng(derive(seed, "rises")))
    drawn, spread = _mean_and_error(times @ values.T, times @ (values**2).T, count)
    away = drawn - centre
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(centre == 0, 0.0, centre / error)
        # A resample that misses the few examples that fall has no spread: it says nothing of the other rises.
        studentised = away / np.maximum(spread, _LEAST_SPREAD * error)
    highest = np.where(np.abs(away) <= _TINY * np.abs(centre), 0.0, studentised).max(axis=1)
    beyond = (highest[:, None] >= statistic * (1 - 1e-12)).sum(axis=0)
    return Rises(mean, centre - reach, centre + reach, (1 + beyond) / (_DRAWS + 1))


def _blocks(rises: Array, size: int) -> Array:
    """Means of neighbouring examples, (K, n // size)."""
    count = max(1, rises.shape[1] // size)
    parts = np.array_split(np.arange(rises.shape[1]), count)
    return np.stack([rises[:, part].mean(axis=1) for part in parts], axis=1)


def _resampled(count: int, draws: np.random.Generator) -> Array:
    """(draws, count): the share of each example in each resample."""
    picked = draws.integers(0, count, (_DRAWS, count)) + count * np.arange(_DRAWS)[:, None]
    times = np.bincount(picked.ravel(), minlength=_DRAWS * count).reshape(_DRAWS, count)
    return np.asarray(times / count)


def _mean_and_error(mean: Array, square: Array, count: int) -> tuple[Array, Array]:
    """The mean and its standard error, from the mean and the mean square."""
    variance = np.maximum(square - mean**2, 0.0)
    variance = np.where(variance <= _TINY * square, 0.0, variance)
    return mean, np.sqrt(variance / (count - 1))
