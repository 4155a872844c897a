"""One step at a time on the native engine: packed weights and work space held, nothing allocated in it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from longspan.cells.base import Cell
from longspan.core.checks import probability
from longspan.core.errors import InputError
from longspan.kernels.native_cells import engine_code, engine_options
from longspan.kernels.native_library import (
    MOST_THREADS,
    PACKED,
    TYPES,
    WEIGHTS,
    Problem,
    Results,
    checked,
    held_library,
    library,
    running,
)

__all__ = ["Stepper"]

_BFLOAT16 = 1  # of the engine's weights_type
_SHORT = 1 << 19  # products of a step, some 10 to 20 µs: so long it keeps the lock of the interpreter


class Stepper:
    """Streams a batch of sequences through a stack of forward layers, a step at a time, in evaluation.

    The weights are packed once, here: later changes of theirs are not seen. The results have the bits of the
    whole sequence run by the native kernel. Not to be used from two threads at once. A step of some
    microseconds keeps the lock of the interpreter: to give it to a thread that computes in Python would cost
    milliseconds.

    Matrices given in bfloat16 are kept so, in half the memory, which from H of about 256 is what a step waits
    for; x, y, the state and all sums stay float32. The results are, to the bit, those of a float32 stepper
    with the same rounded weights. Against the unrounded ones in float64 an LSTM of 64 to 1024 units, with
    the weights that torch starts from, was 0.16 to 0.21 % off (RMS of the difference over RMS), a third of
    the error of torch computing in bfloat16.

    Args:
        cell: the record to run.
        weights: for each layer all weights of the cell in its order, as kernels get them: float32, float64,
            or every matrix bfloat16 and each vector bfloat16 or float32.
        num_layers: L.
        batch: B, how many streams go side by side.
        zoneout: rate for each state, or nothing.
        threads: at most this many, as many as torch has if None; small layers and batches take fewer.

    Attributes:
        step: one step on what is bound; raises ``InputError`` where nothing is. ``bind`` and a call of the
            stepper put another function here: read it anew after either. The function of before the call
            raises ``NativeError``.

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
        threads: int | None = None,
    ) -> None:
        threads = running().threads if threads is None else threads
        _check_sizes(cell, weights, num_layers, batch, threads)
        zoneout = _rates(cell, zoneout)
        count, kept = len(cell.weights), weights[0].dtype
        self.cell, self.batch, self.weights_dtype = cell, batch, kept
        self.dtype = torch.float32 if kept == torch.bfloat16 else kept
        hidden = weights[0].shape[0] // len(cell.gates)
        named = dict(zip(cell.weight_names, weights, strict=False))
        self.input_size, self.output_size = weights[0].shape[1], named["weight_hh"].shape[1]
        self.state_shapes = tuple(
            (num_layers, batch, self.output_size if name == "h" else hidden) for name in cell.states
        )
        self._between = [
            torch.zeros(batch, self.output_size, dtype=self.dtype, device="cpu")
            for _ in range(num_layers - 1)
        ]
        self._held, self._unpacked = list[Tensor](), list[Tensor]()
        # All memory whose address a step knows: its own, and what is bound.
        self._alive: dict[str, Any] = {"own": (self._held, self._between), "bound": ()}
        self._problems, self._results = (Problem * num_layers)(), (Results * num_layers)()
        for layer in range(num_layers):
            part = weights[layer * count : (layer + 1) * count]
            self._problems[layer] = self._problem(part, hidden, layer, zoneout, threads)
            self._results[layer].y_batch = self.output_size
        self._x_shape, self._y_shape = (batch, self.input_size), (batch, self.output_size)
        # A copy of a shape is made in two thirds of the time of a tensor of a given shape.
        self._like = [
            torch.empty(shape, dtype=self.dtype, device="cpu")
            for shape in (self._y_shape, *self.state_shapes)
        ]
        self._strides = [shape[1] * shape[2] * self.dtype.itemsize for shape in self.state_shapes]
        self._sides = [
            (problem, result, problem.state, result.state)
            for problem, result in zip(self._problems, self._results, strict=True)
        ]
        self._run = self._job(weights, batch)
        self.step: Callable[[], None] = self._nothing_bound
        self._pack()

    def _problem(
        self, weights: Sequence[Tensor], hidden: int, layer: int, zoneout: tuple[float, ...], threads: int
    ) -> Problem:
        inputs = self.input_size if layer == 0 else self.output_size
        shapes = self.cell.shapes(inputs, hidden, self.output_size if self.cell.projected else 0)
        made = Problem(
            cell=engine_code(self.cell),
            options=engine_options(self.cell),
            type=TYPES[self.dtype],
            weights_type=_BFLOAT16 if self.weights_dtype == torch.bfloat16 else 0,
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
            types = self._types_of(shapes[name])
            if tuple(weight.shape) != shapes[name] or weight.dtype not in types or not weight.is_cpu:
                wanted = " or ".join(map(str, types))
                raise InputError(
                    f"Stepper: expected {name} of layer {layer} of shape {shapes[name]} and {wanted} on the "
                    f"CPU, got {tuple(weight.shape)} and {weight.dtype} on {weight.device}"
                )
            given = weight.detach().to(self.dtype).resolve_neg().contiguous()  # to float32 exactly
            made.weights[WEIGHTS.index(name)] = given.data_ptr()
            self._unpacked.append(given)
        for which, rate in enumerate(zoneout):
            made.zoneout[which] = rate
        self._held += self._space(made)
        return made

    def _types_of(self, shape: tuple[int, ...]) -> tuple[torch.dtype, ...]:
        """What a weight may be given as: vectors need not be rounded where matrices are."""
        if self.weights_dtype == torch.bfloat16 and len(shape) == 1:
            return torch.bfloat16, torch.float32
        return (self.weights_dtype,)

    def _space(self, problem: Problem) -> tuple[Tensor, Tensor]:
        tape, work = ctypes.c_int64(), ctypes.c_int64()
        checked(library().longspan_sizes(ctypes.byref(problem), 0, ctypes.byref(tape), ctypes.byref(work)))
        own = (
            torch.zeros(tape.value, dtype=torch.uint8, device="cpu"),
            torch.zeros(work.value, dtype=torch.uint8, device="cpu"),
        )
        problem.tape, problem.tape_bytes = own[0].data_ptr(), tape.value
        problem.work, problem.work_bytes = own[1].data_ptr(), work.value
        return own

    def _job(self, weights: Sequence[Tensor], batch: int) -> Callable[[], None]:
        """All layers of a step in one call; a function of its own, for what it gives is looked at at once."""
        products = batch * sum(weight.numel() for weight in weights if weight.dim() == 2)
        loaded = held_library() if products <= _SHORT else library()
        function = loaded["longspan_forward_layers"]
        function.restype = checked
        run = partial(
            function,
            ctypes.byref(self._problems),
            ctypes.byref(self._results),
            ctypes.c_int32(len(self._problems)),
        )
        run.__dict__["alive"] = self._alive  # a step may outlive its stepper
        return run

    def _pack(self) -> None:
        """Run a step on zeros, which packs the weights, and keep them."""
        x = torch.zeros(self.batch, self.input_size, dtype=self.dtype, device="cpu")
        y = torch.zeros(self.batch, self.output_size, dtype=self.dtype, device="cpu")
        self.bind(x, y, self.start())
        self.step()
        for problem in self._problems:
            problem.packed = PACKED
            for place, address in enumerate(problem.weights):
                problem.weights[place] = problem.work if address else None  # read no more
        self._unpacked.clear()
        self.step = self._nothing_bound

    def start(self) -> tuple[Tensor, ...]:
        """A state of zeros: for each state of the cell (L, B, width)."""
        return tuple(torch.zeros(shape, dtype=self.dtype, device="cpu") for shape in self.state_shapes)

    def bind(self, x: Tensor, y: Tensor, state: tuple[Tensor, ...]) -> None:
        """Make ``step()`` read ``x`` (B, I), write ``y`` (B, P), and carry ``state`` on in place.

        Their memory is held; what is written into it later is what the next step sees. It must stay where it
        is: ``resize_`` to more is refused by torch while it is bound, ``share_memory_`` is to come before.
        A tensor that is given other memory (``x.data = ...``) is bound no longer, its old memory is.

        Raises:
            InputError: a shape or type that does not fit, or a tensor that is not dense.
        """
        self._check_all(x, y, state)
        self._enter(x, y, state, state)
        # As an array of numpy it cannot be resized.
        self._alive["bound"] = tuple(part.detach().numpy() for part in (x, y, *state))
        self.step = self._run

    def _enter(self, x: Tensor, y: Tensor, state: Sequence[Tensor], new: Sequence[Tensor]) -> None:
        """Addresses of one step: reads x and the state, writes y and the new state."""
        start, sides = x.data_ptr(), self._sides
        end = y.data_ptr()
        for layer, (problem, result, old_state, new_state) in enumerate(sides):
            problem.x = start if layer == 0 else self._between[layer - 1].data_ptr()
            result.y = end if layer + 1 == len(sides) else self._between[layer].data_ptr()
            for which, stride in enumerate(self._strides):
                old_state[which] = state[which].data_ptr() + layer * stride
                new_state[which] = new[which].data_ptr() + layer * stride

    def _check_all(self, x: Tensor, y: Tensor | None, state: Sequence[Tensor]) -> None:
        """Say in words what does not fit; ``y`` only where it is given."""
        self._check("x", x, self._x_shape)
        if y is not None:
            self._check("y", y, self._y_shape)
        for number, (name, shape) in enumerate(zip(self.cell.states, self.state_shapes, strict=True)):
            self._check(name, state[number] if number < len(state) else None, shape)
        if len(state) > len(self.state_shapes):
            raise InputError(
                f"Stepper: expected the states {self.cell.states}, got {len(state)} tensors for them"
            )

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
        if value.is_neg():
            raise InputError(
                f"Stepper: expected {name} as it is, got a negative view: give {name}.resolve_neg()"
            )

    def _nothing_bound(self) -> None:
        raise InputError("Stepper: nothing is bound: call bind(x, y, state) before step()")

    def __call__(
        self, x: Tensor, state: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One step on ``x`` (B, I) from ``state`` (None: zeros), left as it is: y (B, P), the new state."""
        old = self.start() if state is None else state
        if not self._fits(x, old):
            self._check_all(x, None, old)
        y, *new = [torch.empty_like(each) for each in self._like]
        self._enter(x, y, old, new)
        self.step = self._nothing_bound  # what was bound is no longer
        self._run()
        self._sides[0][0].x = None  # for who kept the step: these tensors are not held, the engine refuses
        return y, tuple(new)

    def _fits(self, x: Tensor, state: Sequence[Tensor]) -> bool:
        """Whether all is as it should be, without words and quickly."""
        dtype = self.dtype
        if len(state) != len(self.state_shapes) or x.shape != self._x_shape or x.dtype is not dtype:
            return False
        for part, shape in zip(state, self.state_shapes):  # noqa: B905 (its check takes time here)
            if part.shape != shape or part.dtype is not dtype or not (part.is_cpu and part.is_contiguous()):
                return False
            if part.is_neg():
                return False
        return x.is_cpu and x.is_contiguous() and not x.is_neg()


def _check_sizes(cell: Cell, weights: Sequence[Tensor], num_layers: int, batch: int, threads: int) -> None:
    """Numbers of weights, layers, streams and threads; the type that the weights are kept in."""
    count = len(cell.weights)
    if len(weights) != num_layers * count:
        raise InputError(
            f"Stepper: expected {num_layers * count} weights, {count} for each of {num_layers} layers, "
            f"got {len(weights)}"
        )
    if min(num_layers, batch, threads) < 1:
        raise InputError(
            "Stepper: expected num_layers, batch and threads of at least 1, got "
            f"{num_layers}, {batch} and {threads}"
        )
    if threads > MOST_THREADS:
        raise InputError(f"Stepper: expected at most {MOST_THREADS} threads, got {threads}")
    if weights[0].dtype not in (*TYPES, torch.bfloat16):
        raise InputError(f"Stepper: expected weights of float32, float64 or bfloat16, got {weights[0].dtype}")


def _rates(cell: Cell, zoneout: Sequence[float]) -> tuple[float, ...]:
    """One rate for each state, or none."""
    if len(zoneout) not in (0, len(cell.states)):
        raise InputError(
            f"Stepper: expected zoneout for each of the states {cell.states}, or none, got {tuple(zoneout)}"
        )
    return tuple(probability(rate, "zoneout", "Stepper") for rate in zoneout)
