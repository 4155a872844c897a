"""Paired losses by series and time: which of them fell together, and whether their differences are chance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from longspan.core.errors import InputError
from longspan.metrics.arrays import group_means
from longspan.metrics.significance import Test, diebold_mariano, paired_bootstrap, shared_shocks

__all__ = ["LEAST_ORIGINS", "LEAST_SERIES", "Units", "from_the_end", "paired_test"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]

LEAST_ORIGINS = 8  # of the Diebold–Mariano test
LEAST_SERIES = 5  # of the bootstrap over series


@dataclass(frozen=True, eq=False)
class Units:
    """What the losses are of: n units, each of a group and of a place in time.

    Args:
        group: int64 (n,), from 0: the series, document or speaker that a unit is of.
        place: int64 (n,), from 0: when; units of the same place happened at the same time.
        reach: over how many places one unit reaches; overlapping units are not independent.
        word: what one of them is, in the singular: ``origin``, ``sequence``. groups: what groups are called.
        shared: units of one place share what happens then; False for examples that have no time.
    """

    group: Index
    place: Index
    reach: int = 1
    word: str = "unit"
    groups: str = "groups"
    shared: bool = True

    def __post_init__(self) -> None:
        if self.group.ndim != 1 or self.place.shape != self.group.shape:
            raise InputError(
                f"Units: expected group and place of one shape (n,), got {self.group.shape} and "
                f"{self.place.shape}"
            )
        if self.reach < 1:
            raise InputError(f"Units: expected a reach from 1, got {self.reach}")

    def __len__(self) -> int:
        return len(self.group)

    @classmethod
    def independent(cls, count: int, word: str = "example") -> Units:
        """Units that have nothing in common, each a group of its own."""
        return cls(np.arange(count), np.zeros(count, dtype=np.int64), word=word, shared=False)

    @classmethod
    def of_origins(cls, series: Index, moment: Index, horizon: int) -> Units:
        """Origins of forecasts, placed by the calendar and not by their rank in their series.

        A place is as many steps as the least distance between two origins of one series, so that it holds at
        most one of each. Where series end at different steps, the places begin after the longest pause
        between origins; what then reaches into the next place counts from half a horizon on.

        Args:
            series: int64 (n,). moment: int64 (n,), the step of a calendar that all series share.
            horizon: steps that a forecast reaches ahead.
        """
        order = np.lexsort((moment, series))
        apart = np.diff(moment[order])[np.diff(series[order]) == 0]
        stride = max(1, int(apart.min())) if len(apart) else horizon
        begin, width = _phases(moment, stride)
        reach = math.ceil((horizon + max(0.0, width - horizon / 2)) / stride)
        _, group = np.unique(series, return_inverse=True)
        _, place = np.unique((moment - begin) // stride, return_inverse=True)
        return cls(group.astype(np.int64), place.astype(np.int64), reach, "origin", "series")

    def take(self, which: Mask) -> Units:
        """Some of them."""
        return replace(self, group=self.group[which], place=self.place[which])

    def are_many(self, values: Array) -> bool:
        """Whether the values (n,) are known of so many groups that groups are compared, not places."""
        return len(np.unique(self.group[~np.isnan(values)])) >= LEAST_SERIES

    def means(self, values: Array, *, many: bool) -> Array:
        """What is averaged: the mean of each of many groups, or of few groups the mean at each place; NaN
        where nothing is known."""
        along = self.group if many else self.place
        return group_means(values, along, int(along.max(initial=-1)) + 1)

    def weights(self, values: Array) -> Array:
        """(n,): the weight of each value in the mean over groups of each group's mean; 0 where unknown."""
        known = ~np.isnan(values)
        count = np.bincount(self.group[known], minlength=int(self.group.max(initial=-1)) + 1)
        return np.where(known, 1.0 / (np.count_nonzero(count) * np.maximum(count, 1)[self.group]), 0.0)


def from_the_end(series: Index, step: Index) -> Index:
    """Steps (n,) less the last step of their series: what they count to where all end together."""
    _, number = np.unique(series, return_inverse=True)
    last = np.full(int(number.max(initial=-1)) + 1, np.iinfo(np.int64).min)
    np.maximum.at(last, number, step)
    return np.asarray(step - last[number])


def paired_test(
    units: Units, difference: Array, seed: int, tests: Mask | None = None
) -> tuple[Test | None, str]:
    """The test of differences in loss and its name, or None and why there is none.

    One to four groups: the Diebold–Mariano test over places in time. From five on the paired bootstrap over
    groups or, if its p is larger, a test that sees what groups share at one time: over places where there are
    eight, else with the components of variance.

    Args:
        units: n, what the differences are of.
        difference: (n,), NaN where unknown.
        seed: of the bootstrap's draws.
        tests: bool (n,), which are tested; the others tell how much places vary. None for all.
    """
    late = difference if tests is None else np.where(tests, difference, np.nan)
    if not units.are_many(late):
        return _over_places(units, units.means(late, many=False))
    boot = paired_bootstrap(units.means(late, many=True), seed)
    if not units.shared:
        return boot, f"paired bootstrap over {units.word}s"
    weight = units.weights(late)
    share = np.bincount(units.place, weight).astype(np.float64)
    if round(1 / float(share @ share)) >= LEAST_ORIGINS:
        found, why = _over_places(units, _weighted(units, late, weight, share))
        test = f"{why}, of the mean over {units.groups}"
        if found is None:
            return None, why
    else:
        tested = ~np.isnan(late)
        found = shared_shocks(difference, units.group, units.place, tested, units.reach)
        test = f"t test over {units.groups}, with what {units.word}s share"
        if math.isnan(found.p):
            one = f"one {units.word}" if np.count_nonzero(share) == 1 else f"one {units.word} of each"
            return None, f"there is {one}, where what all {units.groups} share cannot be told from skill"
    return (found, test) if found.p > boot.p else (boot, f"paired bootstrap over {units.groups}")


def _over_places(units: Units, difference: Array) -> tuple[Test | None, str]:
    n = int((~np.isnan(difference)).sum())
    if n < LEAST_ORIGINS:
        there = f"is {n} test {units.word}" if n == 1 else f"are {n} test {units.word}s"
        return None, f"there {there}, and the test needs {LEAST_ORIGINS}"
    if n < units.reach:
        return None, f"the {n} test {units.word}s overlap: together they span less than one forecast"
    zeros = np.where(np.isnan(difference), np.nan, 0.0)
    return diebold_mariano(difference, zeros, units.reach), f"Diebold–Mariano over {units.word}s"


def _weighted(units: Units, values: Array, weight: Array, share: Array) -> Array:
    """A value for each place, NaN where it has none, whose plain mean is the weighted mean of the values, and
    whose variance is that mean's over places: the means at the places where all weigh the same."""
    total = np.bincount(units.place, weight * np.where(np.isnan(values), 0.0, values))
    there = share > 0
    found = np.full(len(share), np.nan)
    mean = float(total.sum())
    found[there] = mean + np.count_nonzero(there) * (total[there] - share[there] * mean)
    return found


def _phases(moment: Index, stride: int) -> tuple[int, int]:
    """Where places of so many steps begin: after the longest pause; and how many steps of a place then hold
    origins, besides the first."""
    phase = np.unique(moment % stride)
    pause = np.diff(phase, prepend=phase[-1] - stride)
    first = int(pause.argmax())
    return int(phase[first]), stride - int(pause[first])
