"""Gradients of first and second order against finite differences, and how they fade over time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from longspan.kernels.plan import start_state
from longspan.nn import GRU, LSTM, RNN, Recurrent, using

SMALL: dict[str, dict[str, Any]] = {
    "lstm": {},
    "peephole": {"peephole": True},
    "coupled peephole": {"peephole": True, "coupled": True},
    "layer norm": {"layer_norm": True},
    "1997": {"forget_gate": False},
    "projection and zoneout": {"proj_size": 1, "zoneout": 0.3},
    "all": {
        "peephole": True, "layer_norm": True, "proj_size": 1, "cell_clip": 1.5, "zoneout": 0.3,
        "recurrent_dropout": 0.2, "learn_initial_state": True,
    },
}  # fmt: skip


def layers() -> dict[str, Recurrent]:
    torch.manual_seed(7)
    made: dict[str, Recurrent] = {
        name: LSTM(2, 2, dtype=torch.float64, **options) for name, options in SMALL.items()
    }
    made["gru"] = GRU(2, 2, dtype=torch.float64)
    made["gru reset before"] = GRU(2, 2, dtype=torch.float64, reset_after=False)
    made["rnn"] = RNN(2, 2, dtype=torch.float64)
    return made


LAYERS = layers()


def function(layer: Recurrent) -> tuple[Any, tuple[Tensor, ...]]:
    names = [name for name, _ in layer.named_parameters()]
    x = torch.randn(3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    state = [torch.randn_like(part) for part in start_state(*layer.prepare(x))]

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        hx = rest[: len(state)] if len(state) > 1 else rest[0]
        weights = dict(zip(names, rest[len(state) :], strict=True))
        options = {"lengths": [3, 2], "seed": 4}
        y, final = functional_call(layer, weights, (x, hx), options)
        return y, *(final if isinstance(final, tuple) else (final,))

    leaves = (x, *state, *(parameter.detach().clone() for parameter in layer.parameters()))
    return run, tuple(leaf.requires_grad_() for leaf in leaves)


@pytest.mark.parametrize("name", LAYERS)
def test_first_order(name: str) -> None:
    run, leaves = function(LAYERS[name])
    with using("reference"):
        assert torch.autograd.gradcheck(run, leaves)


@pytest.mark.parametrize("name", LAYERS)
def test_second_order(name: str) -> None:
    run, leaves = function(LAYERS[name])
    with using("reference"):
        assert torch.autograd.gradgradcheck(run, leaves, fast_mode=True)


def slope(layer: Recurrent, steps: int) -> Tensor:
    """log of the size of dy_T/dx_(T-k), for k = 0 … steps-1."""
    x = torch.randn(steps, 1, layer.input_size, dtype=torch.float64) * 1e-3
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x)[0][-1].sum(), x)
    return gradient.norm(dim=-1).flatten().flip(0).log()


@pytest.mark.parametrize("radius", [0.5, 0.9, 1.1])
def test_the_gradient_of_a_plain_rnn_goes_with_the_spectral_radius(radius: float) -> None:
    """Near zero tanh is the identity, so the gradient k steps back is U^k: it vanishes or explodes as
    radius^k.
    """
    torch.manual_seed(0)
    layer = RNN(3, 8, bias=False, dtype=torch.float64)
    with torch.no_grad():
        orthogonal, _ = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))
        layer.weight_hh_l0.copy_(radius * orthogonal)
        layer.weight_ih_l0.mul_(1e-3)
    logs = slope(layer, 40)
    rate = (logs[30:].mean() - logs[:10].mean()) / 30
    assert abs(rate.exp() - radius) < 0.03


def test_the_cell_state_carries_the_gradient_that_a_plain_rnn_loses() -> None:
    torch.manual_seed(0)
    lag = 100
    keeping = slope(LSTM(3, 8, dtype=torch.float64, forget_bias=8.0), lag)
    forgetting = slope(LSTM(3, 8, dtype=torch.float64, forget_bias=-2.0), lag)
    plain = slope(RNN(3, 8, dtype=torch.float64), lag)
    assert keeping[-1] - keeping[5] > -3  # a factor of 20 at most over 94 steps
    assert forgetting[-1] - forgetting[5] < -60
    assert plain[-1] - plain[5] < -20


def test_without_forget_gate_the_cell_state_is_a_perfect_integrator() -> None:
    """Hochreiter & Schmidhuber's constant error carousel: dc_T/dc_0 = 1 when the gates do not see h."""
    layer = LSTM(3, 4, dtype=torch.float64, forget_gate=False)
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
    c = torch.zeros(1, 1, 4, dtype=torch.float64, requires_grad=True)
    x = torch.randn(50, 1, 3, dtype=torch.float64)
    _, (_, final) = layer(x, (torch.zeros(1, 1, 4, dtype=torch.float64), c))
    jacobian = torch.stack(
        [torch.autograd.grad(final[0, 0, u], c, retain_graph=True)[0].flatten() for u in range(4)]
    )
    assert torch.equal(jacobian, torch.eye(4, dtype=torch.float64))
