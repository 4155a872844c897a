"""Gradients by lag: how much the answer at the end moves with the input, and the state, k steps before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit
from torch import Tensor

from longspan.core.seeds import derive
from longspan.inspect.probe import Probe, Visit, lag_grid, recurrent_layer
from longspan.models.subject import Index, Subject

__all__ = ["LagCurve", "LagGradients", "Rate", "lag_gradients", "rate_of"]

Array = NDArray[np.float64]
_EXACT = 32  # outputs whose rows of the Jacobian are computed one by one; of more, random mixtures
_FLOOR = 1e-30  # a smaller float32 has lost its digits
_BAND = (0.1, 0.9)


@dataclass(frozen=True)
class Rate:
    """The factor by which a curve changes from one lag to the next, from a log-linear fit.

    Attributes:
        value: below 1 it vanishes with the lag, above 1 it explodes.
        low, high: 95 % interval over examples (Student's t of their slopes); with one example, of its fit.
        first, last: the lags that were fitted.
    """

    value: float
    low: float
    high: float
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class LagCurve:
    """Sizes by lag.

    Attributes:
        name: what was derived by what. lags: int64 (K,), rising.
        size: float64 (n, K) for each example, those of one length together; NaN where it has no such lag.
    """

    name: str
    lags: NDArray[np.int64]
    size: Array

    @property
    def mean(self) -> Array:
        """(K,) mean over the examples; NaN where none has the lag."""
        known = ~np.isnan(self.size)
        total, count = np.where(known, self.size, 0.0).sum(axis=0), known.sum(axis=0)
        return np.asarray(np.divide(total, count, out=np.full(len(self.lags), np.nan), where=count > 0))

    def band(self) -> tuple[Array, Array]:
        """The 10 % and 90 % points over the examples, (K,) each; NaN where no example has the lag."""
        low, high = np.full(len(self.lags), np.nan), np.full(len(self.lags), np.nan)
        there = ~np.isnan(self.size).all(axis=0)
        low[there], high[there] = np.nanquantile(self.size[:, there], _BAND, axis=0)
        return low, high

    @property
    def rate(self) -> Rate | None:
        """See `rate_of`."""
        return rate_of(self.lags, self.size)


@dataclass(frozen=True, eq=False)
class LagGradients:
    """What one model's answer depends on, by lag.

    Attributes:
        title: which model. input: |∂ outputs / ∂ x|, Frobenius norm over outputs and features, every lag.
        encoder: the same for what the encoder reads, where the past reaches the answer by other ways too.
        states: |∂ loss / ∂ state| for each state of a recurrent encoder, over all its layers, at a grid of
            lags. What reaches the answer by another state of the same step is not in it.
    """

    title: str
    input: LagCurve
    encoder: LagCurve | None = None
    states: tuple[LagCurve, ...] = ()

    @property
    def recurrent(self) -> LagCurve:
        """The curve of the encoder alone: ``encoder``, or ``input`` where that is the same."""
        return self.input if self.encoder is None else self.encoder


def lag_gradients(subject: Subject, rows: Index, title: str, seed: int = 0) -> LagGradients:
    """Gradients of the examples ``rows`` (n,).

    The norm over outputs is exact up to 32 of them; with more, E |vᵀJ|² = |J|² over 32 random signs v.
    """
    passes = [_pass(subject, group, seed) for group in _alike(subject, rows)]
    names = dict.fromkeys(name for each in passes for name in each.states)
    return LagGradients(
        title,
        _whole_curve("outputs by input", [each.inputs for each in passes]),
        None
        if passes[0].encoder is None
        else _whole_curve(
            "outputs by encoder", [each.encoder for each in passes if each.encoder is not None]
        ),
        tuple(
            _curve(f"loss by {name}", [row for each in passes for row in each.states.get(name, [])])
            for name in names
        ),
    )


def _whole_curve(name: str, parts: list[Array]) -> LagCurve:
    """A curve of every lag, from (n, T) of groups that may differ in T."""
    steps = max(each.shape[1] for each in parts)
    size = [np.pad(each, ((0, 0), (0, steps - each.shape[1])), constant_values=np.nan) for each in parts]
    return LagCurve(name, np.arange(steps), np.concatenate(size))


def _alike(subject: Subject, rows: Index) -> list[Index]:
    """Groups of examples of one length, which can be run in pieces together."""
    ends = subject.ends(subject.batch(rows)).cpu().numpy()
    return [rows[ends == end] for end in np.unique(ends)]


class _Pass(NamedTuple):
    """Of a group of n examples: (n, T) by lag; for each state the lag → size of each example."""

    inputs: Array
    encoder: Array | None
    states: dict[str, list[dict[int, float]]]


def _pass(subject: Subject, rows: Index, seed: int) -> _Pass:
    visits: list[Visit] = []
    batch = subject.batch(rows)
    sequence = subject.sequence(batch).detach().requires_grad_()
    layer = recurrent_layer(subject.encoder)
    pieces = layer is not None and not layer.bidirectional
    grid = lag_grid(sequence.shape[1] - 1).tolist() if pieces else []
    watched = subject.with_encoder(Probe(subject.encoder, visits.append, grid))
    given = watched.with_sequence(batch, sequence)
    outputs = watched.outputs(given)
    read = visits[0].x
    other_ways = read is not sequence
    sizes = _jacobian_sizes(outputs, [sequence, read] if other_ways else [sequence], seed)
    encoder = sizes[1] if other_ways else None
    if layer is None or not pieces:
        return _Pass(sizes[0], encoder, {})
    visits.clear()
    loss = watched.losses(given).sum()
    return _Pass(sizes[0], encoder, _state_gradients(loss, visits[0], layer.cell.states))


def _jacobian_sizes(outputs: Tensor, by: list[Tensor], seed: int) -> list[Array]:
    """For each of the tensors (n, T, ·): (n, T) |∂ outputs / ∂ x_t| by lag, over outputs and features."""
    count = outputs.shape[1]
    if count <= _EXACT:
        mixtures = torch.eye(count, dtype=outputs.dtype, device=outputs.device)
        share = 1.0
    else:
        draws = np.random.default_rng(derive(seed, "mixtures"))
        signs = draws.choice((-1.0, 1.0), (_EXACT, count))
        mixtures = torch.as_tensor(signs, dtype=outputs.dtype, device=outputs.device)
        share = 1.0 / _EXACT
    total = [torch.zeros(each.shape[:2], dtype=torch.float64) for each in by]  # not every device has float64
    for mixture in mixtures:
        found = torch.autograd.grad((outputs * mixture).sum(), by, retain_graph=True)
        for sums, gradient in zip(total, found, strict=True):
            sums += share * gradient.cpu().double().square().sum(dim=2)
    return [each.flip(1).sqrt().numpy() for each in total]


def _state_gradients(loss: Tensor, visit: Visit, names: tuple[str, ...]) -> dict[str, list[dict[int, float]]]:
    """For each state the size of its gradient, (lag → size) of each example."""
    parts: list[tuple[int, tuple[Tensor, ...]]] = [
        (lag, state if isinstance(state, tuple) else (state,)) for lag, state in visit.states if lag > 0
    ]
    wanted: list[Any] = [tensor for _, state in parts for tensor in state]
    if not wanted:
        return {}
    found = iter(torch.autograd.grad(loss, wanted, allow_unused=True))
    kept: dict[str, list[dict[int, float]]] = {name: [{} for _ in range(len(visit.x))] for name in names}
    for lag, state in parts:
        for name, tensor in zip(names, state, strict=True):
            gradient = next(found)
            gradient = torch.zeros_like(tensor) if gradient is None else gradient
            sizes = gradient.cpu().double().square().sum(dim=(0, 2)).sqrt()  # (L, B, H) → (B,)
            for row, size in enumerate(sizes.tolist()):
                kept[name][row][lag] = size
    return kept


def _curve(name: str, kept: list[dict[int, float]]) -> LagCurve:
    """A curve on the lags of all examples."""
    lags = sorted({lag for each in kept for lag in each})
    size = np.array([[each.get(lag, np.nan) for lag in lags] for each in kept])
    return LagCurve(name, np.array(lags, dtype=np.int64), size)


def rate_of(lags: NDArray[np.int64], size: Array) -> Rate | None:
    """Least squares of log size on the lag, over the lags from 1 on where all is above 1e-30, for each
    example; the mean of the slopes and its interval.

    None with fewer than three such lags.
    """
    usable = (lags > 0) & (np.where(np.isnan(size), 1.0, size) > _FLOOR).all(axis=0)
    if usable.sum() and not usable[lags > 0].all():  # beyond the first loss of digits nothing is fitted
        usable &= lags < lags[(lags > 0) & ~usable].min()
    fits = []
    for each in size:
        known = usable & ~np.isnan(each)
        if known.sum() >= 3:
            fits.append(_line(lags[known].astype(np.float64), np.log(each[known])))
    if not fits:
        return None
    slopes = np.array([slope for slope, _ in fits])
    mean = float(slopes.mean())
    if len(slopes) > 1:
        width = float(stdtrit(len(slopes) - 1, 0.975) * slopes.std(ddof=1) / np.sqrt(len(slopes)))
    else:
        width = fits[0][1]
    there = lags[usable]
    value, low, high = np.exp([mean, mean - width, mean + width]).tolist()
    return Rate(value, low, high, int(there.min()), int(there.max()))


def _line(x: Array, y: Array) -> tuple[float, float]:
    """Slope and half-width of its 95 % interval."""
    away = x - x.mean()
    slope = float((away * y).sum() / (away**2).sum())
    rest = y - y.mean() - slope * away
    free = len(x) - 2
    error = np.sqrt((rest**2).sum() / free / (away**2).sum()) if free else 0.0
    return slope, float(stdtrit(free, 0.975) * error) if free else 0.0
