"""Every kernel of the table against the contract, on every case that it accepts."""

from __future__ import annotations

import pytest
import torch
from kernel_contract import CASES, Case, check_half_precision, check_kernel, supported

from longspan.kernels.dispatch import BACKENDS, Backend

PAIRS = supported(BACKENDS)
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
    (backend, case)
    for backend, case in PAIRS
    if case.situation.name in ("plain", "ragged", "everything") and len(case.options) <= 1
]


@pytest.mark.parametrize(("backend", "case"), HALF, ids=[f"{b.name}-{c}" for b, c in HALF])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
def test_half_precision_is_within_twice_the_error_of_torch(
    backend: Backend, case: Case, dtype: torch.dtype
) -> None:
    check_half_precision(backend, case, dtype)


def test_every_case_runs_on_the_reference_and_the_plain_ones_elsewhere() -> None:
    by_kernel = {backend.name: sum(b.name == backend.name for b, _ in PAIRS) for backend in BACKENDS}
    assert by_kernel["reference"] == len(CASES)
    assert by_kernel["vendor"] >= 40
