"""Several networks on one problem, seed by seed: trained until right, examined on fresh draws, summed up."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from longspan.data.problems.base import Problem
from longspan.store.stage import Keeper
from longspan.studies.course import Course, Record
from longspan.studies.plan import Entrant
from longspan.studies.readers import Criterion, examine, train_reader
from longspan.studies.study import Bar, Chart, Figure, Line, Table, Value

__all__ = [
    "Heat",
    "Records",
    "median",
    "progress_chart",
    "race",
    "right_share",
    "run_heat",
    "sequences_needed",
    "solved_share",
    "summary_table",
]

Records = Mapping[str, Sequence[Record]]
"""Key of an entrant → its records, one a seed."""


@dataclass(frozen=True)
class Heat:
    """A problem that the entrants of a study are tried on.

    Attributes:
        key: begins the names of its parts.
        title: as people read it, such as ``T = 100``.
        problem: draws the sequences.
        criterion: when one is wrong.
        tests: fresh sequences that a trained network is examined on.
    """

    key: str
    title: str
    problem: Problem
    criterion: Criterion
    tests: int


def run_heat(heat: Heat, entrant: Entrant, seed: int, keeper: Keeper | None, course: Course) -> Record:
    """One entrant with one seed: `Trained.record`, and ``tests``, ``wrong`` and ``mse`` of the test."""
    small = course.scale.smoke
    training = entrant.training.small() if small else entrant.training
    found = train_reader(
        heat.problem, entrant.network, training, heat.criterion, seed, keeper=keeper, hurry=course.hurry
    )
    tests = 64 if small else heat.tests
    errors = examine(found.reader, heat.problem, tests, heat.criterion.measure, seed)
    wrong = int(heat.criterion.wrong(errors).sum())
    return found.record() | {"tests": tests, "wrong": wrong, "mse": float(np.mean(errors**2))}


def race(
    course: Course,
    heat: str,
    entrants: Sequence[Entrant],
    run: Callable[[Entrant, int, Keeper | None], Record],
) -> Records:
    """Every entrant with every seed, seed by seed, so that a short time still gives every entrant its turn.

    Args:
        course: of the study.
        heat: begins the names of the parts.
        entrants: what is trained.
        run: (entrant, seed, keeper) → a record with ``sequences`` and ``wrong``, as `run_heat` gives.
    """
    found: dict[str, list[Record]] = {each.key: [] for each in entrants}
    for place, seed in enumerate(course.scale.seeds):
        for entrant in [each for each in entrants if each.seeds is None or place < each.seeds]:
            record = course.part(
                f"{heat}-{entrant.key}-seed-{seed}",
                lambda keeper, entrant=entrant, seed=seed: run(entrant, seed, keeper),  # type: ignore[misc]
            )
            if record is not None:
                found[entrant.key].append(record)
                course.say(f"{heat}, {entrant.title}, seed {seed}: {_told(record)}")
    return found


def _told(record: Record) -> str:
    how = "solved" if record["solved"] else "diverged" if record.get("diverged") else "not solved"
    return f"{how} after {record['sequences']:,} sequences, {record['wrong']:,} of {record['tests']:,} wrong"


def right_share(
    what: str,
    records: Sequence[Record],
    published: Value = None,
    *,
    bar: Bar | None = None,
    best: bool = False,
) -> Figure:
    """The share of test sequences that are right, in percent, of the worst seed, or of the best."""
    if not records:
        return Figure(what, None, published, bar=bar)
    shares = [100.0 * (1.0 - each["wrong"] / each["tests"]) for each in records]
    low, high = min(shares), max(shares)
    ours, which = (high, "best seed") if best else (low, "worst seed")
    return Figure(f"{what}, {which}", ours, published, (low, high), bar)


def solved_share(
    what: str, records: Sequence[Record], published: Value = None, *, bar: Bar | None = None
) -> Figure:
    """The share of the seeds that solved it, in percent."""
    if not records:
        return Figure(what, None, published, bar=bar)
    solved = sum(bool(each["solved"]) for each in records)
    return Figure(what, 100.0 * solved / len(records), published, bar=bar)


def sequences_needed(
    what: str, records: Sequence[Record], published: Value = None, *, bar: Bar | None = None
) -> Figure:
    """The median number of training sequences until solved; a lower bound where one that did not decides."""
    found = median(what, records, "sequences", published, bar=bar)
    ends = [float(each["sequences"]) if each["solved"] else math.inf for each in records]
    return replace(found, censored=bool(ends) and math.isinf(statistics.median(ends)))


def median(
    what: str, records: Sequence[Record], key: str, published: Value = None, *, bar: Bar | None = None
) -> Figure:
    """The median over the seeds of one number of the records."""
    if not records:
        return Figure(what, None, published, bar=bar)
    values = [float(each[key]) for each in records]
    return Figure(f"{what}, median", statistics.median(values), published, (min(values), max(values)), bar)


def progress_chart(
    title: str, entrants: Sequence[Entrant], found: Records, mark: tuple[float, str] | None = None
) -> Chart:
    """The share wrong at each check against the sequences used, a line a seed."""
    lines = []
    for entrant in entrants:
        for record in found[entrant.key]:
            used, wrong = zip(*record["curve"], strict=True)
            lines.append(Line(entrant.title, tuple(used), tuple(wrong), entrant.ours))
    caption = (
        "Share of fresh sequences that are wrong, by the training sequences used until then; a line a seed. "
        "A line ends where its network had solved the problem, or was out of sequences."
    )
    return Chart(
        title,
        caption,
        "training sequences",
        "share wrong",
        tuple(lines),
        mark,
        log_x=True,
        range_y=(-0.02, 1.02),
    )


def summary_table(caption: str, heats: Mapping[str, Records], entrants: Sequence[Entrant]) -> Table:
    """Every heat and entrant: seeds solved, sequences, test sequences wrong, parameters, time."""
    columns = (
        "problem",
        "network",
        "solved",
        "sequences, median",
        "wrong in the test",
        "weights",
        "training, s",
    )
    rows: list[tuple[Value, ...]] = []
    for title, found in heats.items():
        for entrant in entrants:
            records = found.get(entrant.key, [])
            if records:
                rows.append((title, entrant.title, *_summary(records)))
    return Table(caption, columns, tuple(rows))


def _summary(records: Sequence[Record]) -> tuple[Value, ...]:
    def middle(key: str) -> float:
        return float(statistics.median(each[key] for each in records))

    worst, best = max(each["wrong"] for each in records), min(each["wrong"] for each in records)
    wrong = f"{best:,}" if best == worst else f"{best:,} to {worst:,}"
    return (
        f"{sum(bool(each['solved']) for each in records)} of {len(records)}",
        int(middle("sequences")),
        f"{wrong} of {records[0]['tests']:,}",
        int(middle("parameters")),
        f"{middle('seconds'):.1f}",
    )
