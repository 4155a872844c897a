"""The layers on CUDA tensors: torch's own kernels where the cell is torch's, the loop elsewhere.

The float32 of cuDNN errs by up to 2.8e-6 of a result's size, as measured on an H200 with TF32 off: its
functions are not ours to change. So the layers that run on it are held to torch's own layers to the bit, and
to the loop in float64 within 1e-5; what runs in our own loop keeps the bound of every kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from kernel_contract import relative_error
from nasty_calls import forward, good_call
from torch import Tensor

from longspan import nn
from longspan.core.errors import LongspanError
from longspan.kernels.dispatch import using
from longspan.nn import explain

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch.cuda.is_available() is False: no CUDA device here"
)

LAYERS: dict[str, tuple[str, Callable[[], nn.Recurrent], dict[str, Any]]] = {
    "lstm": ("vendor", lambda: nn.LSTM(5, 16, 2, bidirectional=True), {}),
    "projection": ("vendor", lambda: nn.LSTM(5, 16, proj_size=7, batch_first=True), {}),
    "gru": ("vendor", lambda: nn.GRU(5, 16, 2, learn_initial_state=True), {}),
    "rnn": ("vendor", lambda: nn.RNN(5, 16, nonlinearity="relu"), {}),
    "ragged": ("vendor", lambda: nn.LSTM(5, 16, bidirectional=True), {"lengths": [2, 0, 7, 5]}),
    "options": (
        "reference",
        lambda: nn.LSTM(5, 16, peephole=True, layer_norm=True, coupled=True, zoneout=0.2),
        {"seed": 3, "lengths": [2, 0, 7, 5], "record": ("i", "c")},
    ),
}


def _results(layer: nn.Recurrent, x: Tensor, options: dict[str, Any]) -> list[Tensor]:
    found = torch.utils._pytree.tree_leaves(layer(x, **options))
    loss = sum(part.square().sum() for part in found)
    return [*found, *torch.autograd.grad(loss, [x, *layer.parameters()])]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_on_the_device_is_the_loop_on_the_processor(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results and gradients, with TF32 off."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    backend, make, options = LAYERS[name]
    torch.manual_seed(3)
    layer = make()
    x = torch.randn(4, 7, 5) if layer.batch_first else torch.randn(7, 4, 5)
    exact = make().double()
    exact.load_state_dict({key: value.double() for key, value in layer.state_dict().items()})
    with using("reference"):
        want = _results(exact, x.double().requires_grad_(), options)
    on_device, there = layer.cuda(), x.cuda().requires_grad_()
    explanation = explain(on_device, there, **options)
    assert explanation.backend == backend
    assert "runs on the CPU, not on cuda" in explanation.refusals["native"]
    for got, expected in zip(_results(on_device, there, options), want, strict=True):
        assert got.device.type == "cuda"
        assert relative_error(got.cpu(), expected) <= (1e-5 if backend == "vendor" else 2e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_layer_on_the_device_is_torch_s_own_layer(kind: str, training: bool) -> None:
    """To the bit, in evaluation too, where cuDNN refuses derivatives; gradients are sums in any order."""
    torch.manual_seed(4)
    ours = getattr(nn, kind)(5, 16, 2, bidirectional=True).cuda()
    theirs = getattr(torch.nn, kind)(5, 16, 2, bidirectional=True).cuda()
    theirs.load_state_dict(ours.state_dict())
    ours.train(training)
    x = torch.randn(7, 4, 5, device="cuda", requires_grad=True)
    states = 2 if kind == "LSTM" else 1
    for number, (got, want) in enumerate(zip(_results(ours, x, {}), _results(theirs, x, {}), strict=True)):
        if number <= states:
            assert torch.equal(got, want)
        assert relative_error(got.cpu(), want.cpu()) <= 1e-6


def test_an_engine_s_operator_refuses_the_device() -> None:
    call = good_call()
    call["x"] = call["x"].cuda()
    with pytest.raises(NotImplementedError, match="CUDA"):
        forward(call)


@pytest.mark.parametrize("name", ["hx", "lengths", "reset", "sample_ids"])
def test_tensors_on_two_devices_are_refused_in_words(name: str) -> None:
    elsewhere: dict[str, Any] = {
        "hx": tuple(torch.zeros(1, 2, 5, device="cuda") for _ in range(2)),
        "lengths": torch.tensor([4, 1], device="cuda"),
        "reset": torch.ones(4, 2, dtype=torch.bool, device="cuda"),
        "sample_ids": torch.tensor([4, 1], device="cuda"),
    }
    with using("native"), pytest.raises((LongspanError, NotImplementedError), match=r"device|CUDA"):
        nn.LSTM(3, 5, zoneout=0.2)(torch.randn(4, 2, 3), **{name: elsewhere[name]})
