"""Interleaved timing: blocks of calls, sides in turns, a ratio of each pair, an interval of their median."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from longspan.core.errors import InputError

__all__ = ["LEAST_PAIRS", "Ratio", "interleaved", "ratio"]

LEAST_PAIRS = 9
_PAUSE = 0.01  # seconds before a block, so that the threads of the side before have gone to sleep
_DRAWS = 10_000


class Ratio(NamedTuple):
    """Median of the ratios of all pairs, with its 95 % bootstrap interval."""

    median: float
    low: float
    high: float


def interleaved(
    runs: Sequence[Callable[[], object]],
    pairs: int,
    seconds: float,
    *,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> list[list[float]]:
    """Seconds a call of each side, one number a round.

    In every round each side runs one block of calls, after a pause and a call that is not counted; who comes
    first changes from round to round.

    Args:
        runs: the sides.
        pairs: rounds, at least nine.
        seconds: of all blocks together, about; a call that takes longer than its block is made once.
        clock, sleep: for tests.

    Raises:
        InputError: fewer rounds than nine.
    """
    if pairs < LEAST_PAIRS:
        raise InputError(f"interleaved: expected at least {LEAST_PAIRS} pairs, got {pairs}")
    block = seconds / (pairs * len(runs))
    calls = [_calls(run, block, clock) for run in runs]
    found: list[list[float]] = [[] for _ in runs]
    for number in range(pairs):
        for place in range(len(runs)):
            side = (number + place) % len(runs)
            sleep(_PAUSE)
            runs[side]()
            found[side].append(_block(runs[side], calls[side], clock) / calls[side])
    return found


def _calls(run: Callable[[], object], block: float, clock: Callable[[], float]) -> int:
    """How many calls fill a block; found by doubling, since the first calls are slow."""
    run()
    calls = 1
    while True:
        taken = _block(run, calls, clock)
        if taken >= block / 4 or calls >= 1 << 20:
            return max(1, round(calls * block / taken)) if taken > 0 else calls
        calls *= 2


def _block(run: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(calls):
        run()
    return clock() - start


def ratio(above: Sequence[float], below: Sequence[float]) -> Ratio:
    """The median of ``above / below`` over pairs; the interval by drawing pairs anew, 10,000 times."""
    ratios = np.asarray(above, dtype=np.float64) / np.asarray(below, dtype=np.float64)
    drawn = np.random.default_rng(0).integers(len(ratios), size=(_DRAWS, len(ratios)))
    low, high = np.quantile(np.median(ratios[drawn], axis=1), (0.025, 0.975))
    return Ratio(float(np.median(ratios)), float(low), float(high))
