"""Every kernel of the table against the contract, on every case that it accepts."""

from __future__ import annotations

import pytest
import torch
from kernel_contract import CASES, Case, build_problem, check_half_precision, check_kernel, supported

from longspan.kernels import native
from longspan.kernels.dispatch import BACKENDS, Backend

PAIRS = supported(BACKENDS)
NO_ENGINE = native.supports(build_problem(CASES[0], torch.float32).plan)
# The reference in float64 is what the others are compared with; tests/kernels and tests/theory are about it.
TYPED = [
    (b, c, d)
    for b, c in PAIRS
    for d in (torch.float64, torch.float32)
    if (b.name, d) != ("reference", torch.float64)
]


@pytest.mark.parametrize(("backend", "case", "dtype"), TYPED, ids=[f"{b.name}-{c}-{d}" for b, c, d in TYPED])
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
def test_kernel_fulfils_the_contract(backend: Backend, case: Case, dtype: torch.dtype) -> None:
    check_kernel(backend, case, dtype)


HALF = [
    (backend, case, dtype)
    for dtype in (torch.bfloat16, torch.float16)
    for backend, case in supported(BACKENDS, dtype=dtype)
    if case.situation.name in ("plain", "ragged", "everything") and len(case.options) <= 1
]


@pytest.mark.parametrize(("backend", "case", "dtype"), HALF, ids=[f"{b.name}-{c}-{d}" for b, c, d in HALF])
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
def test_half_precision_is_within_twice_the_error_of_torch(
    backend: Backend, case: Case, dtype: torch.dtype
) -> None:
    check_half_precision(backend, case, dtype)


def test_every_case_runs_on_the_reference_and_the_plain_ones_elsewhere() -> None:
    by_kernel = {backend.name: sum(b.name == backend.name for b, _ in PAIRS) for backend in BACKENDS}
    assert by_kernel["reference"] == len(CASES)
    assert by_kernel["vendor"] >= 40
    assert by_kernel["native"] >= 100 or NO_ENGINE, "the engine was built, so it runs the contract"
