"""Checks of what a caller gave: each returns the value it accepts, or raises ``InputError``.

``where`` names the thing that the argument belongs to, as the caller knows it (``LSTM``, ``build_encoder``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from longspan.core.errors import InputError
from longspan.core.wording import nearest, spell

__all__ = ["boolean", "choice", "finite", "known_name", "known_options", "probability", "whole"]


def whole(value: object, name: str, where: str, *, minimum: int = 0) -> int:
    """``value`` as an int of at least ``minimum``; a bool or a float is refused."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(
            f"{where}: expected {name} to be a whole number, got {value!r} of type {type(value).__name__}"
        )
    if value < minimum:
        raise InputError(f"{where}: expected {name} of at least {minimum}, got {value}")
    return value


def boolean(value: object, name: str, where: str) -> bool:
    """``value`` if it is True or False; 0, 1 and strings are refused."""
    if not isinstance(value, bool):
        raise InputError(
            f"{where}: expected {name} to be True or False, got {value!r} of type {type(value).__name__}"
        )
    return value


def finite(value: object, name: str, where: str) -> float:
    """``value`` as a finite float; a bool, a string, NaN or infinity is refused."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{where}: expected {name} to be a finite number, got {value!r}")
    return float(value)


def probability(value: object, name: str, where: str) -> float:
    """``value`` as a float in [0, 1]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(f"{where}: expected {name} to be a probability in [0, 1], got {value!r}")
    return float(value)


def choice(value: object, name: str, where: str, choices: Sequence[str]) -> str:
    """``value`` if it is one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{where}: expected {name} to be one of {', '.join(choices)}, got {value!r}")
    return value


def known_name(value: str, option: str, names: Sequence[str]) -> str:
    """``value`` if it is one of ``names``; the refusal spells the option as the user's door does and suggests
    the nearest name."""
    if value not in names:
        hint = nearest(value, names)
        raise InputError(f"{spell(option)} expected one of {', '.join(names)}, got {value!r}.{hint}")
    return value


def known_options(given: Iterable[str], known: Sequence[str], where: str) -> None:
    """Refuse the first option that ``where`` does not have, listing those that it has."""
    for name in given:
        if name not in known:
            has = f"its options are {', '.join(known)}" if known else "it has no options"
            raise InputError(f"{where} has no option {name!r}: {has}")
