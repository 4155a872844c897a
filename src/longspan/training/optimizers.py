"""The optimisers, in the fastest form that the device has."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from longspan.core.errors import InputError
from longspan.training.settings import Settings

__all__ = ["make_optimizer"]

_FUSED = ("cpu", "cuda", "mps")
_MOMENTUM = 0.9


def make_optimizer(module: nn.Module, settings: Settings) -> Optimizer:
    """An optimiser over what the module can train; weight decay only on parameters of two dimensions or more.

    Raises:
        InputError: the module has nothing to train.
    """
    trainable = [p for p in module.parameters() if p.requires_grad]
    if not trainable:
        raise InputError("module: expected parameters to train, got none that requires a gradient")
    decayed = [p for p in trainable if p.ndim >= 2 and settings.weight_decay > 0]
    others = [p for p in trainable if p.ndim < 2 or settings.weight_decay == 0]
    # One group where one will do: each costs its share of a small step.
    groups = [
        {"params": params, "weight_decay": decay}
        for params, decay in ((decayed, settings.weight_decay), (others, 0.0))
        if params
    ]
    fused = all(p.device.type in _FUSED and p.is_floating_point() for p in trainable)
    options: dict[str, Any] = {"lr": settings.learning_rate, "fused": fused, "foreach": not fused}
    match settings.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, **options)
        case "adam":
            return torch.optim.Adam(groups, **options)
        case _:
            return torch.optim.SGD(groups, momentum=_MOMENTUM, **options)
