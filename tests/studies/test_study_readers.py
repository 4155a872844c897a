"""Training a reader until it is right: what is counted, what is a function of the seed, what is resumed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longspan.core.errors import InputError
from longspan.data.problems.base import Answer, Examples
from longspan.data.problems.lags import LongLag
from longspan.models.reader import Reader, Sequences
from longspan.nn.encoders import RecurrentEncoder
from longspan.store.workspace import Run, Workspace
from longspan.studies.plan import Network, Training, settings_of
from longspan.studies.readers import (
    Criterion,
    build_reader,
    examine,
    misread_steps,
    train_reader,
    widest_error,
)
from longspan.studies.study import OutOfTime

LAG = LongLag(3, 2, longest=3)
LSTM = Network("lstm", 6, {"forget_bias": 1.0})
EASY = Training(20, 2e-2, 4_000, 200, 200)
CRITERION = Criterion(widest_error, 0.2)


class Counting(LongLag):
    """Notes how many sequences are drawn at a time."""

    def __init__(self) -> None:
        super().__init__(3, 2, longest=3)
        self.drawn: list[int] = []

    def draw(self, count: int, draws: np.random.Generator) -> Examples:
        self.drawn.append(count)
        return super().draw(count, draws)


def input_bias(reader: Reader) -> torch.Tensor:
    """The biases of the input products of an LSTM, (4 H,)."""
    assert isinstance(reader.encoder, RecurrentEncoder)
    layer = reader.encoder.layer
    started = [layer.cell.gates.index(gate) for gate in "if" if gate in layer.cell.gates]
    assert not layer.get_parameter("bias_hh_l0").view(-1, layer.hidden_size)[started].any()
    return layer.get_parameter("bias_ih_l0").detach()


def test_it_trains_until_the_check_is_right_and_then_the_test_is() -> None:
    found = train_reader(LAG, LSTM, EASY, CRITERION, 1_000)
    assert found.solved
    assert found.sequences < EASY.most
    assert found.curve[-1] == (found.sequences, 0.0)
    assert all(share > 0 for _, share in found.curve[:-1])
    assert found.parameters == sum(each.numel() for each in found.reader.parameters())
    errors = examine(found.reader, LAG, 500, widest_error, 1_000)
    assert errors.shape == (500,)
    assert CRITERION.wrong(errors).mean() < 0.01


def test_every_training_sequence_is_counted() -> None:
    problem = Counting()
    training = Training(8, 1e-3, 64, 32, 10)
    found = train_reader(problem, LSTM, training, lambda _: 1.0, 0)
    assert not found.solved
    assert found.sequences == sum(problem.drawn) == 64
    assert found.curve == ((32, 1.0), (64, 1.0))


def test_the_same_seed_gives_the_same_numbers_and_another_others() -> None:
    training = Training(8, 1e-2, 160, 80, 50)
    one, same, other = (train_reader(LAG, LSTM, training, CRITERION, seed) for seed in (5, 5, 6))
    assert one.curve == same.curve
    weights = [torch.cat([p.flatten() for p in each.reader.parameters()]) for each in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_training_that_ran_out_of_time_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    training = Training(8, 1e-2, 160, 40, 50)
    whole = train_reader(LAG, LSTM, training, lambda _: 1.0, 5)
    begun, left = Run({}, "", 0), [13]

    def hurry() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OutOfTime("spent")

    with Workspace.create(tmp_path / "x.partial", begun) as space, pytest.raises(OutOfTime):
        train_reader(LAG, LSTM, training, lambda _: 1.0, 5, keeper=space.stage("a"), hurry=hurry)
    with Workspace.resume(tmp_path / "x.partial", begun) as space:
        stage = space.stage("a")
        kept = stage.latest()
        assert kept is not None
        assert kept.step == 10
        rest = train_reader(LAG, LSTM, training, lambda _: 1.0, 5, keeper=stage)
    assert rest.sequences == whole.sequences
    for one, other in zip(rest.reader.parameters(), whole.reader.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_check_that_fails_in_its_first_tenth_goes_no_further() -> None:
    problem = Counting()
    training = Training(8, 1e-3, 16, 16, 1_000)
    train_reader(problem, LSTM, training, CRITERION, 0)
    assert sum(problem.drawn) == 16 + 1 + 100, "the training, a probe of the size, and a tenth"


def test_a_training_that_diverges_has_not_solved_it() -> None:
    class Endless(LongLag):
        """From the sixth step of training on, an input is infinite."""

        def draw(self, count: int, draws: np.random.Generator) -> Examples:
            found = super().draw(count, draws)
            calls.append(count)
            if calls.count(8) > 5:
                found.x[0, 0, 0] = np.inf
            return found

    calls: list[int] = []
    training = Training(8, 1e-3, 64, 16, 10)
    found = train_reader(Endless(3, 2), LSTM, training, lambda _: 0.5, 0)
    assert found.diverged
    assert not found.solved
    assert found.sequences == 6 * 8
    assert found.curve == ((16, 0.5), (32, 0.5))
    assert all(each.isfinite().all() for each in found.reader.parameters())
    assert found.record()["diverged"]


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    build_reader(LAG, LSTM, 3)
    train_reader(LAG, LSTM, Training(8, 1e-3, 16, 16, 20), CRITERION, 0)
    assert torch.equal(before, torch.random.get_rng_state())


@given(st.integers(0, 2**31), st.integers(3, 2_000))
def test_chrono_biases_are_of_the_spans_asked_for(seed: int, longest: int) -> None:
    i, f, _, _ = input_bias(build_reader(LAG, Network("lstm", 8, chrono=longest), seed)).chunk(4)
    spans = f.exp()
    assert (spans > 1 - 1e-4).all()
    assert (spans < (longest - 1) * (1 + 1e-4)).all()
    assert torch.equal(i, -f)


def test_without_a_forget_gate_the_input_gate_starts_nearly_closed() -> None:
    reader = build_reader(LAG, Network("lstm", 64, {"forget_gate": False}, chrono=101), 0)
    i, g, o = input_bias(reader).chunk(3)
    assert (-math.log(101) < i).all()
    assert (i < 1e-4).all()
    assert g.abs().max() <= 1 / 8
    assert o.abs().max() <= 1 / 8


def test_chrono_spreads_the_spans_evenly() -> None:
    bias = input_bias(build_reader(LAG, Network("lstm", 512, chrono=101), 0))
    spans = bias[512:1024].exp().sort().values
    even = torch.linspace(1, 100, 512)
    assert (spans - even).abs().max() < 100 * 1.63 / math.sqrt(512), "Kolmogorov-Smirnov at 1 %"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Network("rnn", 4, chrono=10), "chrono: expected an LSTM with biases, got rnn"),
        (Network("lstm", 4, {"bias": False}, chrono=10), "expected an LSTM with biases, got lstm"),
        (Network("lstm", 4, chrono=2), "memories of at least 3 steps, got 2"),
    ],
)
def test_chrono_biases_need_gates(network: Network, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_reader(LAG, network, 0)


def test_how_far_answers_are_off() -> None:
    x = torch.zeros(2, 1, 1)
    numbers = Sequences(x, torch.tensor([[0.5], [1.0]]))
    assert widest_error(torch.tensor([[0.75], [1.0]]), numbers).tolist() == [0.25, 0.0]
    classes = Sequences(x, torch.tensor([0, 1]))
    given = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    assert widest_error(given, classes).tolist() == pytest.approx([0.5, 0.75])
    assert misread_steps(given, classes).tolist() == [0.0, 1.0]
    steps = Sequences(x, torch.tensor([[0, 1], [1, 1]]), None, torch.tensor([[True, True], [True, False]]))
    read = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]])
    assert misread_steps(read, steps).tolist() == [1.0, 1.0]
    nothing = torch.full((2, 2), math.nan)
    assert misread_steps(nothing, Sequences(x, torch.tensor([0, 0]))).tolist() == [1.0, 1.0]


def test_what_is_no_number_is_wrong() -> None:
    assert CRITERION.wrong(np.array([0.1, 0.2, math.nan])).tolist() == [False, True, True]


def test_tests_are_fresh_draws_and_chunks_make_no_difference() -> None:
    class Told:
        """The answer is the input: what is examined can be read off."""

        input_size = output_size = 1
        answer: Answer = "number"
        every_step = False

        def draw(self, count: int, draws: np.random.Generator) -> Examples:
            x = draws.random((count, 1, 1), np.float32)
            return Examples(x, x[:, 0])

    reader = build_reader(Told(), Network("rnn", 2), 0).eval()

    def shown(_given: torch.Tensor, drawn: Sequences) -> torch.Tensor:
        return drawn.target[:, 0]

    test = examine(reader, Told(), 700, shown, 0)
    assert len(np.unique(test)) == 700
    assert not np.isin(examine(reader, Told(), 700, shown, 0, "check"), test).any()
    assert not np.isin(examine(reader, Told(), 700, shown, 1), test).any()
    assert np.array_equal(examine(reader, Told(), 512, shown, 0), test[:512])


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 10, 10, 5), "expected counts from 1 up"),
        ((3, 30, 10, 5), "expected whole batches between checks"),
        ((2, 31, 10, 5), "whole checks in all"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(numbers: tuple[int, int, int, int], message: str) -> None:
    batch, most, check_every, checked = numbers
    with pytest.raises(InputError, match=message):
        Training(batch, 1e-3, most, check_every, checked)


def test_settings_are_shown_as_they_are_run() -> None:
    training = Training(20, 5e-3, 80_000, 1_000, 5_000, allowed=1 / 5_000, average=0.99)
    shown = {
        each.name: (each.here, each.published) for each in settings_of(training, {"sequences a step": 1})
    }
    assert shown["optimiser"] == ("adam, learning rate 0.005, constant", None)
    assert shown["sequences a step"] == (20, 1)
    assert shown["training ends"][0] == (
        "with at most 1 wrong of 5,000 fresh sequences, looked at every 1,000, or after 80,000"
    )
    with pytest.raises(InputError, match=r"expected names among optimiser, .*got 'optimizer'"):
        settings_of(training, {"optimizer": "x"})
