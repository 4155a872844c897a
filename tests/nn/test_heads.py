"""What the heads' numbers mean: losses, quantiles, means and draws against scipy and against definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from longspan.core.errors import InputError
from longspan.nn.heads import (
    HEADS,
    LEVELS,
    Head,
    NegativeBinomialHead,
    QuantileHead,
    StudentTHead,
    build_head,
    check_levels,
)

LEAST = 1e-3
real = st.floats(-4, 4)


def softplus(x: float) -> float:
    return float(np.logaddexp(0, x))


def student(parameters: tuple[float, float, float]) -> object:
    location, width, freedom = parameters
    return stats.t(2 + LEAST + softplus(freedom), loc=location, scale=softplus(width) + LEAST)


def negative_binomial(mean: float, shape: float, scale: float) -> object:
    m, a = (softplus(mean) + 1e-4) * scale, (softplus(shape) + 1e-4) / np.sqrt(scale)
    return stats.nbinom(1 / a, 1 / (1 + a * m))


def loss(head: Head, parameters: object, target: object, scale: object = 1.0) -> float:
    made = [torch.tensor(each, dtype=torch.float64) for each in (parameters, target, scale)]
    return float(head.loss(*made))


def test_pinball_loss_is_the_one_computed_by_hand() -> None:
    head = QuantileHead((0.1, 0.5, 0.9))
    # y = 2: 0.1·(2-1) = 0.1; 0.5·|2-2| = 0; q = 4 is too high: (1-0.9)·(4-2) = 0.2
    assert loss(head, [1.0, 2.0, 4.0], 2.0) == pytest.approx((0.1 + 0.0 + 0.2) / 3, abs=1e-15)


def test_pinball_loss_is_least_at_the_quantiles() -> None:
    head = QuantileHead((0.2, 0.5, 0.9))
    sample = torch.from_numpy(np.random.default_rng(0).gamma(2.0, size=999))
    best = torch.tensor(np.quantile(sample.numpy(), head.levels))
    everywhere = torch.ones_like(sample)

    def mean_loss(parameters: torch.Tensor) -> float:
        return float(head.loss(parameters.expand(999, 3), sample, everywhere).mean())

    least = mean_loss(best)
    for place in range(3):
        for step in (-0.1, 0.1):
            moved = best.clone()
            moved[place] += step
            assert mean_loss(moved) > least


@given(st.lists(real, min_size=11, max_size=11), st.lists(st.floats(0.025, 0.975), min_size=2, max_size=8))
def test_quantiles_never_cross_and_pass_through_the_learned_ones(
    values: list[float], wanted: list[float]
) -> None:
    head, parameters, scale = QuantileHead(), np.array([values]), np.ones(1)
    found = head.quantiles(parameters, sorted(wanted), scale)
    assert (np.diff(found) >= 0).all()
    np.testing.assert_allclose(head.quantiles(parameters, LEVELS, scale), np.sort(parameters), atol=1e-12)


def test_rounding_makes_no_quantiles_cross() -> None:
    draws = np.random.default_rng(0).normal(size=(20_000, 2))
    low, high = draws.min(axis=1, keepdims=True), draws.max(axis=1, keepdims=True)
    flat_above = np.concatenate([low, *[high] * 3], axis=1)
    found = QuantileHead((0.1, 0.5, 0.7, 0.9)).quantiles(
        flat_above, (0.3, 0.5, 0.6, 0.9), np.ones(len(draws))
    )
    assert (np.diff(found) >= 0).all()
    assert (found <= high).all()


def test_between_levels_the_quantile_function_is_a_line() -> None:
    head = QuantileHead((0.2, 0.5, 0.8))
    found = head.quantiles(np.array([[0.0, 3.0, 9.0]]), (0.3, 0.5, 0.6), np.ones(1))
    np.testing.assert_allclose(found, [[1.0, 3.0, 5.0]], atol=1e-12)


def test_the_mean_does_not_depend_on_the_order_of_crossed_quantiles() -> None:
    head = QuantileHead((0.1, 0.5, 0.6))
    # The integral by hand: 0 up to 0.1, lines 0→1 and 1→5, then 5 from 0.6 on.
    expected = 0.0 + 0.4 * 0.5 + 0.1 * 3.0 + 0.4 * 5.0
    for order in ([0.0, 1.0, 5.0], [5.0, 0.0, 1.0], [1.0, 5.0, 0.0]):
        assert head.mean(np.array([order]), np.ones(1))[0] == pytest.approx(expected)


@given(real, real, real, st.floats(-30, 30))
def test_student_loss_is_minus_scipys_log_density(a: float, b: float, c: float, y: float) -> None:
    assert loss(StudentTHead(), [a, b, c], y) == pytest.approx(
        -student((a, b, c)).logpdf(y), rel=1e-9, abs=1e-9
    )


@pytest.mark.parametrize("freedom", [0.0, 50.0, 57.9, 58.1, 1e3, 1e5, 1e7])
def test_student_loss_keeps_its_digits_in_float32(freedom: float) -> None:
    made = torch.tensor([0.1, 0.5, freedom]), torch.tensor(0.7), torch.tensor(1.0)
    exact = -student((0.1, 0.5, freedom)).logpdf(0.7)
    assert float(StudentTHead().loss(*made)) == pytest.approx(exact, abs=1e-5)


@given(real, real, real)
def test_student_quantiles_and_mean_are_scipys(a: float, b: float, c: float) -> None:
    head, parameters = StudentTHead(), np.array([[a, b, c]])
    np.testing.assert_allclose(
        head.quantiles(parameters, LEVELS, np.ones(1))[0], student((a, b, c)).ppf(LEVELS)
    )
    assert head.mean(parameters, np.ones(1))[0] == a


@given(real, real, st.integers(0, 200), st.floats(1, 100))
def test_negative_binomial_loss_is_minus_scipys_log_mass(
    m: float, a: float, count: int, scale: float
) -> None:
    expected = -negative_binomial(m, a, scale).logpmf(count)
    assert loss(NegativeBinomialHead(), [m, a], count / scale, scale) == pytest.approx(
        expected, rel=1e-8, abs=1e-8
    )


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e5, 1e7])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("shape", [-3.0, 0.0, 2.0])
def test_negative_binomial_loss_keeps_its_digits_in_float32(scale: float, share: float, shape: float) -> None:
    count = round(share * scale)
    made = torch.tensor([0.3, shape]), torch.tensor(count / scale), torch.tensor(scale)
    found = NegativeBinomialHead().loss(*made)
    assert found.dtype == torch.float32
    exact = -negative_binomial(0.3, shape, scale).logpmf(count)
    # The parameters and the target are float32; the formula must add nothing to that.
    assert float(found) == pytest.approx(exact, rel=2e-6, abs=1e-4)


def test_negative_binomial_loss_is_as_wide_as_its_widest_argument() -> None:
    head, target = NegativeBinomialHead(), torch.tensor(1.0)
    for kind, expected in ((torch.bfloat16, torch.float32), (torch.float64, torch.float64)):
        assert head.loss(torch.zeros(2, dtype=kind), target, torch.tensor(3.0)).dtype == expected


@given(real, real, st.floats(1, 100))
def test_negative_binomial_quantiles_and_mean_are_scipys_over_scale(m: float, a: float, scale: float) -> None:
    head, parameters, scales = NegativeBinomialHead(), np.array([[m, a]]), np.array([scale])
    law = negative_binomial(m, a, scale)
    found = head.quantiles(parameters, LEVELS, scales)[0] * scale
    np.testing.assert_allclose(found, np.round(found), atol=1e-9)  # whole counts
    # A count whose distribution function is the level up to rounding may fall on either side.
    low, high = law.ppf(np.array(LEVELS) - 1e-9), law.ppf(np.array(LEVELS) + 1e-9)
    assert ((low - 1e-6 <= found) & (found <= high + 1e-6)).all()
    assert head.mean(parameters, scales)[0] * scale == pytest.approx(law.mean())


def test_a_scale_that_cannot_be_written_is_read_without_a_warning() -> None:
    scale = np.broadcast_to(np.array([[3.0]]), (1, 5))
    head, parameters = NegativeBinomialHead(), np.zeros((1, 5, 2))
    assert head.mean(parameters, scale).shape == (1, 5)
    assert head.quantiles(parameters, (0.5, 0.9), scale).shape == (1, 5, 2)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_draws_agree_with_the_quantiles(name: str) -> None:
    count, scale = 40_000, 20.0
    head = build_head(name)
    parameters = (
        np.linspace(-1, 1, head.size) if name == "quantile" else np.array([0.3, 0.2, 1.0])[: head.size]
    )
    many, scales = np.broadcast_to(parameters, (count, head.size)).copy(), np.full(count, scale)
    drawn = head.sample(many, scales, np.random.default_rng(3))
    for level in (0.1, 0.3, 0.5, 0.8, 0.9):
        at = head.quantiles(many[:1], (level, 0.99), scales[:1])[0, 0]
        # P(X <= q) >= level and P(X < q) <= level define a quantile, of counts too. The share of n draws has
        # a standard deviation of at most 1 / (2 √n) = 0.0025; five of them are never left.
        assert (drawn <= at + 1e-9).mean() >= level - 0.0125
        assert (drawn < at - 1e-9).mean() <= level + 0.0125
    spread = drawn.std() / np.sqrt(count)
    assert drawn.mean() == pytest.approx(head.mean(many[:1], scales[:1])[0], abs=5 * spread)
    again = head.sample(many, scales, np.random.default_rng(3))
    assert np.array_equal(drawn, again)


@pytest.mark.parametrize("name", ["quantile", "student-t"])
def test_place_moves_the_whole_distribution_by_the_anchor(name: str) -> None:
    head = build_head(name)
    parameters, anchor = (
        torch.randn(2, 3, head.size, dtype=torch.float64),
        torch.randn(2, 3, dtype=torch.float64),
    )
    before, after = parameters.numpy(), head.place(parameters, anchor).numpy()
    scale, shift = np.ones((2, 3)), anchor.numpy()
    np.testing.assert_allclose(
        head.quantiles(after, LEVELS, scale), head.quantiles(before, LEVELS, scale) + shift[..., None]
    )
    np.testing.assert_allclose(head.mean(after, scale), head.mean(before, scale) + shift)


@given(st.floats(0.05, 50), st.floats(1, 50))
def test_place_of_counts_makes_the_anchor_the_mean(anchor: float, scale: float) -> None:
    head = NegativeBinomialHead()
    placed = head.place(torch.zeros(1, 2, dtype=torch.float64), torch.tensor([anchor], dtype=torch.float64))
    assert head.mean(placed.numpy(), np.array([scale]))[0] == pytest.approx(anchor + 1e-4)


def test_place_of_counts_keeps_a_mean_above_zero_for_an_anchor_of_nothing() -> None:
    head = NegativeBinomialHead()
    placed = head.place(torch.zeros(2, 2), torch.tensor([0.0, -3.0])).double().numpy()
    np.testing.assert_allclose(head.mean(placed, np.ones(2)), 0.0501, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(HEADS))
@pytest.mark.parametrize("value", [-1e4, -50.0, 0.0, 50.0, 1e4])
@pytest.mark.parametrize("target", [0.0, 25.0])
def test_loss_and_gradients_are_finite_at_extreme_inputs(name: str, value: float, target: float) -> None:
    head = build_head(name)
    parameters = torch.full((1, head.size), value, requires_grad=True)
    anchor = torch.tensor([10.0])
    found = head.loss(head.place(parameters, anchor), torch.tensor([target]), torch.tensor([1.0])).sum()
    found.backward()
    assert torch.isfinite(found)
    assert parameters.grad is not None
    assert torch.isfinite(parameters.grad).all()


@pytest.mark.parametrize("name", sorted(HEADS))
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    head = build_head(name)
    torch.manual_seed(0)
    parameters = torch.randn(4, head.size, dtype=torch.float64, requires_grad=True)
    target, scale = torch.tensor([0.0, 1.0, 2.0, 5.0]).double(), torch.full((4,), 2.0).double()
    assert torch.autograd.gradcheck(lambda p: head.loss(p, target, scale), (parameters,))


@pytest.mark.parametrize(
    "levels",
    [(), (0.5,), (0.1, 0.9), (0.5, 0.1), (0.1, 0.5, 0.5), (0.0, 0.5), (0.5, 1.0), (float("nan"), 0.5)],
)
def test_levels_out_of_order_are_refused(levels: tuple[float, ...]) -> None:
    with pytest.raises(
        InputError, match=r"levels: expected two or more rising numbers between 0 and 1 with 0\.5"
    ):
        check_levels(levels)


def test_an_unknown_head_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"quantile.*student-t.*negative-binomial.*gaussian"):
        build_head("gaussian")
