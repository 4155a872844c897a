"""The training loop: steps, validation, best weights, checkpoints, resume.

Every step is a function of (seed, step) and of the weights before it, and the state between two steps goes
whole into a checkpoint, so a run that was killed and resumed ends in the same bits as one that was not
(same versions, same number of threads).
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor, nn

from longspan.core.errors import InputError, Interrupted, TrainingError
from longspan.store.checkpoint import Checkpoint
from longspan.store.stage import Keeper
from longspan.training.averaging import Average
from longspan.training.diagnosis import explain_divergence
from longspan.training.draws import draws
from longspan.training.engine import Engine, Events, quiet_engine
from longspan.training.flat import Flat
from longspan.training.history import History, Record
from longspan.training.interruption import Signals
from longspan.training.losses import Fault, Losses
from longspan.training.optimizers import Updates
from longspan.training.settings import Settings, learning_rate

__all__ = ["Progress", "train"]

_SHOW_EVERY = 0.1  # seconds
_READ_EVERY = 32  # steps between two looks at the losses on a device where a look makes the processor wait


class Progress(Protocol):
    """Who is told how training goes; see `longspan.training.progress`."""

    def start(self, step: int, settings: Settings) -> None:
        """Training begins, or goes on, after `step` steps."""

    def advance(self, step: int, loss: float | None, seconds: float) -> None:
        """`step` steps are done; mean `loss` since the last validation; `seconds` of training."""

    def validated(self, record: Record, best: float) -> None:
        """A validation is done; `best` is the lowest loss so far."""

    def close(self) -> None:
        """Training has ended, in one way or another."""


def train(
    module: nn.Module,
    loss: Callable[[nn.Module, Any], Tensor],
    batches: Callable[[int], Any],
    validate: Callable[[nn.Module], float],
    settings: Settings,
    workspace: Keeper | None = None,
    progress: Progress | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> History:
    """Train `module` in place; at the end it holds the weights of the best validation.

    Args:
        module: on the device where it is to be trained.
        loss: ``loss(module, batch)``, a tensor of one element, the mean over the batch.
        batches: the batch of a step (from 0), on the module's device: a function of the step alone.
        validate: a number, lower is better. It is called in evaluation mode, without gradients.
        settings: how to train.
        workspace: where checkpoints are kept. One that holds checkpoints is resumed from the newest.
        progress: who is told.
        clock: seconds, for the time budget and the time between checkpoints.

    Returns:
        The course of the run, over all its sessions.

    Raises:
        TrainingError: loss, gradient or validation is not finite: where, the last good loss, the cause.
        Interrupted: SIGINT or SIGTERM; the checkpoint is written and the message says how to go on.
        InputError: nothing to train, or a loss that is not one number.
        ModelError: a checkpoint cannot be written or read.

    After a TrainingError or Interrupted the module holds the best weights so far, where there are any. On
    the CPU a loss or gradient that is not finite is found before it reaches the weights; on other devices,
    where looking makes the processor wait, within 32 steps, at every validation and before every
    checkpoint, and the step is still named exactly. Torch's global random generators are as they were
    before.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    with draws(settings.seed, device) as seed, Signals() as signals:
        run = _Run(module, loss, batches, validate, settings, workspace, progress, clock, seed, signals)
        try:
            return run.to_the_end()
        finally:
            run.flat.restore()


class _Run:
    """One session of a run: the state between two steps, and what happens at each."""

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[[nn.Module, Any], Tensor],
        batches: Callable[[int], Any],
        validate: Callable[[nn.Module], float],
        settings: Settings,
        workspace: Keeper | None,
        progress: Progress | None,
        clock: Callable[[], float],
        seed: Callable[[str, int], None],
        signals: Signals,
    ) -> None:
        self.module, self.loss, self.batches, self.validate = module, loss, batches, validate
        self.settings, self.workspace, self.progress = settings, workspace, progress
        self.clock, self.seed, self.signals = clock, seed, signals
        self.flat = Flat(module)
        self.updates = Updates(self.flat, settings)
        self.average = Average(module, settings.average, self.flat) if settings.average else None
        self.history = History()
        self.best: dict[str, Tensor] | None = None
        self.waited = 0
        # A look at a number on another device makes the processor wait for it.
        self.losses = Losses(1 if self.flat.parameters[0].device.type == "cpu" else _READ_EVERY)
        self.began = self.saved = self.shown = clock()

    def to_the_end(self) -> History:
        self._resume()
        modes = {part: part.training for part in self.module.modules()}
        if not self.module.training:
            self.module.train()
        try:
            if self.progress is not None:
                self.progress.start(self.history.steps, self.settings)
            self._steps()
            self._finish()
            if (
                self.signals.caught is not None
            ):  # it came after the last step: all is kept, and the caller is told
                self._interrupt(self.signals.caught)
        except (TrainingError, Interrupted):
            self._load_best()
            raise
        finally:
            _set_modes(modes)
            if self.progress is not None:
                self.progress.close()
        return self.history

    def _steps(self) -> None:
        if self._validation_is_due():  # the run was interrupted between a step and its validation
            self._validate()
        if self.history.stopped_by is not None or self.history.steps >= self.settings.max_steps:
            return
        engine = quiet_engine(self._step)
        engine.register_events("validate", "checkpoint", "show")
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._after_step)
        engine.add_event_handler("validate", lambda _: self._validate())
        engine.add_event_handler("checkpoint", lambda _: self._save())
        if self.progress is not None:
            engine.add_event_handler("show", lambda _: self._show())
        steps = range(self.history.steps, self.settings.max_steps)
        engine.run(steps, max_epochs=1, epoch_length=len(steps))

    def _step(self, _: Engine, step: int) -> None:
        self.seed("step", step)
        value = self.loss(self.module, self.batches(step))
        if value.numel() != 1 or not value.requires_grad:
            raise InputError(_not_a_loss(value))
        value.backward()  # type: ignore[no-untyped-call]
        norm = self.flat.gradient_norm()
        fault = self.losses.add(step, value.detach(), norm)
        if fault is not None:
            self._diverged(fault)
        self._clip(norm)
        self.updates.step(learning_rate(self.settings, step))
        self.flat.zero_grad()
        self.history.steps = step + 1
        if self.average is not None:
            self.average.update(step + 1)

    def _clip(self, norm: Tensor) -> None:
        most = self.settings.clip_norm
        if most is None or (norm.is_cpu and norm.item() <= most):  # elsewhere to look is dearer than to scale
            return
        torch.nn.utils.clip_grads_with_norm_(self.flat.parameters, most, norm)

    def _read_losses(self) -> None:
        fault = self.losses.read()
        if fault is not None:
            self._diverged(fault)

    def _diverged(self, fault: Fault) -> NoReturn:
        # The weights are those of the failed step only where every step is looked at before its update.
        exact = self.losses.read_every == 1
        self.seed("step", fault.step)
        cause = explain_divergence(self.module, self.loss, self.batches(fault.step), fault, exact=exact)
        bad_loss = not math.isfinite(fault.loss)
        what = f"the loss is {fault.loss}" if bad_loss else f"the gradient's norm is {fault.norm}"
        good = (
            "" if self.losses.last_good is None else f" The last good loss was {self.losses.last_good:.6g}."
        )
        rate = learning_rate(self.settings, fault.step)
        clip = "" if self.settings.clip_norm is not None else ", or clip_norm 1.0"
        raise TrainingError(
            f"training step {fault.step + 1:,}: {what}.{good} {cause} {self._kept()} "
            f"If the data are sound, try a lower learning rate than {rate:.3g}, say {rate / 10:.2g}{clip}"
        )

    def _kept(self) -> str:
        if self.best is None:
            return "There was no validation yet, so no weights are kept."
        where = "" if self.workspace is None else f", also in {self.workspace.path}"
        return f"The best weights, of step {self.history.best_step:,}, are kept{where}."

    def _after_step(self, engine: Engine) -> None:
        now, step = self.clock(), self.history.steps
        if self.signals.caught is not None:
            self._interrupt(self.signals.caught)
        if step % self.settings.validate_every == 0:
            engine.fire_event("validate")
        elif self.workspace is not None and now - self.saved >= self.settings.checkpoint_every:
            engine.fire_event("checkpoint")
        if now - self.shown >= _SHOW_EVERY:
            engine.fire_event("show")
        budget = self.settings.time_budget
        if self.history.stopped_by is None and budget is not None and self._seconds() >= budget:
            self.history.stopped_by = "time_budget"
        if self.history.stopped_by is not None:
            engine.terminate()

    def _validation_is_due(self) -> bool:
        steps, records = self.history.steps, self.history.records
        seen = records[-1].step if records else 0
        return steps > seen and (steps % self.settings.validate_every == 0)

    def _validate(self) -> None:
        self._read_losses()
        step = self.history.steps
        modes = {part: part.training for part in self.module.modules()}
        self.seed("validate", step)
        self.module.eval()
        with torch.no_grad(), self._averaged():
            value = float(self.validate(self.module))
            if not math.isfinite(value):
                raise TrainingError(
                    f"validation after step {step:,}: expected a finite loss, got {value}. {self._kept()} "
                    "Look for a missing or infinite value in the validation data"
                )
            better = self.history.best_loss is None or value < self.history.best_loss
            if better:
                self.best = {name: t.detach().clone() for name, t in self.module.state_dict().items()}
        _set_modes(modes)
        self._note(value, better)
        self._save()

    def _note(self, value: float, better: bool) -> None:
        history = self.history
        rate = learning_rate(self.settings, history.steps - 1)
        record = Record(history.steps, self.losses.mean(), value, rate, self._seconds())
        history.records.append(record)
        self.losses.restart()
        self.waited = 0 if better else self.waited + 1
        if better:
            history.best_step, history.best_loss = history.steps, value
        if self.settings.patience is not None and self.waited >= self.settings.patience:
            history.stopped_by = history.stopped_by or "patience"
        if self.settings.target is not None and value <= self.settings.target:
            history.stopped_by = history.stopped_by or "target"
        if self.progress is not None and history.best_loss is not None:
            self.progress.validated(record, history.best_loss)

    def _finish(self) -> None:
        history = self.history
        history.stopped_by = history.stopped_by or "max_steps"
        if not history.records or history.records[-1].step != history.steps:
            self._validate()
        else:
            self._save()
        self._load_best()

    def _show(self) -> None:
        self._read_losses()
        self.shown = self.clock()
        if self.progress is not None:
            self.progress.advance(self.history.steps, self.losses.mean(), self._seconds())

    def _interrupt(self, number: int) -> NoReturn:
        self._save()
        history = self.history
        cause = "Ctrl-C" if number == 2 else "SIGTERM"
        best = "" if history.best_loss is None else f", best validation {history.best_loss:.6g}"
        kept = "Nothing was kept, since the run had no work folder"
        if self.workspace is not None:
            kept = f"The checkpoint is in {self.workspace.path}. Go on with --resume"
        raise Interrupted(
            f"stopped by {cause} after step {history.steps:,} of {self.settings.max_steps:,}{best}. {kept}",
            step=history.steps,
            workspace=None if self.workspace is None else self.workspace.path,
            number=number,
        )

    def _seconds(self) -> float:
        return self.history.seconds + (self.clock() - self.began)

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        if self.average is None:
            yield
        else:
            with self.average.swapped_in():
                yield

    def _load_best(self) -> None:
        if self.best is not None:
            self.module.load_state_dict(self.best)

    def _save(self) -> None:
        self._read_losses()
        now = self.clock()
        self.history.seconds, self.began, self.saved = self._seconds(), now, now
        if self.workspace is None:
            return
        self.workspace.save(
            Checkpoint(
                step=self.history.steps,
                weights=self.module.state_dict(),
                optimizer=self.updates.state(),
                best=self.best,
                average=None if self.average is None else self.average.weights,
                progress={
                    "settings": asdict(self.settings),
                    "history": self.history.to_json(),
                    "losses": self.losses.to_json(),
                    "waited": self.waited,
                },
            )
        )

    def _resume(self) -> None:
        checkpoint = None if self.workspace is None else self.workspace.latest()
        if checkpoint is None:
            return
        progress = checkpoint.progress
        _check_settings(progress["settings"], self.settings)
        self.module.load_state_dict(checkpoint.weights)
        self.updates.load(checkpoint.optimizer)
        self.best = None if checkpoint.best is None else dict(checkpoint.best)
        if self.average is not None and checkpoint.average is not None:
            self.average.load(checkpoint.average)
        self.history = History.from_json(progress["history"])
        self.losses.load(progress["losses"])
        self.waited = progress["waited"]


def _check_settings(kept: dict[str, Any], settings: Settings) -> None:
    now = asdict(settings)
    names = [name for name in now if kept.get(name) != now[name]]
    differences = [f"{name} was {kept.get(name)!r}, now {now[name]!r}" for name in names]
    if differences:
        raise InputError(
            f"settings: the checkpoint is of another run: {'; '.join(differences)}. "
            "Give the same settings to resume"
        )


def _set_modes(modes: dict[nn.Module, bool]) -> None:
    for part, training in modes.items():
        part.training = training


def _not_a_loss(value: Tensor) -> str:
    if value.numel() != 1:
        shape = tuple(value.shape)
        return f"loss: expected a tensor of one element, got shape {shape}. Take the mean over the batch"
    return "loss: expected a function of the module's parameters, got a tensor without a gradient"
