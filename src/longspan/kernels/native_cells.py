"""Cells as the C++ engine numbers them: codes, options, weights and records."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch

from longspan.cells.base import Cell
from longspan.core.errors import InputError
from longspan.kernels.native_library import GATE, PRE, WEIGHTS

__all__ = ["Facts", "engine_code", "engine_options", "facts_of", "record_place", "unknown"]

_CELLS = {"lstm": 0, "rnn": 1, "gru": 2}
# Gates by their number in the engine, whether or not they have weights.
_NUMBERED = {"lstm": ("i", "f", "g", "o"), "rnn": ("g",), "gru": ("r", "z", "n")}
_H, _C = 8, 9  # places of the records of the states
_FLAGS = {"peephole": 1, "coupled": 2, "layer_norm": 8, "projection": 16}


class Facts(NamedTuple):
    """What a cell is to the engine.

    Attributes:
        code: its number.
        options: its options as bits.
        present: bits of the weights that it has.
        order: its weights as the engine numbers them.
        places: the engine's numbers of its weights, in the order of the cell.
        cell_clip: bound of the cell state, or 0.
    """

    code: int
    options: int
    present: int
    order: tuple[int, ...]
    places: tuple[int, ...]
    cell_clip: float


def _facts(cell: Cell) -> Facts:
    places = tuple(WEIGHTS.index(name) for name in cell.weight_names)
    return Facts(
        code=engine_code(cell),
        options=engine_options(cell),
        present=sum(1 << place for place in places),
        order=tuple(sorted(range(len(places)), key=places.__getitem__)),
        places=places,
        cell_clip=float(dict(cell.options).get("cell_clip") or 0.0),  # type: ignore[arg-type]
    )


_known_facts = cache(_facts)


def facts_of(cell: Cell) -> Facts:
    """The facts; a compiler would trace through what is cached, with a warning."""
    return _facts(cell) if torch.compiler.is_compiling() else _known_facts(cell)


def engine_code(cell: Cell) -> int:
    """The number of the cell in the engine.

    Raises:
        InputError: the engine does not have it.
    """
    reason = unknown(cell)
    if reason is not None:
        raise InputError(reason)
    return _CELLS[cell.name]


def unknown(cell: Cell) -> str | None:
    """None, or why the engine does not have this cell."""
    if cell.name not in _CELLS:
        return f"the native engine has no {cell.label}"
    return None


def engine_options(cell: Cell) -> int:
    """The options of the cell as bits of the header."""
    given = dict(cell.options)
    bits = sum(bit for name, bit in _FLAGS.items() if given.get(name))
    if given.get("forget_gate") is False:
        bits |= 4
    if given.get("nonlinearity") == "relu":
        bits |= 32
    if given.get("reset_after") is False:
        bits |= 64
    return bits


def record_place(cell: Cell, name: str) -> int:
    """Where the engine puts the record of this name."""
    if name in ("h", "c"):
        return _H if name == "h" else _C
    gates = _NUMBERED[cell.name]
    return (
        PRE + gates.index(name.removeprefix("pre_")) if name.startswith("pre_") else GATE + gates.index(name)
    )
