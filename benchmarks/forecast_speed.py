"""Training wall time of the forecaster against neuralforecast's ``LSTM`` and darts' ``RNNModel``.

The same LSTM, equal gradient steps on windows of equal size, on the same panel of 400 series of 700 values.
Each side runs in a process of its own on two threads; blocks are interleaved, each pair gives one ratio, and
the median is quoted with a 95 % bootstrap interval. README.md says what is the same and what is not.

    benchmarks/peers/setup.sh                             once: the environment of the peers
    python benchmarks/forecast_speed.py                   both sizes against both peers
    python benchmarks/forecast_speed.py --peer darts --case small
    python benchmarks/forecast_speed.py --missing         only what results/forecast_speed.json lacks
    python benchmarks/forecast_speed.py --smoke           a few steps, two pairs, nothing kept
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from machine import ROOT, THREADS, GateError, Kept, bar, measured, show_bars, show_machine
from process import Worker

_PAUSE = 0.3  # seconds between blocks, so that the threads of the side before have gone to sleep
_PATIENCE = 600.0  # seconds that a block may take
PEERS = {
    "neuralforecast": ("train_neuralforecast.py",),
    "darts": ("train_darts.py", "window"),
    "darts-context": ("train_darts.py", "context"),
}
_NO_BAR = ("darts-context",)  # its windows are shorter than ours


@dataclass(frozen=True)
class Case:
    """One size: fields of ``peers/worker.py``'s Block, and the least ratio."""

    hidden: int
    context: int
    horizon: int
    batch: int
    warmup: int
    steps: int
    least: float

    def block(self) -> dict[str, int]:
        """What a worker is told."""
        return {name: value for name, value in asdict(self).items() if name != "least"}


CASES = {
    "small": Case(hidden=32, context=48, horizon=24, batch=32, warmup=20, steps=200, least=3.0),
    "large": Case(hidden=128, context=168, horizon=24, batch=128, warmup=5, steps=25, least=1.3),
}


def start(python: str, script: str, *words: str) -> Worker:
    """The process of one side."""
    return Worker(
        script, [python, script, *words], threads=THREADS, patience=_PATIENCE, folder=tempfile.gettempdir()
    )


def check(side: str, case: Case, found: dict[str, Any]) -> None:
    """The gate: a finite loss that fell, and an LSTM of the size that was asked for.

    Raises:
        GateError: one of them is not so.
    """
    hidden = case.hidden
    sizes = {4 * hidden * (inputs + hidden + 2) for inputs in (1, 2)}
    if found["lstm"] not in sizes:
        raise GateError(f"{side}: expected an LSTM of {sorted(sizes)} weights, got {found['lstm']}")
    if not np.isfinite(found["last_loss"]) or found["last_loss"] >= found["first_loss"]:
        raise GateError(
            f"{side}: expected a loss that falls, got {found['first_loss']:.5g} and then "
            f"{found['last_loss']:.5g}"
        )


def interval(ratios: list[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the median."""
    rows = np.random.default_rng(0).integers(len(ratios), size=(10_000, len(ratios)))
    low, high = np.quantile(np.median(np.asarray(ratios)[rows], axis=1), (0.025, 0.975))
    return float(low), float(high)


def versus(ours: Worker, theirs: Worker, case: Case, pairs: int) -> dict[str, Any]:
    """Interleaved pairs; the first block of each side warms it up and is not counted."""
    block, sides = case.block(), (ours, theirs)
    for worker in sides:
        check(worker.about["side"], case, worker.tell(**block))
    seconds: dict[str, list[float]] = {worker.name: [] for worker in sides}
    last: dict[str, dict[str, Any]] = {}
    for pair in range(pairs):
        for worker in sides if pair % 2 == 0 else sides[::-1]:
            time.sleep(_PAUSE)
            last[worker.name] = worker.tell(**block)
            check(worker.about["side"], case, last[worker.name])
            seconds[worker.name].append(last[worker.name]["seconds"])
        print(
            f"    pair {pair + 1} of {pairs}: {seconds[ours.name][-1]:.3f} s, "
            f"{seconds[theirs.name][-1]:.3f} s"
        )
    ratios = [
        theirs_s / ours_s for ours_s, theirs_s in zip(seconds[ours.name], seconds[theirs.name], strict=True)
    ]
    low, high = interval(ratios)
    described = {
        key: worker.about | {"seconds": seconds[worker.name], "block": last[worker.name]}
        for key, worker in (("ours", ours), ("theirs", theirs))
    }
    return described | {"ratios": ratios, "median": statistics.median(ratios), "interval": [low, high]}


def peers_python() -> str:
    """The interpreter of the environment that ``peers/setup.sh`` makes."""
    folder = os.environ.get("LONGSPAN_PEERS") or str(Path(tempfile.gettempdir()) / "longspan-peers")
    python = Path(folder) / "bin" / "python"
    if not python.is_file():
        raise SystemExit(f"no environment of the peers at {folder}: run benchmarks/peers/setup.sh first")
    return str(python)


def run(name: str, case: Case, peer: str, pairs: int) -> dict[str, Any]:
    """One section: one size against one peer."""
    size = f"H {case.hidden}, T {case.context}"
    print(f"  {size}, {case.horizon} ahead, batch {case.batch}, {case.steps} steps a block")
    record: dict[str, Any] = {"case": name, "peer": peer, "pairs": pairs, "block": case.block()}
    with (
        measured(record),
        start(sys.executable, "train_longspan.py") as ours,
        start(peers_python(), *PEERS[peer]) as theirs,
    ):
        if ours.about["data"] != theirs.about["data"]:
            raise GateError("expected the same data on both sides, got different ones")
        record |= versus(ours, theirs, case, pairs)
    low, high = record["interval"]
    each = {
        side: 1e3 * statistics.median(record[side]["seconds"]) / case.steps for side in ("ours", "theirs")
    }
    record["milliseconds_a_step"] = each
    verdict = "faster" if low > 1 else "slower" if high < 1 else "no difference seen"
    print(
        f"  {each['ours']:.2f} ms a step against {each['theirs']:.2f}: ratio {record['median']:.2f} "
        f"(95 % {low:.2f} to {high:.2f}), {verdict}"
    )
    what = f"{peer}, {size}: times faster"
    record["bars"] = [bar(what, case.least, record["median"], at_least=True)] if peer not in _NO_BAR else []
    show_bars(record["bars"])
    show_machine(record)
    return record


def main() -> int:
    """Run the sections asked for; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--peer", choices=PEERS, nargs="+", default=list(PEERS))
    parser.add_argument("--case", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--pairs", type=int, default=11, help="at least nine")
    parser.add_argument("--missing", action="store_true", help="leave out sections that are kept already")
    parser.add_argument("--smoke", action="store_true", help="a few steps, two pairs; nothing is kept")
    given = parser.parse_args()
    if given.pairs < 9:
        parser.error(f"--pairs: expected at least 9, got {given.pairs}")
    os.chdir(ROOT)
    kept = Kept("forecast_speed", smoke=given.smoke)
    done = kept.read() if given.missing else {}
    for name in given.case:
        case = replace(CASES[name], warmup=2, steps=6) if given.smoke else CASES[name]
        for peer in given.peer:
            section = f"{peer} {name}"
            print(section)
            if section in done:
                print("  kept already")
                continue
            kept.add(section, run(name, case, peer, 2 if given.smoke else given.pairs))
    return kept.finish()


if __name__ == "__main__":
    raise SystemExit(main())
