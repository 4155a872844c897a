"""The simple methods that a forecaster has to beat, run on the origins of its backtest.

Those that run on a window read the whole history up to the origin. A linear map is learned from training
windows before the backtest part. Methods that are fitted to one series take long: they run on a seeded sample
of the series, fitted once before its first origin and then only given the later values.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from longspan.baselines.base import Baseline, Kind, SeriesForecast, Unsuited
from longspan.baselines.sampling import measured_sample, sample_order
from longspan.baselines.table import BASELINES, applicable
from longspan.core.errors import InputError
from longspan.data.panel import Panel
from longspan.evaluation.backtest import Method
from longspan.models.fitting import Preparation
from longspan.models.session import Session
from longspan.store.stage import Result, Stage

__all__ = ["Rivals", "run_baselines", "select_baselines"]

Array = NDArray[np.float64]
_AT_ONCE = 1 << 22  # numbers of histories side by side
_LEARNED_FROM = 1 << 14  # training windows, at most; a quarter where time is limited
_LEAST_SERIES = 30  # that slow baselines run on; without a time budget as many
_LEAST_SECONDS = 0.2  # of all slow baselines on one series: where not even that fits, none is tried


@dataclass(frozen=True, eq=False)
class Rivals:
    """Where baselines run.

    Attributes:
        panel: all the data. ready: the part before the backtest, prepared.
        series, origin: int64 (n,), the origins.
    """

    panel: Panel
    ready: Preparation
    series: NDArray[np.int64]
    origin: NDArray[np.int64]

    @property
    def season(self) -> int:
        """Steps of the main season; 1 for none."""
        return next(iter(self.ready.panel.schema.seasons), 1)

    @property
    def horizon(self) -> int:
        """H."""
        return self.ready.design.horizon

    def histories(self, places: NDArray[np.int64]) -> Array:
        """(m, longest) the values before these origins, ending together, NaN before a series begins."""
        longest = int(self.origin[places].max())
        past = np.full((len(places), longest), np.nan)
        for row, place in enumerate(places.tolist()):
            known = int(self.origin[place])
            past[row, longest - known :] = self.panel.values(int(self.series[place]))[:known]
        return past


def select_baselines(names: Sequence[str] | None, season: int) -> tuple[Baseline, ...]:
    """Those of the names that apply at this season, in the order of the table; all that apply where None.

    Raises:
        InputError: a name that is not in the table.
    """
    unknown = [name for name in names or () if name not in BASELINES]
    if unknown:
        raise InputError(f"baselines: expected names among {', '.join(BASELINES)}, got {unknown[0]!r}")
    every = applicable(season, get_args(Kind))
    return tuple(each for each in every if names is None or each.name in names)


def run_baselines(
    rivals: Rivals, names: Sequence[str] | None, session: Session
) -> tuple[list[Method], tuple[str, ...]]:
    """One method each, in the order of the table, and notes: what was left out, and why.

    The fast ones are a stage each, the slow ones one stage together, since they share their sample.
    """
    chosen = select_baselines(names, rivals.season)
    methods: dict[str, Method] = {}
    notes: list[str] = []
    for each in chosen:
        if each.kind == "series":
            continue
        most = _LEARNED_FROM if session.budget.total is None else _LEARNED_FROM // 4
        record, arrays = session.stage(f"baseline-{each.name}", partial(_run_fast, each, rivals, most))
        if record["reason"]:
            notes.append(f"{each.title} left out: {record['reason']}")
        else:
            values = arrays["forecast"]
            methods[each.name] = Method(each.name, each.title, values, values, None, None, record["seconds"])
    slow = [each for each in chosen if each.kind == "series"]
    if slow:
        session.say(f"backtest: {', '.join(each.title for each in slow)}")
        record, arrays = session.stage("baselines-of-series", partial(_run_slow, slow, rivals, session))
        notes += record["notes"]
        for each in slow:
            if each.name in arrays:
                values, rows = arrays[each.name], arrays["rows"]
                every = None if len(rows) == len(rivals.series) else rows
                cost = record["each"][each.name]
                methods[each.name] = Method(each.name, each.title, values, values, None, every, cost)
    return [methods[each.name] for each in chosen if each.name in methods], tuple(notes)


def _run_fast(baseline: Baseline, rivals: Rivals, most: int, _: Stage | None) -> Result:
    began, reason = time.monotonic(), ""
    parts: list[Array] = []
    try:
        ready = _learned(baseline, rivals, most)
        longest = int(rivals.origin.max())
        step = max(1, _AT_ONCE // longest)
        for first in range(0, len(rivals.series), step):
            places = np.arange(first, min(first + step, len(rivals.series)))
            parts.append(ready.run(rivals.histories(places), rivals.horizon, rivals.season))
    except InputError as error:
        if baseline.kind == "window":  # only what is learned may have nothing to learn from
            raise
        reason = str(error)
    arrays = {} if reason else {"forecast": np.concatenate(parts)}
    return {"seconds": time.monotonic() - began, "reason": reason}, arrays


def _learned(baseline: Baseline, rivals: Rivals, most: int) -> Baseline:
    """The baseline, learned from at most so many windows of the part that the network learns from."""
    if baseline.kind != "learned":
        return baseline
    windows, reach = rivals.ready.training, rivals.ready.design.features.reach
    count = min(len(windows), most, max(1, 2 * _AT_ONCE // (reach + rivals.horizon)))
    numbers = np.unique(np.linspace(0, len(windows) - 1, count).astype(np.int64))
    batch = windows.gather(*windows.pairs(numbers))
    return baseline.fitted(batch.past, batch.future, rivals.season)


def _run_slow(baselines: Sequence[Baseline], rivals: Rivals, session: Session, _: Stage | None) -> Result:
    """Every slow baseline on the same sample of series; rows of series that one cannot forecast are NaN."""
    began = time.monotonic()
    slow = _OnSeries(baselines, rivals)
    sample = _sample(slow, session)
    if sample is None:
        titles = " and ".join(each.title for each in baselines)
        note = f"{titles} left out: on enough series they would take more than their share of the time budget"
        return {"seconds": time.monotonic() - began, "notes": [note], "each": {}}, {}
    rows = np.flatnonzero(np.isin(rivals.series, slow.series[sample]))
    arrays: dict[str, NDArray[np.generic]] = {"rows": rows.astype(np.int64)}
    notes: list[str] = []
    for each in baselines:
        found = {int(slow.series[number]): slow.done[number][each.name] for number in sample.tolist()}
        values = _gathered(found, rivals, rows)
        notes += _unsuited(each, found)
        if not np.isnan(values).all():
            arrays[each.name] = values
    return {"seconds": time.monotonic() - began, "notes": notes, "each": slow.seconds}, arrays


class _OnSeries:
    """Slow baselines on one series after the other, each series once.

    Attributes:
        series: numbers of the series that have origins; `run` counts in these.
        done: place in `series` → name → forecasts from all origins of that series, or why there are none.
        seconds: name → what it has taken. last: what the last series took.
    """

    def __init__(self, baselines: Sequence[Baseline], rivals: Rivals) -> None:
        self.baselines, self.rivals = baselines, rivals
        self.series = np.unique(rivals.series)
        self.done: dict[int, dict[str, SeriesForecast | str]] = {}
        self.seconds = {each.name: 0.0 for each in baselines}
        self.last = 0.0

    def run(self, number: int) -> None:
        """Forecast one series, if that is not done."""
        if number in self.done:
            return
        began, rivals, series = time.monotonic(), self.rivals, int(self.series[number])
        origins = np.sort(rivals.origin[rivals.series == series])
        found: dict[str, SeriesForecast | str] = {}
        for each in self.baselines:
            start = time.monotonic()
            found[each.name] = _forecast_series(each, rivals, series, origins)
            self.seconds[each.name] += time.monotonic() - start
        self.done[number], self.last = found, time.monotonic() - began

    def run_all(self, numbers: NDArray[np.int64], share: float | None = None) -> None:
        """Forecast one series after the other; from the 31st on only while less than the share is spent."""
        for place, number in enumerate(numbers.tolist()):
            if share is not None and place >= _LEAST_SERIES and sum(self.seconds.values()) >= share:
                return
            self.run(number)


def _forecast_series(
    baseline: Baseline, rivals: Rivals, series: int, origins: NDArray[np.int64]
) -> SeriesForecast | str:
    if baseline.over_origins is None:
        raise InputError(f"{baseline.name}: expected a baseline that is fitted to one series")
    try:
        return baseline.over_origins(rivals.panel.values(series), origins, rivals.horizon, rivals.season)
    except Unsuited as error:
        return str(error)


def _sample(slow: _OnSeries, session: Session) -> NDArray[np.int64] | None:
    """Places of the series, increasing, that the baselines have run on: a seeded sample, at least 30 or all.

    None where 30 (or all) would take twice their share of the budget.
    """
    count, share = len(slow.series), session.budget.slow()
    order = sample_order(count, session.seed)
    if share is None:  # the same series in every run
        slow.run_all(order[:_LEAST_SERIES])
        return np.sort(order[:_LEAST_SERIES])
    if min(count, _LEAST_SERIES) * _LEAST_SECONDS > 2 * share:
        return None
    sample = measured_sample(count, slow.run, session.budget.total, session.seed, _LEAST_SERIES)
    slow.run(int(order[0]))
    if len(slow.done) < len(sample) and len(sample) * slow.last > 2 * share:
        return None
    # The measured series may have been quick ones, so the share is watched as well.
    slow.run_all(order[: len(sample)], share)
    return np.sort(np.array(list(slow.done), dtype=np.int64))


def _gathered(found: dict[int, SeriesForecast | str], rivals: Rivals, rows: NDArray[np.int64]) -> Array:
    """(m, H) in the order of the rows."""
    values = np.full((len(rows), rivals.horizon), np.nan)
    for series, forecast in found.items():
        if isinstance(forecast, str):
            continue
        places = np.flatnonzero(rivals.series[rows] == series)
        values[places[np.argsort(rivals.origin[rows][places], kind="stable")]] = forecast.values
    return values


def _unsuited(baseline: Baseline, found: dict[int, SeriesForecast | str]) -> list[str]:
    reasons = [each for each in found.values() if isinstance(each, str)]
    if not reasons:
        return []
    which = "" if len(found) == 1 else f" of {len(reasons):,} of {len(found):,} series, the first since"
    return [f"{baseline.title}: no forecast{which}{':' if len(found) == 1 else ''} {reasons[0]}"]
