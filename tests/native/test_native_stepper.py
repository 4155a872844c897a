"""Streaming: the bits of the whole sequence, one step at a time, and clear refusals."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from threading import Event, Thread

import pytest
import torch
from native_problems import assert_same_bits
from torch import Tensor

from longspan import cells
from longspan.cells.base import Cell
from longspan.core.errors import InputError
from longspan.kernels import native
from longspan.kernels.native_library import NativeError
from longspan.kernels.native_stepper import Stepper
from longspan.kernels.plan import Arguments, Plan

CELLS = [
    cells.build("lstm"),
    cells.build("lstm", peephole=True, layer_norm=True, projection=True, cell_clip=0.8),
    cells.build("lstm", coupled=True, bias=False),
    cells.build("gru"),
    cells.build("gru", reset_after=False),
    cells.build("rnn", nonlinearity="relu"),
]
I, H, P, L = 6, 20, 7, 2  # noqa: E741


def _weights(cell: Cell) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    proj = P if cell.projected else 0
    found = []
    for layer in range(L):
        shapes = cell.shapes(I if layer == 0 else proj or H, H, proj)
        found += [torch.randn(shapes[name], generator=generator) * 0.3 for name in cell.weight_names]
    return found


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.label)
@pytest.mark.parametrize("batch", [1, 3])
def test_steps_are_the_whole_sequence(cell: Cell, batch: int) -> None:
    weights, x = _weights(cell), torch.randn(9, batch, I, generator=torch.Generator().manual_seed(1))
    rates = (0.2,) * len(cell.states)
    proj = P if cell.projected else 0
    plan = Plan(
        cell,
        L,
        False,
        False,
        H,
        proj,
        0.0,
        0.0,
        rates,
        False,
        False,
        (),
        False,
        False,
        False,
        False,
        "cpu",
        x.dtype,
    )
    stepper = Stepper(cell, weights, L, batch=batch, zoneout=rates)
    want = native.run(plan, Arguments(x, stepper.start(), weights))
    state, checked = stepper.start(), []
    for row in x:
        y, state = stepper(row, state)
        checked.append(y)
    assert_same_bits({"y": torch.stack(checked)}, {"y": want.y})
    carried, inside, outside = stepper.start(), torch.empty(batch, I), torch.empty_like(checked[0])
    stepper.bind(inside, outside, carried)
    for t, row in enumerate(x):
        inside.copy_(row)
        stepper.step()
        assert_same_bits({"y": outside}, {"y": want.y[t]})
    for got, end in zip(carried, want.state, strict=True):
        assert_same_bits({"state": got}, {"state": end})


def test_a_checked_step_leaves_the_given_state_alone() -> None:
    stepper = Stepper(CELLS[0], _weights(CELLS[0]), L)
    state = tuple(torch.randn(shape) for shape in stepper.state_shapes)
    before = [part.clone() for part in state]
    _, after = stepper(torch.randn(1, I), state)
    assert all(torch.equal(a, b) for a, b in zip(state, before, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(state, after, strict=True))


def test_what_does_not_fit_is_refused() -> None:
    stepper = Stepper(CELLS[0], _weights(CELLS[0]), L)
    with pytest.raises(InputError, match="nothing is bound"):
        stepper.step()
    with pytest.raises(InputError, match=r"expected x of shape \(1, 6\) and torch.float32 .* got \(1, 5\)"):
        stepper(torch.zeros(1, 5))
    with pytest.raises(InputError, match=r"expected x of shape .* torch.float64"):
        stepper(torch.zeros(1, I, dtype=torch.float64))
    with pytest.raises(InputError, match="expected x to be dense, got strides"):
        stepper(torch.zeros(1, 2 * I)[:, ::2])
    with pytest.raises(InputError, match="expected a tensor for c, got none"):
        stepper(torch.zeros(1, I), (torch.zeros(L, 1, H),))
    with pytest.raises(InputError, match="expected 8 weights, 4 for each of 2 layers, got 4"):
        Stepper(CELLS[0], _weights(CELLS[0])[:4], L)
    with pytest.raises(InputError, match="num_layers, batch and threads of at least 1, got 0, 1 and 1"):
        Stepper(CELLS[0], [], 0, threads=1)
    with pytest.raises(InputError, match="at most 256 threads, got 1000"):
        Stepper(CELLS[0], _weights(CELLS[0]), L, threads=1000)
    with pytest.raises(InputError, match=r"Stepper: expected zoneout .* got 1\.5"):
        Stepper(CELLS[0], _weights(CELLS[0]), L, zoneout=(0.1, 1.5))
    with pytest.raises(
        InputError, match=r"zoneout for each of the states \('h', 'c'\), or none, got \(0.1,\)"
    ):
        Stepper(CELLS[0], _weights(CELLS[0]), L, zoneout=(0.1,))


def test_a_call_unbinds() -> None:
    stepper = Stepper(CELLS[0], _weights(CELLS[0]), L)
    stepper.bind(torch.zeros(1, I), torch.zeros(1, H), stepper.start())
    stepper.step()
    stepper(torch.zeros(1, I))
    with pytest.raises(InputError, match="nothing is bound"):
        stepper.step()


def test_a_step_that_the_engine_refuses_is_an_error() -> None:
    stepper = Stepper(CELLS[0], _weights(CELLS[0]), L)
    stepper.bind(torch.zeros(1, I), torch.zeros(1, H), stepper.start())
    stepper._problems[1].x = None
    with pytest.raises(NativeError, match="an array that the call needs is missing"):
        stepper.step()


def test_a_step_outlives_its_stepper() -> None:
    whole = Stepper(CELLS[0], _weights(CELLS[0]), L)
    x, start = torch.randn(1, I), tuple(torch.randn(shape) for shape in whole.state_shapes)
    want, (h, c) = whole(x, start)

    def bound() -> tuple[Callable[[], None], list[weakref.ref[Tensor]]]:
        stepper = Stepper(CELLS[0], _weights(CELLS[0]), L)
        stepper.bind(x, y, state)
        return stepper.step, [weakref.ref(part) for part in (*stepper._held, *stepper._between)]

    y, state = torch.zeros(1, H), tuple(part.clone() for part in start)
    step, memory = bound()
    gc.collect()
    assert memory
    assert all(each() is not None for each in memory)
    step()
    assert torch.equal(y, want)
    assert torch.equal(state[0], h)
    assert torch.equal(state[1], c)


def test_what_is_bound_stays_where_it_is() -> None:
    """A tensor that is given other memory is left alone, one that would move its memory is not let."""
    stepper = Stepper(CELLS[0], _weights(CELLS[0]), L)
    x, y, state = torch.randn(1, I), torch.zeros(1, H), stepper.start()
    stepper.bind(x, y, state)
    bound = y.view_as(y)
    y.data = torch.full((1, H), 7.0)
    stepper.step()
    assert (y == 7.0).all()
    assert not (bound == 0.0).any()
    with pytest.raises(RuntimeError, match="not resizable"):
        state[0].resize_(1 << 20)


def test_a_step_of_before_a_call_touches_nothing() -> None:
    stepper = Stepper(CELLS[0], _weights(CELLS[0]), L)
    y = torch.zeros(1, H)
    stepper.bind(torch.randn(1, I), y, stepper.start())
    step = stepper.step
    stepper(torch.randn(1, I))
    with pytest.raises(NativeError, match="an array that the call needs is missing"):
        step()
    assert not y.any()


def test_negative_views_are_numbers_too() -> None:
    x, weights = torch.randn(1, I), _weights(CELLS[0])
    stepper = Stepper(CELLS[0], weights, L)
    with pytest.raises(InputError, match=r"a negative view: give x\.resolve_neg\(\)"):
        stepper(torch._neg_view(x))
    with pytest.raises(InputError, match=r"a negative view: give c\.resolve_neg\(\)"):
        stepper(x, (stepper.start()[0], torch._neg_view(stepper.start()[1])))
    negated = Stepper(CELLS[0], [torch._neg_view(-weight) for weight in weights], L)
    assert torch.equal(negated(x)[0], stepper(x)[0])


@pytest.fixture
def rare_switches() -> Iterator[None]:
    """A thread gives the lock of the interpreter away by itself only after a minute."""
    kept = sys.getswitchinterval()
    sys.setswitchinterval(60.0)
    yield
    sys.setswitchinterval(kept)


@pytest.mark.usefixtures("rare_switches")
@pytest.mark.parametrize(("hidden", "gives_way"), [(64, False), (512, True)])
def test_only_long_steps_give_the_lock_of_the_interpreter_away(hidden: int, *, gives_way: bool) -> None:
    cell = CELLS[0]
    weights = [torch.zeros(shape) for shape in cell.shapes(8, hidden, 0).values()]
    stepper = Stepper(cell, weights)
    stepper.bind(torch.zeros(1, 8), torch.zeros(1, hidden), stepper.start())
    start, ran = Event(), Event()
    other = Thread(target=lambda: start.wait() and ran.set())
    other.start()
    start.set()
    for _ in range(20_000):
        stepper.step()
        if ran.is_set():
            break
    assert ran.is_set() == gives_way
    other.join()
