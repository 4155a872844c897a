"""Figures of single gates: squashing functions, one unit's gates under the input, how its values fade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from longspan.core.errors import InputError
from longspan.report.axes import Values, draw_line, expect, time_axis
from longspan.report.heatmap import Strip
from longspan.report.palette import colour
from longspan.report.style import Shape, axes_of, house_style, label, legend, name_axis

__all__ = ["Fading", "GateRow", "fading_chart", "gate_rows", "squashing_chart"]

_INCHES: dict[Shape, float] = {"wide": 7.6, "narrow": 3.75}


@dataclass(frozen=True, eq=False)
class GateRow:
    """One gate or state of a unit over time.

    Args:
        title: what stands above it. values: (T,). shade: role of its colour.
        gate: between 0 and 1, and drawn as filled; otherwise as a line about zero.
    """

    title: str
    values: Values
    shade: str
    gate: bool = True


def gate_rows(strip: Strip, rows: Sequence[GateRow], shape: Shape = "wide") -> Figure:
    """The user's values, and below them on the same time axis the gates and states of one unit.

    Raises:
        InputError: no rows, no values, or rows of another number of steps.
    """
    if not rows or strip.values is None:
        raise InputError("gate_rows: expected values and at least one row below them, got none")
    for row in rows:
        expect(f"row {row.title!r}", np.shape(row.values), np.shape(strip.places))
    with house_style():
        figure = Figure(figsize=(_INCHES[shape], 1.2 + 0.72 * len(rows)), layout="constrained")
        every = figure.subplots(1 + len(rows), 1, sharex=True, height_ratios=[1.3, *[1.0] * len(rows)])
        draw_line(
            every[0], strip.places, np.asarray(strip.values, np.float64), color=colour("ink"), linewidth=1
        )
        every[0].yaxis.set_major_locator(MaxNLocator(3))
        name_axis(every[0], strip.name)
        for axes, row in zip(every[1:], rows, strict=True):
            _draw_row(axes, strip, row)
        for axes in every[:-1]:
            axes.tick_params(bottom=False, labelbottom=False)
        every[0].margins(x=0.01)
        time_axis(every[-1], strip.places, shape)
        return figure


def _draw_row(axes: Axes, strip: Strip, row: GateRow) -> None:
    shade, values = colour(row.shade), np.asarray(row.values, np.float64)
    axes.fill_between(strip.places, 0.0, values, color=shade, alpha=0.22, linewidth=0)
    draw_line(axes, strip.places, values, color=shade, linewidth=1.2)
    if row.gate:
        axes.set_ylim(0, 1)
        axes.set_yticks([0, 1])
    else:
        axes.axhline(0, color=colour("muted"), linewidth=0.6)
        axes.yaxis.set_major_locator(MaxNLocator(2, min_n_ticks=2))
    axes.set_title(label(row.title), color=shade)


@dataclass(frozen=True, eq=False)
class Fading:
    """What is still held of a value.

    Args:
        title: as the legend shows it, empty for none. held: (T,) shares from 1 down.
        shade: role of the colour.
    """

    title: str
    held: Values
    shade: str = "muted"


def fading_chart(
    fadings: Sequence[Fading],
    threshold: float,
    name: str,
    beneath: str,
    forgotten: str,
    shape: Shape = "wide",
) -> Figure:
    """Shares still held, by the steps since; below the threshold a line is pale: forgotten.

    Args:
        fadings: at least one. threshold: in (0, 1). name: of the share. beneath: what a step is.
        forgotten: what stands at the threshold. shape: wide or narrow.
    """
    if not fadings or not 0 < threshold < 1:
        raise InputError(
            "fading_chart: expected a line or more and a threshold in (0, 1), "
            f"got {len(fadings)} and {threshold}"
        )
    with house_style():
        figure, axes = axes_of(shape)
        for fading in fadings[::-1]:  # the first on top
            held = np.asarray(fading.held, np.float64)
            lags, shade = np.arange(len(held)), colour(fading.shade)
            axes.plot(lags, held, color=shade, alpha=0.3, linewidth=1.2)
            axes.plot(lags, np.where(held >= threshold, held, np.nan), color=shade, linewidth=1.6)
        handles = [
            Line2D([], [], color=colour(each.shade), linewidth=1.6, label=label(each.title))
            for each in fadings
            if each.title
        ]
        axes.axhline(threshold, color=colour("muted"), linewidth=0.9, linestyle=(0, (4, 2)))
        axes.annotate(
            label(forgotten), (1, threshold), xycoords=("axes fraction", "data"), xytext=(0, 3),
            textcoords="offset points", ha="right", va="bottom", color=colour("muted"), fontsize=8,
        )  # fmt: skip
        axes.set_ylim(0, 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(8 if shape == "wide" else 4, integer=True))
        axes.set_xlabel(beneath)
        name_axis(axes, name)
        legend(figure, handles, shape)
        return figure


def squashing_chart(names: tuple[str, str] = ("σ(x)", "tanh(x)"), slope: str = "dashed: slope") -> Figure:
    """The logistic function and tanh side by side, each with its slope.

    Args:
        names: above the two. slope: what the dashed line is.
    """
    x = np.linspace(-6, 6, 241)
    sigmoid, tanh = 1 / (1 + np.exp(-x)), np.tanh(x)
    with house_style():
        figure = Figure(figsize=(_INCHES["wide"], 2.7), layout="constrained")
        pairs = (sigmoid, sigmoid * (1 - sigmoid), "orange"), (tanh, 1 - tanh**2, "purple")
        for axes, name, (values, rise, shade) in zip(figure.subplots(1, 2), names, pairs, strict=True):
            axes.plot(x, values, color=colour(shade), linewidth=1.9)
            axes.plot(x, rise, color=colour("muted"), linestyle=(0, (4, 2)))
            axes.text(-6, 0.6, f"{slope} ≤ {rise.max():g}", color=colour("muted"))
            axes.axhline(0, color=colour("muted"), linewidth=0.6)
            axes.grid(axis="y")
            axes.set_ylim(-1.1, 1.1)
            axes.set_yticks([-1, 0, 1])
            axes.set_xticks([-6, -3, 0, 3, 6])
            axes.set_title(label(name), color=colour(shade))
        return figure
