"""How figures look: fonts, thin lines, two shapes, and axes that name their unit."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from longspan.report.palette import colour

__all__ = [
    "Shape",
    "axes_of",
    "house_style",
    "is_wide",
    "label",
    "legend",
    "log_axis",
    "name_axis",
    "wrapped",
]

Shape = Literal["wide", "narrow"]
"""``wide`` for a page, ``narrow`` for a phone: the same text size, half the width."""

_SIZES: dict[Shape, tuple[float, float]] = {"wide": (7.6, 3.5), "narrow": (3.75, 3.3)}  # inches
_LONGEST_LABEL, _LONGEST_NAME = 60, 140
_LETTER, _TICK_LABELS = 0.075, 0.6  # inches: a letter, and the labels beside the axis


def house_style() -> AbstractContextManager[None]:
    """The settings under which every figure is drawn and saved; matplotlib's own come back afterwards."""
    settings: Any = {  # matplotlib's own types name every key anew in each version
        "axes.edgecolor": colour("grid"),
        "axes.facecolor": "none",
        "axes.labelcolor": colour("muted"),
        "axes.linewidth": 0.8,
        "axes.spines.left": False,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": colour("muted"),
        "axes.titlelocation": "left",
        "axes.titlepad": 8,
        "axes.titlesize": 9,
        "figure.facecolor": "none",
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "grid.color": colour("grid"),
        "grid.linewidth": 0.6,
        "legend.fontsize": 9,
        "legend.labelcolor": colour("ink"),
        "lines.linewidth": 1.4,
        "lines.solid_capstyle": "round",
        "svg.fonttype": "none",  # text stays text: it is read, searched and copied, in any script
        "svg.hashsalt": "longspan",  # the same data gives the same bytes
        "text.color": colour("ink"),
        "text.parse_math": False,  # a column may be called "$"
        "timezone": "UTC",
        "xtick.color": colour("muted"),
        "xtick.major.size": 3,
        "ytick.color": colour("muted"),
        "ytick.left": False,
    }
    return matplotlib.rc_context(settings)


def axes_of(shape: Shape) -> tuple[Figure, Axes]:
    """A figure with one pair of axes and horizontal grid lines; to be called in `house_style`."""
    figure = Figure(figsize=_SIZES[shape], layout="constrained")
    axes = figure.add_subplot()
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.margins(x=0.02)
    axes.yaxis.set_major_formatter(FuncFormatter(_tick))
    return figure, axes


def log_axis(axes: Axes) -> None:
    """A logarithmic vertical axis with plain numbers; matplotlib would write powers in its own markup."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(_tick))
    axes.yaxis.set_minor_formatter(NullFormatter())


def name_axis(axes: Axes, name: str) -> None:
    """The name of what is measured, level above the axis, where it reads in any script."""
    inches = axes.figure.bbox.width / axes.figure.dpi - _TICK_LABELS
    axes.set_title(wrapped(label(name, _LONGEST_NAME), int(inches / _LETTER), lines=3))


def legend(figure: Figure, handles: Sequence[Artist], shape: Shape) -> None:
    """What the lines mean, read row by row above the axes, in as many columns as the width holds."""
    columns = _legend_columns([str(handle.get_label()) for handle in handles], _SIZES[shape][0])
    figure.legend(
        handles=[handle for first in range(columns) for handle in handles[first::columns]],
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        handlelength=1.6,
        columnspacing=1.4,
        handletextpad=0.5,
        borderaxespad=0,
    )


def label(text: str, longest: int = _LONGEST_LABEL) -> str:
    """A user's name as one printable line of bounded length."""
    shown = "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") and not c.isspace() else c for c in text
    )
    line = " ".join(shown.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def wrapped(line: str, letters: int, lines: int = 2) -> str:
    """A line over at most so many lines of so many letters, broken at a blank where there is one near.

    An East Asian letter counts as two. What does not fit is cut off, and ends in "…".
    """
    rows: list[str] = []
    rest = line
    while rest and len(rows) < lines:
        end = _fitting(rest, letters)
        if end < len(rest) and len(rows) == lines - 1:
            row, rest = rest[: max(1, _fitting(rest, letters - 1))] + "…", ""
        else:
            blank = rest.rfind(" ", 0, end + 1)
            end = blank if end < len(rest) and blank > end // 2 else end
            row, rest = rest[:end], rest[end:].lstrip()
        rows.append(row)
    return "\n".join(rows)


def is_wide(letter: str) -> bool:
    """Whether a letter is of a Chinese, Japanese or Korean script, or as wide as one."""
    return unicodedata.east_asian_width(letter) in ("W", "F")


def _fitting(text: str, letters: int) -> int:
    """How much of the text so many letters hold, one letter at least."""
    used = 0
    for place, letter in enumerate(text):
        used += 1 + is_wide(letter)
        if used > letters:
            return max(1, place)
    return len(text)


def _legend_columns(labels: Sequence[str], inches: float) -> int:
    """The most columns that fit: an East Asian letter takes the place of two, a sample 0.45 inches."""
    wide = [sum(1 + is_wide(letter) for letter in text) for text in labels]
    widths = [0.45 + _LETTER * letters for letters in wide]
    for columns in range(len(labels), 1, -1):
        if sum(max(widths[first::columns]) for first in range(columns)) <= inches:
            return columns
    return 1


def _tick(value: float, _position: int | None) -> str:
    text = f"{value:,.12g}" if abs(value) < 1e12 else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")
