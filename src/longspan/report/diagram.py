"""Drawings of boxes, arrows and words: a sentence with what decides it, a recurrent net unrolled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

from longspan.core.errors import InputError
from longspan.report.palette import colour
from longspan.report.style import house_style, is_wide

__all__ = ["WIDTH", "Canvas", "Recall", "UnrolledWords", "sentence_diagram", "unrolled_diagram"]

WIDTH = 76.0
"""Of a canvas, in tenths of an inch."""

Point = tuple[float, float]
_LETTER = 0.78  # tenths of an inch that a letter of 9 points takes


class Canvas:
    """An empty figure in tenths of an inch; to be made and drawn on within `house_style`.

    Args:
        height: in tenths of an inch; the origin is below on the left.
    """

    def __init__(self, height: float) -> None:
        self.figure = Figure(figsize=(WIDTH / 10, height / 10))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_xlim(0, WIDTH)
        self.axes.set_ylim(0, height)
        self.axes.set_axis_off()

    def words(self, at: Point, text: str, shade: str = "ink", **style: Any) -> None:
        """Text, its middle at a point unless told otherwise (``ha``, ``va``)."""
        usual: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9}
        self.axes.text(*at, text, color=colour(shade), **(usual | style))

    def box(self, at: Point, size: Point, text: str, shade: str = "muted") -> None:
        """A rounded box with its middle at a point."""
        low = (at[0] - size[0] / 2, at[1] - size[1] / 2)
        self.axes.add_patch(
            FancyBboxPatch(
                low, *size, boxstyle="round,pad=0,rounding_size=0.7", facecolor=colour("panel"),
                edgecolor=colour(shade), linewidth=1.3, zorder=3,
            )
        )  # fmt: skip
        self.words(at, text, shade, zorder=4)

    def disc(self, at: Point, text: str, shade: str = "ink", radius: float = 1.35) -> None:
        """A small circle: an operation by elements."""
        self.axes.add_patch(
            Circle(at, radius, facecolor=colour("ground"), edgecolor=colour(shade), linewidth=1.3, zorder=5)
        )
        self.words(at, text, shade, fontsize=10, zorder=6)

    def line(self, points: Sequence[Point], shade: str = "muted", width: float = 1.3, **style: Any) -> None:
        """A line through points."""
        across, up = zip(*points, strict=True)
        self.axes.plot(across, up, color=colour(shade), linewidth=width, **({"zorder": 2} | style))

    def arrow(self, points: Sequence[Point], shade: str = "muted", width: float = 1.3) -> None:
        """A line through points, with a head at its end."""
        if len(points) > 2:
            self.line(points[:-1], shade, width)
        self.axes.add_patch(
            FancyArrowPatch(
                points[-2], points[-1], arrowstyle="-|>", mutation_scale=9, shrinkA=0, shrinkB=0,
                color=colour(shade), linewidth=width, zorder=2,
            )
        )  # fmt: skip

    def arc(self, start: Point, end: Point, shade: str, height: float) -> None:
        """A bow from one point to another, above both, with a head at its end."""
        bend = -2 * height / max(abs(end[0] - start[0]), 1e-9)
        self.axes.add_patch(
            FancyArrowPatch(
                start, end, connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>", mutation_scale=9,
                shrinkA=0, shrinkB=0, color=colour(shade), linewidth=1.3, zorder=2,
            )
        )  # fmt: skip

    def shade(self, low: Point, size: Point, tone: str = "model", strength: float = 0.12) -> None:
        """A coloured ground."""
        self.axes.add_patch(
            Rectangle(low, *size, facecolor=colour(tone), alpha=strength, zorder=0, linewidth=0)
        )


@dataclass(frozen=True)
class Recall:
    """A sentence that ends with a word which another one decides.

    Args:
        words: the last one is to be guessed. decides: place of the word that tells it, from 0.
        note: how far apart they are, in words.
    """

    words: tuple[str, ...]
    decides: int
    note: str

    def __post_init__(self) -> None:
        if not 0 <= self.decides < len(self.words) - 1:
            raise InputError(
                f"sentence: expected a deciding word from 0 to {len(self.words) - 2}, got {self.decides}"
            )


def sentence_diagram(sentences: Sequence[Recall], window: int, note: str) -> Figure:
    """Sentences one below the other, with a bow from the word that decides to the one that is guessed.

    Args:
        sentences: at least one. window: words before the last that are shaded. note: what the shade is.

    Raises:
        InputError: no sentence, or one that is wider than the drawing.
    """
    if not sentences:
        raise InputError("sentence_diagram: expected at least one sentence, got none")
    rows = 9.5
    height = rows * len(sentences) + 3.5
    with house_style():
        canvas = Canvas(height)
        for place, sentence in enumerate(sentences):
            _draw_sentence(canvas, sentence, height - rows * (place + 1) + 2, window)
        canvas.shade((2, 1.2), (2.2, 1.6))
        canvas.words((5, 2), note, "muted", ha="left")
        return canvas.figure


def _draw_sentence(canvas: Canvas, sentence: Recall, level: float, window: int) -> None:
    widths = [_LETTER * sum(1 + is_wide(letter) for letter in word) + 1.3 for word in sentence.words]
    if sum(widths) > WIDTH - 4:
        raise InputError(
            f"sentence: expected at most {WIDTH - 4:.0f} tenths of an inch, got {sum(widths):.0f}: "
            f"{' '.join(sentence.words)!r}"
        )
    left = [2 + sum(widths[:place]) for place in range(len(widths))]
    middle = [start + width / 2 for start, width in zip(left, widths, strict=True)]
    last = len(widths) - 1
    first = max(0, last - window)
    canvas.shade((left[first], level - 1.5), (left[last] - left[first], 3))
    for place, word in enumerate(sentence.words):
        told = place in (sentence.decides, last)
        shade = "orange" if place == sentence.decides else "model" if place == last else "ink"
        canvas.words((middle[place], level), word, shade, weight="bold" if told else "normal")
    canvas.line([(left[last] + 0.5, level - 1.5), (left[last] + widths[last] - 0.5, level - 1.5)], "model")
    start, end = middle[sentence.decides], middle[last]
    canvas.arc((start, level + 1.3), (end, level + 1.3), "orange", 2.6)
    canvas.words(((start + end) / 2, level + 5), sentence.note, "orange", fontsize=8)


@dataclass(frozen=True)
class UnrolledWords:
    """What stands in `unrolled_diagram`."""

    folded: str = "the loop"
    unrolled: str = "the same net, drawn once for each step"
    shared: str = "the same W, U, b at every step"


def unrolled_diagram(steps: int = 4, words: UnrolledWords | None = None) -> Figure:
    """A recurrent net as a loop, and beside it unrolled over time.

    Args:
        steps: copies that are drawn, 2 to 5. words: in the reader's language.
    """
    if not 2 <= steps <= 5:
        raise InputError(f"unrolled_diagram: expected 2 to 5 steps, got {steps}")
    said = UnrolledWords() if words is None else words
    with house_style():
        canvas = Canvas(25)
        _draw_loop(canvas, 9.0, said.folded)
        canvas.words((18.5, 12.5), "=", fontsize=15)
        first, apart = 29.0, min(14.0, 39.0 / (steps - 1))
        places = [first + apart * step for step in range(steps)]
        canvas.arrow([(first - 7, 12.5), (first - 3, 12.5)], "model")
        canvas.words((first - 8.4, 12.5), "h₀", "model")
        for step, place in enumerate(places):
            number = "₁₂₃₄₅"[step]
            _draw_step(canvas, place, f"x{number}", f"h{number}")
            ends = (place + 3, place + apart - 3) if step + 1 < steps else (place + 3, place + 6)
            canvas.arrow([(ends[0], 12.5), (ends[1], 12.5)], "model")
            canvas.words(((ends[0] + ends[1]) / 2, 14.1), "U", "muted", fontsize=8)
        middle = (places[0] + places[-1]) / 2
        canvas.words((middle, 23.5), said.unrolled, "muted")
        canvas.words((middle, 1.3), said.shared, "muted")
        return canvas.figure


def _draw_step(canvas: Canvas, place: float, reads: str, gives: str) -> None:
    canvas.box((place, 12.5), (6, 5), "tanh", "model")
    canvas.arrow([(place, 5.3), (place, 10)])
    canvas.words((place + 1.3, 7.5), "W", "muted", fontsize=8)
    canvas.words((place, 4.2), reads)
    canvas.arrow([(place, 15), (place, 19.3)])
    canvas.words((place, 20.6), gives, "model")


def _draw_loop(canvas: Canvas, place: float, title: str) -> None:
    _draw_step(canvas, place, "xₜ", "hₜ")
    out, back = place + 6, place - 6
    path = [(place + 3, 12.5), (out, 12.5), (out, 17.2), (back, 17.2), (back, 12.5), (place - 3, 12.5)]
    canvas.arrow(path, "model")
    canvas.words((place + 4.7, 14.1), "U", "muted", fontsize=8)
    canvas.words((place, 23.5), title, "muted")
