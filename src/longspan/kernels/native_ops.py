"""One layer in one direction on the native engine, as operators of torch: forward, backward, how they join.

Arguments that are not tensors travel as ``Side``, packed into lists of numbers, since an operator of torch
takes no records. Tensors of the operators: x (T, B, I); h (B, P), c (B, H) or empty; ``weights`` by their
names in ``native_library.WEIGHTS`` as ``present`` says; records (R, B, T, H); the tape holds what backward
reads.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from longspan.core.errors import InputError
from longspan.kernels import native_derivatives, native_vmap
from longspan.kernels.native_checks import checked_backward, checked_forward, one_device
from longspan.kernels.native_library import (
    TYPES,
    WEIGHTS,
    Gradients,
    Problem,
    Results,
    checked,
    library,
    running,
)

__all__ = ["Side", "run_side"]

_LSTM, _RNN, _GRU = 0, 1, 2
_COUPLED, _NO_FORGET, _LAYER_NORM, _PROJECTION, _RESET_BEFORE = 2, 4, 8, 16, 64


class Side(NamedTuple):
    """What is done, apart from the tensors.

    Attributes:
        cell: number of the cell.
        options: bits of the header.
        layer: number of the layer.
        direction: 0 forward, 1 backward.
        training: whether masks are drawn.
        keep: what is kept for the backward pass: nothing, all, or states.
        present: bits of the weights that there are.
        record: places of the records in the header, in the order in which they come.
        cell_clip: bound of the cell state, or 0.
        recurrent_dropout: its probability.
        zoneout_h: its rate for h.
        zoneout_c: its rate for c.
    """

    cell: int
    options: int
    layer: int
    direction: int
    training: bool
    keep: int
    present: int
    record: tuple[int, ...]
    cell_clip: float
    recurrent_dropout: float
    zoneout_h: float
    zoneout_c: float

    def numbers(self) -> list[int]:
        """The whole numbers, as ``from_numbers`` reads them."""
        return [*(int(value) for value in self[:7]), *self.record]

    def rates(self) -> list[float]:
        """The real numbers."""
        return list(self[8:])

    @classmethod
    def from_numbers(cls, numbers: Sequence[int], rates: Sequence[float]) -> Side:
        """Back from the lists."""
        cell, options, layer, direction, training, keep, present, *record = numbers
        return cls(cell, options, layer, direction, bool(training), keep, present, tuple(record), *rates)

    @property
    def states(self) -> int:
        """How many states the cell has."""
        return 2 if self.cell == _LSTM else 1


_TENSORS = (
    "Tensor x, Tensor h, Tensor c, Tensor[] weights, Tensor? lengths, Tensor? reset, Tensor? fresh_h, "
    "Tensor? fresh_c, Tensor? seed, Tensor? sample_ids, Tensor? first_step, int[] numbers, float[] rates"
)
_OPS = torch.library.Library("longspan", "FRAGMENT")  # type: ignore[no-untyped-call]
_DEFINITIONS = (
    f"native_side({_TENSORS}) -> (Tensor y, Tensor h, Tensor c, Tensor records, Tensor tape)",
    f"native_side_backward({_TENSORS}, Tensor tape, Tensor? d_y, Tensor? d_h, Tensor? d_c, "
    "Tensor? d_records, bool wants_x) "
    "-> (Tensor x, Tensor h, Tensor c, Tensor fresh_h, Tensor fresh_c, Tensor[] weights)",
)
for _definition in _DEFINITIONS:
    _OPS.define(_definition)  # type: ignore[no-untyped-call]


class _Inputs(NamedTuple):
    x: Tensor
    h: Tensor
    c: Tensor
    weights: list[Tensor]
    lengths: Tensor | None
    reset: Tensor | None
    fresh_h: Tensor | None
    fresh_c: Tensor | None
    seed: Tensor | None
    sample_ids: Tensor | None
    first_step: Tensor | None


def _pad(units: int) -> int:
    return (units + 15) // 16 * 16


def _tape_elements(inputs: _Inputs, side: Side) -> int:
    """Elements of the tape: ``tape_layout`` in native/layout.h, for sizes that may be symbols."""
    T, B = inputs.x.shape[0], inputs.x.shape[1]
    H, P = inputs.weights[1].shape[0] // _gates(side), inputs.h.shape[1]
    width, h_width, gates = _pad(H), _pad(P), _gates(side)
    chains = 4 if side.cell == _GRU and not side.options & _RESET_BEFORE else gates
    if not side.keep:
        return 0
    widths = chains * width + h_width
    if side.cell == _LSTM:
        widths += width
    if side.training and side.recurrent_dropout > 0.0:
        widths += h_width
    if side.options & _LAYER_NORM:
        widths += 2 * gates * width + 16
    if side.options & _PROJECTION:
        widths += width
    if side.training and (side.zoneout_h > 0.0 or side.zoneout_c > 0.0):
        widths += _pad((h_width + width + 31) // 32)
    return (T + 1) * B * widths


def _gates(side: Side) -> int:
    if side.cell == _LSTM:
        return 3 if side.options & (_COUPLED | _NO_FORGET) else 4
    return 3 if side.cell == _GRU else 1


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _dense(inputs: _Inputs) -> _Inputs:
    """Every tensor with the strides that the engine takes; autograd may hand over stride 0."""

    def dense(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.contiguous()
        return [part.contiguous() for part in value] if isinstance(value, list) else value

    x = inputs.x if inputs.x.numel() == 0 or inputs.x.stride(-1) == 1 else inputs.x.contiguous()
    # The reset mask has strides of its own in the engine, as x has.
    return _Inputs(
        **{name: dense(value) for name, value in inputs._asdict().items()} | {"x": x, "reset": inputs.reset}
    )


def _dense_or_none(gradient: Tensor | None) -> Tensor | None:
    return None if gradient is None else gradient.contiguous()


def _problem(inputs: _Inputs, side: Side) -> Problem:
    x, engine = inputs.x, running()
    found = Problem(
        cell=side.cell,
        options=side.options,
        type=TYPES[x.dtype],
        training=side.training,
        reverse=side.direction,
        keep=side.keep,
        threads=engine.threads,
        isa=engine.isa,
        steps=x.shape[0],
        batch=x.shape[1],
        inputs=x.shape[2],
        hidden=inputs.weights[1].shape[0] // _gates(side),
        width=inputs.h.shape[1],
        cell_clip=side.cell_clip,
        x=x.data_ptr(),
        x_time=x.stride(0),
        x_batch=x.stride(1),
        lengths=_pointer(inputs.lengths),
        layer=side.layer,
        direction=side.direction,
        recurrent_dropout=side.recurrent_dropout,
        sample_ids=_pointer(inputs.sample_ids),
    )
    found.state[0], found.zoneout[0] = inputs.h.data_ptr(), side.zoneout_h
    if side.states == 2:
        found.state[1], found.zoneout[1] = inputs.c.data_ptr(), side.zoneout_c
    for place, weight in zip(_places(side), inputs.weights, strict=True):
        found.weights[place] = weight.data_ptr()
    if inputs.reset is not None:
        found.reset = inputs.reset.data_ptr()
        found.reset_time, found.reset_batch = inputs.reset.stride(0), inputs.reset.stride(1)
    if inputs.fresh_h is not None:
        found.fresh[0], found.fresh[1] = inputs.fresh_h.data_ptr(), _pointer(inputs.fresh_c)
    if inputs.seed is not None:
        found.seed = int(inputs.seed)
    if inputs.first_step is not None:
        found.first_step = int(inputs.first_step)
    return found


def _places(side: Side) -> list[int]:
    return [place for place in range(len(WEIGHTS)) if side.present >> place & 1]


def _space(problem: Problem, like: Tensor, *, backward: bool, tape: Tensor | None) -> tuple[Tensor, Tensor]:
    """The tape and the work space of a call, entered in the problem."""
    tape_bytes, work_bytes = ctypes.c_int64(), ctypes.c_int64()
    checked(
        library().longspan_sizes(
            ctypes.byref(problem), int(backward), ctypes.byref(tape_bytes), ctypes.byref(work_bytes)
        )
    )
    size = like.element_size()
    own = like.new_empty(tape_bytes.value // size) if tape is None else tape
    work = like.new_empty(work_bytes.value // size)
    problem.tape, problem.tape_bytes = own.data_ptr(), own.numel() * size
    problem.work, problem.work_bytes = work.data_ptr(), work.numel() * size
    return own, work


def _results(inputs: _Inputs, side: Side) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Empty results: y (T, B, P), h, c, records (R, B, T, H)."""
    T, B, P = inputs.x.shape[0], inputs.x.shape[1], inputs.h.shape[1]
    H = inputs.weights[1].shape[0] // _gates(side)
    x = inputs.x
    c = x.new_empty((B, H) if side.states == 2 else (0,))
    return x.new_empty((T, B, P)), x.new_empty((B, P)), c, x.new_empty((len(side.record), B, T, H))


def _forward(*given: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    *tensors, numbers, rates = given
    side, inputs = Side.from_numbers(numbers, rates), _dense(_Inputs(*tensors))
    y, h, c, records = _results(inputs, side)
    problem = _problem(inputs, side)
    tape, work = _space(problem, inputs.x, backward=False, tape=None)
    out = Results(y=y.data_ptr(), y_time=y.stride(0), y_batch=y.stride(1))
    out.state[0] = h.data_ptr()
    if side.states == 2:
        out.state[1] = c.data_ptr()
    for number, place in enumerate(side.record):
        out.record[place] = records[number].data_ptr()
    checked(library().longspan_forward(ctypes.byref(problem), ctypes.byref(out)))
    del work
    return y, h, c, records, tape if side.keep else tape.new_empty(0)


def _forward_fake(*given: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    *tensors, numbers, rates = given
    side, inputs = Side.from_numbers(numbers, rates), _Inputs(*tensors)
    return (*_results(inputs, side), inputs.x.new_empty(_tape_elements(inputs, side)))


def _gradients(inputs: _Inputs, side: Side, wants_x: bool) -> tuple[Tensor, ...]:
    """Empty gradients: x, h, c, the share of each sequence in the fresh h and c."""

    def like(value: Tensor, wanted: bool) -> Tensor:
        return (
            torch.empty_like(value, memory_format=torch.contiguous_format) if wanted else value.new_empty(0)
        )

    resets, lstm = inputs.fresh_h is not None, side.states == 2
    return (
        like(inputs.x, wants_x), like(inputs.h, True), like(inputs.c, lstm),
        like(inputs.h, resets), like(inputs.c, resets and lstm),
    )  # fmt: skip


def _backward(*given: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, list[Tensor]]:
    *tensors, numbers, rates, tape, d_y, d_h, d_c, d_records, wants_x = given
    side, inputs = Side.from_numbers(numbers, rates), _dense(_Inputs(*tensors))
    found = _gradients(inputs, side, wants_x)
    weights = [torch.empty_like(weight) for weight in inputs.weights]
    problem = _problem(inputs, side)
    _, work = _space(problem, inputs.x, backward=True, tape=tape)
    d_y, d_h, d_c, d_records = (_dense_or_none(d) for d in (d_y, d_h, d_c, d_records))
    into = Gradients(y=_pointer(d_y))
    if wants_x:
        into.x, into.x_time, into.x_batch = found[0].data_ptr(), found[0].stride(0), found[0].stride(1)
    if d_y is not None:
        into.y_time, into.y_batch = d_y.stride(0), d_y.stride(1)
    into.state[0], into.state[1] = _pointer(d_h), _pointer(d_c) if side.states == 2 else None
    for place, part in zip(side.record, () if d_records is None else d_records, strict=d_records is not None):
        into.record[place] = part.data_ptr()
    resets = inputs.fresh_h is not None
    for which in range(side.states):
        into.initial[which] = found[1 + which].data_ptr()
        into.fresh[which] = found[3 + which].data_ptr() if resets else None
    for place, weight in zip(_places(side), weights, strict=True):
        into.weights[place] = weight.data_ptr()
    checked(library().longspan_backward(ctypes.byref(problem), ctypes.byref(into)))
    del work
    return (*found, weights)  # type: ignore[return-value]


def _backward_fake(*given: Any) -> tuple[Any, ...]:
    *tensors, numbers, rates, _tape, _d_y, _d_h, _d_c, _d_records, wants_x = given
    side, inputs = Side.from_numbers(numbers, rates), _Inputs(*tensors)
    return (*_gradients(inputs, side, wants_x), [torch.empty_like(weight) for weight in inputs.weights])


_OPS.impl("native_side", checked_forward(_forward, Side.from_numbers), "CPU")  # type: ignore[no-untyped-call]
_OPS.impl("native_side_backward", checked_backward(_backward, Side.from_numbers), "CPU")  # type: ignore[no-untyped-call]
torch.library.register_fake("longspan::native_side", one_device(_forward_fake), lib=_OPS)
torch.library.register_fake("longspan::native_side_backward", one_device(_backward_fake), lib=_OPS)
native_derivatives.register(_OPS, Side.from_numbers)
native_vmap.register(_OPS)


def run_side(inputs: Sequence[Any], side: Side) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """y (T, B, P), h (B, P), c (B, H) or empty, records (R, B, T, H); ``inputs`` as the operator orders them.

    Raises:
        InputError: masks are to be drawn and there is no seed.
        NativeError: the engine is missing or refused the call.
    """
    draws = side.training and (side.recurrent_dropout > 0 or side.zoneout_h > 0 or side.zoneout_c > 0)
    if draws and inputs[8] is None:
        raise InputError(
            "random masks: expected a seed, got None; call kernels through dispatch.run, which draws one"
        )
    y, h, c, records, _ = torch.ops.longspan.native_side(*inputs, side.numbers(), side.rates())
    return y, h, c, records
