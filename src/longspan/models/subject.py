"""What an inspection needs of a fitted model, whatever its task, and how a reader of sequences gives it.

Lag k of an example is the step k steps before its last one; the last step itself is lag 0.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from longspan.core.errors import InputError
from longspan.core.seeds import derive
from longspan.data.problems.base import Examples
from longspan.models.reader import Reader, answer_losses
from longspan.nn.encoders import Encoder

__all__ = [
    "ReaderSubject",
    "Sample",
    "Shown",
    "StepMeaning",
    "Subject",
    "fresh",
    "spread_rows",
    "with_encoder",
]

Index = NDArray[np.int64]
_LONG = (("year", 365.2425 * 86400), ("day", 86400.0), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0))


class StepMeaning(NamedTuple):
    """What one step is: its name, and its length in seconds where time has one."""

    name: str = "step"
    seconds: float | None = None

    def words(self, count: float) -> str:
        """``31 steps (1.3 days)``; without a length in time ``31 steps``."""
        steps = (
            f"{count:,.0f} step{'' if round(count) == 1 else 's'}"
            if count >= 10 or count == int(count)
            else f"{count:.2g} steps"
        )
        return f"{steps} ({self.time(count)})" if self.seconds is not None and count > 0 else steps

    def time(self, count: float) -> str:
        """``1.3 days``; empty where a step has no length in time."""
        if self.seconds is None:
            return ""
        length = count * self.seconds
        name, unit = next((each for each in _LONG if length >= each[1]), _LONG[-1])
        value = length / unit
        text = f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
        return f"{text} {name}{'' if text == '1' else 's'}"


@dataclass(frozen=True, eq=False)
class Shown:
    """The user's own view of one example, step by step, oldest first.

    Attributes:
        title: which example it is. name: of the values, which is their unit.
        places: (T,) datetime64, or int64 numbers of steps.
        values: float64 (T,) in the user's units, NaN where missing; or None.
        tokens: (T,) what stands at each step, where the steps are symbols or words; else empty.
    """

    title: str
    name: str
    places: NDArray[Any]
    values: NDArray[np.float64] | None = None
    tokens: tuple[str, ...] = ()


class Subject(Protocol):
    """A fitted model and the examples on which it is looked at.

    A batch is known to its subject alone. Its ``sequence`` holds all of the past that the answer depends on:
    what is derived from the past, such as a lag of a season, is derived from the sequence, so that gradients
    and cuts reach it. Everything runs in evaluation mode.
    """

    @property
    def step(self) -> StepMeaning:
        """What one step is."""

    @property
    def names(self) -> tuple[str, ...]:
        """(I,) names of the features of the sequence."""

    @property
    def count(self) -> int:
        """N examples."""

    @property
    def overlap(self) -> int:
        """How many neighbouring examples share a part of their answers; 1 where none do."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should know, in words."""

    @property
    def encoder(self) -> Encoder:
        """The network that reads the sequence."""

    @property
    def shown_row(self) -> int:
        """Number of the example that is drawn."""

    @property
    def prediction_name(self) -> str:
        """What `prediction` is, with its unit."""

    @property
    def baseline_name(self) -> str:
        """What a sequence of zeros means to the model."""

    def shown(self) -> Shown:
        """The example that is drawn, in the user's terms."""

    def batch(self, rows: Index) -> Any:
        """The examples with these numbers."""

    def sequence(self, batch: Any) -> Tensor:
        """(n, T, I)."""

    def ends(self, batch: Any) -> Tensor:
        """int64 (n,): place of the last step of each sequence."""

    def with_sequence(self, batch: Any, sequence: Tensor) -> Any:
        """The batch with another sequence of the same shape; gradients flow through it."""

    def outputs(self, batch: Any) -> Tensor:
        """(n, K) what the model gives at the end, differentiable."""

    def prediction(self, batch: Any) -> Tensor:
        """(n,) the one number that is explained, differentiable."""

    def losses(self, batch: Any) -> Tensor:
        """(n,), differentiable."""

    def cut(self, batch: Any, lag: int) -> Any:
        """The batch with lags 0 … ``lag`` only."""

    def scrambled(self, batch: Any, lag: int, donors: Index) -> Any:
        """The batch with everything older than ``lag`` taken from the examples ``donors`` (n,) of the same
        batch."""

    def with_encoder(self, encoder: Encoder) -> Self:
        """The same with another encoder in place; the model itself stays as it is."""

    def untrained(self, seed: int) -> Self:
        """The same with weights as they are before training."""

    def retrained(self, encoder: str, seed: int) -> Self:
        """The same model around another encoder of the table, trained in the same way.

        Raises:
            InputError: nothing is known of the training.
        """


Model = TypeVar("Model", bound=nn.Module)


def with_encoder(model: Model, encoder: Encoder) -> Model:
    """A shallow copy of a model with another module as its ``encoder``; the weights are shared."""
    other = copy.copy(model)
    other._modules = {**model._modules, "encoder": encoder}
    return other


def fresh(model: Model, seed: int) -> Model:
    """A copy with weights drawn anew by each module's own rule.

    Raises:
        InputError: a parameter that no module can draw.
    """
    other = copy.deepcopy(model)
    drawn: set[int] = set()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        for part in other.modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()
                drawn.update(id(each) for each in part.parameters())
    left = [name for name, each in other.named_parameters() if id(each) not in drawn]
    if left:
        raise InputError(
            f"untrained: expected modules with reset_parameters, which draws them anew; {left[0]!r} has none"
        )
    return other.eval()


@dataclass(frozen=True, eq=False)
class Sample:
    """Sequences beside each other, padded at their ends: x (n, T, I), ends and target (n, …)."""

    x: Tensor
    ends: Tensor
    target: Tensor

    @property
    def lengths(self) -> Tensor | None:
        """None where no sequence is padded."""
        return None if bool((self.ends == self.x.shape[1] - 1).all()) else self.ends + 1


NO_TIME = StepMeaning()
Trainer = Callable[[str, int], Reader]


@dataclass(frozen=True, eq=False)
class ReaderSubject:
    """A `Reader` and examples of its problem; it is judged by its answer at the end of each sequence.

    Args:
        reader: the model.
        examples: N of them; where there is an answer at every step, the last one counts.
        step: what one step is. names: of the I features; symbols and numbers where empty.
        symbols: what a one-hot step stands for, a name for each of the first features; empty for numbers.
        train: (encoder's name, seed) → a reader trained in the same way; None where nobody knows how.
        shown_row: the example that is drawn.
        output: number of the output that is explained; None takes the largest of the drawn example.
    """

    reader: Reader
    examples: Examples
    step: StepMeaning = NO_TIME
    names: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    train: Trainer | None = None
    shown_row: int = 0
    overlap: int = 1
    notes: tuple[str, ...] = ()
    output: int | None = None
    baseline_name: str = "an input of zeros at every step"

    def __post_init__(self) -> None:
        size = self.examples.x.shape[2]
        if self.names and len(self.names) != size:
            raise InputError(f"ReaderSubject: expected {size} names of features, got {len(self.names)}")
        if not self.names:
            rest = (f"input {number + 1}" for number in range(len(self.symbols), size))
            object.__setattr__(self, "names", (*self.symbols, *rest))
        if self.output is not None and not 0 <= self.output < self.reader.output.out_features:
            raise InputError(
                f"ReaderSubject: expected output from 0 to {self.reader.output.out_features - 1}, got "
                f"{self.output}"
            )
        if not 0 <= self.shown_row < len(self.examples):
            raise InputError(
                f"ReaderSubject: expected shown_row from 0 to {len(self.examples) - 1}, got {self.shown_row}"
            )
        self.reader.eval()

    @property
    def count(self) -> int:
        """N."""
        return len(self.examples)

    @property
    def encoder(self) -> Encoder:
        """That of the reader."""
        return self.reader.encoder

    def shown(self) -> Shown:
        """Symbols where there are some, else the first feature as values."""
        x = self.examples.x[self.shown_row]
        x = x if self.examples.lengths is None else x[: self.examples.lengths[self.shown_row]]
        title, places = f"example {self.shown_row + 1}", np.arange(1, len(x) + 1)
        if not self.symbols:
            return Shown(title, self.names[0], places, x[:, 0].astype(np.float64))
        tokens = tuple(self.symbols[each] for each in x[:, : len(self.symbols)].argmax(axis=1))
        return Shown(title, "symbol", places, None, tokens)

    def batch(self, rows: Index) -> Sample:
        """Without padding that no sequence of the batch needs."""
        examples, device = self.examples, next(self.reader.parameters()).device
        count = len(rows)
        longest = examples.x.shape[1]
        ends = np.full(count, longest - 1) if examples.lengths is None else examples.lengths[rows] - 1
        target = examples.target[rows]
        if self.reader.every_step:
            target = target[np.arange(count), ends]
        x = examples.x[rows, : int(ends.max()) + 1]
        return Sample(*(torch.as_tensor(each, device=device) for each in (x, ends, target)))

    def sequence(self, batch: Sample) -> Tensor:
        """The whole input."""
        return batch.x

    def ends(self, batch: Sample) -> Tensor:
        """Places of the last steps."""
        return batch.ends

    def with_sequence(self, batch: Sample, sequence: Tensor) -> Sample:
        """Another input."""
        return replace(batch, x=sequence)

    def outputs(self, batch: Sample) -> Tensor:
        """Logits or numbers at the end."""
        given: Tensor = self.reader(batch.x, batch.lengths)
        if not self.reader.every_step:
            return given
        return given[torch.arange(len(given), device=given.device), batch.ends]

    @cached_property
    def chosen(self) -> int:
        """Number of the output that is explained: the one asked for, or the largest of the drawn example."""
        if self.output is not None:
            return self.output
        with torch.no_grad():
            return int(self.outputs(self.batch(np.array([self.shown_row]))).argmax())

    @property
    def prediction_name(self) -> str:
        """Which output it is, by its symbol where it has one."""
        named = self.symbols[self.chosen] if self.chosen < len(self.symbols) else self.chosen + 1
        return f"score of answer {named}" if self.reader.answer != "number" else f"output {self.chosen + 1}"

    def prediction(self, batch: Sample) -> Tensor:
        """One output."""
        return self.outputs(batch)[:, self.chosen]

    def losses(self, batch: Sample) -> Tensor:
        """Those of the answer at the end."""
        return answer_losses(self.outputs(batch), batch.target, self.reader.answer)

    def cut(self, batch: Sample, lag: int) -> Sample:
        """Older steps are gone: a sequence begins ``lag`` steps before its end."""
        return _before(batch, lag, batch.x[:, :0], torch.zeros_like(batch.ends))

    def scrambled(self, batch: Sample, lag: int, donors: Index) -> Sample:
        """Older steps are those of another sequence, as many as that one has."""
        place = torch.as_tensor(donors, device=batch.x.device)
        older = (batch.ends[place] - lag).clamp(min=0)
        return _before(batch, lag, batch.x[place], older)

    def with_encoder(self, encoder: Encoder) -> Self:
        """Another encoder in the reader."""
        return replace(self, reader=with_encoder(self.reader, encoder))

    def untrained(self, seed: int) -> Self:
        """Weights drawn anew."""
        return replace(self, reader=fresh(self.reader, seed))

    def retrained(self, encoder: str, seed: int) -> Self:
        """A reader that ``train`` made."""
        if self.train is None:
            raise InputError(f"against={encoder!r}: nobody said how the reader is trained. Give train=")
        return replace(self, reader=self.train(encoder, seed))


def _before(batch: Sample, lag: int, older: Tensor, count: Tensor) -> Sample:
    """The last ``lag + 1`` steps of each sequence, and before them the first ``count`` (n,) steps of
    ``older`` (n, ·, I)."""
    own = torch.clamp(batch.ends + 1, max=lag + 1)
    ends = count + own - 1
    place = torch.arange(int(ends.max()) + 1, device=batch.x.device)[None].expand(len(batch.x), -1)
    recent = (batch.ends - ends)[:, None] + place  # where a kept step stands in the sequence
    kept = place >= count[:, None]
    found = _taken(batch.x, torch.where(kept, recent, torch.zeros_like(place)))
    if older.shape[1]:
        found = torch.where(kept[..., None], found, _taken(older, place))
    real = place <= ends[:, None]
    return Sample(torch.where(real[..., None], found, torch.zeros_like(found)), ends, batch.target)


def _taken(x: Tensor, place: Tensor) -> Tensor:
    """Steps at these places (n, m); places outside give the nearest."""
    index = place.clamp(0, x.shape[1] - 1)[..., None].expand(-1, -1, x.shape[2])
    return torch.gather(x, 1, index)


def spread_rows(count: int, wanted: int) -> Index:
    """At most ``wanted`` of ``count`` examples, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(wanted, count)).astype(np.int64))
