"""The model against one baseline: which one, by how much, and whether that is more than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from longspan.core.seeds import derive
from longspan.evaluation.backtest import Backtest, Method, common, ensemble
from longspan.evaluation.paired import paired_test
from longspan.metrics.arrays import known_means
from longspan.metrics.significance import Test, holm

__all__ = ["Comparison", "Losses", "adjusted", "compare", "losses_of", "lower", "strongest"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


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
    places, tests = losses.places[name][:, part], losses.backtest.tests
    ours, theirs = (known_means(each[:, part], places) for each in (losses.model, losses.baselines[name]))
    units = losses.backtest.units(last)
    found, test = paired_test(units, ours - theirs, derive(seed, "bootstrap", first, last), tests)
    late = [np.where(tests, each, np.nan) for each in (ours, theirs)]
    many = units.are_many(late[0])
    return _comparison(steps, [units.means(each, many=many) for each in late], found, test)


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
