"""Which kernel runs: one ordered table, each entry asked whether it can, and why not.

A kernel is entered with one line in ``BACKENDS``; it gets whole stacks (``longspan.kernels.plan``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import RLock
from typing import Any, NamedTuple, Protocol

import torch

from longspan.core.checks import choice
from longspan.core.errors import InputError
from longspan.kernels import native, reference, vendor
from longspan.kernels.plan import Arguments, Plan, Result

__all__ = ["BACKENDS", "Backend", "Explanation", "choose", "explain", "forced", "run", "using"]


class Backend(NamedTuple):
    """One way of running a cell over time.

    Attributes:
        name: as ``using`` and ``explain`` name it.
        supports: None, or the reason why it cannot run the plan.
        run: runs the plan; called only where ``supports`` gave None.
        keyed: whether its masks are functions of a seed, which it is then given; otherwise it draws from
            torch's generator by itself.
    """

    name: str
    supports: Callable[[Plan], str | None]
    run: Callable[[Plan, Arguments], Result]
    keyed: bool = True


# The first that can, runs.
BACKENDS: tuple[Backend, ...] = (
    Backend("native", native.supports, native.run),
    Backend("vendor", vendor.supports, vendor.run, keyed=False),
    Backend("reference", reference.supports, reference.run),
)

_forced: ContextVar[str | None] = ContextVar("longspan_backend", default=None)

# How many ``using`` blocks are open in the process. A compiler can trace and guard this number, but not a
# context variable, which is therefore read only while the number is not 0.
_open_overrides = 0
_lock = RLock()  # a signal handler may open a block while one is being opened


class Explanation(NamedTuple):
    """Which backend a call would run on.

    Attributes:
        backend: its name.
        refusals: reason of every backend that comes before it in the table or was passed over, by name.
    """

    backend: str
    refusals: dict[str, str]

    def __str__(self) -> str:
        return "\n".join(
            [f"runs on {self.backend}", *(f"not {name}: {why}" for name, why in self.refusals.items())]
        )


class Planned(Protocol):
    """A layer that can say what it would ask of a kernel."""

    def prepare(self, *args: Any, **kwargs: Any) -> tuple[Plan, Arguments]:
        """Plan and arguments of the call, nothing run and nothing drawn."""
        ...


@contextmanager
def using(name: str) -> Iterator[None]:
    """Run every layer called in this block (and this thread or task) on the named backend.

    A compiled layer leaves its graph in the block, so ``torch.compile(fullgraph=True)`` refuses to trace it.

    Raises:
        InputError: there is no such backend; in the block, a call that the backend cannot run.
    """
    global _open_overrides
    choice(name, "backend", "using", tuple(backend.name for backend in BACKENDS))
    token = _forced.set(name)
    with _lock:
        _open_overrides += 1
    try:
        yield
    finally:
        with _lock:
            _open_overrides -= 1
        _forced.reset(token)


def forced() -> str | None:
    """The backend that ``using`` names, if any."""
    return _forced.get() if _open_overrides else None


def choose(plan: Plan) -> Backend:
    """The backend that runs this plan.

    Raises:
        InputError: ``using`` names a backend that cannot.
    """
    name = forced()
    if name is not None:
        return _named(name, plan)
    for backend in BACKENDS:
        if backend.supports(plan) is None:
            return backend
    raise InputError(f"no backend can run this call: {_refusals(plan)}")


def _named(name: str, plan: Plan) -> Backend:
    backend = next(backend for backend in BACKENDS if backend.name == name)
    reason = backend.supports(plan)
    if reason is not None:
        raise InputError(
            f"using({name!r}): the backend cannot run this call: {reason}. "
            "Leave the block, or choose another backend"
        )
    return backend


def _refusals(plan: Plan) -> dict[str, str]:
    found = {backend.name: backend.supports(plan) for backend in BACKENDS}
    return {name: reason for name, reason in found.items() if reason is not None}


def run(plan: Plan, args: Arguments) -> Result:
    """Choose a backend and run it. A call that draws masks without a seed gets one from torch's generator."""
    backend = choose(plan)
    native.say_absence(plan)
    if args.seed is None and backend.keyed and plan.draws:
        args = args._replace(seed=torch.randint(1 << 62, (), dtype=torch.int64, device="cpu"))
    return backend.run(plan, args)


def explain(layer: Planned, *args: Any, **kwargs: Any) -> Explanation:
    """Which backend ``layer(*args, **kwargs)`` would run on and why no other would, without running it.

    The arguments are those of the layer's call, and are checked as it checks them.
    """
    plan, _ = layer.prepare(*args, **kwargs)
    chosen = choose(plan)
    refusals = _refusals(plan)
    for backend in BACKENDS:
        if backend.name != chosen.name and backend.name not in refusals:
            refusals[backend.name] = (
                f"using({chosen.name!r}) is in force"
                if forced() == chosen.name
                else f"{chosen.name} comes first"
            )
    return Explanation(chosen.name, refusals)
