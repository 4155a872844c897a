"""Is the model better than the strongest simple baseline? The answer, with its tests, and in words.

The baseline to beat is the strongest on the origins that calibrate, so that choosing it uses none of the test
origins. Then, on the test origins, losses are compared: the whole horizon and groups of steps, with Holm's
adjustment over all of them. "Better" is said only where the adjusted p of the whole is below 0.05 and no
baseline at all has a lower error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from longspan.evaluation.backtest import Backtest, Method, common, horizon_groups, sample_words
from longspan.evaluation.versus import Comparison, adjusted, compare, losses_of, lower, strongest

__all__ = ["Comparison", "Outcome", "Verdict", "judge", "untested"]

Outcome = Literal["better", "worse", "no difference", "cannot tell", "not tested"]

_LEVEL = 0.05
_ALL_BUT_EXACT = 1e5  # relative change of the error in %, above which a percentage tells nobody anything


@dataclass(frozen=True)
class Verdict:
    """Whether the model is better than the strongest baseline.

    Args:
        outcome: better, worse, no difference, cannot tell, or not tested.
        baseline, title: the baseline to beat, its key and what people read; empty where there is none.
        measure: of the losses: MASE, or the mean absolute error where no series has a scale.
        sample: what was compared, where that is not all test origins; else None.
        comparisons: of the whole horizon, then of each group of steps.
        words: the verdict in a few sentences, with what to use.
    """

    outcome: Outcome
    baseline: str
    title: str
    measure: str
    sample: str | None
    comparisons: tuple[Comparison, ...]
    words: str

    def to_json(self) -> dict[str, Any]:
        """As JSON, None where a number is not finite."""
        record = asdict(self)
        for each in record["comparisons"]:
            for key in ("error", "baseline"):
                each[key] = each[key] if math.isfinite(each[key]) else None
            each["interval"] = None if each["interval"] is None else list(each["interval"])
        return record | {"comparisons": list(record["comparisons"])}


def judge(
    backtest: Backtest, *, together: bool = False, seed: int = 0, simple: str = "simple method"
) -> Verdict:
    """The verdict of a backtest.

    One to four series: the Diebold–Mariano test over origins, of the mean over the series; it needs 8 test
    origins. Five series or more: the paired bootstrap over series; with 8 test origins the Diebold–Mariano
    test has to agree (the larger p counts), because series that move together are not independent. What
    fell together is told by the calendar (`Backtest.moment`).

    Args:
        backtest: with the model's seeds and the baselines.
        together: the forecast is the ensemble of the seeds. Otherwise it is that of one seed, and the loss is
            the mean of the seeds' losses: what a seed may be expected to lose.
        seed: of the bootstrap's draws.
        simple: what the baselines are called, in the singular.
    """
    model = backtest.model[0].title
    if not backtest.baselines:
        return untested("there is no baseline to compare with", title=model)
    losses = losses_of(backtest, together=together)
    chosen, choices = strongest(losses)
    if chosen is None:
        words = (
            f"Cannot tell whether the {model} is needed: no value of the test part is known that it and a "
            "baseline both forecast. Use rows with fewer missing values at the end."
        )
        return Verdict("cannot tell", "", "", losses.measure, None, (), words)
    parts = [(1, backtest.horizon), *(horizon_groups(backtest.horizon) if backtest.horizon > 1 else ())]
    found = adjusted([compare(losses, chosen.name, part, seed) for part in parts], choices)
    known, places = common(backtest, ()) & backtest.tests[:, None], losses.tested(chosen.name)
    sample = None if np.array_equal(known, places) else sample_words(backtest, places, known)
    rival = lower(losses, chosen)
    outcome = _outcome(found[0], rival)
    facts = _facts(found[0], losses.measure, sample)
    words = _words(outcome, model, chosen.title, f"the strongest {simple}", rival, facts, found)
    return Verdict(outcome, chosen.name, chosen.title, losses.measure, sample, found, words)


def untested(reason: str, *, title: str = "LSTM") -> Verdict:
    """The verdict where there was no backtest, or nothing to compare with.

    Args:
        reason: ends the sentence "Not tested: …", without a full stop.
        title: of the model.
    """
    words = f"Not tested: {reason}. Whether the {title} is better than a simple method is not known."
    return Verdict("not tested", "", "", "MASE", None, (), words)


def _outcome(whole: Comparison, rival: Method | None) -> Outcome:
    if whole.adjusted is None:
        return "cannot tell"
    if whole.adjusted >= _LEVEL or whole.error == whole.baseline:
        return "no difference"
    if whole.error > whole.baseline:
        return "worse"
    return "better" if rival is None else "no difference"


def _words(
    outcome: Outcome,
    model: str,
    name: str,
    best: str,
    rival: Method | None,
    facts: str,
    found: Sequence[Comparison],
) -> str:
    whole = found[0]
    if outcome == "better":
        words = f"The {model} is better than {name}, {best}: {facts}."
    elif outcome == "worse":
        words = f"The {model} loses to {name}: {facts}. Use {name} instead: it is simpler and errs less."
    elif outcome == "cannot tell":
        words = (
            f"Cannot tell whether the {model} beats {name}, {best}: {whole.reason}. "
            f"{_capital(facts)}. More rows or a shorter horizon give more origins."
        )
    elif whole.adjusted is not None and whole.adjusted < _LEVEL and rival is not None:
        words = (
            f"The {model} beats {name}, {best} on the earlier origins ({facts}), but "
            f"{rival.title} errs less than it on the later ones. "
            f"Use {rival.title}: it is simpler and enough."
        )
    else:
        words = (
            f"No difference shown between the {model} and {name}, {best}: {facts}. "
            f"Use {name}: it is simpler and enough."
        )
    return " ".join([words, *_by_steps(outcome, found)])


def _facts(whole: Comparison, measure: str, sample: str | None) -> str:
    """``its MASE of 0.84 is 12 % lower (95 % interval: 5 to 19 % lower; adjusted p = 0.003; …)``."""
    if math.isnan(whole.error):
        return "nothing could be compared"
    rest = []
    if whole.interval is not None and whole.effect is not None and whole.effect <= _ALL_BUT_EXACT:
        rest.append(f"95 % interval {_signed(whole.interval[0])} to {_signed(whole.interval[1])} %")
    if whole.adjusted is not None:
        rest += [f"adjusted {_probability(whole.adjusted)}", f"{whole.test}, n = {whole.n:,}"]
    if sample is not None:
        rest.append(f"compared on {sample}")
    tail = f" ({'; '.join(rest)})" if rest else ""
    return f"its {measure} is {whole.error:.3g}, {_against(whole)}{tail}"


def _against(whole: Comparison) -> str:
    if whole.effect is None:
        return "and that method is exact" if whole.error > 0 else "and both are exact"
    if whole.effect > _ALL_BUT_EXACT:
        return f"and that method, with {whole.baseline:.3g}, is all but exact"
    if whole.error == whole.baseline:
        return "the same"
    size = abs(whole.effect)
    shown = f"{size:.1f} %" if size < 100 else f"{size:,.0f} %"
    return f"{shown} {'lower' if whole.effect < 0 else 'higher'} than {whole.baseline:.3g}"


def _by_steps(outcome: Outcome, found: Sequence[Comparison]) -> list[str]:
    """What the groups of steps say where they do not say the same as the whole."""
    clear = [each for each in found[1:] if each.adjusted is not None and each.adjusted < _LEVEL]
    better = [each for each in clear if each.error < each.baseline and outcome != "better"]
    worse = [each for each in clear if each.error > each.baseline and outcome != "worse"]
    parts = [
        f"{word} at {', '.join(_steps(each) for each in group)} ahead"
        for word, group in (("better", better), ("worse", worse))
        if group
    ]
    return [f"By steps it is {' and '.join(parts)}."] if parts else []


def _steps(part: Comparison) -> str:
    return f"step {part.first}" if part.first == part.last else f"steps {part.first}–{part.last}"


def _probability(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.995 else "p = 1"


def _signed(percent: float) -> str:
    return f"{percent:+.1f}".replace("-", "−")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
