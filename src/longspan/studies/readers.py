"""Training a reader on a problem until it is right or out of sequences, and examining it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from longspan.core.errors import InputError, TrainingError
from longspan.core.seeds import derive
from longspan.data.problems.base import Problem
from longspan.models.reader import Reader, Sequences, reader_loss, sequences
from longspan.nn.encoders import RecurrentEncoder, build_encoder
from longspan.store.stage import Keeper
from longspan.studies.plan import Network, Training
from longspan.training.history import History, Record
from longspan.training.loop import train
from longspan.training.settings import Settings

__all__ = [
    "Check",
    "Criterion",
    "Trained",
    "build_reader",
    "chrono_start",
    "examine",
    "loop_settings",
    "misread_steps",
    "train_reader",
    "widest_error",
]

Measure = Callable[[Tensor, Sequences], Tensor]
"""(what the reader gives, the sequences) → (B,) how far each sequence is off."""

Check = Callable[[Reader], float]
"""The share wrong, in [0, 1], of a reader in evaluation mode."""

_LEAST_CHECKED = 100
_CHUNK_VALUES = 2**24  # of the inputs that are drawn at a time when a reader is examined


@dataclass(frozen=True)
class Criterion:
    """When a sequence counts as wrong: it is off by ``margin`` or more."""

    measure: Measure
    margin: float

    def wrong(self, errors: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of (B,) errors are wrong; one that is no number is."""
        return ~(errors < self.margin)


@dataclass(frozen=True, eq=False)
class Trained:
    """A reader and how it came about.

    Attributes:
        reader: with the weights of the check with the fewest wrong.
        solved: a check had as few wrong as were allowed.
        sequences: used for training.
        curve: (sequences used, share wrong) of each check.
        seconds: of training, checks included.
        parameters: numbers that were learned.
        diverged: training broke off at a loss or a gradient that is not finite; it then did not solve it.
    """

    reader: Reader
    solved: bool
    sequences: int
    curve: tuple[tuple[int, float], ...]
    seconds: float
    parameters: int
    diverged: bool = False

    def record(self) -> dict[str, Any]:
        """Its numbers, as plain values."""
        return {
            "solved": self.solved,
            "sequences": self.sequences,
            "curve": [list(each) for each in self.curve],
            "seconds": self.seconds,
            "parameters": self.parameters,
            "diverged": self.diverged,
        }


def build_reader(problem: Problem, network: Network, seed: int) -> Reader:
    """A reader for a problem, its weights drawn from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        encoder = build_encoder(
            network.encoder, problem.input_size, network.width, network.layers, **network.options
        )
        reader = Reader(encoder, problem.output_size, problem.answer, problem.every_step)
        if network.chrono is not None:
            chrono_start(reader, network.chrono)
    return reader


def chrono_start(reader: Reader, longest: int) -> None:
    """Gate biases for memories of 1 … ``longest`` steps: b_f = log u, b_i = -b_f, u ~ U[1, longest - 1]
    (Tallec & Ollivier 2018, eq. 16); drawn from torch's generator. A cell without a forget gate of its own
    has the input gate's alone, which starts as rarely open: the negative biases of 1997.

    Raises:
        InputError: the encoder is no LSTM with biases, or ``longest`` is below 3.
    """
    layer = reader.encoder.layer if isinstance(reader.encoder, RecurrentEncoder) else None
    if layer is None or layer.cell.name != "lstm" or "bias_ih_l0" not in dict(layer.named_parameters()):
        found = type(reader.encoder).__name__ if layer is None else layer.cell.label
        raise InputError(f"chrono: expected an LSTM with biases, got {found}")
    if longest < 3:
        raise InputError(f"chrono: expected memories of at least 3 steps, got {longest}")
    H = layer.hidden_size
    parts = dict(layer.named_parameters())
    with torch.no_grad():
        for name in [each for each in parts if each.startswith("bias_ih")]:
            spans = torch.empty(H).uniform_(1.0, longest - 1.0).log_()
            for gate, value in (("f", spans), ("i", -spans)):
                if gate in layer.cell.gates:
                    place = layer.cell.gates.index(gate) * H
                    parts[name][place : place + H] = value
                    parts[name.replace("bias_ih", "bias_hh")][place : place + H] = 0.0


def train_reader(
    problem: Problem,
    network: Network,
    training: Training,
    criterion: Criterion | Check,
    seed: int,
    *,
    keeper: Keeper | None = None,
    hurry: Callable[[], None] | None = None,
) -> Trained:
    """Train a reader until a check on fresh draws has few enough wrong, or the sequences are used up.

    Weights, training draws and checks are functions of the seed; a run with checkpoints in the keeper goes
    on.

    Args:
        problem: draws the sequences.
        network: what reads them.
        training: how.
        criterion: when a sequence of a check is wrong; or the check itself.
        seed: of everything.
        keeper: where checkpoints are kept; None keeps none.
        hurry: called at every step; it may raise, as `Course.hurry` does.

    A network whose training diverges has not solved the problem: it counts with the sequences used by then.

    Raises:
        OutOfTime: from ``hurry``.
    """
    reader = build_reader(problem, network, seed)
    seen = History(seconds=-time.monotonic())  # what is known of a training that diverges

    def batches(step: int) -> Sequences:
        if hurry is not None:
            hurry()
        seen.steps = step + 1
        return sequences(problem.draw(training.batch, _draws(seed, "train", step)))

    def check(module: nn.Module) -> float:
        own = cast(Reader, module)
        if isinstance(criterion, Criterion):
            share = _share_wrong(own, problem, training, criterion, seed)
        else:
            share = criterion(own)
        seen.records.append(Record(seen.steps, None, share, training.learning_rate, 0.0))
        return share

    diverged, settings = False, loop_settings(training, seed, target=training.allowed)
    try:
        history = train(reader, reader_loss, batches, check, settings, keeper)
    except TrainingError:
        diverged, history = True, seen
        history.seconds += time.monotonic()
    return _trained(reader.eval(), history, training, diverged=diverged)


def _trained(reader: Reader, history: History, training: Training, *, diverged: bool) -> Trained:
    least = math.inf if diverged or history.best_loss is None else history.best_loss
    return Trained(
        reader=reader,
        solved=least <= training.allowed,
        sequences=history.steps * training.batch,
        curve=tuple((each.step * training.batch, each.validation_loss) for each in history.records),
        seconds=history.seconds,
        parameters=sum(each.numel() for each in reader.parameters()),
        diverged=diverged,
    )


def examine(
    reader: Reader, problem: Problem, count: int, measure: Measure, seed: int, purpose: str = "test"
) -> NDArray[np.float64]:
    """How far a reader is off on fresh draws.

    Args:
        reader: in evaluation mode.
        problem: draws the sequences; training never sees those of another purpose.
        count: how many.
        measure: of each sequence.
        seed, purpose: of the draws.

    Returns:
        (count,) errors.
    """
    probe = problem.draw(1, _draws(seed, purpose, -1)).x
    chunk = max(1, min(count, _CHUNK_VALUES // max(1, probe.size), 256))
    found: list[NDArray[np.float64]] = []
    with torch.no_grad():
        for place, start in enumerate(range(0, count, chunk)):
            drawn = sequences(problem.draw(min(chunk, count - start), _draws(seed, purpose, place)))
            errors = measure(reader(drawn.x, drawn.lengths), drawn)
            found.append(errors.double().numpy())
    return np.concatenate(found)


def _share_wrong(
    reader: Reader, problem: Problem, training: Training, criterion: Criterion, seed: int
) -> float:
    """A check; of growing parts of it the first that has more wrong than the whole may have."""
    least = min(training.checked, _LEAST_CHECKED)
    counts = sorted({max(least, math.ceil(training.checked / share)) for share in (100, 10, 1)})
    for count in counts:
        wrong = criterion.wrong(examine(reader, problem, count, criterion.measure, seed, f"check {count}"))
        if wrong.sum() > training.allowed_count:
            break
    return float(wrong.mean())


def widest_error(given: Tensor, drawn: Sequences) -> Tensor:
    """(B,) the largest |output - target| of an answer at the end: numbers as they are, classes as the
    probabilities of a softmax against 1 for the class and 0 elsewhere.
    """
    if not drawn.target.is_floating_point():
        wanted = functional.one_hot(drawn.target, given.shape[-1])
        return (given.softmax(dim=-1) - wanted).abs().amax(dim=-1)
    return (given - drawn.target).abs().amax(dim=-1)


def misread_steps(given: Tensor, drawn: Sequences) -> Tensor:
    """(B,) at how many steps that count the likeliest class is not the target; one answer at the end is one
    step.
    """
    missed = (given.argmax(dim=-1) != drawn.target) | given.isnan().any(dim=-1)
    if missed.ndim == 1:
        return missed.float()
    counted = missed if drawn.scored is None else missed & drawn.scored
    return counted.sum(dim=-1).float()


def _draws(seed: int, purpose: str, place: int) -> np.random.Generator:
    return np.random.default_rng(derive(seed, purpose, place))


def loop_settings(training: Training, seed: int, target: float | None = None) -> Settings:
    """How the loop is to train a reader; ``target``: the share of wrong answers at which it ends."""
    return Settings(
        seed=seed,
        max_steps=training.most // training.batch,
        validate_every=training.check_every // training.batch,
        patience=None,
        learning_rate=training.learning_rate,
        clip_norm=training.clip_norm,
        schedule=training.schedule,
        average=training.average,
        optimizer=training.optimizer,
        target=target,
    )
