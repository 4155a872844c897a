"""Conformal calibration: intervals made wider or narrower until they cover what they covered in the past.

Scores are distances from the median in half-widths of the interval, so a row's own scale cancels; they are
divided by a scale of their step ahead and pooled over steps, origins and series.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from longspan.core.errors import InputError
from longspan.evaluation.backtest import Backtest, Method, ensemble
from longspan.evaluation.paired import Units
from longspan.metrics.arrays import actual_values, increasing_levels, known_means
from longspan.metrics.quantiles import central_pairs
from longspan.metrics.shared import shared_variance

__all__ = [
    "Calibration",
    "apply",
    "calibrate",
    "calibrated",
    "calibrated_earlier",
    "calibration_of",
    "needed",
]

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

# A step's own scale counts as much as the scale of all steps when so many origins speak for it.
_ORIGINS_OF_EQUAL_WEIGHT = 10
_REFERENCE = 0.8  # the interval whose scores tell the steps' scales and the number of scores
_CHANCE = 0.05  # p from which on sizes that origins seem to share are taken for chance
_TIE = 1e-9
_NO_WIDTH = 1e-12  # of the distance from the median: a half-width below it says as little as none


@dataclass(frozen=True)
class Calibration:
    """How the intervals of a forecaster are to be scaled about its median.

    Args:
        scale: (H,) what the half-widths at each step are multiplied with first; 1 where the steps are alike.
        factors: nominal share of a central interval → what its half-widths are multiplied with then, narrow
            first; None where nothing can be said. Where n is less than `needed`, the interval is not
            calibrated, and the factor only widens.
        n: scores that count as exchangeable: the pooled scores divided by their design effect, because the
            scores of one origin are alike, and those of all series at one time. At most the number of known
            values.
    """

    scale: tuple[float, ...]
    factors: Mapping[float, float | None]
    n: int

    @property
    def calibrated(self) -> dict[float, float]:
        """The factors of those intervals that n scores suffice for."""
        return {
            nominal: factor
            for nominal, factor in self.factors.items()
            if factor is not None and self.n >= needed(nominal)
        }

    def words(self) -> str:
        """What was calibrated on how many scores, for the report."""
        if not self.factors:
            return "not calibrated: no two quantile levels form a central interval"
        known = self.calibrated
        left = ", ".join(self._left(each) for each in self.factors if each not in known)
        if not known:
            return f"not calibrated, n = {self.n:,} ({left})"
        done = ", ".join(f"{_percent(each)} × {factor:.3g}" for each, factor in known.items())
        widest = max(known)
        follow = any(each > widest and not self._widens(each) for each in self.factors)
        wider = f", widened with {_percent(widest)}" if follow and max(self.scale) * known[widest] > 1 else ""
        return f"calibrated, n = {self.n:,}: {done}" + (f"; not calibrated: {left}{wider}" if left else "")

    def _left(self, nominal: float) -> str:
        """Why an interval is not calibrated, and by what it is widened all the same."""
        if self.n >= needed(nominal):
            return f"{_percent(nominal)} has values outside intervals without width"
        wider = f", widened × {self.factors[nominal]:.3g}" if self._widens(nominal) else ""
        return f"{_percent(nominal)} needs {needed(nominal)}{wider}"

    def _widens(self, nominal: float) -> bool:
        """Whether the factor of an interval that is not calibrated is the one that widens it."""
        own, known = self.factors[nominal], self.calibrated
        return own is not None and own > max(1 / max(self.scale), known[max(known)] if known else 0.0)

    def to_json(self) -> dict[str, Any]:
        """As JSON; `from_json` gives the same record back."""
        factors = [{"nominal": nominal, "factor": factor} for nominal, factor in self.factors.items()]
        return {"scale": list(self.scale), "factors": factors, "n": self.n}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Calibration:
        """The calibration that `to_json` wrote; refuses what it cannot have written."""
        try:
            scale = tuple(float(each) for each in record["scale"])
            factors = {
                float(each["nominal"]): None if each["factor"] is None else float(each["factor"])
                for each in record["factors"]
            }
            n = int(record["n"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"calibration: expected scale, factors (nominal, factor) and n, got {record!r:.200}"
            ) from error
        numbers = [*scale, *(each for each in factors.values() if each is not None)]
        if not all(math.isfinite(each) and each >= 0 for each in numbers):
            raise InputError(f"calibration: expected scales and factors of zero or above, got {numbers}")
        if list(factors) != sorted(factors) or not all(0 < each < 1 for each in factors):
            raise InputError(
                f"calibration: expected increasing nominal shares inside (0, 1), got {list(factors)}"
            )
        return cls(scale, factors, n)


def needed(nominal: float) -> int:
    """Scores without which an interval is not calibrated: 9 at 80 %, 39 at 95 %.

    So many make the outermost score on either side mark a tail of (1 - nominal) / 2.
    """
    return math.ceil(2 / (1 - nominal) - _TIE) - 1


def calibrate(
    actual: ArrayLike,
    quantiles: ArrayLike,
    levels: Sequence[float],
    groups: Numbers | None = None,
    units: Units | None = None,
) -> Calibration:
    """The scales and factors with which the central intervals would have covered their nominal shares.

    The score of a value is max((m - y) / (m - lo), (y - m) / (hi - m)), with the median m and the ends of the
    interval: conformalised quantile regression, scaled by the forecast's own width. The factor of an interval
    is the quantile of its scores at ceil((n + 1) · nominal) / n, which covers at least the nominal share if n
    scores and the next one are exchangeable. Scores of one origin share its luck, so n is not their number
    but that number over Kish's design effect 1 + (m - 1) ρ, with m scores in a group and the intraclass
    correlation ρ of their ranks.

    What all series share at one time counts once a time: of the variance of a score, the part ρ that is the
    correlation of two series' scores there. It shows in the sizes of the scores, where it is beyond chance,
    and in their signs: of normal errors with correlation ρ, sizes have about ρ². One time tells nothing.

    Args:
        actual: (n, H), NaN where unknown.
        quantiles: (n, H, L), or (S, n, H, L) of S seeds whose scores are pooled; n counts one seed's. A row
            with a NaN at a step has no forecast there.
        levels: (L,), increasing.
        groups: int64 (n,), rows with one number depend on each other (`Backtest.blocks`); by default every
            row is its own group.
        units: n, of which series and when each row is (`Backtest.units`); by default nothing is shared.

    Sources: Romano, Patterson and Candès, "Conformalized quantile regression", NeurIPS 2019; the scaled score
    of Sesia and Candès, "A comparison of some conformal quantile regression methods", Stat 9 (2020), 2.2; the
    design effect of Kish, "Survey Sampling" (1965), 5.4.
    """
    taus = increasing_levels(levels, "calibrate")
    y, _ = actual_values(actual, "calibrate")
    q = np.asarray(quantiles, dtype=np.float64)
    q = q[None] if q.ndim == 3 else q
    if q.ndim != 4 or q.shape[1:] != (*y.shape, len(taus)):
        raise InputError(
            f"calibrate: expected quantiles of shape (n, H, L) = {(*y.shape, len(taus))}, or (S, n, H, L), "
            f"got {np.shape(quantiles)}"
        )
    blocks = np.arange(len(y)) if groups is None else np.asarray(groups)
    if blocks.shape != (len(y),):
        raise InputError(f"calibrate: expected groups of shape ({len(y)},), got {blocks.shape}")
    if units is not None and len(units) != len(y):
        raise InputError(f"calibrate: expected {len(y)} units, one a row, got {len(units)}")
    pairs = central_pairs(taus)
    if not pairs:
        return Calibration((1.0,) * y.shape[1], {}, 0)
    middle = _middle(q, taus)
    scores = {nominal: _scores(y, middle, q, *pair) for nominal, pair in pairs.items()}
    reference = scores[min(pairs, key=lambda nominal: abs(nominal - _REFERENCE))]
    scale = _step_scales(reference, blocks)
    n, alone = _exchangeable(reference / scale, np.sign(y - middle), blocks, units)
    return Calibration(
        tuple(scale.tolist()),
        {nominal: _factor(each / scale, nominal, n, alone) for nominal, each in scores.items()},
        n,
    )


def apply(calibration: Calibration, quantiles: ArrayLike, levels: Sequence[float]) -> Array:
    """The quantiles (…, H, L), their distances from the median scaled; in order if they were.

    A level between two intervals with a factor takes the one between theirs, one inside the narrowest takes
    that one's. One outside the widest calibrated interval is stretched with that one at least, since a
    forecast that is too sure of the one is too sure of the other, but never drawn in. A quantile that a wider
    one has overtaken is moved out to it. Values below zero are not cut off here.
    """
    taus = increasing_levels(levels, "apply")
    q = np.asarray(quantiles, dtype=np.float64)
    H = len(calibration.scale)
    if q.ndim < 2 or q.shape[-2:] != (H, len(taus)):
        raise InputError(f"apply: expected quantiles of shape (…, {H}, {len(taus)}), got {q.shape}")
    known = {nominal: factor for nominal, factor in calibration.factors.items() if factor is not None}
    if not known:
        return q.copy()
    middle = _middle(q, taus)[..., None]
    nominal = np.abs(2 * taus - 1)
    factors = np.interp(nominal, list(known), list(known.values()))
    sure = calibration.calibrated
    outside = nominal > max(sure, default=0.0) + _TIE
    if sure:
        factors[outside] = np.maximum(factors[outside], sure[max(sure)])
    stretch = np.array(calibration.scale)[:, None] * factors  # (H, L)
    stretch[:, outside] = np.maximum(stretch[:, outside], 1.0)
    stretch[:, nominal <= _TIE] = 1.0
    result = middle + (q - middle) * stretch
    upper = taus >= 0.5
    result[..., upper] = np.maximum.accumulate(result[..., upper], axis=-1)
    result[..., ~upper] = np.minimum.accumulate(result[..., ~upper][..., ::-1], axis=-1)[..., ::-1]
    return np.asarray(result)


def calibration_of(backtest: Backtest, *, every: bool, together: bool) -> Calibration:
    """The calibration learned from the model's forecasts in a backtest.

    Args:
        backtest: its model has quantiles.
        every: learn from all origins, for the final model; else from those that calibrate, for scoring the
            rest.
        together: the forecast is the ensemble of the seeds; else that of one seed, and the scores of all
        seeds
            are pooled.
    """
    methods = (ensemble(backtest.model),) if together else backtest.model
    quantiles = [backtest.whole(each.quantiles, each.rows) for each in methods if each.quantiles is not None]
    if len(quantiles) < len(methods):
        raise InputError("calibration_of: expected quantiles of every seed of the model, got point forecasts")
    rows = np.ones(len(backtest.actual), dtype=bool) if every else backtest.calibrates
    values = np.stack(quantiles)[:, rows]
    units = backtest.units().take(rows)
    return calibrate(backtest.actual[rows], values, backtest.levels, backtest.blocks[rows], units)


def calibrated_earlier(backtest: Backtest, *, together: bool) -> tuple[Backtest, Calibration | None]:
    """The backtest with intervals as a forecast has them: calibrated on the earlier origins.

    Returns:
        The backtest and what calibrated it; as it was, and None, for point forecasts and where no origin
        calibrates.
    """
    if not backtest.calibrates.any() or any(each.quantiles is None for each in backtest.model):
        return backtest, None
    found = calibration_of(backtest, every=False, together=together)
    return calibrated(backtest, found), found


def calibrated(backtest: Backtest, calibration: Calibration) -> Backtest:
    """The backtest with the quantiles of its model calibrated; medians, means and baselines are left."""
    return replace(backtest, model=tuple(_calibrated(each, calibration, backtest) for each in backtest.model))


def _calibrated(method: Method, calibration: Calibration, backtest: Backtest) -> Method:
    if method.quantiles is None:
        return method
    return replace(method, quantiles=apply(calibration, method.quantiles, backtest.levels))


def _middle(q: Array, taus: Array) -> Array:
    """(…) the quantile at 0.5: between its neighbours where that is no level, the nearest if outside."""
    above = int(np.searchsorted(taus, 0.5 - _TIE))
    if above in (0, len(taus)) or abs(taus[above] - 0.5) <= _TIE:
        return np.asarray(q[..., min(above, len(taus) - 1)])
    share = (0.5 - taus[above - 1]) / (taus[above] - taus[above - 1])
    return np.asarray((1 - share) * q[..., above - 1] + share * q[..., above])


def _scores(y: Array, middle: Array, q: Array, low: int, high: int) -> Array:
    """(S, n, H): distance from the median in half-widths; NaN where unknown, infinite outside next to no
    width.
    """
    away = y - middle
    half = np.where(away < 0, middle - q[..., low], q[..., high] - middle)
    missing = np.isnan(away) | np.isnan(half)
    outside = np.where(missing, np.nan, np.where(away == 0, 0.0, np.inf))
    wide = half > _NO_WIDTH * np.abs(away)
    return np.divide(np.abs(away), half, out=outside, where=~missing & wide)


def _step_scales(scores: Array, blocks: Numbers) -> Array:
    """(H,): the mean score of each step over that of all, drawn towards 1 where few origins speak for it."""
    usable = np.isfinite(scores)
    count = usable.sum(axis=(0, 1))
    total = np.where(usable, scores, 0.0).sum(axis=(0, 1))
    result = np.ones(scores.shape[2])
    if total.sum() == 0:
        return result
    known = total > 0
    origins = np.array([len(np.unique(blocks[each])) for each in np.asarray(usable.any(axis=0)).T])
    weight = origins / (origins + _ORIGINS_OF_EQUAL_WEIGHT)
    share = total[known] / count[known] / (total.sum() / count.sum())
    result[known] = share ** weight[known]
    return result


def _exchangeable(scores: Array, signs: Array, blocks: Numbers, units: Units | None) -> tuple[int, int]:
    """How many independent scores those of a seed, of (S, n, H), are worth; and if series share nothing."""
    alone = min(_of_blocks(each, blocks) for each in scores)
    if units is None or not alone:
        return alone, alone
    return min(_of_times(alone, *each, units) for each in zip(scores, signs, strict=True)), alone


def _of_blocks(scores: Array, blocks: Numbers) -> int:
    """How many independent scores the known ones (n, H) are worth, by the intraclass correlation of ranks."""
    known = ~np.isnan(scores)
    if not known.any():
        return 0
    ranks = _ranks(scores[known])
    _, group, size = np.unique(blocks[np.nonzero(known)[0]], return_inverse=True, return_counts=True)
    N, k = len(ranks), len(size)
    if k == N:
        return N
    if k == 1:
        return 1  # one origin: that its scores differ from each other says nothing about the next
    means = np.bincount(group, ranks) / size
    between = float((size * (means - ranks.mean()) ** 2).sum()) / (k - 1)
    within = float(((ranks - means[group]) ** 2).sum()) / (N - k)
    if between <= within:
        return N
    spread = float((size.astype(np.float64) ** 2).sum())
    typical = (N - spread / N) / (k - 1)
    correlation = (between - within) / (between + (typical - 1) * within)
    return max(1, int(N / (1 + (spread / N - 1) * correlation)))


def _of_times(alone: int, scores: Array, signs: Array, units: Units) -> int:
    """How many of the scores (n, H), as many as ``alone`` if series share nothing, count as independent."""
    known = ~np.isnan(scores)
    rows = known.any(axis=1)
    cells = np.bincount(units.place, known.sum(axis=1)) / known.sum()

    def shared(values: Array) -> tuple[float, float]:
        """The share of the variance of values (n, H) that is of their times, and p of none being so."""
        ranks = np.full(scores.shape, np.nan)
        ranks[known] = ndtri((_ranks(values[known]) - 0.5) / known.sum())
        found = shared_variance(known_means(ranks)[rows], units.group[rows], units.place[rows])
        whole = float(np.nanvar(ranks))
        return (0.0, 1.0) if not whole > 0 or math.isnan(found.p) else (found.variance / whole, found.p)

    size, p = shared(scores)
    signed, _ = shared(np.copysign(scores, signs))
    correlation = min(1.0, max(size if p < _CHANCE else 0.0, signed**2))
    times = max(1.0, 1 / (units.reach * float(cells @ cells)))
    return min(alone, int(1 / ((1 - correlation) / alone + correlation / times) + _TIE))


def _ranks(values: Array) -> Array:
    """Ranks from 1; equal values share the middle of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])


def _factor(scores: Array, nominal: float, n: int, alone: int) -> float | None:
    """The quantile of the pooled scores with the correction for n. Where n does not suffice, but would if
    nothing were shared in time, that with the correction for so many, which may only widen; else None."""
    count = n if n >= needed(nominal) else alone
    if count < needed(nominal):
        return None
    pooled = np.sort(scores[~np.isnan(scores)])
    share = min(1.0, math.ceil((count + 1) * nominal - _TIE) / count)
    factor = float(pooled[max(0, math.ceil(share * len(pooled) - _TIE) - 1)])
    return factor if math.isfinite(factor) else None


def _percent(nominal: float) -> str:
    return f"{100 * nominal:g} %"
