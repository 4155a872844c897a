"""Rows of single steps that carry their state: the stepper, bound and checked, beside torch's cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from longspan import cells
from longspan.bench.case import OURS, Case, Side, Tensors, UnavailableError, relative_error
from longspan.bench.catalogue import Sizes
from longspan.core.errors import InputError
from longspan.kernels.native_library import NativeError, library
from longspan.kernels.native_stepper import Stepper

__all__ = ["bf16", "bound", "checked"]

_STEPS = 8  # that the gate takes
_HALF = 2.0  # times the error of eager torch in the same half precision
State = tuple[Tensor, Tensor]
Step = Callable[[Tensor, State], tuple[Tensor, State]]


def _problem(sizes: Sizes) -> tuple[nn.LSTMCell, Tensor]:
    """A cell, and x (steps of the gate, 1, I)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.LSTMCell(sizes.I, sizes.H), torch.randn(_STEPS, 1, sizes.I)


def _stepper(cell: nn.LSTMCell) -> Stepper:
    try:
        library()
    except NativeError as error:
        raise UnavailableError(str(error)) from error
    return Stepper(cells.build("lstm"), list(cell.parameters()))


def _walk(step: Step, xs: Tensor, state: State) -> dict[str, Tensor]:
    """Outputs of all steps and the state after them."""
    ys = []
    with torch.no_grad():
        for x in xs.unbind():
            y, state = step(x, state)
            ys.append(y.clone())
    return {"y": torch.stack(ys), "h": state[0].reshape(1, -1), "c": state[1].reshape(1, -1)}


def _zeros(sizes: Sizes, *shape: int, dtype: torch.dtype = torch.float32) -> State:
    return torch.zeros(*shape, sizes.H, dtype=dtype), torch.zeros(*shape, sizes.H, dtype=dtype)


def _cell_step(cell: nn.LSTMCell) -> Step:
    def step(x: Tensor, state: State) -> tuple[Tensor, State]:
        h, c = cell(x, state)
        return h, (h, c)

    return step


def _layer_step(cell: nn.LSTMCell, sizes: Sizes) -> Step:
    layer = nn.LSTM(sizes.I, sizes.H)
    layer.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    layer.eval()

    def step(x: Tensor, state: State) -> tuple[Tensor, State]:
        y, state = layer(x.unsqueeze(0), state)
        return y[0], state

    return step


def _carried(step: Step, x: Tensor, state: State) -> Callable[[], object]:
    """A call that goes on from where the last one stopped."""
    held = [state]

    def run() -> None:
        held[0] = step(x, held[0])[1]

    return run


def _truth(cell: nn.LSTMCell, xs: Tensor, sizes: Sizes) -> Callable[[], Tensors]:
    wide = nn.LSTMCell(sizes.I, sizes.H, dtype=torch.float64)
    wide.load_state_dict(cell.state_dict())
    return cache(lambda: _walk(_cell_step(wide), xs.double(), _zeros(sizes, 1, dtype=torch.float64)))


def _torch_sides(cell: nn.LSTMCell, xs: Tensor, sizes: Sizes, truth: Callable[[], Tensors]) -> Sequence[Side]:
    steps = (
        ("torch.nn.LSTMCell", _cell_step(cell), _zeros(sizes, 1)),
        ("torch.nn.LSTM", _layer_step(cell, sizes), _zeros(sizes, 1, 1)),
    )
    return [_side(name, step, xs, state, truth) for name, step, state in steps]


def _side(name: str, step: Step, xs: Tensor, state: State, truth: Callable[[], Tensors], **more: Any) -> Side:
    def found() -> Tensors:
        return _walk(step, xs, state)

    return Side(name, _carried(step, xs[0], state), found, truth, **more)


def _bound_side(name: str, stepper: Stepper, xs: Tensor, truth: Callable[[], Tensors], **more: Any) -> Side:
    """The stepper bound to buffers of its own; a call is ``step()`` and nothing else."""
    state = stepper.start()
    x, y = (torch.zeros(1, size, dtype=state[0].dtype) for size in (stepper.input_size, stepper.output_size))
    stepper.bind(x, y, state)

    def found() -> Tensors:
        for part in state:
            part.zero_()

        def step(now: Tensor, _state: State) -> tuple[Tensor, State]:
            x.copy_(now)
            stepper.step()
            return y, (state[0], state[1])

        return _walk(step, xs, (state[0], state[1]))

    return Side(name, stepper.step, found, truth, **more)


def bound(sizes: Sizes) -> Case:
    """``Stepper.step()`` on bound buffers."""
    cell, xs = _problem(sizes)
    truth = _truth(cell, xs, sizes)
    ours = _bound_side("longspan", _stepper(cell), xs, truth, tolerance=OURS, backend="stepper")
    return Case(ours, tuple(_torch_sides(cell, xs, sizes, truth)), sizes.flops)


def checked(sizes: Sizes) -> Case:
    """The stepper called with tensors: checks, a new output and a new state at every step."""
    cell, xs = _problem(sizes)
    truth, stepper = _truth(cell, xs, sizes), _stepper(cell)

    def step(x: Tensor, state: State) -> tuple[Tensor, State]:
        y, (h, c) = stepper(x, state)
        return y, (h, c)

    h, c = stepper.start()
    ours = _side("longspan", step, xs, (h, c), truth, tolerance=OURS, backend="stepper")
    return Case(ours, tuple(_torch_sides(cell, xs, sizes, truth)), sizes.flops)


def bf16(sizes: Sizes) -> Case:
    """Weights in bfloat16, beside our own step in float32.

    The gate is the one of half precision: at most twice the error of eager torch in that type, against the
    float64 result of the unrounded weights. Both errors are in the case's facts.
    """
    cell, xs = _problem(sizes)
    truth, full = _truth(cell, xs, sizes), _stepper(cell)
    rounded = nn.LSTMCell(sizes.I, sizes.H, dtype=torch.bfloat16)
    rounded.load_state_dict(cell.state_dict())
    eager = _walk(_cell_step(rounded), xs.bfloat16(), _zeros(sizes, 1, dtype=torch.bfloat16))
    error = max(relative_error(eager[name], right) for name, right in truth().items())
    try:
        half = _stepper(rounded)
    except InputError as refusal:
        raise UnavailableError(str(refusal)) from refusal
    ours = _bound_side("longspan", half, xs, truth, tolerance=_HALF * error, backend="stepper")
    plain = _bound_side("float32 weights", full, xs, truth, tolerance=OURS, backend="stepper")
    off = max(relative_error(ours.found()[name], right) for name, right in truth().items())
    return Case(ours, (plain,), sizes.flops, facts={"error": off, "error of eager bfloat16": error})
