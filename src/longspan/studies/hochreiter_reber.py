"""Hochreiter & Schmidhuber 1997, experiment 1: the embedded Reber grammar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from longspan.core.seeds import derive
from longspan.data.problems.reber import Strings, encode, possible, separate
from longspan.models.reader import Reader, sequences
from longspan.store.stage import Keeper
from longspan.studies import hochreiter as declared
from longspan.studies.course import Course, Record
from longspan.studies.plan import Entrant
from longspan.studies.race import progress_chart, race, sequences_needed, solved_share, summary_table
from longspan.studies.readers import train_reader
from longspan.studies.study import Bar, Findings

__all__ = ["embedded_reber", "misread", "run_reber"]

_TITLE = "Embedded Reber grammar"
_NOTES = (
    "Every training sequence counts, as often as it is shown. A seed counts as solved where all strings of "
    "the training set, of the check and of the test are right; the test's stand in neither of the others.",
    "A string is right where at every step each symbol that may come next is given a higher probability than "
    "each that may not: the publication's 'always the most active ones'.",
    "The network is shown the symbol that did come next, never the set of those that might have.",
)


def embedded_reber(course: Course) -> Findings:
    """Train every network on 256 strings, and test it on 256 others."""

    def one(entrant: Entrant, seed: int, keeper: Keeper | None) -> Record:
        return run_reber(entrant, seed, keeper, course)

    found = race(course, "reber", declared.REBER, one)
    ours, old, plain = (found[key] for key in ("lstm", "lstm-1997", "rnn"))
    figures = (
        solved_share("LSTM, % of seeds solved", ours, 100, bar=Bar(at_least=100.0)),
        sequences_needed(
            "LSTM, training sequences",
            ours,
            declared.REBER_PUBLISHED,
            bar=Bar(at_most=declared.REBER_PUBLISHED),
        ),
        solved_share("LSTM without forget gate, % of seeds solved", old, 100),
        sequences_needed("LSTM without forget gate, training sequences", old, declared.REBER_PUBLISHED),
        solved_share("plain RNN, % of seeds solved", plain, 0),
        sequences_needed("plain RNN, training sequences", plain, "> 200,000 (Elman)"),
    )
    mark = (float(declared.REBER_PUBLISHED), "LSTM, published")
    chart = progress_chart("Strings read wrongly", declared.REBER, found, mark)
    table = summary_table(
        "All networks; of weights they have equally many, to within 5 %.", {_TITLE: found}, declared.REBER
    )
    return Findings(figures, (chart,), (table,), _NOTES)


def run_reber(entrant: Entrant, seed: int, keeper: Keeper | None, course: Course) -> Record:
    """One network with one seed: `Trained.record`, and how it does on the strings of the test."""
    small = course.scale.smoke
    training = replace(entrant.training, most=40, check_every=20) if small else entrant.training
    shown, checked, tested = _string_sets(seed, small=small)

    def check(reader: Reader) -> float:
        return float(misread(reader, (*shown, *checked)).mean())

    found = train_reader(
        Strings(shown), entrant.network, training, check, seed, keeper=keeper, hurry=course.hurry
    )
    wrong = int(misread(found.reader, tested).sum())
    record = found.record()
    return record | {
        "solved": bool(record["solved"]) and wrong == 0,
        "tests": len(tested),
        "wrong": wrong,
        "wrong_shown": int(misread(found.reader, shown).sum()),
    }


def _string_sets(seed: int, *, small: bool) -> tuple[tuple[str, ...], ...]:
    """Strings to train on, to check on and to test on, all different."""
    shown, checked, tested = (8, 8, 8) if small else declared.REBER_SETS
    strings = separate(shown + checked, np.random.default_rng(derive(seed, "strings")))
    test = separate(tested, np.random.default_rng(derive(seed, "test strings")), but=strings)
    return strings[:shown], strings[shown:], test


def misread(reader: Reader, strings: Sequence[str]) -> NDArray[np.bool_]:
    """(B,) the strings in which at some step a symbol that may not come next is given at least the
    probability of one that may.
    """
    drawn, allowed = sequences(encode(strings)), torch.from_numpy(possible(strings))
    with torch.no_grad():
        given = reader(drawn.x, drawn.lengths)
    least = given.masked_fill(~allowed, torch.inf).amin(dim=-1)
    most = given.masked_fill(allowed, -torch.inf).amax(dim=-1)
    # Past the end nothing is allowed. A comparison with NaN is false, so such a step is misread.
    found: NDArray[np.bool_] = (~(least > most) & allowed.any(dim=-1)).any(dim=-1).numpy()
    return found
