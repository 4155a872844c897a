"""Parameters laid end to end train as they would one by one, and are themselves again afterwards."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from longspan.core.errors import InputError
from longspan.training.flat import Flat
from longspan.training.optimizers import Updates
from longspan.training.settings import Settings


def network() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2, bias=False))
    made[0].bias.data += 0.1
    return made


RATE = 0.05


def steps(module: nn.Module, update: Callable[[], None]) -> None:
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
    for _ in range(4):
        module(x).square().mean().backward()
        update()


@pytest.mark.parametrize("lies", ["end to end", "apart"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_updates_are_those_of_torch_s_optimiser(name: str, decay: float, lies: str) -> None:
    settings = Settings(optimizer=name, weight_decay=decay, learning_rate=RATE)
    laid, apart = network(), network()
    if lies == "apart":
        laid[0].weight.data = laid[0].weight.data.t().contiguous().t()  # not dense
    flat = Flat(laid)
    assert flat.laid == (lies == "end to end") and len(flat.parameters) == (1 if flat.laid else 3)
    updates = Updates(flat, settings)

    def update() -> None:
        updates.step(RATE)
        flat.zero_grad()

    steps(laid, update)
    flat.restore()
    matrices = [p for p in apart.parameters() if p.ndim >= 2]
    vectors = [p for p in apart.parameters() if p.ndim < 2]
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    options = {"momentum": 0.9} if name == "sgd" else {}
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    theirs = kinds[name](groups, lr=RATE, **options)

    def torch_s() -> None:
        theirs.step()
        theirs.zero_grad()

    steps(apart, torch_s)
    for got, want in zip(laid.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_what_has_no_gradient_is_left_alone(name: str) -> None:
    module = nn.ModuleList([nn.Linear(4, 3), nn.Linear(2, 2)])
    module[0].weight.data = module[0].weight.data.t().contiguous().t()  # so that each lies apart
    flat = Flat(module)
    updates = Updates(flat, Settings(optimizer=name, weight_decay=0.1))
    before = copy.deepcopy(module.state_dict())
    module[0](torch.ones(1, 4)).sum().backward()
    updates.step(RATE)
    moved = {key: not torch.equal(value, before[key]) for key, value in module.state_dict().items()}
    assert moved == {"0.weight": True, "0.bias": True, "1.weight": False, "1.bias": False}


def test_updates_of_another_network_are_refused() -> None:
    settings = Settings()
    several = nn.Linear(4, 3)
    several.weight.data = torch.randn(4, 3).t()
    kept = Updates(Flat(several), settings).state()
    with pytest.raises(InputError, match="another network or version"):
        Updates(Flat(network()), settings).load(kept)


def test_the_norm_is_that_of_all_gradients() -> None:
    laid, apart = network(), network()
    flat, x = Flat(laid), torch.ones(1, 3)
    laid(x).sum().backward()
    apart(x).sum().backward()
    want = torch.nn.utils.get_total_norm([p.grad for p in apart.parameters() if p.grad is not None])
    torch.testing.assert_close(flat.gradient_norm(), want)


def test_parameters_have_memory_of_their_own_again() -> None:
    module = network()
    before = copy.deepcopy(module.state_dict())
    flat = Flat(module)
    storages = {p.untyped_storage().data_ptr() for p in module.parameters()}
    assert len(storages) == 1
    flat.restore()
    assert len({p.untyped_storage().data_ptr() for p in module.parameters()}) == 3
    assert all(p.grad is None for p in module.parameters())
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())


def test_what_cannot_be_laid_is_left_as_it_is() -> None:
    module = nn.Linear(4, 3)
    module.weight.data = torch.randn(4, 3).t()  # not dense
    flat = Flat(module)
    assert not flat.laid
    assert [id(p) for p in flat.parameters] == [id(p) for p in module.parameters()]
    assert [id(p) for p in flat.decayed] == [id(module.weight)]
    module(torch.ones(1, 4)).sum().backward()
    flat.zero_grad()
    assert module.weight.grad is None


def test_copies_are_views_of_as_many_tensors() -> None:
    module = network()
    flat = Flat(module)
    whole, views = flat.copies()
    whole[0].fill_(3.0)
    assert all((views[id(p)] == 3).all() and views[id(p)].shape == p.shape for p in module.parameters())
    assert not any((p == 3).any() for p in module.parameters())
