"""The definition of correct: the record's step, called in a loop over time, layer by layer, in plain torch.

Any cell, any option, any floating type, any device; gradients of any order by autograd. Half-precision inputs
are computed in float32 and rounded once at the end. Never optimised.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from longspan.cells.base import Params, State, StepNoise
from longspan.kernels.masks import Hold, dropout_factor, holds, recurrent_factor
from longspan.kernels.plan import Arguments, Plan, Result, start_state

__all__ = ["loop", "over_time", "run", "supports"]


def supports(plan: Plan) -> str | None:  # noqa: ARG001 (every kernel is asked in the same way)
    """None: it runs everything."""
    return None


def run(plan: Plan, args: Arguments) -> Result:
    """Run the stack."""
    if plan.packed:
        return _run_packed(plan, args)
    x = args.x.transpose(0, 1) if plan.batch_first else args.x  # (T, B, I)
    reset = args.reset.transpose(0, 1) if plan.batch_first and args.reset is not None else args.reset
    compute = _compute_type(x, args.weights)
    x = x.to(compute)
    valid = None
    if args.lengths is not None:
        steps = torch.arange(x.shape[0], device=x.device)
        valid = (steps[:, None] < args.lengths.to(x.device)).unsqueeze(-1)  # (T, B, 1)
        # A padded value must not reach a product: 0 times NaN is NaN, in the gradient too.
        x = torch.where(valid, x, torch.zeros((), dtype=compute, device=x.device))
        reset = None if reset is None else reset & valid.squeeze(-1)
    args = args._replace(state=start_state(plan, args))
    finals: list[State] = []
    records: list[dict[str, Tensor]] = []
    for layer in range(plan.num_layers):
        sides = [
            _run_side(plan, args, layer, side, x, valid, reset) for side in range(1 + plan.bidirectional)
        ]
        x = torch.cat([y for y, _, _ in sides], -1) if plan.bidirectional else sides[0][0]
        finals += [state for _, state, _ in sides]
        records += [record for _, _, record in sides]
        if plan.drops_between_layers and layer + 1 < plan.num_layers:
            x = x * dropout_factor(plan, args, layer, x)
    dtype = args.x.dtype
    y = (x.transpose(0, 1) if plan.batch_first else x).to(dtype)
    state = tuple(torch.stack(parts).to(dtype) for parts in zip(*finals, strict=True))
    return Result(y, state, {name: _gather(plan, records, name).to(dtype) for name in plan.record})


def _compute_type(x: Tensor, weights: list[Tensor]) -> torch.dtype:
    dtype = torch.promote_types(x.dtype, weights[0].dtype)
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def _gather(plan: Plan, records: list[dict[str, Tensor]], name: str) -> Tensor:
    """(L, D, B, T, width) of one (T, B, width) for each layer and direction."""
    stacked = torch.stack([record[name] for record in records]).transpose(1, 2)
    return stacked.reshape(plan.num_layers, 1 + plan.bidirectional, *stacked.shape[1:])


def _run_side(
    plan: Plan, args: Arguments, layer: int, side: int, x: Tensor, valid: Tensor | None, reset: Tensor | None
) -> tuple[Tensor, State, dict[str, Tensor]]:
    """One layer in one direction: y (T, B, P), the final state, and the record, each (T, B, width)."""
    dtype = x.dtype
    place = layer * (1 + plan.bidirectional) + side
    count = len(plan.cell.weights)
    mine = args.weights[place * count : (place + 1) * count]
    params = {weight.name: value.to(dtype) for weight, value in zip(plan.cell.weights, mine, strict=True)}
    state = tuple(part[place].to(dtype) for part in start_state(plan, args))
    fresh: State | None = None
    if reset is not None:
        # Going backward, a sequence ends where its first element is: the step after it belongs to another
        # one.
        starts = reset if side == 0 else torch.cat((reset[1:], torch.zeros_like(reset[:1])))
        fresh = _fresh(args, place, state)
        reset = starts.unsqueeze(-1)  # (T, B, 1)
    drop = recurrent_factor(plan, args, layer, side, dtype)
    held = holds(plan, args, layer, side, x.shape[0])
    trace, state = loop(plan, x, state, params, (drop, held), valid, (reset, fresh), backward=side == 1)
    shape = (x.shape[0], x.shape[1])
    found = {
        name: over_time(trace[name], x.new_zeros(*shape, plan.state_width(name)), valid) for name in trace
    }
    return found["h"], state, found


def _fresh(args: Arguments, place: int, state: State) -> State:
    """The state that a reset puts in place, (B, width) each."""
    if args.reset_state is None:
        return tuple(torch.zeros_like(part) for part in state)
    return tuple(
        given[place].to(part.dtype).expand_as(part)
        for given, part in zip(args.reset_state, state, strict=True)
    )


def over_time(steps: list[Tensor], nothing: Tensor, valid: Tensor | None) -> Tensor:
    """The steps as one (T, B, width), zero past the end of a sequence."""
    whole = torch.stack(steps) if steps else nothing
    return whole if valid is None else torch.where(valid, whole, torch.zeros_like(whole))


def loop(
    plan: Plan,
    x: Tensor,
    state: State,
    params: Params,
    noise: tuple[Tensor | None, tuple[Hold, ...]],
    valid: Tensor | None,
    resets: tuple[Tensor | None, State | None],
    *,
    backward: bool,
) -> tuple[dict[str, list[Tensor]], State]:
    """The loop over time. Steps past the end of a sequence leave its state alone."""
    cell = plan.cell
    hoisted = cell.hoist(x, params).unbind(0)
    order = range(len(hoisted) - 1, -1, -1) if backward else range(len(hoisted))
    names = dict.fromkeys(("h", *plan.record))
    trace: dict[str, list[Tensor]] = {name: [] for name in names}
    drop, held = noise
    reset, fresh = resets
    for t in order:
        if reset is not None and fresh is not None:
            state = tuple(torch.where(reset[t], new, old) for new, old in zip(fresh, state, strict=True))
        now = StepNoise(drop, tuple(part[t] if isinstance(part, Tensor) else part for part in held))
        new_state, activations = cell.step(hoisted[t], state, params, now)
        if valid is not None:
            new_state = tuple(
                torch.where(valid[t], new, old) for new, old in zip(new_state, state, strict=True)
            )
        state = new_state
        seen = {**activations, **dict(zip(cell.states, state, strict=True))}
        for name in names:
            trace[name].append(seen[name])
    if backward:
        trace = {name: steps[::-1] for name, steps in trace.items()}
    return trace, state


def _run_packed(plan: Plan, args: Arguments) -> Result:
    """Pad, run, and pack again; records stay padded."""
    padded, lengths = pad_packed_sequence(PackedSequence(args.x, args.batch_sizes))
    inner = plan._replace(packed=False, batch_first=False, ragged=True)
    reset = args.reset.transpose(0, 1) if plan.batch_first and args.reset is not None else args.reset
    result = run(inner, args._replace(x=padded, batch_sizes=None, lengths=lengths, reset=reset))
    return result._replace(y=pack_padded_sequence(result.y, lengths).data)
