"""The loop that defines the cells, held to the equations written out once more, number by number, without
torch.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from kernel_contract import CASES, Case, Problem, build_problem

from longspan.core.philox import RECURRENT, ZONEOUT, event, words
from longspan.kernels import reference
from longspan.kernels.plan import Arguments, Plan

Vector = list[float]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def times(matrix: list[Vector], vector: Vector) -> Vector:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def normalised(values: Vector, gain: Vector, shift: Vector) -> Vector:
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values) + 1e-5)
    return [a * (v - mean) / deviation + b for v, a, b in zip(values, gain, shift, strict=True)]


def product(weights: dict[str, Any], options: dict[str, Any], part: str, vector: Vector) -> Vector:
    """W x + b, normalised where asked for."""
    sums = times(weights[f"weight_{part}"], vector)
    bias = weights.get(f"bias_{part}", [0.0] * len(sums))
    if options.get("layer_norm"):
        return normalised(sums, weights[f"gain_{part}"], bias)
    return [a + b for a, b in zip(sums, bias, strict=True)]


def lstm_unit(
    p: dict[str, float], peep: dict[str, float], c: float, options: dict[str, Any]
) -> tuple[float, float]:
    """One unit: the new cell state and the output gate, from the sums of its gates."""
    i = sigmoid(p["i"] + peep.get("i", 0.0) * c)
    if options["coupled"]:
        f = 1 - i
    elif options["forget_gate"]:
        f = sigmoid(p["f"] + peep.get("f", 0.0) * c)
    else:
        f = 1.0
    new = f * c + i * math.tanh(p["g"])
    if options["cell_clip"] is not None:
        new = max(-options["cell_clip"], min(options["cell_clip"], new))
    return new, sigmoid(p["o"] + peep.get("o", 0.0) * new)


def lstm_step(
    weights: dict[str, Any], options: dict[str, Any], x: Vector, h: Vector, c: Vector, seen: Vector
) -> Any:
    gates = [g for g in "ifgo" if g != "f" or (options["forget_gate"] and not options["coupled"])]
    size = len(c)
    sums = [a + b for a, b in zip(
        product(weights, options, "ih", x), product(weights, options, "hh", seen), strict=True
    )]  # fmt: skip
    peeping = [g for g in gates if g != "g"] if options["peephole"] else []
    new_c, opened = [], []
    for unit in range(size):
        p = {gate: sums[n * size + unit] for n, gate in enumerate(gates)}
        peep = {gate: weights["weight_ch"][n * size + unit] for n, gate in enumerate(peeping)}
        value, o = lstm_unit(p, peep, c[unit], options)
        new_c.append(value)
        opened.append(o)
    shown = new_c
    if options["layer_norm"]:
        shown = normalised(new_c, weights["gain_c"], weights.get("shift_c", [0.0] * size))
    new_h = [o * math.tanh(s) for o, s in zip(opened, shown, strict=True)]
    return (times(weights["weight_hr"], new_h) if options["projection"] else new_h), new_c


def gru_step(weights: dict[str, Any], options: dict[str, Any], x: Vector, h: Vector, seen: Vector) -> Vector:
    size = len(h)
    from_x, from_h = product(weights, {}, "ih", x), product(weights, {}, "hh", seen)
    r = [sigmoid(from_x[u] + from_h[u]) for u in range(size)]
    z = [sigmoid(from_x[size + u] + from_h[size + u]) for u in range(size)]
    if options["reset_after"]:
        inner = [r[u] * from_h[2 * size + u] for u in range(size)]
    else:
        inner = product(weights, {}, "hh", [a * b for a, b in zip(r, seen, strict=True)])[2 * size :]
    n = [math.tanh(from_x[2 * size + u] + inner[u]) for u in range(size)]
    return [(1 - z[u]) * n[u] + z[u] * h[u] for u in range(size)]


def one_step(
    cell: Any, weights: dict[str, Any], x: Vector, state: list[Vector], seen: Vector
) -> list[Vector]:
    options = dict(cell.options)
    if cell.name == "lstm":
        return list(lstm_step(weights, options, x, state[0], state[1], seen))
    if cell.name == "gru":
        return [gru_step(weights, options, x, state[0], seen)]
    squash = math.tanh if options["nonlinearity"] == "tanh" else lambda v: max(v, 0.0)
    sums = zip(product(weights, {}, "ih", x), product(weights, {}, "hh", seen), strict=True)
    return [[squash(a + b) for a, b in sums]]


def masks(
    plan: Plan, args: Arguments, row: int, step: int, width: int
) -> tuple[list[float], list[list[bool]]]:
    """Factor on h, and for each state which units hold, of one sequence and step."""
    ids, first = args.sample_ids[row : row + 1], args.first_step  # type: ignore[index]
    factor = [1.0] * width
    if plan.recurrent_dropout:
        drawn = words(args.seed, RECURRENT, 0, 0, ids, torch.zeros(1, dtype=torch.int64), width)
        gone = event(drawn, plan.recurrent_dropout)[0, 0].tolist()
        factor = [0.0 if out else 1 / (1 - plan.recurrent_dropout) for out in gone]
    held = []
    for number, rate in enumerate(plan.zoneout):
        units = plan.state_width(plan.cell.states[number])
        drawn = words(args.seed, ZONEOUT + number, 0, 0, ids, torch.tensor([step]) + first, units)
        held.append(event(drawn, rate)[0, 0].tolist())
    return factor, held


def sequence(problem: Problem, row: int) -> tuple[list[Vector], list[Vector]]:
    """h of every step and the final state of one sequence, written out."""
    plan, args, _ = problem
    weights = {name: w.tolist() for name, w in zip(plan.cell.weight_names, args.weights, strict=True)}
    state = [part[0, row].tolist() for part in args.state]
    outputs = []
    for step in range(args.x.shape[0]):
        if args.reset is not None and args.reset[step, row]:
            fresh = args.reset_state or tuple(torch.zeros_like(part[:, 0]) for part in args.state)
            state = [part[0].tolist() for part in fresh]
        factor, held = [1.0] * len(state[0]), []
        if plan.training:
            factor, held = masks(plan, args, row, step, len(state[0]))
        seen = [a * b for a, b in zip(state[0], factor, strict=True)]
        new = one_step(plan.cell, weights, args.x[step, row].tolist(), state, seen)
        if held:
            new = [
                [old if keep else fresh for old, fresh, keep in zip(*part, strict=True)]
                for part in zip(state, new, held, strict=True)
            ]
        state = new
        outputs.append(state[0])
    return outputs, state


COMBINATIONS = tuple(case for case in CASES if case.situation.name == "everything")


@pytest.mark.parametrize("case", COMBINATIONS, ids=str)
@pytest.mark.parametrize("noisy", [False, True], ids=["quiet", "noisy"])
def test_the_loop_computes_the_equations(case: Case, noisy: bool) -> None:
    situation = case.situation._replace(
        layers=1, bidirectional=False, batch_first=False, lengths=None, record=False, steps=4, batch=2,
        training=noisy, zoneout=0.4 if noisy else 0.0,
    )  # fmt: skip
    problem = build_problem(case._replace(situation=situation), torch.float64)
    result = reference.run(problem.plan, problem.args)
    for row in range(2):
        outputs, state = sequence(problem, row)
        torch.testing.assert_close(
            result.y[:, row], torch.tensor(outputs, dtype=torch.float64), rtol=0, atol=1e-13
        )
        for got, want in zip(result.state, state, strict=True):
            torch.testing.assert_close(
                got[0, row], torch.tensor(want, dtype=torch.float64), rtol=0, atol=1e-13
            )


def test_half_precision_is_rounded_once() -> None:
    case = next(case for case in CASES if case.situation.name == "plain" and case.cell == "lstm")
    problem = build_problem(case, torch.bfloat16)
    result = reference.run(problem.plan, problem.args)
    up = problem.args._replace(
        x=problem.args.x.float(),
        state=tuple(part.float() for part in problem.args.state),
        weights=[weight.float() for weight in problem.args.weights],
    )
    exact = reference.run(problem.plan._replace(dtype=torch.float32), up)
    assert result.y.dtype == torch.bfloat16
    assert torch.equal(result.y, exact.y.bfloat16())


def test_masks_without_a_seed_are_refused() -> None:
    case = next(case for case in CASES if case.situation.name == "zoneout")
    problem = build_problem(case, torch.float32)
    with pytest.raises(
        ValueError, match="random masks: expected a seed, got None; call kernels through dispatch"
    ):
        reference.run(problem.plan, problem.args._replace(seed=None))
