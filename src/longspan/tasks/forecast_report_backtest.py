"""What the report says of the backtest: scores, tests and calibration, on the test origins only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from longspan.evaluation.backtest import Backtest, Method, ScoreRow, by_horizon, ensemble, score_table
from longspan.evaluation.conformal import calibrated_earlier
from longspan.metrics.quantiles import central_coverage
from longspan.report.figures import Score, scores_chart
from longspan.report.page import Block, Cell, Notes, Paragraph, Section, Table, number
from longspan.report.rolling import StepError, coverage_chart, errors_by_step
from longspan.tasks.forecast_report_figures import Shown, drawing, rolling_figure

if TYPE_CHECKING:
    from longspan.data.panel import Panel
    from longspan.evaluation.conformal import Calibration
    from longspan.evaluation.verdict import Comparison, Verdict

__all__ = ["Examined", "backtest_section", "calibration_section"]

Array = NDArray[np.float64]

_HEADS = {"smape": "sMAPE", "rmse": "RMSE", "wql": "WQL"}
_MOST_LINES = 4  # baselines in a chart


@dataclass(frozen=True, eq=False)
class Examined:
    """A backtest with what several sections take from it.

    Attributes:
        own: with the quantiles that the networks gave.
        together: the forecast is the mean of the seeds, else that of one network.
    """

    own: Backtest
    together: bool = False

    @cached_property
    def _earlier(self) -> tuple[Backtest, Calibration | None]:
        return calibrated_earlier(self.own, together=self.together)

    @property
    def calibration(self) -> Calibration | None:
        """What the earlier origins teach; None for point forecasts, and without earlier origins."""
        return self._earlier[1]

    @property
    def mended(self) -> Backtest:
        """With intervals as the forecast has them: calibrated on the earlier origins, where that could be."""
        return self._earlier[0]

    @cached_property
    def changed(self) -> bool:
        """Whether there was enough to calibrate on."""
        return self.calibration is not None and bool(self.calibration.calibrated)

    @cached_property
    def rows(self) -> list[ScoreRow]:
        """The score table."""
        return score_table(self.mended)

    @property
    def ours(self) -> str:
        """Name of the row of the forecast that is given."""
        return "ensemble" if self.together and len(self.own.model) > 1 else "model"

    def shown(self, backtest: Backtest) -> tuple[Method, ...]:
        """The forecast that is given: the mean of the seeds, or what each network says."""
        return (ensemble(backtest.model),) if self.together else backtest.model

    def coverage(self, backtest: Backtest) -> dict[float, float]:
        """Nominal share → share of the known values after the test origins, mean over `shown`."""
        late = backtest.tests
        found = [
            central_coverage(backtest.actual[late], each.quantiles[late], backtest.levels)
            for each in self.shown(backtest)
            if each.quantiles is not None
        ]
        return {share: float(np.mean([each[share] for each in found])) for share in found[0]} if found else {}


def backtest_section(
    panel: Panel, tested: Examined, verdict: Verdict | None, notes: Sequence[str] = ()
) -> Section:
    """How the forecasts of the test origins did, beside the baselines on the same origins."""
    full = [row for row in tested.rows if row.sample is None]
    body: list[Block] = [Paragraph(_how(tested)), *([Notes(notes)] if notes else [])]
    body += [*_pictures(panel, tested, verdict), _bars(tested, full)]
    body += [
        _scores(tested, list(rows), sample)
        for sample, rows in groupby(tested.rows, key=lambda row: row.sample)
    ]
    if tested.own.horizon > 1:
        body.append(_by_step(tested, full))
    if verdict is not None and verdict.comparisons:
        body.append(_significance(verdict))
    return Section("Backtest", body)


def calibration_section(tested: Examined, calibration: Calibration | None) -> Section | None:
    """Nominal against observed coverage, before and after; None for point forecasts."""
    before = tested.coverage(tested.own)
    if not before:
        return None
    after = _calibrated_shares(tested)
    rows: list[list[Cell]] = [
        [_percent(share), _percent(found), _percent(after[share])] for share, found in before.items()
    ]
    known = int(np.isfinite(tested.own.actual[tested.own.tests]).sum())
    words = (
        []
        if tested.calibration is None
        else [f"For this table, from the earlier origins: {tested.calibration.words()}."]
    )
    words += [] if calibration is None else [f"For the forecast, from all origins: {calibration.words()}."]
    nominal, own, mended = list(before), list(before.values()), list(after.values())
    chart = drawing(
        lambda shape: coverage_chart(nominal, own, mended if tested.changed else None, shape),
        "Observed coverage: " + ", ".join(f"the {row[0]} interval holds {number(row[1])}" for row in rows),
        "On the dotted line an interval holds as many values as it says; below the line it is too narrow.",
    )
    table = Table(
        "Share of the values inside each interval; a dash where there was too little to calibrate it.",
        ("interval", "of the network", "calibrated"),
        rows,
    )
    return Section(
        "Calibration",
        [
            Paragraph(
                f"Shares of the {known:,} known values after the test origins; nothing was calibrated on "
                "them. A factor of 2 makes an interval twice as wide."
            ),
            Notes(words),
            chart,
            table,
        ],
    )


def _calibrated_shares(tested: Examined) -> dict[float, float]:
    """Coverage of the intervals that could be calibrated, NaN of the others."""
    factors = {} if tested.calibration is None else tested.calibration.calibrated
    found = tested.coverage(tested.mended)
    return {share: found[share] if share in factors else float("nan") for share in found}


def _how(tested: Examined) -> str:
    """What was done, in numbers."""
    test = tested.own
    tests, early = int(test.tests.sum()), int(test.calibrates.sum())
    count = len(np.unique(test.series))
    series = f" of {count:,} series" if count > 1 else ""
    steps = "step" if test.horizon == 1 else f"{test.horizon:,} steps"
    times = "once" if len(test.model) == 1 else f"{len(test.model)} times, from different seeds,"
    first = (
        f" The {early:,} earlier origins chose the baseline to beat and calibrated the intervals; every "
        f"score and test is of the {tests:,} later ones."
        if early
        else " All of them are scored."
    )
    drawn = (
        "" if tested.together or len(test.model) == 1 else " Pictures and residuals are of the first network."
    )
    return (
        f"From each of {tests + early:,} origins{series} every method forecast the next {steps}, knowing "
        f"only the values before the origin. The network was trained {times} on what lies before them."
        f"{first}{drawn}"
    )


def _pictures(panel: Panel, tested: Examined, verdict: Verdict | None) -> list[Block]:
    """The series that was forecast as well as most, and the one that was forecast worst."""
    test, model = tested.mended, tested.shown(tested.mended)[0]
    rival = _rival(test, verdict)
    line = None if rival is None else test.whole(rival.median, rival.rows)
    shown = Shown(model.median, model.quantiles, line, "" if rival is None else rival.title)
    return [
        rolling_figure(
            panel, test, shown, series, f"{words}: forecasts from the test origins, and what came."
        )
        for series, words in _telling_series(test, model).items()
    ]


def _telling_series(test: Backtest, model: Method) -> dict[int, str]:
    """The only series; or that of the median error and that of the largest, relative to their MASE scales."""
    error = np.abs(test.actual - model.median)
    known = np.isfinite(error) & test.tests[:, None]
    size = np.where(np.isfinite(test.scale) & (test.scale > 0), test.scale, 1.0)
    total = np.where(known, error, 0.0).sum(axis=1) / size
    sums = np.bincount(test.series, total)
    counts = np.bincount(test.series, known.sum(axis=1))
    there = np.flatnonzero(counts)
    if len(there) < 2:
        return {int(series): "The tested part" for series in there}
    order = there[np.argsort(sums[there] / counts[there], kind="stable")]
    typical, worst = int(order[(len(order) - 1) // 2]), int(order[-1])
    return {typical: "A typical series", worst: "The series with the largest error for its scale"}


def _rival(test: Backtest, verdict: Verdict | None) -> Method | None:
    """The baseline to beat."""
    if verdict is None:
        return None
    return next((each for each in test.baselines if each.name == verdict.baseline), None)


def _measure(rows: Sequence[ScoreRow]) -> tuple[str, str]:
    """MASE, or where no series has a scale the mean absolute error: its key and its name."""
    if any(np.isfinite(row.scores["mase"]) for row in rows):
        return "mase", "MASE"
    return "mae", "mean absolute error"


def _bars(tested: Examined, rows: Sequence[ScoreRow]) -> Block:
    key, measure = _measure(rows)
    bars = [
        Score(row.title, row.scores[key], _spread(row, key), ours=row.name == tested.ours) for row in rows
    ]
    what = "Bars: " + ", ".join(f"{row.title} {number(row.scores[key])}" for row in rows)
    seeds = any(bar.spread is not None for bar in bars)
    caption = "Error on the test origins." + (" The whisker is the spread over seeds." if seeds else "")
    return drawing(lambda shape: scores_chart(bars, measure, shape), what, caption)


def _spread(row: ScoreRow, name: str) -> float | None:
    """Over the seeds, where there are several and the score is known."""
    spread = row.spread.get(name)
    return None if spread is None or not np.isfinite(spread) else spread


def _scores(tested: Examined, rows: Sequence[ScoreRow], sample: str | None) -> Table:
    """The rows that were scored on the same values."""
    key, measure = _measure(rows)
    heads = {key: "MAE" if key == "mae" else measure, **_HEADS}
    shares = [
        name
        for name in (f"coverage_{share}" for share in (80, 95))
        if any(name in row.scores for row in rows)
    ]
    on = f"{rows[0].origins:,} test origins" if sample is None else f"{sample}, where the slow methods ran"
    mended = ", of the calibrated intervals," if tested.changed else ""
    return Table(
        f"Scores on {on}; less is better, and coverage{mended} should be what it is called.",
        ("method", *heads.values(), *(f"in {name.removeprefix('coverage_')} %" for name in shares)),
        [
            [
                row.title,
                *(_score(row, name) for name in heads),
                *(_percent(row.scores.get(name)) for name in shares),
            ]
            for row in rows
        ],
        strong=[place for place, row in enumerate(rows) if row.name == tested.ours],
    )


def _score(row: ScoreRow, name: str) -> Cell:
    """Three digits, and what the seeds differ by, to the same place where that shows it."""
    value = row.scores.get(name, float("nan"))
    spread = None if name == "wql" else _spread(row, name)  # small numbers, which would fill the page
    if not np.isfinite(value):
        return None
    text = number(value, 3)
    if spread is None:
        return text
    _, _, decimals = text.partition(".")
    rounded = f"{spread:,.{len(decimals)}f}"
    return f"{text} ± {rounded if float(rounded.replace(',', '')) else number(spread, 1)}"


def _percent(share: float | None) -> str | None:
    if share is None or np.isnan(share):
        return None
    return f"{100 * share:.1f} %".replace(".0 %", " %")


def _by_step(tested: Examined, full: Sequence[ScoreRow]) -> Block:
    """Errors over the steps ahead: the model with the spread of its seeds, and the strongest baselines."""
    key, measure = _measure(full)
    groups = by_horizon(tested.mended)
    ours = next(row for row in full if row.name == tested.ours)
    simple = [row for row in full if row.name not in ("model", "ensemble")]
    simple.sort(key=lambda row: np.nan_to_num(row.scores[key], nan=np.inf))
    lines = []
    for row in [ours, *simple[:_MOST_LINES]]:
        found = [next(each for each in group.rows if each.name == row.name) for group in groups]
        values = np.array([each.scores[key] for each in found])
        spread = np.array([each.spread.get(key, 0.0) for each in found]) if row.spread else None
        lines.append(StepError(row.title, values, spread, ours=row is ours))
    left = len(simple) - _MOST_LINES
    caption = "Error by step ahead."
    if ours.spread:
        caption += " The band is the spread over seeds."
    if left > 0:
        caption += f" {left} weaker {'baseline is' if left == 1 else 'baselines are'} left out here."
    names = [_steps(each.first, each.last) for each in groups]
    what = f"{measure} of {ours.title} by steps ahead: " + ", ".join(
        f"{name} {number(float(value))}" for name, value in zip(names, lines[0].values, strict=True)
    )
    return drawing(lambda shape: errors_by_step(names, lines, measure, shape), what, caption)


def _steps(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first}–{last}"


def _significance(verdict: Verdict) -> Table:
    """The tests behind the verdict: first the whole horizon, which decides, then its parts."""
    tests = sorted({each.test for each in verdict.comparisons if each.test})
    counts = sorted({each.n for each in verdict.comparisons})
    by = (
        f" By {' and '.join(tests)}, n = {' to '.join(f'{n:,}' for n in counts[:: len(counts) - 1 or 1])}."
        if tests
        else ""
    )
    on = f" On {verdict.sample}." if verdict.sample else ""
    return Table(
        f"{verdict.measure} by steps ahead, and its change against {verdict.title}: less than zero where the "
        f"network errs less.{by}{on} Holm's p allows for the number of comparisons.",
        ("steps", "network", verdict.title, "change", "95 % interval", "p", "p, Holm"),
        [_compared(each, place == 0) for place, each in enumerate(verdict.comparisons)],
        strong=(0,),
    )


def _compared(each: Comparison, whole: bool) -> list[Cell]:
    steps = _steps(each.first, each.last)
    return [
        f"all, {steps}" if whole else steps,
        number(each.error, 3),
        number(each.baseline, 3),
        None if each.effect is None else f"{_signed(each.effect)} %",
        None if each.interval is None else f"{' to '.join(map(_signed, each.interval))} %",
        _probability(each.p),
        _probability(each.adjusted),
    ]


def _signed(percent: float) -> str:
    sign = "" if round(percent, 1) == 0 else "+" if percent > 0 else "−"
    return f"{sign}{abs(percent):,.1f}"


def _probability(p: float | None) -> Cell:
    return None if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
