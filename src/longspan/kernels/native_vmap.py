"""The operators of ``native_ops`` under ``torch.vmap``.

Where only x, states, lengths, reset masks or sample ids have the mapped dimension and no tape is kept, it
joins the batch of one call; otherwise the engine runs once for each slice. Either way each slice has the bits
that it has alone, random masks included: a slice without sample ids of its own counts its sequences from 0.
Whether slices share their masks is the caller's choice of ``randomness``: it decides whether the seed that
the layer draws is one ("same") or has the mapped dimension ("different").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from longspan.kernels.native_library import NativeError

__all__ = ["register"]

_X, _H, _C, _WEIGHTS, _LENGTHS, _RESET, _FRESH_H, _FRESH_C, _SEED, _IDS, _STEP, _NUMBERS = range(12)
_KEEP = 5  # place among the numbers
# Where the batch is in what may be folded.
_BATCH_DIMS = {_X: 1, _H: 0, _C: 0, _LENGTHS: 0, _RESET: 1, _IDS: 0}


def register(library: torch.library.Library) -> None:
    """Enter the rules of both operators."""
    torch.library.register_vmap("longspan::native_side", _forward, lib=library)
    torch.library.register_vmap("longspan::native_side_backward", _backward, lib=library)
    library.impl("native_side_backward", _refused, "Batched")  # type: ignore[no-untyped-call]


def _refused(*_: Any) -> Any:
    """The vmap that torch.autograd had before torch.func, with tensors of another kind."""
    raise NativeError(
        "the native engine: expected the gradients of one backward pass, got a batch of them "
        "(is_grads_batched or vectorize=True of torch.autograd): use torch.func.jacrev, or run the layer in "
        'using("reference")'
    )


def _forward(info: Any, dims: Sequence[Any], *given: Any) -> tuple[Any, Any]:
    if _folds(dims, given):
        return _folded(info.batch_size, dims, given)
    found = _each(torch.ops.longspan.native_side, info.batch_size, dims, given)
    return tuple(_stacked(parts, info.batch_size) for parts in zip(*found, strict=True)), (0,) * 5


def _backward(info: Any, dims: Sequence[Any], *given: Any) -> tuple[Any, Any]:
    found = _each(torch.ops.longspan.native_side_backward, info.batch_size, dims, given)
    *parts, weights = zip(*found, strict=True)
    stacked = [_stacked(slices, info.batch_size) for slices in zip(*weights, strict=True)]
    return (*(_stacked(part, info.batch_size) for part in parts), stacked), (*[0] * 5, [0] * len(stacked))


def _each(
    operator: Callable[..., Any], count: int, dims: Sequence[Any], given: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """The operator on every slice; on one of zeros where there is none, for the shapes."""
    return [
        operator(*(_slice(value, dim, place) for value, dim in zip(given, dims, strict=True)))
        for place in range(max(count, 1))
    ]


def _slice(value: Any, dim: Any, place: int) -> Any:
    if isinstance(dim, list | tuple):
        return [_slice(part, inner, place) for part, inner in zip(value, dim, strict=True)]
    if dim is None:
        return value
    return value.select(dim, place) if value.shape[dim] else value.new_zeros(value.movedim(dim, 0).shape[1:])


def _stacked(parts: Sequence[Tensor], count: int) -> Tensor:
    return torch.stack(tuple(parts))[:count]


def _folds(dims: Sequence[Any], given: Sequence[Any]) -> bool:
    """Whether every slice has the same weights, fresh states and masks' key, and no tape of its own."""
    shared = (*dims[_WEIGHTS], *(dims[k] for k in (_FRESH_H, _FRESH_C, _SEED, _STEP)))
    return all(dim is None for dim in shared) and not given[_NUMBERS][_KEEP]


def _folded(count: int, dims: Sequence[Any], given: Sequence[Any]) -> tuple[Any, Any]:
    """One call for all slices: N slices of B sequences are a batch of N·B."""
    tensors = list(given)
    batch = _slice(given[_H], dims[_H], 0).shape[0]
    if tensors[_SEED] is not None and tensors[_IDS] is None:
        tensors[_IDS] = torch.arange(batch, device="cpu")
    for place, at in _BATCH_DIMS.items():
        if isinstance(tensors[place], Tensor):
            tensors[place] = _joined(tensors[place], dims[place], count, at)
    y, h, c, records, tape = torch.ops.longspan.native_side(*tensors)
    slices = (count, batch)
    found = (y.unflatten(1, slices), h.unflatten(0, slices), c, records.unflatten(1, slices), tape)
    if c.dim() == 1:  # the cell has none
        return found, (1, 0, None, 1, None)
    return (*found[:2], c.unflatten(0, slices), *found[3:]), (1, 0, 0, 1, None)


def _joined(value: Tensor, dim: int | None, count: int, at: int) -> Tensor:
    """The mapped dimension inside of the batch dimension ``at``."""
    if dim is None:
        each = value.unsqueeze(at).expand(*value.shape[:at], count, *value.shape[at:])
    else:
        each = value.movedim(dim, at)
    return each.flatten(at, at + 1)
