"""The machine that a benchmark ran on, how fast it was just then, and where results are kept.

Wall-time caps assume 300 GFLOP/s in a 1024 × 1024 × 1024 float32 product on two threads. Machines differ and
are shared, so every benchmark measures that product before and after and scales its caps by 300 / measured.

    python benchmarks/machine.py
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
ASSUMED_GFLOPS = 300.0
THREADS = 2
_SIZE = 1024
_PACKAGES = ("longspan", "torch", "numpy", "polars", "narwhals", "pytorch-ignite", "scikit-learn")


def product_gflops(seconds: float = 1.5) -> float:
    """GFLOP/s of the product: the median of what fits into ``seconds``, at least nine, after a warm-up."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        left, right, out = (torch.rand(_SIZE, _SIZE) for _ in range(3))
        for _ in range(5):
            torch.mm(left, right, out=out)
        taken: list[float] = []
        began = time.perf_counter()
        while len(taken) < 9 or time.perf_counter() - began < seconds:
            start = time.perf_counter()
            torch.mm(left, right, out=out)
            taken.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    return 2 * _SIZE**3 / statistics.median(taken) / 1e9


def describe() -> dict[str, Any]:
    """Processor, memory, system, versions, and the commit of the checkout."""
    from longspan.core.processor import processor

    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "system": platform.platform(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
    }


def _memory_gb() -> float | None:
    info = Path("/proc/meminfo")
    if not info.is_file():
        return None
    return round(int(info.read_text(encoding="utf-8").split()[1]) / 2**20, 1)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit, with a mark where tracked files of the package differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


@contextlib.contextmanager
def measured(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Fill ``record`` with date, machine, versions, and the product before and after the block."""
    record["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    record["machine"] = describe()
    before = product_gflops()
    yield record
    after = product_gflops()
    mean = (before + after) / 2
    record["gflops"] = {"before": round(before, 1), "after": round(after, 1), "assumed": ASSUMED_GFLOPS}
    record["cap_factor"] = ASSUMED_GFLOPS / mean


class Kept:
    """The results of one benchmark, ``results/NAME.json``, one entry a section; smoke runs leave no trace.

    Args:
        name: of the benchmark.
        smoke: keep nothing.
    """

    def __init__(self, name: str, *, smoke: bool) -> None:
        self.name, self.smoke = name, smoke
        self.path = RESULTS / f"{name}.json"
        self.fresh: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """Every section kept so far; to a smoke run there is none."""
        if self.smoke:
            return {}
        return dict(json.loads(self.path.read_text(encoding="utf-8"))) if self.path.is_file() else {}

    def add(self, section: str, record: dict[str, Any]) -> None:
        """Keep a section, whole or not at all; the others stay as they are."""
        from longspan.api import plain

        record = plain(record)
        self.fresh[section] = record
        if self.smoke:
            return
        every = self.read() | {section: record}
        RESULTS.mkdir(exist_ok=True)
        unfinished = self.path.with_suffix(".json.partial")
        unfinished.write_text(json.dumps(every, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        unfinished.replace(self.path)

    def finish(self) -> int:
        """Print the line of JSON that ends every benchmark; the exit status, 0 where all bars are held."""
        held = all(row["held"] for each in self.fresh.values() for row in each["bars"])
        line = {"benchmark": self.name, "smoke": self.smoke, "all_bars_held": held, "sections": self.fresh}
        print(json.dumps(line, allow_nan=False))
        return 0 if held or self.smoke else 1


def bar(what: str, limit: float, reached: float, *, at_least: bool = False) -> dict[str, Any]:
    """One line of a bar table: a number that may not be above (or below) a limit."""
    held = bool(reached >= limit if at_least else reached <= limit)
    sign = "≥" if at_least else "≤"
    return {"what": what, "sign": sign, "limit": float(limit), "reached": float(reached), "held": held}


def show_bars(rows: list[dict[str, Any]]) -> None:
    """Print the bar table, where there is a bar."""
    if not rows:
        return
    width = max(len(row["what"]) for row in rows)
    print(f"  {'':<{width}}  {'bar':>10}  {'reached':>10}")
    for row in rows:
        limit = f"{row['sign']} {row['limit']:.4g}"
        answer = "held" if row["held"] else "MISSED"
        print(f"  {row['what']:<{width}}  {limit:>10}  {row['reached']:>10.4g}  {answer}")


def show_machine(record: dict[str, Any]) -> None:
    """Print how fast the machine was."""
    speed, machine = record["gflops"], record["machine"]
    print(
        f"  {machine['processor']}, {machine['cores']} cores; product {speed['before']} before and "
        f"{speed['after']} GFLOP/s after, caps × {record['cap_factor']:.2f}"
    )


class GateError(Exception):
    """The correctness gate of a benchmark is not green: its numbers would mean nothing."""


def gate(what: str, expected: float, got: float, tolerance: float) -> None:
    """Refuse to go on unless a known number comes out, within a relative tolerance.

    Raises:
        GateError: it does not.
    """
    if not abs(got - expected) <= tolerance * abs(expected):
        raise GateError(f"{what}: expected {expected:g} within {tolerance:.2%}, got {got:.6g}")


if __name__ == "__main__":
    found: dict[str, Any] = {}
    with measured(found):
        pass
    json.dump(found, sys.stdout, indent=1)
    print()
