"""The figures of a rolling-origin backtest: forecasts over what came, errors by step, and coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from longspan.core.errors import InputError
from longspan.report.axes import Values, compared, draw_line, expect, time_axis
from longspan.report.palette import colour
from longspan.report.style import Shape, axes_of, house_style, label, legend, name_axis

__all__ = ["Origin", "Rolling", "StepError", "coverage_chart", "errors_by_step", "rolling_chart"]

_SHADE = 0.25


@dataclass(frozen=True, eq=False)
class Origin:
    """One forecast of the backtest.

    Args:
        first: place of its first step in the times of the chart.
        median: (H,).
        low, high: (H,) ends of the interval that is shown, or None.
        baseline: (H,) of the method to beat, or None.
    """

    first: int
    median: Values
    low: Values | None = None
    high: Values | None = None
    baseline: Values | None = None


@dataclass(frozen=True, eq=False)
class Rolling:
    """One series over the backtest, with forecasts that do not overlap.

    Args:
        target: name of the target, level above the axis.
        times: (T,) datetime64 or whole numbers of steps.
        actual: (T,) NaN where missing.
        origins: in order of time.
        interval: what the shaded interval is called, such as ``80 %``.
        baseline: title of the method to beat.
    """

    target: str
    times: NDArray[Any]
    actual: Values
    origins: Sequence[Origin]
    interval: str = ""
    baseline: str = ""

    def __post_init__(self) -> None:
        expect("actual", np.shape(self.actual), np.shape(self.times))
        for each in self.origins:
            steps, last = len(each.median), each.first + len(each.median)
            if each.first < 0 or last > len(self.times):
                raise InputError(
                    f"rolling_chart: expected origins inside the {len(self.times)} times, "
                    f"got steps {each.first} to {last - 1}"
                )
            for name in ("low", "high", "baseline"):
                if getattr(each, name) is not None:
                    expect(name, np.shape(getattr(each, name)), (steps,))


@dataclass(frozen=True, eq=False)
class StepError:
    """The errors of one method by step ahead.

    Args:
        title: as people read it.
        values: (G,) one for each group of steps; NaN where unknown.
        spread: (G,) standard deviation over seeds, drawn as a band, or None.
        ours: drawn in the colour of the model.
    """

    title: str
    values: Values
    spread: Values | None = None
    ours: bool = False


def rolling_chart(rolling: Rolling, shape: Shape = "wide") -> Figure:
    """What came as a thin line, every forecast over it with its interval, a mark where each began."""
    with house_style():
        figure, axes = axes_of(shape)
        times = rolling.times
        truth: Any = {"color": colour("ink"), "linewidth": 1.0, "label": "actual", "zorder": 2}
        handles: list[Any] = [draw_line(axes, times, rolling.actual, **truth)]
        drawn = [_draw_origin(axes, times, each) for each in rolling.origins]
        if drawn:
            handles.append(drawn[0])
            drawn[0].set_label("forecast")
        if any(each.low is not None for each in rolling.origins):
            handles.append(Patch(color=colour("model"), alpha=_SHADE, linewidth=0, label=rolling.interval))
        if any(each.baseline is not None for each in rolling.origins):
            style: Any = {"linewidth": 1.2, "label": label(rolling.baseline), **compared(0)}
            handles.append(Line2D([], [], **style))
        time_axis(axes, times, shape)
        name_axis(axes, rolling.target)
        legend(figure, handles, shape)
        return figure


def errors_by_step(
    groups: Sequence[str], errors: Sequence[StepError], measure: str, shape: Shape = "wide"
) -> Figure:
    """Error of each method over the steps ahead; less is better.

    Args:
        groups: names of the G groups of steps, such as ``1-3``.
        errors: at least one, each of G values.
        measure: name of the error and its unit.
        shape: wide or narrow.
    """
    if not errors or not groups:
        raise InputError(
            f"errors_by_step: expected at least one method and one group of steps, "
            f"got {len(errors)} and {len(groups)}"
        )
    places = np.arange(len(groups))
    with house_style():
        figure, axes = axes_of(shape)
        handles = []
        others = 0
        for each in errors:
            expect(f"errors of {each.title!r}", np.shape(each.values), (len(groups),))
            style = {"color": colour("model")} if each.ours else compared(others)
            others += not each.ours
            handles.append(_draw_steps(axes, places, each, style))
        axes.set_xticks(places, list(groups), rotation=0)
        if shape == "narrow" and len(groups) > 4:
            axes.set_xticks(places[::2], list(groups)[::2])
        axes.set_xlabel("steps ahead")
        axes.margins(x=0.04)
        axes.set_ylim(bottom=0)
        name_axis(axes, f"{measure}, less is better")
        legend(figure, handles, shape)
        return figure


def coverage_chart(
    nominal: ArrayLike,
    before: ArrayLike,
    after: ArrayLike | None = None,
    shape: Shape = "wide",
) -> Figure:
    """Share of values that fell inside each central interval over what it is called; true is the diagonal.

    Args:
        nominal: (K,) shares in (0, 1).
        before: (K,) observed shares of the network's own intervals.
        after: (K,) observed shares of the calibrated ones, or None where they were not calibrated.
        shape: wide or narrow.
    """
    x = 100 * np.asarray(nominal, dtype=np.float64)
    own = 100 * np.asarray(before, dtype=np.float64)
    expect("before", own.shape, x.shape)
    with house_style():
        figure, axes = axes_of(shape)
        calm: Any = {"color": colour("muted"), "linewidth": 0.9, "linestyle": (0, (1, 2))}
        handles: list[Any] = axes.plot([0, 100], [0, 100], label="as it is called", **calm)
        open_dots: Any = {"marker": "o", "markerfacecolor": "none", "markersize": 5, "linewidth": 1.2}
        handles += axes.plot(x, own, label="of the network", **compared(0), **open_dots)
        if after is not None:
            mended = 100 * np.asarray(after, dtype=np.float64)
            expect("after", mended.shape, x.shape)
            dots: Any = {"marker": "o", "markersize": 5, "linewidth": 1.9, "color": colour("model")}
            handles += axes.plot(x, mended, label="calibrated", **dots)
        axes.set(xlim=(0, 103), ylim=(0, 103))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} %")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
        axes.set_xlabel("what the interval is called")
        name_axis(axes, "values inside the interval")
        legend(figure, handles, shape)
        return figure


def _draw_origin(axes: Axes, times: NDArray[Any], each: Origin) -> Line2D:
    ahead = times[each.first : each.first + len(each.median)]
    shade: Any = {"color": colour("model"), "alpha": _SHADE}
    if len(ahead) > 1:
        axes.axvline(ahead[0], color=colour("muted"), linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
    if each.low is not None and each.high is not None:
        if len(ahead) > 1:
            axes.fill_between(ahead, each.low, each.high, linewidth=0, **shade)
        else:  # an area over one step cannot be seen
            axes.vlines(ahead, each.low, each.high, linewidth=3.5, **shade)
    dots: Any = {"marker": "o", "markersize": 3} if len(ahead) == 1 else {}
    if each.baseline is not None:
        draw_line(axes, ahead, each.baseline, linewidth=1.2, **compared(0), **dots)
    return draw_line(axes, ahead, each.median, color=colour("model"), linewidth=1.9, zorder=3, **dots)


def _draw_steps(axes: Axes, places: NDArray[Any], each: StepError, style: dict[str, Any]) -> Line2D:
    dot: Any = {"marker": "o", "markersize": 4, "linewidth": 1.9 if each.ours else 1.2}
    if each.spread is not None:
        expect(f"spread of {each.title!r}", np.shape(each.spread), np.shape(each.values))
        low, high = each.values - each.spread, each.values + each.spread
        axes.fill_between(places, low, high, color=style["color"], alpha=_SHADE, linewidth=0)
    (line,) = axes.plot(places, each.values, label=label(each.title), zorder=2 + each.ours, **style, **dot)
    return line
