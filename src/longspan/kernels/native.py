"""The C++ engine: every cell of the register and its options on a CPU, with the same bits for any number of
threads, place in a batch, padding, and split of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from longspan.cells.base import Cell
from longspan.core.errors import InputError
from longspan.kernels.masks import dropout_factor
from longspan.kernels.native_library import GATE, PRE, WEIGHTS, NativeError, library
from longspan.kernels.native_ops import Side, run_side
from longspan.kernels.plan import Arguments, Plan, Result

__all__ = ["engine_code", "engine_options", "run", "supports"]

_CELLS = {"lstm": 0, "rnn": 1, "gru": 2}
# Gates by their number in the engine, whether or not they have weights.
_NUMBERED = {"lstm": ("i", "f", "g", "o"), "rnn": ("g",), "gru": ("r", "z", "n")}
_C = 9  # place of the record of c
_FLAGS = {"peephole": 1, "coupled": 2, "layer_norm": 8, "projection": 16}


def _absent() -> str | None:
    """Why there is no engine; asked once, since a compiler that traces a layer can see a constant only."""
    try:
        library()
    except NativeError as error:
        return str(error)
    return None


_ABSENT = _absent()


def supports(plan: Plan) -> str | None:
    """None, or why the native engine cannot run this plan."""
    if plan.device != "cpu":
        return f"the native engine runs on the CPU, not on {plan.device}"
    if plan.dtype not in (torch.float32, torch.float64):
        return f"the native engine computes in float32 and float64, not in {plan.dtype}"
    return _unknown(plan.cell) or _ABSENT


def run(plan: Plan, args: Arguments) -> Result:
    """Run the stack."""
    if plan.packed:
        return _run_packed(plan, args)
    dtype = args.x.dtype
    compute = torch.promote_types(dtype, args.weights[0].dtype)
    x = (args.x.transpose(0, 1) if plan.batch_first else args.x).to(compute)
    reset = args.reset.transpose(0, 1) if plan.batch_first and args.reset is not None else args.reset
    finals: list[tuple[Tensor, ...]] = []
    records: list[dict[str, Tensor]] = []
    for layer in range(plan.num_layers):
        inner = args._replace(x=x, reset=reset)
        sides = [_run_one(plan, inner, layer, direction) for direction in range(1 + plan.bidirectional)]
        x = torch.cat([y for y, _, _ in sides], -1) if plan.bidirectional else sides[0][0]
        finals += [state for _, state, _ in sides]
        records += [record for _, _, record in sides]
        if plan.drops_between_layers and layer + 1 < plan.num_layers:
            x = x * dropout_factor(plan, args, layer, x)
    y = (x.transpose(0, 1) if plan.batch_first else x).to(dtype)
    state = tuple(_stacked(parts).to(dtype) for parts in zip(*finals, strict=True))
    return Result(y, state, {name: _gathered(plan, records, name).to(dtype) for name in plan.record})


def _gathered(plan: Plan, records: list[dict[str, Tensor]], name: str) -> Tensor:
    """(L, D, B, T, width) of one (B, T, width) for each layer and direction."""
    stacked = _stacked([record[name] for record in records])
    return stacked.reshape(plan.num_layers, 1 + plan.bidirectional, *stacked.shape[1:])


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    return parts[0].unsqueeze(0) if len(parts) == 1 else torch.stack(tuple(parts))


class _Facts(NamedTuple):
    """What a cell is to the engine; ``order``: its weights as the engine numbers them."""

    code: int
    options: int
    present: int
    order: tuple[int, ...]
    cell_clip: float


def _facts(cell: Cell) -> _Facts:
    places = [WEIGHTS.index(name) for name in cell.weight_names]
    return _Facts(
        code=engine_code(cell),
        options=engine_options(cell),
        present=sum(1 << place for place in places),
        order=tuple(sorted(range(len(places)), key=places.__getitem__)),
        cell_clip=float(dict(cell.options).get("cell_clip") or 0.0),  # type: ignore[arg-type]
    )


_known_facts = cache(_facts)


def engine_code(cell: Cell) -> int:
    """The number of the cell in the engine.

    Raises:
        InputError: the engine does not have it.
    """
    reason = _unknown(cell)
    if reason is not None:
        raise InputError(reason)
    return _CELLS[cell.name]


def _unknown(cell: Cell) -> str | None:
    if cell.name not in _CELLS:
        return f"the native engine has no {cell.label}"
    if cell.name == "gru" and not dict(cell.options)["reset_after"]:
        return "the native engine has the GRU with the reset after the product only"
    return None


def engine_options(cell: Cell) -> int:
    """The options of the cell as bits of the header."""
    given = dict(cell.options)
    bits = sum(bit for name, bit in _FLAGS.items() if given.get(name))
    if given.get("forget_gate") is False:
        bits |= 4
    if given.get("nonlinearity") == "relu":
        bits |= 32
    return bits


def _place(cell: Cell, name: str) -> int:
    """Where the engine puts the record of this name."""
    if name == "c":
        return _C
    gates = _NUMBERED[cell.name]
    return (
        PRE + gates.index(name.removeprefix("pre_")) if name.startswith("pre_") else GATE + gates.index(name)
    )


def _run_one(
    plan: Plan, args: Arguments, layer: int, direction: int
) -> tuple[Tensor, tuple[Tensor, ...], dict[str, Tensor]]:
    """One layer in one direction; ``args.x`` (T, B, ·) and ``args.reset`` (T, B) are those of the layer."""
    cell, x = plan.cell, args.x
    place = layer * (1 + plan.bidirectional) + direction
    count = len(cell.weights)
    weights = [weight.to(x.dtype) for weight in args.weights[place * count : (place + 1) * count]]
    # A compiler traces through what is cached, with a warning.
    facts = _facts(cell) if torch.compiler.is_compiling() else _known_facts(cell)
    state = [part[place].to(x.dtype) for part in args.state]
    fresh: list[Tensor | None] = [None, None]
    if args.reset is not None and args.reset_state is not None:
        fresh = [*(part[place].to(x.dtype) for part in args.reset_state), None]
    names = tuple(name for name in plan.record if name != "h")
    zoneout = (*plan.zoneout, 0.0, 0.0)
    side = Side(
        cell=facts.code,
        options=facts.options,
        layer=layer,
        direction=direction,
        training=plan.training,
        keep=_needs_tape(x, *weights, *state, *fresh),
        present=facts.present,
        record=tuple(_place(cell, name) for name in names),
        cell_clip=facts.cell_clip,
        recurrent_dropout=plan.recurrent_dropout if plan.training else 0.0,
        zoneout_h=zoneout[0],
        zoneout_c=zoneout[1] if len(state) > 1 else 0.0,
    )
    c = state[1] if len(state) > 1 else x.new_empty(0)
    inputs = (
        x, state[0], c, [weights[k] for k in facts.order], args.lengths, args.reset, fresh[0], fresh[1],
        args.seed, args.sample_ids, args.first_step,
    )  # fmt: skip
    y, h, c, recorded = run_side(inputs, side)
    found = dict(zip(names, recorded.unbind(0), strict=True))
    if "h" in plan.record:
        found["h"] = y.transpose(0, 1)
    return y, (h, c)[: len(state)], found


def _needs_tape(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in tensors)


def _run_packed(plan: Plan, args: Arguments) -> Result:
    """Pad, run, and pack again; records stay padded."""
    padded, lengths = pad_packed_sequence(PackedSequence(args.x, args.batch_sizes))
    inner = plan._replace(packed=False, batch_first=False, ragged=True)
    reset = args.reset.transpose(0, 1) if plan.batch_first and args.reset is not None else args.reset
    result = run(inner, args._replace(x=padded, batch_sizes=None, lengths=lengths, reset=reset))
    return result._replace(y=pack_padded_sequence(result.y, lengths).data)
