"""Kernels that are wrong on purpose, for tests of what has to notice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor

from longspan.kernels import dispatch
from longspan.kernels.plan import Arguments, Plan, Result

__all__ = ["spoil"]


def spoil(monkeypatch: pytest.MonkeyPatch, fault: Callable[[Tensor], Tensor], *spare: str) -> None:
    """Put the output of every kernel, but of those to spare, through the fault, for one test."""

    def spoilt(backend: dispatch.Backend) -> dispatch.Backend:
        def run(plan: Plan, args: Arguments) -> Result:
            result = backend.run(plan, args)
            return result._replace(y=fault(result.y))

        return backend if backend.name in spare else backend._replace(run=run)

    monkeypatch.setattr(dispatch, "BACKENDS", tuple(map(spoilt, dispatch.BACKENDS)))
