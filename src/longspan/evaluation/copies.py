"""Tested values that are found again among those that are learned from: exactly, or up to scale and shift.

Stretches of 16 values with equal fingerprints are found by sorting, which costs about one pass over the
data where a search by z-normalised distance (MASS: Mueen et al. 2017) costs one pass a stretch, so that
every tested value is looked at and not a sample. A match is then fitted, and followed both ways for as
long as it holds.

What repeats by nature is no copy. A match counts only

- where a linear recurrence does not give the values (lines, exponentials and sines say nothing),
- where it is much nearer than the series comes to itself one period before,
- where it is at least twice as long as any stretch that the learned part of either series holds twice, and
  that part is not made of motifs (periods, calendars, patterns of whole numbers), and
- where its increments are rare enough, given those around them, that no such match is to be expected by
  chance: they tell 32 bits more than it takes to name the two places.

Within one series a match at a season's lag, or at a lag at which the learned values match as well, is a
period.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from longspan.core.seeds import derive
from longspan.evaluation.fingerprints import SHORTEST, Stretches, fingerprints

__all__ = ["Copies", "Copy", "find_copies"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]
_CLOSE = 0.05  # of the size of the whitened increments: a match is as near as this
_SPARE_BITS = 32.0
_MOST_VALUES = 1 << 21
_CANDIDATES, _LAGS_A_PAIR, _NATURAL_LAGS, _CHECKS = 6, 3, 12, 2048
# From the median size of second differences to a deviation; one jump has no say in it.
_MEDIAN = 1.4826 / math.sqrt(6)
_FITS = 8
_TERMS = 8  # of a linear recurrence: a sum of four sines
_SURROUNDING, _ELSEWHERE = 64, 1024  # other series, and values of each, whose increments are learned from
_MOTIFS = 0.3  # of the stretches of a learned part occur again in it: a calendar, or a period
_FOLLOWED = 1 << 17  # values that a match is followed at most, either way


@dataclass(frozen=True)
class Copy:
    """Values ``first … last - 1`` of a tested series that are values ``other_first …`` of another place.

    ``tested = scale * other + shift``. ``learned`` tells whether the other place is learned from; otherwise
    it is tested as well, and the two series are one.
    """

    series: int
    first: int
    last: int
    other: int
    other_first: int
    scale: float
    shift: float
    learned: bool


class Copies(NamedTuple):
    """What was found, and how many values were searched and of how many."""

    found: tuple[Copy, ...]
    searched: int
    values: int


@dataclass(frozen=True, eq=False)
class _Search:
    values: Array
    offsets: Index
    cut: Index
    end: Index
    seasons: tuple[int, ...]

    def series(self, number: int, until: int) -> Array:
        first = int(self.offsets[number])
        return self.values[first : first + until]

    @cached_property
    def periods(self) -> dict[int, tuple[int, float]]:
        return {}

    def period(self, number: int) -> tuple[int, float]:
        """The lag at which the learned increments of a series are most alike, and what that lag or a linear
        recurrence leaves of them."""
        if number not in self.periods:
            steps = np.diff(self.series(number, int(self.cut[number]))[-_FOLLOWED:])
            lag, left = _period(steps)
            self.periods[number] = lag, min(left, _left_by_recurrence(steps[-_ELSEWHERE:]))
        return self.periods[number]


def find_copies(
    values: Array, offsets: Index, cut: Index, end: Index, *, seasons: Sequence[int] = (), seed: int = 0
) -> Copies:
    """Copies of tested values among all others, the longest of each pair of series.

    Args:
        values: float64 (R,), series end to end, NaN where missing.
        offsets: int64 (N + 1,), where each begins.
        cut: int64 (N,), values of each series that are learned from.
        end: int64 (N,), values of each series that are known; those from ``cut`` on are tested.
        seasons: lags at which a series is known to resemble itself.
        seed: of the sample of series where there are more than 2,097,152 values.
    """
    search = _Search(values, offsets, np.minimum(cut, end), end, tuple(seasons))
    rows = _searched_rows(search, seed)
    stretches = fingerprints(values, offsets, rows)
    learned = stretches.first + SHORTEST <= search.cut[stretches.series]
    tested = int((~learned).sum())
    if tested == 0:
        return Copies((), int(rows.sum()), int(end.sum()))
    chance = math.log2(tested) + math.log2(len(learned))
    known = stretches.take(learned)
    best: dict[tuple[int, int], Copy] = {}

    @cache
    def natural(series: int) -> int:
        return _natural(search, known, series)

    for one, other, lag, first in _candidates(stretches, learned):
        copy = _follow(search, one, other, lag, first, int(search.end[one]))
        if copy is None or copy.last - copy.first < 2 * max(natural(one), natural(other)):
            continue
        pair = (one, other) if copy.learned else (min(one, other), max(one, other))
        held = best.get(pair)
        longer = held is None or copy.last - copy.first > held.last - held.first
        if longer and _telling(search, copy, chance + _SPARE_BITS):
            best[pair] = copy
    return Copies(tuple(best[pair] for pair in sorted(best)), int(rows.sum()), int(end.sum()))


def _searched_rows(search: _Search, seed: int) -> Mask:
    """bool (R,): all known values, or the last ones of a seeded sample of series."""
    rows = np.zeros(len(search.values), dtype=bool)
    left = _MOST_VALUES
    order = np.arange(len(search.end))
    if int(search.end.sum()) > _MOST_VALUES:
        order = np.random.default_rng(derive(seed, "copies")).permutation(order)
    for series in order:
        last = int(search.offsets[series] + search.end[series])
        count = min(int(search.end[series]), left)
        rows[last - count : last] = True
        left -= count
        if left == 0:
            break
    return rows


def _natural(search: _Search, learned: Stretches, series: int) -> int:
    """Values of the longest stretch of the learned part of a series that it holds twice; 0 where none is."""
    low, high = np.searchsorted(learned.series, [series, series + 1])
    if high - low < 2:
        return 0
    order = np.argsort(learned.mark[low:high], kind="stable")
    mark, first = learned.mark[low:high][order], learned.first[low:high][order]
    again, before = [], []
    for turn in range(1, min(_CANDIDATES + 1, len(mark))):
        same = np.flatnonzero(mark[turn:] == mark[:-turn])
        again.append(first[same + turn])
        before.append(first[same])
    begins = np.r_[True, mark[1:] != mark[:-1]]
    if _MOTIFS * len(mark) < (len(mark) - int((begins & np.r_[begins[1:], True]).sum())):
        return len(search.values)  # made of motifs: no match says anything
    later, earlier = np.concatenate(again), np.concatenate(before)
    order = np.lexsort((later, later - earlier))
    later, earlier = later[order], earlier[order]
    lags, where, votes = np.unique(later - earlier, return_index=True, return_counts=True)
    where += votes // 2
    longest, cut = 0, int(search.cut[series])
    for each in np.argsort(-votes, kind="stable")[:_NATURAL_LAGS]:
        found = _follow(search, series, series, int(lags[each]), int(later[where[each]]), cut)
        longest = max(longest, 0 if found is None else found.last - found.first)
    return longest


def _candidates(stretches: Stretches, learned: Mask) -> list[tuple[int, int, int, int]]:
    """(series, other series, lag, first value) of tested stretches and others with their fingerprint, those
    with the most at one lag first."""
    order = np.argsort(stretches.mark, kind="stable")
    mark, series, first = stretches.take(order)
    seen = learned[order]
    queries = np.flatnonzero(~seen)
    low = np.searchsorted(mark, mark[queries], side="left")
    count = np.searchsorted(mark, mark[queries], side="right") - low
    queries, low, count = (each[count > 1] for each in (queries, low, count))
    pairs = []
    for turn in range(_CANDIDATES):
        there = low + turn * count // _CANDIDATES if turn else low
        there = np.where(count <= _CANDIDATES, low + np.minimum(turn, count - 1), there)
        use = (there != queries) & (seen[there] | (series[there] != series[queries]))
        one, two = queries[use], there[use]
        pairs.append(np.stack([series[one], series[two], first[one] - first[two], first[one]], axis=1))
    found = np.concatenate(pairs)
    if len(found) == 0:
        return []
    found = found[np.lexsort(found.T[::-1])]
    keys, where, votes = np.unique(found[:, :3], axis=0, return_index=True, return_counts=True)
    where += votes // 2  # the first may have been taken for one that begins a value before
    order = np.lexsort((-votes, keys[:, 1], keys[:, 0]))
    pair = keys[order, :2]
    begins = np.r_[True, (pair[1:] != pair[:-1]).any(axis=1)]
    rank = np.arange(len(order)) - np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
    order = order[rank < _LAGS_A_PAIR]
    order = order[np.argsort(-votes[order], kind="stable")][:_CHECKS]
    return [tuple(map(int, found[where[each]])) for each in order]  # type: ignore[misc]


def _period(steps: Array) -> tuple[int, float]:
    """Lag and root mean square of half the squared difference of increments that are most alike."""
    known = np.isfinite(steps)
    if len(steps) < 4 or not known.any():
        return 1, math.inf
    size = 1 << (2 * len(steps)).bit_length()
    parts = (known, np.where(known, steps, 0.0), np.where(known, steps**2, 0.0))
    mask, plain, square = (np.fft.rfft(each.astype(np.float64), size) for each in parts)
    lags = slice(1, len(steps) // 2 + 1)
    pairs = np.fft.irfft(mask * mask.conj(), size)[lags]
    far = np.fft.irfft(2 * (mask.conj() * square).real - 2 * (plain * plain.conj()).real, size)[lags]
    enough = pairs > max(1.0, 0.25 * float(pairs.max()))
    if not enough.any():
        return 1, math.inf
    lag = int(np.where(enough, far / np.maximum(pairs, 1.0), np.inf).argmin()) + 1
    return lag, float(np.sqrt(np.nanmean((steps[lag:] - steps[:-lag]) ** 2) / 2))


def _left_by_recurrence(steps: Array) -> float:
    """Root mean square of what a linear recurrence of eight terms leaves of increments."""
    if len(steps) < 4 * _TERMS:
        return math.inf
    windows = np.lib.stride_tricks.sliding_window_view(steps, _TERMS + 1)
    windows = windows[np.isfinite(windows).all(axis=1)]
    if len(windows) < 3 * _TERMS:
        return math.inf
    before, now = windows[:, :-1], windows[:, -1]
    left = now - before @ np.linalg.lstsq(before, now, rcond=None)[0]
    return float(np.sqrt((left @ left) / (len(now) - _TERMS)))


def _follow(search: _Search, one: int, other: int, lag: int, first: int, until: int) -> Copy | None:
    """The stretch that begins at ``first``, followed both ways for as long as it stays an affine copy, and no
    further than value ``until``."""
    learned = first - lag + SHORTEST <= search.cut[other]
    limit = int(search.cut[other] if learned else search.end[other])
    low = max(lag, 0, first - _FOLLOWED)
    high = min(until, limit + lag, first + _FOLLOWED)
    mine = search.series(one, high)[low:]
    theirs = search.series(other, limit)[low - lag : high - lag]
    begin, end = first - low, first - low + SHORTEST
    if end > len(mine):
        return None
    white = np.diff(mine[begin:end], 2)
    near = _CLOSE * min(_MEDIAN * float(np.nanmedian(np.abs(white))), search.period(one)[1])
    near = max(near, 1e-12 * float(np.nanmax(np.abs(mine[begin:end]))))
    both = np.isnan(mine) & np.isnan(theirs)
    scale = shift = 0.0
    for _ in range(_FITS):
        known = ~(np.isnan(mine[begin:end]) | np.isnan(theirs[begin:end]))
        x, y = theirs[begin:end][known], mine[begin:end][known]
        centre = float(x.mean())
        size = float(((x - centre) ** 2).sum())
        if size == 0:
            return None
        scale = float(((x - centre) * (y - y.mean())).sum()) / size
        shift = float(y.mean()) - scale * centre
        with np.errstate(invalid="ignore"):
            wrong = np.flatnonzero(~((np.abs(mine - scale * theirs - shift) <= near) | both))
        place = int(np.searchsorted(wrong, begin))
        if place < len(wrong) and wrong[place] < first - low + SHORTEST:
            return None
        before = begin, end
        begin = int(wrong[place - 1]) + 1 if place else 0
        end = int(wrong[place]) if place < len(wrong) else len(mine)
        if (begin, end) == before:
            break
    return Copy(one, begin + low, end + low, other, begin + low - lag, scale, shift, bool(learned))


def _telling(search: _Search, copy: Copy, bits: float) -> bool:
    """Whether a match is rare enough, holds tested values enough, and is no period."""
    cut, end = int(search.cut[copy.series]), int(search.end[copy.series])
    length, lag = copy.last - copy.first, copy.first - copy.other_first
    tested = copy.last - max(copy.first, cut)
    if copy.learned:
        enough = tested >= min(SHORTEST // 2, end - cut)
    else:  # two tested stretches: the series are one, if most of them is
        enough = length >= max(2 * SHORTEST, min(end, int(search.end[copy.other])) // 2)
    if not enough or (copy.series == copy.other and _periodic(search, copy, lag, cut)):
        return False
    return _surprising(search, copy, bits)


def _periodic(search: _Search, copy: Copy, lag: int, cut: int) -> bool:
    """Whether the series repeats itself at this lag anyway."""
    if any(lag % season == 0 for season in search.seasons):
        return True
    return copy.first < cut and cut - copy.first >= SHORTEST and copy.first <= lag


def _surprising(search: _Search, copy: Copy, enough: float) -> bool:
    """Whether the increments of a stretch tell so many bits to who knows the rest of its series and others.

    Counted by how often each increment occurs, and by how often after the one before, in its place of the
    period, or both (learned outside the stretch, in its series and in all; unseen pairs by the increments
    alone), or by whether it is the one before again: the least of these sums. No increment tells more than
    the nearness that is asked of a match.
    """
    steps, rest, phase = _surroundings(search, copy)
    known = np.isfinite(steps)
    own = len(search.series(copy.series, int(search.end[copy.series]))) - 1
    unit = 1e-6 * float(np.sqrt(np.mean(steps[:own][known[:own]] ** 2))) or 1.0
    _, kind = np.unique(np.round(np.where(known, steps, np.nan) / unit), return_inverse=True)
    inside = np.zeros(len(steps), dtype=bool)
    inside[copy.first : copy.last - 1] = known[copy.first : copy.last - 1]
    rest &= known & ~inside
    here = np.bincount(kind[:own][known[:own]], minlength=int(kind.max()) + 1)
    before = np.r_[-1, kind[:-1]]
    same = kind == before
    again = (same[:own].sum() + 0.5) / (own + 1.0)
    coded = [
        np.log2(here.sum() / here[kind[inside]]),
        np.where(same[inside], -math.log2(again), math.inf),
    ]
    contexts = (np.zeros_like(kind), before, phase, phase * (len(here) + 1) + before)
    least = min(_capped(bits) for bits in coded)
    for learned in (rest & (np.arange(len(steps)) < own), rest):
        if least >= enough:  # else there is no need to ask further
            least = min(least, *(_capped(_coded(kind, context, learned, inside)) for context in contexts))
    return least >= enough


def _capped(bits: Array) -> float:
    return float(np.minimum(bits, -math.log2(_CLOSE)).sum())


def _surroundings(search: _Search, copy: Copy) -> tuple[Array, Mask, Index]:
    """Increments of the copied series and, after them, of some others; which may be learned from; their place
    in the period."""
    others = np.flatnonzero(search.end > 1)
    others = others[(others != copy.series) & (others != copy.other)]
    others = others[:: max(1, len(others) // _SURROUNDING)][:_SURROUNDING]
    parts = [np.diff(search.series(copy.series, int(search.end[copy.series])))]
    parts += [np.diff(search.series(int(each), min(int(search.end[each]), _ELSEWHERE))) for each in others]
    steps = np.concatenate(parts)
    learned = np.ones(len(steps), dtype=bool)
    if copy.other == copy.series:  # where it was taken from tells nothing of it
        learned[copy.other_first : copy.other_first + copy.last - copy.first - 1] = False
    period = search.period(copy.series)[0]
    return steps, learned, np.concatenate([np.arange(len(each)) % period for each in parts])


def _coded(kind: Index, context: Index, learned: Mask, inside: Mask) -> Array:
    """Bits of the increments ``inside``, each by its share after the same context."""
    kinds = int(kind.max()) + 1
    count = np.bincount(kind[learned], minlength=kinds)
    share = (count + 0.5) / (count.sum() + 0.5 * (kinds + 1))
    pairs = context.astype(np.int64) * (kinds + 1) + kind
    seen_pairs, seen = np.sort(pairs[learned]), np.sort(context[learned])

    def times(of: Index, values: Index) -> Index:
        return np.searchsorted(of, values, side="right") - np.searchsorted(of, values, side="left")

    both, alone = times(seen_pairs, pairs[inside]), times(seen, context[inside])
    return np.asarray(-np.log2((both + share[kind[inside]]) / (alone + 1)))
