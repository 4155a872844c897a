"""The sentences that everybody quotes, as an experiment: how far back may the deciding word be?"""

from __future__ import annotations

from longspan.studies.plan import Network, Training, settings_of
from longspan.studies.study import Setting, Study

__all__ = ["ALONE", "DISTANCES", "NETWORKS", "RATES", "STUDIES", "TESTED", "TOGETHER", "training"]

DISTANCES = (2, 10, 50, 200)
"""Steps between the deciding word and the last one read; training goes from the first to the last of them."""

TESTED = 1_000
"""Sentences of each distance in the test."""

NETWORKS = {"lstm": Network("lstm", 48, chrono=2 * DISTANCES[-1]), "rnn": Network("rnn", 110)}
"""About equally many numbers to learn."""

RATES = {"lstm": 1e-2, "rnn": 1e-3}
"""Learning rates, chosen among 0.0003, 0.001, 0.003 and 0.01 on another seed."""

TOGETHER = 32_000
"""Sentences of all distances that both networks are given."""

ALONE = 64_000
"""Sentences that a network is given at most where it is trained on one distance alone."""


def training(network: str, most: int, *, to_the_end: bool) -> Training:
    """How a network is trained on ``most`` sentences at most; unless to the end, until none of a check is
    misread.
    """
    check = most if to_the_end else 1_600
    return Training(32, RATES[network], most, check_every=check, checked=512)


STUDIES: tuple[Study, ...] = (
    Study(
        name="long-dependency",
        title="The clouds are in the … sky: a word decided by one far back",
        source="The examples of Olah 2015, Understanding LSTM networks, and of lectures since; no "
        "figures are published. That plain recurrent nets fail over long spans: Bengio, Simard & "
        "Frasconi 1994, Learning long-term dependencies with gradient descent is difficult, IEEE "
        "Transactions on Neural Networks 5(2)",
        about="Sentences are made whose last word is decided by one word that stands 2, 10, 50 or 200 "
        "words before the last word that is read: one of 16 places (the clouds … are in the sky) or of "
        "16 languages (I grew up in France … I speak fluent French). Between them stand clauses that "
        "decide nothing, with other places and countries among them. The network chooses among all 142 "
        "words. The test's clauses are built of pairs of words that never stand together in training. "
        "First each network is trained on all distances together, then on one distance alone: then no "
        "short sentence shows the way to the long ones.",
        settings=(
            *(Setting(label, str(network)) for label, network in NETWORKS.items()),
            Setting("learning rate", ", ".join(f"{name} {rate:g}" for name, rate in RATES.items())),
            Setting("distances, training together", "2 to 200, the logarithm uniform"),
            Setting("sentences together", f"{TOGETHER:,}, all of them"),
            Setting("sentences of one distance alone", f"{ALONE:,} at most"),
            Setting("sentences of the test", f"{TESTED:,} of each distance"),
            *(
                each
                for each in settings_of(training("lstm", ALONE, to_the_end=False), {})
                if not each.name.startswith("optimiser")
            ),
        ),
        seeds=3,
        budget=900,
        tolerance="The LSTM chooses the right word at 200 words in at least 99 % of the test's sentences, "
        "with every seed; the plain RNN, given the same sentences, in at most half.",
        run="longspan.studies.dependency_work:long_dependency",
    ),
)
