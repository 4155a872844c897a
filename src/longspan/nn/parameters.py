"""Names, shapes and starting values of the weights of a recurrent stack; torch's names for what torch has."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from longspan.cells.base import Cell, Weight

__all__ = ["Slot", "slots", "start"]

# What torch's own layers hold. It is drawn first, in torch's order, so that a seed gives torch's numbers.
_TORCH = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


class Slot(NamedTuple):
    """One weight of one layer and direction.

    Attributes:
        name: for instance ``weight_ih_l0_reverse``.
        shape: its sizes.
        weight: the entry of the cell's record.
        layer: number of the layer.
        direction: 0 forward, 1 backward.
    """

    name: str
    shape: tuple[int, ...]
    weight: Weight
    layer: int
    direction: int


def slots(
    cell: Cell, input_size: int, hidden_size: int, proj_size: int, num_layers: int, directions: int
) -> Iterator[Slot]:
    """Every weight of the stack in the order in which kernels get them."""
    for layer in range(num_layers):
        width = input_size if layer == 0 else directions * (proj_size or hidden_size)
        shapes = cell.shapes(width, hidden_size, proj_size)
        for direction in range(directions):
            suffix = f"_l{layer}" + ("_reverse" if direction else "")
            for weight in cell.weights:
                yield Slot(weight.name + suffix, shapes[weight.name], weight, layer, direction)


def start(stack: list[tuple[Slot, Tensor]], hidden_size: int) -> None:
    """Give every weight its starting value, in place: U(-1/sqrt(H), 1/sqrt(H)), ones or zeros.

    With the same seed the weights that torch's layer has get the numbers that torch gives them, whatever
    options the cell has, as long as their shapes are the same.
    """
    bound = 1.0 / math.sqrt(hidden_size)
    ours = [entry for entry in stack if entry[0].weight.name not in _TORCH]
    theirs = [entry for entry in stack if entry[0].weight.name in _TORCH]
    with torch.no_grad():
        for slot, tensor in theirs + ours:
            if slot.weight.start == "uniform":
                tensor.uniform_(-bound, bound)
            else:
                tensor.fill_(1.0 if slot.weight.start == "ones" else 0.0)
