"""The engine in torch: gradients by finite differences, tapes, odd strides, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from native_problems import Sizes, assert_same_bits, problem, sizes
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from longspan import nn
from longspan.core.errors import InputError, LongspanError
from longspan.kernels import native, native_buffers, native_direct, native_ops, native_stack
from longspan.kernels.plan import Arguments, Plan, Result

FULL = (("peephole", True), ("layer_norm", True), ("projection", True), ("cell_clip", 0.9))
CASES = [
    Sizes(4, 3, 2, 5, "lstm", (), False, False, 1),
    Sizes(4, 3, 2, 5, "lstm", FULL, True, True, 2),
    Sizes(4, 3, 2, 5, "lstm", (("coupled", True),), True, False, 3),
    Sizes(3, 2, 2, 5, "lstm", (("forget_gate", False), ("peephole", True)), False, True, 4),
    Sizes(4, 3, 2, 5, "gru", (), True, True, 5),
    Sizes(4, 3, 2, 5, "rnn", (), True, True, 6),
]
NAMES = [f"{case.cell}-{case.seed}" for case in CASES]


def _leaves(args: Arguments) -> tuple[Tensor, ...]:
    found = (args.x, *args.state, *args.weights, *(args.reset_state or ()))
    return tuple(part.detach().clone().requires_grad_() for part in found)


def _call(
    plan: Plan,
    args: Arguments,
    leaves: tuple[Tensor, ...],
    kernel: Callable[[Plan, Arguments], Result] = native.run,
) -> tuple[Tensor, ...]:
    states, weights = len(args.state), len(args.weights)
    fresh = leaves[1 + states + weights :]
    result = kernel(
        plan,
        args._replace(
            x=leaves[0],
            state=leaves[1 : 1 + states],
            weights=list(leaves[1 + states : 1 + states + weights]),
            reset_state=fresh or None,
        ),
    )
    return (result.y, *result.state, *result.record.values())


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_gradients_are_those_of_finite_differences(case: Sizes) -> None:
    plan, args = problem(case, torch.float64)
    leaves = _leaves(args)
    assert torch.autograd.gradcheck(lambda *given: _call(plan, args, given), leaves)


@settings(max_examples=25)
@given(sizes())
def test_the_size_of_the_tape_is_known_without_running(size: Sizes) -> None:
    plan, args = problem(size)
    operators = torch.ops.longspan.native_side

    def tape(given: Arguments) -> int:
        """Elements of the one tape of a call."""
        found: list[int] = []

        def spy(inputs: tuple[object, ...], side: native_ops.Side) -> tuple[Tensor, ...]:
            results = operators(*inputs, side.numbers(), side.rates())
            found.append(results[4].numel())
            return tuple(results[:4])

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(native_stack, "run_side", spy)
            native_stack.run_operators(plan, given)
        return found[0]

    kept = args._replace(weights=[part.requires_grad_() for part in args.weights])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native_ops, "_tape_elements", pytest.fail)
        real = tape(kept)
    assert real > 0
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert tape(kept) == real


@settings(max_examples=25)
@given(sizes(max_batch=5, max_hidden=40), st.booleans(), st.booleans())
def test_a_direct_call_and_the_operators_have_the_same_bits(size: Sizes, ragged: bool, both: bool) -> None:
    plan, args = problem(size)
    # The operators leave it to autograd to add the gradients of h and y, which are one, in its own order.
    plan = plan._replace(record=tuple(name for name in plan.record if name != "h"), ragged=ragged)
    if ragged:
        args = args._replace(lengths=torch.arange(size.batch) % (size.steps + 1))
    if both:
        plan = plan._replace(bidirectional=True)
        args = args._replace(
            state=tuple(part.repeat(2, 1, 1) for part in args.state),
            weights=[*args.weights, *(0.9 * part for part in args.weights)],
            reset_state=args.reset_state and tuple(part.repeat(2, 1) for part in args.reset_state),
        )
    found = []
    for run in (native_direct.run_direct, native_stack.run_operators):
        leaves = _leaves(args)
        outputs = _call(plan, args, leaves, run)
        loss = sum((part * torch.linspace(-1, 1, part.numel()).view(part.shape)).sum() for part in outputs)
        found.append([*outputs, *torch.autograd.grad(loss, leaves)])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_a_graph_may_be_gone_through_twice() -> None:
    plan, args = problem(CASES[1])
    leaves = _leaves(args)
    loss = sum(part.sum() for part in _call(plan, args, leaves))
    first = torch.autograd.grad(loss, leaves, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(first, torch.autograd.grad(loss, leaves), strict=True))


@pytest.fixture
def _reusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside of these tests, which want fresh memory everywhere."""
    monkeypatch.setattr(native_buffers, "may_keep", lambda: True)


@pytest.mark.usefixtures("_reusing")
def test_a_graph_whose_memory_was_given_away_is_refused() -> None:
    """A hook that raises leaves saved tensors where they are, and torch would go through them again."""
    layer, x = nn.LSTM(8, 32), torch.randn(20, 4, 8)
    y, _ = layer(x)
    hook = y.grad_fn.register_hook(_raise)
    with pytest.raises(ValueError, match="of a hook"):
        y.sum().backward()
    hook.remove()
    layer(3 * x)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.sum().backward()


def _raise(*_: Any) -> None:
    raise ValueError("of a hook")


@pytest.mark.usefixtures("_reusing")
@pytest.mark.parametrize("copies", [True, False])
def test_memory_that_hooks_save_tensors_in_is_theirs(copies: bool) -> None:
    layer, x = nn.LSTM(8, 32), torch.randn(20, 4, 8)
    saved: list[Tensor] = []

    def pack(part: Tensor) -> int:
        saved.append(part.clone() if copies else part)
        return len(saved) - 1

    with torch.autograd.graph.saved_tensors_hooks(pack, saved.__getitem__):
        y, _ = layer(x)
    y.sum().backward()
    kept = [part.detach().clone() for part in saved]
    layer(3 * x)[0].sum().backward()
    assert_same_bits(*({str(number): part for number, part in enumerate(each)} for each in (saved, kept)))


def test_strided_input_and_expanded_gradients_are_read_right() -> None:
    plan, args = problem(Sizes(4, 3, 6, 5, "lstm", (), False, False, 8))
    wide = torch.randn(3, 4, 12)
    strided = wide.transpose(0, 1)[..., ::2]
    got, want = (native.run(plan, args._replace(x=x)).y for x in (strided, strided.contiguous()))
    assert torch.equal(got, want)
    one = args.x[:1, :1].expand(4, 3, 6)
    assert torch.equal(
        native.run(plan, args._replace(x=one)).y, native.run(plan, args._replace(x=one.contiguous())).y
    )
    weights = [part.requires_grad_() for part in args.weights]
    y = native.run(plan, args._replace(weights=weights)).y
    expanded = torch.autograd.grad(y.sum(), weights, retain_graph=True)  # a gradient of stride 0
    dense = torch.autograd.grad((y * torch.ones_like(y)).sum(), weights)
    assert all(torch.equal(a, b) for a, b in zip(expanded, dense, strict=True))


def test_masks_without_a_seed_are_refused() -> None:
    plan, args = problem(CASES[1])
    with pytest.raises(InputError, match="expected a seed, got None"):
        native.run(plan, args._replace(seed=None))


def test_a_length_past_the_end_is_refused_by_the_engine() -> None:
    plan, args = problem(CASES[0])
    with pytest.raises(
        LongspanError, match=r"between 0 and the 4 steps|outside of 0 and the number of steps"
    ):
        native.run(plan._replace(ragged=True), args._replace(lengths=torch.tensor([1, 9, 2])))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"device": "cuda"}, "runs on the CPU, not on cuda"),
        ({"dtype": torch.bfloat16}, "float32 and float64, not in torch.bfloat16"),
    ],
)
def test_what_it_cannot_run_has_a_reason(change: dict[str, object], reason: str) -> None:
    plan, _ = problem(CASES[0])
    refusal = native.supports(plan._replace(**change))
    assert refusal is not None
    assert reason in refusal
