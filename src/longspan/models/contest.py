"""What a comparison needs of a task: a place where any encoder can be trained and judged on equal terms.

A task gives a `Contest` and nothing else: `longspan.studies` knows which encoders there are, gives each the
same number of parameters and the same training, and tells who won. Losses are one number for each unit of
the test part, so that every difference can be tested in pairs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from longspan.evaluation.paired import Units
from longspan.models.session import Budget, Session
from longspan.nn.encoders import Encoder
from longspan.store.stage import Keeper, Result, Stage
from longspan.training.history import History
from longspan.training.loop import Progress

__all__ = [
    "Contest",
    "Contestant",
    "Entrant",
    "Facts",
    "Job",
    "Pace",
    "SessionPart",
    "Simple",
    "Units",
    "pace_of",
]

Array = NDArray[np.float64]

_STREAMED = 200  # steps that are timed one by one
_READINGS = 7  # whole sequences that are timed
_WARMING = 20


@dataclass(frozen=True)
class Contestant:
    """An encoder by name, and its width. ``parameters``: of the whole network; ``own``: of the encoder."""

    encoder: str
    width: int
    parameters: int
    own: int


@dataclass(frozen=True)
class Job:
    """One training.

    Args:
        contestant: who. seed: of weights and batches.
        share: of the training data, the most recent part, in (0, 1].
        budget: seconds of training, None for no limit.
    """

    contestant: Contestant
    seed: int
    share: float = 1.0
    budget: float | None = None


@dataclass(frozen=True)
class Pace:
    """Seconds for one step of one sequence in evaluation: read one by one (``streamed``), or at once
    (``whole``)."""

    streamed: float
    whole: float


@dataclass(frozen=True, eq=False)
class Entrant:
    """What one training came to.

    Args:
        losses: (n,) on the units of the test part, NaN where unknown.
        scores: further scores of the test part by name, lower or not as the name says.
        history: of the training. span: steps that an output can depend on, None for no limit.
        pace: how long one step takes. seconds: of training, test and timing together.
    """

    losses: Array
    scores: Mapping[str, float]
    history: History
    span: int | None
    pace: Pace
    seconds: float

    def result(self) -> Result:
        """As a stage keeps it."""
        record = {
            "scores": dict(self.scores),
            "history": self.history.to_json(),
            "span": self.span,
            "pace": {"streamed": self.pace.streamed, "whole": self.pace.whole},
            "seconds": self.seconds,
        }
        return record, {"losses": self.losses}

    @classmethod
    def of(cls, found: Result) -> Entrant:
        """What `result` gave."""
        record, arrays = found
        return cls(
            losses=arrays["losses"],
            scores=record["scores"],
            history=History.from_json(record["history"]),
            span=record["span"],
            pace=Pace(**record["pace"]),
            seconds=record["seconds"],
        )


@dataclass(frozen=True, eq=False)
class Simple:
    """A method without a network, which has to be beaten.

    Args:
        name: key. title: what people read, as it stands in a sentence.
        losses: (n,) on the units of the test part, NaN where it gave no answer.
        early: (m,) on units before the test part, by which the strongest is chosen; NaN as `losses`.
        scores: further scores of the test part. seconds: what it took.
        learned: from the training data, so that a smaller share makes a difference.
    """

    name: str
    title: str
    losses: Array
    early: Array
    scores: Mapping[str, float]
    seconds: float
    learned: bool = False


@dataclass(frozen=True)
class Facts:
    """What is compared, for the page: ``pairs`` of name and value, ``notes`` in words, ``cut``: what was cut
    or padded before any encoder saw it."""

    pairs: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()


class Contest(Protocol):
    """A task with its data, split once and for all; made by ``contest`` of its work."""

    @property
    def title(self) -> str:
        """What is learned, as it stands in a heading: ``OT, 24 steps ahead``."""

    @property
    def measure(self) -> str:
        """Name of the loss; lower is better."""

    @property
    def units(self) -> Units:
        """What losses are of."""

    @property
    def encoder(self) -> str:
        """Whom all are measured by, by name."""

    @property
    def width(self) -> int:
        """How wide the task makes that encoder."""

    @property
    def length(self) -> int:
        """Steps of the longest sequence that the encoders read."""

    @property
    def data_sha256(self) -> str:
        """Hash of the data."""

    @property
    def device(self) -> str:
        """Where networks are trained, for the records."""

    def contestant(self, encoder: str, width: int) -> Contestant:
        """The encoder with this width, its parameters counted without making any."""
        ...

    def train(self, job: Job, keeper: Keeper | None, progress: Progress | None) -> Entrant:
        """Train, and judge on the test part."""
        ...

    def baselines(self, share: float, session: Session) -> tuple[tuple[Simple, ...], tuple[str, ...]]:
        """The simple methods, and notes on those that were left out; of a share below 1 the learned ones."""
        ...

    def facts(self) -> Facts:
        """What is compared, for the page."""
        ...


class _Charged(Budget):
    """A part of another budget, which is charged too."""

    def __init__(self, total: float | None, whole: Budget) -> None:
        super().__init__(total)
        self.whole = whole

    def charge(self, stage: str, seconds: float, allotted: float | None = None) -> None:
        super().charge(stage, seconds, allotted)
        self.whole.charge(stage, seconds, allotted)


@dataclass(frozen=True, eq=False)
class SessionPart(Session):
    """A session within another: a prefix to the names of its stages, a part of the budget."""

    prefix: str = ""

    @classmethod
    def of(cls, session: Session, prefix: str, parts: int) -> SessionPart:
        """One of so many equal parts of a session."""
        total = None if session.budget.total is None else session.budget.total / parts
        budget = _Charged(total, session.budget)
        before = session.prefix if isinstance(session, SessionPart) else ""
        return cls(
            session.seed, budget, session.workspace, session.say, session.progress, f"{before}{prefix}"
        )

    def stage(self, name: str, work: Callable[[Stage | None], Result]) -> Result:
        """As that of a session, under the longer name."""
        return super().stage(f"{self.prefix}{name}", work)


def pace_of(encoder: Encoder, length: int, clock: Callable[[], float] = time.perf_counter) -> Pace:
    """How long one step of one sequence takes in evaluation: medians, with torch's threads as they are.

    Streamed, each step is one call with the state of the one before, in a sequence that is ``length`` steps
    old; whole, a sequence of that length is read in one call, and its time divided by its steps.
    """
    parameter = next(encoder.parameters())
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(1, length, encoder.input_size, generator=draws).to(parameter.device)
    training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            whole = _timed(lambda: encoder(x), _READINGS, x.device, clock)
            stream = _Stream(encoder, x)
            streamed = _timed(stream.step, _STREAMED, x.device, clock)
    finally:
        encoder.train(training)
    return Pace(streamed, whole / length)


@dataclass(eq=False)
class _Stream:
    """A sequence that is read step by step."""

    encoder: Encoder
    x: torch.Tensor
    state: Any = field(init=False)

    def __post_init__(self) -> None:
        _, self.state = self.encoder(self.x)
        for _ in range(_WARMING):
            self.step()

    def step(self) -> None:
        _, self.state = self.encoder(self.x[:, :1], None, self.state)


def _timed(work: Callable[[], Any], times: int, device: torch.device, clock: Callable[[], float]) -> float:
    """Median seconds of one call."""
    found = []
    for _ in range(times):
        _wait(device)
        began = clock()
        work()
        _wait(device)
        found.append(clock() - began)
    return float(np.median(found))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
