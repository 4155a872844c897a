"""The answer in words, for every way a comparison can come out."""

from __future__ import annotations

import math

import pytest

from longspan.studies.compare_phrases import beside, probability, with_article
from longspan.studies.compare_tests import Duel
from longspan.studies.compare_verdict import Candidate, Verdict, by_share, judge

LSTM = Candidate("lstm", "LSTM", 0.8, 50.0, network=True)


def other(name: str, loss: float, seconds: float = 20.0) -> Candidate:
    return Candidate(name, name.upper(), loss, seconds, network=True)


def simple(name: str, loss: float) -> Candidate:
    return Candidate(name, name.replace("_", " "), loss, 0.1, network=False, beside=0.8)


def against(candidate: Candidate, adjusted: float | None = 0.001, loss: float = 0.8) -> Duel:
    p = None if adjusted is None else adjusted / 2
    test = "Diebold–Mariano over origins" if p is not None else "there are 3 origins to test on"
    effect = 100 * (loss / candidate.loss - 1) if candidate.loss else None
    return Duel("lstm", candidate.name, loss, candidate.loss, effect, None, p, adjusted, 100, test)


def verdict(
    others: list[Candidate], duels: list[Duel], reference: Candidate = LSTM, seeds: int = 3
) -> Verdict:
    strongest = next((each.name for each in others if not each.network), "")
    return judge(reference, others, duels, strongest, "MASE", seeds)


def test_worth_it() -> None:
    naive, rnn, gru = simple("seasonal_naive", 1.0), other("rnn", 0.9), other("gru", 0.95)
    found = verdict([rnn, gru, naive], [against(rnn), against(gru), against(naive)])
    assert (found.outcome, found.title, found.use) == ("worth it", "An LSTM is worth it here", "lstm")
    assert found.words == (
        "The LSTM beats the seasonal naive, the strongest simple method: its MASE of 0.8 is 20.0 % lower "
        "than 1 (adjusted p = 0.001; Diebold–Mariano over origins, n = 100). It is better than the RNN and "
        "the GRU of the same size."
    )


def test_no_difference_between_networks_names_the_cheapest() -> None:
    naive, rnn, gru = simple("seasonal_naive", 1.0), other("rnn", 0.81, 5.0), other("gru", 0.95)
    found = verdict([rnn, gru, naive], [against(rnn, 0.6), against(gru), against(naive)])
    assert (found.outcome, found.use) == ("no difference", "rnn")
    assert found.title == "The RNN does as well for less"
    assert (
        "No difference shown between the LSTM and the RNN. The cheapest of them to train is the RNN: 5 s"
        in found.words
    )
    assert found.words.endswith("It is better than the GRU of the same size.")


def test_the_reference_is_worth_it_where_it_is_the_cheapest_of_the_best() -> None:
    naive, rnn = simple("seasonal_naive", 1.0), other("rnn", 0.81, 500.0)
    found = verdict([rnn, naive], [against(rnn, 0.6), against(naive)])
    assert (found.outcome, found.title, found.use) == ("worth it", "An LSTM is worth it here", "lstm")
    assert "The cheapest of them to train is the LSTM: 50 s, where the RNN takes 500 s." in found.words
    same = verdict([other("rnn", 0.81, 50.0), naive], [against(rnn, 0.6), against(naive)])
    assert "The cheapest of them to train is the LSTM: 50 s." in same.words


def test_without_simple_methods_only_the_networks_are_judged() -> None:
    rnn = other("rnn", 0.81, 90.0)
    found = verdict([rnn], [against(rnn, 0.6)])
    assert (found.title, found.use) == ("No network is better than the LSTM, or cheaper", "lstm")
    assert verdict([rnn], [against(rnn, None)]).words == (
        "Cannot tell whether an LSTM is worth it: there are 3 origins to test on."
    )


def test_another_network_is_better() -> None:
    naive, cnn, gru = simple("seasonal_naive", 1.0), other("cnn", 0.7), other("gru", 0.75)
    found = verdict([cnn, gru, naive], [against(cnn), against(gru), against(naive)])
    assert (found.outcome, found.title, found.use) == ("another is better", "The CNN is better here", "cnn")
    assert "The CNN is better than the LSTM: its MASE of 0.7 is 12.5 % lower than 0.8" in found.words


def test_a_simple_method_wins() -> None:
    naive, cnn = simple("seasonal_naive", 0.6), other("cnn", 0.7)
    found = verdict([cnn, naive], [against(cnn), against(naive)])
    assert (found.outcome, found.title) == ("simple wins", "The seasonal naive wins")
    assert "its MASE of 0.6 is 25.0 % lower than 0.8" in found.words
    assert "Of the networks" not in found.words, "the CNN does not beat the seasonal naive"
    cnn = other("cnn", 0.5)
    found = verdict([cnn, naive], [against(cnn), against(naive)])
    assert (
        "Of the networks the CNN is better than the LSTM, and errs less than that method too" in found.words
    )


@pytest.mark.parametrize("adjusted", [None, 0.4])
def test_what_is_exact_needs_no_test(adjusted: float | None) -> None:
    naive = simple("seasonal_naive", 0.0)
    found = verdict([naive], [against(naive, adjusted)])
    assert (found.outcome, found.use) == ("simple wins", "seasonal_naive")
    assert found.words == (
        "The seasonal naive is all but exact here: its MASE is 0, that of the LSTM 0.8. Use it: nothing can "
        "be better."
    )


def test_a_simple_method_is_enough() -> None:
    naive = simple("seasonal_naive", 0.81)
    found = verdict([naive], [against(naive, 0.4)])
    assert (found.outcome, found.use) == ("simple is enough", "seasonal_naive")
    assert found.words.startswith("No difference shown between the LSTM and the seasonal naive")


def test_a_simple_method_that_was_not_the_strongest_before_can_be_enough() -> None:
    naive, ridge = simple("seasonal_naive", 1.0), simple("ridge", 0.7)
    found = judge(LSTM, [naive, ridge], [against(naive)], "seasonal_naive", "MASE", 3)
    assert (found.outcome, found.title, found.use) == ("simple is enough", "Ridge is enough", "ridge")
    assert "but on the test part ridge errs less still: 0.7, where the LSTM has 0.8." in found.words
    sampled = Candidate("ets", "ETS", 0.7, 0.1, network=False, beside=0.6)
    found = judge(LSTM, [naive, sampled], [against(naive)], "seasonal_naive", "MASE", 3)
    assert found.outcome == "worth it", "on the sample that it answered ETS errs more"


def test_what_cannot_be_told() -> None:
    naive = simple("seasonal_naive", 1.0)
    assert verdict([naive], [against(naive, None)]).outcome == "cannot tell"
    failed = Candidate("lstm", "LSTM", math.nan, 0.0, network=True, failed="the loss is not finite")
    found = verdict([naive], [], failed)
    assert (
        found.words
        == "Cannot tell whether an LSTM is worth it: the LSTM could not be trained: the loss is not finite."
    )
    assert verdict([], []).words.endswith("there is nothing to compare with.")


@pytest.mark.parametrize(
    ("seeds", "words"), [(1, "Only one seed was trained"), (2, "Only 2 seeds were trained")]
)
def test_few_seeds_are_said(seeds: int, words: str) -> None:
    naive = simple("seasonal_naive", 1.0)
    assert words in verdict([naive], [against(naive)], seeds=seeds).words


def test_shares_are_told_together() -> None:
    enough = Verdict("simple wins", "The seasonal naive wins", "", "")
    better = Verdict("worth it", "An LSTM is worth it here", "", "")
    assert by_share([(0.1, enough), (0.3, enough), (1.0, better)]) == (
        "With 10 % of the training data: the seasonal naive wins. With 30 %: the seasonal naive wins. "
        "With all: an LSTM is worth it here."
    )
    named = Verdict("simple wins", "ARIMA wins", "", "")
    assert by_share([(1.0, named)]) == "With all of the training data: ARIMA wins."


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("LSTM", "an LSTM"),
        ("RNN", "an RNN"),
        ("GRU", "a GRU"),
        ("CNN", "a CNN"),
        ("transformer", "a transformer"),
    ],
)
def test_articles(name: str, spoken: str) -> None:
    assert with_article(name) == spoken


@pytest.mark.parametrize(
    ("loss", "rival", "words"),
    [
        (0.8, 1.0, "its MASE of 0.8 is 20.0 % lower than 1"),
        (3.0, 1.0, "its MASE of 3 is 200 % higher than 1"),
        (0.8, 0.0, "its MASE is 0.8, and the other is exact"),
        (0.0, 0.0, "both are exact"),
        (1.0, 1e-9, "its MASE of 1 is far above 1e-09, which is all but exact"),
        (1.0, 1.0, "its MASE of 1 is the same"),
    ],
)
def test_losses_side_by_side(loss: float, rival: float, words: str) -> None:
    assert beside("MASE", loss, rival) == words


def test_probabilities() -> None:
    assert [probability(p) for p in (1e-9, 0.0432, 0.999)] == ["p < 0.001", "p = 0.043", "p = 1"]
