"""Hochreiter & Schmidhuber 1997: the experiments, as declared. Their work is in `hochreiter_runs` and
`hochreiter_reber`.
"""

from __future__ import annotations

from dataclasses import replace

from longspan.studies.plan import Entrant, Network, Training, settings_of
from longspan.studies.study import Setting, Study

__all__ = [
    "ADDING",
    "ADDING_MARGIN",
    "ADDING_PUBLISHED",
    "LAGS_MARGIN",
    "LAGS_NO_RNN",
    "LAGS_PUBLISHED",
    "LAGS_TESTS",
    "MULTIPLICATION_LENGTH",
    "MULTIPLICATION_PUBLISHED",
    "ORDER",
    "ORDER_LONGEST",
    "ORDER_MARGIN",
    "ORDER_PUBLISHED",
    "REBER",
    "REBER_PUBLISHED",
    "REBER_SETS",
    "STUDIES",
    "TESTS",
    "entrants",
    "lag_entrants",
    "multiplication_training",
]

TESTS = 2_560
REBER_PUBLISHED = 8_440
REBER_SETS = (256, 1_024, 256)  # strings to train on, to check on, to test on
ADDING_MARGIN = 0.04
ADDING_PUBLISHED = {100: (1, 74_000), 500: (0, 209_000), 1000: (1, 853_000)}  # wrong, sequences
MULTIPLICATION_LENGTH = 100
MULTIPLICATION_PUBLISHED = {140: (139, 0.0223, 482_000), 13: (14, 0.0139, 1_273_000)}  # and squared error
ORDER_MARGIN, ORDER_LONGEST = 0.3, 110
ORDER_PUBLISHED = {2: (1, 31_390), 3: (2, 571_100)}
LAGS_MARGIN, LAGS_TESTS, LAGS_NO_RNN = 0.2, 10_000, 100  # from that lag on no plain RNN is to solve it
LAGS_PUBLISHED = {  # (q, p): sequences
    (50, 50): 30_000,
    (100, 100): 31_000,
    (200, 200): 33_000,
    (500, 500): 38_000,
    (1000, 1000): 49_000,
    (1000, 500): 49_000,
    (1000, 200): 75_000,
    (1000, 100): 135_000,
    (1000, 50): 203_000,
}

_REBER = Training(2, 1e-2, 20_000, 200, sum(REBER_SETS[:2]))
ADDING = Training(20, 5e-3, 100_000, 1_000, 20_000, average=0.99)
_MULTIPLICATION = replace(ADDING, learning_rate=1e-2, most=150_000, checked=2_000)
ORDER = replace(ADDING, learning_rate=1e-2, checked=5_000)
_LAGS = replace(ORDER, most=12_000, check_every=400, checked=LAGS_TESTS)


def _weights(gates: int, width: int, inputs: int, outputs: int) -> int:
    """Of one recurrent layer with two biases a gate, and of the linear map that reads it."""
    return gates * width * (inputs + width + 2) + outputs * (width + 1)


def _as_wide(gates: int, width: int, inputs: int, outputs: int) -> int:
    """The width with which a layer of so many gates comes nearest to the weights of an LSTM."""
    aim = _weights(4, width, inputs, outputs)
    return min(range(1, 4 * width + 1), key=lambda own: abs(_weights(gates, own, inputs, outputs) - aim))


def entrants(
    training: Training,
    inputs: int,
    outputs: int,
    *,
    width: int = 32,
    chrono: int | None = None,
    forget_bias: float | None = None,
    slow: float | None = None,
    beside: int | None = 2,
) -> tuple[Entrant, ...]:
    """An LSTM, one without forget gate as in 1997, and a plain RNN, with as many weights and sequences.

    Args:
        training: of all of them. inputs, outputs: I and K.
        width: of the LSTM. chrono: how the biases of both LSTMs start. forget_bias: of the one that has one.
        slow: learning rate of the plain RNN; that of the LSTM where None.
        beside: with how many seeds the other two are trained; None for all.
    """
    start = {} if forget_bias is None else {"forget_bias": forget_bias}
    old = Network("lstm", _as_wide(3, width, inputs, outputs), {"forget_gate": False}, chrono)
    plain = Network("rnn", _as_wide(1, width, inputs, outputs))
    alone = training if slow is None else replace(training, learning_rate=slow)
    return (
        Entrant("lstm", "LSTM", Network("lstm", width, start, chrono), training, ours=True),
        Entrant("lstm-1997", "LSTM without forget gate", old, training, seeds=beside),
        Entrant("rnn", "plain RNN", plain, alone, seeds=beside),
    )


REBER = entrants(_REBER, 7, 7, forget_bias=1.0, slow=1e-3, beside=None)


def multiplication_training(below: int) -> Training:
    """For the criterion of fewer than ``below`` wrong of 2,000.

    The publication judged the latest training sequences, each by the weights before it was learned from, and
    so by older and worse ones than those that were tested. Here all are judged by the same weights, and half
    as many are allowed.
    """
    return replace(_MULTIPLICATION, allowed=(below // 2) / _MULTIPLICATION.checked)


def lag_entrants(lag: int, symbols: int) -> tuple[Entrant, ...]:
    """Those of experiment 2c; the row of distractors is open-ended, so memories somewhat beyond the lag."""
    return entrants(_LAGS, symbols + 4, 2, width=16, chrono=lag + 20, beside=1)


_PAPER = "Hochreiter & Schmidhuber 1997, Long short-term memory, Neural Computation 9(8)"
_RUNS = "longspan.studies.hochreiter_runs"
_LATEST = "when the 2,000 latest training sequences were right"


def _chrono(longest: str) -> str:
    return f"gate biases for memories of up to {longest} steps (Tallec & Ollivier 2018)"


def _networks(some: tuple[Entrant, ...], start: str, published: str | None = None) -> tuple[Setting, ...]:
    """The settings that the networks differ in, and what all of them share."""
    ours, old, plain = some
    closed = "biases drawn as the weights are"
    if old.network.chrono is not None:
        closed = "the same biases of the input gate: negative, so that little is written at first"
    return (
        Setting("LSTM", f"{ours.network.width} units, forget gate, {start}"),
        Setting("LSTM without forget gate", f"{old.network.width} units, {closed}", published),
        Setting(
            "plain RNN", f"{plain.network.width} units, tanh, learning rate {plain.training.learning_rate:g}"
        ),
        Setting("the other two are trained with", f"{plain.seeds or 'all'} seeds"),
        Setting("gradient", "through the whole sequence", "truncated at the memory cells"),
    )


def _trained(
    training: Training, rate: str, ends: str | None = None, here: str | None = None
) -> tuple[Setting, ...]:
    """The settings of a training; the publication's is by single sequences."""
    published: dict[str, str | int | float] = {"optimiser": f"gradient descent{rate}", "sequences a step": 1}
    found = settings_of(training, published | ({} if ends is None else {"training ends": ends}))
    return tuple(
        replace(each, here=here) if here and each.name == "training ends" else each for each in found
    )


STUDIES: tuple[Study, ...] = (
    Study(
        name="embedded-reber",
        title="The embedded Reber grammar, 1997",
        source=f"{_PAPER}, section 5.1, table 1: 3 blocks of 2 cells, learning rate 0.5",
        about="Which symbols may come next in a string of a small grammar? The last but one repeats the "
        "second, so that one must be kept through the whole string between. A network has solved it when all "
        "strings are predicted: at every step the symbols that may come next are the most active ones. The "
        "publication counts the training sequences until then: 8,440 with the fastest setting that always "
        "succeeded; the recurrent network of Elman had not solved it after 200,000.",
        settings=(
            *_networks(REBER, "whose bias starts at 1", "3 blocks of 2 cells, 276 weights"),
            Setting("strings", "256 to train on, 1,024 to check on, 256 to test on", "256 and 256"),
            *_trained(
                _REBER,
                ", learning rate 0.5",
                here=f"when all strings of the training set and of the check are right, looked at every "
                f"{_REBER.check_every:,} sequences, or after {_REBER.most:,}",
            ),
        ),
        seeds=10,
        budget=300,
        tolerance="every seed solves it, in the median with at most 8,440 training sequences.",
        run="longspan.studies.hochreiter_reber:embedded_reber",
    ),
    Study(
        name="long-time-lags",
        title="Very long time lags, 1997",
        source=f"{_PAPER}, section 5.2, task 2c, table 3",
        about="A sequence shows x or y as its second symbol, then at least q distractors drawn at random "
        "among p symbols, then a trigger: which was it, x or y? No local regularity helps, and the end comes "
        "unforeseen. A network has solved it when the error of both outputs is below 0.2 for 10,000 "
        "sequences in a row.",
        settings=(
            *_networks(lag_entrants(50, 50), _chrono("q + 20")),
            Setting(
                "widths of the other two", "at q = p = 50; for other p again as many weights as the LSTM"
            ),
            *_trained(_LAGS, ", learning rate 0.01"),
        ),
        seeds=3,
        budget=3_600,
        tolerance="every seed solves every lag with at most the published number of training sequences, and "
        "the plain RNN, with as many sequences as the LSTM may have, none.",
        run=f"{_RUNS}:long_time_lags",
    ),
    Study(
        name="adding",
        title="The adding problem, 1997",
        source=f"{_PAPER}, section 5.4, table 7",
        about="Two of T to 1.1 T numbers are marked; at the end their sum is asked for, as "
        "0.5 + (X1 + X2) / 4. The least lag is T / 2. A sequence is right when the error is below 0.04, and "
        "2,560 of them are tested.",
        settings=(
            *_networks(entrants(ADDING, 2, 1, chrono=1000), _chrono("T"), "2 blocks of 2 cells, 93 weights"),
            *_trained(ADDING, ", learning rate 0.5", _LATEST),
        ),
        seeds=5,
        budget=1_800,
        tolerance="every seed has at least 99.9 % of the tests right at T = 100, 500 and 1,000, in the "
        "median with at most the published number of training sequences, and no plain RNN solves T = 1,000.",
        run=f"{_RUNS}:adding",
    ),
    Study(
        name="multiplication",
        title="The multiplication problem, 1997",
        source=f"{_PAPER}, section 5.5, table 8",
        about="As the adding problem, with T = 100, numbers in [0, 1] and their product as the answer: "
        "memory cells that add up must learn a product. Training ends when fewer than 140, or fewer than 13, "
        "of 2,000 sequences have an error of 0.04 or more.",
        settings=(
            *_networks(
                entrants(_MULTIPLICATION, 2, 1, chrono=MULTIPLICATION_LENGTH),
                _chrono(str(MULTIPLICATION_LENGTH)),
            ),
            *_trained(
                _MULTIPLICATION,
                "",
                "when fewer than 140, or 13, of the 2,000 latest training sequences were wrong",
                f"with at most 70, or 6, wrong of {_MULTIPLICATION.checked:,} fresh sequences, looked at "
                f"every {_MULTIPLICATION.check_every:,}, or after {_MULTIPLICATION.most:,}",
            ),
        ),
        seeds=10,
        budget=900,
        tolerance="in the median no more tests wrong, no larger mean squared error and no more training "
        "sequences than published, by both criteria.",
        run=f"{_RUNS}:multiplication",
    ),
    Study(
        name="temporal-order",
        title="Temporal order, 1997",
        source=f"{_PAPER}, section 5.6, table 9",
        about="Two (three) symbols X or Y stand far apart among 100 to 110 others; which, and in which "
        "order? Four (eight) classes. A sequence is right when the error of every output is below 0.3, and "
        "2,560 of them are tested.",
        settings=(
            *_networks(
                entrants(ORDER, 8, 4, chrono=ORDER_LONGEST, beside=3),
                _chrono(str(ORDER_LONGEST)),
                "156 weights; 308 for 8 classes",
            ),
            *_trained(ORDER, ", learning rate 0.5; 0.1 for 8 classes", _LATEST),
        ),
        seeds=10,
        budget=300,
        tolerance="every seed has at least 99.9 % of the tests right, in the median with at most the "
        "published number of training sequences, and no plain RNN solves either.",
        run=f"{_RUNS}:temporal_order",
    ),
)
