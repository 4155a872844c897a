"""A whole stack straight on the engine: plain eager calls, where torch's dispatcher would take longer than a
small layer.

It has the results of the operators in ``native_ops``, which take over wherever something traces, transforms
or intercepts the call. Layers, directions and records are written where they belong; nothing is put together
afterwards.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from longspan.kernels import native_buffers, reference
from longspan.kernels.masks import dropout_factor
from longspan.kernels.native_call import Call, kept_by
from longspan.kernels.native_cells import record_place
from longspan.kernels.native_job import take_job
from longspan.kernels.native_library import (
    KEEP_NOTHING,
    Gradients,
    checked,
    library,
)
from longspan.kernels.native_stack import run_operators
from longspan.kernels.plan import Arguments, Plan, Result

__all__ = ["are_plain", "derive_again", "goes_direct", "intercepted", "run_direct"]

_PLAIN = (Tensor, torch.nn.Parameter)
_SPENT = (
    "Trying to backward through the graph a second time: the first pass has given the memory of this layer "
    "away. Specify retain_graph=True if you need to go through the graph twice"
)


def goes_direct(args: Arguments) -> bool:
    """Whether a call may go straight to the engine: plain tensors of one type, and nobody looks on."""
    if torch.compiler.is_compiling() or intercepted() or not are_plain(_floating(args)):
        return False
    others = (args.lengths, args.reset, args.sample_ids, args.seed, args.first_step)
    return all(part is None or (type(part) is Tensor and _plain(part)) for part in others)


def are_plain(parts: Sequence[Tensor]) -> bool:
    """Whether these are tensors of one type, each its numbers in memory and nothing more."""
    dtype = parts[0].dtype
    for part in parts:  # a generator, and _plain, would take twice as long
        if type(part) not in _PLAIN or part.dtype is not dtype:
            return False
        if not part.is_cpu or part.layout is not torch.strided or part.is_neg():
            return False
    return True


def _plain(part: Tensor) -> bool:
    """Numbers in memory as they are."""
    return part.is_cpu and part.layout is torch.strided and not part.is_neg()


def intercepted() -> bool:
    """A transform of torch.func, a mode, forward-mode differentiation, or the tracer of torch.jit."""
    return (
        torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._len_torch_function_stack() > 0
        or forward_ad._current_level >= 0
        or torch._C._get_tracing_state() is not None
    )


def _floating(args: Arguments) -> tuple[Tensor, ...]:
    """x, the states and the states after a reset where they are given, and the weights."""
    return (args.x, *(args.state or ()), *(args.reset_state or ()), *args.weights)


class _Pass(NamedTuple):
    """What a forward pass found: results, and what the backward pass reads.

    Attributes:
        y: of the layout of the input, (..., D·P).
        state: for each state (L·D, B, width).
        records: (L, D, B, T, width), in the order of the plan.
        tapes: of each side.
        inputs: of each layer but the first.
        factors: of the dropout after each layer but the last.
    """

    y: Tensor
    state: tuple[Tensor, ...]
    records: tuple[Tensor, ...]
    tapes: list[Tensor]
    inputs: list[Tensor]
    factors: list[Tensor]


def _forward(call: Call, *, keep: int) -> _Pass:
    plan, width, size = call.plan, call.widths[0], call.size
    finals = [call.sides_of(call.sequences, each) for each in call.widths]
    records = [
        call.empty(plan.num_layers, call.directions, call.sequences, call.steps, plan.state_width(name))
        for name in plan.record
    ]
    tapes: list[Tensor] = []
    inputs: list[Tensor] = []
    factors: list[Tensor] = []
    x = y = call.x
    for layer, direction, place in call.sides():
        if direction == 0:
            if layer > 0:
                x = _between(call, layer - 1, y, factors)
                inputs.append(x)
            y = call.rows(call.directions * width)
        job = take_job(call, call.facts(place, x, keep=keep, backward=False), place, keep)
        call.enter(job.problem, place, x)
        out = job.results
        strides = y.stride()
        out.y = y.data_ptr() + direction * width * size
        out.y_time, out.y_batch = strides[call.time], strides[call.batch]
        state, row = out.state, place * call.sequences * size
        for which, part in enumerate(finals):
            state[which] = part.data_ptr() + row * call.widths[which]
        for name, record in zip(plan.record, records):  # noqa: B905 (its check takes time here)
            out.record[record_place(plan.cell, name)] = (
                record.data_ptr() + place * record[0, 0].numel() * size
            )
        job.run()
        if job.tape is not None:
            tapes.append(job.tape)
    return _Pass(y, tuple(finals), tuple(records), tapes, inputs, factors)


def _between(call: Call, layer: int, y: Tensor, factors: list[Tensor]) -> Tensor:
    """The input of the next layer: the output of this one, dropped out of where the plan says so."""
    if call.plan.drops_between_layers:
        time_major = y.transpose(0, 1) if call.plan.batch_first else y
        factor = dropout_factor(call.plan, call.args, layer, time_major)
        factor = factor.transpose(0, 1) if call.plan.batch_first else factor
        factors.append(factor)
        y = y * factor
    return y


class _Wanted(NamedTuple):
    """Gradients that came in, dense in their last dimension; None stands for zeros."""

    y: Tensor | None
    state: list[Tensor | None]
    records: list[Tensor | None]


class _Found(NamedTuple):
    """Gradients of the operands: x, states (L·D, B, ·), fresh states (L·D, ·), weights; None: not wanted."""

    x: Tensor | None
    state: Sequence[Tensor | None]
    fresh: list[Tensor]
    weights: list[Tensor]


def _backward(call: Call, kept: _Pass, wanted: _Wanted, *, wants_x: bool, wants_state: bool) -> _Found:
    weights = [torch.empty_like(weight) for weight in call.weights]
    states = [call.sides_of(call.sequences, width) for width in call.widths] if wants_state else []
    fresh = [call.sides_of(call.sequences, width) for width in call.widths] if call.fresh else []
    places = [record_place(call.plan.cell, name) for name in call.plan.record]
    d_y, d_x, inputs = wanted.y, None, [call.x, *kept.inputs]
    for layer, direction, place in reversed(list(call.sides())):
        source = inputs[layer]
        side = call.facts(place, source, keep=kept_by(call.plan), backward=True)
        problem = call.problem(side, call.addresses(place))
        call.enter(problem, place, source)
        work = native_buffers.take(side.work, call.plan.dtype)
        tape = kept.tapes[place]
        problem.tape, problem.tape_bytes = tape.data_ptr(), tape.numel() * call.size
        problem.work, problem.work_bytes = work.data_ptr(), side.work * call.size
        into = Gradients()
        _enter(into, call, place, wanted, places)
        if d_y is not None:
            into.y = d_y.data_ptr() + direction * call.widths[0] * call.size
            into.y_time, into.y_batch = d_y.stride(call.time), d_y.stride(call.batch)
        side_x = call.rows(source.shape[2]) if layer > 0 or wants_x else None
        if side_x is not None:
            into.x, into.x_time, into.x_batch = (
                side_x.data_ptr(), side_x.stride(call.time), side_x.stride(call.batch),
            )  # fmt: skip
        row = place * call.sequences * call.size
        for which, part in enumerate(states):
            into.initial[which] = part.data_ptr() + row * call.widths[which]
        for which, part in enumerate(fresh):
            into.fresh[which] = part.data_ptr() + row * call.widths[which]
        for number, to in enumerate(call.places, place * len(call.places)):
            into.weights[to] = weights[number].data_ptr()
        checked(library().longspan_backward(ctypes.byref(problem), ctypes.byref(into)))
        native_buffers.give(work)
        d_x = side_x if d_x is None or side_x is None else d_x.add_(side_x)
        if direction == 0:
            dropped = layer > 0 and kept.factors
            d_y, d_x = (d_x * kept.factors[layer - 1] if dropped and d_x is not None else d_x), None
    none = [None] * len(call.widths)
    return _Found(d_y if wants_x else None, states or none, [part.sum(1) for part in fresh], weights)


def _enter(into: Gradients, call: Call, place: int, wanted: _Wanted, places: Sequence[int]) -> None:
    """Gradients to the final states and the records of one side."""
    for which, part in enumerate(wanted.state):
        if part is not None:
            into.state[which] = part.data_ptr() + place * part[0].numel() * call.size
    for to, record in zip(places, wanted.records, strict=True):
        if record is not None:
            into.record[to] = record.data_ptr() + place * record[0, 0].numel() * call.size


class _Others(NamedTuple):
    """Operands without a gradient."""

    lengths: Tensor | None
    reset: Tensor | None
    seed: Tensor | None
    sample_ids: Tensor | None
    first_step: Tensor | None


class _Form(NamedTuple):
    """How ``_floating`` put the operands of a call together.

    Attributes:
        plan: of the call.
        states: how many of them are states before the first step: all of the cell's, or none.
    """

    plan: Plan
    states: int

    def arguments(self, floating: Sequence[Tensor], others: _Others) -> Arguments:
        """Back from ``_floating``."""
        plan, states = self.plan, self.states
        count = plan.num_layers * (1 + plan.bidirectional) * len(plan.cell.weights)
        start = tuple(floating[1 : 1 + states]) or None
        rest = floating[1 + states :]
        fresh = tuple(rest[: len(rest) - count]) or None
        weights = list(rest[len(rest) - count :])
        lengths, reset, seed, sample_ids, first_step = others
        return Arguments(
            floating[0], start, weights, None, lengths, reset, fresh, seed, sample_ids, first_step
        )


class _Stack(torch.autograd.Function):
    """The stack with its first derivative on the engine; higher ones go through the operators."""

    @staticmethod
    def forward(ctx: Any, form: _Form, others: _Others, *floating: Tensor) -> Any:
        call = Call(form.plan, form.arguments(floating, others))
        found = _forward(call, keep=kept_by(form.plan))
        ctx.form, ctx.counts = form, (len(floating), len(found.tapes), len(found.inputs), len(found.factors))
        # Tapes come back from whoever saves tensors: another's memory is not ours to give.
        hooked = torch._C._autograd._top_saved_tensors_default_hooks(True) is not None
        ctx.tapes = () if hooked else tuple([tape.data_ptr() for tape in found.tapes])
        ctx.spent = False
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*floating, *others, *found.tapes, *found.inputs, *found.factors)
        return (found.y, *found.state, *found.records)

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> Any:
        if ctx.spent:  # its tapes are others' by now
            raise RuntimeError(_SPENT)
        parts, saved = [], ctx.saved_tensors
        for count in (ctx.counts[0], len(_Others._fields), *ctx.counts[1:]):
            parts.append(saved[:count])
            saved = saved[count:]
        floating, others, tapes, inputs, factors = parts
        form: _Form = ctx.form
        needed = ctx.needs_input_grad[2:]
        many = _are_batched(given)
        if many or torch.is_grad_enabled() or intercepted():
            run = reference.run if many else run_operators
            again = partial(_results, run, form, _Others(*others))
            return (None, None, *derive_again(again, floating, needed, given))
        call = Call(form.plan, form.arguments(floating, _Others(*others)))
        states = len(call.widths)
        given = tuple(None if part is None else part.resolve_neg() for part in given)
        d_y = given[0] if given[0] is None or given[0].stride(2) == 1 else given[0].contiguous()
        others_in = [None if part is None else part.contiguous() for part in given[1:]]
        kept = _Pass(call.x, (), (), list(tapes), list(inputs), list(factors))
        wanted = _Wanted(d_y, others_in[:states], others_in[states:])
        wants_state = any(needed[1 : 1 + form.states])
        found = _backward(call, kept, wanted, wants_x=needed[0], wants_state=wants_state)
        if not torch._C._autograd._get_current_graph_task_keep_graph():
            ctx.spent = True
            for tape, address in zip(tapes, ctx.tapes):  # noqa: B905 (of none that hooks have saved)
                if tape.data_ptr() == address:
                    native_buffers.give(tape)
        every = (found.x, *found.state[: form.states], *found.fresh, *found.weights)
        return (None, None, *(part if need else None for part, need in zip(every, needed, strict=True)))


def _are_batched(given: Sequence[Tensor | None]) -> bool:
    """Whether these are many gradients at once (``is_grads_batched``, ``vectorize=True``).

    Only operators of torch take those: the vmap that autograd had before torch.func knows no others.
    """
    return any(part is not None and torch._C._dispatch_keys(part).has("Batched") for part in given)


def _results(
    run: Callable[[Plan, Arguments], Result], form: _Form, others: _Others, *floating: Tensor
) -> tuple[Tensor, ...]:
    """The results of the call, masks and all, by another way than this one."""
    found = run(form.plan, form.arguments(floating, others))
    return (found.y, *found.state, *(found.record[name] for name in form.plan.record))


def derive_again(
    function: Callable[..., Sequence[Tensor]],
    operands: Sequence[Tensor | None],
    needed: Sequence[bool],
    given: Sequence[Tensor | None],
) -> tuple[Tensor | None, ...]:
    """Gradients that can be differentiated again: the call is repeated by operators of torch.

    On other names for the operands, since one of them may have come out of another.

    Args:
        function: gives the results of the call from its operands.
        operands: of the call.
        needed: of which operands a gradient is wanted.
        given: gradients of the results; None stands for zeros.
    """
    with torch.enable_grad():
        own = [
            part if part is None else part.view_as(part) if need else part.detach()
            for part, need in zip(operands, needed, strict=True)
        ]
        results = function(*own)
    pairs = [(out, d) for out, d in zip(results, given, strict=True) if d is not None]
    wanted = [need and part is not None for part, need in zip(own, needed, strict=True)]
    asked = [part for part, want in zip(own, wanted, strict=True) if want and part is not None]
    gradients: Iterator[Tensor | None] = iter(
        torch.autograd.grad(
            [out for out, _ in pairs],
            asked,
            [d for _, d in pairs],
            create_graph=torch.is_grad_enabled(),
            allow_unused=True,
        )
    )
    return tuple(next(gradients) if want else None for want in wanted)


_apply: Callable[..., tuple[Tensor, ...]] = _Stack.apply


def run_direct(plan: Plan, args: Arguments) -> Result:
    """Run the stack; ``goes_direct`` has said that it may.

    Raises:
        InputError: masks are to be drawn and there is no seed.
        NativeError: the engine refused the call.
    """
    floating = _floating(args)
    if torch.is_grad_enabled() and any(part.requires_grad for part in floating):
        others = _Others(args.lengths, args.reset, args.seed, args.sample_ids, args.first_step)
        y, *rest = _apply(_Form(plan, len(args.state or ())), others, *floating)
    else:
        found = _forward(Call(plan, args), keep=KEEP_NOTHING)
        y, rest = found.y, [*found.state, *found.records]
    states = len(plan.cell.states)
    return Result(y, tuple(rest[:states]), dict(zip(plan.record, rest[states:], strict=True)))
