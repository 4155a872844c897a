"""Derivatives of the operators of ``native_ops``: the first, all higher ones, and forward-mode.

The first derivative runs on the engine. Every other one runs the reference loop on the same numbers, with the
same masks (they are functions of seed, sample id and step), and differentiates that: right for every option
and any order, as slow as the reference kernel, and with its memory.

These are kernels of the Autograd key rather than formulas for ``torch.library.register_autograd``, whose
operators refuse ``torch.func.grad`` and drop the tangents of forward-mode without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad

# The class that torch.func itself runs at one level; the public one cannot be applied inside of an operator.
from torch.autograd.function import _SingleLevelFunction

from longspan import cells
from longspan.cells.base import Cell
from longspan.core.errors import InputError
from longspan.kernels import reference
from longspan.kernels.masks import holds, recurrent_factor
from longspan.kernels.native_library import GATE, KEEP_ALL, PRE, WEIGHTS, NativeError
from longspan.kernels.plan import Arguments, Plan

if TYPE_CHECKING:
    from longspan.kernels.native_ops import Side

__all__ = ["cell_of", "record_names", "register"]

Named = dict[str, Tensor]
SideOf = Callable[[Sequence[int], Sequence[float]], "Side"]
Kernel = Callable[..., Any]

_LSTM, _RNN, _GRU = 0, 1, 2
_C = 9  # place of the record of c
# Bits of the header's options.
_FLAGS = {"peephole": 1, "coupled": 2, "layer_norm": 8, "projection": 16}
_NO_FORGET, _RELU, _RESET_BEFORE = 4, 32, 64
_RESULTS = ("y", "h", "c", "records")


class _Operands(NamedTuple):
    """Tensors of the operators; ``flat`` has the weights last, so that autograd sees each of them."""

    x: Tensor
    h: Tensor
    c: Tensor
    lengths: Tensor | None
    reset: Tensor | None
    fresh_h: Tensor | None
    fresh_c: Tensor | None
    seed: Tensor | None
    sample_ids: Tensor | None
    first_step: Tensor | None
    weights: tuple[Tensor, ...]

    @classmethod
    def of(cls, given: Sequence[Any]) -> _Operands:
        """From the order of the schema."""
        return cls._make((*given[:3], *given[4:11], tuple(given[3])))

    @classmethod
    def from_flat(cls, flat: Sequence[Any]) -> _Operands:
        """From ``flat``."""
        return cls._make((*flat[:10], tuple(flat[10:])))

    def flat(self) -> tuple[Any, ...]:
        """All tensors, side by side."""
        return (*self[:10], *self.weights)

    def in_order(self) -> tuple[Any, ...]:
        """In the order of the schema."""
        return (*self[:3], list(self.weights), *self[3:10])

    def values(self, side: Side) -> Named:
        """What has a gradient, by name: x, the states, the fresh states and the weights that there are."""
        found = dict(zip(_places(side), self.weights, strict=True))
        found |= {"x": self.x, "h": self.h} | ({"c": self.c} if side.states == 2 else {})
        fresh = {"fresh_h": self.fresh_h, "fresh_c": self.fresh_c if side.states == 2 else None}
        return found | {name: value for name, value in fresh.items() if value is not None}


class _Call(NamedTuple):
    """A call of an operator apart from its tensors."""

    keyset: Any
    side: Side
    wants_x: bool = True


def _places(side: Side) -> list[str]:
    return [name for place, name in enumerate(WEIGHTS) if side.present >> place & 1]


@cache
def cell_of(cell: int, options: int, present: int, clip: float) -> Cell:
    """The record that these numbers of a ``Side`` stand for.

    Raises:
        InputError: there is no such cell, or its options contradict each other.
    """
    bias = bool(present >> WEIGHTS.index("bias_ih") & 1)
    if cell == _RNN:
        return cells.build("rnn", nonlinearity="relu" if options & _RELU else "tanh", bias=bias)
    if cell == _GRU:
        return cells.build("gru", reset_after=not options & _RESET_BEFORE, bias=bias)
    if cell != _LSTM:
        raise InputError(f"the native engine: expected cell {_LSTM}, {_RNN} or {_GRU}, got {cell}")
    flags = {name: bool(options & bit) for name, bit in _FLAGS.items()}
    forget_gate = not options & _NO_FORGET
    return cells.build("lstm", **flags, forget_gate=forget_gate, cell_clip=clip or None, bias=bias)


def record_names(cell: Cell) -> dict[int, str]:
    """What the engine records at each place, whether or not this cell has it."""
    gates = ("i", "f", "g", "o") if cell.name == "lstm" else cell.gates
    found = dict(enumerate(gates, GATE)) | {PRE + k: f"pre_{gate}" for k, gate in enumerate(gates)}
    return found | ({_C: "c"} if "c" in cell.states else {})


def _run(side: Side, operands: _Operands, values: Named) -> Named:
    """The forward pass in torch: y (T, B, P), h, c, records (R, B, T, H).

    ``values`` stand in place of the operands of these names; the fresh states are (B, width) or (width).
    """
    cell = cell_of(side.cell, side.options, side.present, side.cell_clip)
    x, h = values["x"], values["h"]
    T, B, H = x.shape[0], x.shape[1], values["weight_hh"].shape[0] // len(cell.gates)
    places = record_names(cell)
    names = tuple(places[place] for place in side.record)
    rates = (side.zoneout_h, side.zoneout_c)[: len(cell.states)]
    plan = Plan(
        cell, 1, False, False, H, h.shape[1] if cell.projected else 0, 0.0, side.recurrent_dropout, rates,
        side.training, True, names, operands.lengths is not None, False, operands.reset is not None,
        T == 0 or B == 0, "cpu", x.dtype,
    )  # fmt: skip
    state = tuple(values[name] for name in cell.states)
    args = Arguments(
        x, tuple(part.unsqueeze(0) for part in state), [], seed=operands.seed,
        sample_ids=operands.sample_ids, first_step=operands.first_step,
    )  # fmt: skip
    valid = _valid(operands, T)
    if valid is not None:
        x = torch.where(valid, x, torch.zeros((), dtype=x.dtype, device=x.device))
    fresh = tuple(
        values.get(f"fresh_{name}", torch.zeros_like(part)).expand_as(part)
        for name, part in zip(cell.states, state, strict=True)
    )
    noise = (
        recurrent_factor(plan, args, side.layer, side.direction, x.dtype),
        holds(plan, args, side.layer, side.direction, T),
    )
    starts = _starts(operands, side, valid)
    trace, final = reference.loop(
        plan, x, state, values, noise, valid, (starts, fresh), backward=side.direction == 1
    )
    over = {n: reference.over_time(trace[n], x.new_zeros(T, B, plan.state_width(n)), valid) for n in trace}
    records = [over[name].transpose(0, 1) for name in names]
    return {
        "y": over["h"],
        **dict(zip(cell.states, final, strict=True)),
        "records": torch.stack(records) if records else x.new_zeros(0, B, T, H),
    }


def _valid(operands: _Operands, steps: int) -> Tensor | None:
    """(T, B, 1): the steps before the end of each sequence."""
    if operands.lengths is None:
        return None
    return (torch.arange(steps, device=operands.lengths.device)[:, None] < operands.lengths).unsqueeze(-1)


def _starts(operands: _Operands, side: Side, valid: Tensor | None) -> Tensor | None:
    """(T, B, 1): the steps before which the state starts anew, in the direction of this side."""
    reset = operands.reset
    if reset is None:
        return None
    reset = reset.unsqueeze(-1) if valid is None else reset.unsqueeze(-1) & valid
    return torch.cat((reset[1:], torch.zeros_like(reset[:1]))) if side.direction == 1 else reset


def _gradients(side: Side, operands: _Operands, values: Named, given: Named, wants_x: bool) -> Named:
    """What the backward operator computes, in torch; ``given`` are the gradients to the results."""
    batch = values["x"].shape[1]
    each = {n: v.expand(batch, -1) if n.startswith("fresh_") else v for n, v in values.items()}
    if not given:
        return {name: torch.zeros_like(value) for name, value in each.items() if wants_x or name != "x"}

    def results(each: Named) -> Named:
        found = _run(side, operands, each)
        return {name: found[name] for name in given}

    pull = torch.func.vjp(results, each)[1]
    (found,) = pull(given)
    return {name: value for name, value in found.items() if wants_x or name != "x"}


def _below(operator: Any, keyset: Any, given: Sequence[Any]) -> Any:
    """Go on to the next kernel: that of the engine, or of the transform around this one."""
    with torch._C._AutoDispatchBelowAutograd():
        return operator.redispatch(keyset & torch._C._after_autograd_keyset, *given)


class _Forward(_SingleLevelFunction):
    @staticmethod
    def forward(ctx: Any, call: _Call, *flat: Any) -> Any:
        side, operands = call.side, _Operands.from_flat(flat)
        given = (*operands.in_order(), side.numbers(), side.rates())
        # Function.apply turns both off, for the transforms around this one too.
        with torch.enable_grad(), forward_ad._set_fwd_grad_enabled(True):
            found = _below(torch.ops.longspan.native_side.default, call.keyset, given)
        ctx.side = side
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(found[4])
        ctx.save_for_backward(found[4], *flat)
        return found

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> Any:
        tape, *flat = ctx.saved_tensors
        side, operands = ctx.side, _Operands.from_flat(flat)
        wants_x = ctx.needs_input_grad[1]
        x, h, c, fresh_h, fresh_c, weights = torch.ops.longspan.native_side_backward(
            *operands.in_order(), side.numbers(), side.rates(), tape, *given[:4], wants_x
        )
        return (
            None, x if wants_x else None, h, c if side.states == 2 else None, None, None,
            None if operands.fresh_h is None else fresh_h.sum(0),
            None if operands.fresh_c is None else fresh_c.sum(0),
            None, None, None, *weights,
        )  # fmt: skip


class _Backward(_SingleLevelFunction):
    @staticmethod
    def forward(ctx: Any, call: _Call, tape: Tensor, *more: Any) -> Any:
        side, operands = call.side, _Operands.from_flat(more[4:])
        given = (*operands.in_order(), side.numbers(), side.rates(), tape, *more[:4], call.wants_x)
        with torch.enable_grad(), forward_ad._set_fwd_grad_enabled(True):
            *found, weights = _below(torch.ops.longspan.native_side_backward.default, call.keyset, given)
        ctx.call = call._replace(keyset=None)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*more)
        return (*found, *weights)

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> Any:
        saved, (_, side, wants_x) = ctx.saved_tensors, ctx.call
        operands = _Operands.from_flat(saved[4:])
        values = operands.values(side)
        outer = {name: d for name, d in zip(_RESULTS, saved[:4], strict=True) if d is not None}
        if side.states == 1:
            outer.pop("c", None)
        found, pull = torch.func.vjp(
            lambda values, outer: _gradients(side, operands, values, outer, wants_x), values, outer
        )[:2]
        names = ["x", "h", "c", "fresh_h", "fresh_c", *_places(side)]
        into = {name: d for name, d in zip(names, given, strict=True) if d is not None}
        to_values, to_outer = pull({n: into.get(n, torch.zeros_like(value)) for n, value in found.items()})
        get = to_values.get
        return (
            None, None, *(to_outer.get(name) for name in _RESULTS),
            get("x"), get("h"), get("c"), None, None, get("fresh_h"), get("fresh_c"), None, None, None,
            *(to_values[name] for name in _places(side)),
        )  # fmt: skip

    @staticmethod
    def jvp(*_: Any) -> Any:
        raise NativeError(
            "the native engine: expected no tangents in a backward pass whose forward pass ran outside of "
            'the dual level, got some: run both in it, or the layer in using("reference")'
        )


def _forward_kernel(side_of: SideOf) -> Kernel:
    """The Autograd kernel of ``native_side``.

    Where forward-mode is on, the whole pass runs in torch: it then has derivatives of both modes and any
    order, and the numbers of the reference kernel.
    """

    def kernel(keyset: Any, *given: Any) -> Any:
        tracked = torch.is_grad_enabled() and torch._C._any_requires_grad(*given)
        if not tracked and forward_ad._current_level < 0:
            return _below(torch.ops.longspan.native_side.default, keyset, given)
        side, operands = side_of(*given[11:]), _Operands.of(given)
        if forward_ad._current_level >= 0:
            found = _run(side, operands, operands.values(side))
            empty = operands.x.new_zeros(0)
            return (found["y"], found["h"], found.get("c", empty), found["records"], empty.clone())
        with enable_single_level_autograd_function():
            # What asks for the tape may be hidden from the caller by a transform: it is decided here.
            return _Forward.apply(  # type: ignore[attr-defined]
                _Call(keyset, side._replace(keep=side.keep or KEEP_ALL)), *operands.flat()
            )

    return kernel


def _backward_kernel(side_of: SideOf) -> Kernel:
    """The Autograd kernel of ``native_side_backward``: its derivative is taken in torch."""

    def kernel(keyset: Any, *given: Any) -> Any:
        tracked = torch.is_grad_enabled() and torch._C._any_requires_grad(*given)
        if not tracked and forward_ad._current_level < 0:
            return _below(torch.ops.longspan.native_side_backward.default, keyset, given)
        tape, d_y, d_h, d_c, d_records, wants_x = given[13:]
        call = _Call(keyset, side_of(*given[11:13]), wants_x)
        flat = _Operands.of(given).flat()
        with enable_single_level_autograd_function():
            found = _Backward.apply(  # type: ignore[attr-defined]
                call, tape, d_y, d_h, d_c, d_records, *flat
            )
        return (*found[:5], list(found[5:]))

    return kernel


def register(library: torch.library.Library, side_of: SideOf) -> None:
    """Enter the Autograd kernels of both operators; ``side_of`` makes a ``Side`` from numbers and rates."""
    for name, kernel in (
        ("native_side", _forward_kernel(side_of)),
        ("native_side_backward", _backward_kernel(side_of)),
    ):
        library.impl(name, kernel, "Autograd", with_keyset=True)  # type: ignore[no-untyped-call]
