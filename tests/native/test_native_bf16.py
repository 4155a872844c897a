"""Streaming with weights in bfloat16: the bits of float32 with the same rounded weights, and its accuracy."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from native_problems import Sizes, assert_same_bits, problem, sizes
from torch import Tensor, nn

from longspan import cells
from longspan.cells.base import Cell
from longspan.core.errors import InputError
from longspan.kernels import native, native_stepper
from longspan.kernels.native_library import Problem, library
from longspan.kernels.native_stepper import Stepper

Numbers = tuple[Cell, list[Tensor], Tensor, tuple[Tensor, ...]]


class OldProblem(Problem):
    """A problem for the build without AVX-512."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(isa=3, **fields)


def _numbers(size: Sizes) -> Numbers:
    """A cell, its weights, x (T, B, I) and the state (1, B, width)."""
    plan, args = problem(size)
    return plan.cell, list(args.weights), args.x, args.state


def _stream(
    cell: Cell,
    weights: list[Tensor],
    x: Tensor,
    state: tuple[Tensor, ...],
    threads: int = 1,
    rate: float = 0.1,
) -> dict[str, Tensor]:
    """All outputs and the last state."""
    zoneout = (rate,) * len(cell.states)
    stepper = Stepper(cell, weights, batch=x.shape[1], threads=threads, zoneout=zoneout)
    ys = []
    for now in x:
        y, state = stepper(now, state)
        ys.append(y)
    return {"y": torch.stack(ys), **dict(zip(cell.states, state, strict=True))}


def _half(weights: list[Tensor], *, vectors: bool) -> list[Tensor]:
    return [weight.bfloat16() if vectors or weight.dim() == 2 else weight for weight in weights]


@settings(max_examples=50, deadline=None)
@given(sizes(max_steps=4), st.booleans(), st.integers(1, 4))
def test_the_bits_are_those_of_the_rounded_weights(size: Sizes, vectors: bool, threads: int) -> None:
    cell, weights, x, state = _numbers(size)
    half = _half(weights, vectors=vectors)
    want = _stream(cell, [weight.float() for weight in half], x, state)
    assert_same_bits(_stream(cell, half, x, state, threads), want)
    if library().longspan_isa() == 4:
        with mock.patch.object(native_stepper, "Problem", OldProblem):
            assert_same_bits(_stream(cell, half, x, state, threads), want)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_sharing_the_units_of_a_step_changes_no_bit(name: str) -> None:
    cell, weights, x, state = _numbers(Sizes(2, 1, 200, 330, name, (), False, False, 3))
    half = _half(weights, vectors=True)
    want = _stream(cell, [weight.float() for weight in half], x, state)
    for threads in range(1, 5):
        assert_same_bits(_stream(cell, half, x, state, threads), want)


@settings(max_examples=25, deadline=None)
@given(sizes(max_steps=3, max_batch=15, max_hidden=300), st.data())
def test_a_stream_does_not_depend_on_its_batch(size: Sizes, data: st.DataObject) -> None:
    cell, weights, x, state = _numbers(size)
    half, one = _half(weights, vectors=True), data.draw(st.integers(0, size.batch - 1))
    whole = _stream(cell, half, x, state)
    alone = _stream(cell, half, x[:, [one]], tuple(part[:, [one]] for part in state))
    assert_same_bits(alone, {name: value[:, [one]] for name, value in whole.items()})


def test_weights_that_are_no_numbers_or_too_large_stay_so() -> None:
    cell = cells.build("rnn", nonlinearity="relu")
    odd = torch.tensor([float("nan"), float("inf"), -float("inf"), 3.3e38, 1e-41, -0.0, 1.0, 2.0])
    weights = [odd[:, None].bfloat16(), *(torch.zeros(shape) for shape in ((8, 8), (8,), (8,)))]
    weights[1] = weights[1].bfloat16()
    y, _ = Stepper(cell, weights)(torch.ones(1, 1))
    want = odd.bfloat16().float().relu()
    assert torch.equal(y[0].isnan(), want.isnan())
    assert torch.equal(y[0, 1:], want[1:])


def _relative(got: Tensor, want: Tensor) -> float:
    return float((got.double() - want).square().mean().sqrt() / want.square().mean().sqrt())


def _eager(cell: nn.LSTMCell, xs: Tensor, dtype: torch.dtype) -> Tensor:
    rounded = nn.LSTMCell(cell.input_size, cell.hidden_size, dtype=dtype)
    rounded.load_state_dict(cell.state_dict())
    state = (torch.zeros(xs.shape[1], cell.hidden_size, dtype=dtype),) * 2
    ys = []
    with torch.no_grad():
        for x in xs.to(dtype):
            state = rounded(x, state)
            ys.append(state[0])
    return torch.stack(ys).double()


@pytest.mark.parametrize("hidden", [64, 512])
def test_the_error_is_what_the_documentation_says_and_below_that_of_eager_bfloat16(hidden: int) -> None:
    torch.manual_seed(4)
    cell, xs = nn.LSTMCell(hidden, hidden), torch.randn(32, 2, hidden)
    want = _eager(cell, xs, torch.float64)
    half = _half([weight.detach() for weight in cell.parameters()], vectors=True)
    got = _stream(cells.build("lstm"), half, xs, (torch.zeros(1, 2, hidden),) * 2, rate=0.0)["y"]
    assert want.shape == got.shape
    assert 1e-4 < _relative(got, want) < 2.5e-3
    assert _relative(got, want) < 0.5 * _relative(_eager(cell, xs, torch.bfloat16), want)


def test_it_holds_half_of_the_memory() -> None:
    cell, weights, *_ = _numbers(Sizes(1, 1, 128, 256, "lstm", (), False, False, 1))
    full, half = Stepper(cell, weights), Stepper(cell, _half(weights, vectors=True))
    matrices = sum(weight.numel() for weight in weights if weight.dim() == 2)
    sizes = [sum(tensor.nbytes for tensor in stepper._held) for stepper in (full, half)]
    assert sizes[0] - sizes[1] == 2 * matrices
    assert not half._unpacked, "float32 copies are let go"


def test_what_does_not_fit_is_refused() -> None:
    cell = cells.build("lstm")
    weights = [torch.zeros(shape) for shape in ((16, 3), (16, 4), (16,), (16,))]
    with pytest.raises(InputError, match=r"weight_hh .* and torch.bfloat16 on the CPU, got .* torch.float32"):
        Stepper(cell, [weights[0].bfloat16(), *weights[1:]])
    with pytest.raises(InputError, match=r"bias_ih .* torch.bfloat16 or torch.float32 .* got .*float64"):
        Stepper(cell, [*_half(weights[:2], vectors=True), *(bias.double() for bias in weights[2:])])
    with pytest.raises(
        InputError, match=r"expected bias_ih .* and torch.float32 on .* got .* torch.bfloat16"
    ):
        Stepper(cell, [*weights[:2], *_half(weights[2:], vectors=True)])
    with pytest.raises(InputError, match=r"float32, float64 or bfloat16, got torch\.float16"):
        Stepper(cell, [weight.half() for weight in weights])
    stepper = Stepper(cell, _half(weights, vectors=True))
    with pytest.raises(InputError, match=r"expected x of shape \(1, 3\) and torch.float32 .* torch.bfloat16"):
        stepper(torch.zeros(1, 3, dtype=torch.bfloat16))


def test_training_and_whole_sequences_stay_in_float32() -> None:
    plan, _ = problem(Sizes(2, 1, 3, 4, "lstm", (), True, False, 1))
    reason = native.supports(plan._replace(dtype=torch.bfloat16))
    assert reason is not None and "not in torch.bfloat16" in reason
