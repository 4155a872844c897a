"""Random problems of one layer for the tests of the engine, and ways to run them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import torch
from hypothesis import strategies as st
from torch import Tensor

from longspan import cells
from longspan.kernels import native, native_call, native_ops
from longspan.kernels.native_library import Running
from longspan.kernels.plan import Arguments, Plan, Result

LSTM_OPTIONS = ("peephole", "coupled", "layer_norm", "forget_gate", "projection", "bias")


class Sizes(NamedTuple):
    """T, B, I, H of a problem, and what it has."""

    steps: int
    batch: int
    inputs: int
    hidden: int
    cell: str
    options: tuple[tuple[str, Any], ...]
    training: bool
    resets: bool
    seed: int


@st.composite
def sizes(draw: st.DrawFn, max_steps: int = 12, max_batch: int = 9, max_hidden: int = 70) -> Sizes:
    """Sizes on both sides of a block and of a panel, with any options."""
    cell = draw(st.sampled_from(("lstm", "lstm", "gru", "rnn")))
    options: dict[str, Any] = {}
    if cell == "lstm":
        options = {name: draw(st.booleans()) for name in LSTM_OPTIONS}
        options["forget_gate"] |= options["coupled"]
        options["cell_clip"] = draw(st.sampled_from((None, 0.7)))
    if cell == "rnn":
        options = {"nonlinearity": draw(st.sampled_from(("tanh", "relu")))}
    if cell == "gru":
        options = {name: draw(st.booleans()) for name in ("reset_after", "bias")}
    return Sizes(
        draw(st.integers(1, max_steps)),
        draw(st.integers(1, max_batch)),
        draw(st.integers(1, 40)),
        draw(st.integers(2, max_hidden)),
        cell,
        tuple(options.items()),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.integers(0, 1 << 30)),
    )


def problem(size: Sizes, dtype: torch.dtype = torch.float32) -> tuple[Plan, Arguments]:
    """Numbers for these sizes."""
    T, B, I, H, name, options, training, resets, seed = size  # noqa: E741
    generator = torch.Generator().manual_seed(seed)
    cell = cells.build(name, **dict(options))
    P = max(1, H // 2) if cell.projected else 0

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).to(dtype)

    shapes = cell.shapes(I, H, P)
    weights = [
        normal(*shapes[w.name], scale=0.5 / H**0.5) + (1.0 if w.start == "ones" else 0.0)
        for w in cell.weights
    ]
    widths = [cell.state_width(state, H, P) for state in cell.states]
    rate = 0.2 if training else 0.1
    plan = Plan(
        cell, 1, False, False, H, P, 0.0, 0.3, (rate,) * len(cell.states), training, True, cell.records,
        False, False, resets, False, "cpu", dtype,
    )  # fmt: skip
    args = Arguments(
        normal(T, B, I),
        tuple(normal(1, B, width) for width in widths),
        weights,
        reset=torch.rand(T, B, generator=generator) < 0.3 if resets else None,
        reset_state=tuple(normal(1, width) for width in widths) if resets else None,
        seed=torch.tensor(seed + 5),
        sample_ids=torch.arange(B) * 3 + 1,
        first_step=torch.tensor(seed % 7),
    )
    return plan, args


def rows(args: Arguments, which: Any) -> Arguments:
    """The problem of some sequences of the batch, in any order."""
    return args._replace(
        x=args.x[:, which],
        state=tuple(part[:, which] for part in args.state),
        reset=None if args.reset is None else args.reset[:, which],
        sample_ids=None if args.sample_ids is None else args.sample_ids[which],
        lengths=None if args.lengths is None else args.lengths[which],
    )


@contextmanager
def engine(threads: int = 1, isa: int = 0) -> Iterator[None]:
    """Run with this many threads, on this build."""
    # Torch keeps one thread: the barriers of its own pool spin for seconds where a processor is taken away.
    with (
        mock.patch.object(native_ops, "running", lambda: Running(threads, isa)),
        mock.patch.object(native_call, "running", lambda: Running(threads, isa)),
    ):
        yield


def run(plan: Plan, args: Arguments) -> dict[str, Tensor]:
    """Everything of one call: y (T, B, P), records by name (T, B, width), final states (B, width)."""
    return named(plan, native.run(plan, args))


def named(plan: Plan, result: Result) -> dict[str, Tensor]:
    """A result by names, time first."""
    found = {"y": result.y}
    found.update({f"record {name}": value[0, 0].transpose(0, 1) for name, value in result.record.items()})
    found.update({f"final {n}": part[0] for n, part in zip(plan.cell.states, result.state, strict=True)})
    return found


def bits(tensor: Tensor) -> Tensor:
    """The bits as whole numbers; every NaN counts as the same."""
    kind = torch.int32 if tensor.dtype == torch.float32 else torch.int64
    tensor = tensor.detach()
    return torch.where(tensor.isnan(), torch.full_like(tensor, float("nan")), tensor).contiguous().view(kind)


def assert_same_bits(got: dict[str, Tensor], want: dict[str, Tensor]) -> None:
    """All tensors are equal to the bit."""
    assert got.keys() == want.keys()
    for name, value in want.items():
        differing = int((bits(got[name]) != bits(value)).sum())
        assert differing == 0, f"{name}: {differing} of {value.numel()} elements differ"
