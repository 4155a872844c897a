"""The reader: what it gives, whose steps count, and its losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from longspan.core.errors import InputError
from longspan.data.problems.base import Examples
from longspan.models.reader import Reader, answer_losses, reader_loss, sequences
from longspan.nn.encoders import build_encoder

LENGTHS = torch.tensor([5, 2, 7])


def reader(answer: str = "class", *, every_step: bool = False, encoder: str = "lstm") -> Reader:
    torch.manual_seed(0)
    return Reader(build_encoder(encoder, 3, 6), 4, answer, every_step).eval()  # type: ignore[arg-type]


def ragged() -> torch.Tensor:
    x = torch.randn(3, 7, 3, generator=torch.Generator().manual_seed(1))
    return x * (torch.arange(7) < LENGTHS[:, None])[..., None]


@pytest.mark.parametrize("encoder", ["lstm", "rnn", "gru"])
def test_the_answer_at_the_end_is_that_of_the_last_real_step(encoder: str) -> None:
    last, every = reader(encoder=encoder), reader(every_step=True, encoder=encoder)
    x = ragged()
    given, steps = last(x, LENGTHS), every(x, LENGTHS)
    torch.testing.assert_close(given, steps[torch.arange(3), LENGTHS - 1])
    alone = torch.cat([last(x[row : row + 1, : LENGTHS[row]]) for row in range(3)])
    torch.testing.assert_close(given, alone)


def test_sequences_of_one_length_need_no_lengths() -> None:
    x = ragged()
    torch.testing.assert_close(reader()(x), reader()(x, torch.tensor([7, 7, 7])))


def test_losses_are_those_of_the_books() -> None:
    given = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 0.0]])
    one = answer_losses(given, torch.tensor([0, 2]), "class")
    assert one == pytest.approx(-given.log_softmax(-1)[[0, 1], [0, 2]].numpy())
    target = torch.tensor([[1.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
    assert answer_losses(given, target, "number") == pytest.approx([(1 + 1 + 0) / 3, 1 / 3])
    wanted = -(target * given.sigmoid().log() + (1 - target) * (-given).sigmoid().log()).mean(-1)
    torch.testing.assert_close(answer_losses(given, target, "set"), wanted)
    steps = answer_losses(given[None], torch.tensor([[0, 2]]), "class")
    assert steps.shape == (1, 2)


def test_an_unknown_kind_of_answer_is_refused() -> None:
    with pytest.raises(InputError, match="answer: expected 'class', 'number' or 'set', got 'word'"):
        answer_losses(torch.zeros(1, 2), torch.zeros(1), "word")  # type: ignore[arg-type]


def test_steps_past_the_end_do_not_count() -> None:
    own = reader(every_step=True)
    target = np.zeros((3, 7), np.int64)
    examples = Examples(ragged().numpy(), target, LENGTHS.numpy())
    loss = reader_loss(own, sequences(examples))
    spoilt = target.copy()
    spoilt[np.arange(7) >= LENGTHS.numpy()[:, None]] = 3
    assert torch.equal(loss, reader_loss(own, sequences(Examples(examples.x, spoilt, examples.lengths))))
    given = own(torch.from_numpy(examples.x), LENGTHS)
    first = -given.log_softmax(-1)[..., 0]
    rows = [first[row, :length].sum() for row, length in enumerate(LENGTHS.tolist())]
    torch.testing.assert_close(loss, torch.stack(rows).sum() / LENGTHS.sum())


def test_only_the_scored_steps_count() -> None:
    own = reader(every_step=True)
    target = np.zeros((3, 7), np.int64)
    scored = np.zeros((3, 7), np.bool_)
    scored[:, 1] = True
    scored[1, 5] = True  # past its end
    found = sequences(Examples(ragged().numpy(), target, LENGTHS.numpy(), scored))
    assert found.scored is not None
    assert found.scored.sum() == 3
    given = own(found.x, found.lengths)[:, 1]
    torch.testing.assert_close(
        reader_loss(own, found), functional.cross_entropy(given, torch.zeros(3, dtype=torch.long))
    )
