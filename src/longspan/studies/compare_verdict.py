"""Is it worth it here? The answer in words, from the duels of one encoder with all others.

First the strongest simple method, then the other encoders. "Better" is said only where the adjusted p is
below 0.05 and no simple method at all has a lower loss; "no difference" means that none was shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from longspan.studies.compare_phrases import (
    all_but_exact,
    beside,
    capital,
    chance,
    joined,
    seconds,
    the,
    with_article,
)
from longspan.studies.compare_tests import Duel

__all__ = ["Candidate", "Outcome", "Verdict", "by_share", "judge"]

Outcome = Literal[
    "worth it", "no difference", "another is better", "simple is enough", "simple wins", "cannot tell"
]

_ENOUGH_SEEDS = 3


@dataclass(frozen=True)
class Candidate:
    """What the verdict knows of a contestant besides its duel.

    Args:
        name, title: key, and what people read. loss: mean on the test part; NaN where it failed.
        seconds: of training. network: an encoder, not a simple method. failed: why there is no loss.
        beside: loss of the reference on the units that a simple method answered, which may be a sample.
    """

    name: str
    title: str
    loss: float
    seconds: float
    network: bool
    failed: str = ""
    beside: float = math.nan


@dataclass(frozen=True)
class Verdict:
    """Whether the encoder is worth it.

    Args:
        outcome: in a word or two. title: the answer as a heading. words: with its reasons.
        use: name of the contestant to use; empty where it cannot be told.
    """

    outcome: Outcome
    title: str
    words: str
    use: str

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def judge(
    reference: Candidate,
    others: Sequence[Candidate],
    duels: Sequence[Duel],
    strongest: str,
    measure: str,
    seeds: int,
) -> Verdict:
    """The verdict.

    Args:
        reference: the encoder that it is about. others: all other contestants.
        duels: of the reference with other contestants, p adjusted.
        strongest: name of the baseline to beat, chosen before the test; empty where there is none.
        measure: of the losses. seeds: that were trained.
    """
    known = {each.name: each for each in others}
    case = _Case(reference, known, {each.other: each for each in duels if each.other in known}, measure)
    if math.isnan(reference.loss):
        verdict = case.unknown(f"the {reference.title} could not be trained: {reference.failed}")
    elif not case.duels:
        verdict = case.unknown("there is nothing to compare with")
    elif strongest in case.duels:
        verdict = _against_simple(case, case.duels[strongest])
    else:
        verdict = _against_networks(case, None)
    if seeds >= _ENOUGH_SEEDS or verdict.outcome == "cannot tell":
        return verdict
    few = "one seed was" if seeds == 1 else f"{seeds} seeds were"
    caution = f"Only {few} trained, fewer than {_ENOUGH_SEEDS}: other seeds may well say otherwise."
    return replace(verdict, words=f"{verdict.words} {caution}")


def by_share(verdicts: Sequence[tuple[float, Verdict]]) -> str:
    """What the verdicts of growing shares of the training data say together.

    >>> better = Verdict("worth it", "An LSTM is worth it here", "…", "lstm")
    >>> by_share([(0.1, Verdict("simple wins", "The seasonal naive wins", "…", "")), (1.0, better)])
    'With 10 % of the training data: the seasonal naive wins. With all: an LSTM is worth it here.'
    """
    parts: list[str] = []
    for share, verdict in verdicts:
        amount = "all" if share == 1 else f"{100 * share:g} %"
        of = "" if parts else " of the training data"
        parts.append(f"With {amount}{of}: {_inside(verdict.title)}.")
    return " ".join(parts)


@dataclass(frozen=True)
class _Case:
    """What is judged: the reference, all others by name, and its duels by the other's name."""

    reference: Candidate
    others: Mapping[str, Candidate]
    duels: Mapping[str, Duel]
    measure: str

    def title(self, name: str) -> str:
        return self.others[name].title

    def unknown(self, reason: str) -> Verdict:
        words = f"Cannot tell whether {with_article(self.reference.title)} is worth it: {reason}."
        return Verdict("cannot tell", "Cannot tell", words, "")

    def facts(self, duel: Duel, *, turned: bool = False) -> str:
        """``its MASE of 0.84 is 12.0 % lower than 0.95 (adjusted p = 0.003; …)``: of the reference, or of
        the other where ``turned``."""
        loss, against = (duel.against, duel.loss) if turned else (duel.loss, duel.against)
        return f"{beside(self.measure, loss, against)}{chance(duel)}"


def _against_simple(case: _Case, duel: Duel) -> Verdict:
    """The reference and the strongest simple method; where that is beaten, the other encoders."""
    simple, name = the(case.title(duel.other)), case.reference.title
    if all_but_exact(duel.loss, duel.against):
        words = (
            f"{capital(simple)} is all but exact here: its {case.measure} is {duel.against:.3g}, that of the "
            f"{name} {duel.loss:.3g}. Use it: nothing can be better."
        )
        return Verdict("simple wins", f"{capital(simple)} wins", words, duel.other)
    if duel.p is None:
        return case.unknown(duel.test)
    lower = [
        each
        for each in case.others.values()
        if not each.network and each.name != duel.other and each.loss < each.beside
    ]
    if duel.better and not lower:
        return _against_networks(case, duel)
    if duel.better:
        best = min(lower, key=lambda each: each.loss / each.beside)
        words = (
            f"The {name} beats {simple}, the strongest simple method before the test part "
            f"({case.facts(duel)}), but on the test part {the(best.title)} errs less still: {best.loss:.3g}, "
            f"where the {name} has {best.beside:.3g}. Use it: it is simpler."
        )
        return Verdict("simple is enough", f"{capital(the(best.title))} is enough", words, best.name)
    rest = _better_network(case, duel)
    if duel.worse:
        words = f"{capital(simple)} beats the {name}: {case.facts(duel, turned=True)}. Use it: it is simpler."
        return Verdict("simple wins", f"{capital(simple)} wins", words + rest, duel.other)
    words = (
        f"No difference shown between the {name} and {simple}, the strongest simple method: "
        f"{case.facts(duel)}. Use {simple}: it is simpler."
    )
    return Verdict("simple is enough", f"{capital(simple)} is enough", words + rest, duel.other)


def _better_network(case: _Case, simple: Duel) -> str:
    """A sentence on the network that errs less than the reference and the simple method, if there is one."""
    better = [
        each
        for name, each in case.duels.items()
        if case.others[name].network and each.worse and each.against < simple.against
    ]
    if not better:
        return ""
    best = min(better, key=lambda each: each.against)
    return (
        f" Of the networks the {case.title(best.other)} is better than the {case.reference.title}, and errs "
        f"less than that method too ({best.against:.3g}; this was not tested)."
    )


def _against_networks(case: _Case, simple: Duel | None) -> Verdict:
    """The reference beats the simple methods, or there are none: is it better than the other encoders?"""
    name = case.reference.title
    duels = {key: each for key, each in case.duels.items() if case.others[key].network}
    if simple is None and all(each.adjusted is None for each in duels.values()):
        return case.unknown(next(iter(duels.values())).test)
    before = ""
    if simple is not None:
        beaten = the(case.title(simple.other))
        before = f"The {name} beats {beaten}, the strongest simple method: {case.facts(simple)}. "
    winners = [each for each in duels.values() if each.worse]
    if winners:
        best = min(winners, key=lambda each: each.against)
        other = case.title(best.other)
        words = f"{before}The {other} is better than the {name}: {case.facts(best, turned=True)}."
        return Verdict("another is better", f"The {other} is better here", words, best.other)
    losers = [f"the {case.title(key)}" for key, each in duels.items() if each.better]
    ties = [case.others[key] for key, each in duels.items() if not each.better]
    tail = f"It is better than {joined(losers)} of the same size." if losers else ""
    if not ties:
        title = f"{capital(with_article(name))} is worth it here"
        return Verdict("worth it", title, (before + tail).strip(), case.reference.name)
    return _tied(case, before, ties, tail, beats=simple is not None)


def _tied(case: _Case, before: str, ties: Sequence[Candidate], tail: str, *, beats: bool) -> Verdict:
    """No encoder is better than the reference, and some are not shown to be worse: the cheapest is named."""
    name = case.reference.title
    group = (case.reference, *ties)
    cheap, dear = (pick(group, key=lambda each: each.seconds) for pick in (min, max))
    others = joined([f"the {each.title}" for each in ties])
    cost = f"The cheapest of them to train is the {cheap.title}: {seconds(cheap.seconds)}"
    if cheap.seconds < dear.seconds:
        cost += f", where the {dear.title} takes {seconds(dear.seconds)}"
    words = f"{before}No difference shown between the {name} and {others}. {cost}. {tail}".strip()
    if cheap is not case.reference:
        title = f"The {cheap.title} does as well for less"
        return Verdict("no difference", title, words, cheap.name)
    if beats:
        return Verdict("worth it", f"{capital(with_article(name))} is worth it here", words, cheap.name)
    return Verdict("no difference", f"No network is better than the {name}, or cheaper", words, cheap.name)


def _inside(title: str) -> str:
    """A heading inside a sentence; ``ARIMA …`` stays as it is."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]
