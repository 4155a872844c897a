"""Forecasting as a contest: the last rows of every series test, what lies before them trains and validates.

The design (context, features, anchor, head) is planned once, from the rows before the test part, and is the
same for every encoder; only the encoder and its width differ. Nothing of the test part is seen before it is
forecast, from every origin with the values up to that origin, and nothing is fitted again in between.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from longspan.baselines.table import BASELINES
from longspan.core.errors import DataError, InputError
from longspan.data.panel import Panel
from longspan.data.windows import Windows
from longspan.evaluation.backtest import Method
from longspan.evaluation.scoring import point_scores, quantile_scores
from longspan.metrics.arrays import known_means
from longspan.metrics.point import seasonal_scale
from longspan.models.contest import (
    Contestant,
    Entrant,
    Facts,
    Job,
    SessionPart,
    Simple,
    Units,
    pace_of,
)
from longspan.models.design import build_forecaster
from longspan.models.fitting import Preparation, Recipe, fit_forecaster, prepare
from longspan.models.forecast_split import before_test, windows_in_test
from longspan.models.forecasting import forecast_all
from longspan.models.origins import moments
from longspan.models.rivals import Rivals, run_baselines, select_baselines
from longspan.models.session import Session
from longspan.nn.encoders import Encoder
from longspan.store.stage import Keeper
from longspan.training.loop import Progress

__all__ = ["ForecastContest", "plan_contest"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_TEST_SHARE = 5  # one in so many values of the median series tests
_EARLY = 256  # validation windows by which the strongest baseline is chosen


@dataclass(frozen=True, eq=False)
class ForecastContest:
    """A panel that encoders compete on; made by `plan_contest`.

    Attributes:
        panel: all the data, covariates scaled as in `ready`. ready: what lies before the test part, prepared.
        recipe: how every network is trained. test: rows of each series that test. windows: the origins there.
        names: baselines wanted, None for all that apply. data_sha256: hash of the data.
        notes: what the reader should know of the test part.
    """

    panel: Panel
    ready: Preparation
    recipe: Recipe
    test: int
    windows: Windows
    names: tuple[str, ...] | None
    data_sha256: str
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """``OT, 24 steps ahead``."""
        steps = "1 step" if self.recipe.horizon == 1 else f"{self.recipe.horizon:,} steps"
        return f"{self.ready.panel.schema.target}, {steps} ahead"

    @property
    def measure(self) -> str:
        """MASE, or the mean absolute error where no series has a scale."""
        return "mean absolute error" if np.isnan(self._scale).all() else "MASE"

    @property
    def encoder(self) -> str:
        """The one that the recipe names."""
        return self.ready.design.encoder

    @property
    def width(self) -> int:
        """As the plan made it."""
        return self.ready.design.hidden_size

    @property
    def length(self) -> int:
        """Steps of context."""
        return self.ready.design.context

    @property
    def device(self) -> str:
        """Where networks are trained."""
        return str(self.recipe.device)

    @cached_property
    def units(self) -> Units:
        """One for each origin of the test part, placed by the calendar."""
        series, cut = self._pairs
        return Units.of_origins(series, moments(self.panel, series, cut), self.recipe.horizon)

    def contestant(self, encoder: str, width: int) -> Contestant:
        """The encoder with this width; nothing is allocated."""
        with torch.device("meta"):
            network = build_forecaster(self.ready.design.around(encoder, width))
        own = sum(each.numel() for each in _encoder(network).parameters())
        return Contestant(encoder, width, sum(each.numel() for each in network.parameters()), own)

    def train(self, job: Job, keeper: Keeper | None, progress: Progress | None) -> Entrant:
        """Train on the share, and forecast from every origin of the test part.

        Raises:
            TrainingError, Interrupted: as `train`.
        """
        contestant = job.contestant
        design = self.ready.design.around(contestant.encoder, contestant.width)
        ready = replace(self.ready, design=design, training=self._recent(job.share))
        forecaster, history = fit_forecaster(ready, self.recipe, job.seed, job.budget, keeper, progress)
        began = time.monotonic()
        found = forecast_all(
            forecaster,
            design.features,
            self.windows,
            np.arange(len(self.windows)),
            design.levels,
            nonnegative=design.nonnegative,
            seed=job.seed,
        )
        scores = point_scores(found.actual, found.median, found.mean, self._scale)
        scores |= quantile_scores(found.actual, found.quantiles, found.levels)
        encoder = _encoder(forecaster)
        pace = pace_of(encoder, design.context)
        losses = _losses(found.actual, found.median, self._divisor)
        seconds = history.seconds + time.monotonic() - began
        return Entrant(losses, _shown(scores), history, encoder.span, pace, seconds)

    def baselines(self, share: float, session: Session) -> tuple[tuple[Simple, ...], tuple[str, ...]]:
        """The simple methods on the same origins; of a share below 1 those that learn from the data.

        Ridge learns from the windows that the networks learn from. Methods that are fitted to one series are
        fitted to what lies before the test part; by their errors on the validation part they are fitted once
        more to what lies before that.
        """
        chosen = select_baselines(self.names, self._season)
        wanted = [each.name for each in chosen if share == 1 or each.kind != "window"]
        if not wanted:
            return (), ()
        panel = self.panel if share == 1 else self._forgotten(share)
        ready = replace(self.ready, training=self._recent(share))
        held = self.ready.held.pairs(self._early)
        before, _ = run_baselines(Rivals(panel, ready, *held), wanted, SessionPart.of(session, "early-", 2))
        methods, notes = run_baselines(
            Rivals(panel, ready, *self._pairs), wanted, SessionPart.of(session, "", 2)
        )
        early = {each.name: each for each in before}
        return tuple(self._simple(each, early.get(each.name)) for each in methods), notes

    def facts(self) -> Facts:
        """What is forecast, and what was split where."""
        ready, panel = self.ready, self.panel
        count, each = len(self.windows), " of each series" if len(panel) > 1 else ""
        before = ready.panel.observed[ready.panel.observed > 0]
        pairs = (
            ("series", f"{len(panel):,}" if len(panel) > 1 else "one"),
            ("values", f"{int(panel.observed.sum()):,}, {panel.frequency}"),
            ("trained on", f"{len(ready.training):,} windows before the validation part"),
            ("validated on", f"{ready.validation:,} values{each} before the test part: when to stop"),
            ("tested on", f"the last {self.test:,} values{each}: {count:,} origins, {self._apart}"),
            ("each window", f"{self.length:,} steps of context, {self.recipe.horizon:,} to forecast"),
            ("around each encoder", self._around()),
            ("known at the first origin", f"{int(np.median(before)):,} values"),
        )
        return Facts(pairs, (*ready.panel.notes, *self.notes), self._cut())

    def _around(self) -> str:
        """What every network has besides its encoder."""
        design = self.ready.design
        start = f"the value {design.anchor:,} steps before" if design.anchor else "the last value"
        found = f"starts from {start}; a decoder of {design.decoding} forecasts, {design.head} head"
        if not design.shortcut:
            return found
        return (
            f"{found}; a linear map of the last {design.shortcut:,} steps, begun as ridge regression: the "
            "encoder adds to it (--no-shortcut leaves it out)"
        )

    @property
    def _apart(self) -> str:
        stride = self.windows.stride
        return "at every step" if stride == 1 else f"{stride:,} steps apart"

    @property
    def _season(self) -> int:
        return next(iter(self.ready.panel.schema.seasons), 1)

    @cached_property
    def _pairs(self) -> tuple[Index, Index]:
        return self.windows.pairs(np.arange(len(self.windows)))

    @cached_property
    def _early(self) -> Index:
        """Numbers of the validation windows that choose among the baselines."""
        numbers = self.ready.numbers
        return numbers[np.unique(np.linspace(0, len(numbers) - 1, _EARLY).astype(np.int64))]

    @cached_property
    def _scales(self) -> Array:
        """(N,) the scale of MASE of each series, from the rows before its test part."""
        ends = np.maximum(self.panel.observed - self.test, 0).tolist()
        return np.array(
            [seasonal_scale(self.panel.values(n)[:end], self._season) for n, end in enumerate(ends)]
        )

    @property
    def _scale(self) -> Array:
        return self._scales[self._pairs[0]]

    @property
    def _divisor(self) -> Array:
        """(n,) what absolute errors are divided by; all 1 where no series has a scale."""
        scale = self._scale
        return np.ones(len(scale)) if np.isnan(scale).all() else scale

    def _recent(self, share: float) -> Windows:
        """The most recent share of the training windows of every series, one of each at least."""
        whole = self.ready.training
        if share == 1:
            return whole
        count = np.ceil(share * (whole.last_cut - whole.first_cut + 1)).astype(np.int64)
        first = np.maximum(whole.last_cut - np.maximum(count, 1) + 1, whole.first_cut)
        return Windows(self.ready.panel, whole.context, whole.horizon, first, whole.last_cut, whole.stride)

    def _forgotten(self, share: float) -> Panel:
        """All the data without the values that no training window of the share reads."""
        target = self.panel.target.copy()
        begin = np.maximum(self._recent(share).first_cut - self.ready.training.context, 0)
        for series, first in enumerate(self.panel.offsets[:-1].tolist()):
            target[first : first + min(int(begin[series]), int(self.panel.observed[series]))] = np.nan
        return replace(self.panel, target=target)

    def _simple(self, method: Method, before: Method | None) -> Simple:
        """A method as a contestant: on the origins of the test part, and on those of the validation part."""
        actual = self.windows.gather(*self._pairs).future
        median = _everywhere(method, actual)
        held = self.ready.held.gather(*self.ready.held.pairs(self._early))
        divisor = np.ones(len(held.cut)) if np.isnan(self._scale).all() else self._scales[held.series]
        there = np.asarray(~np.isnan(median).any(axis=1))
        known = np.where(there[:, None], actual, np.nan)
        filled = np.where(there[:, None], median, 0.0)
        return Simple(
            method.name,
            method.title,
            _losses(actual, median, self._divisor),
            _losses(held.future, _everywhere(before, held.future), divisor),
            _shown(point_scores(known, filled, filled, self._scale)),
            method.seconds,
            learned=BASELINES[method.name].kind != "window",
        )

    def _cut(self) -> tuple[str, ...]:
        """What was cut or padded before any encoder saw it."""
        _, cut = self._pairs
        reach, horizon = self.ready.design.features.reach, self.recipe.horizon
        short = int((cut < reach).sum())
        found = []
        if short:
            found.append(
                f"{short:,} of {len(cut):,} windows of the test part begin before their series does: the "
                f"steps before it, of {reach:,}, are marked as missing"
            )
        training = self.ready.training
        if int((training.first_cut < reach).sum()):
            found.append("training windows that begin before their series does are marked as missing there")
        if self.windows.excluded:
            found.append(
                f"{self.windows.excluded:,} windows of the test part are left out: nothing is known of the "
                f"{horizon:,} steps after them, or of the {reach:,} before"
            )
        return tuple(found)


def plan_contest(
    panel: Panel,
    recipe: Recipe,
    sha256: str,
    *,
    test: int | None = None,
    stride: int | None = None,
    baselines: Sequence[str] | None = None,
    find_seasons: bool = True,
    seed: int = 0,
) -> ForecastContest:
    """Split the data and plan the design.

    Args:
        panel: as it was read. recipe: how every network is trained. sha256: hash of the data.
        test: last values of each series that test; None takes a fifth of the median series, at least the
            horizon.
        stride: steps between two origins; None forecasts from every step, or from as many as make 8,192
            origins of all series.
        baselines: names, None for all that apply. find_seasons: again in what lies before the test part.
        seed: of the sample of series, where there are too many.

    Raises:
        DataError: too little is left to learn from, or nothing to test on.
        InputError: as `prepare`; a test part that no forecast fits into.
    """
    horizon, median = recipe.horizon, int(np.median(panel.observed))
    rows = max(horizon, median // _TEST_SHARE) if test is None else test
    if rows < horizon:
        raise InputError(f"test: expected at least the horizon, {horizon:,} values, got {rows:,}")
    before = before_test(panel, rows, seasons=find_seasons)
    try:
        ready = prepare(before, recipe)
    except DataError as error:
        raise DataError(
            f"the last {rows:,} values of each series are kept to test on, and what lies before them cannot "
            f"be learned from: {error} A smaller --test leaves more",
            column=panel.schema.target,
        ) from None
    except InputError as error:
        raise InputError(f"before the test part, the last {rows:,} values of each series: {error}") from None
    full = replace(ready.panel, target=panel.target, observed=panel.observed)
    windows, notes = windows_in_test(full, ready.design.features.reach, horizon, rows, stride, seed)
    select_baselines(baselines, next(iter(ready.panel.schema.seasons), 1))
    names = None if baselines is None else tuple(baselines)
    return ForecastContest(full, ready, recipe, rows, windows, names, sha256, notes)


def _everywhere(method: Method | None, like: Array) -> Array:
    """The forecasts (n, H) of a method, NaN where it gave none."""
    found = np.full(like.shape, np.nan)
    if method is not None:
        found[slice(None) if method.rows is None else method.rows] = method.median
    return found


def _losses(actual: Array, median: Array, divisor: Array) -> Array:
    """(n,) the mean absolute error of each origin over its known steps, divided; NaN where none is known or
    a step was not forecast."""
    return np.asarray(known_means(np.abs(actual - median), ~np.isnan(actual)) / divisor)


def _shown(scores: dict[str, float]) -> dict[str, float]:
    """The scores that stand beside the loss, by the names that people read."""
    names = {"rmse": "RMSE", "smape": "sMAPE", "wql": "weighted quantile loss"}
    return {title: scores[name] for name, title in names.items() if name in scores}


def _encoder(forecaster: Any) -> Encoder:
    return cast(Encoder, forecaster.encoder)
