"""Heat maps over time, one below the other under the user's own input: gates, states, what is still held.

The maps are pictures of colour whose strength is transparency, so they read on a light and on a dark ground.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from longspan.core.errors import InputError
from longspan.report.axes import Values, draw_line, expect, time_axis
from longspan.report.palette import COLOURS, colour
from longspan.report.style import Shape, house_style, label, name_axis

__all__ = ["Heat", "Strip", "attribution_chart", "heatmaps", "square_map"]

_WIDTH: dict[Shape, float] = {"wide": 7.6, "narrow": 3.75}  # inches
_MOST_COLUMNS: dict[Shape, int] = {"wide": 700, "narrow": 350}
_MOST_TOKENS: dict[Shape, int] = {"wide": 60, "narrow": 26}
_FEWEST_PIXELS = 700  # of a picture's side: enlarged by copies, since a browser would blur it
_STRIP, _TOKENS = 0.8, 0.25  # inches


@dataclass(frozen=True)
class Strip:
    """The user's own input over time, drawn above the maps.

    Args:
        places: (T,) datetime64, or whole numbers of steps.
        name: of the values, their unit.
        values: (T,) NaN where missing, or None.
        tokens: (T,) what stands at each step, or empty.
    """

    places: NDArray[Any]
    name: str
    values: Values | None = None
    tokens: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.values is not None:
            expect("values of the strip", np.shape(self.values), np.shape(self.places))
        if self.tokens and len(self.tokens) != len(self.places):
            raise InputError(
                f"figure: expected {len(self.places)} tokens, one a step, got {len(self.tokens)}"
            )


@dataclass(frozen=True)
class Heat:
    """One map.

    Args:
        title: what it shows.
        values: (rows, T). kind: ``share`` from 0 to 1, or ``signed`` about 0, as strong as the largest size.
        rows: place of a row → what stands beside it.
    """

    title: str
    values: NDArray[Any]
    kind: Literal["share", "signed"] = "share"
    rows: Mapping[int, str] = field(default_factory=dict)


def heatmaps(strip: Strip, heats: Sequence[Heat], shape: Shape = "wide") -> Figure:
    """The strip, and below it the maps on the same time axis.

    More steps than the picture has columns are averaged.

    Raises:
        InputError: no map, or one of another number of steps.
    """
    if not heats:
        raise InputError("heatmaps: expected at least one map, got none")
    steps = len(strip.places)
    for heat in heats:
        expect(f"map {heat.title!r}", np.shape(heat.values)[1:], (steps,))
    heights = [_height(len(heat.values)) for heat in heats]
    top = _TOKENS if strip.tokens else _STRIP
    with house_style():
        figure = Figure(
            figsize=(_WIDTH[shape], top + sum(heights) + 0.36 * len(heats) + 0.5), layout="constrained"
        )
        every = figure.subplots(1 + len(heats), 1, sharex=True, height_ratios=[top, *heights], squeeze=False)[
            :, 0
        ]
        ends = _ends(strip.places)
        _draw_strip(every[0], strip, shape)
        for axes, heat in zip(every[1:], heats, strict=True):
            _draw_map(axes, heat, ends, shape)
        for axes in every[:-1]:
            axes.tick_params(bottom=False, labelbottom=False)
        every[0].set_xlim(*ends)
        time_axis(every[-1], strip.places, shape)
        return figure


def attribution_chart(strip: Strip, shares: Values, name: str, shape: Shape = "wide") -> Figure:
    """The strip, and below it a bar a step: what it adds to a prediction.

    Args:
        strip: the input. shares: (T,) in the prediction's unit. name: what a bar is, with the unit.
        shape: wide or narrow.
    """
    expect("shares", np.shape(shares), np.shape(strip.places))
    with house_style():
        height = _TOKENS if strip.tokens else _STRIP
        figure = Figure(figsize=(_WIDTH[shape], 2.2 + height), layout="constrained")
        top, axes = figure.subplots(2, 1, sharex=True, height_ratios=[height, 1.6])
        _draw_strip(top, strip, shape)
        ends = _ends(strip.places)
        places = np.linspace(ends[0], ends[1], 2 * len(shares) + 1)[1::2]
        width = (ends[1] - ends[0]) / len(shares)
        for sign, shade in ((1, colour("model")), (-1, colour("orange"))):
            mine = shares * sign > 0
            axes.bar(places[mine], shares[mine], width=width, color=shade, linewidth=0)
        axes.axhline(0, color=colour("muted"), linewidth=0.8)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.set_xlim(*ends)
        time_axis(axes, strip.places, shape)
        name_axis(axes, name)
        return figure


def square_map(values: NDArray[Any], title: str, shape: Shape = "narrow") -> Figure:
    """A map of steps by steps, the reading step downwards.

    Full is the largest value of the later half of the reading steps: the first have little to choose from.

    Args:
        values: (T, T), at least zero. title: what it shows. shape: wide or narrow.
    """
    with house_style():
        figure = Figure(figsize=(_WIDTH[shape], 3.6), layout="constrained")
        axes = figure.add_subplot()
        steps = len(values)
        top = float(values[steps // 2 :].max()) or 1.0
        axes.imshow(
            _enlarged(_picture(values / top, "share")),
            extent=(0.5, steps + 0.5, steps + 0.5, 0.5),
            aspect="auto",
            interpolation="none",
        )
        axes.set_xlabel("step that is looked at")
        name_axis(axes, f"{title}, full from {top:.2g}")
        return figure


def _height(rows: int) -> float:
    """Inches of a map: a few rows are as high as their names."""
    return float(np.clip(0.055 * rows, max(0.5, 0.17 * min(rows, 12)), 2.0))


def _ends(places: NDArray[Any]) -> tuple[float, float]:
    """Where the first step begins and the last one ends, as matplotlib counts."""
    if np.issubdtype(places.dtype, np.datetime64):
        first, last = (float(date2num(each)) for each in (places[0], places[-1]))  # type: ignore[no-untyped-call]
    else:
        first, last = float(places[0]), float(places[-1])
    half = 0.5 * (last - first) / max(len(places) - 1, 1) or 0.5
    return first - half, last + half


def _draw_strip(axes: Axes, strip: Strip, shape: Shape) -> None:
    axes.grid(visible=False)
    axes.tick_params(bottom=False, labelbottom=False)
    axes.spines["bottom"].set_visible(False)
    if strip.tokens:
        _draw_tokens(axes, strip, shape)
    elif strip.values is not None:
        draw_line(
            axes, strip.places, np.asarray(strip.values, dtype=np.float64), color=colour("ink"), linewidth=1.0
        )
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.margins(y=0.1)
    name_axis(axes, strip.name)


def _draw_tokens(axes: Axes, strip: Strip, shape: Shape) -> None:
    """Every token where there is room for it, else every so many."""
    axes.set_yticks([])
    axes.set_ylim(0, 1)
    longest = max(len(token) for token in strip.tokens)
    room = max(1, _MOST_TOKENS[shape] // max(1, min(longest, 6)))
    every = -(-len(strip.tokens) // room)
    for place in range(len(strip.tokens) - 1, -1, -every):
        axes.annotate(
            label(strip.tokens[place], 6),
            (strip.places[place], 0.5),
            ha="center",
            va="center",
            color=colour("ink"),
            fontsize=8,
        )


def _draw_map(axes: Axes, heat: Heat, ends: tuple[float, float], shape: Shape) -> None:
    values = _averaged(np.asarray(heat.values, dtype=np.float64), _MOST_COLUMNS[shape])
    top = 1.0 if heat.kind == "share" else float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    rows = len(values)
    axes.grid(visible=False)
    axes.imshow(
        _enlarged(_picture(values / top, heat.kind)), extent=(*ends, rows - 0.5, -0.5), aspect="auto",
        interpolation="none",
    )  # fmt: skip
    axes.set_yticks(list(heat.rows), [label(name, 18) for name in heat.rows.values()])
    for side in axes.spines.values():
        side.set_visible(True)
    key = (
        "0 is blank, 1 is full" if heat.kind == "share" else f"blue above 0, orange below, full at ±{top:.2g}"
    )
    name_axis(axes, f"{heat.title} ({key})")


def _averaged(values: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """(rows, at most ``most``) means of neighbouring columns."""
    if values.shape[1] <= most:
        return values
    edges = np.linspace(0, values.shape[1], most + 1).round().astype(np.int64)
    sums = np.add.reduceat(values, edges[:-1], axis=1)
    return np.asarray(sums / np.diff(edges))


def _picture(values: NDArray[Any], kind: str) -> NDArray[np.uint8]:
    """(rows, columns, 4) RGBA of values in [-1, 1]: the colour says the sign, the alpha the size."""
    positive, negative = _middle("model"), _middle("orange")
    picture = np.empty((*values.shape, 4), dtype=np.uint8)
    picture[..., :3] = positive if kind == "share" else np.where((values >= 0)[..., None], positive, negative)
    picture[..., 3] = np.round(255 * np.clip(np.nan_to_num(np.abs(values)), 0.0, 1.0))
    return picture


def _middle(role: str) -> NDArray[np.uint8]:
    """The colour between the light and the dark theme's: a picture cannot follow the theme."""
    entry = next(each for each in COLOURS if each.name == role)
    both = [[int(text[at : at + 2], 16) for at in (1, 3, 5)] for text in (entry.light, entry.dark)]
    return np.asarray(np.mean(both, axis=0), dtype=np.uint8)


def _enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Copies of rows and columns until the picture is large enough not to be blurred."""
    rows, columns = (max(1, _FEWEST_PIXELS // max(1, side)) for side in picture.shape[:2])
    return np.asarray(picture.repeat(min(rows, 12), axis=0).repeat(columns, axis=1))
