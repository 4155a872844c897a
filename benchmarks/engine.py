"""The engine beside its peers: the rows of ``longspan bench`` against torch, onnxruntime and JAX.

Steps, inference and training: each side in a process of its own, short blocks in turns; the ratio is that to
the best peer of the row. Variants, records, ragged batches and bfloat16, which have no peer outside of torch,
are measured by ``longspan bench`` itself. docs/howto/bench.md says more.

    benchmarks/peers/setup.sh --engine                    once: the environment of onnxruntime and JAX
    python benchmarks/engine.py all
    python benchmarks/engine.py streaming training --missing    only rows that results/engine.json lacks
    python benchmarks/engine.py inference --only 1x100x64x64    one row of it
    python benchmarks/engine.py all --smoke                     tiny rows, three pairs, nothing kept
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from engine_bars import bars, show
from machine import ROOT, THREADS, Kept, describe, product_gflops
from process import Worker

_PAUSE = 0.1  # seconds before a block, so that the threads of the side before have gone to sleep
_PATIENCE = 900.0  # seconds that an answer may take; XLA compiles in it
_GATE_STEPS = 8
OURS, THEIRS = 2e-6, 1e-5  # relative RMS errors, as in longspan.bench.case
SECTIONS = ("streaming", "inference", "training", "variants", "record", "ragged")
# Interpreter ("ours" or "peers"), script and its words.
SIDES = {
    "longspan": ("ours", "engine_longspan.py"),
    "torch": ("ours", "engine_torch.py"),
    "cell-loop": ("ours", "engine_torch.py", "loop"),
    "onnxruntime": ("peers", "engine_onnxruntime.py"),
    "jax": ("peers", "engine_jax.py"),
}
# Groups of longspan.bench that run in processes; those of the other sections run inside of longspan bench.
PROCESSES = {
    "streaming": ("streaming/bound", "streaming/checked"),
    "inference": ("inference",),
    "training": ("training",),
}
INSIDE = {
    "streaming": ("streaming/bf16",),
    "variants": ("variants/coupled", "variants/four-gates"),
    "record": ("record",),
    "ragged": ("ragged/inference", "ragged/training"),
}
TINY = {"streaming": "1x1x3x8", "other": "2x5x3x8"}


def start(name: str, given: argparse.Namespace) -> Worker:
    """The process of one side."""
    whose, script, *words = SIDES[name]
    if name == "longspan" and given.backend is not None:
        words.append(given.backend)
    python = sys.executable if whose == "ours" else peers_python()
    return Worker(name, [python, script, *words], threads=given.threads, patience=_PATIENCE)


def peers_python() -> str:
    """The interpreter of the environment that ``peers/setup.sh --engine`` makes."""
    folder = os.environ.get("LONGSPAN_PEERS_ENGINE") or str(
        Path(tempfile.gettempdir()) / "longspan-peers-engine"
    )
    python = Path(folder) / "bin" / "python"
    if not python.is_file():
        raise SystemExit(
            f"no environment of the peers at {folder}: run benchmarks/peers/setup.sh --engine first, or name "
            "the sides to measure with --peer torch"
        )
    return str(python)


@contextmanager
def problem(kind: str, sizes: Sequence[int]) -> Iterator[str]:
    """A file with weights, x, dy and the truth, which is torch's in float64."""
    import torch

    B, T, I, H = sizes  # noqa: E741
    steps = _GATE_STEPS if kind in ("bound", "checked") else T
    torch.manual_seed(1)
    layer = torch.nn.LSTM(I, H)
    x = torch.randn(steps, B, I)
    arrays = {name.removesuffix("_l0"): part.detach().numpy() for name, part in layer.named_parameters()}
    arrays["x"] = x.numpy()
    layer, wide = layer.double(), x.double().requires_grad_()
    y, (h, c) = layer(wide)
    state = (1, H) if kind in ("bound", "checked") else h.shape
    truth = {"y": y, "h": h.reshape(state), "c": c.reshape(state)}
    if kind == "training":
        dy = torch.randn(T, B, H)
        arrays["dy"] = dy.numpy()
        named = {"x": wide, **dict(layer.named_parameters())}
        slopes = torch.autograd.grad(y, list(named.values()), dy.double())
        truth |= {f"gradient of {name}": part for name, part in zip(named, slopes, strict=True)}
    arrays |= {f"truth {name}": part.detach().numpy() for name, part in truth.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        np.savez(path, **arrays)
        yield str(path)


def measure(workers: Sequence[Worker], name: str, given: argparse.Namespace) -> dict[str, Any]:
    """One row: every side judged, those that pass timed in turns; the ratio of each peer is to ours."""
    group, text = name.rsplit("/", 1)
    sizes = [int(each) for each in text.split("x")]
    row: dict[str, Any] = {"group": group, "sizes": sizes, "pairs": given.pairs}
    before = product_gflops(0.3)
    kind = group.rsplit("/", maxsplit=1)[-1]
    with problem(kind, sizes) as file:
        asked = {"kind": kind, "file": file, "block": given.block}
        answers = {worker.name: judged(worker, worker.tell(prepare=asked)) for worker in workers}
    ready = [worker for worker in workers if "errors" in answers[worker.name]]
    if "errors" not in answers["longspan"]:
        return row | answers["longspan"]
    times = in_turns(ready, given)
    row |= _figures(answers, times)
    return row | {"gflops_product": {"before": before, "after": product_gflops(0.3)}}


def judged(worker: Worker, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer to ``prepare``, with ``refused`` in place of the errors where one is too large."""
    if "skipped" in answer:
        return answer
    tolerance = OURS if worker.name == "longspan" else THEIRS
    wrong = {name: error for name, error in answer["errors"].items() if error is None or error > tolerance}
    return {"refused": f"errors {wrong}, at most {tolerance:g} of the size"} if wrong else answer


def in_turns(workers: Sequence[Worker], given: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds a call of each side, one number a round; who comes first changes from round to round."""
    found: dict[str, list[float]] = {worker.name: [] for worker in workers}
    for pair in range(given.pairs):
        first = pair % len(workers)
        for worker in (*workers[first:], *workers[:first]):
            time.sleep(given.pause)
            found[worker.name].append(worker.tell(time=True)["seconds"])
    return found


def _figures(answers: dict[str, dict[str, Any]], times: dict[str, list[float]]) -> dict[str, Any]:
    """Our time, and for every peer its time and ratio, or why there is none."""
    from longspan.bench.clock import ratio

    ours = times["longspan"]
    peers = {
        name: answer | ({"us": 1e6 * statistics.median(times[name]), "ratio": list(ratio(times[name], ours)),
                         "seconds": times[name]} if name in times else {})
        for name, answer in answers.items()
        if name != "longspan"
    }  # fmt: skip
    return {"us": 1e6 * statistics.median(ours), "seconds": ours, **answers["longspan"], "peers": peers}


def inside(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """One row by ``longspan bench``, in a process of its own."""
    words = [
        "--rows",
        name,
        "--threads",
        str(given.threads),
        "--seconds",
        str(given.block * 3 * given.pairs),
        "--json",
    ]
    words += ["--backend", given.backend] if given.backend else []
    command = [sys.executable, "-m", "longspan", "bench", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)
    if done.returncode not in (0, 1) or not done.stdout.strip():
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    (row,) = found["rows"]
    before, after = found["peak"]["product"]
    row["gflops_product"] = {"before": before, "after": after}
    row["peers"] = {each.pop("name"): each for each in row.get("peers", [])}
    return dict(row)


def row_names(section: str, given: argparse.Namespace) -> list[str]:
    """Rows of a section, those that run in processes first."""
    from longspan.bench.catalogue import GROUPS

    groups = (*PROCESSES.get(section, ()), *INSIDE.get(section, ()))
    found = []
    for group in groups:
        tiny = [TINY["streaming" if group.startswith("streaming") else "other"]]
        sizes = tiny if given.smoke else ["x".join(map(str, each)) for each in GROUPS[group]]
        found += [f"{group}/{each}" for each in sizes if not given.only or each in given.only]
    return found


def run(section: str, kept: Kept, given: argparse.Namespace) -> None:
    """Measure a section; every row is kept as soon as it is done."""
    record = kept.read().get(section, {"rows": {}})
    rows, names = record["rows"], row_names(section, given)
    if given.missing:
        names = [name for name in names if "us" not in rows.get(name, {})]
    outside = [name for name in names if name.rsplit("/", 1)[0] in PROCESSES.get(section, ())]
    with ExitStack() as stack:
        sides = ["longspan", *given.peer] if outside else []
        workers = [stack.enter_context(start(name, given)) for name in sides]
        record["sides"] = record.get("sides", {}) | {worker.name: worker.about for worker in workers}
        for name in names:
            row = measure(workers, name, given) if name in outside else inside(name, given)
            rows[name] = row | {"date": datetime.now(UTC).isoformat(timespec="seconds")}
            print(f"  {name}: {told(row)}", flush=True)
            record |= {"machine": describe(), "rows": rows, "bars": bars(section, rows)}
            kept.add(section, record)
    show(bars(section, rows))


def told(row: dict[str, Any]) -> str:
    """A row in a line."""
    if "us" not in row:
        return f"no figure: {row.get('refused') or row.get('skipped')}"
    each = [
        f"{name} {peer['us']:.4g} ({peer['ratio'][0]:.2f})"
        if "us" in peer
        else f"{name} refused: {peer['refused']}"
        for name, peer in row["peers"].items()
        if "skipped" not in peer
    ]
    return f"{row['us']:.4g} µs; {', '.join(each)}"


def main() -> int:
    """Run the sections asked for; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("section", nargs="+", choices=(*SECTIONS, "all"))
    parser.add_argument("--peer", choices=[name for name in SIDES if name != "longspan"], nargs="+",
                        default=[name for name in SIDES if name != "longspan"])  # fmt: skip
    parser.add_argument("--only", nargs="+", metavar="BxTxIxH", help="rows of these sizes only")
    parser.add_argument("--pairs", type=int, default=11, help="at least nine")
    parser.add_argument("--block", type=float, default=0.1, help="seconds of a block of calls")
    parser.add_argument("--threads", type=int, default=THREADS, help="of every side")
    parser.add_argument("--backend", help="kernel of ours, such as native; the layers choose unless given")
    parser.add_argument("--missing", action="store_true", help="leave out rows that are kept already")
    parser.add_argument("--smoke", action="store_true", help="tiny rows and short blocks; nothing is kept")
    parser.set_defaults(pause=_PAUSE)
    given = parser.parse_args()
    if given.pairs < 9:
        parser.error(f"--pairs: expected at least 9, got {given.pairs}")
    if given.smoke:
        given.pairs, given.block, given.pause = 9, 0.001, 0.0
    os.chdir(ROOT)
    kept = Kept("engine", smoke=given.smoke)
    for section in SECTIONS if "all" in given.section else dict.fromkeys(given.section):
        print(section)
        run(section, kept, given)
    return kept.finish()


if __name__ == "__main__":
    raise SystemExit(main())
