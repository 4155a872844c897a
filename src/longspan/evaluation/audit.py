"""Leakage audit: is anything known that was not known at the time? Found by changing data and looking, not by
trusting flags.

The checks take arrays and callables: whatever prepares data and forecasts can be audited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from longspan.core.errors import InputError
from longspan.evaluation.copies import Copy
from longspan.evaluation.fingerprints import SHORTEST

__all__ = [
    "Audit",
    "Finding",
    "Kind",
    "Prepared",
    "check_forecast",
    "check_last_value",
    "check_numbers",
    "check_windows",
    "copy_findings",
]

Values = NDArray[Any]
Data = TypeVar("Data")
Kind = Literal[
    "number from the future",
    "window over the cut",
    "forecast from the future",
    "last value not read",
    "same series on both sides",
    "target shifted",
]
_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One leak.

    Attributes:
        kind: which of six. where: column, series or number at fault.
        words: a sentence for people, with what to do.
    """

    kind: Kind
    where: str
    words: str


@dataclass(frozen=True)
class Audit:
    """What was checked and what was found.

    Attributes:
        findings: none where nothing leaks.
        checks: what was looked at, a line each, with the bound where not everything was.
        seconds: it took.
    """

    findings: tuple[Finding, ...]
    checks: tuple[str, ...]
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def words(self) -> tuple[str, ...]:
        """One line where nothing leaks, else one a finding."""
        if self.clean:
            return (f"audit: {len(self.checks)} checks, nothing leaks",)
        return tuple(f"audit: {each.kind}: {each.words}" for each in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain values for the record."""
        findings = [{"kind": each.kind, "where": each.where, "words": each.words} for each in self.findings]
        return {"findings": findings, "checks": list(self.checks), "seconds": round(self.seconds, 3)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The audit of `to_json`.

        Raises:
            InputError: a kind that there is not.
        """
        for each in record["findings"]:
            if each["kind"] not in get_args(Kind):
                raise InputError(
                    f"audit: expected a finding of kind {', '.join(get_args(Kind))}, got {each['kind']!r}"
                )
        findings = tuple(Finding(each["kind"], each["where"], each["words"]) for each in record["findings"])
        return cls(findings, tuple(record["checks"]), float(record["seconds"]))


class Prepared(NamedTuple):
    """What a preparation made of data.

    ``numbers``: whatever was fitted or chosen, by its name in words (``the scale of column 'load'``).
    ``windows``: name in words → (n, …), one row for each of the windows that are learned from.
    """

    numbers: Mapping[str, Values]
    windows: Mapping[str, Values]


def same_bits(one: Values, other: Values) -> bool:
    """Whether two arrays are equal in shape, type and every bit (NaN equals itself)."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.dtype.hasobject:
        return bool(one.tolist() == other.tolist())
    return np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes()


def check_numbers(before: Prepared, after: Prepared) -> Iterator[Finding]:
    """Numbers that change when nothing but values after the cut does.

    Args:
        before, after: what the preparation made of the data, and of the data with noise after the cut.
    """
    for name in sorted({*before.numbers, *after.numbers}):
        one, other = before.numbers.get(name), after.numbers.get(name)
        if one is not None and other is not None and same_bits(one, other):
            continue
        yield Finding(
            "number from the future",
            name,
            f"{name} changes with values after the cut ({_show(one)} becomes {_show(other)}). Take it from "
            "the part before the cut only",
        )


def check_windows(before: Prepared, after: Prepared) -> Iterator[Finding]:
    """Windows that are learned from and change when nothing but values after the cut does."""
    for name in sorted({*before.windows, *after.windows}):
        one, other = before.windows.get(name), after.windows.get(name)
        if one is None or other is None or one.shape != other.shape:
            shapes = " becomes ".join("none" if each is None else str(each.shape) for each in (one, other))
            words = f"{name} are others with other values after the cut ({shapes})"
        elif (changed := _changed_rows(one, other)) > 0:
            words = f"{changed:,} of {len(one):,} {name} change with values after the cut"
        else:
            continue
        yield Finding(
            "window over the cut", name, f"{words}. End every window, its future with it, before the cut"
        )


def _changed_rows(one: Values, other: Values) -> int:
    if same_bits(one, other):
        return 0
    flat = [np.ascontiguousarray(each).reshape(len(each), -1) for each in (one, other)]
    return sum(not same_bits(x, y) for x, y in zip(*flat, strict=True))


def _show(value: Values | None) -> str:
    if value is None:
        return "nothing"
    shown = np.array2string(value.ravel()[:_SHOWN], separator=", ", threshold=_SHOWN, precision=6)
    return shown[1:-1] if value.ndim == 0 or value.size == 1 else shown


def check_forecast(
    forecast: Callable[[Data], Values], data: Data, noised: Data, names: Sequence[str]
) -> Iterator[Finding]:
    """Forecasts that change when nothing but values after their origins does.

    Where the same data given again do not give the same bits (a kernel whose sums depend on where the memory
    lies), a difference counts only if it is more than ten times what such repeats differ by.

    Args:
        forecast: data → (n, …).
        data: as they are. noised: the same with noise after the origins.
        names: (n,) where each forecast is made, in words.
    """
    one, other = forecast(data), forecast(noised)
    if same_bits(one, other):
        return
    if one.shape != other.shape:
        words = f"{len(one):,} forecasts become {len(other):,} with other values after the origin"
        yield Finding("forecast from the future", "forecast", words)
        return
    repeats = [forecast(data) for _ in range(3)]
    rounding = 10 * max(float(np.nan_to_num(np.abs(each - one)).max(initial=0.0)) for each in repeats)
    away = np.abs(other - one) > rounding
    away |= np.isnan(other) != np.isnan(one)
    changed = np.flatnonzero(away.reshape(len(one), -1).any(axis=1))
    if len(changed) == 0:
        return
    where = names[int(changed[0])]
    yield Finding(
        "forecast from the future",
        where,
        f"{len(changed):,} of {len(one):,} forecasts, first that {where}, change with values after their "
        "origin. Give a forecast nothing but what was known then",
    )


def check_last_value(
    forecast: Callable[[Data], Values], data: Data, changed: Sequence[Data], names: Sequence[str]
) -> Iterator[Finding]:
    """Forecasts that stay the same when the last observation before them changes.

    Args:
        forecast: data → (n, …).
        data: as they are. changed: the same with other last observations, by a little and by much.
        names: (n,) where each forecast is made, in words.
    """
    one = forecast(data)
    moved = np.zeros(len(one), dtype=bool)
    for each in changed:
        other = forecast(each)
        if one.shape != other.shape:
            return
        moved |= [not same_bits(x, y) for x, y in zip(one, other, strict=True)]
    still = np.flatnonzero(~moved)
    if len(still):
        where = names[int(still[0])]
        yield Finding(
            "last value not read",
            where,
            f"{len(still):,} of {len(one):,} forecasts, first that {where}, do not change with the last "
            "observation: the last observation is not read. Let windows end with it",
        )


def copy_findings(found: Sequence[Copy], ids: Sequence[str]) -> Iterator[Finding]:
    """Copies in words, at most ten, and how many there are beyond."""
    kind: Kind = "same series on both sides"
    for copy in found[: 2 * _SHOWN]:
        one, other = _named(ids[copy.series]), _named(ids[copy.other])
        last = copy.other_first + copy.last - copy.first
        here = f"values {copy.first + 1:,} to {copy.last:,} of {one}"
        there = f"values {copy.other_first + 1:,} to {last:,} of {other}"
        if copy.learned:
            words = f"{here}, tested in part, are {there}, learned from{_affine(copy)}"
            advice = "Leave one of them out, or scores tell how well was copied"
        else:
            words = f"{here} are {there}{_affine(copy)}: one series under two names"
            advice = "Leave one of them out, or it counts twice in every score and test"
        yield Finding(kind, one if one == other else f"{one}, {other}", f"{words}. {advice}")
    if (more := len(found) - 2 * _SHOWN) > 0:
        yield Finding(kind, f"{more:,} more", f"{more:,} more pairs of series hold the same values")


def _named(name: str) -> str:
    return f"series {name!r}" if name else "the series"


def _affine(copy: Copy) -> str:
    parts = []
    if abs(copy.scale - 1) > 1e-9:
        parts.append(f"times {copy.scale:.4g}")
    if abs(copy.shift) > 1e-9 * max(1.0, abs(copy.scale)):
        parts.append(f"plus {copy.shift:.4g}")
    return f" ({', '.join(parts)})" if parts else ", value for value"


def search_words(searched: int, values: int) -> str:
    """What the search for copies looked at, for `Audit.checks`."""
    of = (
        f"{searched:,} values"
        if searched == values
        else f"{searched:,} of {values:,} values, the last of a sample"
    )
    return f"every tested stretch of {SHORTEST} values sought elsewhere, up to scale and shift ({of})"
