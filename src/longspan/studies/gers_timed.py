"""Gers 2002, run: what `longspan.studies.gers` declares of timed spikes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from longspan.data.problems.timed import GeneratedSpikes, MeasuredSpikes
from longspan.models.reader import Sequences
from longspan.studies.course import Course, Record
from longspan.studies.gers import LEAST, MARGIN, SPIKES, TIMED
from longspan.studies.plan import Entrant
from longspan.studies.race import Heat, Records, progress_chart, race, run_heat, summary_table
from longspan.studies.readers import Criterion
from longspan.studies.study import Bar, Figure, Findings, Value

__all__ = ["farthest_off", "timed_spikes"]

_TESTS = 1_000
_PUBLISHED: dict[str, dict[str, Value]] = {
    "generated": {"peephole": "solved", "no-peephole": "not solved", "lstm-1997": "does not converge"},
    "measured": {"peephole": "no better than without"},
}


def farthest_off(given: Tensor, drawn: Sequences) -> Tensor:
    """(B,) the largest |σ(output) - target| of the answers of a stream that count."""
    off = (given.sigmoid() - drawn.target).abs().amax(dim=-1)
    return (off if drawn.scored is None else off * drawn.scored).amax(dim=-1)


def timed_spikes(course: Course) -> Findings:
    """The study ``timed-spikes``."""
    criterion, spikes = Criterion(farthest_off, MARGIN), 2 if course.scale.smoke else SPIKES
    heats = (
        Heat("generated", "generating", GeneratedSpikes(LEAST, spikes), criterion, _TESTS),
        Heat("measured", "measuring", MeasuredSpikes(LEAST, spikes), criterion, _TESTS),
    )
    found = {
        heat.key: race(course, heat.key, TIMED, partial(run_heat, heat, course=course)) for heat in heats
    }
    return Findings(
        figures=tuple(
            figure
            for heat in heats
            for entrant in TIMED
            for figure in _figures(heat, entrant, found[heat.key])
        ),
        charts=tuple(
            progress_chart(f"How {heat.title} was learned", TIMED, found[heat.key]) for heat in heats
        ),
        tables=(
            summary_table(
                "A stream is wrong with one output that is off by 0.49 or more.",
                {heat.title: found[heat.key] for heat in heats},
                TIMED,
            ),
        ),
        notes=(
            "The published networks had one cell and learned online by truncated gradients. Here a "
            "network has four, and learns by whole gradients from many streams at a time; one cell with "
            "peepholes had not learned generating after 512,000 streams on another seed.",
            "A published network that may not look into its cell has no other way to know the time. "
            "Several cells can tell each other, and a network of tanh units can oscillate, so where "
            "these learn it, peepholes are a help and no need.",
        ),
    )


def _figures(heat: Heat, entrant: Entrant, found: Records) -> list[Figure]:
    records: Sequence[Record] = found[entrant.key]
    bar = None
    if heat.key == "generated":
        bar = {"peephole": Bar(at_least=1.0), "no-peephole": Bar(at_most=0.0)}.get(entrant.key)
    what = f"{heat.title}, {entrant.title}: share of the seeds that learn it"
    published = _PUBLISHED[heat.key].get(entrant.key)
    if not records:
        return [Figure(what, None, published, bar=bar)]
    solved = [each["sequences"] for each in records if each["solved"]]
    note = f"{len(solved)} of {len(records)}"
    note += f", after {min(solved):,} to {max(solved):,} streams" if solved else ""
    return [Figure(what, len(solved) / len(records), published, bar=bar, note=note)]
