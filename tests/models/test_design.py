"""The weights of a forecaster go out under names and come back into the same network, or are refused."""

from __future__ import annotations

import pytest
import torch

from longspan.core.errors import ModelError
from longspan.models.design import Decoding, Design, build_forecaster, load_members, member_tensors
from longspan.nn.encoders import encoder_names
from longspan.nn.heads import HEADS
from longspan.store.flatten import same


def design(**more: object) -> Design:
    sizes = {"context": 20, "horizon": 3, "seasons": (4,), "step_size": 4, "future_size": 6, "hidden_size": 5}
    return Design.model_validate(sizes | more)


@pytest.mark.parametrize("decoding", ["direct", "step"])
@pytest.mark.parametrize("encoder", encoder_names())
def test_every_network_takes_its_own_weights(encoder: str, decoding: Decoding) -> None:
    """They are compared with a network without memory, so every encoder must build there."""
    for head in HEADS:
        made = design(encoder=encoder, decoding=decoding, head=head, num_layers=2, shortcut=0)
        networks = [build_forecaster(made) for _ in range(2)]
        loaded = load_members(made, member_tensors(networks), 2)
        assert not any(each.training or each.head is networks[0].head for each in loaded)
        for one, other in zip(networks, loaded, strict=True):
            assert same(dict(one.state_dict()), dict(other.state_dict()))


@pytest.mark.parametrize("options", [{"peephole": True}, {"coupled": True}, {"layer_norm": True}])
def test_a_variant_takes_its_own_weights_and_no_others(options: dict[str, bool]) -> None:
    made = design(encoder_options=options, shortcut=8)
    weights = member_tensors([build_forecaster(made)])
    assert same(dict(load_members(made, weights, 1)[0].state_dict()), weights)
    with pytest.raises(ModelError, match="weights: expected"):
        load_members(design(shortcut=8), weights, 1)


def test_weights_of_another_floating_type_are_taken() -> None:
    made = design()
    weights = member_tensors([build_forecaster(made)])
    (loaded,) = load_members(made, {name: each.double() for name, each in weights.items()}, 1)
    assert same(dict(loaded.state_dict()), weights)


def test_comparing_draws_nothing() -> None:
    made = design()
    weights = member_tensors([build_forecaster(made)])
    torch.manual_seed(3)
    build_forecaster(made)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_members(made, weights, 1)
    assert torch.equal(torch.rand(1), expected)


def test_a_network_too_large_for_any_memory_is_refused_by_its_shapes() -> None:
    weights = member_tensors([build_forecaster(design())])
    large = design(hidden_size=1 << 16, num_layers=64, shortcut=1 << 25, horizon=1 << 17)
    with pytest.raises(ModelError, match=r"expected '\S+' as torch.float32 of shape \(262144, 4\)"):
        load_members(large, weights, 1)
