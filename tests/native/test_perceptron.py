"""The perceptron of the engine beside torch's operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from longspan.core.errors import InputError
from longspan.kernels import perceptron as module
from longspan.kernels.dispatch import using
from longspan.kernels.native_library import Running, library
from longspan.kernels.perceptron import Layer, perceptron, reference

Net = Callable[..., Tensor]


class Case:
    """Numbers for sizes: x (B, S, widths[0]), layers, what is added, and a gradient of y."""

    def __init__(
        self, batch: int, steps: int, widths: list[int], adds: bool, seed: int, dtype: torch.dtype
    ) -> None:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int, scale: float = 1.0) -> Tensor:
            drawn = torch.randn(*shape, generator=generator, dtype=torch.float64) * scale
            return drawn.to(dtype).requires_grad_()

        self.x = normal(batch, steps, widths[0])
        self.added = normal(batch, widths[1]) if adds else None
        self.layers = [
            Layer(normal(out, into, scale=into**-0.5), normal(out) if (seed >> k) % 3 else None)
            for k, (into, out) in enumerate(pairwise(widths))
        ]
        self.d_y = normal(batch, steps, widths[-1]).detach()

    def leaves(self) -> list[Tensor]:
        """Everything that has a gradient."""
        every = (self.x, self.added, *(part for layer in self.layers for part in layer))
        return [part for part in every if part is not None]

    def found(self, net: Net) -> list[Tensor]:
        """The result and all gradients."""
        y = net(self.x, self.layers, self.added)
        return [y.detach(), *torch.autograd.grad(y, self.leaves(), self.d_y)]


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "batch": draw(st.integers(1, 40)),
        "steps": draw(st.sampled_from((1, 3, 24, 130, 300))),
        "widths": draw(st.lists(st.integers(1, 70), min_size=2, max_size=5)),
        "adds": draw(st.booleans()),
        "seed": draw(st.integers(0, 1 << 20)),
    }


@contextmanager
def engine(threads: int = 1, isa: int = 0) -> Iterator[None]:
    with mock.patch.object(module, "running", lambda: Running(threads, isa)):
        yield


def _size(part: Tensor) -> float:
    return part.double().square().mean().sqrt().item()


def _clear_of_kinks(case: Case, within: float) -> Tensor:
    """(B, S, 1): rows without a hidden unit so near 0 that rounding may switch its ReLU."""
    assert case.x.dtype is torch.float64
    clear = torch.ones(*case.x.shape[:2], 1, dtype=torch.bool)
    for count in range(1, len(case.layers)):
        clear &= (reference(case.x, case.layers[:count], case.added).abs() > within).all(-1, keepdim=True)
    return clear


def _magnitudes(case: Case) -> list[Tensor]:
    """Of the result and of each gradient the sum of the sizes of its terms, to which rounding is relative."""
    sized = Case.__new__(Case)
    sized.x, sized.added, sized.d_y = case.x.abs(), None, case.d_y.abs()
    sized.layers = [Layer(*(None if part is None else part.abs() for part in layer)) for layer in case.layers]
    if case.added is not None:
        sized.added = case.added.abs()
    return sized.found(reference)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(max_examples=30)
@given(sizes=cases())
def test_it_is_what_torch_computes(dtype: torch.dtype, sizes: dict[str, Any]) -> None:
    case, exact = (Case(**sizes, dtype=each) for each in (dtype, torch.float64))
    for part, given in zip(exact.leaves(), case.leaves(), strict=True):  # the same numbers
        part.data = given.detach().double()
    with torch.no_grad():
        case.d_y *= _clear_of_kinks(exact, within=100 * torch.finfo(dtype).eps)
    exact.d_y = case.d_y.double()
    got, want = case.found(perceptron), exact.found(reference)
    for one, other, magnitude in zip(got, want, _magnitudes(exact), strict=True):
        assert _size(one.double() - other) <= 2 * torch.finfo(dtype).eps * _size(magnitude)


@settings(max_examples=40)
@given(sizes=cases(), threads=st.integers(2, 4))
def test_threads_and_builds_change_no_bit(sizes: dict[str, Any], threads: int) -> None:
    case = Case(**sizes, dtype=torch.float32)
    with engine():
        want = case.found(perceptron)
    ways = [(threads, 0), (1, 3), (threads, 3)] if library().longspan_isa() == 4 else [(threads, 0)]
    for each in ways:
        with engine(*each):
            assert all(map(torch.equal, case.found(perceptron), want))


@settings(max_examples=20)
@given(sizes=cases(), data=st.data())
def test_a_row_depends_on_itself_alone(sizes: dict[str, Any], data: st.DataObject) -> None:
    """Alone as in a batch, whatever stands in the other rows."""
    case = Case(**sizes, dtype=torch.float32)
    with torch.no_grad():
        whole = perceptron(case.x, case.layers, case.added)
        row = data.draw(st.integers(0, sizes["batch"] - 1))
        added = None if case.added is None else case.added[row : row + 1]
        assert torch.equal(perceptron(case.x[row : row + 1], case.layers, added), whole[row : row + 1])
        spoiled = case.x.clone()
        spoiled[row] = float("nan")
        others = torch.arange(sizes["batch"]) != row
        assert torch.equal(perceptron(spoiled, case.layers, case.added)[others], whole[others])


def test_a_number_that_is_none_stays_one_and_its_gradient_too() -> None:
    case = Case(2, 3, [4, 5, 2], adds=True, seed=1, dtype=torch.float32)
    case.x.data[0, 1] = float("nan")
    y, d_x, *_ = case.found(perceptron)
    assert y[0, 1].isnan().all()
    assert not y[1].isnan().any()
    assert torch.equal(d_x.isnan(), case.found(reference)[1].isnan())


def test_second_derivatives() -> None:
    case = Case(2, 3, [3, 4, 2], adds=True, seed=5, dtype=torch.float64)
    leaves = case.leaves()

    def net(x: Tensor, added: Tensor, *parts: Tensor) -> Tensor:
        flat = iter(parts)
        layers = [Layer(next(flat), None if each.bias is None else next(flat)) for each in case.layers]
        return perceptron(x, layers, added)

    assert torch.autograd.gradcheck(net, leaves)
    assert torch.autograd.gradgradcheck(net, leaves)


@pytest.mark.parametrize(("batch", "steps"), [(0, 3), (3, 0)])
def test_no_rows(batch: int, steps: int) -> None:
    case = Case(batch, steps, [4, 5, 2], adds=True, seed=4, dtype=torch.float32)
    got, want = case.found(perceptron), case.found(reference)
    assert all(map(torch.equal, got, want))


def test_strided_inputs() -> None:
    case = Case(4, 6, [8, 5, 2], adds=False, seed=2, dtype=torch.float32)
    turned = case.x.detach().transpose(0, 1).contiguous().transpose(0, 1)
    weight = case.layers[0].weight.detach().t().contiguous().t()
    layers = [Layer(weight, case.layers[0].bias), *case.layers[1:]]
    assert torch.equal(perceptron(turned, layers), perceptron(case.x, case.layers))


def test_it_leaves_the_engine_where_another_backend_is_asked_for() -> None:
    case = Case(2, 3, [3, 4, 2], adds=True, seed=5, dtype=torch.float32)
    with mock.patch.object(module, "_native", side_effect=AssertionError("the engine ran")):
        with using("reference"):
            assert torch.equal(
                perceptron(case.x, case.layers, case.added), reference(case.x, case.layers, case.added)
            )
        with pytest.raises(AssertionError, match="the engine ran"):
            perceptron(case.x, case.layers, case.added)


def test_a_compiler_sees_torch_s_operators() -> None:
    case = Case(2, 3, [3, 4, 2], adds=True, seed=5, dtype=torch.float32)
    compiled = torch.compile(
        lambda x: perceptron(x, case.layers, case.added), backend="eager", fullgraph=True
    )
    assert torch.equal(compiled(case.x), reference(case.x, case.layers, case.added))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(2, 3)}, r"x of shape \(B, S, in\), got \(2, 3\)"),
        ({"x": torch.zeros(2, 3, 7)}, r"weight of layer 0 to be \(out, 7\), got \(5, 4\)"),
        ({"layers": []}, "expected 1 to 4 layers, got 0"),
        ({"layers": [Layer(torch.zeros(5, 4), torch.zeros(4))]}, r"bias of layer 0 to be \(5,\), got \(4,\)"),
        ({"added": torch.zeros(3, 5)}, r"added of shape \(2, 5\), got \(3, 5\)"),
    ],
)
def test_shapes_that_do_not_fit(change: dict[str, Any], message: str) -> None:
    good = {"x": torch.zeros(2, 3, 4), "layers": [Layer(torch.zeros(5, 4), None)], "added": None}
    with pytest.raises(InputError, match=message):
        perceptron(**(good | change))
