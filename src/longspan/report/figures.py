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
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from longspan.core.errors import InputError
from longspan.metrics.quantiles import central_pairs
from longspan.report.axes import DASHES, Values, compared, draw_line, expect, time_axis
from longspan.report.palette import colour
from longspan.report.style import Shape, axes_of, house_style, label, legend, log_axis, name_axis, wrapped

__all__ = ["Fan", "Score", "forecast_fan", "learning_curve", "scores_chart"]

_BANDS = (0.5, 0.8, 0.95)
_BAND_SHADE = 0.17
_MOST_DOTS = 100


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
        expect("times", np.shape(self.times), (len(self.history) + steps,))
        if self.quantiles is not None:
            expect("quantiles", np.shape(self.quantiles), (steps, len(self.levels)))
        if self.actual is not None:
            expect("actual", np.shape(self.actual), (steps,))
        for title, line in self.baselines.items():
            expect(f"baseline {title!r}", np.shape(line), (steps,))


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
            draw_line(axes, *_joined(fan, line), label=label(title), linewidth=1.2, **compared(index))
            for index, (title, line) in enumerate(fan.baselines.items())
        ]
        lines = [
            draw_line(
                axes, fan.times[:past], fan.history, color=colour("ink"), label="history", linewidth=1.1
            )
        ]
        forecast = draw_line(
            axes, *_joined(fan, fan.median), color=colour("model"), label="forecast", linewidth=1.9
        )
        if fan.actual is not None:
            lines.append(_draw_actual(axes, fan.times[past:], fan.actual))
        if past:
            axes.axvline(fan.times[past - 1], color=colour("muted"), linewidth=0.7, linestyle=(0, (1, 2)))
        time_axis(axes, fan.times, shape)
        name_axis(axes, fan.target)
        legend(figure, [*lines, forecast, *bands, *baselines], shape)
        return figure


def learning_curve(
    steps: ArrayLike,
    validation: ArrayLike,
    train: ArrayLike | None = None,
    *,
    best_step: int | None = None,
    beside: Sequence[tuple[ArrayLike, ArrayLike]] = (),
    loss: str = "loss",
    shape: Shape = "wide",
) -> Figure:
    """Loss over optimiser steps, with the step whose weights were kept.

    Args:
        steps: (N,) optimiser steps at each validation.
        validation: (N,) loss; NaN is left out.
        train: (N,) mean loss since the validation before, NaN where unknown.
        best_step: one of ``steps``, or None.
        beside: (steps, validation) of networks trained from other seeds, drawn thin.
        loss: its name and unit, as the vertical axis shows it.
        shape: wide or narrow.
    """
    x, kept = np.asarray(steps), np.asarray(validation, dtype=np.float64)
    expect("validation", kept.shape, x.shape)
    fitted = None if train is None else np.asarray(train, dtype=np.float64)
    with house_style():
        figure, axes = axes_of(shape)
        lines = [draw_line(axes, x, kept, color=colour("model"), label="validation", linewidth=1.9)]
        if fitted is not None:
            expect("train", fitted.shape, x.shape)
            muted: Any = {"color": colour("muted"), "linestyle": DASHES[0], "linewidth": 1.2}
            lines.append(draw_line(axes, x, fitted, label="training", **muted))
        lines += _thin(axes, beside)
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
        names = [wrapped(label(score.name), 40 if shape == "wide" else 20) for score in scores]
        axes.set_yticks(range(len(scores)), names, color=colour("ink"))
        axes.set_ylim(len(scores) - 0.4, -0.6)
        axes.set_xlim(0, longest * (1.12 if shape == "wide" else 1.3) or 1)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.axvline(0, color=colour("grid"), linewidth=1)
        name_axis(axes, f"{measure}, less is better")
        return figure


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


def _joined(fan: Fan, line: Values) -> tuple[NDArray[Any], Values]:
    """A forecast line, begun at the last value where that is known: the fan opens from what was seen."""
    past = len(fan.history)
    if not past or np.isnan(fan.history[-1]):
        return fan.times[past:], np.asarray(line, dtype=np.float64)
    return fan.times[past - 1 :], np.concatenate((fan.history[-1:], line))


def _draw_actual(axes: Axes, times: NDArray[Any], actual: Values) -> Line2D:
    """Dots, between which the forecast stays visible; a line where there are too many."""
    if len(times) > _MOST_DOTS:
        return draw_line(axes, times, actual, color=colour("ink"), linewidth=0.9, label="actual")
    dots: Any = {"linestyle": "none", "marker": "o", "markersize": 3, "markeredgewidth": 0}
    (line,) = axes.plot(times, actual, color=colour("ink"), label="actual", zorder=3, **dots)
    return line


def _thin(axes: Axes, curves: Sequence[tuple[ArrayLike, ArrayLike]]) -> list[Line2D]:
    """Other seeds: what scatter there is by chance; the sample for the legend stands once."""
    style: Any = {"color": colour("model"), "linewidth": 0.9, "alpha": 0.45}
    drawn = [
        draw_line(
            axes, np.asarray(x), np.asarray(y, dtype=np.float64), **style, label="networks of the backtest"
        )
        for x, y in curves
    ]
    return drawn[:1]


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
    written = f"{score.value:,.3g}" if score.value < 1000 else f"{score.value:,.0f}"
    if score.spread is not None:
        axes.errorbar(score.value, place, xerr=score.spread, color=colour("ink"), elinewidth=1, capsize=2.5)
        written = f"{written} ± {score.spread:.2g}"
    weight = "bold" if score.ours else "normal"
    end = score.value + (score.spread or 0)
    axes.annotate(written, (end, place), color=colour("ink"), fontweight=weight, **beside)
