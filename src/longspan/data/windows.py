"""Windows on a panel: (series, cut) pairs, numbered and gathered, never materialised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.core.errors import DataError, InputError
from longspan.core.seeds import derive
from longspan.data.calendar import calendar_features, feature_count
from longspan.data.panel import Panel

__all__ = ["WindowBatch", "Windows", "training_windows", "validation_windows"]

Index = NDArray[np.int64]
# The most numbers that a table of calendar features may hold (16 MB); larger ones are computed for each
# batch.
_TIMELINE = 1 << 22


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """What a model sees of B windows: C steps of the past and H of the future.

    ``past`` float64 (B, C) and ``future`` float64 (B, H) are the target in the user's units, NaN where
    missing or outside the series; ``past_covariates`` float32 (B, C, K+P+F) (order: known, past, calendar),
    ``future_covariates`` float32 (B, H, K+F), ``static`` float32 (B, S).
    """

    series: Index
    cut: Index
    past: NDArray[np.float64]
    future: NDArray[np.float64]
    past_covariates: NDArray[np.float32]
    future_covariates: NDArray[np.float32]
    static: NDArray[np.float32]


class Windows:
    """Every (series, cut) with ``first_cut <= cut <= last_cut``, counted back from the last by ``stride``.

    ``cut`` is the number of rows of the series before the forecast. A series with ``first_cut > last_cut``
    has no window. Windows with fewer than ``min_past`` known targets in the past or ``min_future`` in the
    future are left out and counted in ``excluded``; only the numbers of those are stored.

    Args:
        panel: the series.
        context: C, steps of the past that a window shows. horizon: H, steps of the future.
        first_cut, last_cut: int64 (N,), or one number for all series.
        stride: steps between the cuts of one series.
        min_past, min_future: known targets that a window must have.
    """

    def __init__(
        self,
        panel: Panel,
        context: int,
        horizon: int,
        first_cut: Index | int,
        last_cut: Index | int,
        stride: int = 1,
        *,
        min_past: int = 1,
        min_future: int = 1,
    ) -> None:
        for name, number in (("context", context), ("horizon", horizon), ("stride", stride)):
            if number < 1:
                raise InputError(f"{name}: expected a number from 1, got {number}")
        self.panel, self.context, self.horizon, self.stride = panel, context, horizon, stride
        self.first_cut = np.broadcast_to(np.asarray(first_cut, dtype=np.int64), len(panel))
        self.last_cut = np.broadcast_to(np.asarray(last_cut, dtype=np.int64), len(panel))
        wrong = (self.first_cut <= self.last_cut) & ((self.first_cut < 0) | (self.last_cut > panel.lengths))
        if wrong.any():
            series = int(wrong.argmax())
            raise InputError(
                f"cuts: expected 0 to {panel.lengths[series]} for series {panel.ids[series]!r}, got "
                f"{self.first_cut[series]} to {self.last_cut[series]}"
            )
        counts = np.maximum((self.last_cut - self.first_cut) // stride + 1, 0)
        self._bounds = np.concatenate([[0], np.cumsum(counts)])
        self._excluded = self._poor(min_past, min_future)
        # The number of stored windows before the k-th kept one is found by a binary search in these.
        self._shift = self._excluded - np.arange(len(self._excluded))
        self._steps = np.arange(-context, horizon, dtype=np.int64)
        self._timeline = self._make_timeline()

    def __len__(self) -> int:
        return int(self._bounds[-1]) - len(self._excluded)

    @property
    def excluded(self) -> int:
        """Windows left out because too few of their values are known."""
        return len(self._excluded)

    def _poor(self, min_past: int, min_future: int) -> Index:
        """Numbers of the windows with too few known values, series by series, in increasing order."""
        found = [np.empty(0, dtype=np.int64)]
        if min_past < 1 and min_future < 1:
            return found[0]
        panel = self.panel
        for series in np.flatnonzero(np.diff(self._bounds)):
            cuts = self._cuts(int(series))
            known = ~np.isnan(panel.target[panel.offsets[series] : panel.offsets[series + 1]])
            if known.all() and cuts[0] >= min_past and cuts[-1] + self.horizon <= len(known):
                continue
            seen = np.concatenate([[0], np.cumsum(known)])
            end = np.minimum(cuts + self.horizon, len(known))
            past = seen[cuts] - seen[np.maximum(cuts - self.context, 0)]
            poor = (past < min_past) | (seen[end] - seen[cuts] < min_future)
            found.append(self._bounds[series] + np.flatnonzero(poor))
        return np.concatenate(found)

    def _cuts(self, series: int) -> Index:
        count = int(self._bounds[series + 1] - self._bounds[series])
        steps = np.arange(-(count - 1), 1, dtype=np.int64)
        return np.asarray(steps * self.stride + self.last_cut[series])

    def pairs(self, numbers: Index) -> tuple[Index, Index]:
        """Series and cut of the windows with these numbers (0 … len - 1, in order of series and cut).

        Raises:
            InputError: a number outside.
        """
        number = np.asarray(numbers, dtype=np.int64)
        if number.size and not (int(number.min()) >= 0 and int(number.max()) < len(self)):
            raise InputError(
                f"window: expected a number from 0 to {len(self) - 1}, got {number.min()} to {number.max()}"
            )
        if len(self._shift):
            number = number + np.searchsorted(self._shift, number, side="right")
        series = np.searchsorted(self._bounds, number, side="right") - 1
        cut = self.last_cut[series] - (self._bounds[series + 1] - 1 - number) * self.stride
        return series, cut

    def gather(self, series: Index, cut: Index) -> WindowBatch:
        """The windows of these (series, cut) pairs; steps outside a series are NaN."""
        panel, context = self.panel, self.context
        steps = cut[:, None] + self._steps  # (B, C+H) row of the series, negative before it
        length = panel.lengths[series]
        inside = None
        if int(cut.min(initial=context)) < context or bool((cut + self.horizon > length).any()):
            inside = (steps >= 0) & (steps < length[:, None])
        rows = steps + panel.offsets[series][:, None]
        target = panel.target.take(rows, mode="clip")
        if inside is not None:
            target[~inside] = np.nan
        known = _covariates(panel.known, rows, inside)
        past = _covariates(panel.past, rows[:, :context], None if inside is None else inside[:, :context])
        calendar = self._calendar(series, steps)
        return WindowBatch(
            series=series,
            cut=cut,
            past=target[:, :context],
            future=target[:, context:],
            past_covariates=np.concatenate([known[:, :context], past, calendar[:, :context]], axis=2),
            future_covariates=np.concatenate([known[:, context:], calendar[:, context:]], axis=2),
            static=panel.static[series].astype(np.float32),
        )

    def _make_timeline(self) -> tuple[Index, NDArray[np.float32]] | None:
        """Calendar features of every step of a short common grid, and each series' place on it."""
        panel, names = self.panel, self.panel.schema.calendar
        origin = int(panel.start.min())
        shift, exact = panel.frequency.steps_between(origin, panel.start)
        last = int((shift + panel.lengths).max()) + self.horizon
        if not names or not exact.all() or (last + self.context) * feature_count(names) > _TIMELINE:
            return None
        steps = np.arange(-self.context, last, dtype=np.int64)
        return shift + self.context, calendar_features(names, panel.frequency.stamps(origin, steps))

    def _calendar(self, series: Index, steps: Index) -> NDArray[np.float32]:
        if self._timeline is not None:
            shift, features = self._timeline
            return features.take(steps + shift[series][:, None], axis=0)
        names = self.panel.schema.calendar
        if not names:
            return np.empty((*steps.shape, feature_count(names)), dtype=np.float32)
        stamps = self.panel.frequency.stamps(self.panel.start[series][:, None], steps)
        return calendar_features(names, stamps)

    def sample(self, seed: int, step: int, batch_size: int) -> Index:
        """Window numbers (batch_size,) of a training step: a pure function of its arguments.

        Each pass over the windows is a permutation of all of them (a Feistel network with cycle walking:
        Black and Rogaway, Ciphers with Arbitrary Finite Domains, 2002), so every window is seen once a pass
        and nothing is stored or drawn in order; a batch may hold the end of one pass and the beginning of the
        next.

        Raises:
            DataError: there is no window.
        """
        if len(self) == 0:
            raise DataError(
                "expected windows to learn from, got none: every series is too short or has no known value"
            )
        place = np.arange(step * batch_size, (step + 1) * batch_size, dtype=np.int64)
        rounds, number = np.divmod(place, len(self))
        drawn = np.empty_like(number)
        for turn in np.unique(rounds):
            these = rounds == turn
            drawn[these] = permute(number[these], len(self), derive(seed, "windows", int(turn)))
        return drawn


def _covariates(
    block: NDArray[np.floating[Any]], rows: Index, inside: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """(B, T, columns) float32 rows of a block, NaN outside the series."""
    if block.shape[1] == 0:
        return np.empty((*rows.shape, 0), dtype=np.float32)
    values = block.take(rows, axis=0, mode="clip").astype(np.float32, copy=False)
    if inside is not None:
        values[~inside] = np.nan
    return values


def permute(numbers: Index, size: int, key: int) -> Index:
    """A keyed permutation of 0 … size - 1, applied to some of its numbers without making the rest."""
    bits = max((size - 1).bit_length(), 2)
    low = bits // 2
    keys = [np.uint64(derive(key, "round", turn)) for turn in range(4)]
    result = numbers.astype(np.uint64)
    walking = np.arange(len(numbers))
    while len(walking):
        result[walking] = _feistel(result[walking], bits - low, low, keys)
        walking = walking[result[walking] >= size]
    return result.astype(np.int64)


def _feistel(numbers: NDArray[np.uint64], high: int, low: int, keys: list[np.uint64]) -> NDArray[np.uint64]:
    """Four rounds on a left part of ``high`` bits and a right part of ``low`` bits, which change places."""
    left, right = numbers >> np.uint64(low), numbers & np.uint64((1 << low) - 1)
    wide, narrow = high, low
    for key in keys:
        left, right = right, left ^ (_mix(right ^ key) & np.uint64((1 << wide) - 1))
        wide, narrow = narrow, wide
    return (left << np.uint64(low)) | right


def _mix(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea and Flood, 2014): every bit depends on every bit."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def training_windows(
    panel: Panel, context: int, horizon: int, *, holdout: Index | int, min_history: int = 1, stride: int = 1
) -> Windows:
    """Windows whose future ends before the last ``holdout`` known rows of their series."""
    last = panel.observed - np.asarray(holdout, dtype=np.int64) - horizon
    return Windows(panel, context, horizon, max(min_history, 1), last, stride)


def validation_windows(
    panel: Panel, context: int, horizon: int, *, holdout: Index | int, stride: int = 1
) -> Windows:
    """Windows whose future lies within the last ``holdout`` known rows of their series; their past may reach
    before."""
    first = panel.observed - np.asarray(holdout, dtype=np.int64)
    return Windows(panel, context, horizon, np.maximum(first, 1), panel.observed - horizon, stride)
