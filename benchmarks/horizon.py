"""Does the memory horizon come out where the truth is known, and how long does an inspection take?

    python benchmarks/horizon.py all                every section, each kept when it is done
    python benchmarks/horizon.py marked             k = 2, 10, 50, 200, 500
    python benchmarks/horizon.py time               10,000 steps: a forecaster on ETTh1, a reader
    python benchmarks/horizon.py all --missing      only what results/horizon.json lacks
    python benchmarks/horizon.py all --smoke        k = 2 and 10, short sequences; nothing is kept

The label is the marked symbol k steps before the end, distractors elsewhere. An LSTM learns it (that is the
gate: else the horizon would mean nothing), and the inspection is asked how far back it remembers.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from longspan.core.seeds import derive
from longspan.data.problems.marked import MarkedSymbol
from longspan.inspect.horizon import Horizon
from longspan.inspect.inspection import inspect_subject
from longspan.models.reader import Reader, reader_loss, sequences
from longspan.models.subject import ReaderSubject
from longspan.nn import LSTM
from longspan.nn.encoders import RecurrentEncoder, build_encoder
from longspan.training.loop import train
from longspan.training.settings import Settings
from machine import ROOT, GateError, Kept, bar, measured, show_bars, show_machine

LAGS = (2, 10, 50, 200, 500)
SMOKE = (2, 10)
UNITS, EXAMPLES, BATCH = 16, 512, 32
SOLVED = 0.05  # nats; chance is log 4 = 1.386
STEPS = 10_000
Record = dict[str, Any]


def learned(lag: int, seed: int, most: int) -> tuple[Reader, MarkedSymbol, Record]:
    """An LSTM that solves the problem: chrono initialisation, Adam, until the loss on examples of its own is
    low enough or the steps are spent.

    Raises:
        GateError: it did not learn it.
    """
    problem = MarkedSymbol(lag)
    torch.manual_seed(derive(seed, "weights"))
    layer = LSTM(problem.input_size, UNITS, batch_first=True)
    chrono(layer, max(3, 2 * lag))
    reader = Reader(RecurrentEncoder(layer), problem.output_size, "class")
    held = sequences(problem.draw(256, np.random.default_rng(derive(seed, "held"))))

    def batch(step: int) -> Any:
        return sequences(problem.draw(BATCH, np.random.default_rng(derive(seed, "batch", step))))

    settings = Settings(
        seed=seed, max_steps=most, validate_every=min(50, most), learning_rate=1e-2, patience=None,
        target=SOLVED / 5,
    )  # fmt: skip
    history = train(
        reader, reader_loss, batch, lambda module: float(reader_loss(module, held).detach()), settings
    )
    loss = math.inf if history.best_loss is None else history.best_loss
    if loss > SOLVED:
        raise GateError(f"k = {lag}: expected a loss below {SOLVED} in {most} steps, got {loss:.3g}")
    steps = history.steps
    record = {"loss": loss, "steps": steps, "sequences": steps * BATCH, "seconds": history.seconds}
    return reader, problem, record


def chrono(layer: LSTM, longest: int) -> None:
    """Forget gates that hold for 1 to ``longest`` steps, input gates as much closed: b_f = log U(1, T - 1),
    b_i = -b_f.

    Source: Tallec and Ollivier, "Can recurrent neural networks warp time?", 2018, section 2.3.
    """
    size = layer.hidden_size
    with torch.no_grad():
        forget = torch.log(torch.empty(size).uniform_(1.0, longest - 1.0))
        layer.bias_ih_l0[: 2 * size] = torch.cat([-forget, forget])
        layer.bias_hh_l0[: 2 * size] = 0.0


def estimates(horizon: Horizon) -> Record:
    """Each estimate by its name."""
    return {each.name: each.lag for each in horizon.estimates} | {
        "used": horizon.used,
        "window": horizon.window,
    }


def marked(setting: argparse.Namespace) -> Record:
    """The table over k."""
    rows = []
    for lag in SMOKE if setting.smoke else LAGS:
        reader, problem, record = learned(lag, setting.seed, setting.steps)
        examples = problem.draw(EXAMPLES, np.random.default_rng(derive(setting.seed, "test")))
        began = time.perf_counter()
        found = inspect_subject(ReaderSubject(reader, examples, symbols=tuple("abcd")))
        seconds = time.perf_counter() - began
        rows.append(
            {"k": lag, **estimates(found.horizon), "inspect_seconds": seconds, "training": record}
            | {"sentence": found.sentence}
        )
        show_row(rows[-1])
    bars = [
        bar(
            f"k = {row['k']}: horizon ({how}) off by",
            0.0 if row["k"] == 2 else 0.2 * row["k"],
            abs(row[how] - row["k"]),
        )
        for row in rows
        for how in ("cut", "scrambled")
    ]
    return {"rows": rows, "bars": bars}


def show_row(row: Record) -> None:
    """One line of the table."""
    named = ("cut", "scrambled", "forget gates", "gradients")
    print(f"  k = {row['k']:>3}: " + ", ".join(f"{name} {row[name]}" for name in named))


def inspections(setting: argparse.Namespace) -> Record:
    """Seconds of an inspection, page included, on one thread."""
    import longspan

    steps = 500 if setting.smoke else STEPS
    torch.manual_seed(0)
    draws = np.random.default_rng(0)
    problem = MarkedSymbol(steps * 2 // 3 - 3)
    reader = Reader(build_encoder("lstm", problem.input_size, 32), problem.output_size, "class")
    subject = ReaderSubject(reader, problem.draw(64, draws), symbols=tuple("abcd"))
    found = {f"reader, {problem.longest:,} steps": timed(lambda: inspect_subject(subject).page())}
    data = longspan.datasets.load("etth1")[:steps] if not setting.smoke else _smoke_series(steps)
    options: Record = {"steps": 10, "validate_every": 10} if setting.smoke else {}
    target = "OT" if "OT" in data.columns else "value"
    model = longspan.fit(
        "forecast", data, target=target, horizon=24, backtest=0, device="cpu", progress=False, **options
    )
    found[f"forecaster, {steps:,} rows"] = timed(lambda: model.inspect(data, untrained=True).page())
    bars = [bar(f"{name}: seconds", 20.0, seconds) for name, seconds in found.items()]
    return {"seconds": found, "bars": bars}


def _smoke_series(steps: int) -> Any:
    from longspan.data.synthetic import sine

    return sine(steps, 24.0, 0.1)


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


SECTIONS: dict[str, Callable[[argparse.Namespace], Record]] = {"marked": marked, "time": inspections}


def main(words: list[str]) -> int:
    """Run the sections asked for; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="+", choices=("all", *SECTIONS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=4000, help="training steps at most")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    setting = parser.parse_args(words)
    torch.set_num_threads(1)
    kept = Kept("horizon", smoke=setting.smoke)
    for name in SECTIONS if "all" in setting.sections else setting.sections:
        if setting.missing and name in kept.read():
            continue
        print(f"{name}:")
        record: Record = {"threads": 1, "seed": setting.seed}
        with measured(record):
            record |= SECTIONS[name](setting)
        show_bars(record["bars"])
        show_machine(record)
        kept.add(name, record)
    return kept.finish()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "benchmarks"))
    sys.exit(main(sys.argv[1:]))
