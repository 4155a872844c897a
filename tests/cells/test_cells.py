"""The records of the cells: what they refuse at construction, and what they hold."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from longspan import cells
from longspan.cells.base import Cell, StepNoise, Weight
from longspan.core.errors import InputError


def a_cell(**changes: Any) -> Cell:
    return dataclasses.replace(cells.build("rnn"), **changes)


def test_registered_names_and_options() -> None:
    assert set(cells.names()) >= {"rnn", "gru", "lstm"}
    assert "peephole" in cells.option_names("lstm")
    assert cells.build("lstm").gates == ("i", "f", "g", "o")
    assert cells.build("gru").gates == ("r", "z", "n")
    assert cells.build("lstm").records == ("i", "f", "g", "o", "pre_i", "pre_f", "pre_g", "pre_o", "h", "c")
    assert cells.build("lstm", coupled=True).gates == ("i", "g", "o")
    assert "f" in cells.build("lstm", coupled=True).records
    assert "f" not in cells.build("lstm", forget_gate=False).records


def test_one_set_of_options_is_one_object() -> None:
    cell = cells.build("lstm", peephole=True)
    assert cell is cells.lstm(peephole=True)
    assert cell is cells.lstm(peephole=True, coupled=False)
    assert cell is not cells.lstm()
    assert copy.deepcopy(cell) is cell
    assert pickle.loads(pickle.dumps(cell)) is cell  # noqa: S301 (its own bytes)


def test_every_source_is_cited() -> None:
    assert "Gers, Schraudolph" in cells.lstm(peephole=True).source
    assert "Layer normalization" in cells.lstm(layer_norm=True).source
    assert "Learning to forget" not in cells.lstm(forget_gate=False).source


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"states": ("c", "h")}, r"cell 'rnn': expected state names that start with 'h', the output, got"),
        ({"gates": ()}, r"expected at least one gate, got none"),
        ({"gates": ("g", "g")}, r"expected gate names that differ, got 'g' twice"),
        ({"activations": ("g", "pre_g", "h")}, r"expected recorded names that differ, got 'h' twice"),
        ({"activations": ("pre_g",)}, r"gate 'g' is not among the activations"),
        ({"source": " "}, r"expected the source of the equations, got an empty text"),
        (
            {"weights": cells.build("rnn").weights[1:]},
            r"expected the weights to start with weight_ih, weight_hh",
        ),
        (
            {"weights": (Weight("weight_ih", ((2, "H"), (1, "I"))), *cells.build("rnn").weights[1:])},
            r"expected weight_ih of shape \(G·H, ...\) = \(7, 5\).*got \(14, 5\)",
        ),
        ({"hoist": lambda x, _: x}, r"expected hoist to give \(B, G·H\) = \(2, 7\), got \(2, 5\)"),
        (
            {"step": lambda x, s, *_: ((s[0][:1],), {"g": x, "pre_g": x})},
            r"expected step to give states \('h',\) of widths \(7,\), got \[\(1, 7\)\]",
        ),
        (
            {"step": lambda x, s, *_: (s, {"g": x})},
            r"expected step to report \('g', 'pre_g'\), got \('g',\)",
        ),
        (
            {"step": lambda x, s, *_: (s, {"g": x, "pre_g": x[:, :3]})},
            r"expected activation 'pre_g' of shape \(B, H\) = \(2, 7\), got \(2, 3\)",
        ),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        a_cell(**changes)


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("lstn", {}, r"cells: expected cell to be one of .*lstm.*, got 'lstn'"),
        (
            "gru",
            {"peephole": True},
            r"cell 'gru' has no option 'peephole': its options are reset_after, bias",
        ),
        ("lstm", {"peephole": 1}, r"cell 'lstm': expected peephole to be True or False, got 1 of type int"),
        ("lstm", {"coupled": True, "forget_gate": False}, r"coupled=True makes the forget gate 1 - i"),
        ("lstm", {"cell_clip": 0.0}, r"expected cell_clip above 0, or None for no clip, got 0.0"),
        ("lstm", {"cell_clip": float("nan")}, r"expected cell_clip to be a finite number, got nan"),
        ("rnn", {"nonlinearity": "linear"}, r"expected nonlinearity to be one of tanh, relu, got 'linear'"),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        cells.build(name, **options)


def test_a_name_is_registered_once() -> None:
    with pytest.raises(InputError, match="a cell named 'lstm' is registered already: choose another name"):
        cells.register("lstm")(cells.lstm)


FLAGS = ("peephole", "coupled", "layer_norm", "projection", "bias")


@pytest.mark.parametrize("values", list(product((False, True), repeat=len(FLAGS))))
def test_all_options_of_the_lstm_combine(values: tuple[bool, ...]) -> None:
    options = dict(zip(FLAGS, values, strict=True))
    cell = cells.lstm(**options, cell_clip=2.0)
    gates = 3 if options["coupled"] else 4
    shapes = cell.shapes(2, 6, 3)
    assert shapes["weight_hh"] == (gates * 6, 3)
    assert ("weight_ch" in shapes) == options["peephole"]
    assert shapes.get("weight_ch", ((gates - 1) * 6,)) == ((gates - 1) * 6,)
    assert ("weight_hr" in shapes) == options["projection"]
    assert ("gain_c" in shapes) == options["layer_norm"]
    assert ("shift_c" in shapes) == (options["layer_norm"] and options["bias"])


def test_step_does_not_write_to_what_it_gets() -> None:
    cell = cells.lstm(peephole=True, layer_norm=True)
    params = {name: torch.randn(shape) for name, shape in cell.shapes(3, 4).items()}
    given: list[Tensor] = [torch.randn(2, 16), torch.randn(2, 4), torch.randn(2, 4), *params.values()]
    before = [tensor.clone() for tensor in given]
    cell.step(given[0], (given[1], given[2]), params, StepNoise())
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))
