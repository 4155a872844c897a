"""A rolling-origin backtest as plain arrays: which origins, what came, what was forecast, and its scores.

The earlier origins *calibrate* (`longspan.evaluation.conformal`, and the choice of the baseline to beat); the
later ones *test*. Scores and tests are of the test origins only. Methods are compared where all of them
forecast: one that ran on a sample of the series is scored on that sample, and the model once more beside it.

Source of the design: Tashman, "Out-of-sample tests of forecasting accuracy: an analysis and review",
International Journal of Forecasting 16 (2000): rolling origin, fixed model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.core.errors import InputError
from longspan.evaluation.paired import Units, from_the_end
from longspan.evaluation.scoring import point_scores, quantile_scores

__all__ = [
    "Backtest",
    "HorizonScores",
    "Method",
    "ScoreRow",
    "by_horizon",
    "common",
    "ensemble",
    "horizon_groups",
    "sample_words",
    "score_table",
]

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Method:
    """One way of forecasting, on the m origins of ``rows``; NaN where it gave no forecast.

    Args:
        name: key, unique among the methods it is compared with.
        title: what people read, as it stands in a sentence: ``seasonal naive``.
        median: (m, H) in the user's units.
        mean: (m, H); a point forecast is its own median and mean.
        quantiles: (m, H, L) at the backtest's levels, or None for a point forecast.
        rows: int64 (m,), which origins of the backtest, increasing; None for all of them.
        seconds: what it took, training and forecasting.
    """

    name: str
    title: str
    median: Array
    mean: Array
    quantiles: Array | None
    rows: Numbers | None
    seconds: float

    def __post_init__(self) -> None:
        if self.median.ndim != 2 or self.mean.shape != self.median.shape:
            raise InputError(
                f"Method {self.name!r}: expected median and mean of one shape (m, H), "
                f"got {self.median.shape} and {self.mean.shape}"
            )
        if self.quantiles is not None and self.quantiles.shape[:-1] != self.median.shape:
            raise InputError(
                f"Method {self.name!r}: expected quantiles of shape (m, H, L) with (m, H) = "
                f"{self.median.shape}, got {self.quantiles.shape}"
            )
        if self.rows is not None and (
            self.rows.shape != (len(self.median),) or (np.diff(self.rows) <= 0).any()
        ):
            raise InputError(
                f"Method {self.name!r}: expected rows of shape ({len(self.median)},), increasing, "
                f"got {self.rows.shape}: {self.rows.tolist()[:8]}"
            )


@dataclass(frozen=True, eq=False)
class Backtest:
    """What was forecast from each of n origins, and what came.

    Args:
        series: int64 (n,), number of the series.
        origin: int64 (n,), rows of that series known at the forecast.
        actual: (n, H), NaN where unknown.
        scale: (n,), scale of MASE from rows before the backtest part only; NaN where there is none.
        calibrates: bool (n,), True for the earlier origins, on which nothing is scored.
        season: steps of one season; 1 for none.
        levels: of the quantiles, increasing.
        model: the same model trained with different seeds, one method a seed; at least one.
        baselines: what it has to beat; may be empty.
        moment: int64 (n,), the step of a calendar that all series share on which each origin lies; None where
            there is no calendar: then series are taken to end together, at their last origins.
    """

    series: Numbers
    origin: Numbers
    actual: Array
    scale: Array
    calibrates: Mask
    season: int
    levels: tuple[float, ...]
    model: tuple[Method, ...]
    baselines: tuple[Method, ...]
    moment: Numbers | None = None

    def __post_init__(self) -> None:
        if self.actual.ndim != 2:
            raise InputError(f"Backtest: expected actual of shape (n, H), got {self.actual.shape}")
        for name in ("series", "origin", "scale", "calibrates", "moment"):
            shape = np.shape(getattr(self, name))
            if shape != (len(self.actual),) and (name, shape) != ("moment", ()):
                raise InputError(f"Backtest: expected {name} of shape ({len(self.actual)},), got {shape}")
        if not self.model:
            raise InputError("Backtest: expected at least one method in model, one for each seed, got none")
        names = [each.name for each in self.baselines]
        if len(set(names)) != len(names):
            raise InputError(f"Backtest: expected baselines of different names, got {names}")
        for each in (*self.model, *self.baselines):
            self._check(each)

    @property
    def horizon(self) -> int:
        """Steps ahead, H."""
        return int(self.actual.shape[1])

    @property
    def tests(self) -> Mask:
        """bool (n,): the later origins, which are scored."""
        return ~self.calibrates

    @property
    def blocks(self) -> Numbers:
        """int64 (n,): origins with the same number may share values, since they lie less than H rows apart.

        Origins of one series, in order, are cut into stretches that begin at least H rows apart.
        """
        order = np.lexsort((self.origin, self.series))
        result = np.empty(len(order), dtype=np.int64)
        number, before = -1, (-1, 0)
        for row in order:
            series, origin = int(self.series[row]), int(self.origin[row])
            if number < 0 or series != before[0] or origin - before[1] >= self.horizon:
                number, before = number + 1, (series, origin)
            result[row] = number
        return result

    def units(self, reach: int | None = None) -> Units:
        """The origins by series and time; ``reach``: steps ahead that count, None for the whole horizon."""
        moment = from_the_end(self.series, self.origin) if self.moment is None else self.moment
        return Units.of_origins(self.series, moment, reach or self.horizon)

    def whole(self, values: Array, rows: Numbers | None) -> Array:
        """The values (m, …) of the origins ``rows`` as (n, …), NaN at every other origin."""
        if rows is None:
            return values
        result = np.full((len(self.actual), *values.shape[1:]), np.nan)
        result[rows] = values
        return result

    def steps(self, first: int, last: int) -> Backtest:
        """The same backtest of the steps ``first`` to ``last`` ahead, counted from 1, both included."""
        if not 1 <= first <= last <= self.horizon:
            raise InputError(f"steps: expected 1 <= first <= last <= {self.horizon}, got {first} to {last}")
        part = slice(first - 1, last)
        return replace(
            self,
            actual=self.actual[:, part],
            model=tuple(_steps(each, part) for each in self.model),
            baselines=tuple(_steps(each, part) for each in self.baselines),
        )

    def _check(self, method: Method) -> None:
        n, H = self.actual.shape
        rows = n if method.rows is None else len(method.rows)
        if method.median.shape != (rows, H):
            raise InputError(
                f"Backtest: expected {method.name!r} of shape {(rows, H)}, got {method.median.shape}"
            )
        if method.quantiles is not None and method.quantiles.shape[-1] != len(self.levels):
            raise InputError(
                f"Backtest: expected {method.name!r} at {len(self.levels)} levels, {self.levels}, "
                f"got {method.quantiles.shape[-1]}"
            )
        if method.rows is not None and len(method.rows) and not 0 <= method.rows[0] <= method.rows[-1] < n:
            raise InputError(
                f"Backtest: expected rows of {method.name!r} in 0 to {n - 1}, "
                f"got {method.rows[0]} to {method.rows[-1]}"
            )


@dataclass(frozen=True)
class ScoreRow:
    """One line of the score table, of the test origins.

    Args:
        name: of the method; the model's rows are named ``model`` and ``ensemble``.
        title: what people read.
        scores: by name (mase, smape, mae, rmse, mse, and of quantile forecasts wql, coverage_80 …); NaN where
            undefined. Of several seeds: the mean of the seeds' scores.
        spread: standard deviation of each score over the seeds (n - 1 in the divisor); empty of one seed.
        origins: test origins with at least one value that counts.
        series: different series among them.
        sample: None where every method is compared, else what this row and the model's row of the same words
            were both scored on: ``30 of 414 series``.
        seconds: what the method took on all its origins; of several seeds the mean.
    """

    name: str
    title: str
    scores: dict[str, float]
    spread: dict[str, float]
    origins: int
    series: int
    sample: str | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As JSON, None where a score is not a number."""
        record = {each.name: getattr(self, each.name) for each in fields(self)}
        return record | {"scores": _json(self.scores), "spread": _json(self.spread)}


@dataclass(frozen=True)
class HorizonScores:
    """The score table of the steps ``first`` to ``last`` ahead, counted from 1, both included."""

    first: int
    last: int
    rows: tuple[ScoreRow, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {"first": self.first, "last": self.last, "rows": [each.to_json() for each in self.rows]}


def ensemble(methods: Sequence[Method], *, name: str = "ensemble", title: str | None = None) -> Method:
    """The methods as one: the mean of their quantiles at each level, of their medians and of their means.

    Averaging quantiles keeps the shape and the width of the members, where pooling their densities widens.

    Args:
        methods: on the same origins, all with quantiles or none.
        name: key of the result.
        title: what people read; by default that of the first, and how many they are.

    Source: Lichtendahl, Grushka-Cockayne and Winkler, "Is it better to average probabilities or quantiles?",
    Management Science 59 (2013).
    """
    if not methods:
        raise InputError("ensemble: expected at least one method, got none")
    first = methods[0]
    for each in methods[1:]:
        if not _alike(first, each):
            raise InputError(
                f"ensemble: expected methods of one shape on the same origins, got {first.name!r} "
                f"{first.median.shape} and {each.name!r} {each.median.shape}"
            )
    quantiles = [each.quantiles for each in methods if each.quantiles is not None]
    if len(quantiles) not in (0, len(methods)):
        raise InputError(
            f"ensemble: expected quantiles of all methods or of none, got {len(quantiles)} of {len(methods)}"
        )
    return Method(
        name,
        title or (f"{first.title}, mean of {len(methods)} seeds" if len(methods) > 1 else first.title),
        np.mean([each.median for each in methods], axis=0),
        np.mean([each.mean for each in methods], axis=0),
        np.mean(quantiles, axis=0) if quantiles else None,
        first.rows,
        sum(each.seconds for each in methods),
    )


def score_table(backtest: Backtest) -> list[ScoreRow]:
    """Scores on the test origins: the model, the ensemble of its seeds, then the baselines in their order.

    A baseline that does not forecast every value comes last, after the model's scores on the same values.
    """
    tests = backtest.tests[:, None]
    known = common(backtest, ()) & tests
    places = {each.name: common(backtest, (each,)) & tests for each in backtest.baselines}
    full = [each for each in backtest.baselines if np.array_equal(places[each.name], known)]
    rows = _model_rows(backtest, known, None)
    rows += [_row(backtest, (each,), each.name, each.title, known, None) for each in full]
    last = known
    for each in backtest.baselines:
        if each in full:
            continue
        here = places[each.name]
        sample = sample_words(backtest, here, known)
        if not np.array_equal(here, last):
            rows += _model_rows(backtest, here, sample)
        rows.append(_row(backtest, (each,), each.name, each.title, here, sample))
        last = here
    return rows


def by_horizon(backtest: Backtest) -> list[HorizonScores]:
    """The score table of every group of steps ahead (`horizon_groups`)."""
    groups = horizon_groups(backtest.horizon)
    return [HorizonScores(a, b, tuple(score_table(backtest.steps(a, b)))) for a, b in groups]


def horizon_groups(horizon: int, most: int = 8) -> tuple[tuple[int, int], ...]:
    """The steps 1 to ``horizon`` in at most ``most`` groups of nearly equal length: (first, last) of each.

    >>> horizon_groups(10, most=3)
    ((1, 3), (4, 6), (7, 10))
    """
    count = min(horizon, most)
    edges = [horizon * k // count for k in range(count + 1)]
    return tuple((a + 1, b) for a, b in pairwise(edges))


def common(backtest: Backtest, methods: Sequence[Method]) -> Mask:
    """bool (n, H): where the value is known, and every seed of the model and all of the methods forecast.

    Only NaN is "no forecast": an infinite forecast counts, and the scores refuse it.
    """
    found = ~np.isnan(backtest.actual)
    for each in (*backtest.model, *methods):
        found &= ~np.isnan(backtest.whole(each.median, each.rows))
    return found


def _model_rows(backtest: Backtest, places: Mask, sample: str | None) -> list[ScoreRow]:
    seeds = backtest.model
    rows = [_row(backtest, seeds, "model", seeds[0].title, places, sample)]
    if len(seeds) > 1:
        both = ensemble(seeds)
        rows.append(_row(backtest, (both,), both.name, both.title, places, sample))
    return rows


def _row(
    backtest: Backtest, methods: Sequence[Method], name: str, title: str, places: Mask, sample: str | None
) -> ScoreRow:
    """One row, of the places: the mean over the methods (seeds) of each score, and its spread."""
    origins = np.asarray(places.any(axis=1))
    actual = np.where(places, backtest.actual, np.nan)[origins]
    found = [_scores(backtest, each, actual, origins) for each in methods]
    table = {key: np.array([each[key] for each in found]) for key in found[0]}
    return ScoreRow(
        name,
        title,
        {key: float(each.mean()) for key, each in table.items()},
        {key: float(each.std(ddof=1)) for key, each in table.items()} if len(found) > 1 else {},
        int(origins.sum()),
        len(np.unique(backtest.series[origins])),
        sample,
        float(np.mean([each.seconds for each in methods])),
    )


def _scores(backtest: Backtest, method: Method, actual: Array, origins: Mask) -> dict[str, float]:
    median, mean = (backtest.whole(each, method.rows)[origins] for each in (method.median, method.mean))
    scores = point_scores(actual, median, mean, backtest.scale[origins])
    if method.quantiles is not None:
        quantiles = backtest.whole(method.quantiles, method.rows)[origins]
        scores |= quantile_scores(actual, quantiles, backtest.levels)
    return scores


def sample_words(backtest: Backtest, places: Mask, known: Mask) -> str:
    """What share of the test part the places are: in series where those differ, else origins, else values."""
    counts = [
        [len(np.unique(backtest.series[each.any(axis=1)])) for each in (places, known)],
        [int(each.any(axis=1).sum()) for each in (places, known)],
        [int(each.sum()) for each in (places, known)],
    ]
    for (part, whole), noun in zip(counts, ("series", "origins", "values"), strict=True):
        if part != whole:
            return f"{part:,} of {whole:,} {noun}"
    return f"{counts[2][0]:,} values"


def _alike(a: Method, b: Method) -> bool:
    rows = a.rows is b.rows or (a.rows is not None and b.rows is not None and np.array_equal(a.rows, b.rows))
    return rows and a.median.shape == b.median.shape


def _steps(method: Method, part: slice) -> Method:
    quantiles = None if method.quantiles is None else method.quantiles[:, part]
    return replace(method, median=method.median[:, part], mean=method.mean[:, part], quantiles=quantiles)


def _json(scores: dict[str, float]) -> dict[str, float | None]:
    return {key: value if np.isfinite(value) else None for key, value in scores.items()}
