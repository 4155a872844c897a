"""Forecasters of every head, decoding and encoder: they learn, speak in order, and keep their word."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from longspan.core.errors import InputError
from longspan.models.design import Decoding, Design, build_forecaster
from longspan.models.features import Inputs
from longspan.models.forecaster import Forecaster, StepForecaster, mean_loss
from longspan.nn.encoders import encoder_names
from longspan.nn.heads import HEADS

LEVELS = (0.1, 0.5, 0.9)
VARIANTS = [
    ("lstm", {"peephole": True}),
    ("lstm", {"coupled": True}),
    ("lstm", {"layer_norm": True}),
    ("lstm", {"forget_gate": False}),
    ("lstm", {"peephole": True, "layer_norm": True}),
]
EVERY = [(name, {}) for name in encoder_names()] + VARIANTS
DECODINGS: tuple[Decoding, ...] = ("direct", "step")


def design(
    head: str = "quantile", decoding: Decoding = "direct", encoder: str = "lstm", **more: object
) -> Design:
    sizes = {"context": 10, "horizon": 4, "seasons": (3,), "step_size": 3, "future_size": 5, "hidden_size": 6}
    return Design.model_validate(sizes | {"head": head, "decoding": decoding, "encoder": encoder} | more)


def built(seed: int = 0, **wanted: object) -> Forecaster:
    torch.manual_seed(seed)
    return build_forecaster(design(**wanted))  # type: ignore[arg-type]


def inputs(batch: int = 6, seed: int = 1, counts: bool = False) -> Inputs:
    draws = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draws)

    target = torch.randint(0, 6, (batch, 4), generator=draws) / 2 if counts else draw(batch, 4)
    target[0, 1] = float("nan")
    scale = torch.full((batch, 1), 2.0)
    return Inputs(draw(batch, 10, 3), draw(batch, 4, 5), draw(batch, 13), draw(batch, 4), target, scale)


def forecast(forecaster: Forecaster, given: Inputs, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        found = forecaster.eval().forecast(given, LEVELS, np.random.default_rng(seed))
    return found.mean, found.quantiles


@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize(("encoder", "options"), EVERY, ids=[f"{n} {' '.join(o)}".strip() for n, o in EVERY])
def test_every_combination_learns_and_gives_ordered_quantiles(
    head: str, decoding: Decoding, encoder: str, options: dict[str, bool]
) -> None:
    counts = head == "negative-binomial"
    network = built(head=head, decoding=decoding, encoder=encoder, encoder_options=options)
    batch = inputs(counts=counts)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = mean_loss(network, batch)
        loss.backward()
        assert all(each.grad is None or torch.isfinite(each.grad).all() for each in network.parameters())
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    mean, quantiles = forecast(network, batch)
    assert (mean.shape, quantiles.shape) == ((6, 4), (6, 4, 3))
    assert np.isfinite(mean).all()
    assert (np.diff(quantiles) >= 0).all()
    if counts:  # in counts: whole numbers from 0, whichever way it decodes
        np.testing.assert_allclose(quantiles * 2, np.round(quantiles * 2), atol=1e-9)
        assert (quantiles >= 0).all()


@pytest.mark.parametrize("decoding", DECODINGS)
def test_the_same_seed_gives_the_same_bits(decoding: Decoding) -> None:
    network, batch = built(decoding=decoding), inputs()
    one, two = forecast(network, batch, seed=3), forecast(network, batch, seed=3)
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])
    if decoding == "step":
        assert not np.array_equal(one[0], forecast(network, batch, seed=4)[0])


@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("decoding", DECODINGS)
def test_weights_go_out_and_in_again(head: str, decoding: Decoding) -> None:
    batch = inputs(counts=head == "negative-binomial")
    one = built(
        seed=0, head=head, decoding=decoding, num_layers=2, shortcut=10 if decoding == "direct" else 0
    )
    two = built(
        seed=1, head=head, decoding=decoding, num_layers=2, shortcut=10 if decoding == "direct" else 0
    )
    assert not np.array_equal(forecast(one, batch)[0], forecast(two, batch)[0])
    two.load_state_dict(one.state_dict())
    assert np.array_equal(forecast(one, batch)[1], forecast(two, batch)[1])


def test_the_loss_is_the_mean_over_what_is_known() -> None:
    network, batch = built(), inputs()
    parameters = network(batch).detach()
    known = [(b, h) for b in range(6) for h in range(4) if (b, h) != (0, 1)]
    each = [float(network.head.loss(parameters[b, h], batch.target[b, h], batch.scale[b])) for b, h in known]
    assert float(mean_loss(network, batch).detach()) == pytest.approx(np.mean(each), rel=1e-5)


def test_an_unknown_target_gives_no_gradient() -> None:
    network, batch = built(), inputs(batch=1)
    batch.target[:] = float("nan")
    loss = mean_loss(network, batch)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert all(not each.grad.any() for each in network.parameters() if each.grad is not None)


@pytest.mark.parametrize("walk", [True, False])
def test_teacher_forcing_reads_the_values_before_and_no_later_one(walk: bool) -> None:
    """Step h of the horizon depends on targets before h alone."""
    network = built(decoding="step", anchor=0 if walk else 3)
    assert isinstance(network, StepForecaster)
    assert network.walk is walk
    batch = inputs()
    batch.target.nan_to_num_()
    before = network.eval()(batch).detach()
    for place in range(4):
        other = Inputs(
            batch.steps, batch.future, batch.window, batch.anchor, batch.target.clone(), batch.scale
        )
        other.target[:, place] += 1.0
        changed = (network(other).detach() != before).any(dim=-1).any(dim=0)
        assert not changed[: place + 1].any()
        assert changed[place + 1 :].all()


def test_sampled_paths_walk_on_from_their_own_values() -> None:
    """With no spread in the head the forecast is the last value for ever; with some it widens like a walk."""
    network = built(decoding="step", head="student-t")
    assert isinstance(network, StepForecaster)
    network.paths = 4000
    nn.init.zeros_(network.output.weight)
    with torch.no_grad():
        network.output.bias.copy_(torch.tensor([0.0, 0.5, 30.0]))
    batch = inputs(batch=2)
    mean, quantiles = forecast(network, batch)
    start = batch.future[:, :1, 0].numpy()
    spread = np.log1p(np.exp(0.5)) * np.sqrt(32 / 30)
    # The mean of n paths after h steps errs by spread √(h / n): five of those.
    np.testing.assert_allclose(mean, np.broadcast_to(start, (2, 4)), atol=5 * spread * np.sqrt(4 / 4000))
    width = (quantiles[..., 2] - quantiles[..., 0]) / (2 * 1.2816)
    np.testing.assert_allclose(width, np.broadcast_to(spread * np.sqrt(np.arange(1, 5)), (2, 4)), rtol=0.08)


def test_a_fresh_direct_forecaster_with_a_silent_decoder_says_its_anchor() -> None:
    network, batch = built(shortcut=10), inputs()
    last = network.get_submodule("decoder.4")
    nn.init.zeros_(last.weight)  # type: ignore[arg-type]
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    mean, _ = forecast(network, batch)
    np.testing.assert_allclose(mean, batch.anchor.numpy(), atol=1e-6)


@settings(max_examples=15)
@given(st.permutations(range(6)))
def test_windows_do_not_see_each_other(order: list[int]) -> None:
    network, batch = built(), inputs()
    picked = Inputs(*(getattr(batch, name)[order] for name in Inputs.__dataclass_fields__))
    np.testing.assert_allclose(forecast(network, picked)[1], forecast(network, batch)[1][order], atol=1e-6)


def test_unknown_encoders_and_options_are_refused() -> None:
    with pytest.raises(InputError, match="lsmt"):
        built(encoder="lsmt")
    with pytest.raises(InputError, match="peephole"):
        built(encoder="gru", encoder_options={"peephole": True})


def test_a_design_survives_json() -> None:
    made = design(encoder_options={"peephole": True}, decoding="step", anchor=3, nonnegative=True)
    assert Design.model_validate_json(made.model_dump_json()) == made
    with pytest.raises(ValueError, match="unheard"):
        Design.model_validate(made.model_dump() | {"unheard": 1})
