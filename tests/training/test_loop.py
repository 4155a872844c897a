"""The loop against what it says: a bare loop, hand computation, and every way to stop."""

from __future__ import annotations

import itertools
import math
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor, nn

from longspan.core.errors import InputError, Interrupted, TrainingError
from longspan.core.seeds import derive
from longspan.store.flatten import same
from longspan.store.workspace import Run, Workspace
from longspan.training.history import History, Record
from longspan.training.loop import train
from longspan.training.losses import Losses
from longspan.training.settings import Settings, learning_rate

RUN = Run({}, "0" * 64, 0)


def _network(dropout: float = 0.0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(dropout), nn.Linear(4, 1))


def _batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(8, 3, generator=generator)
    return x, x.sum(1, keepdim=True)


def _loss(module: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return ((module(batch[0]) - batch[1]) ** 2).mean()


def _validate(module: nn.Module) -> float:
    return float(_loss(module, _batch(10_000)).detach())


def _script(*values: float) -> Callable[[nn.Module], float]:
    """A validation that gives these values, one after the other."""
    left: Iterator[float] = iter(values)
    return lambda _: next(left)


class _Clock:
    """Seconds that pass only when the loop is told so: `tick` at every batch."""

    def __init__(self, tick: float = 1.0) -> None:
        self.now, self.tick = 100.0, tick

    def __call__(self) -> float:
        return self.now

    def batches(self, step: int) -> tuple[Tensor, Tensor]:
        self.now += self.tick
        return _batch(step)


def _bare(module: nn.Module, settings: Settings) -> list[float]:
    """Ten lines that everybody writes, as the reference."""
    kinds = {
        "adamw": lambda groups: torch.optim.AdamW(groups, fused=True),
        "adam": lambda groups: torch.optim.Adam(groups, fused=True),
        "sgd": lambda groups: torch.optim.SGD(groups, momentum=0.9, fused=True),
    }
    matrices = [p for p in module.parameters() if p.ndim >= 2]
    vectors = [p for p in module.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = kinds[settings.optimizer](groups)
    losses = []
    for step in range(settings.max_steps):
        torch.manual_seed(derive(settings.seed, "step", step))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step)
        optimizer.zero_grad()
        loss = _loss(module, _batch(step))
        loss.backward()
        if settings.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(module.parameters(), settings.clip_norm)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_is_the_bare_loop(optimizer: str, clip: float | None) -> None:
    """But for the rounding of kernels that see all parameters in one row, and not one after the other."""
    settings = Settings(
        seed=11, max_steps=25, validate_every=25, optimizer=optimizer, clip_norm=clip, weight_decay=0.1,
        learning_rate=0.02, schedule="cosine", warmup_steps=5,
    )  # fmt: skip
    ours, bare = _network(0.3), _network(0.3)
    history = train(ours, _loss, _batch, _validate, settings)
    losses = _bare(bare, settings)
    for got, want in zip(ours.parameters(), bare.parameters(), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)
    assert history.records[0].train_loss == pytest.approx(sum(losses) / len(losses), rel=1e-6)
    assert history.best_loss == pytest.approx(_validate(bare.eval()), rel=1e-5)


def test_clipping_bounds_the_first_sgd_step() -> None:
    settings = Settings(max_steps=1, optimizer="sgd", clip_norm=0.01, learning_rate=1.0)
    before, after = _network(), _network()
    train(after, _loss, lambda s: (_batch(s)[0] * 100, _batch(s)[1]), _validate, settings)
    moved = torch.cat(
        [(p - q).flatten() for p, q in zip(before.parameters(), after.parameters(), strict=True)]
    )
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-3)


def test_weight_decay_leaves_biases_alone() -> None:
    settings = Settings(max_steps=1, optimizer="sgd", weight_decay=0.5, learning_rate=0.1, clip_norm=None)
    module = _network()
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    train(module, lambda m, _: 0.0 * sum(p.sum() for p in m.parameters()), _batch, _validate, settings)
    for name, p in module.named_parameters():
        expected = before[name] * (0.95 if p.ndim >= 2 else 1.0)
        torch.testing.assert_close(p.detach(), expected, rtol=1e-6, atol=0)


# Schedule.


def test_cosine_schedule_values() -> None:
    settings = Settings(max_steps=110, learning_rate=0.4, warmup_steps=10, schedule="cosine")
    expected = {0: 0.04, 4: 0.2, 9: 0.4, 10: 0.4, 60: 0.2, 110: 0.0}
    for step, rate in expected.items():
        assert learning_rate(settings, step) == pytest.approx(rate, abs=1e-15)
    assert learning_rate(settings, 35) == pytest.approx(0.2 * (1 + math.cos(math.pi / 4)))


@given(st.integers(0, 50), st.integers(1, 300), st.sampled_from(["constant", "cosine"]))
@hypothesis_settings(max_examples=50, deadline=None)
def test_schedule_rises_then_never_rises_and_stays_in_bounds(warmup: int, steps: int, schedule: str) -> None:
    settings = Settings(max_steps=steps, warmup_steps=warmup, schedule=schedule, learning_rate=0.3)
    rates = [learning_rate(settings, step) for step in range(steps)]
    assert all(0.0 < rate <= 0.3 for rate in rates)
    pairs = list(itertools.pairwise(rates))
    assert all(a < b for a, b in pairs[: max(0, warmup - 1)])
    assert all(a >= b for a, b in pairs[warmup:])


# Stopping and what is kept.


def test_early_stopping_keeps_the_best_weights() -> None:
    kept: list[dict[str, Tensor]] = []

    def validate(module: nn.Module) -> float:
        kept.append({name: t.clone() for name, t in module.state_dict().items()})
        return [5.0, 3.0, 4.0, 3.0, 3.5][len(kept) - 1]

    module = _network()
    settings = Settings(max_steps=1000, validate_every=4, patience=3)
    history = train(module, _loss, _batch, validate, settings)
    assert (history.steps, history.best_step, history.best_loss) == (20, 8, 3.0)
    assert history.stopped_by == "patience"
    assert [record.step for record in history.records] == [4, 8, 12, 16, 20]
    assert same(dict(module.state_dict()), kept[1])
    assert not same(kept[1], kept[4])


def test_improvement_resets_the_patience() -> None:
    settings = Settings(max_steps=60, validate_every=10, patience=2)
    history = train(_network(), _loss, _batch, _script(5, 6, 4, 5, 3, 4), settings)
    assert (history.steps, history.stopped_by) == (60, "max_steps")


def test_training_ends_at_the_target() -> None:
    settings = Settings(max_steps=60, validate_every=10, patience=2, target=4.0)
    history = train(_network(), _loss, _batch, _script(6, 5, 4, 1), settings)
    assert (history.steps, history.best_loss, history.stopped_by) == (30, 4.0, "target")
    beyond = train(_network(), _loss, _batch, _script(6, 5, 4.5), replace(settings, max_steps=30))
    assert (beyond.steps, beyond.stopped_by) == (30, "max_steps")


def test_a_run_that_reached_its_target_resumes_to_its_end_without_a_step(tmp_path: Path) -> None:
    settings = Settings(max_steps=60, validate_every=10, target=4.0)
    with Workspace.create(tmp_path / "x.partial", RUN) as space:
        first = train(_network(), _loss, _batch, _script(6, 3), settings, space)
    with Workspace.resume(tmp_path / "x.partial", RUN) as space:
        second = train(_network(), _loss, _batch, _script(), settings, space)
    assert first.stopped_by == second.stopped_by == "target"
    assert second.steps == 20


def test_last_step_is_validated_even_off_the_beat() -> None:
    history = train(_network(), _loss, _batch, _validate, Settings(max_steps=7, validate_every=5))
    assert [record.step for record in history.records] == [5, 7]


def test_time_budget_stops_between_steps_and_records_the_step() -> None:
    clock = _Clock()
    settings = Settings(max_steps=1000, validate_every=4, time_budget=10.0)
    history = train(_network(), _loss, clock.batches, _validate, settings, clock=clock)
    assert (history.steps, history.stopped_by, history.seconds) == (10, "time_budget", 10.0)
    assert [record.step for record in history.records] == [4, 8, 10]
    assert [record.seconds for record in history.records] == [4.0, 8.0, 10.0]


def test_time_budget_counts_the_sessions_before(tmp_path: Path) -> None:
    settings = Settings(max_steps=1000, validate_every=4, time_budget=10.0)
    with Workspace.create(tmp_path / "x.partial", RUN) as space:
        clock = _Clock()
        with pytest.raises(Interrupted):
            train(_network(), _loss, _stop_at(6, clock.batches), _validate, settings, space, clock=clock)
    with Workspace.resume(tmp_path / "x.partial", RUN) as space:
        clock = _Clock()
        history = train(_network(), _loss, clock.batches, _validate, settings, space, clock=clock)
    assert (history.steps, history.seconds) == (10, 10.0)


def test_same_steps_without_the_budget_are_the_same_bits() -> None:
    clock, ours, other = _Clock(), _network(0.2), _network(0.2)
    settings = Settings(max_steps=1000, validate_every=4, time_budget=10.0)
    history = train(ours, _loss, clock.batches, _validate, settings, clock=clock)
    train(other, _loss, _batch, _validate, replace(settings, max_steps=history.steps, time_budget=None))
    assert same(dict(ours.state_dict()), dict(other.state_dict()))


# Averaging.


def test_average_is_the_hand_computation() -> None:
    settings = Settings(max_steps=30, validate_every=30, average=0.8, optimizer="sgd", learning_rate=0.05)
    module, weights = _network(), []
    expected = {name: p.detach().clone().double() for name, p in module.named_parameters()}

    def loss(m: nn.Module, batch: Any) -> Tensor:
        weights.append({name: p.detach().clone().double() for name, p in m.named_parameters()})
        return _loss(m, batch)

    plain = _network()
    train(module, loss, _batch, _validate, settings)
    train(plain, _loss, _batch, _validate, replace(settings, average=0.0))
    weights.append({name: p.detach().clone().double() for name, p in plain.named_parameters()})
    for n in range(1, 31):
        decay = min(0.8, (1 + n) / (10 + n))
        for name in expected:
            expected[name] = decay * expected[name] + (1 - decay) * weights[n][name]
    for name, p in module.named_parameters():
        torch.testing.assert_close(p.detach().double(), expected[name], rtol=1e-5, atol=1e-7)
        assert not torch.equal(p.detach().double(), weights[-1][name])


def test_validation_sees_the_average_and_training_does_not() -> None:
    seen: list[Tensor] = []
    settings = Settings(max_steps=6, validate_every=2, average=0.9, learning_rate=0.1)

    def validate(module: nn.Module) -> float:
        seen.append(next(module.parameters()).detach().clone())
        return 1.0

    with_average: list[float] = []
    without: list[float] = []
    for average, losses in ((0.9, with_average), (0.0, without)):

        def loss(m: nn.Module, batch: Any, losses: list[float] = losses) -> Tensor:
            value = _loss(m, batch)
            losses.append(value.item())
            return value

        train(_network(), loss, _batch, validate, replace(settings, average=average))
    assert with_average == without
    assert not torch.equal(seen[0], seen[3])


# Draws.


def test_draws_are_a_function_of_seed_and_step() -> None:
    drawn: dict[int, list[float]] = {}

    def batches(step: int) -> tuple[Tensor, Tensor]:
        drawn.setdefault(step, []).append(torch.rand(1).item())
        return _batch(step)

    for validate_every in (2, 5):
        settings = Settings(seed=4, max_steps=10, validate_every=validate_every)
        train(_network(0.5), _loss, batches, lambda m: _validate(m) + 0 * torch.rand(1).item(), settings)
    assert all(len(set(values)) == 1 and len(values) == 2 for values in drawn.values())
    assert len({values[0] for values in drawn.values()}) == 10
    other: list[float] = []
    train(_network(), _loss, lambda s: other.append(torch.rand(1).item()) or _batch(s), _validate,
          Settings(seed=5, max_steps=10))  # fmt: skip
    assert other[0] != drawn[0][0]


def test_callers_generator_is_restored() -> None:
    torch.manual_seed(99)
    before = torch.get_rng_state()
    train(_network(0.5), _loss, _batch, _validate, Settings(max_steps=3))
    assert torch.equal(torch.get_rng_state(), before)


def test_callers_generator_is_restored_after_an_exception() -> None:
    before = torch.get_rng_state()

    def fail(step: int) -> Any:
        raise LookupError(f"step {step}")

    with pytest.raises(LookupError, match="step 0"):
        train(_network(), _loss, fail, _validate, Settings(max_steps=3))
    assert torch.equal(torch.get_rng_state(), before)


def test_modes_are_as_the_caller_had_them() -> None:
    modes: list[tuple[bool, bool]] = []
    module = _network(0.5)
    module.eval()

    def loss(m: nn.Module, batch: Any) -> Tensor:
        modes.append((m.training, torch.is_grad_enabled()))
        return _loss(m, batch)

    def validate(m: nn.Module) -> float:
        modes.append((m.training, torch.is_grad_enabled()))
        return _validate(m)

    train(module, loss, _batch, validate, Settings(max_steps=2, validate_every=1))
    assert modes == [(True, True), (False, False)] * 2
    assert not any(part.training for part in module.modules())


def test_a_part_that_the_caller_froze_stays_in_evaluation_mode() -> None:
    module = _network(0.5)
    module[2].eval()
    seen: list[bool] = []

    def loss(m: nn.Module, batch: Any) -> Tensor:
        seen.append(m[2].training)
        return _loss(m, batch)

    train(module, loss, _batch, _validate, Settings(max_steps=3, validate_every=1))
    assert seen == [False] * 3


# Not finite.


class _Batch(NamedTuple):
    past: Tensor
    future: Tensor


def _fails(settings: Settings, **parts: Any) -> str:
    arguments = {"module": _network(), "loss": _loss, "batches": _batch, "validate": _validate, **parts}
    with pytest.raises(TrainingError) as caught:
        train(settings=settings, **arguments)
    return str(caught.value)


def test_infected_batch_is_named() -> None:
    def batches(step: int) -> _Batch:
        x, y = _batch(step)
        if step == 6:
            x[0, 0], x[1, 1] = math.nan, math.inf
        return _Batch(x, y)

    text = _fails(Settings(max_steps=50, validate_every=4, learning_rate=0.02), batches=batches)
    assert text.startswith("training step 7: the loss is nan. The last good loss was ")
    assert "The input of module '0' (Linear) was already not finite." in text
    assert "its part 'past' holds 1 NaN and 1 infinite values of 24" in text
    assert "The best weights, of step 4, are kept." in text
    assert text.endswith("try a lower learning rate than 0.02, say 0.002")


def test_first_module_that_breaks_is_named() -> None:
    class Log(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.log(x - 1e9)

    module = nn.Sequential(nn.Linear(3, 4), Log(), nn.Linear(4, 1))
    text = _fails(Settings(max_steps=5), module=module)
    assert text.startswith("training step 1: the loss is nan. The output of module '1' (Log) is the first")
    assert "There was no validation yet, so no weights are kept." in text


def test_loss_function_that_breaks_is_named() -> None:
    text = _fails(Settings(max_steps=5), loss=lambda m, batch: _loss(m, batch) / 0.0)
    assert "the loss is inf. The outputs of all modules are finite, so it arose in the loss function." in text


def test_gradient_that_breaks_is_named() -> None:
    def loss(m: nn.Module, batch: Any) -> Tensor:
        return _loss(m, batch) + torch.sqrt(m[3].bias.sum() * 0.0)

    text = _fails(Settings(max_steps=5, clip_norm=None), loss=loss)
    assert "training step 1: the gradient's norm is nan." in text
    assert "The gradient of '3.bias' is not finite, while the outputs of all modules are." in text
    assert text.endswith("or clip_norm 1.0")


def test_gradient_whose_norm_overflows_is_named() -> None:
    text = _fails(Settings(max_steps=5), loss=lambda m, batch: _loss(m, batch) * 1e30)
    assert "the gradient's norm is inf. Every gradient is finite, but they are so large" in text


def test_the_step_before_did_it() -> None:
    settings = Settings(max_steps=50, optimizer="sgd", learning_rate=1e38, clip_norm=None)
    text = _fails(settings, loss=lambda m, batch: _loss(m, batch) * 1e6)
    assert text.startswith("training step 2: the loss is ")
    assert "The parameter '0.weight' was not finite before the step: the update before" in text


def test_weights_are_untouched_by_the_step_that_failed() -> None:
    module = _network()
    before = {name: t.clone() for name, t in module.state_dict().items()}
    _fails(Settings(max_steps=5), module=module, loss=lambda m, batch: _loss(m, batch) * math.nan)
    assert same(before, dict(module.state_dict()))


def test_where_looking_is_dear_the_step_is_still_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def batches(step: int) -> _Batch:
        x, y = _batch(step)
        return _Batch(x * (math.nan if step == 11 else 1.0), y)

    monkeypatch.setattr("longspan.training.loop.Losses", lambda _: Losses(8))
    steps: list[int] = []
    settings = Settings(max_steps=50, validate_every=50)
    text = _fails(settings, batches=lambda step: steps.append(step) or batches(step))
    assert text.startswith("training step 12: the loss is nan. The last good loss was ")
    assert "The input batch is not finite: its part 'past' holds 24 NaN" in text
    assert max(steps) == 15
    steps.clear()
    text = _fails(
        replace(settings, validate_every=13), batches=lambda step: steps.append(step) or batches(step)
    )
    assert text.startswith("training step 12: ")
    assert max(steps) == 12


def test_losses_read_late_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(max_steps=21, validate_every=6)
    expected = train(_network(), _loss, _batch, _validate, settings)
    monkeypatch.setattr("longspan.training.loop.Losses", lambda _: Losses(8))
    assert _without_seconds(train(_network(), _loss, _batch, _validate, settings)) == _without_seconds(
        expected
    )


def test_best_weights_are_loaded_and_in_the_checkpoint_after_a_failure(tmp_path: Path) -> None:
    def loss(m: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return _loss(m, batch) * (math.nan if torch.equal(batch[0], _batch(9)[0]) else 1.0)

    module, reference = _network(), _network()
    with Workspace.create(tmp_path / "x.partial", RUN) as space:
        text = _fails(Settings(max_steps=50, validate_every=4), module=module, loss=loss, workspace=space)
        checkpoint = space.latest()
    train(reference, _loss, _batch, _validate, Settings(max_steps=8, validate_every=4))
    assert "training step 10" in text
    assert f"The best weights, of step 8, are kept, also in {tmp_path / 'x.partial'}" in text
    assert checkpoint is not None
    assert checkpoint.step == 8
    assert same(dict(checkpoint.best or {}), dict(reference.state_dict()))
    assert same(dict(module.state_dict()), dict(reference.state_dict()))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_validation_that_is_not_finite(value: float) -> None:
    text = _fails(Settings(max_steps=50, validate_every=4), validate=_script(2.0, value))
    assert f"validation after step 8: expected a finite loss, got {value}" in text


# Wrong arguments.


def test_loss_of_the_wrong_shape() -> None:
    with pytest.raises(InputError, match=r"expected a tensor of one element, got shape \(8, 1\)"):
        train(_network(), lambda m, b: m(b[0]), _batch, _validate, Settings())


def test_loss_without_gradient() -> None:
    with pytest.raises(InputError, match="expected a function of the module's parameters"):
        train(_network(), lambda m, b: _loss(m, b).detach(), _batch, _validate, Settings())


def test_nothing_to_train() -> None:
    with pytest.raises(InputError, match="got none that requires a gradient"):
        train(_network().requires_grad_(False), _loss, _batch, _validate, Settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1), ("seed", 1.0), ("max_steps", 0), ("max_steps", True), ("validate_every", 0),
        ("patience", 0),
        ("learning_rate", 0.0), ("learning_rate", math.nan), ("weight_decay", -1.0), ("clip_norm", 0.0),
        ("time_budget", 0), ("time_budget", math.inf), ("average", 1.0), ("average", -0.1),
        ("warmup_steps", -1),
        ("schedule", "linear"), ("optimizer", "lion"), ("checkpoint_every", -1.0), ("learning_rate", "fast"),
        ("target", math.nan), ("target", "low"),
    ],
)  # fmt: skip
def test_setting_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"^{name}: expected"):
        Settings(**{name: value})


# Interruption and resume.


def _stop_at(step: int, batches: Callable[[int], Any] = _batch, number: int = signal.SIGINT) -> Any:
    def get(now: int) -> Any:
        if now == step - 1:
            signal.raise_signal(number)
        return batches(now)

    return get


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_interruption_says_how_far_it_came_and_how_to_go_on(tmp_path: Path, number: int, name: str) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Workspace.create(tmp_path / "x.partial", RUN) as space, pytest.raises(Interrupted) as caught:
        settings = Settings(max_steps=5000, validate_every=4)
        train(_network(), _loss, _stop_at(1234, number=number), _script(*range(999, 0, -1)), settings, space)
    error = caught.value
    assert str(error) == (
        f"stopped by {name} after step 1,234 of 5,000, best validation 692. "
        f"The checkpoint is in {tmp_path / 'x.partial'}. Go on with --resume"
    )
    assert (error.step, error.workspace, error.signal) == (1234, tmp_path / "x.partial", number)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_interruption_without_workspace_says_that_nothing_was_kept() -> None:
    with pytest.raises(Interrupted, match="Nothing was kept, since the run had no work folder"):
        train(_network(), _loss, _stop_at(3), _validate, Settings())


def test_second_interruption_stops_at_once() -> None:
    def batches(step: int) -> Any:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return _batch(step)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(_network(), _loss, batches, _validate, Settings())
    assert signal.getsignal(signal.SIGINT) is handler


def test_interruption_in_the_last_validation_is_not_lost(tmp_path: Path) -> None:
    def validate(module: nn.Module) -> float:
        signal.raise_signal(signal.SIGINT)
        return _validate(module)

    settings = Settings(max_steps=3)
    with Workspace.create(tmp_path / "x.partial", RUN) as space, pytest.raises(Interrupted):
        train(_network(), _loss, _batch, validate, settings, space)
    with Workspace.resume(tmp_path / "x.partial", RUN) as space:
        history = train(_network(), _loss, _batch, _validate, settings, space)
    assert (history.steps, history.stopped_by, len(history.records)) == (3, "max_steps", 1)


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    handler = signal.getsignal(signal.SIGINT)
    during: list[Any] = []

    def batches(step: int) -> Any:
        during.append(signal.getsignal(signal.SIGINT))
        return _batch(step)

    thread = threading.Thread(
        target=train, args=(_network(), _loss, batches, _validate, Settings(max_steps=3))
    )
    thread.start()
    thread.join()
    assert during == [handler] * 3


def _without_seconds(history: History) -> dict[str, Any]:
    value = history.to_json()
    return {**value, "seconds": 0, "records": [{**record, "seconds": 0} for record in value["records"]]}


@given(
    stops=st.lists(st.integers(1, 23), max_size=3, unique=True).map(sorted),
    every=st.sampled_from([1, 4, 5]),
    average=st.sampled_from([0.0, 0.9]),
    optimizer=st.sampled_from(["adamw", "adam", "sgd"]),
)
@hypothesis_settings(max_examples=25, deadline=None)
def test_resumed_anywhere_ends_in_the_same_bits(
    tmp_path_factory: Any, stops: list[int], every: int, average: float, optimizer: str
) -> None:
    folder = tmp_path_factory.mktemp("run") / "x.partial"
    settings = Settings(
        seed=2, max_steps=23, validate_every=every, average=average, optimizer=optimizer, patience=None,
        learning_rate=0.02, schedule="cosine",
    )  # fmt: skip
    whole, cut = _network(0.3), _network(0.3)
    expected = train(whole, _loss, _batch, _validate, settings)
    Workspace.create(folder, RUN).close()
    for stop in stops:
        with Workspace.resume(folder, RUN) as space, pytest.raises(Interrupted):
            train(_network(0.3), _loss, _stop_at(stop), _validate, settings, space)
    with Workspace.resume(folder, RUN) as space:
        history = train(cut, _loss, _batch, _validate, settings, space)
    assert _without_seconds(history) == _without_seconds(expected)
    assert same(dict(cut.state_dict()), dict(whole.state_dict()))


def test_patience_goes_on_counting_after_a_resume(tmp_path: Path) -> None:
    settings = Settings(max_steps=1000, validate_every=4, patience=3)
    with Workspace.create(tmp_path / "x.partial", RUN) as space, pytest.raises(Interrupted):
        train(_network(), _loss, _stop_at(14), _script(1, 2, 3), settings, space)
    with Workspace.resume(tmp_path / "x.partial", RUN) as space:
        history = train(_network(), _loss, _batch, _script(4), settings, space)
    assert (history.steps, history.best_step, history.stopped_by) == (16, 4, "patience")


def test_finished_run_resumes_to_its_end_without_a_step(tmp_path: Path) -> None:
    settings = Settings(max_steps=10, validate_every=3)
    module, again = _network(), _network()
    with Workspace.create(tmp_path / "x.partial", RUN) as space:
        first = train(module, _loss, _batch, _validate, settings, space)

    def never(step: int) -> Any:
        raise LookupError(step)

    with Workspace.resume(tmp_path / "x.partial", RUN) as space:
        second = train(again, _loss, never, _script(), settings, space)
    assert _without_seconds(first) == _without_seconds(second)
    assert same(dict(module.state_dict()), dict(again.state_dict()))


def test_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    with Workspace.create(tmp_path / "x.partial", RUN) as space:
        train(_network(), _loss, _batch, _validate, Settings(max_steps=4), space)
        with pytest.raises(InputError, match=r"max_steps was 4, now 9; learning_rate was 0\.001, now 0\.1"):
            train(_network(), _loss, _batch, _validate, Settings(max_steps=9, learning_rate=0.1), space)


def test_checkpoints_come_by_the_clock(tmp_path: Path) -> None:
    clock, steps = _Clock(), []
    with Workspace.create(tmp_path / "x.partial", RUN) as space:
        real = space.save
        space.save = lambda checkpoint: steps.append(checkpoint.step) or real(checkpoint)
        settings = Settings(max_steps=20, validate_every=8, checkpoint_every=5.0)
        train(_network(), _loss, clock.batches, _validate, settings, space, clock=clock)
    assert steps == [5, 8, 13, 16, 20]


# History.


def test_history_round_trip() -> None:
    history = train(_network(), _loss, _batch, _validate, Settings(max_steps=7, validate_every=2))
    assert History.from_json(history.to_json()) == history
    assert isinstance(history.records[0], Record)
