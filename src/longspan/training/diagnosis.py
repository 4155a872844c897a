"""Why a loss or a gradient is not finite: the first place where it shows, in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from longspan.training.losses import Fault

__all__ = ["explain_divergence"]


def explain_divergence(
    module: nn.Module, loss: Callable[[nn.Module, Any], Tensor], batch: Any, fault: Fault, *, exact: bool
) -> str:
    """The first cause that is found, in words.

    Args:
        module: with the gradients of the failed step still in place where `exact`.
        loss: as given to `train`.
        batch: of the failed step.
        fault: what was not finite.
        exact: the weights are those of the failed step, so the step can be repeated and looked into.
    """
    infected = _batch_fault(batch)
    if not exact:
        return infected or "Its batch is finite."
    name = _first_infected(dict(module.named_parameters()))
    if name is not None:
        return f"The parameter {name!r} was not finite before the step: the update before it was too large."
    place = _first_module(module, loss, batch) or _after_the_modules(module, fault)
    return f"{place} {infected}" if infected else place


def _after_the_modules(module: nn.Module, fault: Fault) -> str:
    if not math.isfinite(fault.loss):
        return "The outputs of all modules are finite, so it arose in the loss function."
    gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    name = _first_infected(gradients)
    if name is None:
        return "Every gradient is finite, but they are so large that their norm is not."
    return f"The gradient of {name!r} is not finite, while the outputs of all modules are."


def _first_infected(tensors: Mapping[str, Tensor]) -> str | None:
    return next((name for name, t in tensors.items() if not bool(torch.isfinite(t).all())), None)


def _batch_fault(batch: Any) -> str | None:
    for path, tensor in _tensors(batch, ""):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            nan, infinite = int(torch.isnan(tensor).sum()), int(torch.isinf(tensor).sum())
            where = f"its part {path!r}" if path else "it"
            return (
                f"The input batch is not finite: {where} holds {nan:,} NaN and {infinite:,} infinite values "
                f"of {tensor.numel():,}."
            )
    return None


def _tensors(value: Any, path: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a batch with their paths: nested mappings, sequences, named tuples and dataclasses."""
    if isinstance(value, Tensor):
        yield path, value
        return
    if is_dataclass(value):
        parts = [(field.name, getattr(value, field.name)) for field in fields(value)]
    elif isinstance(value, Mapping):
        parts = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        parts = list(zip(value._fields, value, strict=True))
    elif isinstance(value, (list, tuple)):
        parts = [(str(number), item) for number, item in enumerate(value)]
    else:
        parts = []
    for name, item in parts:
        yield from _tensors(item, f"{path}.{name}" if path else name)


def _first_module(module: nn.Module, loss: Callable[[nn.Module, Any], Tensor], batch: Any) -> str | None:
    """The step is repeated with an eye on every module: who first got or gave a value that is not finite?"""
    found: list[str] = []

    def watch(name: str) -> Any:
        def look(part: nn.Module, inputs: Any, output: Any) -> None:
            if found:
                return
            title = (
                f"module {name!r} ({type(part).__name__})" if name else f"the module ({type(part).__name__})"
            )
            if _is_bad(inputs):
                found.append(f"The input of {title} was already not finite.")
            elif _is_bad(output):
                found.append(f"The output of {title} is the first that is not finite.")

        return look

    hooks = [part.register_forward_hook(watch(name)) for name, part in module.named_modules()]
    try:
        with torch.no_grad():
            loss(module, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


def _is_bad(value: Any) -> bool:
    return any(t.is_floating_point() and not bool(torch.isfinite(t).all()) for _, t in _tensors(value, ""))
