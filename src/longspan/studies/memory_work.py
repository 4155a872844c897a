"""Adding over 600 steps and copying over 1,000, run: what `longspan.studies.memory` declares."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

import numpy as np
from torch import Tensor, nn

from longspan.core.seeds import derive
from longspan.data.problems.adding import Adding
from longspan.data.problems.base import Answer, Problem
from longspan.data.problems.copying import CopyMemory
from longspan.models.reader import Reader, Sequences, answer_losses, reader_loss, sequences
from longspan.store.stage import Keeper
from longspan.studies.course import Course, Record
from longspan.studies.memory import ADDING, ADDING_LENGTH, COPY_LAG, COPYING, TESTS
from longspan.studies.plan import Entrant
from longspan.studies.race import Records
from longspan.studies.readers import build_reader, examine, loop_settings
from longspan.studies.study import Bar, Chart, Figure, Findings, Line, Table, Value
from longspan.training.loop import train

__all__ = ["adding_600", "copy_1000", "mean_loss"]


def adding_600(course: Course) -> Findings:
    """The study ``adding-600``."""
    problem = Adding(60 if course.scale.smoke else ADDING_LENGTH)
    published: dict[str, Value] = {"forget-1": 0.164, "rnn": 0.177}
    records = _all(course, problem, ADDING)
    return Findings(
        figures=_figures(ADDING, records, published, Bar(at_most=0.01), "mean squared error"),
        charts=(_learning(ADDING, records, "mean squared error"),),
        tables=(_table(ADDING, records, "mean squared error"),),
        notes=(
            "To answer 1 always has a mean squared error of 1/6 = 0.167.",
            "Published for others: GRU .000053, TCN .000058.",
        ),
    )


def copy_1000(course: Course) -> Findings:
    """The study ``copy-1000``."""
    problem = CopyMemory(40 if course.scale.smoke else COPY_LAG)
    records = _all(course, problem, COPYING)
    loss = "cross entropy a step, nats"
    return Findings(
        figures=_figures(COPYING, records, {"usual": 0.0204, "rnn": 0.0202}, None, loss),
        charts=(_learning(COPYING, records, loss),),
        tables=(_table(COPYING, records, loss),),
        notes=(
            f"Without memory the best is {problem.memoryless_loss:.4f}: the sign is answered with a guess.",
            "Published for others: GRU .0197, TCN .000035.",
        ),
    )


def mean_loss(given: Tensor, drawn: Sequences) -> Tensor:
    """(B,) the loss of each sequence, the mean over its answers."""
    answer: Answer = "number" if drawn.target.is_floating_point() else "class"
    losses = answer_losses(given, drawn.target, answer)
    return losses if losses.ndim == 1 else losses.mean(dim=-1)


def _all(course: Course, problem: Problem, entrants: Sequence[Entrant]) -> Records:
    """Every entrant with every seed, seed by seed."""
    found: dict[str, list[Record]] = {each.key: [] for each in entrants}
    for seed in course.scale.seeds:
        for entrant in entrants:
            work = partial(_trained, course, problem, entrant, seed)
            record = course.part(f"{entrant.key}-seed-{seed}", work)
            if record is not None:
                found[entrant.key].append(record)
    return found


def _trained(course: Course, problem: Problem, entrant: Entrant, seed: int, keeper: Keeper | None) -> Record:
    training = entrant.training.small() if course.scale.smoke else entrant.training
    reader = build_reader(problem, entrant.network, seed)

    def batches(step: int) -> Sequences:
        course.hurry()
        return sequences(problem.draw(training.batch, np.random.default_rng(derive(seed, "train", step))))

    def check(module: nn.Module) -> float:
        losses = examine(cast(Reader, module), problem, training.checked, mean_loss, seed, "check")
        return float(losses.mean())

    history = train(reader, reader_loss, batches, check, loop_settings(training, seed), keeper)
    tests = 32 if course.scale.smoke else TESTS
    loss = float(examine(reader.eval(), problem, tests, mean_loss, seed).mean())
    course.say(f"{entrant.title}, seed {seed}: loss {loss:.4g}, {history.seconds:.0f} s")
    return {
        "loss": loss,
        "sequences": history.steps * training.batch,
        "curve": [[each.step * training.batch, each.validation_loss] for each in history.records],
        "seconds": history.seconds,
        "parameters": sum(each.numel() for each in reader.parameters()),
    }


def _figures(
    entrants: Sequence[Entrant], records: Records, published: dict[str, Value], bar: Bar | None, loss: str
) -> tuple[Figure, ...]:
    found = []
    for entrant in entrants:
        values = [each["loss"] for each in records[entrant.key]]
        found.append(
            Figure(
                f"{entrant.title}: {loss} in the test, highest of the seeds",
                max(values, default=None),
                published.get(entrant.key),
                spread=(min(values), max(values)) if values else None,
                bar=bar if entrant.ours else None,
            )
        )
    return tuple(found)


def _learning(entrants: Sequence[Entrant], records: Records, loss: str) -> Chart:
    lines = []
    for entrant in entrants:
        for record in records[entrant.key]:
            used, losses = zip(*record["curve"], strict=True)
            lines.append(Line(entrant.title, tuple(map(float, used)), tuple(losses), entrant.ours))
    return Chart(
        "How it was learned",
        "The loss on fresh sequences as training goes on. A line is a seed.",
        "training sequences",
        loss,
        tuple(lines),
        log_y=True,
    )


def _table(entrants: Sequence[Entrant], records: Records, loss: str) -> Table:
    rows: list[tuple[Value, ...]] = []
    for entrant in entrants:
        runs = records[entrant.key]
        if runs:
            losses = np.array([each["loss"] for each in runs])
            spread = f" ± {losses.std(ddof=1):.2g}" if len(runs) > 1 else ""
            mean = f"{losses.mean():.3g}{spread}"
            seconds = sum(each["seconds"] for each in runs) / len(runs)
            rows.append((entrant.title, mean, runs[0]["parameters"], runs[0]["sequences"], round(seconds, 1)))
    return Table(
        f"Test loss ({loss}), mean of the seeds ± standard deviation.",
        ("network", "test loss", "weights", "sequences", "training, s"),
        tuple(rows),
    )
