"""Gradients of gradients: the native kernel against the loop, in every situation of the contract."""

from __future__ import annotations

from itertools import groupby

import pytest
import torch
from kernel_contract import CASES, Case, Problem, Run, build_problem, relative_error, supported
from torch import Tensor

from longspan.kernels import native, reference
from longspan.kernels.dispatch import BACKENDS

NATIVE = tuple(backend for backend in BACKENDS if backend.name == "native")
# Every situation with the options that a cell has by default, and every set of options once.
BY_OPTIONS = [next(group) for _, group in groupby(CASES, key=lambda case: case[:2])]
CHOSEN = dict.fromkeys([*(case for case in CASES if not case.options), *BY_OPTIONS[::3]])
ACCEPTED = [case for _, case in supported(NATIVE, tuple(CHOSEN), torch.float64)]
BOUND = 1e-12  # two passes of the bound of one, and the terms of a second derivative cancel


def _second(run: Run, problem: Problem) -> list[Tensor]:
    """Gradients of a sum of all gradients, each weighed element by element."""
    plan, args, cotangents = problem
    leaves = [part.clone().requires_grad_() for part in (args.x, *args.state, *args.weights)]
    fresh = [part.clone().requires_grad_() for part in args.reset_state or ()]
    states = len(args.state)
    result = run(
        plan,
        args._replace(
            x=leaves[0],
            state=tuple(leaves[1 : 1 + states]),
            weights=leaves[1 + states :],
            reset_state=tuple(fresh) or None,
        ),
    )
    leaves += fresh
    outputs = {"y": result.y, **dict(zip(plan.cell.states, result.state, strict=True)), **result.record}
    loss = sum((value * cotangents(name, value)).square().sum() for name, value in outputs.items())
    slopes = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
    weighed = [
        (slope * cotangents(f"slope {place}", slope)).sum()
        for place, slope in enumerate(slopes)
        if slope is not None and slope.requires_grad
    ]
    found = torch.autograd.grad(sum(weighed, torch.zeros(())), leaves, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found, strict=True)]


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_gradients_of_gradients_are_those_of_the_loop(case: Case) -> None:
    problem = build_problem(case, torch.float64)
    got, want = _second(native.run, problem), _second(reference.run, problem)
    assert any(value.any() for value in want) or problem.plan.empty
    for one, other in zip(got, want, strict=True):
        assert relative_error(one, other) <= BOUND
