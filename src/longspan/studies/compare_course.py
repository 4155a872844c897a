"""The course of a comparison: sizes matched, simple methods, then every encoder with every seed.

What is trained in which order depends on nothing but the settings, and each training is kept as it ends, so a
comparison that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from longspan.core.errors import InputError, TrainingError
from longspan.models.backtest import member_seed
from longspan.models.contest import Contest, Contestant, Entrant, Job, SessionPart, Simple, Units
from longspan.models.session import Budget, Session
from longspan.nn.encoders import encoder_names
from longspan.store.stage import Result, Stage
from longspan.studies.compare_record import Part, Standing, spoken, title_of
from longspan.studies.compare_tests import Duel, adjust, duel, mean_loss, strongest
from longspan.studies.compare_verdict import Candidate, judge
from longspan.studies.matching import TOLERANCE, match, off_by

__all__ = ["Course", "Field", "chosen_encoders", "matched", "run_contest"]

Losses = Sequence[NDArray[np.float64]]
_RESERVE = 0.15  # of the budget, for forecasts of the test part, timings and the page


@dataclass(frozen=True)
class Field:
    """Who competes: the reference, and the others in the order of the table; notes on unequal sizes."""

    reference: Contestant
    others: tuple[Contestant, ...]
    notes: tuple[str, ...]

    @property
    def every(self) -> tuple[Contestant, ...]:
        """All of them, the reference first."""
        return (self.reference, *self.others)


@dataclass(frozen=True)
class Course:
    """What a comparison came to: its parts by growing share, the seconds allotted to each training, notes."""

    parts: tuple[Part, ...]
    allotted: float | None
    notes: tuple[str, ...]


def chosen_encoders(names: Sequence[str], reference: str) -> tuple[str, ...]:
    """The encoders of these names in the order of the table, all where none is named; always the reference.

    Raises:
        InputError: a name that is not in the table, or one twice.
    """
    known = encoder_names()
    for name in names:
        if name not in known:
            raise InputError(f"encoders: expected names among {', '.join(known)}, got {name!r}")
        if list(names).count(name) > 1:
            raise InputError(f"encoders: expected each name once, got {name!r} twice")
    return tuple(name for name in known if not names or name in names or name == reference)


def matched(contest: Contest, encoders: Sequence[str]) -> Field:
    """Every encoder with as many parameters as the reference has, as nearly as its width allows."""
    reference = contest.contestant(contest.encoder, contest.width)
    others = tuple(
        match(partial(contest.contestant, name), reference.parameters)
        for name in encoders
        if name != contest.encoder
    )
    notes = tuple(
        _size_note(each, reference) for each in others if abs(off_by(each, reference.parameters)) > TOLERANCE
    )
    return Field(reference, others, notes)


def run_contest(
    contest: Contest, field: Field, session: Session, *, seeds: int, shares: Sequence[float]
) -> Course:
    """Run all of it.

    Args:
        contest: the task with its data. field: who competes, from `matched`.
        session: seed, budget, stages.
        seeds: trainings of each encoder. shares: of the training data, the whole (1.0) last.

    Raises:
        Interrupted: SIGINT or SIGTERM in a training; what was finished is kept.
    """
    simple, notes = _simple_methods(contest, session, shares)
    count = len(shares) * seeds * len(field.every)
    allotted = _allotted(session.budget, count)
    found: dict[tuple[float, str], list[Entrant]] = {}
    failures: dict[tuple[float, str], list[str]] = {}
    done = 0
    for share in reversed(shares):  # the whole first: it is what was asked
        for number in range(seeds):
            for contestant in field.every:
                done += 1
                session.say(f"training {done} of {count}: {_words(contestant, number, share)}")
                job = Job(contestant, member_seed(session.seed, number), share, allotted)
                entrant = _enter(contest, job, number, session)
                key = (share, contestant.encoder)
                if isinstance(entrant, str):
                    failures.setdefault(key, []).append(entrant)
                else:
                    found.setdefault(key, []).append(entrant)
    parts = tuple(_part(contest, field, share, found, failures, simple[share], seeds) for share in shares)
    return Course(parts, allotted, (*field.notes, *notes, *_unequal(parts[-1])))


def _simple_methods(
    contest: Contest, session: Session, shares: Sequence[float]
) -> tuple[dict[float, tuple[Simple, ...]], tuple[str, ...]]:
    """The simple methods by share: those that learn nothing are the same whatever the share."""
    session.say("simple methods")
    whole, notes = contest.baselines(1.0, session)
    found = {1.0: whole}
    for share in shares:
        if share == 1:
            continue
        again, _ = contest.baselines(share, SessionPart.of(session, f"p{_percent(share)}-", len(shares)))
        learned = {each.name: each for each in again}
        found[share] = tuple(
            learned.get(each.name, each) for each in whole if not each.learned or each.name in learned
        )
    return found, notes


def _allotted(budget: Budget, trainings: int) -> float | None:
    """Seconds for each training: equal parts of what the simple methods left."""
    if budget.total is None:
        return None
    return max(((1 - _RESERVE) * budget.total - budget.spent) / trainings, 1e-3)


def _enter(contest: Contest, job: Job, number: int, session: Session) -> Entrant | str:
    """One training, or why it failed."""

    def work(stage: Stage | None) -> Result:
        began = time.monotonic()
        try:
            record, arrays = contest.train(job, stage, session.progress()).result()
        except TrainingError as error:
            return {"seconds": time.monotonic() - began, "failure": str(error)}, {}
        return record | {"failure": "", "budget": job.budget}, arrays

    name = f"train-{_slug(job.contestant.encoder)}-seed-{number + 1}-p{_percent(job.share)}"
    found = session.stage(name, work)
    if found[0]["failure"]:
        session.say(f"failed: {found[0]['failure']}")
        return str(found[0]["failure"])
    return Entrant.of(found)


def _part(
    contest: Contest,
    field: Field,
    share: float,
    found: dict[tuple[float, str], list[Entrant]],
    failures: dict[tuple[float, str], list[str]],
    simple: Sequence[Simple],
    seeds: int,
) -> Part:
    """The standings with one share of the training data, the duels of the reference, and the verdict."""
    networks = tuple(
        Standing.of_network(
            contest.units,
            each,
            found.get((share, each.encoder), ()),
            failures.get((share, each.encoder), ()),
            field.reference.parameters,
        )
        for each in field.every
    )
    best = strongest([each.early for each in simple])
    chosen = "" if best is None else simple[best].name
    methods = tuple(Standing.of_simple(contest.units, each) for each in simple)
    losses = {
        each.encoder: [one.losses for one in found.get((share, each.encoder), ())] for each in field.every
    }
    losses |= {each.name: [each.losses] for each in simple if each.name == chosen}
    duels = adjust(_duels(contest, field.reference.encoder, losses))
    ours = losses[field.reference.encoder]
    candidates = [_candidate(each) for each in networks]
    candidates += [
        replace(_candidate(row), beside=_beside(contest.units, ours, each.losses))
        for row, each in zip(methods, simple, strict=True)
    ]
    trained = len(found.get((share, field.reference.encoder), ()))
    verdict = judge(candidates[0], candidates[1:], duels, chosen, contest.measure, min(seeds, trained))
    return Part(share, networks, methods, chosen, duels, verdict)


def _duels(contest: Contest, reference: str, losses: Mapping[str, Losses]) -> list[Duel]:
    ours = losses[reference]
    if not ours:
        return []
    return [
        duel(contest.units, (reference, ours), (name, theirs))
        for name, theirs in losses.items()
        if name != reference and len(theirs)
    ]


def _beside(units: Units, ours: Losses, theirs: NDArray[np.float64]) -> float:
    """Our mean loss on the units that another answered; NaN where there are none."""
    if not len(ours):
        return math.nan
    return mean_loss(units, np.where(np.isnan(theirs), np.nan, np.mean(np.stack(ours), axis=0)))


def _candidate(standing: Standing) -> Candidate:
    network = standing.network
    failed = "" if network is None or not network.failures else network.failures[0]
    seconds = standing.seconds if network is None else network.seconds
    title = standing.title if network is None else spoken(standing.name)
    return Candidate(standing.name, title, standing.loss, seconds, network is not None, failed)


def _size_note(contestant: Contestant, reference: Contestant) -> str:
    off = 100 * off_by(contestant, reference.parameters)
    return (
        f"{title_of(contestant.encoder)}: {contestant.parameters:,} parameters, {off:+.1f} % of the "
        f"{reference.parameters:,} of the {title_of(reference.encoder)}; no width brings it within "
        f"{100 * TOLERANCE:g} %"
    )


def _unequal(part: Part) -> tuple[str, ...]:
    """What was not the same for all, in words."""
    notes = []
    for each in part.networks:
        network = each.network
        if network is None:
            continue
        stopped = sum(history.stopped_by == "time_budget" for history in network.histories)
        if stopped:
            notes.append(
                f"{each.title}: {stopped} of {len(network.histories)} trainings were ended by the time "
                f"budget, after {network.steps:,.0f} steps in the mean"
            )
        if network.failures:
            failed, all_of = len(network.failures), len(network.failures) + len(network.histories)
            notes.append(f"{each.title}: {failed} of {all_of} trainings failed: {network.failures[0]}")
    return tuple(notes)


def _words(contestant: Contestant, number: int, share: float) -> str:
    part = "" if share == 1 else f", {_percent(share)} % of the training data"
    return (
        f"{title_of(contestant.encoder)} of width {contestant.width:,} "
        f"({contestant.parameters:,} parameters), seed {number + 1}{part}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:g}"


def _slug(name: str) -> str:
    """As the names of stages are written."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
