"""The update of the weights: weight decay, and an optimiser in the fastest form that the device has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.optim import Optimizer

from longspan.core.errors import InputError
from longspan.training.flat import Flat
from longspan.training.settings import Settings

__all__ = ["Updates"]

_FUSED = ("cpu", "cuda", "mps")
_MOMENTUM = 0.9


class Updates:
    """Steps over what is trained; weight decay only on parameters of two dimensions or more.

    The decay is torch's, but not left to its optimiser, which would want a group of its own for what decays
    and take twice as long: ``w ← (1 - rate·decay)·w`` before a step of AdamW (Loshchilov & Hutter 2019), and
    ``decay·w`` added to the gradient for the others.

    Args:
        flat: what is trained.
        settings: which optimiser, and how much decay.

    Raises:
        InputError: there is nothing to train.
    """

    def __init__(self, flat: Flat, settings: Settings) -> None:
        if not flat.parameters:
            raise InputError("module: expected parameters to train, got none that requires a gradient")
        self._optimizer, self._flat = _optimizer(flat, settings), flat
        self._decay, self._decoupled = settings.weight_decay, settings.optimizer == "adamw"

    def step(self, rate: float) -> None:
        """One update from the gradients at this learning rate."""
        if self._decay > 0:
            self._apply_decay(rate)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()

    def _apply_decay(self, rate: float) -> None:
        weights, gradients = [], []
        for p in self._flat.decayed:
            if p.grad is not None:  # like torch's, which leave alone what has no gradient
                weights.append(p.detach())
                gradients.append(p.grad)
        if not weights:
            return
        if self._decoupled:
            torch._foreach_mul_(weights, 1.0 - rate * self._decay)
        else:
            torch._foreach_add_(gradients, weights, alpha=self._decay)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return self._optimizer.state_dict()

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            InputError: it is of another network, or of a version that laid the weights out otherwise.
        """
        try:
            self._optimizer.load_state_dict(dict(state))
        except ValueError as error:
            raise InputError(
                f"checkpoint: expected an optimiser of the same groups of weights, got others: {error}. "
                "It is of another network or version; start anew without --resume"
            ) from error


def _optimizer(flat: Flat, settings: Settings) -> Optimizer:
    fused = all(p.device.type in _FUSED and p.is_floating_point() for p in flat.parameters)
    options: dict[str, Any] = {"lr": settings.learning_rate, "fused": fused, "foreach": not fused}
    match settings.optimizer:
        case "adamw":
            return torch.optim.AdamW(flat.parameters, weight_decay=0.0, **options)
        case "adam":
            return torch.optim.Adam(flat.parameters, **options)
        case _:
            return torch.optim.SGD(flat.parameters, momentum=_MOMENTUM, **options)
