"""What series share at one time: the variance that the origins of a panel have in common."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from scipy.special import fdtrc

from longspan.metrics.arrays import Values, group_means

__all__ = ["Shared", "shared_variance"]

Numbers = NDArray[np.int64]
_SAME = 1e-9  # of one: what is shared has no other part in the one sum than in the other


class Shared(NamedTuple):
    """The variance of what all series share at an origin.

    Attributes:
        variance: of one origin, at least zero; NaN where some series meet, but so few at more than one origin
            that what they share cannot be told from what they are like.
        degrees: of freedom that it was estimated with.
        p: of sharing nothing at all, approximately; NaN as ``variance``.
    """

    variance: float
    degrees: float
    p: float


def shared_variance(values: Values, series: Numbers, origin: Numbers) -> Shared:
    """The component of variance of the origins, in values that are each of one series at one origin.

    What a series is like is taken off first: every value less the mean of its series. Two sums of squares,
    of those and of their totals by origin, are then set to what is expected of them; of a complete table that
    is the usual analysis of variance, with K - 1 degrees of freedom. Series need not have the same origins.

    Args:
        values: (n,), all known. series, origin: int64 (n,); a series has at most one value at an origin.

    Sources: Searle, Casella and McCulloch, "Variance Components" (1992), chapter 5 (unbiased quadratic forms
    of unbalanced data); Satterthwaite, "An approximate distribution of estimates of variance components",
    Biometrics Bulletin 2 (1946).
    """
    _, column, height = np.unique(origin, return_inverse=True, return_counts=True)
    met = height[column] > 1  # what is alone at its origin tells nothing
    if not met.any():
        return Shared(0.0, 1.0, 1.0)
    values = values[met]
    _, row, length = np.unique(series[met], return_inverse=True, return_counts=True)
    _, column, height = np.unique(origin[met], return_inverse=True, return_counts=True)
    free = len(values) - len(length)
    if free == 0:
        return Shared(np.nan, np.nan, np.nan)
    rest = values - group_means(values, row, len(length))[row]
    total = np.bincount(column, rest)
    between, all_of_it = float(total @ total) / free, float(rest @ rest) / free
    # The covariance of the totals by origin, where every origin adds one to the variance.
    weights = csr_array((1 / np.sqrt(length[row]), (row, column)))
    covariance = diags_array(height.astype(np.float64)) - weights.T @ weights
    squares = float(covariance.multiply(covariance).sum())
    each = squares / free
    if each <= 1 + _SAME:
        return Shared(np.nan, np.nan, np.nan)
    variance = (between - all_of_it) / (each - 1)
    own = all_of_it - variance
    degrees = free**2 / squares
    if not own > 0:
        return Shared(max(0.0, variance), degrees, 0.0 if variance > 0 else 1.0)
    left = max(1.0, free - len(height) + 1.0)
    return Shared(max(0.0, variance), degrees, float(fdtrc(degrees, left, between / own)))
