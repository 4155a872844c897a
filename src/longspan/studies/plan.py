"""What is trained and how, as declared: the same numbers are run and shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from longspan.core.errors import InputError
from longspan.studies.study import Setting

__all__ = ["Entrant", "Network", "Training", "settings_of"]


@dataclass(frozen=True)
class Network:
    """An encoder to read with.

    Args:
        encoder: its name in the table of encoders.
        width: H.
        options: further ones of the encoder, such as ``forget_bias``.
        chrono: start the gates' biases for memories of up to so many steps (Tallec & Ollivier 2018, Can
            recurrent neural networks warp time?, eq. 16); None leaves them.
        layers: of the encoder.
    """

    encoder: str
    width: int
    options: Mapping[str, Any] = field(default_factory=dict)
    chrono: int | None = None
    layers: int = 1

    def __str__(self) -> str:
        parts = [f"{self.encoder}, {self.layers} × {self.width} units" if self.layers > 1 else ""]
        parts = [parts[0] or f"{self.encoder}, {self.width} units"]
        parts += [f"{key} {value}" for key, value in self.options.items()]
        if self.chrono is not None:
            parts.append(f"biases for memories of up to {self.chrono:,} steps")
        return ", ".join(parts)


@dataclass(frozen=True)
class Training:
    """How a reader is trained: until it is right, or out of sequences.

    Args:
        batch: sequences a step.
        learning_rate: of Adam, or of the optimizer named.
        most: training sequences at most; a whole number of checks.
        check_every: sequences between two checks on fresh draws; a whole number of batches.
        checked: sequences of a check; as long as many are wrong, a part of them tells.
        allowed: share of wrong ones in a check at which training ends.
        clip_norm: of the gradient over all weights; None does not clip.
        average: decay of the running average of the weights; 0 for none.
        schedule: constant or cosine, down to zero at ``most``.
        optimizer: adam, adamw or sgd.

    Raises:
        InputError: numbers that do not fit together.
    """

    batch: int
    learning_rate: float
    most: int
    check_every: int
    checked: int
    allowed: float = 0.0
    clip_norm: float | None = 1.0
    average: float = 0.0
    schedule: str = "constant"
    optimizer: str = "adam"

    def __post_init__(self) -> None:
        if min(self.batch, self.most, self.check_every, self.checked) < 1:
            raise InputError(f"Training: expected counts from 1 up, got {self}")
        if self.check_every % self.batch or self.most % self.check_every:
            raise InputError(
                f"Training: expected whole batches between checks and whole checks in all, got batches of "
                f"{self.batch:,}, a check every {self.check_every:,} of {self.most:,} sequences"
            )

    @property
    def allowed_count(self) -> int:
        """How many sequences of a check may be wrong."""
        return int(self.allowed * self.checked + 1e-9)

    def small(self) -> Training:
        """Two checks' worth of a handful of batches: for a smoke run."""
        return replace(self, most=4 * self.batch, check_every=2 * self.batch, checked=16)


def settings_of(training: Training, published: Mapping[str, str | int | float]) -> tuple[Setting, ...]:
    """The settings of a training as a study shows them.

    Args:
        training: here.
        published: name of a setting as it is written here → the publication's.

    Raises:
        InputError: a published one has a name that is not among ours.
    """
    clip = "none" if training.clip_norm is None else f"norm {training.clip_norm:g}"
    allowed = training.allowed_count
    here: dict[str, str | int | float] = {
        "optimiser": f"{training.optimizer}, learning rate {training.learning_rate:g}, {training.schedule}",
        "sequences a step": training.batch,
        "gradient clipped to": clip,
        "averaged weights": f"decay {training.average:g}" if training.average else "none",
        "training ends": f"with {f'at most {allowed}' if allowed else 'none'} wrong of {training.checked:,} "
        f"fresh sequences, looked at every {training.check_every:,}, or after {training.most:,}",
    }
    unknown = [name for name in published if name not in here]
    if unknown:
        raise InputError(f"published: expected names among {', '.join(here)}, got {unknown[0]!r}")
    return tuple(Setting(name, value, published.get(name)) for name, value in here.items())


@dataclass(frozen=True)
class Entrant:
    """One network of a study and the way it is trained.

    Args:
        key: in the names of parts: small letters, digits, ``-``.
        title: as people read it.
        network: what it is.
        training: how it is trained.
        ours: the one that the study is about; the others stand beside it.
        seeds: at most so many of the study's seeds, the first ones; None takes all.
    """

    key: str
    title: str
    network: Network
    training: Training
    ours: bool = False
    seeds: int | None = None
