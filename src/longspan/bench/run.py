"""The bench: the machine's peak, then every row, gate first, and one record of it all."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch

from longspan.bench import layers, streaming, variants
from longspan.bench.case import Case, Judged, Side, UnavailableError, check
from longspan.bench.catalogue import Row, Sizes, select
from longspan.bench.clock import LEAST_PAIRS, interleaved, ratio
from longspan.bench.peak import machine, measure
from longspan.bench.settings import BenchSettings
from longspan.core.checks import known_name
from longspan.core.errors import InputError, LongspanError
from longspan.kernels.dispatch import BACKENDS, using

__all__ = ["FORMAT", "MAKERS", "bench"]

FORMAT = 1  # of the record
_PAIRS = 11
_QUICK = 0.25  # of the seconds

MAKERS: dict[str, Callable[[Sizes], Case]] = {
    "streaming/bound": streaming.bound,
    "streaming/checked": streaming.checked,
    "streaming/bf16": streaming.bf16,
    "inference": partial(layers.plain, train=False),
    "training": partial(layers.plain, train=True),
    "variants/coupled": partial(variants.variants, coupled=True),
    "variants/four-gates": partial(variants.variants, coupled=False),
    "record": layers.record,
    "ragged/inference": partial(layers.ragged, train=False),
    "ragged/training": partial(layers.ragged, train=True),
}


def bench(settings: BenchSettings, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure the rows that the settings name.

    Args:
        settings: what to measure and for how long.
        say: shows the user one line.

    Returns:
        JSON-able: ``machine``, ``peak`` (GFLOP/s) and ``rows``. A row has ``name``, ``group``, ``sizes``, and
        one of

        * ``skipped``: why it cannot be measured here;
        * ``refused``: what is wrong with the results, and no figure;
        * ``us`` (median microseconds a call), ``gflops``, ``of_peak``, ``peers``, each with ``us`` and a
          ``ratio`` [median, low, high]: how many times faster than it we are where its ``meaning`` is
          ``speed``, how many times its time we take where it is ``cost``.

    Raises:
        InputError: an unknown row or kernel.
    """
    chosen = select(settings.rows, quick=settings.quick)
    seconds = settings.seconds * (_QUICK if settings.quick else 1.0)
    with _threads(settings.threads) as threads, _backend(settings.backend):
        record: dict[str, Any] = {
            "bench": "longspan",
            "format": FORMAT,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(threads),
            "backend": settings.backend,
        }
        say("How fast this machine multiplies …")
        before = measure(min(1.0, seconds))
        found = []
        pairs, named = LEAST_PAIRS if settings.quick else _PAIRS, settings.backend is not None
        for row in chosen:
            found.append(_measured(row, seconds, pairs, named=named))
            say(f"{row.name}: {_told(found[-1])}")
        after = measure(min(1.0, seconds))
    peak = max(before.best, after.best)
    record["peak"] = {"gflops": peak, "product": [before.product, after.product]}
    record["rows"] = [_of_peak(each, peak) for each in found]
    return record


@contextlib.contextmanager
def _threads(wanted: int | None) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def _backend(name: str | None) -> contextlib.AbstractContextManager[None]:
    if name is None:
        return contextlib.nullcontext()
    return using(known_name(name, "backend", tuple(each.name for each in BACKENDS)))


def _measured(row: Row, seconds: float, pairs: int, *, named: bool) -> dict[str, Any]:
    """One row: made ready, judged, and, where the gate is green, timed; ``named``: on a kernel named."""
    found: dict[str, Any] = {"name": row.name, "group": row.group, "sizes": list(row.sizes)}
    try:
        case = MAKERS[row.group](row.sizes)
        judged = check(case)
    except UnavailableError as error:
        return found | {"skipped": str(error)}
    except LongspanError as error:
        # A kernel that the user named may lack what a row needs; whatever else is refused is a fault.
        lacking = named and isinstance(error, InputError)
        return found | {"skipped" if lacking else "refused": str(error)}
    found |= {"backend": case.ours.backend, "gate": _gate(judged), **case.facts}
    wrong = [str(each) for each in judged if not each.green]
    if wrong:
        return found | {"refused": "; ".join(wrong)}
    with torch.set_grad_enabled(case.grad):
        times = interleaved([case.ours.run, *(peer.run for peer in case.peers)], pairs, seconds)
    ours = statistics.median(times[0])
    return found | {
        "us": 1e6 * ours,
        "gflops": case.flops / ours / 1e9,
        "pairs": pairs,
        "peers": [
            _beside(peer, times[0], theirs) for peer, theirs in zip(case.peers, times[1:], strict=True)
        ],
    }


def _gate(judged: tuple[Judged, ...]) -> dict[str, Any]:
    return {
        "green": all(each.green for each in judged),
        "sides": {
            each.side: {"tensor": each.tensor, "error": each.error, "tolerance": each.tolerance}
            for each in judged
        },
    }


def _beside(peer: Side, ours: list[float], theirs: list[float]) -> dict[str, Any]:
    found = ratio(theirs, ours) if peer.meaning == "speed" else ratio(ours, theirs)
    return {
        "name": peer.name,
        "meaning": peer.meaning,
        "backend": peer.backend,
        "us": 1e6 * statistics.median(theirs),
        "ratio": list(found),
    }


def _of_peak(row: dict[str, Any], peak: float) -> dict[str, Any]:
    return row | {"of_peak": row["gflops"] / peak} if "gflops" in row else row


def _told(row: dict[str, Any]) -> str:
    for missing in ("skipped", "refused"):
        if missing in row:
            return f"{missing}: {row[missing]}"
    beside = ", ".join(f"{peer['name']} {peer['us']:.4g}" for peer in row["peers"])
    return f"{row['us']:.4g} µs; {beside}"
