"""Heads: what the last layer's numbers mean as a distribution over the next value.

A head reads parameters ``(..., size)`` in the scaled units of a window, ``z = (y - location) / scale``, and
gives a loss, quantiles, a mean and samples. Heads come from one table by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from longspan.core.checks import choice
from longspan.core.errors import InputError
from longspan.kernels.horizon import pinball
from longspan.metrics.quantiles import mean_from_quantiles

__all__ = [
    "HEADS",
    "LEVELS",
    "Head",
    "NegativeBinomialHead",
    "QuantileHead",
    "StudentTHead",
    "build_head",
    "check_levels",
]

LEVELS = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)
_LEAST = 1e-3
Array = NDArray[np.float64]


class Head(nn.Module):
    """A distribution over the next value, in the scaled units of a window.

    Attributes:
        size: numbers that the network gives for each value.
        centred: whether windows are shifted to mean zero; a head of counts needs them scaled only.
        whole: whether values are whole numbers.
    """

    size: int
    centred: bool = True
    whole: bool = False

    def place(self, parameters: Tensor, anchor: Tensor) -> Tensor:
        """Parameters (..., size) moved so that the distribution lies around ``anchor`` (...)."""
        raise NotImplementedError(f"{type(self).__name__} must define place(parameters, anchor)")

    def loss(self, parameters: Tensor, target: Tensor, scale: Tensor) -> Tensor:
        """Loss of each target (...): parameters (..., size), scale (...) in the user's units."""
        raise NotImplementedError(f"{type(self).__name__} must define loss(parameters, target, scale)")

    def quantiles(self, parameters: Array, levels: Sequence[float], scale: Array) -> Array:
        """(..., levels) from parameters (..., size) and scale (...)."""
        raise NotImplementedError(f"{type(self).__name__} must define quantiles(parameters, levels, scale)")

    def mean(self, parameters: Array, scale: Array) -> Array:
        """(...) from parameters (..., size) and scale (...)."""
        raise NotImplementedError(f"{type(self).__name__} must define mean(parameters, scale)")

    def sample(self, parameters: Array, scale: Array, draws: np.random.Generator) -> Array:
        """One draw (...) for each distribution."""
        raise NotImplementedError(f"{type(self).__name__} must define sample(parameters, scale, draws)")


@lru_cache(64)
def _levels(levels: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Made once, since a step of a small network has no time for it."""
    return torch.tensor(levels, dtype=dtype, device=device)


class QuantileHead(Head):
    """Quantiles at fixed levels, learned by the pinball loss (Koenker & Bassett, Econometrica 1978).

    Quantiles that cross are sorted (Chernozhukov, Fernandez-Val & Galichon, Econometrica 2010). Between the
    levels the quantile function is piecewise linear, beyond them it is flat.

    Args:
        levels: increasing, in (0, 1), with 0.5 among them.
    """

    def __init__(self, levels: Sequence[float] = LEVELS) -> None:
        super().__init__()
        self.levels = check_levels(levels)
        self.size = len(self.levels)

    def place(self, parameters: Tensor, anchor: Tensor) -> Tensor:
        """Every quantile moved by the anchor."""
        return parameters + anchor[..., None]

    def loss(self, parameters: Tensor, target: Tensor, scale: Tensor) -> Tensor:  # noqa: ARG002 - heads share one form
        """The pinball loss, mean over the levels."""
        return pinball(parameters, target, self.levels_like(parameters))

    def levels_like(self, other: Tensor) -> Tensor:
        """The levels (size,), of the type and on the device of another tensor."""
        return _levels(self.levels, other.dtype, other.device)

    def quantiles(self, parameters: Array, levels: Sequence[float], scale: Array) -> Array:  # noqa: ARG002
        """Read off the piecewise linear quantile function."""
        return _interpolate(np.sort(parameters, axis=-1), self.levels, np.asarray(levels))

    def mean(self, parameters: Array, scale: Array) -> Array:  # noqa: ARG002
        """The integral of the quantile function."""
        return mean_from_quantiles(np.sort(parameters, axis=-1), self.levels)

    def sample(self, parameters: Array, scale: Array, draws: np.random.Generator) -> Array:  # noqa: ARG002
        """The quantile function at a uniform draw."""
        ordered = np.sort(parameters, axis=-1)
        uniform = draws.random(ordered.shape[:-1])
        index = np.clip(np.searchsorted(self.levels, uniform) - 1, 0, self.size - 2)
        low, high = np.asarray(self.levels)[index], np.asarray(self.levels)[index + 1]
        share = np.clip((uniform - low) / (high - low), 0.0, 1.0)
        at = np.take_along_axis
        below, above = (
            at(ordered, index[..., None], -1)[..., 0],
            at(ordered, index[..., None] + 1, -1)[..., 0],
        )
        return np.asarray(below + share * (above - below))


class StudentTHead(Head):
    """Student's t: location, scale and degrees of freedom (more than 2, so that the variance is finite)."""

    size = 3

    def place(self, parameters: Tensor, anchor: Tensor) -> Tensor:
        """The location moved by the anchor."""
        return torch.cat([parameters[..., :1] + anchor[..., None], parameters[..., 1:]], dim=-1)

    def loss(self, parameters: Tensor, target: Tensor, scale: Tensor) -> Tensor:  # noqa: ARG002
        """The negative logarithm of the density."""
        location, width, freedom = _student(parameters)
        z = (target - location) / width
        constant = _half_step(freedom / 2) - 0.5 * torch.log(math.pi * freedom)
        return torch.log(width) - constant + (freedom + 1) / 2 * torch.log1p(z * z / freedom)

    def quantiles(self, parameters: Array, levels: Sequence[float], scale: Array) -> Array:  # noqa: ARG002
        """The inverse of the distribution function."""
        from scipy import stats

        location, width, freedom = (
            each.numpy()[..., None] for each in _student(torch.from_numpy(parameters))
        )
        return np.asarray(location + width * stats.t.ppf(np.asarray(levels), freedom))

    def mean(self, parameters: Array, scale: Array) -> Array:  # noqa: ARG002
        """The location."""
        return parameters[..., 0]

    def sample(self, parameters: Array, scale: Array, draws: np.random.Generator) -> Array:  # noqa: ARG002
        """Draws from numpy's generator."""
        location, width, freedom = (each.numpy() for each in _student(torch.from_numpy(parameters)))
        return np.asarray(location + width * draws.standard_t(freedom))


class NegativeBinomialHead(Head):
    """Counts: a negative binomial with mean ``scale · m`` and shape ``a / √scale``.

    Source: Salinas, Flunkert, Gasthaus and Januschowski, "DeepAR", International Journal of Forecasting
    36 (2020), eq. 5 and section 3.3.
    """

    size = 2
    centred = False
    whole = True

    def place(self, parameters: Tensor, anchor: Tensor) -> Tensor:
        """The mean, which is positive, moved towards the anchor."""
        base = anchor.clamp(min=0.05)
        base = base + torch.log(-torch.expm1(-base))  # the inverse of softplus
        return torch.cat([parameters[..., :1] + base[..., None], parameters[..., 1:]], dim=-1)

    def loss(self, parameters: Tensor, target: Tensor, scale: Tensor) -> Tensor:
        """The negative logarithm of the probability of the count."""
        # The terms grow with the count, their sum does not: float32 would keep two digits of it at 100,000.
        wide = _wide(parameters.device)
        scale = scale.to(wide)
        mean, shape = _negative_binomial(parameters.to(wide), scale)
        count, size = target.to(wide) * scale, 1 / shape
        log_mass = torch.lgamma(count + size) - torch.lgamma(size) - torch.lgamma(count + 1)
        log_mass = log_mass - size * torch.log1p(shape * mean) - count * torch.log1p(size / mean)
        return -log_mass.to(torch.promote_types(parameters.dtype, target.dtype))

    def quantiles(self, parameters: Array, levels: Sequence[float], scale: Array) -> Array:
        """Smallest counts at which the distribution function reaches the levels, over scale."""
        from scipy import stats

        size, share = self._size_and_share(parameters, scale)
        counts = stats.nbinom.ppf(np.asarray(levels), size[..., None], share[..., None])
        return np.asarray(counts / scale[..., None])

    def mean(self, parameters: Array, scale: Array) -> Array:
        """The mean count, over scale."""
        return np.asarray(self._mean_and_shape(parameters, scale)[0] / scale)

    def sample(self, parameters: Array, scale: Array, draws: np.random.Generator) -> Array:
        """Counts over scale."""
        size, share = self._size_and_share(parameters, scale)
        return np.asarray(draws.negative_binomial(size, share) / scale)

    def _size_and_share(self, parameters: Array, scale: Array) -> tuple[Array, Array]:
        mean, shape = self._mean_and_shape(parameters, scale)
        size = 1 / shape
        return size, size / (size + mean)

    @staticmethod
    def _mean_and_shape(parameters: Array, scale: Array) -> tuple[Array, Array]:
        # torch.tensor copies: a scale that is spread over the horizon cannot be written, and torch warns.
        mean, shape = _negative_binomial(torch.tensor(parameters), torch.tensor(scale))
        return mean.numpy(), shape.numpy()


HEADS: dict[str, Callable[[Sequence[float]], Head]] = {
    "quantile": QuantileHead,
    "student-t": lambda _: StudentTHead(),
    "negative-binomial": lambda _: NegativeBinomialHead(),
}


def build_head(name: str, levels: Sequence[float] = LEVELS) -> Head:
    """A head by name; ``levels`` are those that a quantile head learns.

    Raises:
        InputError: an unknown name, or levels out of order.
    """
    choice(name, "head", "build_head", tuple(HEADS))
    return HEADS[name](levels)


def check_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """The levels as a tuple: increasing, in (0, 1), with the median among them.

    Raises:
        InputError: they are not.
    """
    found = tuple(float(level) for level in levels)
    rising = all(low < high for low, high in pairwise(found))
    if not rising or not found or not 0 < found[0] <= found[-1] < 1 or 0.5 not in found or len(found) < 2:
        raise InputError(
            f"levels: expected two or more rising numbers between 0 and 1 with 0.5 among them, got {found}"
        )
    return found


def _interpolate(ordered: Array, known: Sequence[float], wanted: Array) -> Array:
    index = np.clip(np.searchsorted(known, wanted) - 1, 0, len(known) - 2)
    low, high = np.asarray(known)[index], np.asarray(known)[index + 1]
    share = np.clip((wanted - low) / (high - low), 0.0, 1.0)
    below, above = ordered[..., index], ordered[..., index + 1]
    # Rounding must not carry a value past the knot: the next level may lie on it.
    return np.asarray(np.minimum(below + share * (above - below), above))


def _student(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Location, width > 0, and degrees of freedom > 2, each (...)."""
    location, width, freedom = parameters.unbind(-1)
    return location, F.softplus(width) + _LEAST, 2 + _LEAST + F.softplus(freedom)


def _half_step(x: Tensor) -> Tensor:
    """lgamma(x + 1/2) - lgamma(x), also for large x, where the two are nearly equal and float32 would lose
    all digits: the first terms of Tricomi and Erdélyi's series, exact to 1e-10 from 30 up.
    """
    far = x.clamp(min=30.0)
    series = 0.5 * torch.log(far) - 1 / (8 * far) + 1 / (192 * far**3)
    return torch.where(x < 30.0, torch.lgamma(x + 0.5) - torch.lgamma(x), series)


def _wide(device: torch.device) -> torch.dtype:
    """float64, but on Apple's devices, which have none."""
    return torch.float32 if device.type == "mps" else torch.float64


def _negative_binomial(parameters: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Mean > 0 in counts and shape > 0, each (...): variance = mean + shape · mean²."""
    mean, shape = parameters.unbind(-1)
    return (F.softplus(mean) + 1e-4) * scale, (F.softplus(shape) + 1e-4) / scale.sqrt()
