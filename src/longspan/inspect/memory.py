"""How much of what was written into a cell is still held later: products of forget gates, in log space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from longspan.inspect.probe import Visit
from longspan.nn.stack import Recurrent

__all__ = ["Memory", "Retention", "cell_memory", "content_by_lag", "held_shares", "retention_of"]

Array = NDArray[np.float64]
Records = Mapping[str, Tensor]


class Retention(NamedTuple):
    """How a cell keeps and writes, from what it records.

    Attributes:
        records: names that are needed.
        log_keep: records → log of the share of the state that one step keeps, float64.
        written: records → size of what one step writes.
        words: the rule, for people.
    """

    records: tuple[str, ...]
    log_keep: Callable[[Records], Tensor]
    written: Callable[[Records], Tensor]
    words: str


def retention_of(layer: Recurrent) -> Retention | None:
    """The rule of a layer's cell; None where nothing is kept by a gate (the plain RNN), or nobody knows.

    Gates are taken before activation: log σ(x) = -softplus(-x) loses no digits where a gate is nearly 1.
    """
    found = {"lstm": _lstm, "gru": _gru}.get(layer.cell.name)
    return None if found is None else found(layer)


def _lstm(layer: Recurrent) -> Retention:
    options = dict(layer.cell.options)
    rate = layer.zoneout[1] if layer.zoneout else 0.0

    def written(records: Records) -> Tensor:
        return (1.0 - rate) * (records["i"] * records["g"]).abs().double()

    if not options["forget_gate"]:
        return Retention(
            ("i", "g"), lambda records: torch.zeros_like(records["i"]).double(), written,
            "the cell has no forget gate: everything that was written stays",
        )  # fmt: skip
    gate, sign = ("pre_i", 1.0) if options["coupled"] else ("pre_f", -1.0)
    words = "product of the later " + ("1 - i" if options["coupled"] else "forget gates f")
    return Retention(
        ("i", "g", gate),
        lambda records: _zoned(-F.softplus(sign * records[gate].double()), rate),
        written,
        words,
    )


def _gru(layer: Recurrent) -> Retention:
    rate = layer.zoneout[0] if layer.zoneout else 0.0
    return Retention(
        ("z", "n", "pre_z"),
        lambda records: _zoned(-F.softplus(-records["pre_z"].double()), rate),
        lambda records: (1.0 - rate) * ((1.0 - records["z"]) * records["n"]).abs().double(),
        "product of the later update gates z, which keep the old h",
    )


def _zoned(log_keep: Tensor, rate: float) -> Tensor:
    """Zoneout keeps ``rate`` of the old state whatever the gate says."""
    return log_keep if rate == 0 else torch.log(rate + (1.0 - rate) * log_keep.exp())


@dataclass(frozen=True, eq=False)
class Memory:
    """How long the units of one layer and direction hold what was written, on one example.

    Attributes:
        layer: from 0. backward: the direction; its "later" steps are the earlier ones.
        log_held: float64 (T, H): log of the share of the value written at each step that is held at the end
            of the reading.
        half_life: float64 (H,) steps in which a value halves at the unit's mean rate; infinite where nothing
            is forgotten.
        words: how it was computed.
    """

    layer: int
    backward: bool
    log_held: Array
    half_life: Array
    words: str

    @property
    def longest(self) -> int:
        """The unit with the longest half-life; the first of equals."""
        return int(self.half_life.argmax())

    def held(self, threshold: float = 0.0) -> Array:
        """(T, H) shares in [0, 1], 0 where they are below the threshold: forgotten."""
        share = np.exp(self.log_held)
        return np.where(share < threshold, 0.0, share)


def held_shares(log_keep: Array) -> Array:
    """(T, …) log of the share of the value written at step s that is held at the last one, Σ over s+1 … T."""
    later = np.concatenate([log_keep[1:], np.zeros_like(log_keep[:1])])
    return np.asarray(later[::-1].cumsum(axis=0)[::-1])


def cell_memory(layer: Recurrent, visit: Visit, row: int, layers: tuple[int, ...]) -> list[Memory]:
    """Memory of the layers asked for, in each direction; empty where the cell keeps nothing by a gate."""
    rule = retention_of(layer)
    if rule is None:
        return []
    log_keep = rule.log_keep(_recorded(layer, visit.one(row), None, rule))[:, :, 0].numpy()  # (L, D, T, H)
    found = []
    for number in layers:
        for side in range(layer.num_directions):
            steps = log_keep[number, side] if side == 0 else log_keep[number, side][::-1]
            held = held_shares(steps)
            rate = -steps.mean(axis=0)
            with np.errstate(divide="ignore"):
                half_life = np.log(2.0) / rate
            found.append(Memory(number, side == 1, held if side == 0 else held[::-1], half_life, rule.words))
    return found


def content_by_lag(layer: Recurrent, visit: Visit) -> Array | None:
    """(n, L, T) what the states hold at the end, by the lag at which it was written; None without a rule.

    The sum over units of |what was written| times the share of it that is still held. Forward direction only.
    """
    rule = retention_of(layer)
    if rule is None:
        return None
    records = _recorded(layer, visit.x, visit.lengths, rule)
    log_keep = rule.log_keep(records)[:, 0].numpy()  # (L, B, T, H)
    written = rule.written(records)[:, 0].numpy()
    count, steps = log_keep.shape[1:3]
    found = np.zeros((count, layer.num_layers, steps))
    for row in range(count):
        end = steps if visit.lengths is None else int(visit.lengths[row])
        for number in range(layer.num_layers):
            held = np.exp(held_shares(log_keep[number, row, :end]))
            found[row, number, :end] = (written[number, row, :end] * held).sum(axis=1)[::-1]
    return found


def _recorded(layer: Recurrent, x: Tensor, lengths: object, rule: Retention) -> Records:
    with torch.no_grad():
        found: Records = layer(x, lengths=lengths, record=rule.records)[2]
    return {name: each.cpu() for name, each in found.items()}  # not every device has float64
