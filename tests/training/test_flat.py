"""Parameters laid end to end train as they would one by one, and are themselves again afterwards."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from longspan.training.flat import Flat
from longspan.training.optimizers import make_optimizer
from longspan.training.settings import Settings


def network() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2, bias=False))
    made[0].bias.data += 0.1
    return made


def steps(module: nn.Module, optimizer: torch.optim.Optimizer, flat: Flat | None) -> None:
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
    for _ in range(4):
        module(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True) if flat is None else flat.zero_grad()


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_laid_flat_is_one_by_one(name: str, decay: float) -> None:
    settings = Settings(optimizer=name, weight_decay=decay, learning_rate=0.05)
    laid, apart = network(), network()
    flat = Flat(laid, decays=decay > 0)
    assert flat.laid and len(flat.parameters) == (2 if decay else 1)
    steps(laid, make_optimizer(flat, settings), flat)
    flat.restore()
    matrices = [p for p in apart.parameters() if p.ndim >= 2]
    vectors = [p for p in apart.parameters() if p.ndim < 2]
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    options = {"momentum": 0.9} if name == "sgd" else {}
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    steps(apart, kinds[name](groups, lr=0.05, **options), None)
    for got, want in zip(laid.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-7)


def test_parameters_have_memory_of_their_own_again() -> None:
    module = network()
    before = copy.deepcopy(module.state_dict())
    flat = Flat(module, decays=False)
    storages = {p.untyped_storage().data_ptr() for p in module.parameters()}
    assert len(storages) == 1
    flat.restore()
    assert len({p.untyped_storage().data_ptr() for p in module.parameters()}) == 3
    assert all(p.grad is None for p in module.parameters())
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())


def test_what_cannot_be_laid_is_left_as_it_is() -> None:
    module = nn.Linear(4, 3)
    module.weight.data = torch.randn(4, 3).t()  # not dense
    flat = Flat(module, decays=True)
    assert not flat.laid
    assert [id(p) for p in flat.parameters] == [id(p) for p in module.parameters()]
    assert flat.decayed == [True, False]
    module(torch.ones(1, 4)).sum().backward()
    flat.zero_grad()
    assert module.weight.grad is None


def test_copies_are_views_of_as_many_tensors() -> None:
    module = network()
    flat = Flat(module, decays=False)
    whole, views = flat.copies()
    whole[0].fill_(3.0)
    assert all((views[id(p)] == 3).all() and views[id(p)].shape == p.shape for p in module.parameters())
    assert not any((p == 3).any() for p in module.parameters())
