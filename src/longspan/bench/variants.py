"""Rows of an LSTM with every variant at once, in training, beside our plain LSTM and a loop in torch."""

from __future__ import annotations

import copy
from functools import partial

import torch

from longspan.bench.calls import Call, widened
from longspan.bench.case import OURS, Case, Side, Tensors
from longspan.bench.catalogue import Sizes
from longspan.bench.layers import BACKWARD
from longspan.bench.loops import HandWritten
from longspan.kernels.dispatch import explain, using
from longspan.nn import LSTM

__all__ = ["variants"]

_SEED = 5  # of the masks that the gate draws
_CLIP = 3.0
_GAIN = 0.1


def variants(sizes: Sizes, *, coupled: bool) -> Case:
    """Peepholes, layer normalisation, cell clip, zoneout on h and c, recurrent dropout; coupled gates or not.

    Coupled gates save a quarter of the products; without them there are as many as in the plain LSTM.
    """
    B, T, I, H = sizes  # noqa: E741
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        every = LSTM(
            I, H, peephole=True, layer_norm=True, coupled=coupled, cell_clip=_CLIP, zoneout=(0.05, 0.1),
            recurrent_dropout=0.1,
        )  # fmt: skip
        plain, x, dy = LSTM(I, H), torch.randn(T, B, I), torch.randn(T, B, H)
        with torch.no_grad():
            # With gains of 1 the loop is chaotic: float32 and float64 part within a hundred steps. A gain of
            # 0.1 is what Cooijmans et al. 2017, Recurrent batch normalization, section 4, start from.
            every.gain_ih_l0.fill_(_GAIN)  # type: ignore[operator]
            every.gain_hh_l0.fill_(_GAIN)  # type: ignore[operator]
    loop = HandWritten(every, coupled=coupled, clip=_CLIP)
    calm_loop, calm = copy.deepcopy(loop).eval(), copy.deepcopy(every).eval()
    mine, beside, by_hand = (Call(each, each, x, dy) for each in (every, plain, loop))
    drawn = Call(every, partial(every, seed=_SEED), x, dy)
    return Case(
        Side(
            "longspan",
            mine.timed(),
            drawn.found,
            partial(_reference, every, x, dy, seed=_SEED),
            OURS,
            explain(every, x).backend,
        ),
        (
            Side(
                "plain LSTM",
                beside.timed(),
                beside.found,
                partial(_reference, plain, x, dy),
                OURS,
                explain(plain, x).backend,
                "cost",
            ),
            # Its masks are its own: the loop is judged in evaluation, where both take the expectation.
            Side(
                "torch loop",
                by_hand.timed(),
                Call(calm_loop, calm_loop, x, dy).found,
                partial(_reference, calm, x, dy),
            ),
        ),
        BACKWARD * sizes.flops * (0.75 if coupled else 1.0),
        grad=True,
    )


def _reference(layer: LSTM, x: torch.Tensor, dy: torch.Tensor, **given: int) -> Tensors:
    """Outputs and gradients by the loop that defines the cell, in float64."""
    wide, wide_x, wide_dy = widened(layer, x, dy)
    with using("reference"):
        return Call(wide, partial(wide, **given), wide_x, wide_dy).found()
