"""Peak memory of one fit on a 10-million-row Parquet file of 2,000 series.

The file is written in blocks of series, seeded, to a temporary folder. ``longspan fit forecast`` with
``--time-budget 120`` runs in a process of its own; its peak resident memory is held against 2 × polars'
``estimated_size`` of the columns used + 700 MB. Writing needs pyarrow, a development requirement.

    python benchmarks/forecast_memory.py                 about four minutes
    python benchmarks/forecast_memory.py --folder DIR    keep the file there, and use it again next time
    python benchmarks/forecast_memory.py --smoke         100,000 rows, nothing kept
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import ROOT, THREADS, GateError, Kept, bar, measured, show_bars, show_machine

_COLUMNS = ("id", "time", "value")
_MB = 1e6
_ALLOWANCE = 700.0  # MB, for the interpreter, torch and a batch
_HORIZON = 24


@dataclass(frozen=True)
class Size:
    """Of the file, and how long is trained."""

    series: int
    length: int
    budget: int

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return self.series * self.length


FULL, SMOKE = Size(2000, 5000, 120), Size(40, 2500, 5)


def write_file(path: Path, size: Size) -> None:
    """Hourly values of every series, 50 series at a time; whole or not at all."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = pa.schema([("id", pa.string()), ("time", pa.timestamp("us")), ("value", pa.float64())])
    first = np.datetime64("2024-01-01T00", "us")
    hours = np.arange(size.length)
    times = first + hours * np.timedelta64(1, "h")
    unfinished = path.with_suffix(".partial")
    with pq.ParquetWriter(unfinished, kinds) as writer:
        for start in range(0, size.series, 50):
            names, values = [], []
            chosen = range(start, min(start + 50, size.series))
            for number in chosen:
                draws = np.random.default_rng([7, number])
                level, depth, phase = draws.uniform((50, 0.1, 0), (500, 0.4, 24))
                shape = 1 + depth * np.sin((hours + phase) * (2 * np.pi / 24))
                values.append(level * (shape + 0.05 * draws.standard_normal(size.length)))
                names += [f"series-{number:04d}"] * size.length
            block = {"id": names, "time": np.tile(times, len(chosen)), "value": np.concatenate(values)}
            writer.write_table(pa.table(block, schema=kinds))
    unfinished.replace(path)


def estimated_mb(path: Path) -> float:
    """What polars says of the columns used, in MB of 10⁶ bytes."""
    import polars as pl

    return pl.read_parquet(path, columns=list(_COLUMNS)).estimated_size() / _MB


def apart(work: Any, *given: Any) -> Any:
    """Call in a process of its own, so that this one stays small: a child's peak counts its parent's size."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, given)


def fit(path: Path, out: Path, size: Size) -> dict[str, Any]:
    """One fit from the shell; its peak resident memory in MB, wall seconds, and what it says of itself."""
    words = [sys.executable, "-m", "longspan", "fit", "forecast", str(path)]
    words += ["--series", "id", "--time", "time", "--target", "value", "--horizon", str(_HORIZON)]
    words += ["--device", "cpu", "--time-budget", str(size.budget), "--out", str(out), "--json", "--quiet"]
    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS), "MKL_NUM_THREADS": str(THREADS)}
    own = _resident_mb()
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(words, stdout=told, stderr=errors, env=environment, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(words)} failed: {errors.read().decode()[-3000:]}")
        info = json.loads(told.read())
    peak = usage.ru_maxrss / (_MB if sys.platform == "darwin" else _MB / 1024)
    if peak <= own:
        raise GateError(
            f"peak of the fit: expected more than the {own:.0f} MB of this process, got {peak:.0f}"
        )
    shown = ["DATA" if word == str(path) else "MODEL" if word == str(out) else word for word in words[2:]]
    return {"command": " ".join(shown), "peak_mb": peak, "seconds": wall, "info": info}


def _resident_mb() -> float:
    """Resident memory of this process; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    if not status.is_file():
        return 0.0
    return int(status.read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MB


def check(info: dict[str, Any], size: Size) -> None:
    """The gate: all rows were read, and it trained until the budget or the last step.

    Raises:
        GateError: it was not so.
    """
    rows = info["data"]["rows"]
    if rows["values"] != size.rows or rows["series"] != size.series:
        raise GateError(f"expected {size.rows:,} values of {size.series:,} series to be read, got {rows}")
    if info["training"]["steps"] < 1:
        raise GateError("expected training steps, got none")


def run(folder: Path, size: Size) -> dict[str, Any]:
    """Write the file where it is not there, fit, and compare."""
    path = folder / f"memory-{size.series}x{size.length}.parquet"
    if not path.is_file():
        print(f"  writing {size.rows:,} rows of {size.series:,} series")
        apart(write_file, path, size)
    estimate = apart(estimated_mb, path)
    limit = 2 * estimate + _ALLOWANCE
    print(f"  {path.stat().st_size / _MB:.0f} MB on disk, {estimate:.0f} MB by polars' estimated_size")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        found = fit(path, Path(place) / "model", size)
    check(found["info"], size)
    training = found["info"]["training"]
    print(
        f"  peak {found['peak_mb']:.0f} MB; {found['seconds']:.0f} s in all, {training['seconds']:.0f} s and "
        f"{training['steps']:,} steps of training, stopped by {training['stopped_by']}"
    )
    bars = [bar("peak memory, MB (2 × columns + 700)", limit, found["peak_mb"])]
    wanted = {key: found["info"][key] for key in ("data", "training", "sizes")}
    return {
        "rows": size.rows,
        "series": size.series,
        "estimated_mb": estimate,
        "file_mb": path.stat().st_size / _MB,
        "time_budget": size.budget,
        **found,
        "info": wanted,
        "bars": bars,
    }


def main() -> int:
    """Run it; 1 where the bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, help="where the file is written and kept; a temporary one")
    parser.add_argument("--missing", action="store_true", help="nothing to do where a result is kept already")
    parser.add_argument("--smoke", action="store_true", help="100,000 rows; nothing is kept")
    given = parser.parse_args()
    kept, section = Kept("forecast_memory", smoke=given.smoke), "parquet 10M rows"
    if given.missing and section in kept.read():
        print(f"{section}: kept already")
        return 0
    size = SMOKE if given.smoke else FULL
    print(section)
    record: dict[str, Any] = {}
    with measured(record), tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        record |= run(folder.resolve(), size)
    show_bars(record["bars"])
    show_machine(record)
    kept.add(section, record)
    return kept.finish()


if __name__ == "__main__":
    raise SystemExit(main())
