"""A horizon on the engine, from a summary to the loss, beside torch's operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from longspan.core.errors import InputError
from longspan.kernels import horizon as module
from longspan.kernels.dispatch import using
from longspan.kernels.horizon import Layer, Net, decode, learn, reference
from longspan.kernels.native_library import Running, library

Decode = Callable[[Tensor, Tensor, Net], Tensor]
Learn = Callable[[Tensor, Tensor, Net, Tensor, Tensor, Tensor], Tensor]


class Case:
    """Numbers for sizes: ``widths`` are W, K, Y, then what each layer gives."""

    def __init__(self, batch: int, steps: int, widths: list[int], seed: int, dtype: torch.dtype) -> None:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int, scale: float = 1.0) -> Tensor:
            drawn = torch.randn(*shape, generator=generator, dtype=torch.float64) * scale
            return drawn.to(dtype).requires_grad_()

        def layer(gives: int, reads: int, number: int) -> Layer:
            bias = normal(gives) if (seed >> number) % 3 else None
            return Layer(normal(gives, reads, scale=reads**-0.5), bias)

        summary, codes, known, *gives = widths
        self.summary, self.future = normal(batch, summary), normal(batch, steps, known)
        reads = [codes + known, *gives[:-1]]
        layers = [layer(*sizes, number) for number, sizes in enumerate(zip(gives, reads, strict=True))]
        self.net = Net(layer(steps * codes, summary, 5), layer(gives[0], summary, 6), layers)
        self.anchor, self.target = normal(batch, steps), normal(batch, steps).detach()
        self.target[torch.rand(batch, steps, generator=generator) < 0.1] = float("nan")
        self.levels = (torch.arange(gives[-1], dtype=torch.float64) + 0.5).div(gives[-1]).to(dtype)
        self.d_y = normal(batch, steps, gives[-1]).detach()

    def leaves(self, *, anchored: bool = False) -> list[Tensor]:
        """Everything that has a gradient."""
        every = (self.summary, self.future, *([self.anchor] if anchored else []), *self.net.flat())
        return [part for part in every if part is not None]

    def in_double(self) -> Case:
        """The same numbers in float64."""
        made = Case.__new__(Case)

        def wide(part: Tensor) -> Tensor:
            return part.detach().double().requires_grad_(part.requires_grad)

        for name in ("summary", "future", "anchor", "target", "levels", "d_y"):
            setattr(made, name, wide(getattr(self, name)))
        made.net = Net.from_flat([None if part is None else wide(part) for part in self.net.flat()])
        return made

    def sized(self) -> Case:
        """The sizes of the numbers, for the sum of the sizes of all terms."""
        made = self.in_double()
        for part in (*made.leaves(anchored=True), made.d_y):
            part.data.abs_()
        return made

    def decoded(self, run: Decode) -> list[Tensor]:
        """The result and all gradients."""
        y = run(self.summary, self.future, self.net)
        return [y.detach(), *torch.autograd.grad(y, self.leaves(), self.d_y)]

    def learned(self, run: Learn) -> list[Tensor]:
        """The loss and all gradients."""
        loss = run(self.summary, self.future, self.net, self.anchor, self.target, self.levels)
        return [loss.detach(), *torch.autograd.grad(loss, self.leaves(anchored=True))]


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    batch, steps = draw(st.sampled_from([(1, 1), (1, 300), (3, 130), (9, 24), (40, 7), (300, 1), (17, 13)]))
    width = st.integers(1, 70)
    return {
        "batch": batch,
        "steps": steps,
        "widths": [
            draw(width),
            draw(st.integers(1, 20)),
            draw(st.integers(0, 9)),
            *draw(st.lists(width, min_size=1, max_size=4)),
        ],
        "seed": draw(st.integers(0, 1 << 20)),
    }


@contextmanager
def engine(threads: int = 1, isa: int = 0) -> Iterator[None]:
    with mock.patch.object(module, "running", lambda: Running(threads, isa)):
        yield


def by_torch(*operands: Any) -> Tensor:
    with using("reference"):
        return learn(*operands)


def small(seed: int = 5, dtype: torch.dtype = torch.float32) -> Case:
    return Case(3, 4, [3, 2, 1, 4, 5], seed=seed, dtype=dtype)


def _size(part: Tensor) -> float:
    return part.double().square().mean().sqrt().item() if part.numel() else 0.0


def _clear_of_kinks(case: Case, within: float) -> Tensor:
    """(B, H): steps without a hidden unit so near 0 that rounding may switch its ReLU."""
    clear = torch.ones(case.future.shape[:2], dtype=torch.bool)
    for count in range(1, len(case.net.layers)):
        shown = reference(case.summary, case.future, case.net._replace(layers=case.net.layers[:count]))
        clear &= (shown.abs() > within).all(-1)
    return clear


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(max_examples=30)
@given(sizes=cases())
def test_it_decodes_as_torch_does(dtype: torch.dtype, sizes: dict[str, Any]) -> None:
    case, eps = Case(**sizes, dtype=dtype), torch.finfo(dtype).eps
    case.d_y *= _clear_of_kinks(case.in_double(), within=100 * eps)[..., None]
    got, want = case.decoded(decode), case.in_double().decoded(reference)
    # Rounding is relative to the terms of a sum, whose result may be small.
    for one, other, magnitude in zip(got, want, case.sized().decoded(reference), strict=True):
        assert _size(one.double() - other) <= 2 * eps * _size(magnitude)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(max_examples=30)
@given(sizes=cases())
def test_it_learns_as_torch_does(dtype: torch.dtype, sizes: dict[str, Any]) -> None:
    case, eps = Case(**sizes, dtype=dtype), torch.finfo(dtype).eps
    exact = case.in_double()
    with torch.no_grad():
        y = reference(exact.summary, exact.future, exact.net) + exact.anchor[..., None]
        near = (exact.target[..., None] - y).abs().min(-1).values <= 100 * eps * (1 + y.abs().max())
    # A quantile that is met to the last bit has a loss with a kink too.
    case.target[near | ~_clear_of_kinks(exact, within=100 * eps)] = float("nan")
    got, want = case.learned(learn), case.in_double().learned(by_torch)
    assert abs(got[0].item() - want[0].item()) <= 8 * eps * max(1.0, abs(want[0].item()))
    sized = case.sized()
    known = torch.isfinite(case.target)
    sized.d_y = (known / known.sum().clamp(min=1) / len(case.levels)).double()[..., None] * torch.ones_like(
        sized.d_y
    )
    decoded = sized.decoded(reference)
    # Of many equal terms, as these are, a chain is rounded in one direction.
    bound = eps * (4 + case.target.numel() / 16)
    magnitudes = [*decoded[1:3], sized.d_y.sum(-1), *decoded[3:]]
    for one, other, magnitude in zip(got[1:], want[1:], magnitudes, strict=True):
        assert _size(one.double() - other) <= bound * _size(magnitude)


@settings(max_examples=40)
@given(sizes=cases(), threads=st.integers(2, 5))
def test_threads_and_builds_change_no_bit(sizes: dict[str, Any], threads: int) -> None:
    case = Case(**sizes, dtype=torch.float32)
    with engine():
        want = [*case.decoded(decode), *case.learned(learn)]
    ways = [(threads, 0), (1, 3), (threads, 3)] if library().longspan_isa() == 4 else [(threads, 0)]
    for each in ways:
        with engine(*each):
            found = [*case.decoded(decode), *case.learned(learn)]
            assert all(map(torch.equal, found, want))


@settings(max_examples=20)
@given(sizes=cases(), data=st.data())
def test_a_sequence_depends_on_itself_alone(sizes: dict[str, Any], data: st.DataObject) -> None:
    """Alone as in a batch, whatever stands in the others."""
    case = Case(**sizes, dtype=torch.float32)
    with torch.no_grad():
        whole = decode(case.summary, case.future, case.net)
        row = data.draw(st.integers(0, sizes["batch"] - 1))
        alone = decode(case.summary[row : row + 1], case.future[row : row + 1], case.net)
        assert torch.equal(alone, whole[row : row + 1])
        spoiled = case.summary.clone()
        spoiled[row] = float("nan")
        others = torch.arange(sizes["batch"]) != row
        assert torch.equal(decode(spoiled, case.future, case.net)[others], whole[others])


@settings(max_examples=20)
@given(sizes=cases())
def test_the_way_back_is_the_same_whether_it_learns_or_decodes(sizes: dict[str, Any]) -> None:
    case = Case(**sizes, dtype=torch.float32)
    loss, d_summary, d_future, d_anchor, *d_net = case.learned(learn)
    quantiles = decode(case.summary, case.future, case.net).detach() + case.anchor[..., None]
    error = case.target[..., None] - quantiles
    known = ~torch.isnan(case.target)
    weight = torch.tensor(0.5) / len(case.levels) * (torch.tensor(1.0) / known.sum().clamp(min=1))
    case.d_y = torch.where(known[..., None], -weight * (error.sign() + (2 * case.levels - 1)), 0.0).detach()
    _, *found = case.decoded(decode)
    assert all(map(torch.equal, found, [d_summary, d_future, *d_net]))
    off = (d_anchor - case.d_y.sum(-1)).abs()  # of a sum that may cancel, and rounds as its terms do
    assert (off <= 1e-6 * case.d_y.abs().sum(-1)).all()
    assert loss.isfinite()


def test_no_target_is_known() -> None:
    case = small()
    case.target.fill_(float("nan"))
    loss, *gradients = case.learned(learn)
    assert loss.item() == 0.0
    assert all(not part.any() for part in gradients)


def test_a_number_that_is_none_stays_one_and_its_gradient_too() -> None:
    case = small()
    case.summary.data[1, 0] = float("nan")
    case.target.nan_to_num_(nan=0.5)
    y, d_summary, *_ = case.decoded(decode)
    assert torch.equal(y.isnan().any(-1).any(-1), torch.tensor([False, True, False]))
    assert torch.equal(d_summary.isnan(), case.decoded(reference)[1].isnan())
    loss, d_summary, *_ = case.learned(learn)
    assert loss.isnan()
    assert torch.equal(d_summary.isnan().all(-1), torch.tensor([False, True, False]))


def test_second_derivatives() -> None:
    case = small(dtype=torch.float64)
    leaves = case.leaves(anchored=True)
    present = [part is not None for part in case.net.flat()]

    def net_of(parts: tuple[Tensor, ...]) -> Net:
        flat = iter(parts)
        return Net.from_flat([next(flat) if there else None for there in present])

    def decoded(summary: Tensor, future: Tensor, _: Tensor, *parts: Tensor) -> Tensor:
        return decode(summary, future, net_of(parts))

    def learned(summary: Tensor, future: Tensor, anchor: Tensor, *parts: Tensor) -> Tensor:
        return 3.0 * learn(summary, future, net_of(parts), anchor, case.target, case.levels).square()

    for function in (decoded, learned):
        assert torch.autograd.gradcheck(function, leaves)
        assert torch.autograd.gradgradcheck(function, leaves)


def test_a_loss_may_be_gone_back_twice_and_scaled() -> None:
    case = small()
    leaves = case.leaves()
    loss = learn(case.summary, case.future, case.net, case.anchor, case.target, case.levels)
    once = torch.autograd.grad(loss, leaves, retain_graph=True)
    twice = torch.autograd.grad(loss * 2.0, leaves)
    assert all(torch.equal(2.0 * one, two) for one, two in zip(once, twice, strict=True))


def test_what_is_handed_out_is_the_caller_s() -> None:
    case = small()
    leaves = case.leaves()
    loss = learn(case.summary, case.future, case.net, case.anchor, case.target, case.levels)
    once = torch.autograd.grad(loss, leaves, retain_graph=True)
    kept = [part.clone() for part in once]
    for part in once:
        part.zero_()
    assert all(map(torch.equal, torch.autograd.grad(loss, leaves), kept))
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()


def test_a_loss_without_gradients_is_the_same() -> None:
    case = Case(9, 24, [32, 16, 2, 32, 11], seed=3, dtype=torch.float32)
    operands = (case.summary, case.future, case.net, case.anchor, case.target, case.levels)
    tracked = learn(*operands)
    with (
        torch.no_grad(),
        mock.patch.object(module, "_learn", side_effect=AssertionError("gradients were made")),
    ):
        torch.testing.assert_close(learn(*operands), tracked.detach())


def test_weights_that_changed_on_the_way_are_refused() -> None:
    case = small()
    loss = learn(case.summary, case.future, case.net, case.anchor, case.target, case.levels)
    with torch.no_grad():
        case.net.plan.weight.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize(("batch", "steps"), [(0, 3), (3, 0)])
def test_nothing_to_decode(batch: int, steps: int) -> None:
    case = Case(batch, steps, [4, 5, 2, 3], seed=4, dtype=torch.float32)
    got, want = case.decoded(decode), case.decoded(reference)
    assert all(map(torch.equal, got, want))


def test_strided_inputs() -> None:
    case = small()
    summary = case.summary.detach().t().contiguous().t()
    weight = case.net.layers[0].weight.detach().t().contiguous().t()
    net = case.net._replace(layers=[Layer(weight, case.net.layers[0].bias), *case.net.layers[1:]])
    want = decode(case.summary, case.future, case.net)
    assert torch.equal(decode(summary, case.future, net), want)


def test_it_leaves_the_engine_where_another_backend_is_asked_for() -> None:
    case = small()
    operands = (case.summary, case.future, case.net)
    with mock.patch.object(module, "_problem", side_effect=AssertionError("the engine ran")):
        with using("reference"):
            assert torch.equal(decode(*operands), reference(*operands))
            assert learn(*operands, case.anchor, case.target, case.levels).isfinite()
        with pytest.raises(AssertionError, match="the engine ran"):
            decode(*operands)
        with pytest.raises(AssertionError, match="the engine ran"):
            learn(*operands, case.anchor, case.target, case.levels)


def test_a_compiler_sees_torch_s_operators() -> None:
    case = small()
    compiled = torch.compile(lambda s: decode(s, case.future, case.net), backend="eager", fullgraph=True)
    assert torch.equal(compiled(case.summary), reference(case.summary, case.future, case.net))


def test_transforms_and_autocast_take_torch_s_operators() -> None:
    case = small()

    def loss(summary: Tensor) -> Tensor:
        return learn(summary, case.future, case.net, case.anchor, case.target, case.levels)

    want = torch.autograd.grad(loss(case.summary), case.summary)[0]
    torch.testing.assert_close(torch.func.grad(loss)(case.summary), want)
    with torch.autocast("cpu", torch.bfloat16):
        assert decode(case.summary, case.future, case.net).dtype is torch.bfloat16


def _with(**change: Any) -> dict[str, Any]:
    zeros = torch.zeros
    net = Net(
        Layer(zeros(6, 4), None),
        Layer(zeros(5, 4), None),
        [Layer(zeros(5, 3), None), Layer(zeros(2, 5), None)],
    )
    return {"summary": zeros(2, 4), "future": zeros(2, 3, 1), "net": net} | change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"summary": torch.zeros(2, 3, 4)}, r"summary of shape \(B, W\) .* got \(2, 3, 4\)"),
        ({"future": torch.zeros(3, 3, 1)}, r"future of shape \(B, H, Y\), got \(2, 4\) and \(3, 3, 1\)"),
        ({"future": torch.zeros(2, 3, 2)}, r"weight of plan to be \(3, 4\), got \(6, 4\)"),
        ({"summary": torch.zeros(2, 7)}, r"weight of plan to be \(6, 7\), got \(6, 4\)"),
        ({"future": torch.zeros(2, 4, 1)}, r"weight of plan to be \(8, 4\), got \(6, 4\)"),
        ({"net": _with()["net"]._replace(layers=[])}, "expected 1 to 4 layers, got 0"),
        (
            {"net": _with()["net"]._replace(shared=Layer(torch.zeros(5, 4), torch.zeros(4)))},
            r"bias of shared to be \(5,\), got \(4,\)",
        ),
    ],
)
def test_shapes_that_do_not_fit(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        decode(**_with(**change))


def test_an_anchor_that_does_not_fit() -> None:
    case = small()
    with pytest.raises(InputError, match=r"anchor of shape \(3, 4\), got \(3,\)"):
        learn(case.summary, case.future, case.net, torch.zeros(3), case.target, case.levels)


def test_what_torch_s_layers_hold_is_a_net() -> None:
    plan, shared = nn.Linear(4, 6), nn.Linear(4, 5)
    layers = [Layer(each.weight, each.bias) for each in (nn.Linear(3, 5, bias=False), nn.Linear(5, 2))]
    net = Net(Layer(plan.weight, plan.bias), Layer(shared.weight, shared.bias), layers)
    assert Net.from_flat(net.flat()) == net


def test_without_codes_torch_decodes() -> None:
    case = Case(3, 4, [3, 0, 2, 4, 5], seed=1, dtype=torch.float32)
    got, want = case.decoded(decode), case.decoded(reference)
    assert all(torch.equal(one, other) for one, other in zip(got, want, strict=True))
