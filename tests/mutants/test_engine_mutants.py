"""Deliberately wrong engines: one field of a call goes astray between Python and C++, and the contract that
passes the right engine must see it.

A fault in the engine and a fault in what it is told look the same from outside: a mutant is the right engine
with its arguments tampered with.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
import torch
from kernel_contract import CASES, build_problem, check_kernel

from longspan.kernels import native, native_direct, native_job
from longspan.kernels.dispatch import Backend
from longspan.kernels.native_library import PRE, Gradients, Problem, Results, library
from longspan.kernels.plan import Arguments, Plan, Result

CASES_OF_ALL = tuple(
    case for case in CASES if native.supports(build_problem(case, torch.float64).plan) is None
)
needs_engine = pytest.mark.skipif(not CASES_OF_ALL, reason="the engine is not built")

Tamper = Callable[[Problem, Any], None]
FORWARD: dict[str, Tamper] = {}
BACKWARD: dict[str, Tamper] = {}


def forward(change: Tamper) -> Tamper:
    FORWARD[change.__name__] = change
    return change


def backward(change: Tamper) -> Tamper:
    BACKWARD[change.__name__] = change
    return change


def both(change: Tamper) -> Tamper:
    return forward(backward(change))


class Suspect:
    """The library, its calls tampered with."""

    def __init__(self, forward: Tamper | None, backward: Tamper | None) -> None:
        self.forward, self.backward = forward, backward

    def longspan_forward(self, problem: Any, results: Any) -> int:
        return int(library().longspan_forward(*_tampered(self.forward, problem, results)))

    def longspan_backward(self, problem: Any, gradients: Any) -> int:
        return int(library().longspan_backward(*_tampered(self.backward, problem, gradients)))


def _tampered(change: Tamper | None, *references: Any) -> list[Any]:
    """References to copies, since the caller may use its own again."""
    copies = [type(each._obj).from_buffer_copy(each._obj) for each in references]
    if change is not None:
        change(*copies)
    return [ctypes.byref(each) for each in copies]


@contextmanager
def suspected(suspect: Suspect) -> Iterator[None]:
    """Plain calls run on this library."""
    with (
        mock.patch.object(native_job, "library", lambda: suspect),
        mock.patch.object(native_direct, "library", lambda: suspect),
    ):
        yield


@forward
def the_first_state_is_another(problem: Problem, _: Any) -> None:
    problem.state[0], problem.state[1] = problem.state[1] or problem.state[0], problem.state[0]


@both
def lengths_are_lost(problem: Problem, _: Any) -> None:
    problem.lengths = None


@both
def resets_are_lost(problem: Problem, _: Any) -> None:
    problem.reset = None


@forward
def the_state_after_a_reset_is_zero(problem: Problem, _: Any) -> None:
    problem.fresh[0] = None


@both
def both_directions_run_forward(problem: Problem, _: Any) -> None:
    problem.reverse = 0


@both
def the_seed_is_another(problem: Problem, _: Any) -> None:
    problem.seed += 1


@forward  # the tape holds those of single steps
def masks_start_over(problem: Problem, _: Any) -> None:
    problem.first_step = 0


@both
def masks_go_by_place_in_the_batch(problem: Problem, _: Any) -> None:
    problem.sample_ids = None


@both
def layers_share_their_masks(problem: Problem, _: Any) -> None:
    problem.layer = 0


@both
def directions_share_their_masks(problem: Problem, _: Any) -> None:
    problem.direction = 0


@both
def evaluation_for_training(problem: Problem, _: Any) -> None:
    problem.training = 0


@both
def zoneout_of_c_is_that_of_nothing(problem: Problem, _: Any) -> None:
    problem.zoneout[1] = 0.0


@both
def the_cell_is_not_clipped(problem: Problem, _: Any) -> None:
    problem.cell_clip = 0.0


@forward
def the_second_bias_is_the_first(problem: Problem, _: Any) -> None:
    if problem.weights[3] is not None:
        problem.weights[3] = problem.weights[2]


@backward
def gradients_of_the_backward_pass_alone_forget_the_seed(problem: Problem, _: Any) -> None:
    problem.seed += 1


@backward
def the_final_state_has_no_gradient(_: Problem, gradients: Gradients) -> None:
    gradients.state[0] = None


@backward
def the_final_cell_state_has_no_gradient(_: Problem, gradients: Gradients) -> None:
    gradients.state[1] = None


@backward
def records_have_no_gradient(_: Problem, gradients: Gradients) -> None:
    for place in range(len(gradients.record)):
        gradients.record[place] = None


@backward
def gates_before_activation_have_the_gradient_of_activated_ones(_: Problem, gradients: Gradients) -> None:
    for gate in range(4):
        gradients.record[PRE + gate] = gradients.record[gate]


@forward
def two_records_change_places(_: Problem, results: Results) -> None:
    results.record[0], results.record[4] = results.record[4], results.record[0]


def contract(run: Callable[[Plan, Arguments], Result]) -> None:
    for case in CASES_OF_ALL:
        check_kernel(Backend("suspect", lambda _: None, run), case, torch.float64)


@needs_engine
def test_the_right_engine_passes() -> None:
    contract(native.run)


@needs_engine
def test_the_engine_that_recomputes_passes() -> None:
    contract(lambda plan, args: native.run(plan._replace(recompute=True), args))


@needs_engine
@pytest.mark.parametrize("name", [*FORWARD, *(name for name in BACKWARD if name not in FORWARD)])
def test_the_contract_rejects(name: str) -> None:
    suspect = Suspect(FORWARD.get(name), BACKWARD.get(name))
    with suspected(suspect), pytest.raises(AssertionError):
        contract(native.run)


@needs_engine
@pytest.mark.parametrize("name", [name for name in BACKWARD if name in FORWARD])
def test_the_contract_rejects_a_backward_pass_alone(name: str) -> None:
    """The forward pass is right: gradients have to give it away."""
    suspect = Suspect(None, BACKWARD[name])
    with suspected(suspect), pytest.raises(AssertionError):
        contract(native.run)


@needs_engine
def test_the_contract_rejects_a_recomputation_whose_masks_start_over() -> None:
    suspect = Suspect(None, FORWARD["masks_start_over"])
    with suspected(suspect), pytest.raises(AssertionError):
        contract(lambda plan, args: native.run(plan._replace(recompute=True), args))
