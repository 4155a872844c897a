"""Hochreiter & Schmidhuber 1997: the work of the studies whose answer stands at the end of a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from longspan.data.problems.adding import Marked1997
from longspan.data.problems.lags import LongLag
from longspan.data.problems.order import TemporalOrder
from longspan.store.stage import Keeper
from longspan.studies import hochreiter as declared
from longspan.studies.course import Course, Record
from longspan.studies.plan import Entrant
from longspan.studies.race import (
    Heat,
    Records,
    median,
    progress_chart,
    race,
    right_share,
    run_heat,
    sequences_needed,
    solved_share,
    summary_table,
)
from longspan.studies.readers import Criterion, widest_error
from longspan.studies.study import Bar, Figure, Findings

__all__ = ["adding", "long_time_lags", "multiplication", "temporal_order"]

_CHECKS = (
    "The training sequences counted are all those that weights were changed by. Checks are made on fresh "
    "draws, from which nothing is learned, and tests on others again, which no choice depended on. A seed "
    "that did not solve the problem is counted with all the sequences it used."
)
_ALL, _NONE = Bar(at_least=100.0), Bar(at_most=0.0)


def adding(course: Course) -> Findings:
    """Experiment 4: T = 100, 500 and 1,000."""
    lengths = (30,) if course.scale.smoke else tuple(declared.ADDING_PUBLISHED)
    criterion = Criterion(widest_error, declared.ADDING_MARGIN)
    heats = [Heat(f"t{T}", f"T = {T:,}", Marked1997(T), criterion, declared.TESTS) for T in lengths]
    networks = [declared.entrants(declared.ADDING, 2, 1, chrono=T) for T in lengths]
    found = _run(course, heats, networks)
    figures: list[Figure] = []
    for T, (title, records) in zip(lengths, found.items(), strict=True):
        wrong, used = declared.ADDING_PUBLISHED.get(T, (None, None))
        figures += [*_of_lstm(title, records, wrong, used), *_of_old(title, records, wrong, used)]
        figures += _of_rnn(title, records, _NONE if max(lengths) == T else None)
    used_by = {f"T = {T:,}": used for T, (_, used) in declared.ADDING_PUBLISHED.items()}
    return _findings(figures, found, networks[0], used_by)


def multiplication(course: Course) -> Findings:
    """Experiment 5: one problem, and two criteria by which training ends."""
    length = 30 if course.scale.smoke else declared.MULTIPLICATION_LENGTH
    criterion = Criterion(widest_error, declared.ADDING_MARGIN)
    heats, networks = [], []
    for allowed in declared.MULTIPLICATION_PUBLISHED:
        title = f"fewer than {allowed} wrong of 2,000"
        heats.append(
            Heat(f"below-{allowed}", title, Marked1997(length, "product"), criterion, declared.TESTS)
        )
        networks.append(declared.entrants(declared.multiplication_training(allowed), 2, 1, chrono=length))
    found = _run(course, heats, networks)
    figures: list[Figure] = []
    for (title, records), (wrong, error, used) in zip(
        found.items(), declared.MULTIPLICATION_PUBLISHED.values(), strict=True
    ):
        ours, wrong_title = records["lstm"], f"{title}: LSTM, wrong of {declared.TESTS:,} tests"
        figures += [
            median(wrong_title, ours, "wrong", wrong, bar=Bar(at_most=wrong)),
            median(f"{title}: LSTM, mean squared error", ours, "mse", error, bar=Bar(at_most=error)),
            sequences_needed(f"{title}: LSTM, training sequences", ours, used, bar=Bar(at_most=used)),
            *_of_old(title, records, wrong, used),
            *_of_rnn(title, records, None),
        ]
    used_by = {
        heat.title: used
        for heat, (_, _, used) in zip(heats, declared.MULTIPLICATION_PUBLISHED.values(), strict=True)
    }
    return _findings(figures, found, networks[0], used_by)


def temporal_order(course: Course) -> Findings:
    """Experiments 6a and 6b: two and three marks."""
    criterion = Criterion(widest_error, declared.ORDER_MARGIN)
    heats = [
        Heat(f"marks-{marks}", f"{2**marks} classes", TemporalOrder(marks), criterion, declared.TESTS)
        for marks in declared.ORDER_PUBLISHED
    ]
    networks = [
        declared.entrants(declared.ORDER, 8, 2**marks, chrono=declared.ORDER_LONGEST, beside=3)
        for marks in declared.ORDER_PUBLISHED
    ]
    found = _run(course, heats, networks)
    figures: list[Figure] = []
    used_by = {}
    for (title, records), (wrong, used) in zip(found.items(), declared.ORDER_PUBLISHED.values(), strict=True):
        figures += [*_of_lstm(title, records, wrong, used), *_of_old(title, records, wrong, used)]
        figures += _of_rnn(title, records, _NONE)
        used_by[title] = used
    return _findings(figures, found, networks[0], used_by)


def long_time_lags(course: Course) -> Findings:
    """Experiment 2c: lags of q steps among p symbols."""
    rows = {(10, 5): None} if course.scale.smoke else declared.LAGS_PUBLISHED
    criterion = Criterion(widest_error, declared.LAGS_MARGIN)
    titles = {(q, p): f"lag {q:,}, {p:,} symbols" for q, p in rows}
    heats = [
        Heat(f"lag-{q}-{p}", titles[q, p], LongLag(q, p), criterion, declared.LAGS_TESTS) for q, p in rows
    ]
    networks = [declared.lag_entrants(q, p) for q, p in rows]
    found = _run(course, heats, networks)
    figures: list[Figure] = []
    for row, used in rows.items():
        records, title = found[titles[row]], titles[row]
        figures += [
            solved_share(f"{title}: LSTM, % of seeds solved", records["lstm"], 100, bar=_ALL),
            sequences_needed(f"{title}: LSTM, training sequences", records["lstm"], used, bar=_at_most(used)),
            *_of_old(title, records, None, used),
            *_of_rnn(title, records, _NONE if row[0] >= declared.LAGS_NO_RNN else None),
        ]
    return _findings(figures, found, networks[0], {titles[row]: used for row, used in rows.items()})


def _run(course: Course, heats: Sequence[Heat], networks: Sequence[Sequence[Entrant]]) -> dict[str, Records]:
    """Heat's title → the records of its race."""
    found = {}
    for heat, entrants in zip(heats, networks, strict=True):

        def one(entrant: Entrant, seed: int, keeper: Keeper | None, heat: Heat = heat) -> Record:
            return run_heat(heat, entrant, seed, keeper, course)

        found[heat.title] = race(course, heat.key, entrants, one)
    return found


def _of_lstm(title: str, records: Records, wrong: int | None, used: int | None) -> list[Figure]:
    share = None if wrong is None else 100.0 * (1.0 - wrong / declared.TESTS)
    return [
        right_share(f"{title}: LSTM, % of tests right", records["lstm"], share, bar=Bar(at_least=99.9)),
        sequences_needed(f"{title}: LSTM, training sequences", records["lstm"], used, bar=_at_most(used)),
    ]


def _of_rnn(title: str, records: Records, bar: Bar | None) -> list[Figure]:
    return [
        solved_share(f"{title}: plain RNN, % of seeds solved", records["rnn"], bar=bar),
        right_share(f"{title}: plain RNN, % of tests right", records["rnn"], best=True),
    ]


def _of_old(title: str, records: Records, wrong: int | None, used: int | None) -> list[Figure]:
    """The published cell, which had no forget gate."""
    old = f"{title}: LSTM without forget gate"
    share = None if wrong is None else 100.0 * (1.0 - wrong / declared.TESTS)
    return [
        right_share(f"{old}, % of tests right", records["lstm-1997"], share),
        sequences_needed(f"{old}, training sequences", records["lstm-1997"], used),
    ]


def _at_most(value: float | None) -> Bar | None:
    return None if value is None else Bar(at_most=value)


def _findings(
    figures: Sequence[Figure],
    found: Mapping[str, Records],
    entrants: Sequence[Entrant],
    published: Mapping[str, int | None],
) -> Findings:
    charts = []
    for title, records in found.items():
        used = published.get(title)
        mark = None if used is None else (float(used), "LSTM, published")
        charts.append(progress_chart(title, entrants, records, mark))
    table = summary_table("All networks; of weights they have equally many, to within 5 %.", found, entrants)
    return Findings(tuple(figures), tuple(charts), (table,), (_CHECKS,))
