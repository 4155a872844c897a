"""An earlier result set beside a new one, row by row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longspan.bench.run import FORMAT
from longspan.core.errors import DataError

__all__ = ["compare", "read"]


def read(path: Path) -> dict[str, Any]:
    """What ``longspan bench`` wrote: its line of JSON alone, or everything up to and with that line.

    Raises:
        DataError: the file cannot be read, or its last line is no result of a bench of this version.
    """
    try:
        lines = path.read_text(encoding="utf-8").strip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"expected a result of longspan bench, but it cannot be read: {error}", source=str(path)
        ) from None
    try:
        found = json.loads(lines[-1]) if lines else None
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or found.get("bench") != "longspan":
        raise DataError(
            "expected its last line to be the JSON that longspan bench ends with, got something else. "
            "Keep one with: longspan bench --json > FILE",
            source=str(path),
        )
    if found.get("format") != FORMAT:
        raise DataError(
            f"expected format {FORMAT} of the result, got {found.get('format')!r}: it is of another version",
            source=str(path),
        )
    return found


def compare(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Rows that both have, with ``faster``, the earlier time over the new one.

    Returns:
        ``notes``: what makes times hard to compare (another machine, other threads, another speed of it), in
        words. ``rows``: name, µs then and now, ``faster``, and for each side beside ours both ratios.
        ``missing``: names of rows with a figure then and none now.
    """
    before = {row["name"]: row for row in then["rows"] if "us" in row}
    after = {row["name"]: row for row in now["rows"] if "us" in row}
    asked = {row["name"] for row in now["rows"]}
    return {
        "with": {"date": then["date"], "machine": then["machine"], "peak": then["peak"]},
        "notes": _notes(then, now),
        "rows": [_row(before[name], after[name]) for name in after if name in before],
        "missing": [name for name in before if name in asked and name not in after],
    }


def _row(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    old = {peer["name"]: peer["ratio"][0] for peer in then["peers"]}
    return {
        "name": now["name"],
        "us_then": then["us"],
        "us_now": now["us"],
        "faster": then["us"] / now["us"],
        "ratios": {
            peer["name"]: {"then": old[peer["name"]], "now": peer["ratio"][0]}
            for peer in now["peers"]
            if peer["name"] in old
        },
    }


def _notes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    found = []
    for name in ("processor", "threads"):
        old, new = then["machine"][name], now["machine"][name]
        if old != new:
            found.append(f"{name}: {old} then, {new} now; compare the ratios and not the times")
    speed = now["peak"]["gflops"] / then["peak"]["gflops"]
    if not 0.9 < speed < 1.1:
        found.append(f"the machine's own product runs at {speed:.2f} times its earlier speed")
    return found
