"""Refusals that several readers share, worded once."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence

from longspan.core.errors import DataError

__all__ = ["missing_column", "nearest", "refuse_duplicates", "select_columns"]


def nearest(name: str, have: Sequence[str]) -> str:
    """`` Did you mean 'x'?`` for the nearest of the names, or nothing."""
    folded = {other.strip().casefold(): other for other in reversed(have)}
    close = difflib.get_close_matches(name.strip().casefold(), list(folded), n=1, cutoff=0.6)
    return f" Did you mean {folded[close[0]]!r}?" if close else ""


def missing_column(name: str, have: Sequence[str], source: str) -> DataError:
    """The refusal for a column that is not there."""
    shown = ", ".join(repr(other) for other in have[:30]) + (
        f" and {len(have) - 30} more" if len(have) > 30 else ""
    )
    return DataError(
        f"expected a column {name!r}, got the columns {shown}.{nearest(name, have)}", source=source
    )


def select_columns(columns: Iterable[str] | None, have: Sequence[str], source: str) -> list[str]:
    """The wanted columns in file order (all when None); refuses one that is not there."""
    if columns is None:
        return list(have)
    wanted = set(columns)
    known = set(have)
    for name in sorted(wanted - known):
        raise missing_column(name, have, source)
    return [name for name in have if name in wanted]


def refuse_duplicates(names: Sequence[str], source: str) -> None:
    """Refuse column names that occur twice, with their positions."""
    for name, count in Counter(names).items():
        if count > 1:
            places = ", ".join(str(place + 1) for place, other in enumerate(names) if other == name)
            raise DataError(
                f"expected every column name once, got {name!r} as columns {places}. Rename all but one of "
                "them.",
                source=source,
            )
