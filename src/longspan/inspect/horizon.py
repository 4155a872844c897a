"""The memory horizon, three ways: what gates still hold, where gradients come from, what can be taken away.

Only the last is a measurement of use. Everything older than lag k is cut off, or replaced by the past of
other examples, and the losses of the same examples are compared. The removal costs where

* the mean loss rises, by a one-sided paired test at 5 % for all lags that were tried together;
* and by more than 2 % of what the whole past is worth, the rise where only the last step is left.

The horizon is the largest lag whose removal costs: found on a grid of lags, then by bisection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from longspan.core.seeds import derive
from longspan.inspect.memory import content_by_lag
from longspan.inspect.probe import Probe, Visit, recurrent_layer
from longspan.inspect.rises import Rises, judge_rises
from longspan.models.subject import Index, Subject

__all__ = [
    "Ablation", "Estimate", "Horizon", "Removal", "ablate", "gate_horizon", "gradient_horizon",
    "removal_estimate", "share_horizon",
]  # fmt: skip

Array = NDArray[np.float64]
How = Literal["cut", "scrambled"]

LEVEL = 0.05
LEAST_SHARE = 0.02
_GRID = 1.5  # a lag of the grid over the one before
_NARROW = 0.005  # bisection ends where the bracket is this share of its end, or one step
_AT_ONCE = 1 << 18  # steps of a batch


@dataclass(frozen=True)
class Removal:
    """What it costs to keep lags 0 … ``lag`` only.

    Attributes:
        lag: the oldest that is kept.
        rise: mean rise of the loss. low, high: its 95 % interval, None with too few examples.
        p: one-sided, adjusted for all lags that were tried; None likewise.
    """

    lag: int
    rise: float
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True, eq=False)
class Ablation:
    """Removals of one kind, by lag.

    Attributes:
        how: ``cut`` or ``scrambled``. removals: lags rising.
        whole: mean loss with everything there. worth: rise where only the last step is left.
        costs: of each removal, by the rule of the module.
        horizon: the largest lag whose removal costs; 0 where no removal does.
        longest: T - 1, the largest lag there is.
    """

    how: How
    removals: tuple[Removal, ...]
    whole: float
    worth: float
    costs: tuple[bool, ...]
    horizon: int
    longest: int

    @property
    def at_the_edge(self) -> bool:
        """Even the oldest step is used: what lies before the window was never there to be measured."""
        return self.horizon >= self.longest and self.longest > 0


@dataclass(frozen=True)
class Estimate:
    """One estimate of the horizon.

    Attributes:
        name: ``forget gates``, ``gradients``, ``cut``, ``scrambled``.
        lag: the estimate, None where there is none. rule: how it is found, or why there is none.
        edge: as long as what was looked at, so it may be longer.
    """

    name: str
    lag: int | None
    rule: str
    edge: bool = False


@dataclass(frozen=True, eq=False)
class Horizon:
    """All estimates, the removals behind two of them, and what they come to.

    Attributes:
        estimates: forget gates, gradients, cut, scrambled.
        ablations: by kind. words: where the estimates agree and where not, a sentence each.
    """

    estimates: tuple[Estimate, ...]
    ablations: tuple[Ablation, ...]
    words: tuple[str, ...] = field(default=())

    def lag(self, name: str) -> int | None:
        """The estimate of this name."""
        return next(each.lag for each in self.estimates if each.name == name)

    def ablation(self, how: How) -> Ablation:
        """The removals of one kind."""
        return next(each for each in self.ablations if each.how == how)

    @property
    def used(self) -> int:
        """The largest lag whose removal costs whichever way it is removed.

        Cutting alone may cost because the model is used to a past of full length, whatever is in it;
        scrambling alone because a wrong past misleads where no past would not.
        """
        return min(each.horizon for each in self.ablations)

    @property
    def window(self) -> int:
        """Steps of a window that loses nothing: what is older can be cut off."""
        return 1 + self.ablation("cut").horizon


def ablate(subject: Subject, rows: Index, how: How, seed: int = 0) -> Ablation:
    """Remove what is older than one lag after another, on the examples ``rows`` (n,)."""
    trial = _Trial(subject, rows, how, seed)
    longest = int(subject.sequence(subject.batch(rows[:1])).shape[1]) - 1
    longest = max(longest, int(subject.ends(subject.batch(rows)).max()))
    trial.remove(*_grid(longest))
    while (bracket := trial.bracket()) is not None:
        low, high = bracket
        if high - low <= max(1, int(_NARROW * high)):
            break
        trial.remove((low + high) // 2)
    removals = trial.removals()
    bracket = trial.bracket()
    return Ablation(
        how, removals, float(trial.whole.mean()), trial.worth(), tuple(trial.costs().values()),
        0 if bracket is None else bracket[1], longest,
    )  # fmt: skip


def _grid(longest: int) -> list[int]:
    """Lags 0, 1, 2, 3, 5, 8 … that leave something to remove, and the largest one, that leaves nothing."""
    lags, lag = [], 0
    while lag < longest:
        lags.append(lag)
        lag = max(lag + 1, int(lag * _GRID))
    return sorted({*lags, max(longest - 1, 0), longest})


class _Trial:
    """Losses of the same examples with one lag after another removed."""

    def __init__(self, subject: Subject, rows: Index, how: How, seed: int) -> None:
        self.subject, self.how, self.seed = subject, how, seed
        steps = int(subject.sequence(subject.batch(rows[:1])).shape[1])
        size = max(2, min(len(rows), _AT_ONCE // max(steps, 1)))
        # Donors are of the same batch, so no batch may hold a single example.
        self.parts = np.array_split(rows, max(1, len(rows) // size))
        draws = np.random.default_rng(derive(seed, "donors"))
        self.donors = [_derangement(len(part), draws) for part in self.parts]
        self.overlap = max(1, -(-subject.overlap * len(rows) // max(subject.count, 1)))
        self.whole = self._losses(lambda batch, _: batch)
        self.rises: dict[int, Array] = {}
        self.found: Rises

    def remove(self, *lags: int) -> None:
        """Try these lags, and judge all so far."""
        for lag in lags:
            self.rises[lag] = self._losses(partial(self._changed, lag)) - self.whole
        self.rises = dict(sorted(self.rises.items()))
        self.found = judge_rises(np.stack(list(self.rises.values())), self.overlap, self.seed)

    def _changed(self, lag: int, batch: Any, part: int) -> Any:
        if self.how == "cut":
            return self.subject.cut(batch, lag)
        return self.subject.scrambled(batch, lag, self.donors[part])

    def _losses(self, change: Callable[[Any, int], Any]) -> Array:
        with torch.no_grad():
            found = [
                self.subject.losses(change(self.subject.batch(part), place)).cpu().double().numpy()
                for place, part in enumerate(self.parts)
            ]
        return np.concatenate(found)

    def worth(self) -> float:
        """The mean rise where only the last step is left."""
        return float(self.found.mean[0])

    def removals(self) -> tuple[Removal, ...]:
        """What was tried, lags rising."""
        return tuple(
            Removal(lag, *(None if np.isnan(value) else float(value) for value in row))  # type: ignore[arg-type]
            for lag, *row in zip(self.rises, *self.found, strict=True)
        )

    def costs(self) -> dict[int, bool]:
        """Lag → whether what lies beyond it costs."""
        least = max(LEAST_SHARE * self.worth(), 0.0)
        costs = (self.found.p < LEVEL) & (self.found.mean > least)  # NaN is no test and costs nothing
        return dict(zip(self.rises, costs.tolist(), strict=True))

    def bracket(self) -> tuple[int, int] | None:
        """The largest lag beyond which something costs, and the next one tried; None where nothing costs."""
        costs = self.costs()
        low = max((lag for lag, cost in costs.items() if cost), default=None)
        if low is None:
            return None
        return low, min((lag for lag in costs if lag > low), default=low)


def _derangement(count: int, draws: np.random.Generator) -> Index:
    """A permutation that leaves nothing in its place, by one cycle through all; (0,) for one example."""
    order = draws.permutation(count)
    found = np.empty(count, dtype=np.int64)
    found[order] = np.roll(order, 1)
    return found


def share_horizon(by_lag: Array, share: float) -> int:
    """The smallest lag within which this share of a curve's sum (K,) by lag 0 … K - 1 lies."""
    total = by_lag.cumsum()
    return int(np.searchsorted(total, share * total[-1]))


def gate_horizon(subject: Subject, rows: Index, threshold: float) -> Estimate:
    """The lag within which all but ``threshold`` of what the states hold at the end was written.

    Of several layers the one that reaches furthest.
    """
    name, layer = "forget gates", recurrent_layer(subject.encoder)
    if layer is None:
        return Estimate(name, None, "the encoder is not recurrent: it has no gates")
    visits: list[Visit] = []
    with torch.no_grad():
        watched = subject.with_encoder(Probe(subject.encoder, visits.append))
        watched.outputs(watched.batch(rows))
    content = content_by_lag(layer, visits[0])
    if content is None:
        return Estimate(name, None, f"a cell of kind {layer.cell.name!r} keeps nothing by a gate")
    mean = content.mean(axis=0)  # (L, T)
    lags = [share_horizon(each, 1.0 - threshold) for each in mean if each.sum() > 0]
    rule = f"{1 - threshold:.0%} of what the states hold at the end was written within this lag"
    lag = max(lags, default=0)
    return Estimate(name, lag, rule, edge=lag >= content.shape[2] - 1)


def gradient_horizon(size: Array, threshold: float) -> Estimate:
    """The lag within which all but ``threshold`` of the squared gradient lies.

    Small independent changes of the inputs move the outputs by a variance that is the sum of the squares.

    Args:
        size: (n, K) by lag 0 … K - 1, NaN where an example has no such lag. threshold: in (0, 1).
    """
    rule = f"{1 - threshold:.0%} of the squared gradient of the outputs comes from within this lag"
    square = (np.nan_to_num(size) ** 2).mean(axis=0)
    if not square.sum() > 0:
        return Estimate("gradients", None, "the gradient is zero at every lag")
    lag = share_horizon(square, 1.0 - threshold)
    return Estimate("gradients", lag, rule, edge=lag >= len(square) - 1)


def removal_estimate(ablation: Ablation) -> Estimate:
    """The estimate that an ablation gives."""
    done = "is cut off" if ablation.how == "cut" else "belongs to another example"
    rule = f"the loss rises where what is older {done}"
    return Estimate(ablation.how, ablation.horizon, rule, ablation.at_the_edge)
