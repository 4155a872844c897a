"""What the engine is given that is wrong or odd: an error in words, or the right result; never a crash."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from nasty_calls import EXPECTED, backward, forward, good_call
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from longspan import nn
from longspan.core.errors import InputError
from longspan.kernels.dispatch import using

SCRIPT = Path(__file__).resolve().parent / "nasty_calls.py"


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str | None]:
    """The error of each nasty call by name, made in a process of its own; one that dies is said to have."""
    found: dict[str, str | None] = {}
    first = 0
    while first < len(EXPECTED):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(SCRIPT), str(first)],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines, f"the script did not run: {done.stderr}"
        found.update({line["name"]: line["error"] for line in lines if "error" in line})
        first = lines[-1]["number"] + 1
        if "error" not in lines[-1]:
            found[lines[-1]["name"]] = f"the process died with status {done.returncode}"
    return found


@pytest.mark.parametrize("name", EXPECTED)
def test_a_nasty_call_is_refused_in_words(name: str, outcomes: dict[str, str | None]) -> None:
    error = outcomes[name]
    assert error is not None, "the call went through"
    assert re.search(EXPECTED[name][1], error, re.DOTALL), error


def test_the_good_call_is_good() -> None:
    assert all(bool(part.isfinite().all()) for part in forward(good_call())[:4])
    assert all(bool(part.isfinite().all()) for part in backward(good_call())[5])


Odd = Callable[[Tensor], Tensor]
ODD_TENSORS: dict[str, Odd] = {
    "transposed": lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    "every second": lambda x: torch.stack([x, x + 9], -1).flatten(-2)[..., ::2],
    "expanded": lambda x: x[:1].expand_as(x),
    "one number": lambda x: x.flatten()[:1].view([1] * x.dim()).expand_as(x),
    "overlapping": lambda x: x.flatten().repeat(2).as_strided(x.shape, [1] * x.dim()),
    "negated view": lambda x: torch.complex(torch.zeros_like(x), -x).conj().imag,
    "offset": lambda x: torch.cat([torch.full((1,), 9.0, dtype=x.dtype), x.flatten()])[1:].view(x.shape),
    "negated, dense": torch._neg_view,
    "flipped": lambda x: x.flip(0),
}


def _layer() -> nn.LSTM:
    torch.manual_seed(4)
    return nn.LSTM(3, 5, 2, bidirectional=True, peephole=True, dtype=torch.float64)


def _all_results(layer: nn.LSTM, x: Tensor, state: tuple[Tensor, ...], cotangent: Tensor) -> list[Tensor]:
    y, final, records = layer(x, state, lengths=[4, 1], record=("f", "c"))
    leaves = [leaf for leaf in (x, *state, *layer.parameters()) if leaf.requires_grad]
    gradients = torch.autograd.grad(y, leaves, cotangent) if leaves else ()
    return [part.detach() for part in (y, *final, *records.values(), *gradients)]


@pytest.mark.parametrize("name", ODD_TENSORS)
def test_tensors_of_odd_memory_are_read_right(name: str) -> None:
    """As input, state, weights and gradient: the bits are those of the same numbers in dense memory."""
    odd, layer = ODD_TENSORS[name], _layer()
    x, cotangent = (torch.randn(4, 2, width, dtype=torch.float64) for width in (3, 10))
    state = tuple(torch.randn(4, 2, 5, dtype=torch.float64) for _ in range(2))
    params = {key: odd(value.detach()) for key, value in layer.named_parameters()}
    assert odd(x).shape == x.shape
    found = []
    for settle in (lambda value: value, lambda value: value.clone(memory_format=torch.contiguous_format)):
        given = [settle(odd(value)).requires_grad_() for value in (x, *state)]
        inner = _layer()
        for key, value in params.items():
            holder, _, attribute = key.rpartition(".")
            assert not holder
            inner.register_parameter(attribute, torch.nn.Parameter(settle(value)))
        with using("native"):
            found.append(_all_results(inner, given[0], tuple(given[1:]), settle(odd(cotangent))))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_gradient_that_comes_in_as_a_negated_view_is_read_right() -> None:
    layer, x = _layer(), torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    with using("native"):
        y, (h, c) = layer(x)
        into = [torch.randn_like(part) for part in (y, h, c)]
        want = torch.autograd.grad([y, h, c], x, [-part for part in into], retain_graph=True)[0]
        got = torch.autograd.grad([y, h, c], x, [torch._neg_view(part) for part in into])[0]
    assert torch.equal(got, want)


@pytest.mark.parametrize(("steps", "batch"), [(0, 2), (4, 0), (0, 0)])
@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN])
def test_nothing_in_gives_nothing_out_and_the_state_back(
    cell: type[nn.Recurrent], steps: int, batch: int
) -> None:
    layer = cell(3, 5, 2, bidirectional=True, dtype=torch.float64)  # type: ignore[call-arg, arg-type]
    x = torch.randn(steps, batch, 3, dtype=torch.float64, requires_grad=True)
    start = [torch.randn(4, batch, 5, dtype=torch.float64, requires_grad=True) for _ in layer.cell.states]
    found = []
    for kernel in ("native", "reference"):
        with using(kernel):
            y, state, records = layer(x, tuple(start) if len(start) > 1 else start[0], record="h")
            leaves = [x, *start, *layer.parameters()]
            loss = y.sum() + sum(part.sum() for part in (state if isinstance(state, tuple) else [state]))
            gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
            zeros = [torch.zeros_like(v) if g is None else g for v, g in zip(leaves, gradients, strict=True)]
            found.append([y, *torch.utils._pytree.tree_leaves(state), records["h"], *zeros])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf"), 1e30, 1e-42])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_spoilt_sequence_spoils_no_other(cell: str, odd: float) -> None:
    layer = {"lstm": nn.LSTM(3, 5, layer_norm=True), "gru": nn.GRU(3, 5), "rnn": nn.RNN(3, 5)}[cell]
    x = torch.randn(6, 4, 3)
    spoilt = x.clone()
    spoilt[2, 1, 0] = odd
    found = []
    for value in (x, spoilt):
        with using("native"):
            value.requires_grad_()
            y = layer(value)[0]
            found.append((y.detach(), torch.autograd.grad(y.square().sum(), value)[0]))
    others = [0, 2, 3]
    for want, got in zip(*found, strict=True):
        assert torch.equal(want[:, others], got[:, others])
    with using("reference"):
        want = layer(spoilt)[0]
    assert torch.allclose(found[1][0], want, atol=1e-5, equal_nan=True)
    assert torch.equal(found[1][0][:2], found[0][0][:2]), "the past does not see it"


def test_a_layer_refuses_in_words_what_the_engine_could_not_read() -> None:
    layer = nn.LSTM(3, 5)
    x = torch.randn(4, 2, 3)
    with using("native"):
        for bad, message in (
            ({"lengths": [1, 5]}, "between 0 and the 4 steps of the input, got 5 for sequence 1"),
            ({"lengths": [-1, 2]}, "got -1 for sequence 0"),
            ({"hx": (torch.zeros(1, 2, 4), torch.zeros(1, 2, 5))}, r"state h of shape .*got \(1, 2, 4\)"),
            ({"reset": torch.zeros(2, 4).bool()}, r"reset of shape \(4, 2\).*got \(2, 4\)"),
            ({"sample_ids": [1, 2, 3]}, r"one sample id for each of 2 sequences, got shape \(3,\)"),
        ):
            with pytest.raises(InputError, match=message):
                layer(x, **bad)
        with pytest.raises(InputError, match="runs on the CPU, not on meta"):
            layer.to("meta")(x.to("meta"))
        with pytest.raises(InputError, match=r"float32 and float64, not in torch\.bfloat16"):
            nn.LSTM(3, 5, dtype=torch.bfloat16)(x.bfloat16())


@pytest.mark.parametrize("name", ["hx", "lengths", "reset", "sample_ids", "weight"])
def test_tensors_on_two_devices_are_refused_in_words(name: str) -> None:
    """The address of a tensor without memory is none, which must not pass for an argument left away."""
    layer = nn.LSTM(3, 5, zoneout=0.2)
    elsewhere: dict[str, Any] = {
        "hx": tuple(torch.zeros(1, 2, 5, device="meta") for _ in range(2)),
        "lengths": torch.ones(2, dtype=torch.int64, device="meta"),
        "reset": torch.ones(4, 2, dtype=torch.bool, device="meta"),
        "sample_ids": torch.ones(2, dtype=torch.int64, device="meta"),
    }
    if name == "weight":
        layer.weight_hh_l0 = torch.nn.Parameter(layer.weight_hh_l0.to("meta"))
    options = {name: elsewhere[name]} if name in elsewhere else {}
    with (
        using("native"),
        pytest.raises(InputError, match=r"expected all tensors on one device, got \['cpu', 'meta'\]"),
    ):
        layer(torch.randn(4, 2, 3), **options)


def test_fake_tensors_and_tracers_by_dispatch_see_the_operators() -> None:
    layer = _layer()
    x = torch.randn(4, 2, 3, dtype=torch.float64)

    def run(x: Tensor) -> tuple[Any, ...]:
        y, (h, c), records = layer(x, record="c")
        return y, h, c, records["c"]

    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        shapes = [part.shape for part in run(fake.from_tensor(x))]
    assert shapes == [part.shape for part in run(x)]
    graph = make_fx(run)(torch.randn_like(x))
    assert all(torch.equal(one, other) for one, other in zip(graph(x), run(x), strict=True))


def test_inference_mode_and_its_tensors() -> None:
    layer = _layer()
    with torch.inference_mode():
        x = torch.randn(4, 2, 3, dtype=torch.float64)
        y, state = layer(x)
    assert torch.equal(y, layer(x.clone())[0])
    with torch.no_grad():
        assert torch.equal(layer(x, state)[0], layer(x.clone(), tuple(part.clone() for part in state))[0])
