"""The figure of a study: lines over one axis, a colour for each network, a line for each seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from longspan.core.errors import InputError
from longspan.report.axes import Values, compared, draw_line, expect
from longspan.report.palette import colour
from longspan.report.style import Shape, axes_of, house_style, label, legend, log_axis, name_axis

__all__ = ["Curve", "curves_chart"]

_DOTS = 12  # points up to which each of them is drawn as one


@dataclass(frozen=True, eq=False)
class Curve:
    """One line.

    Args:
        name: its entry in the legend; lines of one name share colour and entry.
        x: (n,) in order. y: (n,) NaN for a gap.
        ours: drawn in the colour of the model.
    """

    name: str
    x: Values
    y: Values
    ours: bool = False

    def __post_init__(self) -> None:
        expect(f"curve {self.name!r}", np.shape(self.y), np.shape(self.x))


def curves_chart(
    curves: Sequence[Curve],
    x_name: str,
    y_name: str,
    *,
    mark: tuple[float, str] | None = None,
    log_x: bool = False,
    log_y: bool = False,
    range_y: tuple[float, float] | None = None,
    shape: Shape = "wide",
) -> Figure:
    """Lines over one axis.

    Args:
        curves: what is drawn; those of the model on top.
        x_name, y_name: names of the axes, with units.
        mark: an x that is marked, and what it is.
        log_x, log_y: logarithmic axes; what is not positive is then left out.
        range_y: lowest and highest of the y axis; None takes them from the curves.
        shape: wide or narrow.

    Raises:
        InputError: there is nothing to draw.
    """
    if not curves:
        raise InputError("curves_chart: expected at least one curve, got none")
    looks = _looks(curves)
    with house_style():
        figure, axes = axes_of(shape)
        handles: dict[str, Any] = {}
        for curve in sorted(curves, key=lambda each: each.ours):
            handles.setdefault(curve.name, _draw(axes, curve, looks[curve.name], log_x=log_x, log_y=log_y))
        _scale(axes, shape, log_x=log_x, log_y=log_y)
        if range_y is not None:
            axes.set_ylim(*range_y)
        shown = [handles[name] for name in looks]
        if mark is not None:
            style: Any = {"color": colour("muted"), "linewidth": 1.0, "linestyle": (0, (1, 2))}
            axes.axvline(mark[0], **style)
            shown.append(Line2D([], [], label=label(mark[1]), **style))
        axes.set_xlabel(label(x_name))
        name_axis(axes, y_name)
        legend(figure, shown, shape)
        return figure


def _looks(curves: Sequence[Curve]) -> dict[str, dict[str, Any]]:
    """Name → colour and dashes, the model's first."""
    names = list(dict.fromkeys(each.name for each in sorted(curves, key=lambda each: not each.ours)))
    ours = {each.name for each in curves if each.ours}
    others = [name for name in names if name not in ours]
    looks = {name: {"color": colour("model"), "linestyle": "solid"} for name in names if name in ours}
    return looks | {name: compared(place) for place, name in enumerate(others)}


def _draw(axes: Axes, curve: Curve, look: dict[str, Any], *, log_x: bool, log_y: bool) -> Line2D:
    x, y = np.asarray(curve.x, np.float64), np.asarray(curve.y, np.float64)
    out = ((x <= 0) if log_x else np.zeros(len(x), np.bool_)) | ((y <= 0) if log_y else False)
    style = look | {"linewidth": 1.7 if curve.ours else 1.3, "alpha": 0.85}
    if len(x) <= _DOTS:
        style |= {"marker": "o", "markersize": 3.2, "markeredgewidth": 0}
    return draw_line(axes, x[~out], y[~out], label=label(curve.name), **style)


def _scale(axes: Axes, shape: Shape, *, log_x: bool, log_y: bool) -> None:
    if log_y:
        log_axis(axes)
    if not log_x:
        axes.xaxis.set_major_locator(MaxNLocator(8 if shape == "wide" else 4))
        axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(
        LogLocator(base=10, subs=(1.0, 2.0, 5.0) if _decades(axes) < 2.6 else (1.0,))
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _decades(axes: Axes) -> float:
    low, high = axes.get_xlim()
    return float(np.log10(high / low)) if low > 0 else 9.0


def _thousands(value: float, _position: int | None) -> str:
    return f"{value:,.6g}".replace("-", "\N{MINUS SIGN}")
