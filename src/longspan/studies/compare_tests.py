"""Is one contestant better than another? Paired tests over the units of the test part, and over the seeds.

A difference between two networks has two sources of chance: which units were tested, and which seeds were
trained. The units are tested as a backtest's are (`longspan.evaluation.paired`): few groups by the
Diebold-Mariano test over places in time, many by the paired bootstrap over groups, with what the groups share
in time. The variance over the seeds is then added, since other seeds would have given other networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from longspan.evaluation.paired import Units, paired_test
from longspan.metrics.significance import Test, holm

__all__ = ["LEVEL", "Duel", "adjust", "duel", "mean_loss", "strongest", "with_seeds"]

Array = NDArray[np.float64]

LEVEL = 0.05
_CONFIDENCE = 0.975
_MOST_DEGREES = 1e6


@dataclass(frozen=True)
class Duel:
    """One contestant against another, on the units that both answered.

    Args:
        one, other: names. loss, against: their mean losses there; NaN of no unit.
        effect: how much the loss of ``one`` differs, in %, negative where it is lower; None where that of
            ``other`` is zero or nothing is known.
        interval: of the effect, 95 %, the loss of ``other`` taken as known; None where there is none.
        p, adjusted: two-sided, and adjusted by Holm over all duels of the comparison; None without a test.
        n: units or groups compared. test: its name; where there is none, the reason why.
    """

    one: str
    other: str
    loss: float
    against: float
    effect: float | None
    interval: tuple[float, float] | None
    p: float | None
    adjusted: float | None
    n: int
    test: str

    @property
    def better(self) -> bool:
        """``one`` has the lower loss, beyond chance."""
        return self._clear and self.loss < self.against

    @property
    def worse(self) -> bool:
        """``one`` has the higher loss, beyond chance."""
        return self._clear and self.loss > self.against

    @property
    def _clear(self) -> bool:
        return self.adjusted is not None and self.adjusted < LEVEL

    def to_json(self) -> dict[str, Any]:
        """As JSON, None where a number is not finite."""
        found = asdict(self)
        for name in ("loss", "against"):
            found[name] = found[name] if math.isfinite(found[name]) else None
        return found | {"interval": None if self.interval is None else list(self.interval)}


def duel(
    units: Units, one: tuple[str, Sequence[Array]], other: tuple[str, Sequence[Array]], seed: int = 0
) -> Duel:
    """Test the mean losses of two contestants, p not yet adjusted.

    Args:
        units: what the losses are of.
        one, other: name, and losses (n,) of each seed, NaN where unknown; a single array of what has no seed.
        seed: of the bootstrap's draws.
    """
    means = [np.mean(np.stack(list(losses)), axis=0) for _, losses in (one, other)]
    known = ~np.isnan(means[0]) & ~np.isnan(means[1])

    def shared(losses: Array) -> float:
        return mean_loss(units, np.where(known, losses, np.nan))

    loss, against = (shared(each) for each in means)
    found, test = paired_test(units, np.where(known, means[0] - means[1], np.nan), seed)
    exact = not against > 0
    effect = None if exact else 100 * (loss / against - 1)
    if found is None or math.isnan(found.p):
        reason = test if found is None else "there are too few units"
        return Duel(one[0], other[0], loss, against, effect, None, None, None, int(known.sum()), reason)
    found = with_seeds(found, *([shared(each) for each in losses] for _, losses in (one, other)))
    interval = None
    if not exact and all(map(math.isfinite, found.interval)):
        interval = (100 * found.interval[0] / against, 100 * found.interval[1] / against)
    return Duel(one[0], other[0], loss, against, effect, interval, found.p, None, found.n, test)


def mean_loss(units: Units, losses: Array) -> float:
    """The mean of losses (n,) that is tested: over groups of each group's mean, or of few groups over places
    of what they have in the mean there. NaN where nothing is known."""
    found = units.means(losses, many=units.are_many(losses))
    known = found[~np.isnan(found)]
    return float(known.mean()) if len(known) else math.nan


def adjust(duels: Sequence[Duel]) -> tuple[Duel, ...]:
    """The duels with p adjusted by Holm over all that were tested."""
    p = holm([math.nan if each.p is None else each.p for each in duels]) if duels else ()
    return tuple(
        replace(each, adjusted=None if math.isnan(value) else float(value))
        for each, value in zip(duels, p, strict=True)
    )


def with_seeds(test: Test, one: Sequence[float], other: Sequence[float]) -> Test:
    """A paired test over units, with the variance over seeds added: the result for seeds not yet drawn.

    The variance of the difference is that of the test plus s²/k of each side, s² the variance of its mean
    losses over k seeds; a side of one seed adds nothing that can be known. Student's t has the degrees of
    freedom of Welch and Satterthwaite, where those of the test are read from the width of its interval. p is
    never below that of the test.

    Args:
        test: of the mean over seeds. one, other: mean loss of each seed.

    Sources: Welch, "The generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34 (1947); Satterthwaite, Biometrics Bulletin 2 (1946).
    """
    parts = [
        (float(np.var(each, ddof=1)) / len(each), len(each) - 1.0) for each in (one, other) if len(each) > 1
    ]
    added = sum(variance for variance, _ in parts)
    low, high = test.interval
    if not added > 0 or not math.isfinite(high - low):
        return test
    mean, half = (low + high) / 2, (high - low) / 2
    error = abs(mean / test.statistic) if math.isfinite(test.statistic) and test.statistic != 0 else 0.0
    if error > 0:
        parts.append((error**2, _degrees(half / error)))
    variance = sum(each for each, _ in parts)
    degrees = variance**2 / sum(each**2 / free for each, free in parts)
    wide = math.sqrt(variance)
    p = min(1.0, max(test.p, 2 * float(stdtr(degrees, -abs(mean) / wide))))
    reach = max(half, wide * float(stdtrit(degrees, _CONFIDENCE)))
    return Test(p, mean / wide, test.n, (mean - reach, mean + reach))


def strongest(losses: Sequence[Array]) -> int | None:
    """The place of the method with the lowest mean loss; None where none answered anything.

    They meet in the order of how much they answered, each against the best so far on what both answered, so
    that one which answered a sample is compared on that sample.
    """
    order = sorted(range(len(losses)), key=lambda place: (-int((~np.isnan(losses[place])).sum()), place))
    champion: int | None = None
    for place in order:
        if np.isnan(losses[place]).all():
            continue
        if champion is None:
            champion = place
            continue
        both = ~np.isnan(losses[place]) & ~np.isnan(losses[champion])
        if both.any() and losses[place][both].mean() < losses[champion][both].mean():
            champion = place
    return champion


def _degrees(quantile: float) -> float:
    """The degrees of freedom at which Student's t has this quantile at 97.5 %."""
    if quantile <= float(stdtrit(_MOST_DEGREES, _CONFIDENCE)):
        return _MOST_DEGREES
    if quantile >= float(stdtrit(1.0, _CONFIDENCE)):
        return 1.0
    return float(brentq(lambda free: float(stdtrit(free, _CONFIDENCE)) - quantile, 1.0, _MOST_DEGREES))
