"""The rows of the speed table: what is measured, at which sizes, and under which name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from longspan.core.errors import InputError
from longspan.tasks.base import nearest

__all__ = ["GROUPS", "Row", "Sizes", "rows", "select"]

_LARGE = 2e9  # operations of a forward pass; larger rows are left out by ``quick``


class Sizes(NamedTuple):
    """Batch, time, input and hidden size of a row."""

    B: int
    T: int
    I: int  # noqa: E741 (the notation of docs/notation.md)
    H: int

    @property
    def flops(self) -> float:
        """Floating-point operations of the products of one plain forward pass: 8·B·T·H·(I+H)."""
        return 8.0 * self.B * self.T * self.H * (self.I + self.H)


class Row(NamedTuple):
    """One row: ``group`` says what is measured, ``sizes`` at which sizes."""

    group: str
    sizes: Sizes

    @property
    def name(self) -> str:
        """As the command line and the results name it, ``inference/32x100x64x128``."""
        return f"{self.group}/{'x'.join(map(str, self.sizes))}"


_SEQUENCES = tuple(
    Sizes(*each)
    for each in (
        (1, 100, 64, 64), (1, 100, 256, 256), (1, 1000, 128, 128), (16, 50, 1, 64), (32, 100, 32, 64),
        (32, 100, 64, 128), (64, 100, 128, 256), (20, 35, 650, 650), (64, 100, 512, 512),
        (128, 50, 1024, 1024),
    )
)  # fmt: skip
_STEPS = tuple(
    Sizes(1, 1, *each) for each in ((16, 32), (64, 64), (64, 128), (256, 256), (512, 512), (1024, 1024))
)
_VARIANTS = tuple(
    Sizes(*each)
    for each in (
        (32, 100, 32, 64), (32, 100, 64, 128), (64, 100, 128, 256), (20, 35, 650, 650), (64, 100, 512, 512)
    )
)  # fmt: skip
_RECORDS = tuple(
    Sizes(*each)
    for each in ((1, 1000, 128, 128), (32, 100, 64, 128), (64, 100, 128, 256), (64, 100, 512, 512))
)
_RAGGED = tuple(Sizes(batch, 100, 64, 128) for batch in (32, 64, 128))

GROUPS: dict[str, tuple[Sizes, ...]] = {
    "streaming/bound": _STEPS,
    "streaming/checked": _STEPS,
    "streaming/bf16": _STEPS[-2:],
    "inference": _SEQUENCES,
    "training": _SEQUENCES,
    "variants/coupled": _VARIANTS,
    "variants/four-gates": _VARIANTS,
    "record": _RECORDS,
    "ragged/inference": _RAGGED,
    "ragged/training": _RAGGED,
}


def rows() -> tuple[Row, ...]:
    """Every row of the table, in its order."""
    return tuple(Row(group, sizes) for group, every in GROUPS.items() for sizes in every)


def select(names: Sequence[str], *, quick: bool = False) -> tuple[Row, ...]:
    """The rows of these names: a group, the first part of one, or a row of any sizes.

    Args:
        names: none means all.
        quick: leave large rows out, unless they are named with their sizes.

    Raises:
        InputError: a name that is none of these, or ``quick`` leaves nothing.
    """
    found: dict[Row, None] = {}
    for name in names or ("",):
        found.update(dict.fromkeys(_named(name, quick=quick)))
    if not found:
        raise InputError(f"--quick leaves none of the rows {', '.join(names)}: name one with its sizes")
    return tuple(found)


def _named(name: str, *, quick: bool) -> tuple[Row, ...]:
    group, _, text = name.rpartition("/")
    if group in GROUPS and re.fullmatch(r"[1-9]\d{0,6}(x[1-9]\d{0,6}){3}", text):
        sizes = Sizes(*map(int, text.split("x")))
        if group.startswith("streaming") and (sizes.B, sizes.T) != (1, 1):
            raise InputError(
                f"--rows {name}: expected a batch and a time of 1 in a streaming row, got {text}"
            )
        return (Row(group, sizes),)
    found = tuple(row for row in rows() if not name or f"{row.name}/".startswith(f"{name}/"))
    if not found:
        raise InputError(
            f"--rows: there is no row {name!r}.{nearest(name, GROUPS)} Groups: {', '.join(GROUPS)}; a row is "
            "GROUP/BxTxIxH, such as training/32x100x64x128"
        )
    return tuple(row for row in found if not quick or row.sizes.flops <= _LARGE)
