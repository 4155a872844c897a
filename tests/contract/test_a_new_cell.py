"""What docs/howto/add-a-cell.md promises, on the cell that it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from kernel_contract import SITUATIONS, Case, Situation, check_half_precision, check_kernel

from longspan import cells
from longspan.cells import base
from longspan.kernels.dispatch import BACKENDS
from longspan.nn import Recurrent, explain
from longspan.nn.encoders import _cell_layer

REFERENCE = next(backend for backend in BACKENDS if backend.name == "reference")


@pytest.fixture
def _documented_cell(repository: Path) -> Iterator[None]:
    text = (repository / "docs" / "howto" / "add-a-cell.md").read_text(encoding="utf-8")
    block = re.search(r"   ```python\n(.*?)   ```", text, re.DOTALL)
    assert block is not None
    exec(compile(dedent(block[1]), "add-a-cell.md", "exec"), {"__name__": "documented"})
    yield
    base._FACTORIES.pop("mgu")


@pytest.mark.usefixtures("_documented_cell")
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
@pytest.mark.parametrize("options", [(), (("bias", False),)], ids=["bias", "no bias"])
def test_it_is_under_the_contract(situation: Situation, options: tuple[tuple[str, bool], ...]) -> None:
    case = Case("mgu", options, situation)
    check_kernel(REFERENCE, case, torch.float32)
    check_half_precision(REFERENCE, case, torch.bfloat16)


@pytest.mark.usefixtures("_documented_cell")
def test_it_is_a_layer_and_an_encoder() -> None:
    layer = Recurrent(cells.build("mgu"), 4, 5, 2, bidirectional=True)
    x = torch.randn(6, 3, 4)
    assert layer(x)[0].shape == (6, 3, 10)
    assert explain(layer, x).refusals == {
        "vendor": "torch has no fused mgu",
        "native": "the native engine has no mgu",
    }
    assert repr(layer) == "Recurrent(mgu, 4, 5, num_layers=2, bidirectional=True)"
    assert _cell_layer("mgu")(4, 5, 1, bias=False, zoneout=0.1).cell is cells.build("mgu", bias=False)


@pytest.mark.usefixtures("_documented_cell")
def test_its_gradients_are_those_of_finite_differences() -> None:
    layer = Recurrent(cells.build("mgu"), 2, 3, dtype=torch.float64)
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer(x)[0], (x,))
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], (x,))
