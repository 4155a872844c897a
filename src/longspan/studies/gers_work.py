"""Gers 2000, run: what `longspan.studies.gers` declares of streams without an end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longspan.core.seeds import derive
from longspan.data.problems.continual import ContinualReber, possible_next, stretches
from longspan.models.reader import Reader, Sequences
from longspan.store.stage import Keeper
from longspan.studies.course import Course, Record
from longspan.studies.gers import DOUBT, STREAM, STREAMS, TRAINED_STEPS, UNTIL
from longspan.studies.plan import Entrant
from longspan.studies.race import Records, progress_chart, race, summary_table
from longspan.studies.readers import Criterion, train_reader
from longspan.studies.study import Bar, Chart, Figure, Findings, Line, Value

__all__ = ["continual_reber", "doubt", "first_errors"]

_GOOD = 1_000  # symbols before the first error, on average
_STRETCH = 1_000  # symbols that are read at a time
_PUBLISHED: dict[str, tuple[Value, Value]] = {  # networks that are perfect, and that are good
    "forget": ("62 % (α decay), 18 % without it", "6 % (α decay), 29 % without it"),
    "lstm-1997": (0.0, 0.01),
}


def continual_reber(course: Course) -> Findings:
    """The study ``continual-reber``."""
    found = race(course, "stream", STREAM, partial(_trained, course))
    figures = [figure for entrant in STREAM for figure in _figures(entrant, found[entrant.key])]
    return Findings(
        figures=tuple(figures),
        charts=(
            _survival(found),
            progress_chart("How the streams were learned", STREAM, found),
        ),
        tables=(
            summary_table(
                f"Training on streams of {TRAINED_STEPS} symbols. A stream is wrong with one error.",
                {"streams": found},
                STREAM,
            ),
        ),
        notes=(
            "A network without forget gates can set its state back only by writing the opposite into it. "
            "Trained by whole gradients through some 35 strings some networks learn to, and the plain "
            "RNN, which piles nothing up, follows the streams as well: that streams break such nets down "
            "is true of the truncated online learning of 2000, and not of the cell alone.",
        ),
    )


def doubt(given: Tensor, drawn: Sequences) -> Tensor:
    """(B,) the greatest likelihood of a symbol that may not come, over the least of one that may; the largest
    of the steps of a stream.
    """
    possible = torch.from_numpy(possible_next(drawn.x.cpu().numpy())).to(given.device)
    least, most = _bounds(given, possible)
    return (most - least).amax(dim=-1).exp()


def _bounds(given: Tensor, possible: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T) the least score of the symbols that may come, and the greatest of those that may not."""
    least = given.masked_fill(~possible, torch.inf).amin(dim=-1)
    return least, given.masked_fill(possible, -torch.inf).amax(dim=-1)


def first_errors(
    reader: Reader, count: int, until: int, draws: np.random.Generator, stretch: int = _STRETCH
) -> NDArray[np.int64]:
    """How many symbols of each stream are read without an error; the state is carried on and never set back.

    Args:
        reader: in evaluation mode.
        count: streams beside each other.
        until: symbols of each; a whole number of stretches.
        draws: of the streams.
        stretch: symbols read at a time.

    Returns:
        (count,), at most ``until``.
    """
    found = np.full(count, until)
    state: Any = None
    with torch.no_grad():
        for start, part in zip(range(0, until, stretch), stretches(count, stretch, draws), strict=False):
            y, state = reader.encoder(torch.from_numpy(part.x), None, state)
            least, most = _bounds(reader.output(y), torch.from_numpy(part.possible))
            wrong = (least <= most).numpy()
            new = (found == until) & wrong.any(axis=1)
            found[new] = start + wrong[new].argmax(axis=1)
            if (found < until).all():
                break
    return found


def _trained(course: Course, entrant: Entrant, seed: int, keeper: Keeper | None) -> Record:
    small = course.scale.smoke
    steps, until = (40, 200) if small else (TRAINED_STEPS, UNTIL)
    found = train_reader(
        ContinualReber(steps),
        entrant.network,
        entrant.training.small() if small else entrant.training,
        Criterion(doubt, DOUBT),
        seed,
        keeper=keeper,
        hurry=course.hurry,
    )
    draws = np.random.default_rng(derive(seed, "test streams"))
    read = first_errors(found.reader, STREAMS, until, draws, min(_STRETCH, until))
    return found.record() | {
        "tests": STREAMS,
        "wrong": int((read < until).sum()),
        "read": [int(each) for each in read],
        "until": until,
    }


def _perfect(record: Record) -> bool:
    return bool(min(record["read"]) >= record["until"])


def _good(record: Record) -> bool:
    return not _perfect(record) and sum(record["read"]) / len(record["read"]) >= _GOOD


def _figures(entrant: Entrant, records: Sequence[Record]) -> list[Figure]:
    bar = {"forget": Bar(at_least=0.62), "lstm-1997": Bar(at_most=0.0)}.get(entrant.key)
    published, published_good = _PUBLISHED.get(entrant.key, (None, None))
    if not records:
        return [Figure(f"{entrant.title}: share of the networks that are perfect", None, published, bar=bar)]
    counted = [sum(map(judge, records)) for judge in (_perfect, _good)]
    means = [sum(each["read"]) / len(each["read"]) for each in records]
    first, last = records[0]["tests"], records[0]["until"]
    return [
        Figure(
            f"{entrant.title}: share of the networks that are perfect",
            counted[0] / len(records),
            published,
            bar=bar,
            note=f"{counted[0]} of {len(records)}: no error in {first} streams of {last:,} symbols",
        ),
        Figure(
            f"{entrant.title}: share that are good",
            counted[1] / len(records),
            published_good,
            note=f"{counted[1]} of {len(records)}: not perfect, {_GOOD:,} symbols or more before an error",
        ),
        Figure(
            f"{entrant.title}: symbols read before the first error, median of the networks' means",
            float(np.median(means)),
            spread=(min(means), max(means)),
        ),
    ]


def _survival(found: Records) -> Chart:
    lines = []
    for entrant in STREAM:
        read = np.sort([each for record in found[entrant.key] for each in record["read"]])
        if len(read):
            until = found[entrant.key][0]["until"]
            at = np.unique(np.geomspace(10, until, 40).astype(np.int64))
            still = [float((read >= symbols).mean()) for symbols in at]
            lines.append(Line(entrant.title, tuple(map(float, at)), tuple(still), entrant.ours))
    return Chart(
        "How long a stream is followed",
        "Share of the test's streams, over all networks of a kind, that are read without an error so "
        "far. To the left of the mark are the lengths of training.",
        "symbols read",
        "share without an error",
        tuple(lines),
        mark=(float(TRAINED_STEPS), "length of training"),
        log_x=True,
    )
