"""The recurrent layer for any cell of the register: parameters, depth, direction, lengths, explicit state."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from longspan.cells.base import Cell
from longspan.core.checks import boolean, probability, whole
from longspan.core.errors import InputError
from longspan.kernels import dispatch
from longspan.kernels.plan import Arguments, Plan, Result
from longspan.nn import cudnn, inputs, parameters

__all__ = ["Recurrent"]


class Recurrent(nn.Module):
    """A stack of layers of one cell.

    Args:
        cell: the record to run, from ``longspan.cells.build``.
        input_size: I, features of the input.
        hidden_size: H, hidden units of each layer and direction.
        num_layers: L; every layer but the first reads the output of the one before it.
        batch_first: input and output are (B, T, ·) instead of (T, B, ·); the state is (L·D, B, ·) either way.
        dropout: probability that an element between two layers is dropped in training.
        bidirectional: run each layer in both directions; D = 2 outputs side by side.
        proj_size: P, the width of h, for a cell built with ``projection=True``; otherwise 0.
        recurrent_dropout: probability that an element of h is dropped, in training, on its way into the
            recurrent
            product: one mask for a whole sequence (Gal & Ghahramani 2016).
        zoneout: probability that a unit keeps its old state in a step; one number for all states, or one for
            each state in order, (h, c) for an LSTM. In evaluation the expectation (Krueger et al. 2017).
        recompute: keep the states at a few steps only for the backward pass, which makes the rest again: the
            memory of training falls to that of the output, the same bits come out, and it takes about a third
            longer. For the native engine; other kernels keep everything.
        learn_initial_state: hold the state before the first step as parameters ``initial_h`` … (L·D, width),
            which start at zero. They stand wherever zeros would: for a missing ``hx`` and after a reset.
        device: where to make the parameters.
        dtype: their floating type.

    Raises:
        InputError: a value out of range.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        recurrent_dropout: float = 0.0,
        zoneout: float | Sequence[float] = 0.0,
        recompute: bool = False,
        learn_initial_state: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        where = type(self).__name__
        self.cell = cell
        self.input_size = whole(input_size, "input_size", where, minimum=1)
        self.hidden_size = whole(hidden_size, "hidden_size", where, minimum=1)
        self.num_layers = whole(num_layers, "num_layers", where, minimum=1)
        self.batch_first = boolean(batch_first, "batch_first", where)
        self.dropout = probability(dropout, "dropout", where)
        self.bidirectional = boolean(bidirectional, "bidirectional", where)
        self.proj_size = whole(proj_size, "proj_size", where)
        self.recurrent_dropout = probability(recurrent_dropout, "recurrent_dropout", where)
        self.zoneout = _zoneout_rates(zoneout, cell, where)
        self.recompute = boolean(recompute, "recompute", where)
        self.learn_initial_state = boolean(learn_initial_state, "learn_initial_state", where)
        if self.proj_size >= self.hidden_size:
            raise InputError(
                f"{where}: expected proj_size below hidden_size ({hidden_size}), got {proj_size}"
            )
        if cell.projected != bool(self.proj_size):
            raise InputError(
                f"{where}: proj_size is {proj_size}, but {cell!r} has projection={cell.projected}: "
                "build the cell with projection=True and give proj_size above 0, or neither"
            )
        if self.dropout > 0 and self.num_layers == 1:
            warnings.warn(
                f"{where}: dropout={dropout} acts between layers only, and num_layers is 1: nothing is "
                "dropped. Use more layers, recurrent_dropout, or dropout=0",
                stacklevel=2 if type(self) is Recurrent else 3,
            )
        self._sides = self.num_layers * self.num_directions  # L·D
        self._widths = tuple(cell.state_width(name, self.hidden_size, self.proj_size) for name in cell.states)
        self._make_parameters(device, dtype)
        self.reset_parameters()
        self.flatten_parameters()

    def _make_parameters(self, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        slots = list(self._slots())
        self._names = tuple(slot.name for slot in slots)
        for slot in slots:
            self.register_parameter(
                slot.name, nn.Parameter(torch.empty(slot.shape, device=device, dtype=dtype))
            )
        if self.learn_initial_state:
            for state, shape in zip(self.cell.states, self._state_shapes(), strict=True):
                value = torch.zeros(shape, device=device, dtype=dtype)
                self.register_parameter(f"initial_{state}", nn.Parameter(value))

    def _slots(self) -> Iterator[parameters.Slot]:
        return parameters.slots(
            self.cell, self.input_size, self.hidden_size, self.proj_size, self.num_layers, self.num_directions
        )

    def reset_parameters(self) -> None:
        """Draw all weights anew, from torch's generator; the initial state becomes zero."""
        parameters.start([(slot, getattr(self, slot.name)) for slot in self._slots()], self.hidden_size)
        if self.learn_initial_state:
            with torch.no_grad():
                for state in self.cell.states:
                    getattr(self, f"initial_{state}").zero_()

    @property
    def num_directions(self) -> int:
        """D: 2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Features of the output: D·P."""
        return self.num_directions * (self.proj_size or self.hidden_size)

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The weights of each layer and direction, as torch lists them."""
        count, weights = len(self.cell.weights), self._weights()
        return [weights[place : place + count] for place in range(0, len(weights), count)]

    def flatten_parameters(self) -> None:
        """Lay the weights out in one piece for cuDNN; does nothing elsewhere."""
        cudnn.flatten(self, self._weights())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Recurrent:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.flatten_parameters()
        return self

    def extra_repr(self) -> str:
        """Sizes, and every argument that is not its default."""
        parts = [str(self.input_size), str(self.hidden_size)]
        if type(self) is Recurrent:
            parts.insert(0, self.cell.label)
        if self.num_layers != 1:
            parts.append(f"num_layers={self.num_layers}")
        if "bias_ih" not in self.cell.weight_names:
            parts.append("bias=False")
        parts += [
            f"{name}={value}"
            for name in (
                "batch_first",
                "dropout",
                "bidirectional",
                "proj_size",
                "recurrent_dropout",
                "zoneout",
            )
            if (value := getattr(self, name))
        ]
        parts += [f"{name}=True" for name in ("recompute", "learn_initial_state") if getattr(self, name)]
        return ", ".join(parts + self._cell_repr())

    def _cell_repr(self) -> list[str]:
        label = self.cell.label
        return [] if type(self) is Recurrent or "(" not in label else [label[label.index("(") + 1 : -1]]

    def _weights(self) -> list[Tensor]:
        own = self._parameters
        try:
            return [own[name] for name in self._names]  # type: ignore[misc]
        except KeyError:  # a parametrisation or weight norm holds some of them elsewhere
            return [getattr(self, name) for name in self._names]

    def _state_shapes(self, *batch: int) -> list[tuple[int, ...]]:
        """Shape of each state; (L·D, width), or (L·D, B, width)."""
        return [(self._sides, *batch, width) for width in self._widths]

    def _start_state(self, batch: int) -> tuple[Tensor, ...] | None:
        """The learned initial state for every sequence; None is zeros."""
        if not self.learn_initial_state:
            return None
        return tuple(part.unsqueeze(1).expand(-1, batch, -1).contiguous() for part in self._learned_state())

    def _learned_state(self) -> tuple[Tensor, ...]:
        return tuple(getattr(self, f"initial_{state}") for state in self.cell.states)

    def prepare(
        self,
        input: Tensor | PackedSequence,  # noqa: A002 (torch's name)
        hx: Any = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        record: str | Sequence[str] = (),
        reset: Tensor | None = None,
        sample_ids: Tensor | Sequence[int] | None = None,
        seed: int | Tensor | None = None,
        first_step: int | Tensor = 0,
    ) -> tuple[Plan, Arguments]:
        """Check a call and say what a kernel would be asked; arguments as ``forward``. Runs nothing."""
        where = type(self).__name__
        weights = self._weights()
        call = inputs.lay_out(input, self.input_size, weights[0], where, batch_first=self.batch_first)
        state = self._start_state(call.batch) if hx is None else self._given_state(hx, call, where)
        plan = Plan(
            self.cell,
            self.num_layers,
            self.bidirectional,
            self.batch_first,
            self.hidden_size,
            self.proj_size,
            self.dropout,
            self.recurrent_dropout,
            self.zoneout,
            self.training,
            seed is not None or sample_ids is not None,
            inputs.as_records(record, self.cell, where) if record else (),
            lengths is not None,
            call.sizes is not None,
            reset is not None,
            call.steps == 0 or call.batch == 0,
            call.x.device.type,
            call.x.dtype,
            self.recompute,
        )
        args = Arguments(call.x, state, weights, call.sizes)
        if lengths is not None:
            args = args._replace(lengths=inputs.as_lengths(lengths, call, where))
        if reset is not None:
            start = self._learned_state() if self.learn_initial_state else None
            mask = inputs.as_reset(reset, call, where, batch_first=self.batch_first)
            args = args._replace(reset=mask, reset_state=start)
        if plan.keyed or plan.draws:
            args = args._replace(
                sample_ids=inputs.as_sample_ids(sample_ids, call, where),
                seed=None if seed is None else inputs.as_integer(seed, "seed", where),
            )
        if isinstance(first_step, Tensor) or first_step != 0:
            args = args._replace(first_step=inputs.as_integer(first_step, "first_step", where))
        return plan, args

    def _given_state(self, hx: Any, call: inputs.Call, where: str) -> tuple[Tensor, ...]:
        if call.unbatched:
            state = inputs.as_state(hx, self.cell, self._state_shapes(), call.x.dtype, where)
            return tuple(part.unsqueeze(1) for part in state)
        state = inputs.as_state(hx, self.cell, self._state_shapes(call.batch), call.x.dtype, where)
        return tuple(inputs.permuted(part, call.order, 1) for part in state)

    def forward(
        self,
        input: Tensor | PackedSequence,  # noqa: A002 (torch's name)
        hx: Any = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        record: str | Sequence[str] = (),
        reset: Tensor | None = None,
        sample_ids: Tensor | Sequence[int] | None = None,
        seed: int | Tensor | None = None,
        first_step: int | Tensor = 0,
    ) -> Any:
        """Run the stack over the input.

        Args:
            input: (T, B, I), (B, T, I) if ``batch_first``, (T, I) without batch, or a ``PackedSequence``.
            hx: the state before the first step: (L·D, B, width), without B for an input without batch; a
                tuple (h, c) for an LSTM, the tensor h for RNN and GRU. None is zero, or the learned initial
                state.
            lengths: int (B,), how many steps of each sequence are real. Past its end the output is zero; the
                final state is the one at its end, and the backward direction starts there. No sorting is
                needed, and what the padding holds, NaN included, changes nothing.
            record: names of gates (``i``), gates before activation (``pre_i``) and states (``c``) to return.
            reset: bool of the shape of the input without I: a new sequence starts at this step. The state
                before it is the initial state (zero or learned, not ``hx``); no direction sees across.
            sample_ids: int (B,): what the random masks of a sequence depend on instead of its place in the
                batch.
            seed: the key of the random masks; drawn from torch's generator when None.
            first_step: how many steps of these sequences earlier calls took; the masks go on from there.

        Returns:
            ``(output, state)``, or ``(output, state, records)`` if ``record`` names anything: the output (T,
            B, D·P) in the layout of the input, the state after the last step in the layout of ``hx``, and a
            dict name → (L, D, B, T, width), without B for an input without batch.

        Raises:
            InputError: a shape, type or name that does not fit, with what was expected and what was got.
        """
        plan, args = self.prepare(
            input,
            hx,
            lengths=lengths,
            record=record,
            reset=reset,
            sample_ids=sample_ids,
            seed=seed,
            first_step=first_step,
        )
        result = dispatch.run(plan, args)
        output, state, records = self._answer(input, result)
        hidden = state if len(state) > 1 else state[0]
        return (output, hidden, records) if plan.record else (output, hidden)

    def _answer(
        self, given: Tensor | PackedSequence, result: Result
    ) -> tuple[Any, tuple[Tensor, ...], dict[str, Tensor]]:
        """The result in the order and shape of the call's input."""
        output, state, records = result
        if isinstance(given, PackedSequence):
            back = given.unsorted_indices
            return (
                PackedSequence(output, given.batch_sizes, given.sorted_indices, back),
                tuple(inputs.permuted(part, back, 1) for part in state),
                {name: inputs.permuted(value, back, 2) for name, value in records.items()},
            )
        if given.dim() == 2:
            return (
                output.squeeze(0 if self.batch_first else 1),
                tuple(part.squeeze(1) for part in state),
                {name: value.squeeze(2) for name, value in records.items()},
            )
        return output, state, records


def _zoneout_rates(zoneout: float | Sequence[float], cell: Cell, where: str) -> tuple[float, ...]:
    """One rate for each state, or nothing where all are 0."""
    rates = tuple(zoneout) if isinstance(zoneout, tuple | list) else (zoneout,) * len(cell.states)
    if len(rates) != len(cell.states):
        raise InputError(
            f"{where}: expected zoneout as one number, or one for each of the states {cell.states}, "
            f"got {zoneout!r}"
        )
    checked = tuple(probability(rate, "zoneout", where) for rate in rates)
    return checked if any(checked) else ()
