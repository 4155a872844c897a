"""Figures of how long something is remembered: curves by lag, what removal costs, half-lives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from longspan.core.errors import InputError
from longspan.report.axes import Values, compared, expect
from longspan.report.palette import colour
from longspan.report.style import Shape, axes_of, house_style, label, legend, log_axis, name_axis

__all__ = ["LagLine", "Mark", "half_lives", "lag_chart", "removal_chart"]

_SHADE = 0.16
_SMALLEST = 1e-30


@dataclass(frozen=True, eq=False)
class LagLine:
    """One curve by lag.

    Args:
        title: as the legend shows it.
        lags: (K,) rising whole numbers.
        values: (K,) NaN where unknown.
        low, high: (K,) a band around it, or None.
        ours: drawn in the colour of the model.
    """

    title: str
    lags: NDArray[np.int64]
    values: Values
    low: Values | None = None
    high: Values | None = None
    ours: bool = False

    def __post_init__(self) -> None:
        for name, each in (("values", self.values), ("low", self.low), ("high", self.high)):
            if each is not None:
                expect(f"{name} of {self.title!r}", np.shape(each), np.shape(self.lags))


@dataclass(frozen=True)
class Mark:
    """A lag that is marked, and what it is called."""

    title: str
    lag: int


def lag_chart(lines: Sequence[LagLine], name: str, beneath: str, shape: Shape = "wide") -> Figure:
    """Curves on a logarithmic axis over a linear one of lags, where a constant rate is a straight line.

    Args:
        lines: at least one; values of zero, and those too small for their digits, are left out.
        name: what is measured. beneath: what a lag is. shape: wide or narrow.
    """
    if not lines:
        raise InputError("lag_chart: expected at least one line, got none")
    with house_style():
        figure, axes = axes_of(shape)
        handles = _draw_lines(axes, lines, positive=True)
        log_axis(axes)
        _decades(axes)
        axes.xaxis.set_major_locator(MaxNLocator(8 if shape == "wide" else 4, integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel(beneath)
        name_axis(axes, name)
        legend(figure, handles, shape)
        return figure


def removal_chart(
    lines: Sequence[LagLine], marks: Sequence[Mark], name: str, least: float, shape: Shape = "wide"
) -> Figure:
    """What it costs to take away all that is older than a lag, over lags that grow by factors.

    Args:
        lines: at least one. marks: estimates of the horizon, drawn upright.
        name: what is measured. least: rises below it do not count. shape: wide or narrow.
    """
    if not lines:
        raise InputError("removal_chart: expected at least one line, got none")
    longest = int(max(line.lags.max() for line in lines))
    with house_style():
        figure, axes = axes_of(shape)
        handles = _draw_lines(axes, lines, positive=False)
        axes.axhline(0, color=colour("muted"), linewidth=0.9)
        axes.axhline(least, color=colour("muted"), linewidth=0.7, linestyle=(0, (1, 2)))
        for place, mark in enumerate(marks):
            style: Any = {"color": colour(("ink", "purple", "ochre")[place % 3]), "linewidth": 1.1}
            style["linestyle"] = ((0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))[place % 3]
            axes.axvline(mark.lag, **style)
            handles.append(Line2D([], [], label=label(f"{mark.title}: {mark.lag:,}"), **style))
        axes.set_xscale("symlog", linthresh=2, linscale=0.4)
        axes.set_xlim(-0.2, longest * 1.05 + 0.5)
        ticks = [0, *(f * 10**p for p in range(8) for f in (1, 2, 5) if f * 10**p <= longest)]
        axes.xaxis.set_major_locator(
            FixedLocator(ticks if shape == "wide" else ticks[:: 1 + len(ticks) // 7])
        )
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("oldest lag that is kept, in steps")
        name_axis(axes, name)
        legend(figure, handles, shape)
        return figure


def half_lives(values: Values, longest: float, shape: Shape = "narrow") -> Figure:
    """Half-lives of the units, the longest first; on a logarithmic axis where they span more than 20 times.

    Args:
        values: (H,) in steps; those above ``longest``, infinite ones too, are drawn there as open dots.
        longest: steps that were seen. shape: wide or narrow.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))[::-1]
    beyond = ordered > longest
    places = np.arange(1, len(ordered) + 1)
    with house_style():
        figure, axes = axes_of(shape)
        figure.set_figheight(2.9)
        dots: Any = {"linestyle": "none", "marker": "o", "markersize": 4, "color": colour("model")}
        handles = axes.plot(places[~beyond], ordered[~beyond], label="half-life", **dots)
        if beyond.any():
            top = np.full(int(beyond.sum()), longest)
            handles += axes.plot(places[beyond], top, label="longer than was seen", fillstyle="none", **dots)
        drawn = np.minimum(ordered, longest)
        if drawn.min() > 0 and drawn.max() > 20 * drawn.min():
            log_axis(axes)
            _decades(axes)
        else:
            axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_xlabel("units, the longest-lived first")
        name_axis(axes, "half-life, steps")
        legend(figure, handles, shape)
        return figure


def _draw_lines(axes: Axes, lines: Sequence[LagLine], *, positive: bool) -> list[Line2D]:
    """Ours first, then those beside it."""
    own = [(line, {"color": colour("model"), "linestyle": "-"}) for line in lines if line.ours]
    others = [line for line in lines if not line.ours]
    beside = [(line, compared(place)) for place, line in enumerate(others)]
    return [_draw_line(axes, line, style, positive=positive) for line, style in (*own, *beside)]


def _draw_line(axes: Axes, line: LagLine, style: dict[str, Any], *, positive: bool) -> Line2D:
    known = np.isfinite(line.values) & ((line.values > _SMALLEST) | (not positive))
    values = np.where(known, line.values, np.nan)
    if line.low is not None and line.high is not None:
        low = np.maximum(line.low, _SMALLEST) if positive else line.low
        shown = known & np.isfinite(low) & np.isfinite(line.high)
        axes.fill_between(
            line.lags, low, line.high, where=shown.tolist(), color=style["color"], alpha=_SHADE, linewidth=0
        )
    dots: Any = {"marker": "o", "markersize": 3} if len(line.lags) <= 40 and not positive else {}
    (drawn,) = axes.plot(
        line.lags, values, label=label(line.title), linewidth=1.9 if line.ours else 1.3, **style, **dots
    )
    return drawn


def _decades(axes: Axes) -> None:
    """Ticks at powers of ten, as many as can be read."""
    axes.yaxis.set_major_locator(LogLocator(base=10, numticks=7))
    axes.yaxis.set_minor_locator(NullLocator())
