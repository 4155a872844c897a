"""All steps of a horizon from one summary of the past: what a direct forecaster does behind its encoder.

A few layers of a few dozen units, as operators of torch, take longer to be called than to be computed; as one
call of the engine, which can give the loss and all gradients at once, they do not.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from longspan.core.errors import InputError
from longspan.kernels.dispatch import forced
from longspan.kernels.native import absence
from longspan.kernels.native_call import CallFacts
from longspan.kernels.native_direct import are_plain, derive_again, intercepted
from longspan.kernels.native_library import (
    LAYERS,
    TYPES,
    Horizon,
    HorizonGradients,
    Pinball,
    checked,
    library,
    running,
)

__all__ = ["Layer", "Net", "decode", "learn", "mean_over_known", "pinball", "reference"]

_FORWARD, _BACKWARD, _LEARN = 0, 1, 2  # enum of longspan.h


class Layer(NamedTuple):
    """One linear layer: ``weight`` (out, in) and ``bias`` (out,) or None."""

    weight: Tensor
    bias: Tensor | None


class Net(NamedTuple):
    """The layers: ``code = plan(s)``, then ``W_n relu(... relu(W_1 [code, future] + shared(s)) ...)``.

    Attributes:
        plan: weight (H·K, W): a code of K numbers for each of H steps.
        shared: weight (width of the first of ``layers``, W): the same at all steps.
        layers: one to four; the first reads K numbers and what is known of a step.
    """

    plan: Layer
    shared: Layer
    layers: Sequence[Layer]

    def flat(self) -> tuple[Tensor | None, ...]:
        """Weight and bias of every layer in turn."""
        return (*self.plan, *self.shared, *(part for layer in self.layers for part in layer))

    @classmethod
    def from_flat(cls, parts: Sequence[Tensor | None]) -> Net:
        """Back from `flat`."""
        layers = [Layer(*parts[place : place + 2]) for place in range(0, len(parts), 2)]  # type: ignore[arg-type]
        return cls(layers[0], layers[1], layers[2:])


def decode(summary: Tensor, future: Tensor, net: Net) -> Tensor:
    """Run the net.

    Where the engine runs it, the results of a sequence depend on its own numbers alone.

    Args:
        summary: s, (B, W).
        future: (B, H, Y), what is known of each step.
        net: its layers.

    Returns:
        (B, H, out).

    Raises:
        InputError: shapes that do not fit each other.
    """
    if torch.compiler.is_compiling():
        return reference(summary, future, net)
    flat = net.flat()
    _check(summary, future, flat)
    parts = (summary, future, *flat)
    if not _goes_native(parts):
        return reference(summary, future, net)
    dense = [None if part is None else part.contiguous() for part in parts]
    if _is_tracked(dense):
        return _decode(*dense)
    return _forward(dense)[0]


def learn(
    summary: Tensor, future: Tensor, net: Net, anchor: Tensor, target: Tensor, levels: Tensor
) -> Tensor:
    """The pinball loss of the quantiles ``decode(summary, future, net) + anchor``, one element.

    Args:
        summary, future, net: as for `decode`.
        anchor: (B, H).
        target: (B, H), NaN where it is not known: the loss is the mean over the others, 0 where all are NaN.
        levels: (out,), in (0, 1).

    Raises:
        InputError: shapes that do not fit each other.
    """
    for name, part in (("anchor", anchor), ("target", target)):
        if part.shape != future.shape[:2]:
            raise InputError(
                f"horizon: expected {name} of shape {tuple(future.shape[:2])}, got {tuple(part.shape)}"
            )
    operands = (summary, future, anchor, target, levels, *net.flat())
    if not _is_learned(operands):
        return _loss(decode(summary, future, net), anchor, target, levels)
    _check(summary, future, operands[5:])
    return _learn(*[None if part is None else part.contiguous() for part in operands])


def _is_learned(operands: Sequence[Any]) -> bool:
    """Whether loss and gradients come at once: where gradients are wanted, of what they are known for."""
    if torch.compiler.is_compiling() or not _is_tracked(operands):
        return False
    _, _, _, target, levels, *_ = operands
    return not target.requires_grad and not levels.requires_grad and _goes_native(operands)


def pinball(quantiles: Tensor, target: Tensor, levels: Tensor) -> Tensor:
    """max(q e, (q - 1) e) of e = target - quantile, mean over the levels (Koenker & Bassett 1978).

    Args:
        quantiles: (..., Q).
        target: (...).
        levels: q, (Q,).
    """
    error = target[..., None] - quantiles
    return torch.addcmul(error.abs(), 2.0 * levels - 1.0, error).mean(-1) * 0.5


def reference(summary: Tensor, future: Tensor, net: Net) -> Tensor:
    """What `decode` gives, by torch's operators: the definition of correct."""
    codes = net.layers[0].weight.shape[1] - future.shape[2]
    plan = F.linear(summary, *net.plan).reshape(len(summary), future.shape[1], codes)
    y = F.linear(torch.cat([plan, future], dim=-1), *net.layers[0])
    y = y + F.linear(summary, *net.shared)[:, None]
    for layer in net.layers[1:]:
        y = F.linear(F.relu(y), *layer)
    return y


def mean_over_known(losses: Tensor, target: Tensor) -> Tensor:
    """The mean of losses (B, H) over the targets that are not NaN; 0 where all are."""
    known = ~torch.isnan(target)
    share = known.to(losses.dtype) / known.sum().clamp(min=1)
    return torch.dot(losses.flatten(), share.flatten())


def _loss(parameters: Tensor, anchor: Tensor, target: Tensor, levels: Tensor) -> Tensor:
    losses = pinball(parameters + anchor[..., None], torch.nan_to_num(target, nan=0.0), levels)
    return mean_over_known(losses, target)


def _reference_loss(
    summary: Tensor, future: Tensor, anchor: Tensor, target: Tensor, levels: Tensor, *net: Tensor | None
) -> tuple[Tensor]:
    return (_loss(reference(summary, future, Net.from_flat(net)), anchor, target, levels),)


def _reference_of(summary: Tensor, future: Tensor, *net: Tensor | None) -> tuple[Tensor]:
    return (reference(summary, future, Net.from_flat(net)),)


def _check(summary: Tensor, future: Tensor, net: Sequence[Tensor | None]) -> None:
    _check_shapes(
        tuple(summary.shape),
        tuple(future.shape),
        tuple([None if part is None else part.shape for part in net]),
    )


@lru_cache(1024)
def _check_shapes(
    summary: tuple[int, ...], future: tuple[int, ...], net: tuple[tuple[int, ...] | None, ...]
) -> None:
    if len(summary) != 2 or len(future) != 3 or future[0] != summary[0]:
        raise InputError(
            "horizon: expected a summary of shape (B, W) and a future of shape (B, H, Y), got "
            f"{summary} and {future}"
        )
    weights, biases = cast(tuple[tuple[int, ...], ...], net[::2]), net[1::2]
    if not 3 <= len(weights) <= LAYERS + 2:
        raise InputError(f"horizon: expected 1 to {LAYERS} layers, got {len(weights) - 2}")
    steps, width = future[1], summary[1]
    gives = [weight[0] for weight in weights]
    codes = weights[2][-1] - future[2]
    reads = [width, width, codes + future[2], *gives[2:-1]]
    gives[:2] = steps * codes, gives[2]
    names = ("plan", "shared", *(f"layer {number}" for number in range(len(weights) - 2)))
    for name, weight, bias, into, out in zip(names, weights, biases, reads, gives, strict=True):
        if weight != (out, into):
            raise InputError(
                f"horizon: expected the weight of {name} to be ({out}, {into}), got {tuple(weight)}"
            )
        if bias is not None and bias != (out,):
            raise InputError(f"horizon: expected the bias of {name} to be ({out},), got {tuple(bias)}")


def _goes_native(parts: Sequence[Tensor | None]) -> bool:
    """Plain tensors, and nobody looks on."""
    if forced() not in (None, "native"):
        return False
    present = [part for part in parts if part is not None]
    summary, future = present[:2]
    if summary.dtype not in TYPES or future.shape[1] == 0:
        return False
    if any(part.numel() == 0 for part in present if part is not future):  # such as no codes
        return False
    if torch.is_autocast_enabled("cpu") or absence() is not None or intercepted():
        return False
    return are_plain(present)


def _is_tracked(parts: Sequence[Tensor | None]) -> bool:
    return torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in parts)


@lru_cache(1024)
def _facts(
    dtype: torch.dtype,
    sizes: tuple[int, int, int, int],
    plan: int,
    widths: tuple[int, ...],
    how: Any,
    call: int,
) -> CallFacts:
    batch, steps, summary, known = sizes
    problem = Horizon(
        type=TYPES[dtype], threads=how.threads, isa=how.isa, layers=len(widths), batch=batch, steps=steps,
        summary_width=summary, codes=plan // steps, known=known,
    )  # fmt: skip
    problem.widths[: len(widths)] = widths
    tape, work = ctypes.c_int64(), ctypes.c_int64()
    checked(
        library().longspan_horizon_sizes(ctypes.byref(problem), call, ctypes.byref(tape), ctypes.byref(work))
    )
    return CallFacts(bytes(problem), tape.value // dtype.itemsize, work.value // dtype.itemsize)


def _problem(
    parts: Sequence[Any], call: int, tape: Tensor | None = None
) -> tuple[Horizon, tuple[Tensor, Tensor]]:
    """The problem of summary, future and net, and the buffers that must live as long as it does."""
    summary, future, plan, plan_bias, shared, shared_bias, *layers = parts
    sizes, widths = (*future.shape[:2], summary.shape[1], future.shape[2]), tuple(map(len, layers[::2]))
    facts = _facts(summary.dtype, sizes, len(plan), widths, running(), call)
    made, size = Horizon.from_buffer_copy(facts.problem), summary.itemsize
    own = summary.new_empty(facts.tape) if tape is None else tape
    work = summary.new_empty(facts.work)
    made.tape, made.tape_bytes = own.data_ptr(), facts.tape * size
    made.work, made.work_bytes = work.data_ptr(), facts.work * size
    made.summary, made.future = summary.data_ptr(), future.data_ptr()
    _enter(made, (plan, plan_bias, shared, shared_bias, *layers))
    return made, (own, work)


def _enter(made: Any, net: Sequence[Any]) -> None:
    """Addresses of the weights, or of their gradients."""
    plan, plan_bias, shared, shared_bias, *layers = net
    made.plan, made.shared = plan.data_ptr(), shared.data_ptr()
    if plan_bias is not None:
        made.plan_bias = plan_bias.data_ptr()
    if shared_bias is not None:
        made.shared_bias = shared_bias.data_ptr()
    weights, biases = made.weights, made.biases
    for place in range(len(layers) // 2):
        weights[place], bias = layers[2 * place].data_ptr(), layers[2 * place + 1]
        if bias is not None:
            biases[place] = bias.data_ptr()


def _forward(parts: Sequence[Any]) -> tuple[Tensor, Tensor]:
    """The result and the tape."""
    made, (tape, _work) = _problem(parts, _FORWARD)
    y = parts[0].new_empty((*parts[1].shape[:2], len(parts[-2])))
    checked(library().longspan_horizon_forward(ctypes.byref(made), y.data_ptr()))
    return y, tape


def _gradients(parts: Sequence[Any], *, wants_future: bool) -> tuple[HorizonGradients, list[Any]]:
    """Empty gradients of summary, future and net, as the engine and as torch takes them."""
    found = [None if part is None else torch.empty_like(part) for part in parts]
    if not wants_future:
        found[1] = None
    into = HorizonGradients(summary=found[0].data_ptr())  # type: ignore[union-attr]
    if found[1] is not None:
        into.future = found[1].data_ptr()
    _enter(into, found[2:])
    return into, found


class _Decode(torch.autograd.Function):
    """The first derivative on the engine; higher ones go through torch's operators."""

    @staticmethod
    def forward(ctx: Any, *parts: Tensor | None) -> Tensor:
        y, tape = _forward(parts)
        ctx.save_for_backward(*parts, tape)
        return y

    @staticmethod
    def backward(ctx: Any, d_y: Tensor) -> Any:
        *parts, tape = ctx.saved_tensors
        needed = ctx.needs_input_grad
        if torch.is_grad_enabled() or intercepted():
            return derive_again(_reference_of, parts, needed, [d_y])
        made, _alive = _problem(parts, _BACKWARD, tape)
        into, found = _gradients(parts, wants_future=needed[1])
        d_y = d_y.resolve_neg().contiguous()
        into.y = d_y.data_ptr()
        checked(library().longspan_horizon_backward(ctypes.byref(made), ctypes.byref(into)))
        return tuple(part if need else None for part, need in zip(found, needed, strict=True))


class _Learn(torch.autograd.Function):
    """Loss and gradients at once; the way back hands them out."""

    @staticmethod
    def forward(ctx: Any, *operands: Tensor | None) -> Tensor:
        summary, future, anchor, target, levels, *net = operands
        needed = ctx.needs_input_grad
        made, _alive = _problem((summary, future, *net), _LEARN)
        into, found = _gradients((summary, future, *net), wants_future=needed[1])
        loss = summary.new_empty(())  # type: ignore[union-attr]
        d_anchor = torch.empty_like(anchor) if needed[2] else None  # type: ignore[arg-type]
        lost = Pinball(
            target=target.data_ptr(),  # type: ignore[union-attr]
            anchor=anchor.data_ptr(),  # type: ignore[union-attr]
            levels=levels.data_ptr(),  # type: ignore[union-attr]
            loss=loss.data_ptr(),
            anchor_gradient=None if d_anchor is None else d_anchor.data_ptr(),
        )
        checked(library().longspan_horizon_learn(ctypes.byref(made), ctypes.byref(lost), ctypes.byref(into)))
        ctx.found = (*found[:2], d_anchor, None, None, *found[2:])
        ctx.save_for_backward(*operands)
        return loss

    @staticmethod
    def backward(ctx: Any, d_loss: Tensor) -> Any:
        needed, operands = ctx.needs_input_grad, ctx.saved_tensors  # changed in between: torch refuses them
        if torch.is_grad_enabled() or intercepted():
            return derive_again(_reference_loss, operands, needed, [d_loss])
        found = [part if need else None for part, need in zip(ctx.found, needed, strict=True)]
        if d_loss.item() != 1.0 or torch._C._autograd._get_current_graph_task_keep_graph():
            return tuple(None if part is None else part * d_loss for part in found)
        ctx.found = None  # handed out, and nobody can ask again
        return tuple(found)


_decode: Callable[..., Tensor] = _Decode.apply
_learn: Callable[..., Tensor] = _Learn.apply
