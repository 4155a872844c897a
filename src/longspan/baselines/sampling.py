"""On which series the slow baselines run: a seeded sample that fits its share of the time."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from longspan.baselines.base import Origins
from longspan.core.checks import whole
from longspan.core.errors import InputError
from longspan.core.seeds import derive

__all__ = ["SHARE", "measured_sample", "sample_order", "sampled_series"]

SHARE = 0.2
"""Of the time budget of a fit, what the slow baselines may take."""


def sample_order(count: int, seed: int) -> Origins:
    """int64 (count,): the order in which a sample takes the series; a smaller one lies in a larger."""
    draws = np.random.default_rng(derive(seed, "baseline series"))
    return draws.permutation(whole(count, "count", "sample_order")).astype(np.int64)


def sampled_series(
    count: int, seconds_each: float, budget: float | None, seed: int, least: int = 30
) -> Origins:
    """Numbers of the series to run on, increasing: as many as fit, and at least `least` or all.

    Args:
        count: series in all.
        seconds_each: what one series costs.
        budget: seconds of the whole fit, of which these baselines may take a fifth; None for no limit.
        seed: draws the sample.
        least: series that are run on whatever they cost: fewer prove little.

    Raises:
        InputError: a cost or budget that is negative or not finite.
    """
    for name, seconds in (("seconds_each", seconds_each), ("budget", budget or 0.0)):
        if not (np.isfinite(seconds) and seconds >= 0):
            raise InputError(f"sampled_series: expected {name} of at least 0 seconds, got {seconds!r}")
    order = sample_order(count, seed)
    if budget is None or count * seconds_each <= SHARE * budget:
        return np.sort(order)
    return np.sort(order[: max(least, int(SHARE * budget / seconds_each))])


def measured_sample(
    count: int,
    run: Callable[[int], object],
    budget: float | None,
    seed: int,
    least: int = 30,
    clock: Callable[[], float] = time.perf_counter,
) -> Origins:
    """`sampled_series` at the cost that is measured on the first series of the sample.

    Its second one is timed, since the first also pays for imports; both are in every sample of two or more.

    Args:
        run: does the slow baselines on the series of that number; keep what it finds, to not do it again.
        clock: seconds; the difference of two readings counts.
    """
    order = sample_order(count, seed)
    if budget is None or count <= least or count < 2:
        return np.sort(order)
    run(int(order[0]))
    start = clock()
    run(int(order[1]))
    return sampled_series(count, clock() - start, budget, seed, least)
