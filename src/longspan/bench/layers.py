"""Rows of whole sequences through ``longspan.nn.LSTM``: inference, training, ``record=``, ragged batches."""

from __future__ import annotations

from functools import cache, partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from longspan.bench.calls import Call, widened
from longspan.bench.case import OURS, Case, Side, Tensors
from longspan.bench.catalogue import Sizes
from longspan.kernels.dispatch import explain, using
from longspan.nn import LSTM

__all__ = ["BACKWARD", "RECORDED", "Problem", "plain", "problem", "ragged", "record"]

RECORDED = ("i", "f", "g", "o", "c")
BACKWARD = 3  # times the operations of a forward pass: forward and backward together


class Problem(NamedTuple):
    """One LSTM in both libraries, with the same weights, and what it is fed.

    Attributes:
        ours: our layer.
        theirs: torch's.
        x: (T, B, I).
        dy: (T, B, H), the gradient of the loss to the output; None without training.
    """

    ours: LSTM
    theirs: nn.LSTM
    x: Tensor
    dy: Tensor | None


def problem(sizes: Sizes, *, train: bool) -> Problem:
    """Seeded weights and numbers of these sizes; the caller's generator is left as it was."""
    B, T, I, H = sizes  # noqa: E741
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        ours, theirs = LSTM(I, H).train(train), nn.LSTM(I, H).train(train)
        theirs.load_state_dict(ours.state_dict())
        x, dy = torch.randn(T, B, I), torch.randn(T, B, H)
    return Problem(ours, theirs, x, dy if train else None)


def plain(sizes: Sizes, *, train: bool) -> Case:
    """A plain LSTM beside ``torch.nn.LSTM``.

    Forward in evaluation, or in training with the gradients of x and of every weight.
    """
    ours, theirs, x, dy = problem(sizes, train=train)
    wide, wide_x, wide_dy = widened(theirs, x, dy)
    mine, peer = Call(ours, ours, x, dy), Call(theirs, theirs, x, dy)
    truth = cache(Call(wide, wide, wide_x, wide_dy).found)
    return Case(
        Side("longspan", mine.timed(), mine.found, truth, OURS, explain(ours, x).backend),
        (Side("torch.nn.LSTM", peer.timed(), peer.found, truth),),
        sizes.flops * (BACKWARD if train else 1),
        grad=train,
    )


def record(sizes: Sizes) -> Case:
    """A forward pass that returns four gates and the cell state of every step, beside one that does not."""
    ours, _, x, _ = problem(sizes, train=False)
    wide, wide_x, _ = widened(ours, x, None)

    @cache
    def truth() -> Tensors:
        with using("reference"):
            return Call(wide, partial(wide, record=RECORDED), wide_x, None).found()

    def plain_truth() -> Tensors:
        return {name: value for name, value in truth().items() if not name.startswith("record")}

    mine, beside = Call(ours, partial(ours, record=RECORDED), x, None), Call(ours, ours, x, None)
    kernel = explain(ours, x, record=RECORDED).backend
    unrecorded = explain(ours, x).backend
    return Case(
        Side("longspan", mine.timed(), mine.found, truth, OURS, kernel),
        (Side("without record", beside.timed(), beside.found, plain_truth, OURS, unrecorded, "cost"),),
        sizes.flops,
    )


def ragged(sizes: Sizes, *, train: bool) -> Case:
    """Sequences of their own lengths, uniform in 1..T, beside torch's packing and beside our own full batch.

    The share of real steps is in the case's facts: what the time would be, against the full batch, if the
    padding cost nothing.
    """
    ours, theirs, x, dy = problem(sizes, train=train)
    wide, wide_x, wide_dy = widened(theirs, x, dy)
    lengths = torch.randint(1, sizes.T + 1, (sizes.B,), generator=torch.Generator().manual_seed(1))
    mine, full = Call(ours, partial(ours, lengths=lengths), x, dy), Call(ours, ours, x, dy)
    packed = Call(theirs, partial(_packed, theirs, lengths), x, dy)
    truth = cache(Call(wide, partial(_packed, wide, lengths), wide_x, wide_dy).found)
    full_truth = Call(wide, wide, wide_x, wide_dy).found
    kernel, full_kernel = explain(ours, x, lengths=lengths).backend, explain(ours, x).backend
    share = float(lengths.sum()) / (sizes.B * sizes.T)
    return Case(
        Side("longspan", mine.timed(), mine.found, truth, OURS, kernel),
        (
            Side("pack_padded_sequence", packed.timed(), packed.found, truth),
            Side("full batch", full.timed(), full.found, full_truth, OURS, full_kernel, "cost"),
        ),
        share * sizes.flops * (BACKWARD if train else 1),
        grad=train,
        facts={"share": share},
    )


def _packed(layer: nn.LSTM, lengths: Tensor, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """torch's way with lengths, from a padded batch to a padded batch."""
    y, state = layer(pack_padded_sequence(x, lengths, enforce_sorted=False))
    return pad_packed_sequence(y, total_length=x.shape[0])[0], state
