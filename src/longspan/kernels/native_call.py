"""One call of a whole stack on the engine: its tensors, dense and held, and where everything lies in them."""

from __future__ import annotations

import ctypes
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from torch import Tensor

from longspan.core.errors import InputError
from longspan.kernels.native_cells import facts_of
from longspan.kernels.native_library import (
    KEEP_ALL,
    KEEP_NOTHING,
    KEEP_STATES,
    PACK,
    PACK_CHANGED,
    TYPES,
    Problem,
    Running,
    checked,
    library,
    running,
)
from longspan.kernels.plan import Arguments, Plan

__all__ = ["Call", "CallFacts", "kept_by"]


class CallFacts(NamedTuple):
    """What is the same in every call of these sizes.

    Attributes:
        problem: the bytes of a problem without addresses.
        tape, work: elements of the two buffers; whole lines of a cache.
        family: one object for all calls of a plan that differ in their steps only, and have the same memory.
            The numbers of another plan may be the same: which tensors a call has is not among them. None
            where nothing is kept for the next call.
    """

    problem: bytes
    tape: int
    work: int
    family: object = None


def kept_by(plan: Plan) -> int:
    """What a forward pass of the plan keeps for its backward pass."""
    return KEEP_STATES if plan.recompute else KEEP_ALL


@lru_cache(4096)
def _family(others: Hashable, elements: tuple[int, int]) -> object:  # noqa: ARG001 (what it is known by)
    return object()


@lru_cache(4096)
def _side(
    plan: Plan,
    layer: int,
    direction: int,
    sizes: tuple[int, int, int],
    how: Running,
    keep: int,
    backward: bool,
) -> CallFacts:
    facts, zoneout = facts_of(plan.cell), (*plan.zoneout, 0.0, 0.0)
    problem = Problem(
        cell=facts.code, options=facts.options, type=TYPES[plan.dtype], training=plan.training,
        reverse=direction, keep=keep, threads=how.threads, isa=how.isa, steps=sizes[0], batch=sizes[1],
        inputs=sizes[2], hidden=plan.hidden_size, width=plan.state_width("h"), layer=layer,
        cell_clip=facts.cell_clip, direction=direction, packed=PACK_CHANGED if keep == KEEP_NOTHING else PACK,
        recurrent_dropout=plan.recurrent_dropout if plan.training else 0.0,
    )  # fmt: skip
    for which in range(len(plan.cell.states)):
        problem.zoneout[which] = zoneout[which]
    tape, work = ctypes.c_int64(), ctypes.c_int64()
    checked(library().longspan_sizes(ctypes.byref(problem), backward, ctypes.byref(tape), ctypes.byref(work)))
    size = plan.dtype.itemsize
    elements = tape.value // size, work.value // size
    others = (plan, layer, direction, sizes[1:], how, keep, backward)
    return CallFacts(bytes(problem), *elements, _family(others, elements))


@lru_cache(4096)
def _widths(plan: Plan) -> tuple[int, ...]:
    return tuple(plan.state_width(name) for name in plan.cell.states)


class Call:
    """Tensors of a call, dense and held, and where everything lies in them."""

    def __init__(self, plan: Plan, args: Arguments) -> None:
        self.plan, self.args = plan, args
        self.time, self.batch = (1, 0) if plan.batch_first else (0, 1)
        self.x = args.x if args.x.stride(2) == 1 else args.x.contiguous()
        self.steps, self.sequences = self.x.shape[self.time], self.x.shape[self.batch]
        self.directions = 1 + plan.bidirectional
        self.state = None if args.state is None else [part.contiguous() for part in args.state]
        self.widths = _widths(plan)
        self.weights = [weight.contiguous() for weight in args.weights]
        self.lengths = None if args.lengths is None else args.lengths.contiguous()
        self.sample_ids = None if args.sample_ids is None else args.sample_ids.contiguous()
        self.fresh = [part.contiguous() for part in args.reset_state or ()]
        self.places = facts_of(plan.cell).places
        self.size = plan.dtype.itemsize
        self.running = running()

    def sides(self) -> Iterator[tuple[int, int, int]]:
        """Layer, direction, and their place among all sides."""
        for place in range(self.plan.num_layers * self.directions):
            yield place // self.directions, place % self.directions, place

    def facts(self, place: int, x: Tensor, *, keep: int, backward: bool) -> CallFacts:
        """Of one side, whose input is x."""
        layer, direction = divmod(place, self.directions)
        sizes = (self.steps, self.sequences, x.shape[2])
        return _side(self.plan, layer, direction, sizes, self.running, keep, backward)

    def addresses(self, place: int) -> tuple[int, ...]:
        """Of the weights of one side, in the order of the cell."""
        first = place * len(self.places)
        return tuple([weight.data_ptr() for weight in self.weights[first : first + len(self.places)]])

    def problem(self, facts: CallFacts, weights: Sequence[int]) -> Problem:
        """The problem of a side with weights at these addresses; its tensors and its memory are to be
        entered.
        """
        made = Problem.from_buffer_copy(facts.problem)
        for to, weight in zip(self.places, weights, strict=True):
            made.weights[to] = weight
        return made

    def enter(self, problem: Problem, place: int, x: Tensor) -> None:
        """The tensors of this call but the weights: all that may differ in another call of the same facts."""
        strides, problem.steps = x.stride(), self.steps
        problem.x, problem.x_time, problem.x_batch = x.data_ptr(), strides[self.time], strides[self.batch]
        state, row = problem.state, place * self.sequences * self.size
        for which, width in enumerate(self.widths):
            given = None if self.state is None else self.state[which].data_ptr() + row * width
            state[which] = given
        plan, args = self.plan, self.args
        if self.lengths is not None:
            problem.lengths = self.lengths.data_ptr()
        if args.reset is not None:
            problem.reset = args.reset.data_ptr()
            problem.reset_time, problem.reset_batch = (
                args.reset.stride(self.time),
                args.reset.stride(self.batch),
            )
            for which, width in enumerate(self.widths):
                fresh = self.fresh[which].data_ptr() + place * width * self.size if self.fresh else None
                problem.fresh[which] = fresh
        if plan.draws:
            self._key(problem)

    def _key(self, problem: Problem) -> None:
        if self.args.seed is None:
            raise InputError(
                "random masks: expected a seed, got None; call kernels through dispatch.run, which draws one"
            )
        problem.seed = int(self.args.seed)
        problem.first_step = 0 if self.args.first_step is None else int(self.args.first_step)
        problem.sample_ids = None if self.sample_ids is None else self.sample_ids.data_ptr()

    def empty(self, *shape: int) -> Tensor:
        """Empty, of the type of the call."""
        return self.x.new_empty(*shape)

    def rows(self, width: int) -> Tensor:
        """Empty, of the layout of the input."""
        if self.plan.batch_first:
            return self.empty(self.sequences, self.steps, width)
        return self.empty(self.steps, self.sequences, width)

    def sides_of(self, *shape: int) -> Tensor:
        """Empty, (L·D, ...)."""
        return self.x.new_empty(self.plan.num_layers * self.directions, *shape)
