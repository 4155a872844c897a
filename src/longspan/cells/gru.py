"""The gated recurrent unit (Cho et al. 2014)::

    r = σ(W_r x + b_ih,r + U_r h + b_hh,r)        z = σ(W_z x + b_ih,z + U_z h + b_hh,z)
    n = tanh(W_n x + b_ih,n + r ⊙ (U_n h + b_hh,n))          reset_after=True, as torch and cuDNN have it
    n = tanh(W_n x + b_ih,n + U_n (r ⊙ h) + b_hh,n)          reset_after=False, as first published
    h' = (1 - z) ⊙ n + z ⊙ h

Recurrent dropout acts on h inside the products, not on the h that z carries over.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from longspan.cells.base import Activations, Cell, Params, State, StepNoise, Weight, register
from longspan.core.checks import boolean

__all__ = ["gru"]


@register("gru")
def gru(*, reset_after: bool = True, bias: bool = True) -> Cell:
    """The record of a GRU; gate order r z n."""
    boolean(reset_after, "reset_after", "cell 'gru'")
    boolean(bias, "bias", "cell 'gru'")
    weights = [
        Weight("weight_ih", ((3, "H"), (1, "I"))),
        Weight("weight_hh", ((3, "H"), (1, "P"))),
    ]
    if bias:
        weights += [Weight("bias_ih", ((3, "H"),)), Weight("bias_hh", ((3, "H"),))]
    return Cell(
        name="gru",
        options=(("reset_after", reset_after), ("bias", bias)),
        gates=("r", "z", "n"),
        states=("h",),
        weights=tuple(weights),
        activations=("r", "z", "n", "pre_r", "pre_z", "pre_n"),
        hoist=_hoist,
        step=partial(_step, reset_after),
        source="Cho et al. 2014, Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078",
    )


def _hoist(x: Tensor, params: Params) -> Tensor:
    return F.linear(x, params["weight_ih"], params.get("bias_ih"))


def _step(
    reset_after: bool, hoisted: Tensor, state: State, params: Params, noise: StepNoise
) -> tuple[State, Activations]:
    (h,) = state
    seen = noise.recurrent(h)
    x_r, x_z, x_n = hoisted.chunk(3, -1)
    h_r, h_z, h_n = _recurrent(reset_after, seen, params)
    pre_r, pre_z = x_r + h_r, x_z + h_z
    r, z = torch.sigmoid(pre_r), torch.sigmoid(pre_z)
    pre_n = x_n + r * h_n if h_n is not None else x_n + _candidate(r * seen, params)
    n = torch.tanh(pre_n)
    new = (1.0 - z) * n + z * h
    acts = {"r": r, "z": z, "n": n, "pre_r": pre_r, "pre_z": pre_z, "pre_n": pre_n}
    return (noise.keep(0, h, new),), acts


def _recurrent(reset_after: bool, seen: Tensor, params: Params) -> tuple[Tensor, Tensor, Tensor | None]:
    """U h + b_hh of each gate; without n where its product has to wait for r."""
    weight, bias = params["weight_hh"], params.get("bias_hh")
    if reset_after:
        h_r, h_z, h_n = F.linear(seen, weight, bias).chunk(3, -1)
        return h_r, h_z, h_n
    rows = 2 * weight.shape[0] // 3
    h_r, h_z = F.linear(seen, weight[:rows], None if bias is None else bias[:rows]).chunk(2, -1)
    return h_r, h_z, None


def _candidate(gated: Tensor, params: Params) -> Tensor:
    weight, bias = params["weight_hh"], params.get("bias_hh")
    rows = 2 * weight.shape[0] // 3
    return F.linear(gated, weight[rows:], None if bias is None else bias[rows:])
