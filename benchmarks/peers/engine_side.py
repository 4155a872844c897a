"""What the worker processes of ``engine.py`` share: the problem, the gate, and how they are told to run.

A worker reads one JSON line a command from its standard input and answers with one on what was its standard
output; whatever a library prints goes to standard error. It needs numpy only, since it also runs in the
environment of the peers.

    {"prepare": {"kind": …, "file": …, "block": seconds}}   → {"errors": {…}} or {"skipped": reason}
    {"time": true}                                          → {"seconds": of one call, over a block of calls}
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
WEIGHTS = (
    "weight_ih",
    "weight_hh",
    "bias_ih",
    "bias_hh",
)  # torch's, of one layer; gates in the order i f g o
KINDS = ("bound", "checked", "inference", "training")


class Absent(Exception):  # noqa: N818 - it is no error: a peer need not have everything
    """This side does not do this kind of row; the message says why."""


@dataclass(frozen=True)
class Problem:
    """What to compute.

    Attributes:
        kind: ``bound``, a step on buffers that are held; ``checked``, a step on new arrays; ``inference``;
            ``training``.
        weights: float32, by torch's names. x: (T, B, I); of a step (steps of the gate, 1, I).
        dy: (T, B, H), in training.
        truth: float64 results, by name; those of a step after all of x.
    """

    kind: str
    weights: Mapping[str, Array]
    x: Array
    dy: Array | None
    truth: Mapping[str, Array]

    @property
    def hidden(self) -> int:
        """H."""
        return int(self.weights["weight_hh"].shape[1])

    @property
    def streams(self) -> bool:
        """Whether a call is one step that carries its state."""
        return self.kind in ("bound", "checked")


@dataclass(frozen=True)
class Ready:
    """A problem made ready: ``run`` is one call as it is timed, ``found`` its results, named as the truth."""

    run: Callable[[], object]
    found: Callable[[], Mapping[str, Array]]


def threads() -> int:
    """How many a side may use."""
    return int(os.environ.get("OMP_NUM_THREADS", "2"))


def keep_to_cores() -> None:
    """As many cores as threads, for libraries that count cores; to be called before they are imported."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: threads()])


def read(kind: str, path: str) -> Problem:
    """The problem that ``engine.py`` wrote."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return Problem(
        kind,
        {name: arrays[name] for name in WEIGHTS},
        arrays["x"],
        arrays.get("dy"),
        {name.removeprefix("truth "): part for name, part in arrays.items() if name.startswith("truth ")},
    )


def relative_error(found: Array, truth: Array) -> float:
    """RMS of the difference over RMS of the truth; infinite where the shape is another."""
    if found.shape != truth.shape:
        return float("inf")
    return float(np.sqrt(np.mean((found.astype(np.float64) - truth) ** 2)) / np.sqrt(np.mean(truth**2)))


def fastest(ready: list[Ready], seconds: float = 0.2) -> Ready:
    """The one with the shortest call, each tried for so long."""
    return min(ready, key=lambda each: _least(each.run, seconds))


def _least(run: Callable[[], object], seconds: float) -> float:
    run()
    least, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - start)
    return least


def calls_in(run: Callable[[], object], block: float) -> int:
    """How many calls fill a block of seconds; found by doubling."""
    run()
    calls = 1
    while True:
        taken = timed(run, calls) * calls
        if taken >= block / 4 or calls >= 1 << 20:
            return max(1, round(calls * block / taken))
        calls *= 2


def warm(run: Callable[[], object], seconds: float = 0.1) -> None:
    """Call until caches are filled and the threads of a side that stood still have found their cores."""
    end = time.perf_counter() + seconds
    run()
    while time.perf_counter() < end:
        run()


def timed(run: Callable[[], object], calls: int) -> float:
    """Seconds a call."""
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def serve(make: Callable[[Problem], Ready], about: dict[str, Any]) -> None:
    """Say what this side is, then do as told until the input ends.

    Args:
        make: makes a problem ready, or raises Absent.
        about: name, versions, and whatever a reader of the result should know of this side.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=answers, flush=True)

    answer(about | {"threads": threads(), "numpy": np.__version__})
    run, calls = None, 0
    for line in sys.stdin:
        told = json.loads(line)
        if "prepare" in told:
            asked, run = told["prepare"], None
            problem = read(asked["kind"], asked["file"])
            try:
                ready = make(problem)
            except Absent as reason:
                answer({"skipped": str(reason)})
                continue
            errors = _errors(ready.found(), problem.truth)
            run, calls = ready.run, calls_in(ready.run, asked["block"])
            answer({"errors": errors})
        elif run is None:
            raise RuntimeError("told to time what is not prepared")
        else:
            warm(run)
            answer({"seconds": timed(run, calls), "calls": calls})


def _errors(found: Mapping[str, Array], truth: Mapping[str, Array]) -> dict[str, float | None]:
    """By name; None where there is no number, since JSON has no NaN."""
    errors = {
        name: relative_error(found[name], part) if name in found else float("inf")
        for name, part in truth.items()
    }
    return {name: error if np.isfinite(error) else None for name, error in errors.items()}
