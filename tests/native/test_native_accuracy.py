"""Outputs, states and every gradient against the float64 loop, at odd, long and large sizes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from kernel_contract import BOUNDS, Problem, errors
from native_problems import Sizes, engine, problem, sizes
from torch import Tensor

from longspan.kernels import native


def _check(size: Sizes, dtype: torch.dtype, threads: int = 1) -> None:
    plan, args = problem(size, dtype)

    def cotangents(name: str, like: Tensor) -> Tensor:
        own = torch.Generator().manual_seed(sum(name.encode()))
        return torch.randn(like.shape, generator=own, dtype=torch.float64).to(like.dtype)

    with engine(threads):
        found = errors(native.run, Problem(plan, args, cotangents))
    wrong = {name: error for name, error in found.items() if not error <= BOUNDS[dtype]}
    assert not wrong, f"{size}, {dtype}: {wrong}"


@settings(max_examples=30)
@given(sizes())
def test_odd_sizes_in_float64(size: Sizes) -> None:
    # One input, normalised, is its sign: epsilon alone leaves a gradient, which is all rounding.
    assume(not dict(size.options).get("layer_norm") or min(size.inputs, size.hidden) >= 6)
    _check(size, torch.float64, threads=2)


LARGE = [
    Sizes(2000, 1, 3, 24, "lstm", (), False, False, 1),
    Sizes(40, 33, 20, 130, "lstm", (("peephole", True), ("layer_norm", True)), True, True, 2),
    Sizes(6, 50, 300, 300, "lstm", (), False, False, 3),
    Sizes(60, 20, 16, 65, "gru", (), False, False, 4),
]


@pytest.mark.parametrize(
    "size", LARGE, ids=lambda size: f"{size.cell}-T{size.steps}-B{size.batch}-H{size.hidden}"
)
def test_long_and_large_ones_in_float32(size: Sizes) -> None:
    _check(size, torch.float32)
