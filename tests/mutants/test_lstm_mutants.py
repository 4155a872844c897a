"""Deliberately wrong LSTMs: the contract that passes the right one must reject every one of them.

Each mutant is the reference loop with one fault put in, of the kinds that real kernels have had.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import torch
from kernel_contract import CASES, check_kernel
from torch import Tensor

from longspan.cells.base import Activations, Cell, Params, State, StepNoise
from longspan.kernels import reference
from longspan.kernels.dispatch import Backend
from longspan.kernels.plan import Arguments, Plan, Result

LSTM_CASES = tuple(case for case in CASES if case.cell == "lstm")

Mutant = Callable[[Plan, Arguments], Result]
MUTANTS: dict[str, Mutant] = {}


def mutant(function: Mutant) -> Mutant:
    MUTANTS[function.__name__] = function
    return function


def with_step(plan: Plan, change: Callable[..., tuple[State, Activations]]) -> Plan:
    """The plan with ``change(right_step, hoisted, state, params, noise)`` as the step of its cell."""
    right = plan.cell.step

    def step(hoisted: Tensor, state: State, params: Params, noise: StepNoise) -> tuple[State, Activations]:
        return change(right, hoisted, state, params, noise)

    return plan._replace(cell=dataclasses.replace(plan.cell, step=step))


def with_weights(plan: Plan, args: Arguments, change: Callable[[Cell, str, Tensor], Tensor]) -> Arguments:
    names = plan.cell.weight_names
    return args._replace(
        weights=[change(plan.cell, names[n % len(names)], weight) for n, weight in enumerate(args.weights)]
    )


def gate_rows(cell: Cell, gate: str, weight: Tensor) -> Tensor:
    """A column that is 1 on the rows of a gate and 0 on the others."""
    size = weight.shape[0] // len(cell.gates)
    mask = torch.zeros(weight.shape[0], dtype=weight.dtype)
    mask[cell.gates.index(gate) * size :][:size] = 1.0
    return mask.reshape(-1, *(1,) * (weight.dim() - 1))


def swapped(plan: Plan, args: Arguments, one: str, other: str) -> Result:
    if one not in plan.cell.gates or other not in plan.cell.gates:
        return reference.run(plan, args)
    order = list(range(len(plan.cell.gates)))
    a, b = plan.cell.gates.index(one), plan.cell.gates.index(other)
    order[a], order[b] = b, a

    def swap(cell: Cell, name: str, weight: Tensor) -> Tensor:
        stacked = name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "gain_ih", "gain_hh")
        return torch.cat([weight.chunk(len(order))[n] for n in order]) if stacked else weight

    return reference.run(plan, with_weights(plan, args, swap))


@mutant
def gates_i_and_f_swapped(plan: Plan, args: Arguments) -> Result:
    return swapped(plan, args, "i", "f")


@mutant
def gates_g_and_o_swapped(plan: Plan, args: Arguments) -> Result:
    return swapped(plan, args, "g", "o")


@mutant
def gradient_cut_through_c(plan: Plan, args: Arguments) -> Result:
    return reference.run(
        with_step(plan, lambda right, x, s, p, n: right(x, (s[0], s[1].detach()), p, n)), args
    )


@mutant
def gradient_cut_through_h(plan: Plan, args: Arguments) -> Result:
    return reference.run(
        with_step(plan, lambda right, x, s, p, n: right(x, (s[0].detach(), s[1]), p, n)), args
    )


@mutant
def gradient_of_the_recurrent_weights_from_one_step_only(plan: Plan, args: Arguments) -> Result:
    seen: list[int] = []

    def change(right: Any, x: Tensor, s: State, p: Params, n: StepNoise) -> Any:
        seen.append(1)
        weight = p["weight_hh"] if len(seen) == 1 else p["weight_hh"].detach()
        return right(x, s, {**p, "weight_hh": weight}, n)

    return reference.run(with_step(plan, change), args)


@mutant
def gradient_of_the_recurrent_bias_missing(plan: Plan, args: Arguments) -> Result:
    return reference.run(
        plan, with_weights(plan, args, lambda _, name, w: w.detach() if name == "bias_hh" else w)
    )


@mutant
def first_h_ignored(plan: Plan, args: Arguments) -> Result:
    return reference.run(plan, args._replace(state=(args.state[0] * 0, args.state[1])))


@mutant
def first_c_ignored(plan: Plan, args: Arguments) -> Result:
    return reference.run(plan, args._replace(state=(args.state[0], args.state[1] * 0)))


@mutant
def sigmoid_to_a_thousandth(plan: Plan, args: Arguments) -> Result:
    right = torch.sigmoid
    with mock.patch.object(torch, "sigmoid", lambda x: right(x) + 1e-3 * torch.sin(7 * x)):
        return reference.run(plan, args)


@mutant
def tanh_as_a_fraction(plan: Plan, args: Arguments) -> Result:
    with mock.patch.object(torch, "tanh", lambda x: x * (27 + x * x) / (27 + 9 * x * x)):
        return reference.run(plan, args)


@mutant
def bias_missing_from_the_output_gate(plan: Plan, args: Arguments) -> Result:
    return reference.run(
        plan,
        with_weights(
            plan, args, lambda c, name, w: w * (1 - gate_rows(c, "o", w)) if name == "bias_ih" else w
        ),
    )


@mutant
def sign_of_the_forget_bias(plan: Plan, args: Arguments) -> Result:
    def change(cell: Cell, name: str, w: Tensor) -> Tensor:
        return w * (1 - 2 * gate_rows(cell, "f", w)) if name == "bias_hh" and "f" in cell.gates else w

    return reference.run(plan, with_weights(plan, args, change))


@mutant
def second_bias_forgotten(plan: Plan, args: Arguments) -> Result:
    return reference.run(plan, with_weights(plan, args, lambda _, name, w: w * 0 if name == "bias_hh" else w))


@mutant
def output_peephole_from_the_old_cell_state(plan: Plan, args: Arguments) -> Result:
    if "weight_ch" not in plan.cell.weight_names:
        return reference.run(plan, args)

    def change(right: Any, x: Tensor, s: State, p: Params, n: StepNoise) -> Any:
        *others, output = p["weight_ch"].chunk(len(plan.cell.gates) - 1)
        sums = list(x.chunk(len(plan.cell.gates), -1))
        sums[-1] = sums[-1] + output * s[1]
        return right(torch.cat(sums, -1), s, {**p, "weight_ch": torch.cat([*others, output * 0])}, n)

    return reference.run(with_step(plan, change), args)


@mutant
def input_peephole_missing(plan: Plan, args: Arguments) -> Result:
    def change(cell: Cell, name: str, w: Tensor) -> Tensor:
        size = plan.hidden_size
        return torch.cat((w[:size] * 0, w[size:])) if name == "weight_ch" else w

    return reference.run(plan, with_weights(plan, args, change))


@mutant
def last_time_step_dropped(plan: Plan, args: Arguments) -> Result:
    time = 1 if plan.batch_first else 0
    if plan.packed or args.x.shape[time] < 2:
        return reference.run(plan, args)
    steps = args.x.shape[time] - 1
    lengths = None if args.lengths is None else args.lengths.clamp(max=steps)
    reset = None if args.reset is None else args.reset.narrow(time, 0, steps)
    cut = args._replace(x=args.x.narrow(time, 0, steps), lengths=lengths, reset=reset)
    result = reference.run(plan, cut)
    pad = torch.zeros_like(result.y.narrow(time, 0, 1))
    records = {n: torch.cat((v, torch.zeros_like(v[:, :, :, :1])), 3) for n, v in result.record.items()}
    return Result(torch.cat((result.y, pad), time), result.state, records)


@mutant
def lengths_ignored(plan: Plan, args: Arguments) -> Result:
    return reference.run(plan, args._replace(x=args.x.nan_to_num(), lengths=None))


@mutant
def final_state_after_the_padding(plan: Plan, args: Arguments) -> Result:
    result = reference.run(plan, args)
    if args.lengths is None:
        return result
    late = reference.run(plan, args._replace(x=args.x.nan_to_num(), lengths=None))
    return result._replace(state=late.state)


@mutant
def padding_reaches_the_gradient(plan: Plan, args: Arguments) -> Result:
    with mock.patch.object(torch, "where", lambda m, a, b: m.to(a.dtype) * a + (~m).to(a.dtype) * b):
        return reference.run(plan, args)


@mutant
def backward_direction_runs_forward(plan: Plan, args: Arguments) -> Result:
    right = reference.loop

    def loop(*parts: Any, backward: bool) -> Any:
        return right(*parts, backward=False)

    with mock.patch.object(reference, "loop", loop):
        return reference.run(plan, args)


@mutant
def directions_side_by_side_in_the_wrong_order(plan: Plan, args: Arguments) -> Result:
    result = reference.run(plan, args)
    return result._replace(y=torch.cat(result.y.chunk(2, -1)[::-1], -1)) if plan.bidirectional else result


@mutant
def reset_ignored(plan: Plan, args: Arguments) -> Result:
    return reference.run(plan, args._replace(reset=None))


@mutant
def reset_to_the_state_of_the_call(plan: Plan, args: Arguments) -> Result:
    return reference.run(plan, args._replace(reset_state=tuple(part.mean(1) for part in args.state)))


@mutant
def reset_of_the_backward_direction_one_step_off(plan: Plan, args: Arguments) -> Result:
    if args.reset is None or not plan.bidirectional:
        return reference.run(plan, args)
    right = reference._run_side

    def side(plan: Plan, args: Arguments, layer: int, side: int, x: Tensor, valid: Any, reset: Any) -> Any:
        off = torch.cat((reset[:1], reset[:-1])) if side and reset is not None else reset
        return right(plan, args, layer, side, x, valid, off)

    with mock.patch.object(reference, "_run_side", side):
        return reference.run(plan, args)


@mutant
def zoneout_of_h_with_the_mask_of_c(plan: Plan, args: Arguments) -> Result:
    def change(right: Any, x: Tensor, s: State, p: Params, n: StepNoise) -> Any:
        masks = n.hold
        if masks and isinstance(masks[0], Tensor) and masks[0].shape == masks[1].shape:
            n = n._replace(hold=(masks[1], masks[1]))
        return right(x, s, p, n)

    return reference.run(with_step(plan, change), args)


@mutant
def recurrent_dropout_without_the_scale(plan: Plan, args: Arguments) -> Result:
    def change(right: Any, x: Tensor, s: State, p: Params, n: StepNoise) -> Any:
        return right(x, s, p, n if n.drop is None else n._replace(drop=n.drop.sign()))

    return reference.run(with_step(plan, change), args)


@mutant
def masks_by_place_in_the_batch(plan: Plan, args: Arguments) -> Result:
    return reference.run(plan, args._replace(sample_ids=None))


@mutant
def masks_that_start_over(plan: Plan, args: Arguments) -> Result:
    return reference.run(plan, args._replace(first_step=None))


@mutant
def coupled_gate_the_wrong_way_round(plan: Plan, args: Arguments) -> Result:
    if "coupled=True" not in plan.cell.label:
        return reference.run(plan, args)

    def change(right: Any, x: Tensor, s: State, p: Params, n: StepNoise) -> Any:
        i = torch.sigmoid(right(x, s, p, n)[1]["pre_i"])
        return right(x, (s[0], s[1] * i / (1 - i)), p, n)

    return reference.run(with_step(plan, change), args)


@mutant
def gradient_through_the_cell_clip(plan: Plan, args: Arguments) -> Result:
    right = Tensor.clamp
    with mock.patch.object(Tensor, "clamp", lambda x, low, high: x + (right(x, low, high) - x).detach()):
        return reference.run(plan, args)


@mutant
def layer_norm_with_the_unbiased_variance(plan: Plan, args: Arguments) -> Result:
    def norm(x: Tensor, shape: Any, gain: Tensor, shift: Tensor | None, eps: float) -> Tensor:
        y = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + eps).sqrt() * gain
        return y if shift is None else y + shift

    with mock.patch("torch.nn.functional.layer_norm", norm):
        return reference.run(plan, args)


def contract(run: Mutant) -> None:
    """The contract as it stands, on a kernel that claims to support everything."""
    for case in LSTM_CASES:
        check_kernel(Backend("suspect", lambda _: None, run), case, torch.float64)


def test_the_right_lstm_passes() -> None:
    contract(reference.run)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_contract_rejects(name: str) -> None:
    with pytest.raises(AssertionError, match=r"is off by"):
        contract(MUTANTS[name])


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 13
