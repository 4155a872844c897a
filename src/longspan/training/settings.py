"""How to train: what the loop needs to know, checked on construction."""

from __future__ import annotations

import math
from dataclasses import dataclass

from longspan.core.errors import InputError

__all__ = ["OPTIMIZERS", "SCHEDULES", "Settings", "learning_rate"]

OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class Settings:
    """Settings of a training run.

    Args:
        seed: of dropout and every other draw; draws are functions of (seed, step).
        max_steps: optimiser steps, at most.
        validate_every: steps between validations; one more follows the last step.
        patience: stop after so many validations in a row without improvement; None never stops early.
        learning_rate: the highest of the schedule.
        weight_decay: of parameters with two or more dimensions; biases and gains are never decayed.
        clip_norm: the gradient's norm over all parameters is scaled down to this; None leaves it.
        warmup_steps: the learning rate rises linearly over so many steps.
        schedule: ``"constant"``, or ``"cosine"``: down to zero at `max_steps` (Loshchilov & Hutter 2017,
            eq. 5, one period).
        average: decay of the running average of the weights, 0 for off. Validation and the kept weights
            then use the average. Early on the decay is ``(1 + n) / (10 + n)`` after n steps if that is
            less, so that the first weights are soon forgotten.
        time_budget: seconds after which to stop, or None. The step at which it stopped is in the history.
        checkpoint_every: seconds between checkpoints; there is one at every validation too.
        optimizer: ``"adamw"``, ``"adam"`` (weight decay added to the gradient), or ``"sgd"`` (momentum 0.9).
        target: stop as soon as a validation is this low; None never stops for it.

    Raises:
        InputError: a value out of its range.
    """

    seed: int = 0
    max_steps: int = 10_000
    validate_every: int = 200
    patience: int | None = 10
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    clip_norm: float | None = 1.0
    warmup_steps: int = 0
    schedule: str = "constant"
    average: float = 0.0
    time_budget: float | None = None
    checkpoint_every: float = 30.0
    optimizer: str = "adamw"
    target: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("max_steps", 1), ("validate_every", 1), ("warmup_steps", 0)):
            _whole(name, getattr(self, name), least)
        if self.patience is not None:
            _whole("patience", self.patience, 1)
        _number("learning_rate", self.learning_rate, above=0.0)
        _number("weight_decay", self.weight_decay, least=0.0)
        _number("checkpoint_every", self.checkpoint_every, least=0.0)
        if self.target is not None:
            _number("target", self.target)
        for name in ("clip_norm", "time_budget"):
            if getattr(self, name) is not None:
                _number(name, getattr(self, name), above=0.0)
        _number("average", self.average, least=0.0)
        if self.average >= 1.0:
            raise InputError(
                f"average: expected a decay in [0, 1), got {self.average}. Usual values: 0.99 to 0.9999"
            )
        _one_of("schedule", self.schedule, SCHEDULES)
        _one_of("optimizer", self.optimizer, OPTIMIZERS)


def learning_rate(settings: Settings, step: int) -> float:
    """The learning rate of step number `step` (from 0): linear warm-up, then constant or half a cosine."""
    peak, warmup = settings.learning_rate, settings.warmup_steps
    if step < warmup:
        return peak * (step + 1) / warmup
    if settings.schedule == "constant":
        return peak
    share = (step - warmup) / max(1, settings.max_steps - warmup)
    return peak * 0.5 * (1.0 + math.cos(math.pi * share))


def _whole(name: str, value: object, least: int) -> None:
    if type(value) is not int or value < least:
        raise InputError(f"{name}: expected a whole number from {least} up, got {value!r}")


def _number(name: str, value: object, *, least: float | None = None, above: float | None = None) -> None:
    bound = f" at least {least:g}" if least is not None else "" if above is None else f" above {above:g}"
    right = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not right or (least is not None and value < least) or (above is not None and value <= above):  # type: ignore[operator]
        raise InputError(f"{name}: expected a number{bound}, got {value!r}")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
