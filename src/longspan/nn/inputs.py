"""Checks of what a recurrent layer is called with. Each error names the layer, what was expected and what was
got.

Nothing here reads the values of a tensor except ``as_lengths``, and that only outside of tracing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan.cells.base import Cell
from longspan.core.errors import InputError

__all__ = [
    "Call",
    "as_integer",
    "as_lengths",
    "as_records",
    "as_reset",
    "as_sample_ids",
    "as_state",
    "lay_out",
    "permuted",
]

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


class Call(NamedTuple):
    """The input of a call, laid out.

    Attributes:
        x: (T, B, I) or (B, T, I), or the data of a packed sequence.
        steps: T.
        batch: B.
        unbatched: whether the batch of one was put there.
        sizes: batch sizes of a packed sequence.
        order: for a packed sequence that was sorted, the original place of each row.
    """

    x: Tensor
    steps: int
    batch: int
    unbatched: bool = False
    sizes: Tensor | None = None
    order: Tensor | None = None


def lay_out(
    given: Tensor | PackedSequence, input_size: int, weight: Tensor, where: str, *, batch_first: bool
) -> Call:
    """Check the input of a layer and find its sizes.

    Raises:
        InputError: another number of dimensions, features or floating type than the layer has.
    """
    if isinstance(given, PackedSequence):
        x, sizes, order, _ = given
        _check_features(x, input_size, weight, where, batch_first=batch_first)
        return Call(x, sizes.shape[0], int(sizes[0]), False, sizes, order)
    if not isinstance(given, Tensor):
        raise InputError(
            f"{where}: expected a tensor or a PackedSequence as input, got {type(given).__name__}"
        )
    if given.dim() not in (2, 3):
        raise InputError(
            f"{where}: expected an input of shape {_order(batch_first)}, or (T, I) without batch, got "
            f"{given.dim()} dimensions: {tuple(given.shape)}"
        )
    _check_features(given, input_size, weight, where, batch_first=batch_first)
    if given.dim() == 2:
        return Call(given.unsqueeze(0 if batch_first else 1), given.shape[0], 1, unbatched=True)
    first, second = given.shape[0], given.shape[1]
    return Call(given, second, first) if batch_first else Call(given, first, second)


def _order(batch_first: bool) -> str:
    return "(B, T, I)" if batch_first else "(T, B, I)"


def _check_features(x: Tensor, input_size: int, weight: Tensor, where: str, *, batch_first: bool) -> None:
    if x.shape[-1] != input_size:
        raise InputError(
            f"{where}: expected {input_size} features in the last dimension of the input (input_size), got "
            f"{x.shape[-1]} in {tuple(x.shape)}. Its layout must be {_order(batch_first)}"
        )
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        raise InputError(
            f"{where}: expected an input of the type of the weights, {weight.dtype}, got {x.dtype}. Convert "
            f"the input with .to({weight.dtype}) or the layer with .to({x.dtype})"
        )


def permuted(part: Tensor, order: Tensor | None, dim: int) -> Tensor:
    """``part`` with its batch dimension in another order; None leaves it."""
    return part if order is None else part.index_select(dim, order)


def as_state(
    hx: object, cell: Cell, shapes: Sequence[tuple[int, ...]], dtype: torch.dtype, where: str
) -> tuple[Tensor, ...]:
    """The state as a tuple, one tensor for each state of the cell, of exactly these shapes and of this type.

    Under autocast any floating type will do.
    """
    if len(cell.states) == 1:
        parts: tuple[object, ...] = (hx,)
    elif isinstance(hx, tuple | list) and len(hx) == len(cell.states):
        parts = tuple(hx)
    else:
        got = f"{len(hx)} parts" if isinstance(hx, tuple | list) else type(hx).__name__
        raise InputError(f"{where}: expected the state as a tuple ({', '.join(cell.states)}), got {got}")
    for name, part, shape in zip(cell.states, parts, shapes, strict=True):
        if not isinstance(part, Tensor):
            raise InputError(f"{where}: expected state {name} to be a tensor, got {type(part).__name__}")
        if part.shape != shape:
            layout = "(layers × directions, B, width)" if len(shape) == 3 else "(layers × directions, width)"
            raise InputError(
                f"{where}: expected state {name} of shape {layout} = {tuple(shape)}, got {tuple(part.shape)}"
            )
        if part.dtype is not dtype and not (
            part.is_floating_point() and torch.is_autocast_enabled(part.device.type)
        ):
            raise InputError(
                f"{where}: expected state {name} of the type of the input, {dtype}, got {part.dtype}. "
                f"Convert it with .to({dtype})"
            )
    return parts  # type: ignore[return-value]


def as_records(record: str | Sequence[str], cell: Cell, where: str) -> tuple[str, ...]:
    """Names to record, each known to the cell, without repeats."""
    names = (record,) if isinstance(record, str) else tuple(record)
    for name in names:
        if name not in cell.records:
            raise InputError(f"{where}: cannot record {name!r}; this cell has {', '.join(cell.records)}")
    return tuple(dict.fromkeys(names))


def as_lengths(lengths: object, call: Call, where: str) -> Tensor:
    """Lengths as int64 (B,). Their values, in [0, T], are checked outside of tracing.

    Raises:
        InputError: another shape or type, a length outside of [0, T], or a packed input, which has its own.
    """
    if call.sizes is not None:
        raise InputError(f"{where}: a PackedSequence holds its own lengths: leave lengths= away")
    tensor = _one_each(lengths, "lengths", "length", call.batch, where)
    if _has_values(tensor):
        for row, length in enumerate(tensor.tolist()):
            if not 0 <= length <= call.steps:
                raise InputError(
                    f"{where}: expected every length between 0 and the {call.steps} steps of the input, "
                    f"got {length} for sequence {row}"
                )
    return tensor


def _has_values(tensor: Tensor) -> bool:
    """Whether there are values to look at: nothing traces or maps it, and it is not only a shape."""
    return (
        not torch.compiler.is_compiling()
        and type(tensor) is Tensor
        and tensor.device.type != "meta"
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def as_sample_ids(sample_ids: object, call: Call, where: str) -> Tensor | None:
    """Sample ids as int64 (B,) in the order of the rows; None where the place in the batch is meant."""
    if sample_ids is None:
        return call.order
    return permuted(_one_each(sample_ids, "sample_ids", "sample id", call.batch, where), call.order, 0)


def _one_each(values: object, name: str, noun: str, batch: int, where: str) -> Tensor:
    tensor = values if isinstance(values, Tensor) else torch.as_tensor(values, device="cpu")
    if tensor.dtype not in _INTEGERS:
        raise InputError(f"{where}: expected {name} to be whole numbers, got {tensor.dtype}")
    if tensor.dim() == 0 and batch == 1:
        tensor = tensor.unsqueeze(0)
    if tensor.shape != (batch,):
        raise InputError(
            f"{where}: expected one {noun} for each of {batch} sequences, got shape {tuple(tensor.shape)}"
        )
    return tensor.to(torch.int64)


def as_reset(reset: object, call: Call, where: str, *, batch_first: bool) -> Tensor:
    """The reset mask with a batch dimension: bool, of the layout of the input without its features."""
    if not isinstance(reset, Tensor) or reset.dtype != torch.bool:
        got = reset.dtype if isinstance(reset, Tensor) else type(reset).__name__
        raise InputError(f"{where}: expected reset to be a tensor of bool, got {got}")
    shape: tuple[int, ...] = (call.batch, call.steps) if batch_first else (call.steps, call.batch)
    if call.unbatched:
        shape = (call.steps,)
    if reset.shape != shape:
        raise InputError(
            f"{where}: expected reset of shape {shape}, that of the input without its features, "
            f"got {tuple(reset.shape)}"
        )
    batch_dim = 0 if batch_first else 1
    return reset.unsqueeze(batch_dim) if call.unbatched else permuted(reset, call.order, batch_dim)


def as_integer(value: object, name: str, where: str) -> Tensor:
    """A seed or a step as int64 without dimensions."""
    if isinstance(value, Tensor):
        if value.dim() != 0 or value.dtype not in _INTEGERS:
            raise InputError(
                f"{where}: expected {name} to be one whole number, got {value.dtype} of "
                f"shape {tuple(value.shape)}"
            )
        return value.to(torch.int64)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{where}: expected {name} to be a whole number, got {value!r}")
    if not 0 <= value < 1 << 63:
        raise InputError(f"{where}: expected {name} in [0, 2**63), got {value}")
    return torch.tensor(value, dtype=torch.int64, device="cpu")
