"""What a kernel is asked to do: a ``Plan`` of facts that decide which kernel can, and the tensors themselves.

A call runs a whole stack: all layers, both directions, all steps. The plan holds nothing that depends on the
values of a tensor, so it is the same when a compiler traces it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from longspan.cells.base import Cell

__all__ = ["Arguments", "Plan", "Result", "batch_of", "start_state"]


class Plan(NamedTuple):
    """Facts about one call.

    Attributes:
        cell: the record to run.
        num_layers: layers of the stack.
        bidirectional: whether each layer runs in both directions.
        batch_first: layout of input, output and reset mask: (B, T, ·) or (T, B, ·).
        hidden_size: H.
        proj_size: P, or 0 where the cell does not project.
        dropout: probability that an element between two layers is dropped; acts in training.
        recurrent_dropout: probability for h inside the recurrent product, one mask a sequence; acts in
            training.
        zoneout: rate for each state; drawn in training, the expectation in evaluation. Empty if all are 0.
        training: training or evaluation.
        keyed: whether the masks must be functions of a given seed or of sample ids.
        record: names of the gates and states to return for every step.
        ragged: whether each sequence has its own length.
        packed: whether the input is the data of a ``PackedSequence``.
        resets: whether there is a reset mask.
        empty: whether there are no steps or no sequences.
        device: type of the device.
        dtype: type of the input.
        recompute: whether the backward pass makes gates again instead of reading them, where the kernel can.
    """

    cell: Cell
    num_layers: int
    bidirectional: bool
    batch_first: bool
    hidden_size: int
    proj_size: int
    dropout: float
    recurrent_dropout: float
    zoneout: tuple[float, ...]
    training: bool
    keyed: bool
    record: tuple[str, ...]
    ragged: bool
    packed: bool
    resets: bool
    empty: bool
    device: str
    dtype: torch.dtype
    recompute: bool = False

    @property
    def drops_between_layers(self) -> bool:
        """Whether this call draws dropout masks between layers."""
        return self.training and self.dropout > 0.0 and self.num_layers > 1

    @property
    def draws(self) -> bool:
        """Whether this call draws random masks of any kind."""
        return self.training and (
            self.recurrent_dropout > 0.0 or bool(self.zoneout) or (self.dropout > 0.0 and self.num_layers > 1)
        )

    def state_width(self, state: str) -> int:
        """Width of a state: P for h, H for every other."""
        return self.cell.state_width(state, self.hidden_size, self.proj_size)


class Arguments(NamedTuple):
    """Tensors of one call. L layers, D directions; nothing here is written to.

    Attributes:
        x: (T, B, I), (B, T, I) if ``batch_first``, or the data (sum of lengths, I) of a packed sequence.
        state: for each state of the cell (L·D, B, width): the state before the first step. Layer-major, the
            forward direction first. In packed calls B is in the order of the packed data. None means zeros.
        weights: for each layer and direction all weights of the cell, in its order.
        batch_sizes: of a packed sequence: int64 (T,) on the CPU, falling.
        lengths: int64 (B,), each in [0, T].
        reset: bool, (T, B) or (B, T) as ``x``: True where a new sequence starts, which neither direction sees
            across.
        reset_state: for each state (L·D, width), what a reset puts there; None means zeros.
        seed: int64 without dimensions: the key of all masks; None leaves it to the kernel.
        sample_ids: int64 (B,): what tells the masks of two sequences apart; None means 0, 1, ... B-1.
        first_step: int64 without dimensions: steps of the same sequences that earlier calls took; None means
            0.
    """

    x: Tensor
    state: tuple[Tensor, ...] | None
    weights: list[Tensor]
    batch_sizes: Tensor | None = None
    lengths: Tensor | None = None
    reset: Tensor | None = None
    reset_state: tuple[Tensor, ...] | None = None
    seed: Tensor | None = None
    sample_ids: Tensor | None = None
    first_step: Tensor | None = None


class Result(NamedTuple):
    """What a call gives.

    Attributes:
        y: h of the last layer in the layout of ``x``, directions side by side: (..., D·P); zero past the end
            of a sequence.
        state: the state after the last step of each sequence (for the backward direction, after its first
            element).
        record: name → (L, D, B, T, width), zero past the end of a sequence.
    """

    y: Tensor
    state: tuple[Tensor, ...]
    record: dict[str, Tensor]


def batch_of(plan: Plan, args: Arguments) -> int:
    """B."""
    if args.batch_sizes is not None:
        return int(args.batch_sizes[0])
    return args.x.shape[0 if plan.batch_first else 1]


def start_state(plan: Plan, args: Arguments) -> tuple[Tensor, ...]:
    """The state before the first step, for kernels that want zeros as tensors too."""
    if args.state is not None:
        return args.state
    sides, batch = plan.num_layers * (1 + plan.bidirectional), batch_of(plan, args)
    return tuple(args.x.new_zeros(sides, batch, plan.state_width(name)) for name in plan.cell.states)
