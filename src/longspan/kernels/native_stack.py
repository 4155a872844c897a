"""A stack on the operators of ``native_ops``: what a compiler traces, a transform of ``torch.func`` maps, and
a derivative of a derivative goes through.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from longspan.kernels.masks import dropout_factor
from longspan.kernels.native_call import kept_by
from longspan.kernels.native_cells import facts_of, record_place
from longspan.kernels.native_library import KEEP_NOTHING
from longspan.kernels.native_ops import Side, run_side
from longspan.kernels.plan import Arguments, Plan, Result, start_state

__all__ = ["run_operators"]


def run_operators(plan: Plan, args: Arguments) -> Result:
    """Run the stack; the input is not packed."""
    dtype = args.x.dtype
    compute = torch.promote_types(dtype, args.weights[0].dtype)
    x = (args.x.transpose(0, 1) if plan.batch_first else args.x).to(compute)
    reset = args.reset.transpose(0, 1) if plan.batch_first and args.reset is not None else args.reset
    args = args._replace(state=start_state(plan, args))
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


def _run_one(
    plan: Plan, args: Arguments, layer: int, direction: int
) -> tuple[Tensor, tuple[Tensor, ...], dict[str, Tensor]]:
    """One layer in one direction; ``args.x`` (T, B, ·) and ``args.reset`` (T, B) are those of the layer."""
    cell, x = plan.cell, args.x
    place = layer * (1 + plan.bidirectional) + direction
    count = len(cell.weights)
    weights = [weight.to(x.dtype) for weight in args.weights[place * count : (place + 1) * count]]
    facts = facts_of(cell)
    state = [part[place].to(x.dtype) for part in start_state(plan, args)]
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
        keep=kept_by(plan) if _needs_tape(x, *weights, *state, *fresh) else KEEP_NOTHING,
        present=facts.present,
        record=tuple(record_place(cell, name) for name in names),
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
    # An exported graph with an operator of no results cannot be read again.
    found = dict(zip(names, recorded.unbind(0), strict=True)) if names else {}
    if "h" in plan.record:
        found["h"] = y.transpose(0, 1)
    return y, (h, c)[: len(state)], found


def _needs_tape(*tensors: Tensor | None) -> bool:
    if torch._C._get_tracing_state() is not None:  # a graph for either case: the operator looks for itself
        return False
    return torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in tensors)
