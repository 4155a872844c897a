"""The random masks of one layer and direction, for kernels written in torch (layout:
``longspan.core.philox``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from longspan.core.errors import InputError
from longspan.core.philox import DROPOUT, RECURRENT, ZONEOUT, event, words
from longspan.kernels.plan import Arguments, Plan, batch_of

__all__ = ["dropout_factor", "holds", "recurrent_factor"]

Hold = Tensor | float | None


def _words(
    plan: Plan, args: Arguments, purpose: int, layer: int, direction: int, steps: Tensor, units: int
) -> Tensor:
    seed = args.seed
    if seed is None:
        raise InputError(
            "random masks: expected a seed, got None; call kernels through dispatch.run, which draws one"
        )
    ids = args.sample_ids
    if ids is None:
        ids = torch.arange(batch_of(plan, args), device=args.x.device)
    return words(seed, purpose, layer, direction, ids.to(args.x.device), steps.to(args.x.device), units)


def _steps(args: Arguments, count: int) -> Tensor:
    steps = torch.arange(count, device=args.x.device)
    return steps if args.first_step is None else steps + args.first_step.to(steps.device)


def _factor(drawn: Tensor, rate: float, dtype: torch.dtype) -> Tensor:
    """0 where dropped and 1/(1-p) elsewhere, so that the expectation is 1."""
    scale = 1.0 / (1.0 - rate) if rate < 1.0 else 0.0
    return (~event(drawn, rate)).to(dtype) * scale


def recurrent_factor(
    plan: Plan, args: Arguments, layer: int, direction: int, dtype: torch.dtype
) -> Tensor | None:
    """(B, P) factor on h in the recurrent products, the same at every step; None where nothing is dropped."""
    if not plan.training or plan.recurrent_dropout == 0.0:
        return None
    first = torch.zeros(1, dtype=torch.int64, device=args.x.device)
    drawn = _words(plan, args, RECURRENT, layer, direction, first, plan.state_width("h"))
    return _factor(drawn[0], plan.recurrent_dropout, dtype)


def holds(plan: Plan, args: Arguments, layer: int, direction: int, steps: int) -> tuple[Hold, ...]:
    """For each state what zoneout holds: bool (T, B, width) in training, the rate in evaluation, None for
    rate 0.
    """
    found: list[Hold] = []
    for number, (state, rate) in enumerate(zip(plan.cell.states, plan.zoneout, strict=False)):
        if rate == 0.0:
            found.append(None)
        elif not plan.training:
            found.append(rate)
        else:
            drawn = _words(
                plan, args, ZONEOUT + number, layer, direction, _steps(args, steps), plan.state_width(state)
            )
            found.append(event(drawn, rate))
    return tuple(found)


def dropout_factor(plan: Plan, args: Arguments, layer: int, y: Tensor) -> Tensor:
    """Factor of the shape of y (T, B, D·P), the output of ``layer``, on its way into the next one."""
    units = plan.state_width("h")
    steps = _steps(args, y.shape[0])
    drawn = [_words(plan, args, DROPOUT, layer, side, steps, units) for side in range(1 + plan.bidirectional)]
    return _factor(torch.cat(drawn, -1), plan.dropout, y.dtype)
