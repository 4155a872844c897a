"""The bars of ``engine.py``: what each row has to reach, and what one would want, by section.

A row that gives no figure, or was not measured beside the peer that its bar names, does not meet the bar. A
mean is left out until all of its rows are there.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["bars", "best_peer", "show"]

Row = Mapping[str, Any]
Rows = Mapping[str, Row]
LARGE = (
    "32x100x64x128", "64x100x128x256", "20x35x650x650", "64x100x512x512", "128x50x1024x1024",
)  # fmt: skip


def bars(section: str, rows: Rows) -> list[dict[str, Any]]:
    """The bar table of a section from its rows, by name (``GROUP/BxTxIxH``)."""
    measured = {name: row for name, row in rows.items() if "us" in row}
    unfit = [_line(f"{name}: no figure", 0.0, None) for name in rows if name not in measured]
    return [line for make in _OF[section] for line in make(measured)] + unfit


def best_peer(row: Row) -> str | None:
    """Whose median time is the shortest; None where no peer has one."""
    peers = {name: each["us"] for name, each in row["peers"].items() if "us" in each}
    return min(peers, key=lambda name: float(peers[name]), default=None)


def show(lines: Iterable[Mapping[str, Any]]) -> None:
    """Print the table: bar, want, reached, met or not."""
    lines = list(lines)
    if not lines:
        return
    width = max(len(line["what"]) for line in lines)
    print(f"  {'':<{width}}  {'bar':>8}  {'want':>8}  {'reached':>8}")
    for line in lines:
        want = "" if line["want"] is None else f"{line['sign']} {line['want']:.3g}"
        answer = ("met, and wanted" if line["wanted"] else "met") if line["held"] else "NOT MET"
        limit = f"{line['sign']} {line['limit']:.3g}"
        reached = "–" if line["reached"] is None else f"{line['reached']:.3f}"
        print(f"  {line['what']:<{width}}  {limit:>8}  {want:>8}  {reached:>8}  {answer}")


def _line(
    what: str, limit: float, reached: float | None, want: float | None = None, *, most: bool = False
) -> dict[str, Any]:
    """One bar; ``most``: the number may not be above its limit, else not below. None reaches nothing."""

    def held(bound: float) -> bool:
        return reached is not None and bool(reached <= bound if most else reached >= bound)

    return {
        "what": what,
        "sign": "≤" if most else "≥",
        "limit": limit,
        "want": want,
        "reached": reached,
        "held": held(limit),
        "wanted": want is not None and held(want),
    }


def _hidden(name: str) -> int:
    return int(name.rsplit("x", 1)[1])


def _batch(name: str) -> int:
    return int(name.rsplit("/", 1)[1].split("x", 1)[0])


def _in(rows: Rows, group: str, where: Callable[[str], bool] = lambda _name: True) -> dict[str, Row]:
    return {name: row for name, row in rows.items() if name.startswith(f"{group}/") and where(name)}


def _ratio(row: Row, peer: str, which: int = 0) -> float | None:
    """[median, low, high] of the ratio to one peer, or to the best one."""
    name = best_peer(row) if peer == "best" else peer
    found = row["peers"].get(name or "", {}).get("ratio")
    return None if found is None else float(found[which])


def _each(
    rows: Rows, peer: str, limit: float, want: float | None = None, *, most: bool = False
) -> list[dict[str, Any]]:
    found = {name: _ratio(row, peer) for name, row in rows.items()}
    return [
        _line(f"{name}, {_side(rows[name], peer)}", limit, ratio, want, most=most)
        for name, ratio in found.items()
    ]


def _side(row: Row, peer: str) -> str:
    return f"best peer ({best_peer(row)})" if peer == "best" else peer


def _mean(
    what: str, rows: Rows, peer: str, limit: float, want: float | None, expected: int
) -> list[dict[str, Any]]:
    """The geometric mean, where every row of it is there."""
    ratios = [ratio for row in rows.values() if (ratio := _ratio(row, peer)) is not None]
    return [_line(what, limit, statistics.geometric_mean(ratios), want)] if len(ratios) == expected else []


def _small_bound(rows: Rows) -> list[dict[str, Any]]:
    small = _in(rows, "streaming/bound", lambda name: _hidden(name) <= 128)
    mean = "bound step, H ≤ 128, onnxruntime with IO binding: geometric mean"
    return _each(small, "onnxruntime", 2.2, 4.0) + _mean(mean, small, "onnxruntime", 2.5, 4.0, 3)


def _small_checked(rows: Rows) -> list[dict[str, Any]]:
    small = _in(rows, "streaming/checked", lambda name: _hidden(name) <= 128)
    return _each(small, "torch", 2.5) + _each(small, "onnxruntime", 1.0)


def _large_steps(rows: Rows) -> list[dict[str, Any]]:
    return _each(_in(rows, "streaming/bound", lambda name: _hidden(name) >= 256), "best", 1.4, 2.0)


def _half(rows: Rows) -> list[dict[str, Any]]:
    return _each(_in(rows, "streaming/bf16"), "float32 weights", 1.5, 2.0)


def _single(rows: Rows) -> list[dict[str, Any]]:
    single = _in(rows, "inference", lambda name: _batch(name) == 1)
    mean = "inference, B = 1: geometric mean"
    return _each(single, "best", 1.5, 2.5) + _mean(mean, single, "best", 1.7, 2.5, 3)


def _batches(rows: Rows) -> list[dict[str, Any]]:
    of = _in(rows, "inference", lambda name: _batch(name) in (16, 32) and _hidden(name) == 64)
    return _each(of, "best", 1.3, 2.0)


def _large(rows: Rows) -> list[dict[str, Any]]:
    """Faster: the interval lies above 1. Its lower end is what is shown."""
    lines = []
    for name, row in _in(rows, "inference", lambda name: name.endswith(LARGE)).items():
        low, median = _ratio(row, "best", 1), _ratio(row, "best")
        line = _line(f"{name}, {_side(row, 'best')}: lower end of the interval", 1.0, low, 1.2)
        faster = {"held": low is not None and low > 1.0, "wanted": median is not None and median >= 1.2}
        lines.append(line | faster)
    return lines


def _training(rows: Rows) -> list[dict[str, Any]]:
    every = _in(rows, "training")
    lines = [
        line
        for name, row in every.items()
        for line in _each({name: row}, "best", 1.0, 1.3 if _hidden(name) >= 650 else None)
    ]
    return lines + _mean("training, every row: geometric mean", every, "best", 1.4, 2.0, 10)


def _variants(rows: Rows) -> list[dict[str, Any]]:
    lines = []
    for name, row in _in(rows, "variants").items():
        limit = 1.3 if _hidden(name) >= 256 else 1.6
        lines += _each({name: row}, "plain LSTM", limit, 1.1, most=True)
        lines += _each({name: row}, "torch loop", 5.0, 15.0)
    return lines


def _record(rows: Rows) -> list[dict[str, Any]]:
    return _each(_in(rows, "record"), "without record", 1.25, 1.1, most=True)


def _ragged(rows: Rows) -> list[dict[str, Any]]:
    """The time beside the full batch, over the share of real steps."""
    lines = []
    for name, row in _in(rows, "ragged").items():
        limit = {32: 1.45, 64: 1.25, 128: 1.15}.get(_batch(name))
        cost = _ratio(row, "full batch")
        if limit is not None:
            over = None if cost is None else cost / row["share"]
            lines.append(_line(f"{name}, time over share of steps", limit, over, most=True))
        lines += _each({name: row}, "pack_padded_sequence", 1.5)
    return lines


_OF: dict[str, tuple[Callable[[Rows], list[dict[str, Any]]], ...]] = {
    "streaming": (_small_bound, _small_checked, _large_steps, _half),
    "inference": (_single, _batches, _large),
    "training": (_training,),
    "variants": (_variants,),
    "record": (_record,),
    "ragged": (_ragged,),
}
