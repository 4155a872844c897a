"""What every kernel has to fulfil: its outputs, final states, records and all gradients against the float64
loop.

``check_kernel(backend, case, dtype)`` raises AssertionError, naming the tensor, the error and the bound.
``CASES`` covers every registered cell; a kernel comes under the contract by its line in
``dispatch.BACKENDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor

from longspan import cells
from longspan.kernels import reference
from longspan.kernels.dispatch import Backend
from longspan.kernels.plan import Arguments, Plan, Result

Run = Callable[[Plan, Arguments], Result]

# RMS of the difference over RMS of the reference, for every tensor.
BOUNDS = {torch.float64: 1e-13, torch.float32: 2e-6}


class Situation(NamedTuple):
    """How a cell is run."""

    name: str
    layers: int = 1
    bidirectional: bool = False
    batch_first: bool = False
    steps: int = 6
    batch: int = 3
    lengths: tuple[int, ...] | None = None
    resets: bool = False
    learned: bool = False
    record: bool = False
    packed: bool = False
    training: bool = False
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    zoneout: float = 0.0


class Case(NamedTuple):
    """A cell with options, and how it is run."""

    cell: str
    options: tuple[tuple[str, Any], ...]
    situation: Situation

    def __str__(self) -> str:
        options = ",".join(f"{key}={value}" for key, value in self.options)
        return f"{self.cell}({options})-{self.situation.name}"


EVERYTHING = Situation(
    "everything", layers=2, bidirectional=True, batch_first=True, lengths=(6, 0, 3), resets=True,
    learned=True, record=True, training=True, dropout=0.3, recurrent_dropout=0.25, zoneout=0.2,
)  # fmt: skip
SITUATIONS = (
    Situation("plain"),
    Situation("batch_first", batch_first=True),
    Situation("one_step", steps=1),
    Situation("one_sequence", batch=1),
    Situation("stacked", layers=3),
    Situation("bidirectional", layers=2, bidirectional=True),
    Situation("ragged", lengths=(2, 6, 4)),
    Situation("ragged_with_nothing", lengths=(5, 0, 3), batch_first=True),
    Situation("ragged_bidirectional", layers=2, bidirectional=True, lengths=(1, 6, 4)),
    Situation("packed", layers=2, bidirectional=True, lengths=(6, 4, 1), packed=True),
    Situation("reset", resets=True),
    Situation("reset_bidirectional", layers=2, bidirectional=True, resets=True, learned=True),
    Situation("recorded", layers=2, bidirectional=True, record=True),
    Situation("no_sequences", batch=0),
    Situation("no_steps", steps=0),
    Situation("zoneout", training=True, zoneout=0.4),
    Situation("zoneout_expected", zoneout=0.4),
    Situation("recurrent_dropout", training=True, recurrent_dropout=0.4, layers=2),
    Situation("dropout", training=True, dropout=0.4, layers=3, bidirectional=True),
    EVERYTHING,
)


def _variants(name: str) -> Iterator[tuple[tuple[str, Any], ...]]:
    """The default options, and each flag of the cell turned over."""
    record = cells.build(name)
    yield ()
    for key, value in record.options:
        if isinstance(value, bool):
            yield ((key, not value),)


def _lstm_combinations() -> Iterator[tuple[tuple[str, Any], ...]]:
    forms: tuple[dict[str, Any], ...] = ({}, {"coupled": True}, {"forget_gate": False})
    for form, peephole, layer_norm, projection, clip in product(
        forms, (False, True), (False, True), (False, True), (None, 0.9)
    ):
        flags = {"peephole": peephole, "layer_norm": layer_norm, "projection": projection, "cell_clip": clip}
        yield tuple({**form, **flags}.items())


def _cases() -> Iterator[Case]:
    for name in cells.names():
        yield from (Case(name, (), situation) for situation in SITUATIONS)
        yield from (Case(name, options, EVERYTHING) for options in _variants(name) if options)
    yield from (Case("rnn", (("nonlinearity", "relu"),), situation) for situation in SITUATIONS)
    yield from (Case("lstm", (("projection", True),), situation) for situation in SITUATIONS)
    yield from (Case("lstm", options, EVERYTHING) for options in _lstm_combinations())


CASES = tuple(dict.fromkeys(_cases()))

I, H, P = 5, 16, 9  # noqa: E741


class Problem(NamedTuple):
    """A case with numbers."""

    plan: Plan
    args: Arguments
    cotangents: Callable[[str, Tensor], Tensor]


def build_problem(case: Case, dtype: torch.dtype, seed: int = 11) -> Problem:
    """Numbers for a case, the same for every type up to its rounding; padding is NaN."""
    generator = torch.Generator().manual_seed(seed)
    s = case.situation
    cell = cells.build(case.cell, **dict(case.options))
    proj = P if cell.projected else 0
    directions = 1 + s.bidirectional

    def draw(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).to(dtype)

    x = draw(s.steps, s.batch, I)
    weights = []
    for layer in range(s.layers):
        width = I if layer == 0 else directions * (proj or H)
        for _ in range(directions):
            shapes = cell.shapes(width, H, proj)
            # About the size that a trained network has: larger ones make the recurrence chaotic, and then no
            # bound on rounding errors can hold.
            weights += [
                draw(*shapes[weight.name], scale=0.25) + (1.0 if weight.start == "ones" else 0.0)
                for weight in cell.weights
            ]
    widths = [cell.state_width(name, H, proj) for name in cell.states]
    state = tuple(draw(s.layers * directions, s.batch, width) for width in widths)
    fresh = tuple(draw(s.layers * directions, width) for width in widths) if s.learned else None
    reset = torch.rand(s.steps, s.batch, generator=generator) < 0.35 if s.resets else None
    lengths = None if s.lengths is None else torch.tensor(s.lengths)
    sizes = None
    if s.packed and lengths is not None:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths)
        x, sizes, lengths = packed.data, packed.batch_sizes, None
    elif lengths is not None:
        x = x.masked_fill(torch.arange(s.steps)[:, None, None] >= lengths[:, None], float("nan"))
    if s.batch_first and not s.packed:
        x = x.transpose(0, 1).contiguous()
        reset = None if reset is None else reset.transpose(0, 1)
    plan = Plan(
        cell, s.layers, s.bidirectional, s.batch_first, H, proj, s.dropout, s.recurrent_dropout,
        (s.zoneout,) * len(cell.states) if s.zoneout else (), s.training, s.training,
        cell.records if s.record else (), lengths is not None, s.packed, s.resets,
        s.steps == 0 or s.batch == 0, "cpu", dtype,
    )  # fmt: skip
    noise: dict[str, Tensor] = {}
    if s.training:
        noise = {
            "seed": torch.tensor(1234567890123),
            "sample_ids": torch.arange(s.batch) * 7 + 2,
            "first_step": torch.tensor(3),
        }
    args = Arguments(x, state, weights, sizes, lengths, reset, fresh, **noise)

    def cotangents(name: str, like: Tensor) -> Tensor:
        own = torch.Generator().manual_seed(seed + sum(name.encode()))
        return torch.randn(like.shape, generator=own, dtype=torch.float64).to(like.dtype)

    return Problem(plan, args, cotangents)


def outputs_and_gradients(run: Run, problem: Problem) -> dict[str, Tensor]:
    """Everything that a kernel computes: y, final states, records, and the gradient of each input and
    weight.
    """
    plan, args, cotangents = problem
    leaves: dict[str, Tensor] = {"x": args.x.clone().requires_grad_()}
    for name, part in zip(plan.cell.states, args.state, strict=True):
        leaves[f"initial {name}"] = part.clone().requires_grad_()
    for name, part in zip(plan.cell.states, args.reset_state or (), strict=False):
        leaves[f"reset {name}"] = part.clone().requires_grad_()
    names = [
        f"{weight} of stack {place // len(plan.cell.weights)}"
        for place, weight in enumerate(plan.cell.weight_names * (len(args.weights) // len(plan.cell.weights)))
    ]
    leaves.update({n: w.clone().requires_grad_() for n, w in zip(names, args.weights, strict=True)})
    args = args._replace(
        x=leaves["x"],
        state=tuple(leaves[f"initial {name}"] for name in plan.cell.states),
        weights=[leaves[name] for name in names],
        reset_state=None
        if args.reset_state is None
        else tuple(leaves[f"reset {n}"] for n in plan.cell.states),
    )
    result = run(plan, args)
    found = {"y": result.y}
    found.update({f"final {n}": part for n, part in zip(plan.cell.states, result.state, strict=True)})
    found.update({f"record {n}": result.record[n] for n in plan.record})
    loss = sum(((value * cotangents(name, value)).sum() for name, value in found.items()), torch.zeros(()))
    gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    for name, leaf, gradient in zip(leaves, leaves.values(), gradients, strict=True):
        found[f"gradient of {name}"] = torch.zeros_like(leaf) if gradient is None else gradient
    return {name: value.detach() for name, value in found.items()}


def relative_error(got: Tensor, want: Tensor) -> float:
    """RMS of the difference over RMS of what is wanted; NaN counts as infinite."""
    if want.numel() == 0:
        return 0.0
    difference = (got.double() - want.double()).square().mean().sqrt().item()
    size = want.double().square().mean().sqrt().item()
    if difference != difference:
        return float("inf")
    return difference / size if size else (0.0 if difference == 0 else float("inf"))


def exact(problem: Problem) -> Problem:
    """The same numbers in float64."""
    plan, args, cotangents = problem

    def up(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.double() if value.is_floating_point() else value
        return type(value)(up(part) for part in value) if isinstance(value, tuple | list) else value

    def same(name: str, like: Tensor) -> Tensor:
        return cotangents(name, like.to(plan.dtype)).double()

    return Problem(plan._replace(dtype=torch.float64), Arguments(*(up(part) for part in args)), same)


def errors(run: Run, problem: Problem) -> dict[str, float]:
    """Relative error of every tensor against the float64 loop; another shape or type is an AssertionError."""
    want = outputs_and_gradients(reference.run, exact(problem))
    got = outputs_and_gradients(run, problem)
    assert got.keys() == want.keys(), f"expected {sorted(want)}, got {sorted(got)}"
    for name, value in got.items():
        assert value.shape == want[name].shape, f"{name}: {tuple(value.shape)}, not {tuple(want[name].shape)}"
        assert value.dtype == problem.plan.dtype, f"{name}: {value.dtype}, not {problem.plan.dtype}"
    return {name: relative_error(value, want[name]) for name, value in got.items()}


def check_kernel(backend: Backend, case: Case, dtype: torch.dtype) -> None:
    """Hold a kernel to the bound of this type on this case."""
    problem = build_problem(case, dtype)
    reason = backend.supports(problem.plan)
    assert reason is None, f"{backend.name} refuses {case}: {reason}"
    for name, error in errors(backend.run, problem).items():
        bound = BOUNDS[dtype]
        assert error <= bound, (
            f"{backend.name}, {case}, {dtype}: {name} is off by {error:.2e}, bound {bound:.0e}"
        )


def check_half_precision(backend: Backend, case: Case, dtype: torch.dtype) -> None:
    """Hold a kernel in a half-precision type to twice the error of plain torch operations in that type."""
    problem = build_problem(case, dtype)
    with mock.patch.object(reference, "_compute_type", lambda x, _: x.dtype):
        eager = outputs_and_gradients(reference.run, problem)
    want = outputs_and_gradients(reference.run, exact(problem))
    for name, error in errors(backend.run, problem).items():
        bound = 2 * relative_error(eager[name], want[name])
        assert error <= bound, (
            f"{backend.name}, {case}, {dtype}: {name} is off by {error:.2e}, bound {bound:.2e}"
        )


def supported(
    backends: tuple[Backend, ...], cases: tuple[Case, ...] = CASES, dtype: torch.dtype = torch.float32
) -> list[tuple[Backend, Case]]:
    """Every pair of a kernel and a case that it accepts in a floating type."""
    plans = [(case, build_problem(case, dtype).plan) for case in cases]
    return [(backend, case) for backend in backends for case, plan in plans if backend.supports(plan) is None]
