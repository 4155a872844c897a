"""The plain recurrent network: h' = tanh(W x + b_ih + U h + b_hh), or relu in place of tanh (Elman 1990)."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from longspan.cells.base import Activations, Cell, Params, State, StepNoise, Weight, register
from longspan.core.checks import boolean, choice

__all__ = ["rnn"]


@register("rnn")
def rnn(*, nonlinearity: str = "tanh", bias: bool = True) -> Cell:
    """The record of a plain recurrent cell; its one gate is g, equal to h' where there is no zoneout.

    Raises:
        InputError: ``nonlinearity`` is neither tanh nor relu.
    """
    choice(nonlinearity, "nonlinearity", "cell 'rnn'", ("tanh", "relu"))
    boolean(bias, "bias", "cell 'rnn'")
    weights = [Weight("weight_ih", ((1, "H"), (1, "I"))), Weight("weight_hh", ((1, "H"), (1, "P")))]
    if bias:
        weights += [Weight("bias_ih", ((1, "H"),)), Weight("bias_hh", ((1, "H"),))]
    return Cell(
        name="rnn",
        options=(("nonlinearity", nonlinearity), ("bias", bias)),
        gates=("g",),
        states=("h",),
        weights=tuple(weights),
        activations=("g", "pre_g"),
        hoist=_hoist,
        step=partial(_step, nonlinearity),
        source="Elman 1990, Finding structure in time, Cognitive Science 14(2)",
    )


def _hoist(x: Tensor, params: Params) -> Tensor:
    return F.linear(x, params["weight_ih"], params.get("bias_ih"))


def _step(
    nonlinearity: str, hoisted: Tensor, state: State, params: Params, noise: StepNoise
) -> tuple[State, Activations]:
    (h,) = state
    pre = hoisted + F.linear(noise.recurrent(h), params["weight_hh"], params.get("bias_hh"))
    g = torch.tanh(pre) if nonlinearity == "tanh" else torch.relu(pre)
    return (noise.keep(0, h, g),), {"g": g, "pre_g": pre}
