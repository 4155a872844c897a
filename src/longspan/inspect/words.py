"""What the numbers of an inspection say, in sentences."""

from __future__ import annotations

from longspan.inspect.horizon import LEAST_SHARE, Ablation, Horizon
from longspan.models.subject import StepMeaning

__all__ = ["disagreements", "sentence"]

_APART = 1.5  # estimates further apart than this factor, and by more than two steps, disagree
_NEXT_TO_NOTHING = 0.1  # what may at most be left for "nothing" to be said, not only "nothing was shown"


def sentence(horizon: Horizon, step: StepMeaning) -> str:
    """One sentence: how many steps are used, and which window loses nothing.

    "Nothing" is said where the upper limit of the 95 % interval allows next to nothing; where it allows more,
    the sentence says that too few examples are there to tell.
    """
    cut = horizon.ablation("cut")
    if _untested(cut):
        return (
            "There are too few independent examples to measure how far back this model remembers: "
            "give it more data."
        )
    if not any(any(each.costs) for each in horizon.ablations):
        return _unused(cut)
    if all(each.at_the_edge for each in horizon.ablations):
        return (
            f"This model uses all of its past, {step.words(cut.longest + 1)}: a longer window may gain more."
        )
    used = f"about {step.words(horizon.used)}" if horizon.used else "no more than the last step"
    if cut.at_the_edge:
        return f"This model uses {used}, but is used to its whole window: a shorter one needs a new training."
    left = _highest(cut, horizon.window - 1)
    if left <= _NEXT_TO_NOTHING * cut.worth:
        return f"This model uses {used}; a window longer than {horizon.window:,} gains nothing."
    share = min(left / cut.worth, 1.0) if cut.worth > 0 else 1.0
    return (
        f"This model was shown to use {used}; up to {share:.0%} of what its past is worth may lie further "
        "back, and there are too few independent examples to say."
    )


def disagreements(horizon: Horizon, step: StepMeaning) -> tuple[str, ...]:
    """Where the estimates part from what was measured by removal, and why that may be."""
    if _untested(horizon.ablation("cut")):
        return ("No removal could be tested: fewer than four of the examples are independent.",)
    used = horizon.used
    found = [_rule(horizon.ablation("cut"))]
    gates, gradients = horizon.lag("forget gates"), horizon.lag("gradients")
    cut, scrambled = (horizon.ablation(how).horizon for how in ("cut", "scrambled"))
    if _apart(cut, scrambled):
        found.append(
            f"Cutting costs up to {step.words(cut)}, scrambling up to {step.words(scrambled)}: "
            + (
                "the model is used to a past of the usual length, whatever is in it."
                if cut > scrambled
                else "it looks further back than helps, and the past of another example misleads it."
            )
        )
    if gates is not None and _apart(gates, used):
        found.append(
            f"The forget gates hold for {_reach(gates, step)}: "
            + (
                "the states keep more than the answer uses."
                if gates > used
                else "what is older reaches the answer by another way than being held, such as inputs that "
                "repeat it, or states that write it anew."
            )
        )
    if gradients is not None and _apart(gradients, used):
        found.append(
            f"Most of the gradient comes from {_reach(gradients, step)}: "
            + (
                "older steps move the answer a little; that they make it better was not shown."
                if gradients > used
                else "older steps count, but small changes of them matter less."
            )
        )
    if len(found) == 1:
        found.append("The estimates agree.")
    return tuple(found)


def _reach(lag: int, step: StepMeaning) -> str:
    return step.words(lag) if lag else "the last step alone"


def _unused(cut: Ablation) -> str:
    """Where no removal was shown to cost."""
    may_rise = _highest(cut, 0)
    if may_rise <= _NEXT_TO_NOTHING * abs(cut.whole):
        return (
            "What this model is given of the past makes no difference that could be measured: "
            "its last step alone does as well."
        )
    return (
        "There are too few independent examples to tell whether this model uses its past: without it "
        f"the loss of {cut.whole:.3g} may rise by up to {may_rise:.3g}, or not at all."
    )


def _highest(cut: Ablation, lag: int) -> float:
    """How much the loss may rise at most where lags 0 … ``lag`` are kept."""
    high = next(each.high for each in cut.removals if each.lag == lag)
    return 0.0 if high is None else high


def _untested(ablation: Ablation) -> bool:
    return all(each.p is None for each in ablation.removals)


def _apart(one: int, other: int) -> bool:
    low, high = sorted((one, other))
    return high - low > 2 and high > _APART * low


def _rule(ablation: Ablation) -> str:
    return (
        "To take a lag away costs where the loss rises beyond chance (a one-sided paired test at 5 %, "
        f"for all lags tried together) and by more than {LEAST_SHARE:.0%} of what the whole past "
        f"is worth, {ablation.worth:.3g} in units of the loss."
    )
