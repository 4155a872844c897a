"""Checks of what the operators of ``native_ops`` are called with, before the engine gets any address.

Layers check what users give them; these are for whoever calls an operator straight, or an exported graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from longspan.core.checks import probability
from longspan.core.errors import InputError
from longspan.kernels.native_derivatives import cell_of, record_names
from longspan.kernels.native_library import WEIGHTS

if TYPE_CHECKING:
    from longspan.kernels.native_ops import Side

__all__ = ["checked_backward", "checked_forward", "one_device"]

SideOf = Callable[[Sequence[int], Sequence[float]], "Side"]

_NAMES = (
    "x", "h", "c", "weights", "lengths", "reset", "fresh_h", "fresh_c", "seed", "sample_ids", "first_step",
)  # fmt: skip
_SIDE = slice(11, 13)
_GIVEN = slice(13, 18)
_RATES = 4


class _Facts(NamedTuple):
    """What a cell needs.

    Attributes:
        weights: (name, dimensions as (factor, size) pairs) of each weight, in their order.
        gates: G.
        states: how many states.
        projected: whether P is not H.
    """

    weights: tuple[tuple[str, tuple[tuple[int, str], ...]], ...]
    gates: int
    states: int
    projected: bool


@lru_cache(maxsize=1024)
def _facts(side: Side) -> _Facts:
    """What the numbers of a call ask for, themselves checked; once for every set of numbers."""
    record = cell_of(side.cell, side.options, side.present, side.cell_clip)
    names = [name for place, name in enumerate(WEIGHTS) if side.present >> place & 1]
    shapes = {weight.name: weight.shape for weight in record.weights}
    if set(names) != set(shapes) or side.present >> len(WEIGHTS):
        raise InputError(
            f"the native engine: expected the weights {sorted(shapes)} of {record!r}, got those of present "
            f"{side.present}: {sorted(names)}"
        )
    places = sorted(place for place, name in record_names(record).items() if name in record.records)
    if len(set(side.record)) != len(side.record) or not set(places).issuperset(side.record):
        raise InputError(
            f"the native engine: expected places to record among {places}, each once, got {list(side.record)}"
        )
    if not 0 <= side.layer < 256 or side.direction not in (0, 1):
        raise InputError(
            "the native engine: expected a layer below 256 and direction 0 or 1, got layer "
            f"{side.layer} and direction {side.direction}"
        )
    for name in ("recurrent_dropout", "zoneout_h", "zoneout_c"):
        probability(getattr(side, name), name, "the native engine")
    ordered = tuple((name, shapes[name]) for name in names)
    return _Facts(ordered, len(record.gates), len(record.states), record.projected)


def _check_tensor(name: str, value: Tensor, like: Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    if value.shape != shape or value.dtype != dtype or value.device != like.device:
        raise InputError(
            f"the native engine: expected {name} of shape {shape}, {dtype} on {like.device}, got "
            f"{tuple(value.shape)}, {value.dtype} on {value.device}"
        )


def _side(side_of: SideOf, numbers: Sequence[int], rates: Sequence[float]) -> Side:
    if len(numbers) < 7 or len(rates) != _RATES:
        raise InputError(
            f"the native engine: expected at least 7 numbers and {_RATES} rates, got {len(numbers)} and "
            f"{len(rates)}"
        )
    return side_of(numbers, rates)


class _Sizes(NamedTuple):
    """T, B, I, H, P of a call."""

    steps: int
    batch: int
    inputs: int
    hidden: int
    width: int


def _check(side: Side, given: Sequence[Any]) -> _Sizes:
    """Check the tensors of ``given``, in the order of the schema, and find the sizes.

    Raises:
        InputError: a type, shape or device that the engine would misread.
    """
    facts = _facts(side)
    x, h, c, weights = given[:4]
    if x.dim() != 3 or x.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"the native engine: expected x of shape (T, B, I), float32 or float64, got {tuple(x.shape)}, "
            f"{x.dtype}"
        )
    if len(weights) != len(facts.weights):
        names = [name for name, _ in facts.weights]
        raise InputError(f"the native engine: expected the {len(names)} weights {names}, got {len(weights)}")
    steps, batch, inputs = x.shape
    if weights[1].dim() != 2 or weights[1].shape[0] % facts.gates:
        raise InputError(
            f"the native engine: expected weight_hh of shape ({facts.gates}·H, P), got "
            f"{tuple(weights[1].shape)}"
        )
    hidden = weights[1].shape[0] // facts.gates
    width = h.shape[-1] if facts.projected and h.dim() else hidden
    sizes = {"I": inputs, "H": hidden, "P": width}
    for (name, dims), weight in zip(facts.weights, weights, strict=True):
        _check_tensor(name, weight, x, x.dtype, tuple(factor * sizes[size] for factor, size in dims))
    _check_tensor("h", h, x, x.dtype, (batch, width))
    _check_tensor("c", c, x, x.dtype, (batch, hidden) if facts.states == 2 else (0,))
    if given[8] is None and side.training and any((side.recurrent_dropout, side.zoneout_h, side.zoneout_c)):
        raise InputError("the native engine: expected a seed for the masks of training, got None")
    found = _Sizes(steps, batch, inputs, hidden, width)
    _check_optional(given, found, facts.states)
    return found


def _check_optional(given: Sequence[Any], sizes: _Sizes, states: int) -> None:
    x = given[0]
    one_each, fresh_c = (sizes.batch,), (sizes.hidden,)
    wanted: tuple[tuple[torch.dtype, tuple[int, ...]], ...] = (
        (torch.int64, one_each), (torch.bool, (sizes.steps, sizes.batch)), (x.dtype, (sizes.width,)),
        (x.dtype, fresh_c), (torch.int64, ()), (torch.int64, one_each), (torch.int64, ()),
    )  # fmt: skip
    for name, value, (dtype, shape) in zip(_NAMES[4:], given[4:11], wanted, strict=True):
        if value is not None:
            _check_tensor(name, value, x, dtype, shape)
    lengths, fresh = given[4], given[6:8]
    if (fresh[0] is None) != (fresh[1] is None) if states == 2 else fresh[1] is not None:
        raise InputError(
            f"the native engine: expected a fresh state for each of the {states} states or for none, got "
            f"fresh_h {_told(fresh[0])} and fresh_c {_told(fresh[1])}"
        )
    if lengths is not None and lengths.numel() > 0:
        low, high = (int(value) for value in lengths.aminmax())
        if low < 0 or high > sizes.steps:
            raise InputError(
                f"the native engine: expected every length between 0 and the {sizes.steps} steps of the "
                f"input, got {low if low < 0 else high}"
            )


def _told(value: Tensor | None) -> str:
    return "None" if value is None else f"of shape {tuple(value.shape)}"


def checked_forward(kernel: Callable[..., Any], side_of: SideOf) -> Callable[..., Any]:
    """The CPU kernel of ``native_side`` behind its checks."""

    def run(*given: Any) -> Any:
        _check(_side(side_of, *given[_SIDE]), given)
        return kernel(*given)

    return run


def checked_backward(kernel: Callable[..., Any], side_of: SideOf) -> Callable[..., Any]:
    """The CPU kernel of ``native_side_backward`` behind its checks."""

    def run(*given: Any) -> Any:
        side = _side(side_of, *given[_SIDE])
        if not side.keep:
            raise InputError("the native engine: expected keep in the numbers of a backward call, got 0")
        steps, batch, _, hidden, width = _check(side, given)
        x, (tape, d_y, d_h, d_c, d_records) = given[0], given[_GIVEN]
        _check_tensor("tape", tape, x, x.dtype, (tape.numel(),))
        wanted = (
            ("d_y", d_y, (steps, batch, width)), ("d_h", d_h, (batch, width)),
            ("d_c", d_c, (batch, hidden) if side.states == 2 else (0,)),
            ("d_records", d_records, (len(side.record), batch, steps, hidden)),
        )  # fmt: skip
        for name, value, shape in wanted:
            if value is not None:
                _check_tensor(name, value, x, x.dtype, shape)
        given = (*given[:13], tape.contiguous(), *given[14:])
        return kernel(*given)

    return run


def one_device(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """A fake kernel that refuses tensors of several devices.

    The real kernel never sees those: torch takes the fake one as soon as one of them is on ``meta``.
    """

    def run(*given: Any) -> Any:
        flat = [part for value in given for part in (value if isinstance(value, list) else [value])]
        devices = {str(part.device) for part in flat if isinstance(part, Tensor)}
        if len(devices) > 1:
            raise InputError(f"the native engine: expected all tensors on one device, got {sorted(devices)}")
        return kernel(*given)

    return run
