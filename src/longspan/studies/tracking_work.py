"""State tracking, run: what `longspan.studies.tracking` declares."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from longspan.core.seeds import derive
from longspan.data.problems.groups import Group, GroupWord, cyclic, symmetric
from longspan.models.reader import Reader, Sequences, sequences
from longspan.store.stage import Keeper
from longspan.studies.course import Course, Record
from longspan.studies.readers import Criterion, examine, misread_steps, train_reader
from longspan.studies.study import Bar, Chart, Figure, Findings, Line
from longspan.studies.tracking import LONGEST, MARGIN, NETWORKS, SHORTEST, TESTED, TRAININGS

__all__ = ["least_sure", "misread_end", "parity", "s3"]

_BAR = 0.999
_PUBLISHED = "1.000 (recurrent xLSTM)"
_CURVE_WORDS = 256  # that the curve over the steps is drawn of
_AT_A_TIME = 16  # of the greatest length, for attention takes much room
_BINS = (1, 10, 20, 40, 60, 80, 120, 180, 256, 384, 512, 768, 1_024, 1_536, 2_048)


def parity(course: Course) -> Findings:
    """The study ``parity``."""
    return _tracked(course, cyclic(2))


def s3(course: Course) -> Findings:
    """The study ``s3``."""
    return _tracked(course, symmetric(3))


def least_sure(given: Tensor, drawn: Sequences) -> Tensor:
    """(B,) one less the smallest probability that a right answer of a word has."""
    missing = 1.0 - given.softmax(dim=-1).gather(-1, drawn.target[..., None])[..., 0]
    return (missing if drawn.scored is None else missing * drawn.scored).amax(dim=-1)


def misread_end(given: Tensor, drawn: Sequences) -> Tensor:
    """(B,) 1 where the answer at the last step of a word is wrong, else 0."""
    rows = torch.arange(len(given), device=given.device)
    ends = torch.full_like(rows, given.shape[1] - 1) if drawn.lengths is None else drawn.lengths - 1
    return (given[rows, ends].argmax(dim=-1) != drawn.target[rows, ends]).float()


def _tracked(course: Course, group: Group) -> Findings:
    records = {name: course.seeds(name, partial(_trained, course, group, name)) for name in NETWORKS}
    return Findings(
        figures=tuple(figure for name, found in records.items() for figure in _figures(name, found)),
        charts=(_over_steps(group, records), _learning(records)),
        notes=(
            "The plain RNN can do it too, though later: what it lacks, a long memory for one thing, is not "
            "asked for here.",
            "The publications ask for one answer at the end of a word. Here each step has its own, some "
            "twenty times as many answers a word: with one answer parity took more than 640,000 words on "
            "another seed.",
        ),
    )


def _trained(course: Course, group: Group, name: str, seed: int, keeper: Keeper | None) -> Record:
    training = TRAININGS[name].small() if course.scale.smoke else TRAININGS[name]
    found = train_reader(
        GroupWord(group, SHORTEST, LONGEST),
        NETWORKS[name],
        training,
        Criterion(least_sure, MARGIN),
        seed,
        keeper=keeper,
        hurry=course.hurry,
    )
    words = "solved" if found.solved else "not solved"
    course.say(f"{name}, seed {seed}: {words} after {found.sequences:,} words, {found.seconds:.0f} s")
    record = found.record() | {"mixed": _right(course, found.reader, group, 40, 256, 1_024, seed)}
    for length, count in TESTED.items():
        record[f"at {length}"] = _right(course, found.reader, group, length, length, count, seed)
    record["by step"] = _by_step(course, found.reader, group, seed)
    return record


def _right(
    course: Course, reader: Reader, group: Group, shortest: int, longest: int, count: int, seed: int
) -> dict[str, float]:
    """Share of words right at their end, and right at every step; in parts, for attention takes much room."""
    if course.scale.smoke:
        shortest, longest, count = min(shortest, 48), min(longest, 64), 16
    words, part = GroupWord(group, shortest, longest), max(1, 65_536 // longest)
    wrong = {"end": 0, "word": 0}
    for start in range(0, count, part):
        size, purpose = min(part, count - start), f"test {longest} {start}"
        for what, measure in (("end", misread_end), ("word", misread_steps)):
            wrong[what] += int((examine(reader, words, size, measure, seed, purpose) > 0).sum())
    return {what: 1.0 - number / count for what, number in wrong.items()}


def _by_step(course: Course, reader: Reader, group: Group, seed: int) -> list[float]:
    """Share of words that are right at each of `_BINS`' steps, of words of the greatest length."""
    longest = 64 if course.scale.smoke else max(TESTED)
    steps = torch.tensor([step for step in _BINS if step <= longest]) - 1
    words, right = GroupWord(group, longest, longest), []
    for part in range(1 if course.scale.smoke else _CURVE_WORDS // _AT_A_TIME):
        drawn = sequences(words.draw(_AT_A_TIME, np.random.default_rng(derive(seed, "curve", part))))
        with torch.no_grad():
            given = reader(drawn.x)[:, steps]
        right.append((given.argmax(dim=-1) == drawn.target[:, steps]).double())
    return [float(share) for share in torch.cat(right).mean(dim=0)]


def _figures(name: str, records: list[Record]) -> list[Figure]:
    ours, upper = name == "lstm", name if name == "transformer" else name.upper()
    found = []
    for key, what, part, barred in (
        ("at 256", "share of words of length 256 right at their end", "end", True),
        ("at 256", "share of words of length 256 right at every step", "word", False),
        ("mixed", "share of words of length 40 to 256 right at their end", "end", False),
        ("at 2048", "share of words of length 2,048 right at their end", "end", False),
    ):
        values = [record[key][part] for record in records]
        found.append(
            Figure(
                f"{upper}: {what}, lowest of the seeds",
                min(values, default=None),
                published=_PUBLISHED if ours and part == "end" else None,
                spread=(min(values), max(values)) if values else None,
                bar=Bar(at_least=_BAR) if ours and barred else None,
            )
        )
    solved = sum(record["solved"] for record in records)
    learned = [record["sequences"] for record in records if record["solved"]]
    found.append(
        Figure(
            f"{upper}: seeds that learn the lengths of training",
            solved if records else None,
            note=f"after {min(learned):,} to {max(learned):,} words" if learned else "",
        )
    )
    return found


def _over_steps(group: Group, records: dict[str, list[Record]]) -> Chart:
    lines = [
        Line(
            name,
            tuple(float(step) for step in _BINS[: len(each["by step"])]),
            tuple(each["by step"]),
            name == "lstm",
        )
        for name, found in records.items()
        for each in found
    ]
    return Chart(
        "How long it stays right",
        "Share of words whose product so far is right, by the number of steps read; a guess is right in "
        f"one of {group.order}. To the left of the mark are the lengths of training. A line is a seed.",
        "steps read",
        "share right",
        tuple(lines),
        mark=(float(LONGEST), "longest in training"),
        log_x=True,
    )


def _learning(records: dict[str, list[Record]]) -> Chart:
    lines = [
        Line(
            name,
            tuple(float(point[0]) for point in each["curve"]),
            tuple(point[1] for point in each["curve"]),
            name == "lstm",
        )
        for name, found in records.items()
        for each in found
    ]
    return Chart(
        "How it was learned",
        "Share of fresh words of 3 to 40 elements with an answer less sure than 0.95, as training goes on.",
        "words trained on",
        "share not yet right",
        tuple(lines),
    )
