"""What a comparison needs of a task: units, entrants that a stage keeps, and the pace of an encoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longspan.models.contest import Contestant, Entrant, Pace, Units, pace_of
from longspan.nn.encoders import build_encoder, encoder_names
from longspan.store.stage import Stage
from longspan.training.history import History, Record


def test_units_are_averaged_by_group_or_by_place() -> None:
    units = Units(np.array([0, 0, 1]), np.array([0, 1, 1]))
    values = np.array([1.0, 2.0, 3.0])
    assert units.means(values, many=True).tolist() == [1.5, 3.0]
    assert units.means(values, many=False).tolist() == [1.0, 2.5]
    assert len(units) == 3
    assert not Units.independent(3).shared


def test_an_entrant_is_what_a_stage_kept(tmp_path) -> None:
    history = History([Record(10, None, 0.5, 1e-3, 0.1)], 10, 0.5, 10, 0.1, "patience")
    entrant = Entrant(np.array([0.1, np.nan]), {"RMSE": 1.0}, history, None, Pace(1e-5, 1e-6), 0.3)
    stage = Stage(tmp_path, "train-lstm", lambda _: None, lambda: None)
    stage.finish(*entrant.result())
    kept = stage.result()
    assert kept is not None
    again = Entrant.of(kept)
    assert np.array_equal(again.losses, entrant.losses, equal_nan=True)
    assert (again.scores, again.span, again.pace) == (entrant.scores, None, entrant.pace)
    assert again.history == history
    assert again.seconds == 0.3


@pytest.mark.parametrize("name", encoder_names())
def test_every_encoder_has_a_pace_and_is_left_as_it_was(name: str) -> None:
    encoder = build_encoder(name, 3, 8, reach=12)
    encoder.train()
    state = torch.random.get_rng_state()
    ticks = iter(range(10_000))
    pace = pace_of(encoder, 12, clock=lambda: float(next(ticks)))
    assert pace == Pace(1.0, 1 / 12), "one tick a call; a whole sequence has 12 steps"
    assert encoder.training
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(each.grad is None for each in encoder.parameters())


def test_a_contestant_is_a_plain_record() -> None:
    assert Contestant("lstm", 8, 100, 50) == Contestant("lstm", 8, 100, 50)
