"""One step at a time on the native engine: packed weights and work space held, nothing allocated in it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from longspan.cells.base import Cell
from longspan.core.errors import InputError
from longspan.kernels.native_cells import engine_code, engine_options
from longspan.kernels.native_library import WEIGHTS, Problem, Results, checked, library

__all__ = ["Stepper"]

_TYPES = {torch.float32: 0, torch.float64: 1}


class Stepper:
    """Streams a batch of sequences through a stack of forward layers, a step at a time, in evaluation.

    The weights are packed once, here: later changes of theirs are not seen. The results have the bits of the
    whole sequence run by the native kernel. Not to be used from two threads at once.

    Args:
        cell: the record to run.
        weights: for each layer all weights of the cell in its order, as kernels get them.
        num_layers: L.
        batch: B, how many streams go side by side.
        zoneout: rate for each state, or nothing.
        threads: at most this many; one is fastest for small layers and batches.

    Raises:
        InputError: a cell, type or shape that the engine does not have.
        NativeError: there is no engine.
    """

    def __init__(
        self,
        cell: Cell,
        weights: Sequence[Tensor],
        num_layers: int = 1,
        *,
        batch: int = 1,
        zoneout: Sequence[float] = (),
        threads: int = 1,
    ) -> None:
        self._call = library().longspan_forward
        count = len(cell.weights)
        if len(weights) != num_layers * count:
            raise InputError(
                f"Stepper: expected {num_layers * count} weights, {count} for each of {num_layers} layers, "
                f"got {len(weights)}"
            )
        if batch < 1 or threads < 1:
            raise InputError(f"Stepper: expected batch and threads of at least 1, got {batch} and {threads}")
        if len(zoneout) not in (0, len(cell.states)):
            raise InputError(
                f"Stepper: expected zoneout for each of the states {cell.states}, or none, "
                f"got {tuple(zoneout)}"
            )
        self.cell, self.batch, self.dtype = cell, batch, weights[0].dtype
        if self.dtype not in _TYPES:
            raise InputError(f"Stepper: expected weights of float32 or float64, got {self.dtype}")
        hidden = weights[0].shape[0] // len(cell.gates)
        named = dict(zip(cell.weight_names, weights, strict=False))
        self.input_size, self.output_size = weights[0].shape[1], named["weight_hh"].shape[1]
        self.state_shapes = tuple(
            (num_layers, batch, self.output_size if name == "h" else hidden) for name in cell.states
        )
        self._between = [
            torch.zeros(batch, self.output_size, dtype=self.dtype) for _ in range(num_layers - 1)
        ]
        self._problems: list[Problem] = []
        self._results = [Results() for _ in range(num_layers)]
        self._held: list[Tensor] = []
        for layer in range(num_layers):
            part = [weight.detach().contiguous() for weight in weights[layer * count : (layer + 1) * count]]
            self._problems.append(self._problem(part, hidden, layer, tuple(zoneout), threads))
        self._jobs: list[tuple[object, object]] = []
        self._pack()

    def _problem(
        self, weights: list[Tensor], hidden: int, layer: int, zoneout: tuple[float, ...], threads: int
    ) -> Problem:
        inputs = self.input_size if layer == 0 else self.output_size
        shapes = self.cell.shapes(inputs, hidden, self.output_size if self.cell.projected else 0)
        made = Problem(
            cell=engine_code(self.cell),
            options=engine_options(self.cell),
            type=_TYPES[self.dtype],
            threads=threads,
            steps=1,
            batch=self.batch,
            inputs=inputs,
            hidden=hidden,
            width=self.output_size,
            x_batch=inputs,
            cell_clip=float(dict(self.cell.options).get("cell_clip") or 0.0),  # type: ignore[arg-type]
            layer=layer,
        )
        for name, weight in zip(self.cell.weight_names, weights, strict=True):
            if tuple(weight.shape) != shapes[name] or weight.dtype != self.dtype:
                raise InputError(
                    f"Stepper: expected {name} of layer {layer} of shape {shapes[name]} and {self.dtype}, "
                    f"got {tuple(weight.shape)} and {weight.dtype}"
                )
            made.weights[WEIGHTS.index(name)] = weight.data_ptr()
        for which, rate in enumerate(zoneout):
            made.zoneout[which] = rate
        self._held += [*weights, *self._space(made)]
        return made

    def _space(self, problem: Problem) -> tuple[Tensor, Tensor]:
        tape, work = ctypes.c_int64(), ctypes.c_int64()
        checked(library().longspan_sizes(ctypes.byref(problem), 0, ctypes.byref(tape), ctypes.byref(work)))
        own = torch.zeros(tape.value, dtype=torch.uint8), torch.zeros(work.value, dtype=torch.uint8)
        problem.tape, problem.tape_bytes = own[0].data_ptr(), tape.value
        problem.work, problem.work_bytes = own[1].data_ptr(), work.value
        return own

    def _pack(self) -> None:
        """Run a step on zeros, which packs the weights, and keep them."""
        x = torch.zeros(self.batch, self.input_size, dtype=self.dtype)
        y = torch.zeros(self.batch, self.output_size, dtype=self.dtype)
        self.bind(x, y, self.start())
        self.step()
        for problem in self._problems:
            problem.packed = 1
        self._jobs = []

    def start(self) -> tuple[Tensor, ...]:
        """A state of zeros: for each state of the cell (L, B, width)."""
        return tuple(torch.zeros(shape, dtype=self.dtype) for shape in self.state_shapes)

    def bind(self, x: Tensor, y: Tensor, state: tuple[Tensor, ...]) -> None:
        """Make ``step()`` read ``x`` (B, I), write ``y`` (B, P), and carry ``state`` on in place.

        The tensors are held; what is written into them later is what the next step sees.

        Raises:
            InputError: a shape or type that does not fit, or a tensor that is not dense.
        """
        wanted = {
            "x": (self.batch, self.input_size),
            "y": (self.batch, self.output_size),
            **dict(zip(self.cell.states, self.state_shapes, strict=True)),
        }
        given = dict(zip(wanted, (x, y, *state), strict=False))
        for name, shape in wanted.items():
            self._check(name, given.get(name), shape)
        rows = [x, *self._between, y]
        for layer, (problem, result) in enumerate(zip(self._problems, self._results, strict=True)):
            problem.x, result.y = rows[layer].data_ptr(), rows[layer + 1].data_ptr()
            result.y_batch = self.output_size
            for which, part in enumerate(state):
                problem.state[which] = result.state[which] = part[layer].data_ptr()
        self._bound = (x, y, *state)
        self._jobs = [
            (ctypes.byref(problem), ctypes.byref(result))
            for problem, result in zip(self._problems, self._results, strict=True)
        ]

    def _check(self, name: str, value: Tensor | None, shape: tuple[int, ...]) -> None:
        if value is None:
            raise InputError(f"Stepper: expected a tensor for {name}, got none")
        if tuple(value.shape) != shape or value.dtype != self.dtype or value.device.type != "cpu":
            raise InputError(
                f"Stepper: expected {name} of shape {shape} and {self.dtype} on the CPU, got "
                f"{tuple(value.shape)} and {value.dtype} on {value.device}"
            )
        if not value.is_contiguous():
            raise InputError(f"Stepper: expected {name} to be dense, got strides {value.stride()}")

    def step(self) -> None:
        """One step on what is bound.

        Raises:
            InputError: nothing is bound.
        """
        if not self._jobs:
            raise InputError("Stepper: nothing is bound: call bind(x, y, state) before step()")
        for problem, result in self._jobs:
            status = self._call(problem, result)
            if status:
                checked(status)

    def __call__(
        self, x: Tensor, state: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One step on ``x`` (B, I) from ``state`` (None: zeros), left as it is: y (B, P), the new state."""
        new = self.start() if state is None else tuple(part.clone() for part in state)
        y = torch.empty(self.batch, self.output_size, dtype=self.dtype)
        self.bind(x, y, new)
        self.step()
        self._jobs = []
        return y, new
