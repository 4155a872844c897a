"""The record of a bench as rows for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["compared", "machine", "table", "then_and_now", "unfit"]


def table(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """One line for each side that a row stands beside; a row without figures has its reason."""
    return [line for row in record["rows"] for line in _lines(row)]


def machine(record: Mapping[str, Any]) -> dict[str, str]:
    """What the rows were measured on."""
    found, peak = record["machine"], record["peak"]
    before, after = peak["product"]
    return {
        "processor": f"{found['processor']}, {found['cores']} cores, {found['threads']} threads used",
        "engine": found["engine"],
        "torch": found["versions"]["torch"],
        "peak": f"{peak['gflops']:.0f} GFLOP/s, the fastest float32 product of 1024³",
        "torch.mm": f"{before:.0f} GFLOP/s before, {after:.0f} after",
    }


def compared(record: Mapping[str, Any]) -> dict[str, str]:
    """What an earlier result was measured on, and what makes the two hard to compare."""
    found = {"earlier result": record["with"]["date"]}
    if record["missing"]:
        found["no longer measured"] = ", ".join(record["missing"])
    return found | {f"note {number}": text for number, text in enumerate(record["notes"], start=1)}


def unfit(record: Mapping[str, Any]) -> list[str]:
    """Names of the rows whose results are wrong."""
    return [row["name"] for row in record["rows"] if "refused" in row]


def then_and_now(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """One line for each row that an earlier result has too."""
    return [
        {
            "row": row["name"],
            "µs then": _digits(row["us_then"]),
            "µs now": _digits(row["us_now"]),
            "now": f"{row['faster']:.2f} × as fast",
            "ratios": "; ".join(
                f"{name} {each['then']:.2f} then, {each['now']:.2f} now"
                for name, each in row["ratios"].items()
            ),
        }
        for row in record["rows"]
    ]


def _lines(row: Mapping[str, Any]) -> list[dict[str, str]]:
    if "us" not in row:
        reason = f"no figure: {row['refused']}" if "refused" in row else f"skipped: {row['skipped']}"
        return [_line(row["name"], result=reason)]
    share = f", {row['share']:.0%} of its steps" if "share" in row else ""
    lines = []
    for number, peer in enumerate(row["peers"]):
        first = (
            {
                "row": row["name"],
                "kernel": row["backend"],
                "µs": _digits(row["us"]),
                "GFLOP/s": f"{row['gflops']:.1f}",
                "of peak": f"{row['of_peak']:.0%}",
            }
            if number == 0
            else {}
        )
        median, low, high = peer["ratio"]
        words = "× faster" if peer["meaning"] == "speed" else "× its time"
        result = f"{median:.2f} {words} ({low:.2f} to {high:.2f})"
        result += share if peer["meaning"] == "cost" else ""
        kernel = f" [{peer['backend']}]" if peer["backend"] else ""
        lines.append(
            _line(**first, beside=peer["name"] + kernel, **{"its µs": _digits(peer["us"])}, result=result)
        )
    return lines


def _line(row: str = "", **given: str) -> dict[str, str]:
    columns = ("kernel", "µs", "GFLOP/s", "of peak", "beside", "its µs", "result")
    return {"row": row} | {name: given.get(name, "") for name in columns}


def _digits(value: float) -> str:
    """Three digits, at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
