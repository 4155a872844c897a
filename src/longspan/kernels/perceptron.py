"""A small perceptron on every row of a batch, linear layers with ReLU between, in one call of the engine.

What stands behind an encoder is often a few layers of a few dozen units. As operators of torch they take
longer to be called than to be computed; as one call, forward and backward, they do not.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from longspan.core.errors import InputError
from longspan.kernels.dispatch import forced
from longspan.kernels.native_direct import are_plain, intercepted
from longspan.kernels.native_library import (
    LAYERS,
    TYPES,
    NativeError,
    PerceptronGradients,
    PerceptronProblem,
    checked,
    library,
    running,
)

__all__ = ["Layer", "perceptron", "reference"]


class Layer(NamedTuple):
    """One linear layer: ``weight`` (out, in) and ``bias`` (out,) or None."""

    weight: Tensor
    bias: Tensor | None


def perceptron(x: Tensor, layers: Sequence[Layer], added: Tensor | None = None) -> Tensor:
    """``W_n relu(... relu(W_1 x + b_1 + added) ...) + b_n`` for every row.

    The result of a row depends on its own numbers alone where the engine runs it, and gradients do not depend
    on the number of threads.

    Args:
        x: (B, S, in).
        layers: one to four.
        added: (B, width of the first layer): the same for all S rows, such as a layer on what they share.

    Returns:
        (B, S, out).

    Raises:
        InputError: shapes that do not fit each other.
    """
    _check(x, layers, added)
    return _native(x, layers, added) if _goes_native(x, layers, added) else reference(x, layers, added)


def reference(x: Tensor, layers: Sequence[Layer], added: Tensor | None = None) -> Tensor:
    """The same by torch's operators: the definition of correct."""
    y = F.linear(x, *layers[0])
    if added is not None:
        y = y + added[:, None]
    for layer in layers[1:]:
        y = F.linear(F.relu(y), *layer)
    return y


def _check(x: Tensor, layers: Sequence[Layer], added: Tensor | None) -> None:
    if not 1 <= len(layers) <= LAYERS:
        raise InputError(f"perceptron: expected 1 to {LAYERS} layers, got {len(layers)}")
    width = x.shape[-1]
    if x.dim() != 3:
        raise InputError(f"perceptron: expected x of shape (B, S, in), got {tuple(x.shape)}")
    for number, (weight, bias) in enumerate(layers):
        if weight.dim() != 2 or weight.shape[1] != width:
            raise InputError(
                f"perceptron: expected the weight of layer {number} to be (out, {width}), got "
                f"{tuple(weight.shape)}"
            )
        width = weight.shape[0]
        if bias is not None and bias.shape != (width,):
            raise InputError(
                f"perceptron: expected the bias of layer {number} to be ({width},), got {tuple(bias.shape)}"
            )
    if added is not None and added.shape != (x.shape[0], layers[0].weight.shape[0]):
        raise InputError(
            f"perceptron: expected added of shape {(x.shape[0], layers[0].weight.shape[0])}, got "
            f"{tuple(added.shape)}"
        )


def _goes_native(x: Tensor, layers: Sequence[Layer], added: Tensor | None) -> bool:
    if torch.compiler.is_compiling() or forced() not in (None, "native"):
        return False
    if x.dtype not in TYPES or x.numel() == 0:
        return False
    if intercepted() or torch.is_autocast_enabled("cpu") or _absent():
        return False
    return are_plain(
        [part for part in (x, added, *(each for layer in layers for each in layer)) if part is not None]
    )


@lru_cache(1)
def _absent() -> bool:
    try:
        library()
    except NativeError:
        return True
    return False


class _Sizes(NamedTuple):
    """Sizes of a call and of its buffers, in elements."""

    problem: bytes
    tape: int
    work: int


@lru_cache(1024)
def _sizes(
    dtype: torch.dtype, rows: int, group: int, widths: tuple[int, ...], threads: int, isa: int, backward: bool
) -> _Sizes:
    problem = PerceptronProblem(
        type=TYPES[dtype], threads=threads, isa=isa, layers=len(widths) - 1, rows=rows, group=group
    )
    for place, width in enumerate(widths):
        problem.widths[place] = width
    tape, work = ctypes.c_int64(), ctypes.c_int64()
    checked(
        library().longspan_perceptron_sizes(
            ctypes.byref(problem), backward, ctypes.byref(tape), ctypes.byref(work)
        )
    )
    return _Sizes(bytes(problem), tape.value // dtype.itemsize, work.value // dtype.itemsize)


def _problem(
    x: Tensor, added: Tensor | None, params: Sequence[Tensor | None], *, backward: bool
) -> tuple[PerceptronProblem, _Sizes, tuple[Tensor, ...]]:
    """The problem apart from its tape, and what must live as long as it does."""
    widths = (x.shape[2], *(params[k].shape[0] for k in range(0, len(params), 2)))  # type: ignore[union-attr]
    group = 1 if added is None else x.shape[1]
    how = running()
    sizes = _sizes(x.dtype, x.shape[0] * x.shape[1], max(group, 1), widths, how.threads, how.isa, backward)
    made = PerceptronProblem.from_buffer_copy(sizes.problem)
    work = torch.empty(sizes.work, dtype=x.dtype)
    made.x, made.x_row = x.data_ptr(), widths[0]
    made.work, made.work_bytes = work.data_ptr(), sizes.work * x.dtype.itemsize
    if added is not None:
        made.added = added.data_ptr()
    for place in range(len(widths) - 1):
        weight, bias = params[2 * place], params[2 * place + 1]
        made.weights[place] = weight.data_ptr()  # type: ignore[union-attr]
        if bias is not None:
            made.biases[place] = bias.data_ptr()
    return made, sizes, (work,)


def _forward(x: Tensor, added: Tensor | None, params: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
    made, sizes, _alive = _problem(x, added, params, backward=False)
    tape = torch.empty(sizes.tape, dtype=x.dtype)
    y = torch.empty((x.shape[0], x.shape[1], params[-2].shape[0]), dtype=x.dtype)  # type: ignore[union-attr]
    made.tape, made.tape_bytes = tape.data_ptr(), sizes.tape * x.dtype.itemsize
    checked(library().longspan_perceptron_forward(ctypes.byref(made), y.data_ptr()))
    return y, tape


class _Rows(torch.autograd.Function):
    """The perceptron with its first derivative on the engine; higher ones go through torch's operators."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, added: Tensor | None, *params: Tensor | None) -> Tensor:
        y, tape = _forward(x, added, params)
        ctx.save_for_backward(x, added, *params, tape)
        return y

    @staticmethod
    def backward(ctx: Any, d_y: Tensor) -> Any:
        x, added, *params, tape = ctx.saved_tensors
        if torch.is_grad_enabled() or intercepted():
            return _derive_again(ctx.needs_input_grad, (x, added, *params), d_y)
        made, sizes, _alive = _problem(x, added, params, backward=True)
        made.tape, made.tape_bytes = tape.data_ptr(), sizes.tape * x.dtype.itemsize
        d_y = d_y.resolve_neg().contiguous()
        into = PerceptronGradients(y=d_y.data_ptr())
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        d_added = None if added is None else torch.empty_like(added)
        d_params = [None if part is None else torch.empty_like(part) for part in params]
        if d_x is not None:
            into.x = d_x.data_ptr()
        if d_added is not None:
            into.added = d_added.data_ptr()
        for place in range(len(params) // 2):
            weight, bias = d_params[2 * place], d_params[2 * place + 1]
            into.weights[place] = weight.data_ptr()  # type: ignore[union-attr]
            if bias is not None:
                into.biases[place] = bias.data_ptr()
        checked(library().longspan_perceptron_backward(ctypes.byref(made), ctypes.byref(into)))
        every = (d_x, d_added, *d_params)
        return tuple(part if need else None for part, need in zip(every, ctx.needs_input_grad, strict=True))


def _derive_again(
    needed: Sequence[bool], parts: Sequence[Tensor | None], d_y: Tensor
) -> tuple[Tensor | None, ...]:
    """Gradients that can be differentiated again, through torch's operators."""
    with torch.enable_grad():
        own = [
            part if part is None or not need else part.view_as(part)
            for part, need in zip(parts, needed, strict=True)
        ]
        x, added, *params = own
        layers = [Layer(*params[place : place + 2]) for place in range(0, len(params), 2)]  # type: ignore[arg-type]
        y = reference(x, layers, added)  # type: ignore[arg-type]
    asked = [part for part, need in zip(own, needed, strict=True) if need and part is not None]
    found = iter(torch.autograd.grad(y, asked, d_y, create_graph=torch.is_grad_enabled(), allow_unused=True))
    return tuple(
        next(found) if need and part is not None else None for part, need in zip(own, needed, strict=True)
    )


_apply: Callable[..., Tensor] = _Rows.apply


def _native(x: Tensor, layers: Sequence[Layer], added: Tensor | None) -> Tensor:
    parts = [
        None if part is None else part.contiguous()
        for part in (x, added, *(each for layer in layers for each in layer))
    ]
    if torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in parts):
        return _apply(*parts)
    return _forward(parts[0], parts[1], parts[2:])[0]  # type: ignore[arg-type]
