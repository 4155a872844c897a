"""A running average of the weights, used in their place for validation and for what is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from longspan.training.flat import Flat

__all__ = ["Average"]


class Average:
    """Exponential moving average of a module's floating-point parameters.

    ``a ← d·a + (1 - d)·w`` after each step, with ``d = min(decay, (1 + n) / (10 + n))`` after n steps, as
    ``tf.train.ExponentialMovingAverage`` with `num_updates` (after Polyak & Juditsky 1992). Buffers are not
    averaged.

    Args:
        module: its parameters are read, and swapped by `swapped_in`.
        decay: in (0, 1).
        flat: what of it is trained.

    Attributes:
        weights: name → the average of each floating-point parameter.
    """

    def __init__(self, module: nn.Module, decay: float, flat: Flat) -> None:
        self.decay, self._trained = decay, [p.detach() for p in flat.parameters]
        self._parameters = {n: p for n, p in module.named_parameters() if p.is_floating_point()}
        self._averages, views = flat.copies()
        self.weights = {
            name: views[id(p)] if id(p) in views else p.detach().clone()
            for name, p in self._parameters.items()
        }

    def update(self, steps: int) -> None:
        """Take in the weights as they are after `steps` steps."""
        decay = min(self.decay, (1 + steps) / (10 + steps))
        # Lists of one dtype and device run as one operation.
        torch._foreach_lerp_(self._averages, self._trained, 1.0 - decay)

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from the average that a checkpoint kept."""
        for name, tensor in self.weights.items():
            tensor.copy_(weights[name])

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Within the block the module has the averaged weights."""
        with torch.no_grad():
            kept = {name: p.detach().clone() for name, p in self._parameters.items()}
            for name, p in self._parameters.items():
                p.copy_(self.weights[name])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, p in self._parameters.items():
                    p.copy_(kept[name])
