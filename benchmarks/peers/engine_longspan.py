"""Our side of ``engine.py``: ``longspan.nn.LSTM`` and the stepper, with checks and allocation in."""

from __future__ import annotations

import contextlib
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from engine_side import WEIGHTS, Array, Problem, Ready, serve, threads
from torch import Tensor

from longspan import cells
from longspan.bench.calls import Call
from longspan.kernels.native_stepper import Stepper
from longspan.nn import LSTM, using

BACKEND = sys.argv[1] if len(sys.argv) > 1 else None


def make(problem: Problem) -> Ready:
    """The problem on our layers."""
    weights = {name: torch.from_numpy(problem.weights[name]) for name in WEIGHTS}
    x = torch.from_numpy(problem.x)
    return _step(problem, weights, x) if problem.streams else _sequence(problem, weights, x)


def _sequence(problem: Problem, weights: dict[str, Tensor], x: Tensor) -> Ready:
    layer = LSTM(x.shape[2], problem.hidden).train(problem.dy is not None)
    layer.load_state_dict({f"{name}_l0": value for name, value in weights.items()})
    dy = None if problem.dy is None else torch.from_numpy(problem.dy)
    torch.set_grad_enabled(dy is not None)
    call = Call(layer, layer, x, dy)
    return Ready(call.timed(), lambda: {name: part.detach().numpy() for name, part in call.found().items()})


def _step(problem: Problem, weights: dict[str, Tensor], x: Tensor) -> Ready:
    torch.set_grad_enabled(False)
    stepper = Stepper(cells.build("lstm"), [weights[name] for name in WEIGHTS])
    if problem.kind == "checked":
        first, held = x[0], [stepper.start()]

        def run() -> None:
            held[0] = stepper(first, held[0])[1]

        return Ready(run, lambda: _walk(x, lambda now, state: stepper(now, state)[1], stepper.start()))
    now, y, state = torch.zeros_like(x[0]), torch.zeros(1, problem.hidden), stepper.start()
    stepper.bind(now, y, state)

    def bound(given: Tensor, _state: Any) -> Any:
        now.copy_(given)
        stepper.step()
        return state

    def found() -> dict[str, Array]:
        for part in state:
            part.zero_()
        return _walk(x, bound, state)

    return Ready(stepper.step, found)


def _walk(x: Tensor, step: Any, state: Any) -> dict[str, Array]:
    """h after every step, and the last state."""
    ys = []
    for now in x.unbind():
        state = step(now, state)
        ys.append(state[0].reshape(1, -1).numpy().copy())
    h, c = (part.reshape(1, -1).numpy() for part in state)
    return {"y": np.stack(ys), "h": h, "c": c}


if __name__ == "__main__":
    torch.set_num_threads(threads())
    with using(BACKEND) if BACKEND else contextlib.nullcontext():
        serve(
            make,
            {
                "side": "longspan",
                "backend": BACKEND,
                "versions": {n: version(n) for n in ("longspan", "torch")},
            },
        )
