"""What the forecasts left over: over time, as a histogram, and with itself some steps later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from longspan.report.page import Block, Figure, Row, Section, number
from longspan.report.residuals import (
    autocorrelation,
    autocorrelation_chart,
    residual_histogram,
    residuals_over_time,
)
from longspan.tasks.forecast_report_figures import drawing, narrow_drawing, times_of

if TYPE_CHECKING:
    from longspan.data.panel import Panel
    from longspan.evaluation.backtest import Backtest, Method

__all__ = ["residual_section"]

Array = NDArray[np.float64]

_MOST_LAGS = 60
_MOST_SERIES = 200  # whose residuals are drawn
_LEAST_RESIDUALS = 20  # of which a distribution is drawn


def residual_section(panel: Panel, test: Backtest, model: Method) -> Section | None:
    """What the median left over; None where no value after the test origins is known.

    Args:
        panel: the data. test: the backtest. model: what it forecast from all origins.
    """
    numbers_of = np.unique(test.series[test.tests])
    some = numbers_of[np.unique(np.linspace(0, len(numbers_of) - 1, _MOST_SERIES).astype(np.int64))]
    scaled = len(numbers_of) > 1
    lines = [_timeline(panel, test, model, int(series), scaled=scaled) for series in some]
    times = np.concatenate([each[0] for each in lines])
    values = np.concatenate([each[1] for each in lines])
    if not np.isfinite(values).any():
        return None
    order = np.argsort(times, kind="stable")
    unit = "in units of the MASE scale" if scaled else panel.schema.target
    name = f"actual less forecast, {unit}"
    of = f"{len(some):,} of {len(numbers_of):,} series" if len(some) < len(numbers_of) else "the test origins"
    mean = number(float(np.nanmean(values)))
    body: list[Block] = [
        drawing(
            lambda shape: residuals_over_time(times[order], values[order], name, shape),
            f"Residuals over time, mean {mean}",
            f"Actual value less the median forecast, at the steps of {of}. Good ones lie evenly about zero.",
        ),
    ]
    if np.isfinite(values).sum() >= _LEAST_RESIDUALS:
        body.append(Row([_histogram(values, name, mean), *_correlation(lines, test.season)]))
    return Section("Residuals", body)


def _timeline(
    panel: Panel, test: Backtest, model: Method, series: int, *, scaled: bool
) -> tuple[NDArray[Any], Array]:
    """Residuals of one series, one a step, from the origin that is nearest before it."""
    rows = np.flatnonzero((test.series == series) & test.tests)
    rows = rows[np.argsort(test.origin[rows])]
    first = int(test.origin[rows[0]])
    values = np.full(int(test.origin[rows[-1]]) + test.horizon - first, np.nan)
    for row in rows:
        begin = int(test.origin[row]) - first
        values[begin : begin + test.horizon] = test.actual[row] - model.median[row]
    size = test.scale[rows[0]]
    if scaled:
        values = values / size if np.isfinite(size) and size > 0 else np.full_like(values, np.nan)
    return times_of(panel, series, first, len(values)), values


def _histogram(values: Array, name: str, mean: str) -> Figure:
    return narrow_drawing(
        lambda shape: residual_histogram(values, name, shape),
        f"Histogram of the residuals, mean {mean}",
        "A mean away from zero is a bias.",
    )


def _correlation(lines: Sequence[tuple[NDArray[Any], Array]], season: int) -> list[Figure]:
    """The autocorrelation of the residuals, where there are enough of them."""
    longest = max(len(values) for _, values in lines)
    lags = min(_MOST_LAGS, longest // 2, max(2 * season, 12))
    if lags < 2:
        return []
    table = np.full((len(lines), longest), np.nan)
    for place, (_, values) in enumerate(lines):
        table[place, : len(values)] = values
    found, width = autocorrelation(table, lags)
    if np.isnan(found).all():
        return []
    return [
        narrow_drawing(
            lambda shape: autocorrelation_chart(found, width, season=season, shape=shape),
            f"Autocorrelation of the residuals, {number(float(found[0]))} one step later",
            "Errors of one forecast hang together, so short lags are high by nature; a bar at whole seasons "
            "says that some of the season was left over.",
        )
    ]
