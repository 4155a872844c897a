"""What happened during training, validation by validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["History", "Record"]


@dataclass(frozen=True)
class Record:
    """One validation.

    Args:
        step: optimiser steps taken by then.
        train_loss: mean loss of the steps since the validation before, or None where there were none.
        validation_loss: what `validate` returned, with the averaged weights where averaging is on.
        learning_rate: of the last step.
        seconds: of training by then, over all sessions of the run; two equal runs differ in nothing else.
    """

    step: int
    train_loss: float | None
    validation_loss: float
    learning_rate: float
    seconds: float


@dataclass
class History:
    """The course of a run.

    Attributes:
        records: one per validation, in order.
        best_step: step of the kept weights.
        best_loss: validation loss of the kept weights.
        steps: optimiser steps taken.
        seconds: of training, over all sessions of the run.
        stopped_by: ``"max_steps"``, ``"patience"``, ``"target"`` or ``"time_budget"``; None while it runs.
    """

    records: list[Record] = field(default_factory=list)
    best_step: int | None = None
    best_loss: float | None = None
    steps: int = 0
    seconds: float = 0.0
    stopped_by: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; `from_json` reads them back exactly."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> History:
        """The history that `to_json` wrote."""
        return cls(**{**value, "records": [Record(**record) for record in value["records"]]})
