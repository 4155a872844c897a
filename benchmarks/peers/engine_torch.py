"""torch's side of ``engine.py``: ``nn.LSTM`` for sequences, ``LSTMCell`` for steps; or a loop over cells."""

from __future__ import annotations

import sys
from typing import Any

import torch
from engine_side import WEIGHTS, Absent, Array, Problem, Ready, serve, threads
from torch import Tensor, nn

LOOP = sys.argv[1:] == ["loop"]


class Loop(nn.Module):
    """A sequence by a loop over ``LSTMCell``."""

    def __init__(self, cell: nn.LSTMCell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(T, B, I) to (T, B, H) and the last state."""
        state: Any = None
        ys = []
        for now in x.unbind():
            state = self.cell(now, state)
            ys.append(state[0])
        return torch.stack(ys), (state[0].unsqueeze(0), state[1].unsqueeze(0))


def make(problem: Problem) -> Ready:
    """The problem on torch's layers."""
    if problem.streams and LOOP:
        raise Absent("a loop of cells is for sequences")
    x, hidden = torch.from_numpy(problem.x), problem.hidden
    weights = {name: torch.from_numpy(problem.weights[name]) for name in WEIGHTS}
    torch.set_grad_enabled(problem.dy is not None)
    cell = nn.LSTMCell(x.shape[2], hidden)
    cell.load_state_dict(weights)
    if problem.streams:
        return _step(cell, x)
    layer: nn.Module = Loop(cell)
    if not LOOP:
        layer = nn.LSTM(x.shape[2], hidden)
        layer.load_state_dict({f"{name}_l0": value for name, value in weights.items()})
    layer.train(problem.dy is not None)
    return _inference(layer, x) if problem.dy is None else _training(layer, x, torch.from_numpy(problem.dy))


def _step(cell: nn.LSTMCell, x: Tensor) -> Ready:
    first: Tensor = x[0]
    held = [cell(first)]

    def run() -> None:
        held[0] = cell(first, held[0])

    def found() -> dict[str, Array]:
        y, (h, c) = Loop(cell)(x)
        return {"y": y.numpy(), "h": h[0].numpy(), "c": c[0].numpy()}

    return Ready(run, found)


def _inference(layer: nn.Module, x: Tensor) -> Ready:
    def found() -> dict[str, Array]:
        y, (h, c) = layer(x)
        return {"y": y.numpy(), "h": h.numpy(), "c": c.numpy()}

    return Ready(lambda: layer(x), found)


def _training(layer: nn.Module, given: Tensor, dy: Tensor) -> Ready:
    x = given.requires_grad_()
    named = {"x": x} | {
        f"{name.removeprefix('cell.').removesuffix('_l0')}_l0": value
        for name, value in layer.named_parameters()
    }
    wanted = list(named.values())

    def found() -> dict[str, Array]:
        y, (h, c) = layer(x)
        slopes = torch.autograd.grad(y, wanted, dy)
        return {"y": y.detach().numpy(), "h": h.detach().numpy(), "c": c.detach().numpy()} | {
            f"gradient of {name}": part.numpy() for name, part in zip(named, slopes, strict=True)
        }

    return Ready(lambda: torch.autograd.grad(layer(x)[0], wanted, dy), found)


if __name__ == "__main__":
    torch.set_num_threads(threads())
    serve(make, {"side": "cell-loop" if LOOP else "torch", "versions": {"torch": torch.__version__}})
