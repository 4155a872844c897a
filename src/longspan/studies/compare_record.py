"""What a comparison came to: plain records, from which the page, the JSON and the table are made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from longspan.models.contest import Contestant, Entrant, Facts, Pace, Simple, Units
from longspan.studies.compare_tests import Duel, mean_loss
from longspan.studies.compare_verdict import Verdict
from longspan.studies.matching import off_by
from longspan.training.history import History

__all__ = ["Made", "Network", "Part", "Standing", "spoken", "title_of"]

_LONGEST_ACRONYM = 4


@dataclass(frozen=True)
class Network:
    """What is known of the trainings of one encoder.

    Args:
        contestant: name, width, parameters. off: relative difference of its parameters to the reference's.
        seeds: mean loss of each seed that was trained. failures: why others were not.
        histories: of the trainings. seconds: of training, the mean.
        pace: of one step, medians over the seeds; None where every training failed.
        span: steps that an output can depend on, None for no limit.
    """

    contestant: Contestant
    off: float
    seeds: tuple[float, ...]
    failures: tuple[str, ...]
    histories: tuple[History, ...]
    seconds: float
    pace: Pace | None
    span: int | None

    @property
    def steps(self) -> float:
        """Training steps, the mean over the seeds; NaN of none."""
        return _mean([each.steps for each in self.histories])

    @property
    def stops(self) -> tuple[str, ...]:
        """What ended the trainings, each once."""
        return tuple(dict.fromkeys(each.stopped_by or "" for each in self.histories))

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "width": self.contestant.width,
            "parameters": self.contestant.parameters,
            "encoder_parameters": self.contestant.own,
            "parameters_off": self.off,
            "losses_of_seeds": [_finite(each) for each in self.seeds],
            "failures": list(self.failures),
            "training_seconds": _finite(self.seconds),
            "training_steps": [each.steps for each in self.histories],
            "best_steps": [each.best_step for each in self.histories],
            "validation_losses": [each.best_loss for each in self.histories],
            "stopped_by": [each.stopped_by for each in self.histories],
            "seconds_per_step_streamed": None if self.pace is None else self.pace.streamed,
            "seconds_per_step_whole": None if self.pace is None else self.pace.whole,
            "span": self.span,
        }


@dataclass(frozen=True)
class Standing:
    """One row of the table.

    Args:
        name: key. title: what people read, as it stands in a sentence.
        loss: mean over the seeds of the mean loss on the test part; NaN where there is none.
        spread: standard deviation over the seeds (n - 1); None of fewer than two.
        units: on how many units. scores: further scores, means over the seeds.
        seconds: of everything, training and test. network: None of a simple method.
    """

    name: str
    title: str
    loss: float
    spread: float | None
    units: int
    scores: Mapping[str, float]
    seconds: float
    network: Network | None = None

    @classmethod
    def of_network(
        cls,
        units: Units,
        contestant: Contestant,
        found: Sequence[Entrant],
        failures: Sequence[str],
        reference: int,
    ) -> Standing:
        """The trainings of one encoder; ``reference``: the parameters that it was to have."""
        seeds = tuple(mean_loss(units, each.losses) for each in found)
        names = found[0].scores if found else ()
        network = Network(
            contestant,
            off_by(contestant, reference),
            seeds,
            tuple(failures),
            tuple(each.history for each in found),
            _mean([each.history.seconds for each in found]),
            _pace(found),
            found[0].span if found else None,
        )
        return cls(
            contestant.encoder,
            title_of(contestant.encoder),
            _mean(seeds),
            float(np.std(seeds, ddof=1)) if len(seeds) > 1 else None,
            int((~np.isnan(found[0].losses)).sum()) if found else 0,
            {name: _mean([each.scores[name] for each in found]) for name in names},
            float(sum(each.seconds for each in found)),
            network,
        )

    @classmethod
    def of_simple(cls, units: Units, simple: Simple) -> Standing:
        """A method without a network."""
        known = int((~np.isnan(simple.losses)).sum())
        loss = mean_loss(units, simple.losses)
        return cls(simple.name, simple.title, loss, None, known, simple.scores, simple.seconds)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "loss": _finite(self.loss),
            "spread": self.spread,
            "units": self.units,
            "scores": {name: _finite(each) for name, each in self.scores.items()},
            "seconds": _finite(self.seconds),
            "network": None if self.network is None else self.network.to_json(),
        }


@dataclass(frozen=True)
class Part:
    """The comparison with one share of the training data.

    Args:
        share: in (0, 1]. networks, simple: standings, the networks in the order of the table of encoders.
        strongest: name of the baseline to beat; empty where there is none.
        duels: of the reference with the others, p adjusted. verdict: what they say.
    """

    share: float
    networks: tuple[Standing, ...]
    simple: tuple[Standing, ...]
    strongest: str
    duels: tuple[Duel, ...]
    verdict: Verdict

    @property
    def rows(self) -> tuple[Standing, ...]:
        """All standings, the lowest loss first; those without one last."""
        return tuple(
            sorted((*self.networks, *self.simple), key=lambda each: (math.isnan(each.loss), each.loss))
        )

    def against(self, name: str) -> Duel | None:
        """The duel of the reference with the contestant of this name."""
        return next((each for each in self.duels if each.other == name), None)

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "share": self.share,
            "rows": [each.to_json() for each in self.rows],
            "strongest_baseline": self.strongest or None,
            "duels": [each.to_json() for each in self.duels],
            "verdict": self.verdict.to_json(),
        }


@dataclass(frozen=True)
class Made:
    """How a comparison was made.

    Args:
        task: its name. title, measure, length, facts: see `Contest`. unit: one of what is tested.
        encoder: whom all are measured by.
        seeds: that were asked for. seed: the one they come from. command: how it was started.
        budget: seconds allowed, and seconds that each training was allotted; None for no limit.
        settings: the options, as JSON. machine: name and value. notes: what was left out, and why.
    """

    task: str
    title: str
    measure: str
    unit: str
    length: int
    facts: Facts
    encoder: str
    seeds: int
    seed: int
    command: str
    budget: tuple[float, float] | None
    settings: Mapping[str, Any]
    machine: Mapping[str, str | int]
    data_sha256: str
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "task": self.task,
            "title": self.title,
            "measure": self.measure,
            "unit": self.unit,
            "sequence_length": self.length,
            "facts": dict(self.facts.pairs),
            "cut_or_padded": list(self.facts.cut),
            "notes": [*self.facts.notes, *self.notes],
            "encoder": self.encoder,
            "seeds": self.seeds,
            "seed": self.seed,
            "command": self.command,
            "time_budget": None if self.budget is None else self.budget[0],
            "seconds_allotted_to_a_training": None if self.budget is None else self.budget[1],
            "settings": dict(self.settings),
            "machine": dict(self.machine),
            "data_sha256": self.data_sha256,
        }


def title_of(encoder: str) -> str:
    """What people read: short names are acronyms."""
    return encoder.upper() if len(encoder) <= _LONGEST_ACRONYM else encoder


def spoken(encoder: str) -> str:
    """The title as it stands in a sentence: ``the GRU``, ``the feedforward network``."""
    title = title_of(encoder)
    return title if title.isupper() else f"{title} network"


def _pace(found: Sequence[Entrant]) -> Pace | None:
    """Medians over the seeds."""
    if not found:
        return None
    streamed = [each.pace.streamed for each in found]
    return Pace(float(np.median(streamed)), float(np.median([each.pace.whole for each in found])))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
