"""How the steps of a Lightning trainer are timed, and what is turned off that is not training."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import pytorch_lightning as pl
from worker import Block, Clock, Trained, lstm_weights, tenths


class Watch(pl.Callback):  # type: ignore[misc]
    """Tells a clock when steps begin, and keeps the losses, which are read when all is done."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.losses: list[Any] = []

    def __deepcopy__(self, _memo: Any) -> Watch:
        # neuralforecast trains a copy of the model that it is given, callbacks included.
        return self

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        """A batch is loaded and its step begins."""
        self.clock.step_begins(trainer.global_step)

    def on_train_batch_end(self, _trainer: Any, _module: Any, outputs: Any, *_: Any) -> None:
        """A step is done."""
        self.losses.append(outputs["loss"].detach())

    def result(self, module: Any) -> Trained:
        """What was measured on a trained module."""
        first, last = tenths([float(loss) for loss in self.losses])
        count = sum(p.numel() for p in module.parameters() if p.requires_grad)
        return Trained(self.clock.seconds, lstm_weights(module), count, first, last)


def trainer_options(block: Block, watch: Watch) -> dict[str, Any]:
    """Options of the trainer: one step beyond the timed ones, and nothing that is not training."""
    return {
        "max_steps": block.warmup + block.steps + 1,
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "callbacks": [watch],
    }


def quiet() -> None:
    """No notes of Lightning on each of many fits."""
    warnings.filterwarnings("ignore")
    for name in ("pytorch_lightning", "lightning_fabric", "darts"):
        logging.getLogger(name).setLevel(logging.ERROR)
