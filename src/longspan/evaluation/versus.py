"""The model against one baseline: which one, by how much, and whether that is more than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from longspan.core.seeds import derive
from longspan.evaluation.backtest import Backtest, Method, common, ensemble
from longspan.metrics.significance import Test, diebold_mariano, holm, paired_bootstrap, shared_shocks

__all__ = ["Comparison", "Losses", "adjusted", "compare", "losses_of", "lower", "strongest"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST_ORIGINS = 8  # of the Diebold–Mariano test
LEAST_SERIES = 5  # of the bootstrap over series


@dataclass(frozen=True)
class Comparison:
    """The model against the baseline to beat, over the steps ``first`` to ``last`` ahead, counted from 1.

    Args:
        first, last: both included.
        error, baseline: mean loss of each on the test origins (of several series: of the series' means), in
            the verdict's measure; NaN of no value.
        effect: relative change of the error in %, negative where the model errs less; None where the baseline
            is exact, or nothing is known.
        interval: of the effect, 95 %, the baseline's error taken as known; None where there is none.
        p, adjusted: two-sided, and adjusted by Holm over all comparisons; None where nothing can be tested.
        n: origins or series that were compared.
        test: its name; empty where p is None.
        reason: why nothing can be tested, where p is None; ends a sentence.
    """

    first: int
    last: int
    error: float
    baseline: float
    effect: float | None
    interval: tuple[float, float] | None
    p: float | None
    adjusted: float | None
    n: int
    test: str
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Losses:
    """Absolute errors (n, H) in one measure, and where each baseline is compared with the model.

    Args:
        backtest: whose they are.
        model: of the ensemble, or the mean of the seeds' losses.
        baselines: by name.
        places: bool (n, H) by name of baseline: known, forecast by both, and with a scale where it needs one.
        measure: MASE, or mean absolute error.
    """

    backtest: Backtest
    model: Array
    baselines: dict[str, Array]
    places: dict[str, Mask]
    measure: str

    def tested(self, name: str) -> Mask:
        """bool (n, H): where the baseline of this name is compared on the test origins."""
        return self.places[name] & self.backtest.tests[:, None]


def losses_of(backtest: Backtest, *, together: bool) -> Losses:
    """Absolute errors of the medians over the scale of MASE; unscaled where no series has a scale.

    Args:
        backtest: with the model's seeds and the baselines.
        together: the model is the ensemble of its seeds; else a seed, and its loss is the mean of theirs.
    """
    scaled = not np.isnan(backtest.scale).all()
    divisor = backtest.scale[:, None] if scaled else np.ones((len(backtest.actual), 1))

    def loss(method: Method) -> Array:
        return np.asarray(np.abs(backtest.actual - backtest.whole(method.median, method.rows)) / divisor)

    seeds = (ensemble(backtest.model),) if together else backtest.model
    return Losses(
        backtest,
        np.mean([loss(each) for each in seeds], axis=0),
        {each.name: loss(each) for each in backtest.baselines},
        {each.name: common(backtest, (each,)) & ~np.isnan(divisor) for each in backtest.baselines},
        "MASE" if scaled else "mean absolute error",
    )


def strongest(losses: Losses) -> tuple[Method | None, int]:
    """The baseline to beat, and among how many it was chosen *on the test origins*: 1 where it was not.

    They meet in the order of how much they forecast, each against the best so far, on the values that both
    forecast from the calibrating origins; the lower mean loss stays. Where no origin calibrates they meet on
    the test origins, and p has to be multiplied by their number.
    """
    backtest = losses.backtest
    rivals = [each for each in backtest.baselines if losses.tested(each.name).any()]
    rivals.sort(key=lambda each: -int(losses.places[each.name].sum()))
    early = backtest.calibrates[:, None]
    if not any((losses.places[each.name] & early).any() for each in rivals):
        return _best(losses, rivals, backtest.tests[:, None]), max(1, len(rivals))
    # One that is untried on the earlier origins cannot be chosen before one that was tried.
    tried = [each for each in rivals if (losses.places[each.name] & early).any()]
    return _best(losses, tried, early), 1


def lower(losses: Losses, chosen: Method) -> Method | None:
    """The baseline that errs least among those with a lower error than the model on the test origins.

    ``chosen``, the baseline to beat, is left out: it has its own test.
    """
    found = []
    for each in losses.backtest.baselines:
        places = losses.tested(each.name)
        if each is not chosen and places.any():
            ours, theirs = losses.model[places].mean(), losses.baselines[each.name][places].mean()
            if theirs < ours:
                found.append((float(theirs / ours), each))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def compare(losses: Losses, name: str, steps: tuple[int, int], seed: int) -> Comparison:
    """The model against the baseline of this name over the steps (first, last), p not yet adjusted."""
    first, last = steps
    part = slice(first - 1, last)
    places = losses.places[name][:, part]
    means = [_origin_means(each[:, part], places) for each in (losses.model, losses.baselines[name])]
    early, late = (
        _table(losses.backtest, means, which) for which in (losses.backtest.calibrates, losses.backtest.tests)
    )
    reach = math.ceil(last / _stride(losses.backtest))
    series = int((~np.isnan(late[0])).any(axis=1).sum())
    if series < LEAST_SERIES:
        units = [_means(each.T) for each in late]
        found, test = _over_origins(units, reach)
    else:
        units = [_means(each) for each in late]
        found, test = _over_series(early, late, units, reach, derive(seed, "bootstrap", first, last))
    return _comparison(steps, units, found, test)


def adjusted(found: Sequence[Comparison], choices: int) -> tuple[Comparison, ...]:
    """With p times ``choices`` (at most 1), adjusted by Holm over all the comparisons that were tested."""
    p = np.array([math.nan if each.p is None else min(1.0, choices * each.p) for each in found])
    return tuple(
        replace(each, adjusted=None if math.isnan(value) else float(value))
        for each, value in zip(found, holm(p), strict=True)
    )


def _best(losses: Losses, rivals: Sequence[Method], on: Mask) -> Method | None:
    champion: Method | None = None
    for each in rivals:
        if champion is None:
            champion = each
            continue
        both = losses.places[champion.name] & losses.places[each.name] & on
        if (
            both.any()
            and losses.baselines[each.name][both].mean() < losses.baselines[champion.name][both].mean()
        ):
            champion = each
    return champion


def _comparison(steps: tuple[int, int], units: Sequence[Array], found: Test | None, test: str) -> Comparison:
    """The record of a test of units: losses of the model and of the baseline, by origin or by series.

    ``test`` is its name, or the reason why there is none.
    """
    known = ~np.isnan(units[0])
    n = int(known.sum())
    error, baseline = (float(each[known].mean()) if n else math.nan for each in units)
    exact = not baseline > 0
    effect = None if exact else 100 * (error / baseline - 1)
    interval = None
    if found is not None and not exact and all(math.isfinite(each) for each in found.interval):
        interval = (100 * found.interval[0] / baseline, 100 * found.interval[1] / baseline)
    if found is None:
        return Comparison(*steps, error, baseline, effect, interval, None, None, n, "", reason=test)
    return Comparison(*steps, error, baseline, effect, interval, found.p, None, n, test)


def _over_origins(units: Sequence[Array], reach: int) -> tuple[Test | None, str]:
    """The test of losses (K,) at the test origins and its name, or None and why there is none."""
    n = int((~np.isnan(units[0])).sum())
    if n < LEAST_ORIGINS:
        return None, f"there {_count(n, 'test origin')}, and the test needs {LEAST_ORIGINS}"
    if n < reach:
        return None, f"the {n} test origins overlap: together they span less than one forecast"
    return diebold_mariano(units[0], units[1], reach), "Diebold–Mariano over origins"


def _over_series(
    early: Sequence[Array], late: Sequence[Array], units: Sequence[Array], reach: int, seed: int
) -> tuple[Test | None, str]:
    """The bootstrap of losses (N,) or, if its p is larger, the test that sees what series share in time.

    Args:
        early, late: losses (N, K) of the model and the baseline at the calibrating and the test origins.
        units: the means of ``late`` over origins.
    """
    boot = paired_bootstrap(units[0] - units[1], seed)
    if np.count_nonzero(~np.isnan(late[0]).all(axis=0)) >= LEAST_ORIGINS:
        found, why = _over_origins([_means(each.T) for each in late], reach)
        test = f"{why}, of the mean over series"
        if found is None:
            return None, why
    else:
        both = np.concatenate([early[0] - early[1], late[0] - late[1]], axis=1)
        tested = np.arange(both.shape[1]) >= early[0].shape[1]
        found, test = shared_shocks(both, tested, reach), "t test over series, with what origins share"
        if math.isnan(found.p):
            return None, "there is one origin, where what all series share cannot be told from skill"
    return (found, test) if found.p > boot.p else (boot, "paired bootstrap over series")


def _origin_means(losses: Array, places: Mask) -> Array:
    """(n,): the mean loss of each origin over its places; NaN where it has none."""
    total, count = np.where(places, losses, 0.0).sum(axis=1), places.sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(len(losses), np.nan), where=count > 0))


def _means(values: Array) -> Array:
    """The mean of each row over what is known of it; NaN where nothing is."""
    return _origin_means(values, ~np.isnan(values))


def _table(backtest: Backtest, values: Sequence[Array], which: Mask) -> list[Array]:
    """Values (n,) of the origins ``which`` as (N, K): a row a series, oldest first, aligned at the last."""
    rows = np.flatnonzero(which)
    rows = rows[np.lexsort((-backtest.origin[rows], backtest.series[rows]))]
    numbers, place = np.unique(backtest.series, return_inverse=True)
    series = place[rows]
    starts = np.flatnonzero(np.diff(series, prepend=-1))
    rank = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows)))
    size = int(rank.max(initial=-1)) + 1
    found = []
    for each in values:
        table = np.full((len(numbers), size), np.nan)
        table[series, size - 1 - rank] = each[rows]
        found.append(table)
    return found


def _stride(backtest: Backtest) -> int:
    """The least distance between two test origins of a series; one horizon where there is no second."""
    rows = np.flatnonzero(backtest.tests)
    rows = rows[np.lexsort((backtest.origin[rows], backtest.series[rows]))]
    same = np.diff(backtest.series[rows]) == 0
    steps = np.diff(backtest.origin[rows])[same]
    return max(1, int(steps.min())) if len(steps) else backtest.horizon


def _count(n: int, noun: str) -> str:
    return f"is {n} {noun}" if n == 1 else f"are {n} {noun}s"
