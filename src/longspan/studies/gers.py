"""Gers 2000 and 2002: forget gates for streams without an end, peepholes for exact timing; as declared."""

from __future__ import annotations

from dataclasses import replace

from longspan.studies.plan import Entrant, Network, Training, settings_of
from longspan.studies.study import Setting, Study

__all__ = [
    "DOUBT",
    "LEAST",
    "MARGIN",
    "SPIKES",
    "STREAM",
    "STREAMS",
    "STUDIES",
    "TIMED",
    "TRAINED_STEPS",
    "UNTIL",
]

TRAINED_STEPS = 400
"""Symbols of a training stream, some 35 strings."""

DOUBT = 0.02
"""A training stream is wrong where a symbol that may not come has this share, or more, of the likelihood of
one that may.
"""

STREAMS, UNTIL = 10, 100_000
"""Streams of the test, and the symbols of each that must all be foreseen."""

_STREAM = Training(batch=4, learning_rate=5e-3, most=12_000, check_every=400, checked=64)
STREAM = (
    Entrant(
        "forget", "LSTM with forget gates", Network("lstm", 16, {"forget_bias": 1.0}), _STREAM, ours=True
    ),
    Entrant("lstm-1997", "LSTM without forget gates", Network("lstm", 19, {"forget_gate": False}), _STREAM),
    Entrant("rnn", "plain RNN", Network("rnn", 36), replace(_STREAM, learning_rate=3e-3)),
)
"""Trained on streams; about equally many weights."""

LEAST, SPIKES = 10, 10
"""F, steps between two spikes at the least, and intervals of a stream."""

MARGIN = 0.49
"""A stream is wrong with an output that is so far off, as published for spikes."""

_TIMED = Training(batch=32, learning_rate=1e-2, most=256_000, check_every=6_400, checked=1_000)
TIMED = (
    Entrant("peephole", "LSTM with peepholes", Network("lstm", 4, {"peephole": True}), _TIMED, ours=True),
    Entrant("no-peephole", "LSTM without peepholes", Network("lstm", 4), _TIMED),
    Entrant("lstm-1997", "LSTM without forget gates", Network("lstm", 4, {"forget_gate": False}), _TIMED),
    Entrant("rnn", "plain RNN", Network("rnn", 9), replace(_TIMED, learning_rate=3e-3)),
)
"""Few cells, so that peepholes are a good part of what can be learned."""

_CONTINUAL = Study(
    name="continual-reber",
    title="Continual embedded Reber grammar: a stream that is never set back",
    source="Gers, Schmidhuber & Cummins 2000, Learning to forget: continual prediction with LSTM, Neural "
    "Computation 12(10), 2451–2471, table of results on the continual embedded Reber grammar",
    about="Strings of the embedded Reber grammar stand end to end, and nothing tells where one ends. At "
    "every symbol the network says which may come next; it is right where every symbol that may come is "
    "likelier than every one that may not. A trained network reads 10 streams, each until its first "
    "error, at most 100,000 symbols. It is perfect without any error, and good with at least 1,000 "
    "symbols before the first one on average. Without forget gates the cell state of 1997 is never set "
    "back and fills up.",
    settings=(
        *(
            Setting(each.title, str(each.network), published)
            for each, published in zip(
                STREAM, ("4 blocks × 2 cells, 424 weights", "4 blocks × 2 cells", None), strict=True
            )
        ),
        Setting("training streams", f"of {TRAINED_STEPS} symbols, from a fresh state", "one without an end"),
        Setting("a symbol is foreseen when", "all that may come are likelier than all others"),
        Setting(
            "a training stream is wrong when",
            f"one that may not come has {DOUBT:.0%} of the likelihood of one that may, anywhere",
        ),
        *settings_of(
            _STREAM,
            {"optimiser": "online, learning rate 0.5, decayed by 0.99", "sequences a step": 1},
        ),
    ),
    seeds=5,
    budget=900,
    tolerance="With forget gates at least 62 % of the networks are perfect, the best that was published; "
    "without them none is.",
    run="longspan.studies.gers_work:continual_reber",
)
_TIMED_SPIKES = Study(
    name="timed-spikes",
    title="Timed spikes: what peepholes are for",
    source="Gers, Schraudolph & Schmidhuber 2002, Learning precise timing with LSTM recurrent networks, "
    "JMLR 3, 115–143; the tasks as told by others, the figures of each task not verified",
    about="Spikes are 10 or 11 steps apart, as a coin falls. Measuring: at each spike the network says "
    "which it was. Generating: the network is told with a spike how long to wait, and has to make the "
    "next one by itself, at the very step; a cell that shows nothing while it waits cannot tell the "
    "gates how long it has waited, unless they look into it through peepholes. A stream of ten intervals "
    "is right where every output is off by less than 0.49. Published: generating is solved with "
    "peepholes only, and does not converge without forget gates; for measuring they are no better, "
    "sometimes slower.",
    settings=(
        *(
            Setting(each.title, str(each.network), published)
            for each, published in zip(
                TIMED,
                ("1 block of 1 cell, 17 weights", "1 block of 1 cell", "1 block of 1 cell", None),
                strict=True,
            )
        ),
        Setting("steps between spikes", f"{LEAST} or {LEAST + 1}", "up to 50"),
        *settings_of(
            _TIMED,
            {"optimiser": "online, learning rate 0.00001, momentum 0.999 to 0.9999", "sequences a step": 1},
        ),
    ),
    seeds=5,
    budget=600,
    tolerance="Generating is learned with peepholes with every seed, and without peepholes with none.",
    run="longspan.studies.gers_timed:timed_spikes",
)

STUDIES: tuple[Study, ...] = (_CONTINUAL, _TIMED_SPIKES)
