"""Torch's fused stack behind our calls: ragged batches, and CUDA where there is one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from kernel_contract import BOUNDS, CASES, Case, build_problem, check_kernel, errors, supported

from longspan.kernels import vendor
from longspan.kernels.dispatch import BACKENDS
from longspan.kernels.plan import Arguments, Plan, Result

VENDOR = next(backend for backend in BACKENDS if backend.name == "vendor")
RAGGED = [case for _, case in supported((VENDOR,)) if case.situation.lengths and not case.situation.packed]


@pytest.mark.parametrize("case", RAGGED, ids=str)
@pytest.mark.parametrize("lengths", [(6, 6, 6), (0, 0, 0), (0, 6, 1)])
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
def test_extreme_lengths(case: Case, lengths: tuple[int, ...]) -> None:
    check_kernel(VENDOR, case._replace(situation=case.situation._replace(lengths=lengths)), torch.float64)


def moved(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.cuda()
    return type(value)(moved(part) for part in value) if isinstance(value, tuple | list) else value


def run_on_cuda(plan: Plan, args: Arguments) -> Result:
    on_device = Arguments(*(moved(value) for value in args))._replace(batch_sizes=args.batch_sizes)
    result = vendor.run(plan._replace(device="cuda"), on_device)
    return Result(result.y.cpu(), tuple(part.cpu() for part in result.state), {})


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch.cuda.is_available() is False: no CUDA device here"
)
def test_cuda_fulfils_the_contract() -> None:
    for _, case in supported((VENDOR,)):
        found = errors(run_on_cuda, build_problem(case, torch.float64))
        assert max(found.values()) <= BOUNDS[torch.float64], f"{case}: {found}"


def test_there_are_ragged_cases() -> None:
    assert len(RAGGED) >= 6
    assert len(RAGGED) < len(CASES)
