"""The operators in torch: checked by opcheck, traced by the compiler, right by finite differences."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from native_problems import Sizes, engine, problem, sizes
from torch import Tensor

from longspan.core.errors import InputError
from longspan.kernels import native, native_ops
from longspan.kernels.native_library import NativeError
from longspan.kernels.plan import Arguments, Plan

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


def _call(plan: Plan, args: Arguments, leaves: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    states, weights = len(args.state), len(args.weights)
    fresh = leaves[1 + states + weights :]
    result = native.run(
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


def _operands(case: Sizes, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    """What the forward operator is called with."""
    plan, args = problem(case)
    seen: list[tuple[object, ...]] = []
    whole = native_ops.run_side

    def spy(inputs: tuple[object, ...], side: native_ops.Side) -> object:
        seen.append((*inputs, side.numbers(), side.rates()))
        return whole(inputs, side)

    monkeypatch.setattr(native, "run_side", spy)
    leaves = _leaves(args)
    _call(plan, args, leaves)
    return seen[0]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_operators_pass_torch_s_own_check(case: Sizes, monkeypatch: pytest.MonkeyPatch) -> None:
    operands = _operands(case, monkeypatch)
    torch.use_deterministic_algorithms(
        False
    )  # the unused part of a tape is not written, and opcheck compares it
    names = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.longspan.native_side.default, operands, test_utils=names)


@settings(max_examples=25)
@given(sizes())
def test_the_size_of_the_tape_is_known_without_running(size: Sizes) -> None:
    plan, args = problem(size)
    found: list[int] = []
    whole = native_ops._space

    def spy(*given: object, **named: object) -> object:
        tape, work = whole(*given, **named)
        found.append(tape.numel())
        return tape, work

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native_ops, "_space", spy)
        patch.setattr(native_ops, "_tape_elements", pytest.fail)
        native.run(plan, args._replace(weights=[part.requires_grad_() for part in args.weights]))
    with torch.device("meta"):
        fake = torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True)
    with fake:
        tapes: list[int] = []
        real = native_ops.torch.ops.longspan.native_side

        def keep(inputs: tuple[object, ...], side: native_ops.Side) -> tuple[Tensor, ...]:
            out = real(*inputs, side.numbers(), side.rates())
            tapes.append(out[4].numel())
            return out[:4]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(native, "run_side", keep)
            native.run(plan, args)
    assert tapes == found


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_layer_is_one_graph() -> None:
    plan, args = problem(CASES[0])
    leaves = _leaves(args)
    torch.use_deterministic_algorithms(False)
    compiled = torch.compile(lambda *given: _call(plan, args, given), fullgraph=True, backend="aot_eager")
    got, want = compiled(*leaves), _call(plan, args, leaves)
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))
    sums = [sum(part.sum() for part in parts) for parts in (got, want)]
    first, second = (torch.autograd.grad(value, leaves) for value in sums)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_graph_may_be_gone_through_twice() -> None:
    plan, args = problem(CASES[1])
    leaves = _leaves(args)
    loss = sum(part.sum() for part in _call(plan, args, leaves))
    first = torch.autograd.grad(loss, leaves, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(first, torch.autograd.grad(loss, leaves), strict=True))


def test_strided_input_and_expanded_gradients_are_read_right() -> None:
    plan, args = problem(Sizes(4, 3, 6, 5, "lstm", (), False, False, 8))
    wide = torch.randn(3, 4, 12)
    strided = wide.transpose(0, 1)[..., ::2]
    with engine():
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


def test_the_engine_takes_as_many_threads_as_torch() -> None:
    torch.set_num_threads(2)
    assert native_ops._threads() == 2
    torch.set_num_threads(1)
    assert native_ops._threads() == 1


def test_a_second_derivative_is_refused_in_words() -> None:
    plan, args = problem(CASES[0])
    leaves = _leaves(args)
    loss = sum(part.square().sum() for part in _call(plan, args, leaves))
    (slope,) = torch.autograd.grad(loss, leaves[:1], create_graph=True)
    with pytest.raises(NativeError, match="first derivatives only, got a gradient of a gradient"):
        torch.autograd.grad(slope.sum(), leaves[:1])


def test_masks_without_a_seed_are_refused() -> None:
    plan, args = problem(CASES[1])
    with pytest.raises(InputError, match="expected a seed, got None"):
        native.run(plan, args._replace(seed=None))


def test_a_length_past_the_end_is_refused_by_the_engine() -> None:
    plan, args = problem(CASES[0])
    with pytest.raises(NativeError, match="a length lies outside of 0 and the number of steps"):
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
