"""One call of a layer over whole sequences, forward or with its backward pass: as timed, and as judged."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Call", "widened"]


class Call(NamedTuple):
    """What is called with what.

    Attributes:
        layer: whose weights get gradients.
        forward: the layer, or a function that calls it: x to (y, (h, c)), and perhaps records.
        x: (T, B, I).
        dy: (T, B, H), the gradient of the loss to y; None for a forward pass alone.
    """

    layer: nn.Module
    forward: Callable[..., Any]
    x: Tensor
    dy: Tensor | None

    def timed(self) -> Callable[[], object]:
        """The call alone; with ``dy`` it is a training step without its optimiser."""
        if self.dy is None:
            return lambda: self.forward(self.x)
        x = self.x.detach().requires_grad_()
        wanted, dy = [x, *self.layer.parameters()], self.dy
        return lambda: torch.autograd.grad(self.forward(x)[0], wanted, dy)

    def found(self) -> dict[str, Tensor]:
        """Output, final state, records, and with ``dy`` the gradients of x and of every weight, by name."""
        with torch.set_grad_enabled(self.dy is not None):
            x = self.x.detach().requires_grad_(self.dy is not None)
            y, (h, c), *records = self.forward(x)
        found = {"y": y, "h": h, "c": c}
        found |= {f"record {name}": part for each in records for name, part in each.items()}
        if self.dy is not None:
            named = {"x": x, **dict(self.layer.named_parameters())}
            slopes = torch.autograd.grad(y, list(named.values()), self.dy)
            found |= {f"gradient of {name}": part for name, part in zip(named, slopes, strict=True)}
        return found


def widened(layer: nn.Module, x: Tensor, dy: Tensor | None) -> tuple[Any, Tensor, Tensor | None]:
    """The same in float64: a copy of the layer, x and dy."""
    return copy.deepcopy(layer).double(), x.double(), None if dy is None else dy.double()
