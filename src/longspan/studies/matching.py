"""Encoders of equal size: for each the width at which its network has as many parameters as another."""

from __future__ import annotations

from collections.abc import Callable

from longspan.core.errors import InputError
from longspan.models.contest import Contestant

__all__ = ["TOLERANCE", "match", "off_by"]

TOLERANCE = 0.05
"""Up to this share of its parameters a network may be smaller or larger and still be called equal."""

_WIDEST = 1 << 16


def match(contestant: Callable[[int], Contestant], parameters: int) -> Contestant:
    """The contestant whose number of parameters is the nearest to ``parameters``, found by bisection.

    Args:
        contestant: the one of a width; the wider, the more parameters.
        parameters: wanted, of the whole network.

    Raises:
        InputError: even the widest network has too few.
    """
    least, most = 1, 1
    while contestant(most).parameters < parameters:
        least, most = most, 2 * most
        if most > _WIDEST:
            raise InputError(
                f"match: expected at most the {contestant(_WIDEST).parameters:,} parameters of width "
                f"{_WIDEST:,}, got {parameters:,}"
            )
    while most - least > 1:
        middle = (least + most) // 2
        if contestant(middle).parameters < parameters:
            least = middle
        else:
            most = middle
    ends = (contestant(least), contestant(most))
    return min(ends, key=lambda each: (abs(each.parameters - parameters), each.width))


def off_by(contestant: Contestant, parameters: int) -> float:
    """The relative difference to the number of parameters that was wanted; negative where it is smaller."""
    return contestant.parameters / parameters - 1
