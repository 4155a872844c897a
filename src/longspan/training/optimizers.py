"""The optimisers, in the fastest form that the device has."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim import Optimizer

from longspan.core.errors import InputError
from longspan.training.flat import Flat
from longspan.training.settings import Settings

__all__ = ["make_optimizer"]

_FUSED = ("cpu", "cuda", "mps")
_MOMENTUM = 0.9


def make_optimizer(flat: Flat, settings: Settings) -> Optimizer:
    """An optimiser over what is trained; weight decay only on parameters of two dimensions or more.

    Raises:
        InputError: there is nothing to train.
    """
    trainable = flat.parameters
    if not trainable:
        raise InputError("module: expected parameters to train, got none that requires a gradient")
    groups = []
    for decayed in (True, False):
        params = [p for p, each in zip(trainable, flat.decayed, strict=True) if each is decayed]
        if params:
            groups.append({"params": params, "weight_decay": settings.weight_decay if decayed else 0.0})
    fused = all(p.device.type in _FUSED and p.is_floating_point() for p in trainable)
    options: dict[str, Any] = {"lr": settings.learning_rate, "fused": fused, "foreach": not fused}
    match settings.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, **options)
        case "adam":
            return torch.optim.Adam(groups, **options)
        case _:
            return torch.optim.SGD(groups, momentum=_MOMENTUM, **options)
