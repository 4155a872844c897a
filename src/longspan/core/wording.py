"""How messages are worded: options as the user's door spells them, counts with their noun.

Most of the house does not know how the user came in. The command line says so once, by `entered_by`, and
whoever names an option in a message asks here how it is spelt.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

__all__ = ["Door", "counted", "entered_by", "nearest", "passing", "spell"]

Door = Literal["shell", "python"]
_DOOR: ContextVar[Door] = ContextVar("door", default="python")


@contextmanager
def entered_by(door: Door) -> Iterator[None]:
    """Within the block, options are spelt as this door spells them; outside of any, as Python does."""
    before = _DOOR.set(door)
    try:
        yield
    finally:
        _DOOR.reset(before)


def spell(name: str, door: Door | None = None) -> str:
    """The name of an option as the user writes it: ``--min-delta`` on the shell, ``min_delta=`` in Python.

    Args:
        name: the option, ``min_delta``.
        door: None for the one that the user came in by.
    """
    return "--" + name.replace("_", "-") if (door or _DOOR.get()) == "shell" else name + "="


def passing(name: str, value: str | bool = True, *, door: Door | None = None) -> str:
    """An option with its value, ``--missing 'n/a'`` or ``missing='n/a'``; of a switch ``--force`` or
    ``force=True``, ``--no-header`` or ``header=False``."""
    if (door or _DOOR.get()) == "python":
        return f"{spell(name, door)}{value!r}"
    if isinstance(value, bool):
        return spell(name if value else f"no_{name}", door)
    return f"{spell(name, door)} {value!r}"


def nearest(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'horizon'?`` with a space before it, or nothing where no known name is near."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {found[0]!r}?" if found else ""


def counted(count: int, noun: str) -> str:
    """A number with its noun: ``1 row``, ``2,000 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
