"""State tracking: parity and S3, trained on short words and tested on long ones."""

from __future__ import annotations

from dataclasses import replace

from longspan.studies.plan import Network, Training, settings_of
from longspan.studies.study import Setting, Study

__all__ = ["LONGEST", "MARGIN", "NETWORKS", "SHORTEST", "STUDIES", "TESTED", "TRAININGS"]

SHORTEST, LONGEST = 3, 40
"""Lengths of training, all between them equally often."""

TESTED = {256: 4_096, 2_048: 512}
"""Length of the test words → how many of them."""

MARGIN = 0.05
"""A training word counts as read where every answer has a probability above 1 less this."""

_LSTM = Training(batch=64, learning_rate=5e-3, most=512_000, check_every=6_400, checked=512)
_RNN = replace(_LSTM, learning_rate=3e-3)
_TRANSFORMER = replace(_LSTM, learning_rate=1e-3, most=64_000)
NETWORKS = {
    "lstm": Network("lstm", 64, {"forget_bias": 1.0}),
    "rnn": Network("rnn", 129),
    "transformer": Network("transformer", 26, {"context": max(TESTED)}, layers=2),
}
"""About equally many numbers to learn in each."""

TRAININGS = {"lstm": _LSTM, "rnn": _RNN, "transformer": _TRANSFORMER}

_SOURCE = (
    "Beck et al. 2024, xLSTM: extended long short-term memory, arXiv:2405.04517, figure on formal "
    "languages and the experiment shipped with its code (train 3–40, test 40–256); lengths up to 2,048: "
    "arXiv:2606.12364"
)
_ABOUT = (
    "{what} The state has to be updated at every step, and none may be forgotten: the opposite of keeping "
    "one thing. Nets whose recurrence has no memory mixing (mLSTM, Mamba) and transformers are reported to "
    "learn the training lengths at best; classic recurrent nets go on at any length. All networks are "
    "trained on words of 3 to 40 elements and are tested, once, on words of 40 to 256, of 256 and of 2,048 "
    "elements; training ends when every answer to 512 fresh words of 3 to 40 elements has a probability "
    "above 0.95. The test is never looked at before."
)


def _study(name: str, title: str, what: str, tolerance: str, budget: float) -> Study:
    return Study(
        name=name,
        title=title,
        source=_SOURCE,
        about=_ABOUT.format(what=what),
        settings=(
            *(Setting(label, str(network)) for label, network in NETWORKS.items()),
            Setting("answers", "at every step, the product so far", "at the end of a word only"),
            Setting("lengths, training", f"{SHORTEST} to {LONGEST}", "3 to 40"),
            Setting("lengths, test", "40 to 256, 256 and 2,048", "40 to 256; up to 2,048"),
            *settings_of(
                _LSTM, {"sequences a step": 256, "optimiser": "AdamW, learning rate 0.001, 20,000 steps"}
            ),
            Setting("learning rate of the RNN", _RNN.learning_rate),
            Setting("learning rate of the transformer", _TRANSFORMER.learning_rate),
            Setting("words of the transformer", f"{_TRANSFORMER.most:,}; 512,000 did not do on another seed"),
        ),
        seeds=3,
        budget=budget,
        tolerance=tolerance,
        run=f"longspan.studies.tracking_work:{name}",
    )


STUDIES: tuple[Study, ...] = (
    _study(
        "parity",
        "Parity: is the number of ones so far odd?",
        "One bit a step; the answer is whether the ones so far are odd in number.",
        "The LSTM answers right at step 256 in at least 99.9 % of 4,096 words, with every seed, trained at "
        "lengths up to 40.",
        600,
    ),
    _study(
        "s3",
        "S3: the running product of permutations of three things",
        "One of the six permutations of three things a step; the answer is their product so far. The order "
        "counts, as in no sum.",
        "The LSTM answers right at step 256 in at least 99.9 % of 4,096 words, with every seed, trained at "
        "lengths up to 40.",
        900,
    ),
)
