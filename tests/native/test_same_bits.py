"""What was tested offline is what runs online: equal bits, whatever the threads, batch, chunks or build."""

from __future__ import annotations

import ctypes
import platform
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_contract import Problem, outputs_and_gradients
from native_problems import Sizes, assert_same_bits, engine, problem, rows, run, sizes
from torch import Tensor

from longspan.kernels import native, native_call
from longspan.kernels.native_library import library
from longspan.kernels.native_stack import run_operators
from longspan.kernels.plan import Arguments, Plan
from longspan.nn import LSTM

pytestmark = pytest.mark.filterwarnings("error")


def _both_builds() -> bool:
    return library().longspan_isa() == 4


def _cotangents(name: str, like: Tensor) -> Tensor:
    """Weights of the results in the loss."""
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(sum(name.encode())))


def _spoiled(x: Tensor, seed: int) -> Tensor:
    """Some elements become infinite, NaN or denormal."""
    generator = torch.Generator().manual_seed(seed)
    odd = torch.tensor([float("inf"), float("-inf"), float("nan"), 1e-42, -1e-42, 3e38])
    which = torch.randint(0, 400, x.shape, generator=generator)
    return torch.where(which < len(odd), odd[which.clamp(max=len(odd) - 1)].to(x.dtype), x)


@settings(max_examples=40)
@given(sizes(), st.integers(2, 4), st.booleans())
def test_threads_and_builds_change_no_bit(size: Sizes, threads: int, spoiled: bool) -> None:
    plan, args = problem(size)
    if spoiled:
        args = args._replace(x=_spoiled(args.x, size.seed))
    with engine():
        want = run(plan, args)
    with engine(threads):
        assert_same_bits(run(plan, args), want)
    if _both_builds():
        with engine(threads, isa=3):
            assert_same_bits(run(plan, args), want)


@settings(max_examples=25)
@given(sizes(max_steps=70, max_batch=3, max_hidden=300), st.integers(2, 4), st.booleans())
def test_sharing_the_units_of_a_step_changes_no_bit(size: Sizes, threads: int, keep: bool) -> None:
    plan, args = problem(size._replace(training=False, resets=False, hidden=max(size.hidden, 96)))
    plan = plan._replace(zoneout=(), record=())
    with engine():
        want = run(plan, args)
    weights = [weight.requires_grad_(keep) for weight in args.weights]
    with engine(threads):
        assert_same_bits(run(plan, args._replace(weights=weights)), want)


@settings(max_examples=40)
@given(sizes(), st.integers(1, 2), st.booleans(), st.booleans())
def test_a_state_that_is_not_given_is_zeros(size: Sizes, threads: int, keep: bool, ragged: bool) -> None:
    plan, args = problem(size)
    if ragged:
        generator = torch.Generator().manual_seed(size.seed)
        lengths = torch.randint(0, size.steps + 1, (size.batch,), generator=generator)
        plan, args = plan._replace(ragged=True), args._replace(lengths=lengths)
    zeros = tuple(torch.zeros_like(part) for part in args.state or ())
    found = []
    for state in (zeros, None):
        weights = [weight.detach().clone().requires_grad_(keep) for weight in args.weights]
        with engine(threads):
            results = run(plan, args._replace(state=state, weights=weights))
            if keep:
                loss = sum((part * _cotangents(name, part)).sum() for name, part in results.items())
                gradients = torch.autograd.grad(loss, weights, allow_unused=True)  # type: ignore[arg-type]
                named = {f"gradient {k}": part for k, part in enumerate(gradients) if part is not None}
                results |= named
        found.append(results)
    assert_same_bits(*found)


@settings(max_examples=40)
@given(sizes(max_batch=15), st.data())
def test_a_sequence_does_not_depend_on_its_batch(size: Sizes, data: st.DataObject) -> None:
    plan, args = problem(size)
    args = args._replace(x=_spoiled(args.x, size.seed))
    with engine():
        want = run(plan, args)
        order = torch.tensor(data.draw(st.permutations(range(size.batch))))
        one = data.draw(st.integers(0, size.batch - 1))
        shuffled, alone = run(plan, rows(args, order)), run(plan, rows(args, [one]))
    for name, value in want.items():
        dim = 0 if name.startswith("final") else 1
        assert_same_bits({name: shuffled[name]}, {name: value.index_select(dim, order)})
        assert_same_bits({name: alone[name]}, {name: value.narrow(dim, one, 1)})


@settings(max_examples=40)
@given(sizes(max_batch=5, max_hidden=150), st.integers(15, 80), st.integers(1, 300), st.integers(1, 3))
def test_looking_ahead_changes_no_bit(size: Sizes, steps: int, inputs: int, threads: int) -> None:
    """One sequence has the input of coming steps projected beside the present one; a batch has not."""
    options = {**dict(size.options), "layer_norm": False} if size.cell == "lstm" else dict(size.options)
    size = size._replace(steps=steps, inputs=inputs, batch=5, options=tuple(options.items()))
    plan, args = problem(size)
    with engine():
        want = run(plan, args)
    with engine(threads):
        alone = run(plan, rows(args, [2]))
    for name, value in want.items():
        dim = 0 if name.startswith("final") else 1
        assert_same_bits({name: alone[name]}, {name: value.narrow(dim, 2, 1)})


@settings(max_examples=40)
@given(sizes(max_steps=70), st.data())
def test_chunks_and_single_steps_are_the_whole(size: Sizes, data: st.DataObject) -> None:
    plan, args = problem(size)
    cuts = data.draw(st.lists(st.integers(0, size.steps), max_size=3))
    if size.steps <= 12 and data.draw(st.booleans()):
        cuts = list(range(1, size.steps))
    edges = [0, *sorted(cuts), size.steps]
    with engine():
        want = run(plan, args)
        state, parts = args.state, []
        for start, end in pairwise(edges):
            piece = args._replace(
                x=args.x[start:end],
                state=state,
                reset=None if args.reset is None else args.reset[start:end],
                first_step=args.first_step + start if args.first_step is not None else None,
            )
            parts.append(run(plan, piece))
            state = tuple(parts[-1][f"final {name}"][None] for name in plan.cell.states)
    for name, value in want.items():
        got = parts[-1][name] if name.startswith("final") else torch.cat([part[name] for part in parts])
        assert_same_bits({name: got}, {name: value})


@settings(max_examples=40)
@given(sizes(), st.data(), st.booleans())
def test_padding_changes_no_bit(size: Sizes, data: st.DataObject, bidirectional: bool) -> None:
    plan, args = problem(size)
    lengths = torch.tensor([data.draw(st.integers(0, size.steps)) for _ in range(size.batch)])
    padding = torch.arange(size.steps)[:, None] >= lengths
    spoiled = args.x.masked_fill(padding[..., None], float("nan"))
    if bidirectional:
        plan = plan._replace(bidirectional=True)
        twice = tuple(part.repeat(2, 1, 1) for part in args.state)
        fresh = args.reset_state and tuple(part.repeat(2, 1) for part in args.reset_state)
        args = args._replace(state=twice, weights=[*args.weights, *args.weights], reset_state=fresh)
    with engine():
        whole = native.run(plan._replace(ragged=True), args._replace(x=spoiled, lengths=lengths))
        for row, length in enumerate(lengths.tolist()):
            alone = rows(args, [row])
            reset = None if args.reset is None else alone.reset[:length]
            trimmed = native.run(plan, alone._replace(x=alone.x[:length], reset=reset))
            got = {"y": whole.y[:length, row], **{n: v[:, row] for n, v in enumerate_states(whole.state)}}
            want = {"y": trimmed.y[:, 0], **{n: v[:, 0] for n, v in enumerate_states(trimmed.state)}}
            got |= {n: v[:, :, row, :length] for n, v in whole.record.items()}
            want |= {n: v[:, :, 0] for n, v in trimmed.record.items()}
            assert_same_bits(got, want)
            assert not whole.y[length:, row].any()
            assert not any(value[:, :, row, length:].any() for value in whole.record.values())


def enumerate_states(state: tuple[Tensor, ...]) -> list[tuple[str, Tensor]]:
    return [(f"final {number}", part) for number, part in enumerate(state)]


@settings(max_examples=30)
@given(sizes(max_batch=20), st.integers(2, 4), st.booleans())
def test_threads_and_builds_change_no_bit_of_a_gradient(size: Sizes, threads: int, ragged: bool) -> None:
    plan, args = problem(size)
    if ragged:
        generator = torch.Generator().manual_seed(size.seed)
        lengths = torch.randint(0, size.steps + 1, (size.batch,), generator=generator)
        plan, args = plan._replace(ragged=True), args._replace(lengths=lengths)
    case = Problem(plan, args, _cotangents)
    with engine():
        want = outputs_and_gradients(native.run, case)
    with engine(threads):
        assert_same_bits(outputs_and_gradients(native.run, case), want)
    if _both_builds():
        with engine(threads, isa=3):
            assert_same_bits(outputs_and_gradients(native.run, case), want)


def _with_lengths(plan: Plan, args: Arguments, batch: int, longest: int, seed: int) -> tuple[Plan, Arguments]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, longest + 1, (batch,), generator=generator)
    return plan._replace(ragged=True), args._replace(lengths=lengths)


def _assert_same_gradients(plan: Plan, args: Arguments, threads: int, *, recompute: bool) -> None:
    """On several threads, made again or not, as on one."""
    with engine():
        want = outputs_and_gradients(native.run, Problem(plan, args, _cotangents))
    with engine(threads):
        again = Problem(plan._replace(recompute=recompute), args, _cotangents)
        assert_same_bits(outputs_and_gradients(native.run, again), want)


@settings(max_examples=25)
@given(sizes(), st.sampled_from((12, 16, 24, 40, 64, 96)), st.integers(2, 4), st.booleans(), st.booleans())
def test_groups_of_sequences_are_summed_up_alike_by_any_number_of_threads(
    size: Sizes, batch: int, threads: int, ragged: bool, recompute: bool
) -> None:
    """Batches that fall into two, four and eight groups, which whole threads take; over several chunks."""
    plan, args = problem(size._replace(batch=batch, steps=6 * size.steps, hidden=max(size.hidden, 24)))
    if ragged:
        plan, args = _with_lengths(plan, args, batch, args.x.shape[0], size.seed)
    _assert_same_gradients(plan, args, threads, recompute=recompute)


@settings(max_examples=25)
@given(sizes(max_batch=3, max_hidden=300), st.integers(2, 3), st.booleans())
def test_sharing_the_units_of_a_step_changes_no_bit_of_a_gradient(
    size: Sizes, threads: int, plain: bool
) -> None:
    """Of plain cells, whose threads need their own units only, and with records, noise and resets."""
    plan, args = problem(size._replace(hidden=max(size.hidden, 64 * threads), steps=size.steps + 40))
    if plain:
        plan = plan._replace(zoneout=(), record=(), resets=False, training=False)
        args = args._replace(reset=None, reset_state=None)
    case = Problem(plan, args, _cotangents)
    with engine():
        want = outputs_and_gradients(native.run, case)
    with engine(threads):
        assert_same_bits(outputs_and_gradients(native.run, case), want)


@settings(max_examples=30)
@given(sizes(max_batch=15), st.data())
def test_threads_that_share_units_touch_no_row_of_each_other(size: Sizes, data: st.DataObject) -> None:
    """Sequences that end midway, any records, resets and options; a race shows in some runs."""
    plan, args = problem(size._replace(hidden=size.hidden + 256, inputs=size.inputs + 200, steps=20))
    names = data.draw(st.sets(st.sampled_from(plan.cell.records), max_size=3))
    plan = plan._replace(record=tuple(sorted(names)))
    if data.draw(st.booleans()):
        plan = plan._replace(zoneout=(), recurrent_dropout=0.0)
    if data.draw(st.booleans()):
        plan, args = _with_lengths(plan, args, size.batch, 20, size.seed)
    learns = data.draw(st.booleans())

    def found() -> dict[str, Tensor]:
        if not learns:
            return run(plan, args)
        return outputs_and_gradients(native.run, Problem(plan, args, _cotangents))

    with engine():
        want = found()
    with engine(data.draw(st.integers(2, 3))):
        for _ in range(3):
            assert_same_bits(found(), want)


@pytest.mark.parametrize(("options", "seed"), [((("layer_norm", True),), 1), ((), 2)])
def test_sequences_that_end_at_different_steps_keep_their_thread(options: Any, seed: int) -> None:
    """Rows of a sequence are one thread's from step to step, in the backward pass too."""
    plan, args = problem(Sizes(80, 7, 256, 256, "lstm", options, False, seed == 2, seed))
    lengths = torch.tensor([80, 71, 60, 47, 33, 18, 5])
    plan, args = plan._replace(ragged=True, record=(), zoneout=()), args._replace(lengths=lengths)
    case = Problem(plan, args, _cotangents)
    with engine():
        want = outputs_and_gradients(native.run, case)
    with engine(2):
        for _ in range(10):
            assert_same_bits(outputs_and_gradients(native.run, case), want)


@pytest.mark.parametrize("batch", [1, 12])
def test_recorded_gates_are_those_of_their_step(batch: int) -> None:
    """Without a tape the sums of a step lie where those of the next one come to."""
    plan, args = problem(Sizes(50, batch, 256, 256, "lstm", (), False, False, 1))
    plan = plan._replace(record=("i", "f", "g", "o", "c"), zoneout=())
    with engine():
        want = run(plan, args)
    with engine(2):
        for _ in range(10):
            assert_same_bits(run(plan, args), want)


@settings(max_examples=30)
@given(sizes(max_batch=20), st.integers(1, 3), st.booleans())
def test_to_recompute_changes_no_bit_of_a_gradient(size: Sizes, threads: int, ragged: bool) -> None:
    """Over several chunks of the backward pass, the last one cut short."""
    plan, args = problem(size._replace(hidden=max(size.hidden, 48), steps=20 * size.steps))
    if ragged:
        plan, args = _with_lengths(plan, args, size.batch, size.steps, size.seed)
    _assert_same_gradients(plan, args, threads, recompute=True)


@settings(max_examples=10)
@given(sizes(max_batch=3), st.integers(2, 3), st.booleans())
def test_to_recompute_where_threads_share_units_changes_no_bit(
    size: Sizes, threads: int, plain: bool
) -> None:
    plan, args = problem(size._replace(hidden=200, steps=25 * size.steps))
    if plain:
        plan = plan._replace(zoneout=(), record=(), resets=False, training=False)
        args = args._replace(reset=None, reset_state=None)
    with engine():
        want = outputs_and_gradients(native.run, Problem(plan, args, _cotangents))
    with engine(threads):
        again = Problem(plan._replace(recompute=True), args, _cotangents)
        assert_same_bits(outputs_and_gradients(native.run, again), want)


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_layer_that_recomputes_gives_the_same_bits(batch_first: bool) -> None:
    """Two layers in two directions with lengths, dropout and masks."""
    found = []
    for recompute in (False, True):
        torch.manual_seed(3)
        layer = LSTM(
            5, 64, 2, batch_first=batch_first, dropout=0.3, bidirectional=True, peephole=True,
            recurrent_dropout=0.2, zoneout=(0.1, 0.2), recompute=recompute,
        )  # fmt: skip
        x = torch.randn((4, 1500, 5) if batch_first else (1500, 4, 5), requires_grad=True)
        y, (h, c) = layer(x, lengths=torch.tensor([1500, 1, 777, 1200]), seed=5)
        (y.square().sum() + h.sum() + c.sum()).backward()
        found.append(
            {"y": y, "h": h, "c": c, "x": x.grad, **{n: p.grad for n, p in layer.named_parameters()}}
        )
    assert_same_bits(found[1], found[0])


def test_operators_that_recompute_give_the_same_bits() -> None:
    plan, args = problem(Sizes(400, 5, 8, 64, "lstm", (("peephole", True),), True, True, 1))
    want = outputs_and_gradients(run_operators, Problem(plan, args, _cotangents))
    again = Problem(plan._replace(recompute=True), args, _cotangents)
    assert_same_bits(outputs_and_gradients(run_operators, again), want)


def test_every_group_of_a_projection_is_shared_out_whole() -> None:
    """More sequences than a group holds, and weights so large that threads share units all the same."""
    plan, args = problem(Sizes(2, 200, 512, 1024, "lstm", (("projection", True),), False, False, 1))
    plan = plan._replace(record=(), zoneout=())
    with engine():
        want = run(plan, args)
    with engine(2):
        assert_same_bits(run(plan, args), want)


def test_to_recompute_keeps_a_fraction() -> None:
    plan, args = problem(Sizes(2000, 4, 8, 64, "lstm", (), False, False, 1))
    plan = plan._replace(record=(), recurrent_dropout=0.0, zoneout=())
    tapes = [
        native_call.Call(each, args).facts(0, args.x, keep=native_call.kept_by(each), backward=False).tape
        for each in (plan, plan._replace(recompute=True))
    ]
    assert tapes[0] >= 2000 * 4 * 64 * 6
    assert tapes[1] < tapes[0] / 50


@settings(max_examples=10)
@given(sizes(), st.integers(1, 2))
def test_results_without_a_tape_are_those_with_one(size: Sizes, threads: int) -> None:
    plan, args = problem(size)
    with engine(threads):
        want = run(plan, args)
        got = run(plan, args._replace(weights=[weight.requires_grad_() for weight in args.weights]))
    assert_same_bits(got, want)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="sets the control register of x86")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_caller_that_flushes_denormals_changes_no_bit(threads: int) -> None:
    plan, args = problem(Sizes(5, 6, 7, 33, "lstm", (), False, False, 3))
    args = args._replace(x=args.x * 1e-41, state=tuple(part * 1e-41 for part in args.state))
    args = args._replace(
        weights=[weight * 0.3 for weight in args.weights[:2]] + [w * 0 for w in args.weights[2:]]
    )
    with engine(threads):
        want = run(plan, args)
        assert any(((v != 0) & (v.abs() < 1e-38)).any() for v in want.values()), "nothing to lose"
        assert torch.set_flush_denormal(True)
        try:
            got = run(plan, args)
            assert (torch.tensor([1e-40]) * 0.5).item() == 0, "the caller's own setting is still there"
        finally:
            torch.set_flush_denormal(False)
    assert_same_bits(got, want)


def test_the_engine_says_which_build_it_runs() -> None:
    assert library().longspan_isa() in (3, 4, 8)
    assert isinstance(library(), ctypes.CDLL)
