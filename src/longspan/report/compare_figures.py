"""The figures of a comparison: who stands where, by how much, and how that changes with the training data.

Plain numbers in, matplotlib figures out, as `longspan.report.figures` does it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from longspan.core.errors import InputError
from longspan.report.axes import DASHES, draw_line
from longspan.report.palette import LINES, colour
from longspan.report.style import Shape, axes_of, house_style, label, legend, name_axis, wrapped

__all__ = ["Course", "Effect", "Mark", "courses_chart", "effects_chart", "standings_chart"]

_FAR = 1.75  # times the highest network: simple methods beyond are drawn at the edge, with their value
_MOST_EFFECT = 100.0  # percent
_ROW, _MARGIN = 0.34, 0.85  # inches
_WIDE_NAME, _NARROW_NAME = 34, 16


@dataclass(frozen=True)
class Mark:
    """One row of the standings.

    Args:
        name: as people read it. value: the loss; NaN is shown as unknown.
        seeds: loss of each seed; empty of a method without.
        spread: standard deviation over seeds, or None.
        ours: the one that the page is about. network: one of those that are trained.
    """

    name: str
    value: float
    seeds: tuple[float, ...] = ()
    spread: float | None = None
    ours: bool = False
    network: bool = False

    def __post_init__(self) -> None:
        if self.value < 0 or math.isinf(self.value):
            raise InputError(f"Mark: expected a value of at least zero or NaN, finite, got {self}")


@dataclass(frozen=True)
class Effect:
    """How much the loss of ours differs from that of another, in %, with its interval; negative is better.

    Args:
        name: of the other. value, low, high: percent; ``low`` and ``high`` None where there is no interval.
        clear: beyond chance.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    clear: bool


@dataclass(frozen=True)
class Course:
    """A line over shares of the data or over training steps.

    Args:
        name: as people read it. x, y: its points; NaN in y is a gap.
        spread: of each point, or None. ours: drawn in the colour of the model. simple: not a network.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    spread: tuple[float | None, ...] | None = None
    ours: bool = False
    simple: bool = False

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or (self.spread is not None and len(self.spread) != len(self.y)):
            raise InputError(f"Course {self.name!r}: expected x, y and spread of one length")


def standings_chart(marks: Sequence[Mark], measure: str, shape: Shape = "wide") -> Figure:
    """A dot for each contestant with its seeds, in the order given, from the top; further left is better.

    Args:
        marks: at least one. measure: name of the loss. shape: wide or narrow.
    """
    if not marks:
        raise InputError("standings_chart: expected at least one mark, got none")
    with house_style():
        figure, axes = _rows([each.name for each in marks], shape)
        low, high = _range(marks)
        for place, mark in enumerate(marks):
            _draw_mark(axes, place, mark, high)
        axes.set_xlim(low, high)
        written = axes.secondary_yaxis("right")
        written.set_yticks(range(len(marks)), [_written(each) for each in marks], color=colour("ink"))
        written.tick_params(length=0, pad=9)
        written.spines["right"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(6 if shape == "wide" else 3))
        name_axis(axes, f"{measure}, less is better")
        return figure


def effects_chart(effects: Sequence[Effect], ours: str, measure: str, shape: Shape = "wide") -> Figure:
    """By how much ours differs from each other, with 95 % intervals; left of zero it is better.

    Args:
        effects: at least one. ours: the name of the one that the page is about. measure: name of the loss.
        shape: wide or narrow.
    """
    if not effects:
        raise InputError("effects_chart: expected at least one effect, got none")
    with house_style():
        figure, axes = _rows([each.name for each in effects], shape)
        for place, effect in enumerate(effects):
            _draw_effect(axes, place, effect)
        ends = [0.0, *(_near(end) for each in effects for end in (each.value, each.low, each.high))]
        room = 0.08 * max(max(ends) - min(ends), 1.0)
        axes.set_xlim(min(ends) - room, max(ends) + room)
        axes.axvline(0, color=colour("muted"), linewidth=0.9, zorder=0)
        axes.xaxis.set_major_locator(MaxNLocator(7 if shape == "wide" else 3))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.3g} %".replace("-", "−") if value else "0")
        name_axis(axes, f"{measure} of the {ours} against each other; left of zero the {ours} is better")
        return figure


def courses_chart(
    courses: Sequence[Course],
    measure: str,
    x_name: str,
    *,
    ticks: Sequence[tuple[float, str]] = (),
    shape: Shape = "wide",
) -> Figure:
    """Losses over shares of the data, or over steps, a line for each contestant.

    Args:
        courses: at least one. measure: name of the loss. x_name: of the horizontal axis.
        ticks: place and words; whole numbers where there are none.
        shape: wide or narrow.
    """
    if not courses:
        raise InputError("courses_chart: expected at least one course, got none")
    with house_style():
        figure, axes = axes_of(shape)
        lines, others = [], 0
        for course in courses:
            style = _line_style(course, others)
            others += not (course.ours or course.simple)
            lines.append(_draw_course(axes, course, style))
        if ticks:
            axes.set_xticks([place for place, _ in ticks], [words for _, words in ticks])
            axes.margins(x=0.06)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6 if shape == "wide" else 4, integer=True))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel(x_name)
        name_axis(axes, measure)
        legend(figure, lines, shape)
        return figure


def _rows(names: Sequence[str], shape: Shape) -> tuple[Figure, Axes]:
    """Axes with a row for each name."""
    figure, axes = axes_of(shape)
    longest = _WIDE_NAME if shape == "wide" else _NARROW_NAME
    shown = [wrapped(label(each), longest) for each in names]
    lines = sum(each.count("\n") for each in shown)
    figure.set_figheight(_MARGIN + _ROW * len(names) + 0.12 * lines)
    axes.grid(visible=False)
    axes.grid(axis="x")
    axes.set_yticks(range(len(names)), shown, color=colour("ink"))
    axes.set_ylim(len(names) - 0.4, -0.6)
    return figure, axes


def _range(marks: Sequence[Mark]) -> tuple[float, float]:
    """The ends of the axis: all networks are inside, and the simple methods that are not far beyond them."""
    values = [each.value for each in marks if each.network and not math.isnan(each.value)]
    values += [seed for each in marks for seed in each.seeds]
    known = [each.value for each in marks if not math.isnan(each.value)]
    limit = _FAR * max(values, default=max(known, default=1.0))
    inside = [each for each in (*known, *values) if each <= limit] or [1.0]
    low, high = min(inside), max(inside)
    room = 0.06 * (high - low) or 0.05 * high or 1.0
    return low - room, high + room


def _draw_mark(axes: Axes, place: int, mark: Mark, high: float) -> None:
    if math.isnan(mark.value):
        return
    shade = colour("model") if mark.ours else colour("ink") if mark.network else colour("muted")
    dot: Any = {"linestyle": "none", "markeredgewidth": 0, "color": shade}
    if mark.value > high:
        axes.plot(high, place, marker=">", markersize=6, clip_on=False, **dot)
        return
    if mark.spread is not None:
        ends = (mark.value - mark.spread, mark.value + mark.spread)
        axes.plot(ends, (place, place), color=shade, linewidth=1.4, alpha=0.7)
    axes.plot(
        mark.seeds, [place] * len(mark.seeds), marker="|", markersize=8, **dot | {"markeredgewidth": 1.1}
    )
    axes.plot(
        mark.value, place, marker="o" if mark.network else "D", markersize=7 if mark.ours else 5.5, **dot
    )


def _written(mark: Mark) -> str:
    if math.isnan(mark.value):
        return "unknown"
    value = f"{mark.value:,.4g}" if mark.value < 1000 else f"{mark.value:,.0f}"
    return value if mark.spread is None else f"{value} ± {mark.spread:.2g}"


def _near(value: float | None) -> float:
    """A percentage, cut off where it would flatten all others."""
    return 0.0 if value is None else float(np.clip(value, -_MOST_EFFECT, _MOST_EFFECT))


def _draw_effect(axes: Axes, place: int, effect: Effect) -> None:
    shade = colour("muted")
    if effect.clear:
        shade = colour("model") if effect.value < 0 else colour("orange")
    if effect.low is not None and effect.high is not None:
        ends = (_near(effect.low), _near(effect.high))
        axes.plot(ends, (place, place), color=shade, linewidth=2, solid_capstyle="butt")
    marker = "o" if abs(effect.value) <= _MOST_EFFECT else ">" if effect.value > 0 else "<"
    dot: Any = {"linestyle": "none", "markeredgewidth": 0, "markersize": 7}
    axes.plot(_near(effect.value), place, marker=marker, color=shade, **dot)


def _line_style(course: Course, others: int) -> dict[str, Any]:
    if course.ours:
        return {"color": colour("model"), "linewidth": 2.1}
    if course.simple:
        return {"color": colour("muted"), "linestyle": DASHES[1], "linewidth": 1.5}
    turn = others // len(LINES)
    dashes = DASHES[(others + turn) % len(DASHES)]
    return {"color": colour(LINES[others % len(LINES)]), "linestyle": dashes, "linewidth": 1.3}


def _draw_course(axes: Axes, course: Course, style: dict[str, Any]) -> Line2D:
    x, y = np.asarray(course.x, dtype=np.float64), np.asarray(course.y, dtype=np.float64)
    line = draw_line(axes, x, y, label=label(course.name), **style)
    if course.spread is not None:
        spread = [0.0 if each is None else each for each in course.spread]
        axes.errorbar(
            x, y, yerr=spread, fmt="none", ecolor=style["color"], elinewidth=1, capsize=2, alpha=0.6
        )
        axes.plot(x, y, linestyle="none", marker="o", markersize=3.5, color=style["color"])
    return line
