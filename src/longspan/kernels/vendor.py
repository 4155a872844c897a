"""One call of torch's own fused stack (oneDNN, cuDNN, MPS), for the records that it computes exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from longspan.kernels.plan import Arguments, Plan, Result, start_state

__all__ = ["run", "supports"]

# By the label of the record; bias and projection are told from the weights.
_FUSED: dict[str, Callable[..., Any]] = {
    "lstm": torch.lstm,
    "gru": torch.gru,
    "rnn": torch.rnn_tanh,
    "rnn(nonlinearity=relu)": torch.rnn_relu,
}


def supports(plan: Plan) -> str | None:
    """None, or why torch's fused stack cannot run this plan."""
    if plan.cell.label not in _FUSED:
        return f"torch has no fused {plan.cell.label}"
    if plan.record:
        return f"torch's fused stack returns no gates or states of each step, record names {plan.record[0]!r}"
    if plan.resets:
        return "torch's fused stack has no reset mask"
    if plan.zoneout:
        return "torch's fused stack has no zoneout"
    if plan.training and plan.recurrent_dropout > 0.0:
        return "torch's fused stack has no recurrent dropout"
    if plan.keyed and plan.drops_between_layers:
        return "torch's fused stack draws its own dropout masks, not those of a given seed or sample ids"
    if plan.empty:
        return "torch's fused stack refuses inputs without steps or sequences"
    if plan.ragged and plan.device == "meta":
        return "torch's fused stack packs by the values of lengths, which there are none of on meta"
    if plan.proj_size and plan.device not in ("cpu", "cuda"):
        return f"torch's fused LSTM has no projection on {plan.device}"
    return None


def run(plan: Plan, args: Arguments) -> Result:
    """Run the stack. Lengths go through packing, in here."""
    state = start_state(plan, args)
    if plan.packed:
        return _call(plan, args.x, state, args.weights, args.batch_sizes)
    if args.lengths is not None:
        ragged = _untraced(_run_ragged) if torch.compiler.is_compiling() else _run_ragged
        return ragged(plan, args, state, args.lengths)
    return _call(plan, args.x, state, args.weights, None)


def _call(
    plan: Plan, x: Tensor, state: tuple[Tensor, ...], weights: list[Tensor], batch_sizes: Tensor | None
) -> Result:
    if plan.device != "cpu":  # cuDNN refuses strided states
        state = tuple(part.contiguous() for part in state)
    hx = state if len(state) > 1 else state[0]
    # cuDNN differentiates only what it ran in training; without dropout that is the same.
    training = plan.training or (plan.device == "cuda" and torch.is_grad_enabled())
    common = (
        "bias_ih" in plan.cell.weight_names,
        plan.num_layers,
        plan.dropout if plan.training else 0.0,
        training,
        plan.bidirectional,
    )
    fused = _FUSED[plan.cell.label]
    if torch.compiler.is_compiling() and torch.is_grad_enabled():
        # Its backward pass saves an undefined tensor, which AOTAutograd refuses; torch's own layers are not
        # traced.
        fused = _untraced(fused)
    if batch_sizes is None:
        y, *final = fused(x, hx, weights, *common, plan.batch_first)
    else:
        y, *final = fused(x, batch_sizes, hx, weights, *common)
    return Result(y, tuple(final), {})


def _untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function outside of the graph that a compiler traces.

    Wrapped at the call, since ``torch.compiler.disable`` imports the compiler, which takes a second.
    """
    return torch.compiler.disable(function)  # type: ignore[no-untyped-call,no-any-return]


def _run_ragged(plan: Plan, args: Arguments, start: tuple[Tensor, ...], lengths: Tensor) -> Result:
    time = 1 if plan.batch_first else 0
    total = args.x.shape[time]
    on_cpu = lengths.cpu()
    nothing = (on_cpu == 0).to(args.x.device)
    void = nothing[:, None, None] if plan.batch_first else nothing[None, :, None]
    # Packing refuses sequences of no steps: they run one step on zeros, and its results are put aside below.
    x = torch.where(void, torch.zeros((), dtype=args.x.dtype, device=args.x.device), args.x)
    packed = pack_padded_sequence(x, on_cpu.clamp(min=1), plan.batch_first, enforce_sorted=False)
    state = tuple(_permuted(part, packed.sorted_indices) for part in start)
    result = _call(plan, packed.data, state, args.weights, packed.batch_sizes)
    y, _ = pad_packed_sequence(packed._replace(data=result.y), plan.batch_first, total_length=total)
    final = tuple(_permuted(part, packed.unsorted_indices) for part in result.state)
    y = torch.where(void, torch.zeros((), dtype=y.dtype, device=y.device), y)
    final = tuple(
        torch.where(nothing[:, None], old.to(new.dtype), new) for old, new in zip(start, final, strict=True)
    )
    return Result(y, final, {})


def _permuted(part: Tensor, order: Tensor | None) -> Tensor:
    return part if order is None else part.index_select(1, order)
