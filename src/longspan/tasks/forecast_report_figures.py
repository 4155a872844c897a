"""The drawings of a forecaster's report, from its panel and what was forecast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from longspan.data.results import is_row_number
from longspan.metrics.quantiles import central_pairs
from longspan.report.figures import Fan, forecast_fan
from longspan.report.page import Block, Figure, Row
from longspan.report.rolling import Origin, Rolling, rolling_chart
from longspan.report.svg import svg_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from longspan.data.panel import Panel
    from longspan.evaluation.backtest import Backtest
    from longspan.models.forecasting import Forecasts

__all__ = ["Shown", "drawing", "fans", "narrow_drawing", "rolling_figure", "times_of"]

_SHOWN = 4  # series
_MOST_DRAWN = 400  # steps of the tested part; more is a solid band


@dataclass(frozen=True, eq=False)
class Shown:
    """What is drawn over the tested part: (n, H) and (n, H, L) over n origins; None where there is none."""

    median: NDArray[np.float64]
    quantiles: NDArray[np.float64] | None = None
    baseline: NDArray[np.float64] | None = None
    title: str = ""


def drawing(draw: Callable[[Any], Drawing], what: str, caption: str) -> Figure:
    """A figure in both shapes; ``what`` tells those who do not see it."""
    return Figure(svg_text(draw("wide"), what), caption, svg_text(draw("narrow"), what))


def narrow_drawing(draw: Callable[[Any], Drawing], what: str, caption: str) -> Figure:
    """A figure in the narrow shape alone, to stand beside another."""
    return Figure(svg_text(draw("narrow"), what), caption)


def times_of(panel: Panel, series: int, first: int, count: int) -> NDArray[Any]:
    """Times of rows of a series, as the charts take them: datetime64, or row numbers from 1."""
    stamps = panel.stamps(series, first, count)
    dated = panel.frequency.unit != "row" and panel.schema.time is not None
    return stamps.astype("datetime64[us]") if dated else stamps + int(is_row_number(panel))


def fans(
    panel: Panel,
    found: Forecasts,
    caption: str,
    lines: Callable[[NDArray[np.float64]], Mapping[str, Any]] | None = None,
) -> list[Block]:
    """One fan for a single series, up to four side by side for many.

    Args:
        panel: where the windows were cut. found: one window a series.
        caption: what is shown.
        lines: past (reach,) → title and (H,) of what the forecast is compared with.
    """
    places = np.unique(np.linspace(0, len(found.mean) - 1, _SHOWN).astype(np.int64))
    drawn = []
    for place in places.tolist():
        fan = _fan(panel, found, place, {} if lines is None else lines(found.past[place]))
        name = panel.ids[int(found.series[place])]
        words = f"{caption}: {name}." if name else f"{caption}."
        what = f"{words} Median at the last step: {found.median[place][-1]:.4g}"
        make = drawing if len(places) == 1 else narrow_drawing
        drawn.append(make(lambda shape, fan=fan: forecast_fan(fan, shape), what, words))  # type: ignore[misc]
    return [*drawn] if len(drawn) == 1 else [Row(drawn)]


def rolling_figure(panel: Panel, backtest: Backtest, shown: Shown, series: int, caption: str) -> Figure:
    """What came in the tested part of one series, and the forecasts that do not overlap, the latest first.

    Args:
        panel: the data. backtest: its origins.
        shown: what is drawn; ``title`` names the baseline.
        series: its number. caption: what is shown.
    """
    rows = _apart(backtest, series)
    first = max(0, int(backtest.origin[rows[0]]) - backtest.horizon)
    last = int(backtest.origin[rows[-1]]) + backtest.horizon
    actual = np.full(last - first, np.nan)
    known = panel.values(series)[first:last]
    actual[: len(known)] = known
    interval, pair = _interval(backtest.levels) if shown.quantiles is not None else ("", None)
    target = panel.schema.target
    rolling = Rolling(
        target=f"{target} of {panel.ids[series]}" if panel.ids[series] else target,
        times=times_of(panel, series, first, last - first),
        actual=actual,
        origins=[_origin(backtest, shown, row, first, pair) for row in rows],
        interval=interval,
        baseline=shown.title,
    )
    return drawing(lambda shape: rolling_chart(rolling, shape), caption, caption)


def _fan(panel: Panel, found: Forecasts, place: int, lines: Mapping[str, Any]) -> Fan:
    """The drawing of one window: as much of its past as helps to judge it."""
    series, cut, horizon = int(found.series[place]), int(found.cut[place]), found.mean.shape[1]
    season = next(iter(panel.schema.seasons), 1)
    past = min(cut, max(3 * horizon, 2 * season, 24))
    actual = found.actual[place]
    target = panel.schema.target
    return Fan(
        target=f"{target} of {panel.ids[series]}" if panel.ids[series] else target,
        times=times_of(panel, series, cut - past, past + horizon),
        history=panel.values(series)[cut - past : cut],
        median=found.median[place],
        quantiles=found.quantiles[place],
        levels=found.levels,
        actual=None if np.isnan(actual).all() else actual,
        baselines=lines,
    )


def _apart(backtest: Backtest, series: int) -> list[int]:
    """Test origins of a series that lie a horizon apart, from the last one back, within what can be read."""
    rows = np.flatnonzero((backtest.series == series) & backtest.tests)
    rows = rows[np.argsort(backtest.origin[rows])]
    kept = [int(rows[-1])]
    end = int(backtest.origin[rows[-1]]) + backtest.horizon
    for row in rows[-2::-1].tolist():
        apart = backtest.origin[kept[-1]] - backtest.origin[row] >= backtest.horizon
        if apart and end - backtest.origin[row] <= max(_MOST_DRAWN, 2 * backtest.horizon):
            kept.append(row)
    return kept[::-1]


def _interval(levels: tuple[float, ...]) -> tuple[str, tuple[int, int] | None]:
    """The 80 % interval where there is one, else the one nearest to it."""
    pairs = central_pairs(levels)
    if not pairs:
        return "", None
    nominal = min(pairs, key=lambda share: abs(share - 0.8))
    return f"{100 * nominal:g} %", pairs[nominal]


def _origin(backtest: Backtest, shown: Shown, row: int, first: int, pair: tuple[int, int] | None) -> Origin:
    low, high = None, None
    if pair is not None and shown.quantiles is not None:
        low, high = (shown.quantiles[row][:, place] for place in pair)
    line = None if shown.baseline is None or np.isnan(shown.baseline[row]).all() else shown.baseline[row]
    return Origin(int(backtest.origin[row]) - first, shown.median[row], low, high, line)
