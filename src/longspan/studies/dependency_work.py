"""The sentences that everybody quotes, run: what `longspan.studies.dependency` declares."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from longspan.data.problems.sentences import LITERAL, VOCABULARY, Sentence, Sentences, encode
from longspan.models.reader import Reader, sequences
from longspan.store.stage import Keeper
from longspan.studies.course import Course, Record
from longspan.studies.dependency import ALONE, DISTANCES, NETWORKS, TESTED, TOGETHER, training
from longspan.studies.plan import Training
from longspan.studies.readers import Criterion, Trained, examine, misread_steps, train_reader
from longspan.studies.study import Bar, Chart, Figure, Findings, Line, Table

__all__ = ["long_dependency"]

_RIGHT = Criterion(misread_steps, 0.5)
_SMOKE = 8  # distances of a smoke run are cut at this


def long_dependency(course: Course) -> Findings:
    """The study ``long-dependency``."""
    together = {name: course.seeds(f"{name}-together", partial(_together, course, name)) for name in NETWORKS}
    alone = {
        (name, distance): course.seeds(f"{name}-alone-{distance}", partial(_alone, course, name, distance))
        for distance in DISTANCES
        for name in NETWORKS
    }
    return Findings(
        figures=(*_together_figures(together), *_alone_figures(alone)),
        charts=(_by_distance(together), _by_distance_alone(alone)),
        tables=(_quoted(together),),
        notes=(
            "At a distance of 2 there is no room for a clause, so its test holds the sentences of training.",
            "A name is one symbol that a net may latch: given several times as many sentences of all "
            "distances, short ones among them, the plain RNN learned the long ones too on the seed on "
            "which the settings were chosen.",
            "The start of the biases counts: on that seed an LSTM with a forget bias of 1 learned all "
            "distances together, and 10 words back alone, but neither 50 nor 200 alone.",
        ),
    )


def _together(course: Course, name: str, seed: int, keeper: Keeper | None) -> Record:
    """One network, trained on all distances."""
    longest = _SMOKE if course.scale.smoke else DISTANCES[-1]
    plan = training(name, TOGETHER, to_the_end=True)
    found = _trained(course, name, (DISTANCES[0], longest), plan, seed, keeper)
    record = found.record() | {"right": {}, "chosen": _chosen(found.reader)}
    for distance in DISTANCES:
        record["right"][str(distance)] = _right(course, found.reader, distance, seed)
    words = ", ".join(f"{distance}: {share:.1%}" for distance, share in record["right"].items())
    course.say(f"{name}, all distances, seed {seed}: {words}, {found.seconds:.0f} s")
    return record


def _alone(course: Course, name: str, distance: int, seed: int, keeper: Keeper | None) -> Record:
    """One network, trained on one distance."""
    span = min(distance, _SMOKE) if course.scale.smoke else distance
    plan = training(name, ALONE, to_the_end=False)
    found = _trained(course, name, (span, span), plan, seed, keeper)
    right = _right(course, found.reader, distance, seed)
    course.say(f"{name}, {distance} alone, seed {seed}: {right:.1%}, {found.seconds:.0f} s")
    return found.record() | {"right": right}


def _trained(
    course: Course, name: str, span: tuple[int, int], plan: Training, seed: int, keeper: Keeper | None
) -> Trained:
    return train_reader(
        Sentences(*span),
        NETWORKS[name],
        plan.small() if course.scale.smoke else plan,
        _RIGHT,
        seed,
        keeper=keeper,
        hurry=course.hurry,
    )


def _right(course: Course, reader: Reader, distance: int, seed: int) -> float:
    """Share of the test's sentences of a distance whose last word is chosen right."""
    span, count = (min(distance, _SMOKE), 32) if course.scale.smoke else (distance, TESTED)
    return float((examine(reader, Sentences(span, span, True), count, misread_steps, seed) == 0).mean())


def _chosen(reader: Reader) -> list[list[Any]]:
    """For each quoted sentence the word that is chosen, and its probability."""
    found: list[list[Any]] = []
    for text, word in LITERAL:
        drawn = sequences(encode([Sentence(tuple(text.split()), word, 0)]))
        with torch.no_grad():
            shares = reader(drawn.x, drawn.lengths)[0].softmax(dim=-1)
        place = int(shares.argmax())
        found.append([VOCABULARY[place], float(shares[place])])
    return found


def _shown(name: str) -> str:
    return name.upper()


def _together_figures(together: dict[str, list[Record]]) -> list[Figure]:
    last = str(DISTANCES[-1])
    found = []
    for name, records in together.items():
        for distance in map(str, DISTANCES):
            values = [each["right"][distance] for each in records]
            bar = {"lstm": Bar(at_least=0.99), "rnn": Bar(at_most=0.5)}[name] if distance == last else None
            worst = min if name == "lstm" else max
            found.append(
                Figure(
                    f"{_shown(name)}, trained on all distances: right word, decided {distance} words back, "
                    f"{worst.__name__} of the seeds",
                    worst(values, default=None),
                    spread=(min(values), max(values)) if values else None,
                    bar=bar,
                )
            )
    return found


def _alone_figures(alone: dict[tuple[str, int], list[Record]]) -> list[Figure]:
    found = []
    for (name, distance), records in alone.items():
        values = [each["right"] for each in records]
        solved = [each["sequences"] for each in records if each["solved"]]
        note = f"{len(solved)} of {len(records)} seeds learned it" if records else ""
        note += f", after {min(solved):,} to {max(solved):,} sentences" if solved else ""
        found.append(
            Figure(
                f"{_shown(name)}, trained on {distance} words back alone: right word, mean of the seeds",
                sum(values) / len(values) if values else None,
                spread=(min(values), max(values)) if values else None,
                note=note,
            )
        )
    return found


def _by_distance(together: dict[str, list[Record]]) -> Chart:
    x = tuple(float(distance) for distance in DISTANCES)
    lines = tuple(
        Line(_shown(name), x, tuple(each["right"][str(distance)] for distance in DISTANCES), name == "lstm")
        for name, records in together.items()
        for each in records
    )
    return _chart(
        "Trained on all distances",
        f"Share of the test's sentences with the right word, after {TOGETHER:,} sentences of all "
        "distances. A line is a seed; a guess among the 32 answers is right in 3 %.",
        lines,
    )


def _by_distance_alone(alone: dict[tuple[str, int], list[Record]]) -> Chart:
    x = tuple(float(distance) for distance in DISTANCES)
    lines = []
    for name in NETWORKS:
        runs = max(len(alone[name, distance]) for distance in DISTANCES)
        for run in range(runs):
            shares = [alone[name, distance] for distance in DISTANCES]
            y = tuple(each[run]["right"] if run < len(each) else None for each in shares)
            lines.append(Line(_shown(name), x, y, name == "lstm"))
    return _chart(
        "Trained on one distance alone",
        f"The same where each network saw sentences of that one distance only, at most {ALONE:,} of them.",
        tuple(lines),
    )


def _chart(title: str, caption: str, lines: tuple[Line, ...]) -> Chart:
    return Chart(
        title, caption, "words from the deciding word to the last one read", "share right", lines, log_x=True
    )


def _quoted(together: dict[str, list[Record]]) -> Table:
    """What the networks make of the quoted sentences, of which the one with clauses is not in training."""
    rows = [
        (
            f"{text} …",
            word,
            _shown(name),
            ", ".join(f"{each['chosen'][place][0]} ({each['chosen'][place][1]:.0%})" for each in records),
        )
        for place, (text, word) in enumerate(LITERAL)
        for name, records in together.items()
    ]
    return Table(
        "The sentences themselves, read by the networks trained on all distances: the word that each "
        "seed's network chooses, and its probability.",
        ("sentence", "right", "network", "chosen"),
        tuple(rows),
    )
