"""Drawings of the LSTM: one step with its four gates, and its state as a line through time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from longspan.core.errors import InputError
from longspan.report.diagram import WIDTH, Canvas
from longspan.report.style import house_style

__all__ = ["GATE_SHADES", "CellWords", "LineWords", "cell_diagram", "line_diagram"]

GATE_SHADES = {"f": "orange", "i": "green", "g": "purple", "o": "ochre", "c": "model", "h": "ink"}
"""The colour of each gate and state, the same in every figure."""

_STATE, _BUS, _GATES = 35.0, 9.0, 16.5  # levels of `cell_diagram`
_PLACES = {"f": 17.0, "i": 32.0, "g": 46.0, "o": 60.0}
_OUT = 68.0


@dataclass(frozen=True)
class CellWords:
    """What stands in `cell_diagram`: for each gate its name and what it does."""

    f: tuple[str, str] = ("forget gate f", "what stays")
    i: tuple[str, str] = ("input gate i", "how much is written")
    g: tuple[str, str] = ("candidate g", "what is written")
    o: tuple[str, str] = ("output gate o", "what is shown")
    state: str = "the cell state: a line through time, only scaled and added to"


def cell_diagram(words: CellWords | None = None) -> Figure:
    """One step of an LSTM: c' = f ⊙ c + i ⊙ g and h' = o ⊙ tanh(c')."""
    said = CellWords() if words is None else words
    with house_style():
        canvas = Canvas(40)
        canvas.arrow([(5, _STATE), (71.5, _STATE)], "model", 3)
        canvas.words((2.6, _STATE), "cₜ₋₁", "model", fontsize=10)
        canvas.words((73.6, _STATE), "cₜ", "model", fontsize=10)
        canvas.words((39, 38.7), said.state, "model")
        _draw_inputs(canvas)
        for gate, place in _PLACES.items():
            _draw_gate(canvas, gate, place, getattr(said, gate))
        _draw_writing(canvas)
        _draw_output(canvas)
        return canvas.figure


def _draw_inputs(canvas: Canvas) -> None:
    canvas.line([(5, _BUS), (_PLACES["o"], _BUS)])
    canvas.words((2.6, _BUS), "hₜ₋₁", fontsize=10)
    canvas.arrow([(8, 4.6), (8, _BUS)])
    canvas.words((8, 3.2), "xₜ", fontsize=10)


def _draw_gate(canvas: Canvas, gate: str, place: float, words: tuple[str, str]) -> None:
    shade = GATE_SHADES[gate]
    canvas.arrow([(place, _BUS), (place, _GATES - 2)])
    canvas.box((place, _GATES), (6, 4), "tanh" if gate == "g" else "σ", shade)
    canvas.words((place, 6), words[0], shade, weight="bold")
    canvas.words((place, 3.6), words[1], "muted", fontsize=8)


def _draw_writing(canvas: Canvas) -> None:
    f, i, g = (_PLACES[gate] for gate in "fig")
    canvas.arrow([(f, _GATES + 2), (f, _STATE - 1.4)], GATE_SHADES["f"])
    canvas.disc((f, _STATE), "×")
    middle, level = (i + g) / 2, 25.5
    canvas.arrow([(i, _GATES + 2), (i, level), (middle - 1.4, level)], GATE_SHADES["i"])
    canvas.arrow([(g, _GATES + 2), (g, level), (middle + 1.4, level)], GATE_SHADES["g"])
    canvas.disc((middle, level), "×")
    canvas.arrow([(middle, level + 1.4), (middle, _STATE - 1.4)])
    canvas.disc((middle, _STATE), "+")
    for place, level, text, shade in ((f, 27.0, "f", "f"), (i, 22.0, "i", "i"), (g, 22.0, "g", "g")):
        canvas.words((place + 1.2, level), text, GATE_SHADES[shade])
    canvas.words((middle + 2.8, 30), "i ⊙ g", "muted")


def _draw_output(canvas: Canvas) -> None:
    level = 22.0
    canvas.arrow([(_OUT, _STATE), (_OUT, 31)], "model")
    canvas.box((_OUT, 29), (6, 4), "tanh", "model")
    canvas.arrow([(_OUT, 27), (_OUT, level + 1.4)], "model")
    canvas.arrow([(_PLACES["o"], _GATES + 2), (_PLACES["o"], level), (_OUT - 1.4, level)], GATE_SHADES["o"])
    canvas.words((_PLACES["o"] + 1.2, 20), "o", GATE_SHADES["o"])
    canvas.disc((_OUT, level), "×")
    canvas.arrow([(_OUT, level - 1.4), (_OUT, _BUS), (71.5, _BUS)])
    canvas.words((73.6, _BUS), "hₜ", fontsize=10)


@dataclass(frozen=True)
class LineWords:
    """What stands in `line_diagram`."""

    plain: str = "plain RNN: at every step all of h goes through U and tanh"
    lstm: str = "LSTM: at every step c is scaled by f and added to"
    write: str = "write"


def line_diagram(keeps: Sequence[float], passes: Sequence[float], words: LineWords | None = None) -> Figure:
    """What is left of a value over the steps, as the width of a line: through an RNN and through an LSTM.

    Args:
        keeps: the forget gate at each later step, in [0, 1]. passes: the factor of the plain RNN there.
        words: in the reader's language.

    Raises:
        InputError: factors outside of [0, 1], or another number of them than 1 to 6, or not as many of both.
    """
    if len(keeps) != len(passes) or not 1 <= len(keeps) <= 6:
        raise InputError(
            f"line_diagram: expected 1 to 6 factors, as many of both, got {len(keeps)} and {len(passes)}"
        )
    wrong = [each for each in (*keeps, *passes) if not 0 <= each <= 1]
    if wrong:
        raise InputError(f"line_diagram: expected factors in [0, 1], got {wrong[0]}")
    said = LineWords() if words is None else words
    with house_style():
        canvas = Canvas(31)
        _draw_share_row(canvas, 22, said.plain, passes, said, gated=False)
        _draw_share_row(canvas, 6, said.lstm, keeps, said, gated=True)
        return canvas.figure


def _draw_share_row(
    canvas: Canvas, level: float, title: str, factors: Sequence[float], said: LineWords, *, gated: bool
) -> None:
    canvas.words((2, level + 6.5), title, "ink", ha="left")
    shade = "model" if gated else "orange"
    first, apart = 9.0, (WIDTH - 16) / len(factors)
    share, start = 1.0, first
    canvas.words((first, level + 3), "1.00", shade, fontsize=8)
    canvas.arrow([(first, level - 5), (first, level - 1.5)], "green")
    canvas.disc((first, level), "+", "green")
    canvas.words((first + 1, level - 4.2), said.write, "green", fontsize=8, ha="left")
    for number, factor in enumerate(factors):
        place = first + apart * (number + 1)
        canvas.line([(start, level), (place, level)], shade, _width(share), solid_capstyle="butt")
        share *= factor
        if gated:
            canvas.arrow([(place, level - 5), (place, level - 1.5)], "orange")
            canvas.disc((place, level), "×")
            canvas.words((place + 1, level - 4.2), f"f = {factor:.2f}", "orange", fontsize=8, ha="left")
        else:
            canvas.box((place, level), (6.4, 4), "U, tanh", "orange")
        canvas.words((place, level + 3), f"{share:.2f}", shade, fontsize=8)
        start = place
    canvas.arrow([(start, level), (WIDTH - 2, level)], shade, _width(share))


def _width(share: float) -> float:
    """Points: a hair is left even of nothing."""
    return 0.5 + 6.5 * share
