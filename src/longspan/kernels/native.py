"""The C++ engine: every cell of the register and its options on a CPU, with the same bits for any number of
threads, place in a batch, padding, and split of time.
"""

from __future__ import annotations

import logging
from functools import cache

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from longspan.kernels.native_cells import unknown
from longspan.kernels.native_direct import goes_direct, run_direct
from longspan.kernels.native_library import NativeError, library
from longspan.kernels.native_stack import run_operators
from longspan.kernels.plan import Arguments, Plan, Result

__all__ = ["absence", "run", "say_absence", "supports"]

_LOG = logging.getLogger("longspan")


def _absent() -> str | None:
    """Why there is no engine; asked once, since a compiler that traces a layer can see a constant only."""
    try:
        library()
    except NativeError as error:
        return str(error)
    return None


_ABSENT = _absent()


@cache
def _say_once(reason: str) -> None:
    _LOG.warning("%s; until then layers run on other kernels, which are slower", reason)


def absence() -> str | None:
    """Why there is no engine; None where there is one."""
    return _ABSENT


def say_absence(plan: Plan) -> None:
    """Tell the user, once in a process, that a call would have run on the engine if there were one."""
    if _ABSENT is not None and not torch.compiler.is_compiling() and supports(plan) == _ABSENT:
        _say_once(_ABSENT)


def supports(plan: Plan) -> str | None:
    """None, or why the native engine cannot run this plan."""
    if plan.device != "cpu":
        return f"the native engine runs on the CPU, not on {plan.device}"
    if plan.dtype not in (torch.float32, torch.float64):
        return f"the native engine computes in float32 and float64, not in {plan.dtype}"
    if torch.is_autocast_enabled("cpu"):
        return "autocast is on, and the native engine does not compute in half precision"
    return unknown(plan.cell) or _ABSENT


def run(plan: Plan, args: Arguments) -> Result:
    """Run the stack."""
    if plan.packed:
        return _run_packed(plan, args)
    return run_direct(plan, args) if goes_direct(args) else run_operators(plan, args)


def _run_packed(plan: Plan, args: Arguments) -> Result:
    """Pad, run, and pack again; records stay padded."""
    padded, lengths = pad_packed_sequence(PackedSequence(args.x, args.batch_sizes))
    inner = plan._replace(packed=False, batch_first=False, ragged=True)
    reset = args.reset.transpose(0, 1) if plan.batch_first and args.reset is not None else args.reset
    result = run(inner, args._replace(x=padded, batch_sizes=None, lengths=lengths, reset=reset))
    return result._replace(y=pack_padded_sequence(result.y, lengths).data)
