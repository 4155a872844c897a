"""What the gates and states of a recurrent encoder do over time, on one example of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from longspan.cells.base import Cell
from longspan.core.errors import InputError
from longspan.inspect.probe import Visit
from longspan.nn.stack import Recurrent

__all__ = ["GateTrace", "check_layers", "movement", "ordered_units", "shown_names", "trace_gates"]

Values = NDArray[np.float32]
_MOST_STEPS = 2000  # that decide the order of the units


@dataclass(frozen=True, eq=False)
class GateTrace:
    """Gates and states of one layer in one direction, over the steps of one example.

    Attributes:
        layer: from 0. backward: the direction.
        values: name → float32 (T, H): activated gates and candidate, then states; ``h`` is P wide.
        state: the state that units are ordered and judged by: ``c`` where there is one, else ``h``.
        order: int64 (H,) units so that those that move together stand together.
        movement: float64 (H,) mean size of the change of the state from one step to the next.
    """

    layer: int
    backward: bool
    values: dict[str, Values]
    state: str
    order: NDArray[np.int64]
    movement: NDArray[np.float64]

    @property
    def busiest(self) -> int:
        """The unit that moves most."""
        return int(self.movement.argmax())

    @property
    def title(self) -> str:
        """``layer 1``, with the direction where it goes backward."""
        return f"layer {self.layer + 1}" + (", backward" if self.backward else "")


def shown_names(cell: Cell) -> tuple[str, ...]:
    """Activated gates, candidate and states of a cell, without what is before activation."""
    return tuple(name for name in cell.records if not name.startswith("pre_"))


def check_layers(layers: Sequence[int], count: int) -> tuple[int, ...]:
    """The layers asked for, from 0; the last one where none are.

    Raises:
        InputError: a layer that there is not.
    """
    wrong = [layer for layer in layers if not 1 <= layer <= count]
    if wrong:
        raise InputError(f"layers: expected numbers from 1 to {count}, got {wrong[0]}")
    return tuple(layer - 1 for layer in layers) or (count - 1,)


def trace_gates(layer: Recurrent, visit: Visit, row: int, layers: Sequence[int]) -> list[GateTrace]:
    """Gates over time of the layers asked for, in each direction.

    Args:
        layer: the recurrent layer. visit: what its encoder read. row: which of its sequences.
        layers: numbers from 0.
    """
    names = shown_names(layer.cell)
    with torch.no_grad():
        records = layer(visit.one(row), record=names)[2]
    found = []
    for number in layers:
        for side in range(layer.num_directions):
            values = {name: records[name][number, side, 0].float().cpu().numpy() for name in names}
            found.append(_trace(number, side == 1, values))
    return found


def _trace(layer: int, backward: bool, values: dict[str, Values]) -> GateTrace:
    state = "c" if "c" in values else "h"
    return GateTrace(layer, backward, values, state, ordered_units(values[state]), movement(values[state]))


def movement(state: Values) -> NDArray[np.float64]:
    """(H,) mean size of the change from one step to the next; 0 for a single step."""
    if len(state) < 2:
        return np.zeros(state.shape[1])
    return np.asarray(np.abs(np.diff(state.astype(np.float64), axis=0)).mean(axis=0))


def ordered_units(state: Values) -> NDArray[np.int64]:
    """Units (H,) so that those that move together stand together; those that never move come last.

    Average linkage on 1 - correlation, leaves in the order of least total distance (Bar-Joseph, Gifford and
    Jaakkola, Bioinformatics 17, 2001).

    Args:
        state: (T, H) over time.
    """
    picked = np.unique(np.linspace(0, len(state) - 1, min(len(state), _MOST_STEPS)).astype(np.int64))
    series = state[picked].astype(np.float64)
    spread = series.std(axis=0)
    moving = np.flatnonzero(spread > 1e-9 * np.maximum(1.0, np.abs(series).max(axis=0)))
    still = np.setdiff1d(np.arange(state.shape[1]), moving)
    if len(moving) > 2:
        distance = 1.0 - np.clip(np.corrcoef(series[:, moving].T), -1.0, 1.0)
        np.fill_diagonal(distance, 0.0)
        tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
        moving = moving[leaves_list(tree)]
    return np.concatenate([moving, still])
