"""One call of a whole stack on the engine: its tensors, dense and held, and where everything lies in them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
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
    """

    problem: bytes
    tape: int
    work: int


def kept_by(plan: Plan) -> int:
    """What a forward pass of the plan keeps for its backward pass."""
    return KEEP_STATES if plan.recompute else KEEP_ALL


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
    return CallFacts(bytes(problem), tape.value // size, work.value // size)


class Call:
    """Tensors of a call, dense and held, and where everything lies in them."""

    def __init__(self, plan: Plan, args: Arguments) -> None:
        self.plan, self.args = plan, args
        self.time, self.batch = (1, 0) if plan.batch_first else (0, 1)
        self.x = args.x if args.x.stride(2) == 1 else args.x.contiguous()
        self.steps, self.sequences = self.x.shape[self.time], self.x.shape[self.batch]
        self.directions = 1 + plan.bidirectional
        self.state = [part.contiguous() for part in args.state]
        self.widths = [part.shape[2] for part in args.state]
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

    def problem(self, place: int, x: Tensor, *, keep: int, backward: bool) -> tuple[Problem, CallFacts]:
        """The problem of one side, apart from tape and work space."""
        layer, direction = divmod(place, self.directions)
        sizes = (self.steps, self.sequences, x.shape[2])
        side = _side(self.plan, layer, direction, sizes, self.running, keep, backward)
        made, args = Problem.from_buffer_copy(side.problem), self.args
        made.x, made.x_time, made.x_batch = x.data_ptr(), x.stride(self.time), x.stride(self.batch)
        state, row = made.state, place * self.sequences * self.size
        for which, part in enumerate(self.state):
            state[which] = part.data_ptr() + row * self.widths[which]
        weights, first = made.weights, place * len(self.places)
        for number, to in enumerate(self.places, first):
            weights[to] = self.weights[number].data_ptr()
        if self.lengths is not None:
            made.lengths = self.lengths.data_ptr()
        if args.reset is not None:
            made.reset = args.reset.data_ptr()
            made.reset_time, made.reset_batch = args.reset.stride(self.time), args.reset.stride(self.batch)
            for which, part in enumerate(self.fresh):
                made.fresh[which] = part.data_ptr() + place * self.widths[which] * self.size
        if self.plan.draws:
            self._key(made)
        return made, side

    def _key(self, made: Problem) -> None:
        if self.args.seed is None:
            raise InputError(
                "random masks: expected a seed, got None; call kernels through dispatch.run, which draws one"
            )
        made.seed = int(self.args.seed)
        if self.args.first_step is not None:
            made.first_step = int(self.args.first_step)
        if self.sample_ids is not None:
            made.sample_ids = self.sample_ids.data_ptr()

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
