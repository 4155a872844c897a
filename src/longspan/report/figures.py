"""The figures of a report: forecast fan, learning curve, scores. Plain arrays in, matplotlib figures out.

They are drawn through matplotlib's objects, never through pyplot, so nothing is left behind. Each takes a
``shape``: the page shows the wide one, and the narrow one on a phone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import (
    DAILY,
    HOURLY,
    MICROSECONDLY,
    MINUTELY,
    MONTHLY,
    SECONDLY,
    YEARLY,
    AutoDateLocator,
    ConciseDateFormatter,
)
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from longspan.core.errors import InputError
from longspan.metrics.quantiles import central_pairs
from longspan.report.palette import LINES, colour
from longspan.report.style import Shape, axes_of, house_style, label, legend, log_axis, name_axis

__all__ = ["Fan", "Score", "forecast_fan", "learning_curve", "scores_chart"]

Values = NDArray[np.float64]

_BANDS = (0.5, 0.8, 0.95)
_BAND_SHADE = 0.17
_MOST_DOTS = 100
# For ticks at years, months, days, hours, minutes, seconds: the tick, the tick where the next larger unit
# begins, and what the ticks leave unsaid.
_TICKS = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S"]
_TURNS = ["", "%Y", "%d %b", "%d %b", "%H:%M", "%H:%M:%S"]
_UNSAID = ["", "%Y", "%Y", "%d %b %Y", "%d %b %Y", "%d %b %Y"]
# Most ticks at years, months … of the narrow shape. From two ticks on, a unit has a long enough interval for
# every span; five where its longest (6 months, 12 hours, 30 minutes or seconds) would not reach with four.
_NARROW_TICKS = {YEARLY: 4, MONTHLY: 5, DAILY: 4, HOURLY: 5, MINUTELY: 5, SECONDLY: 5, MICROSECONDLY: 4}
_DASHES: tuple[Any, ...] = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (2, 2)))


@dataclass(frozen=True)
class Fan:
    """One series, its forecast, and what happened.

    Args:
        target: name of the target, which is the unit of the vertical axis.
        times: (C + H,) datetime64, or whole numbers of steps; the last H belong to the forecast.
        history: (C,) NaN where missing.
        median: (H,) the forecast's middle line.
        quantiles: (H, Q), or None for a point forecast.
        levels: (Q,) of the quantiles; bands are drawn for 50, 80 and 95 %, or else for the three widest
            pairs that are symmetric about a half.
        actual: (H,) NaN where unknown, or None.
        baselines: title → (H,), in the order of the legend.
    """

    target: str
    times: NDArray[Any]
    history: Values
    median: Values
    quantiles: Values | None = None
    levels: Sequence[float] = ()
    actual: Values | None = None
    baselines: Mapping[str, Values] = field(default_factory=dict)

    def __post_init__(self) -> None:
        steps = len(self.median)
        _expect("times", np.shape(self.times), (len(self.history) + steps,))
        if self.quantiles is not None:
            _expect("quantiles", np.shape(self.quantiles), (steps, len(self.levels)))
        if self.actual is not None:
            _expect("actual", np.shape(self.actual), (steps,))
        for title, line in self.baselines.items():
            _expect(f"baseline {title!r}", np.shape(line), (steps,))


@dataclass(frozen=True)
class Score:
    """One bar: a name, its score, and whether it is the one that the page is about.

    Args:
        name: as people read it.
        value: the score; NaN is shown as unknown.
        spread: standard deviation over seeds or parts, finite, or None.
        ours: drawn in the colour of the model.
    """

    name: str
    value: float
    spread: float | None = None
    ours: bool = False


def forecast_fan(fan: Fan, shape: Shape = "wide") -> Figure:
    """History, median and central bands, what happened, and the baselines, over time."""
    past = len(fan.history)
    with house_style():
        figure, axes = axes_of(shape)
        bands = _draw_bands(axes, fan)
        baselines = [
            _line(axes, *_joined(fan, line), label=label(title), linewidth=1.2, **_compared(index))
            for index, (title, line) in enumerate(fan.baselines.items())
        ]
        lines = [
            _line(axes, fan.times[:past], fan.history, color=colour("ink"), label="history", linewidth=1.1)
        ]
        forecast = _line(
            axes, *_joined(fan, fan.median), color=colour("model"), label="forecast", linewidth=1.9
        )
        if fan.actual is not None:
            lines.append(_draw_actual(axes, fan.times[past:], fan.actual))
        if past:
            axes.axvline(fan.times[past - 1], color=colour("muted"), linewidth=0.7, linestyle=(0, (1, 2)))
        _time_axis(axes, fan.times, shape)
        name_axis(axes, fan.target)
        legend(figure, [*lines, forecast, *bands, *baselines], shape)
        return figure


def learning_curve(
    steps: ArrayLike,
    validation: ArrayLike,
    train: ArrayLike | None = None,
    *,
    best_step: int | None = None,
    loss: str = "loss",
    shape: Shape = "wide",
) -> Figure:
    """Loss over optimiser steps, with the step whose weights were kept.

    Args:
        steps: (N,) optimiser steps at each validation.
        validation: (N,) loss; NaN is left out.
        train: (N,) mean loss since the validation before, NaN where unknown.
        best_step: one of ``steps``, or None.
        loss: its name and unit, as the vertical axis shows it.
        shape: wide or narrow.
    """
    x, kept = np.asarray(steps), np.asarray(validation, dtype=np.float64)
    _expect("validation", kept.shape, x.shape)
    fitted = None if train is None else np.asarray(train, dtype=np.float64)
    with house_style():
        figure, axes = axes_of(shape)
        lines = [_line(axes, x, kept, color=colour("model"), label="validation", linewidth=1.9)]
        if fitted is not None:
            _expect("train", fitted.shape, x.shape)
            muted: Any = {"color": colour("muted"), "linestyle": _DASHES[0], "linewidth": 1.2}
            lines.append(_line(axes, x, fitted, label="training", **muted))
        if best_step is not None:
            lines.append(_mark_best(axes, x, kept, best_step))
        if _spans_decades(kept):
            log_axis(axes)
        axes.xaxis.set_major_locator(MaxNLocator(6 if shape == "wide" else 4, integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("optimiser steps")
        name_axis(axes, loss)
        legend(figure, lines, shape)
        return figure


def scores_chart(scores: Sequence[Score], measure: str, shape: Shape = "wide") -> Figure:
    """One bar per score in the order given, from the top; shorter is better.

    Args:
        scores: at least one, each at least zero or NaN.
        measure: name of the score and its unit.
        shape: wide or narrow.
    """
    if not scores:
        raise InputError("scores_chart: expected at least one score, got none")
    for score in scores:
        _check_bar(score)
    with house_style():
        figure, axes = axes_of(shape)
        figure.set_figheight(0.75 + 0.34 * len(scores))
        axes.grid(visible=False)
        longest = max(
            (score.value + (score.spread or 0) for score in scores if score.value >= 0), default=0.0
        )
        for place, score in enumerate(scores):
            _draw_bar(axes, place, score)
        axes.set_yticks(range(len(scores)), [label(score.name) for score in scores], color=colour("ink"))
        axes.set_ylim(len(scores) - 0.4, -0.6)
        axes.set_xlim(0, longest * (1.12 if shape == "wide" else 1.3) or 1)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.axvline(0, color=colour("grid"), linewidth=1)
        name_axis(axes, f"{measure}, less is better")
        return figure


def _expect(name: str, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if got != expected:
        raise InputError(f"figure: expected {name} of shape {expected}, got {got}")


def _draw_bands(axes: Axes, fan: Fan) -> list[Patch]:
    """Bands laid over each other, widest first; returns samples for the legend, as dark as they look."""
    if fan.quantiles is None or not len(fan.levels):
        return []
    pairs = central_pairs(fan.levels)
    usual = {nominal: ends for nominal, ends in pairs.items() if nominal in _BANDS}
    wanted = usual or dict(list(pairs.items())[-3:])
    samples: list[Patch] = []
    clear = 1.0
    for nominal, (low, high) in sorted(wanted.items(), reverse=True):
        times, below = _joined(fan, fan.quantiles[:, low])
        _, above = _joined(fan, fan.quantiles[:, high])
        axes.fill_between(times, below, above, color=colour("model"), alpha=_BAND_SHADE, linewidth=0)
        clear *= 1 - _BAND_SHADE
        samples.append(
            Patch(color=colour("model"), alpha=1 - clear, linewidth=0, label=f"{100 * nominal:g} %")
        )
    return samples[::-1]


def _compared(index: int) -> dict[str, Any]:
    return {"color": colour(LINES[index % len(LINES)]), "linestyle": _DASHES[index % len(_DASHES)]}


def _joined(fan: Fan, line: Values) -> tuple[NDArray[Any], Values]:
    """A forecast line, begun at the last value where that is known: the fan opens from what was seen."""
    past = len(fan.history)
    if not past or np.isnan(fan.history[-1]):
        return fan.times[past:], np.asarray(line, dtype=np.float64)
    return fan.times[past - 1 :], np.concatenate((fan.history[-1:], line))


def _line(axes: Axes, times: NDArray[Any], values: Values, **style: Any) -> Line2D:
    """A line with gaps where values are missing; a value with no neighbour is a dot, to be seen at all."""
    (line,) = axes.plot(times, values, **style)
    known = np.concatenate(([False], ~np.isnan(values), [False]))
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    if alone.any():
        axes.plot(
            times[alone], values[alone], linestyle="none", marker=".", markersize=4, color=style["color"]
        )
    return line


def _draw_actual(axes: Axes, times: NDArray[Any], actual: Values) -> Line2D:
    """Dots, between which the forecast stays visible; a line where there are too many."""
    if len(times) > _MOST_DOTS:
        return _line(axes, times, actual, color=colour("ink"), linewidth=0.9, label="actual")
    dots: Any = {"linestyle": "none", "marker": "o", "markersize": 3, "markeredgewidth": 0}
    (line,) = axes.plot(times, actual, color=colour("ink"), label="actual", zorder=3, **dots)
    return line


def _time_axis(axes: Axes, times: NDArray[Any], shape: Shape) -> None:
    if np.issubdtype(times.dtype, np.datetime64):
        locator = _date_locator(shape)
        dates = ConciseDateFormatter(locator, None, _TICKS, _UNSAID, _TURNS)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates)
        return
    axes.xaxis.set_major_locator(MaxNLocator(8 if shape == "wide" else 4, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("step")


def _date_locator(shape: Shape) -> AutoDateLocator:
    """Ticks that matplotlib can place without a warning, whatever the span."""
    least, most = (3, 8) if shape == "wide" else (2, _NARROW_TICKS)
    locator = AutoDateLocator(minticks=least, maxticks=most)  # type: ignore[no-untyped-call]
    # Below a millisecond the dates of today have no digits left.
    locator.intervald[MICROSECONDLY] = [each for each in locator.intervald[MICROSECONDLY] if each >= 1000]
    return locator


def _mark_best(axes: Axes, steps: NDArray[Any], validation: Values, best_step: int) -> Line2D:
    places = np.flatnonzero(steps == best_step)
    if not len(places):
        raise InputError(f"learning_curve: expected best_step to be one of the steps, got {best_step}")
    dot: Any = {"linestyle": "none", "marker": "o", "markersize": 6, "color": colour("orange")}
    (line,) = axes.plot(best_step, validation[places[-1]], label=f"kept: step {best_step:,}", **dot)
    return line


def _spans_decades(values: Values) -> bool:
    known = values[np.isfinite(values)]
    return bool(len(known) and known.min() > 0 and known.max() > 20 * known.min())


def _check_bar(score: Score) -> None:
    spread = score.spread
    if score.value < 0 or np.isinf(score.value) or (spread is not None and not 0 <= spread < np.inf):
        raise InputError(
            "scores_chart: expected a score of at least zero or NaN, and a spread of at least zero or None, "
            f"both finite, got {score}"
        )


def _draw_bar(axes: Axes, place: int, score: Score) -> None:
    beside: Any = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
    if np.isnan(score.value):
        axes.annotate("unknown", (0, place), color=colour("muted"), **beside)
        return
    shade = colour("model") if score.ours else colour("muted")
    axes.barh(place, score.value, height=0.62, color=shade, alpha=1 if score.ours else 0.45, linewidth=0)
    written = f"{score.value:,.4g}" if score.value < 1000 else f"{score.value:,.0f}"
    if score.spread is not None:
        axes.errorbar(score.value, place, xerr=score.spread, color=colour("ink"), elinewidth=1, capsize=2.5)
        written = f"{written} ± {score.spread:.2g}"
    weight = "bold" if score.ours else "normal"
    end = score.value + (score.spread or 0)
    axes.annotate(written, (end, place), color=colour("ink"), fontweight=weight, **beside)
