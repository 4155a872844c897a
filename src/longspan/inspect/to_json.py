"""An inspection as plain values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.inspect.gates import GateTrace
from longspan.inspect.gradients import LagCurve, LagGradients
from longspan.inspect.horizon import Ablation
from longspan.inspect.memory import Memory

if TYPE_CHECKING:
    from longspan.inspect.inspection import Inspection
    from longspan.models.subject import Shown

__all__ = ["inspection_json"]

_MOST = 1 << 17  # numbers of the gates of one layer
_DIGITS = 5


def inspection_json(found: Inspection) -> dict[str, Any]:
    """JSON-able; numbers that there are not are None, infinite half-lives too."""
    horizon, attribution, asked = found.horizon, found.attribution, found.settings
    return {
        "sentence": found.sentence,
        "model": found.title,
        "step": found.step._asdict(),
        "settings": asked.given(),
        "notes": list(found.notes),
        "horizon": {
            "used": horizon.used,
            "window": horizon.window,
            "estimates": [asdict(each) for each in horizon.estimates],
            "words": list(horizon.words),
            "ablations": [_ablation(each) for each in horizon.ablations],
        },
        "gradients": [_gradients(each) for each in found.gradients],
        "depth": [_curve(each) for each in found.depth],
        "shown": _shown(found.shown, asked.window),
        "gates": [_gates(each, asked.units, asked.window) for each in found.gates],
        "memory": [_memory(each, asked.threshold) for each in found.memory],
        "attribution": {
            "prediction": attribution.name,
            "value": _number(attribution.prediction),
            "baseline": attribution.baseline_name,
            "baseline_value": _number(attribution.baseline),
            "gap": _number(attribution.gap),
            "points": attribution.points,
            "features": list(found.features),
            "shares": _numbers(attribution.shares[-asked.window :]),
        },
        "attention": None if found.attention is None else {"shape": list(found.attention.shape)},
    }


def _number(value: float) -> float | None:
    return float(f"{value:.{_DIGITS + 2}g}") if math.isfinite(value) else None


def _numbers(values: Any) -> Any:
    """Nested lists, NaN and infinities as None."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, list):
        return [_numbers(each) for each in values]
    return float(f"{values:.{_DIGITS}g}") if math.isfinite(values) else None


def _ablation(each: Ablation) -> dict[str, Any]:
    return {
        "how": each.how,
        "horizon": each.horizon,
        "longest": each.longest,
        "loss": _number(each.whole),
        "worth": _number(each.worth),
        "removals": [
            asdict(removal) | {"costs": costs}
            for removal, costs in zip(each.removals, each.costs, strict=True)
        ],
    }


def _gradients(each: LagGradients) -> dict[str, Any]:
    return {
        "model": each.title,
        "input": _curve(each.input),
        "encoder": None if each.encoder is None else _curve(each.encoder),
        "states": list(map(_curve, each.states)),
    }


def _curve(curve: LagCurve) -> dict[str, Any]:
    low, high = curve.band()
    rate = curve.rate
    return {
        "name": curve.name,
        "lags": curve.lags.tolist(),
        "mean": _numbers(curve.mean),
        "low": _numbers(low),
        "high": _numbers(high),
        "rate": None if rate is None else asdict(rate),
    }


def _shown(shown: Shown, window: int) -> dict[str, Any]:
    places = [str(each) for each in shown.places[-window:]]
    values = None if shown.values is None else _numbers(shown.values[-window:])
    return {
        "title": shown.title,
        "name": shown.name,
        "places": places,
        "values": values,
        "tokens": list(shown.tokens[-window:]),
    }


def _gates(trace: GateTrace, units: Iterable[int], window: int) -> dict[str, Any]:
    """With the values of the drawn steps and units, where they are not too many."""
    picked = [unit - 1 for unit in units] or trace.order.tolist()
    steps = min(window, len(trace.values[trace.state]))
    whole = steps * len(picked) * len(trace.values) <= _MOST
    return {
        "layer": trace.layer + 1,
        "backward": trace.backward,
        "units": [unit + 1 for unit in picked],
        "busiest": trace.busiest + 1,
        "movement": _numbers(trace.movement),
        "state": trace.state,
        "values": {
            name: _numbers(values[-steps:, [unit for unit in picked if unit < values.shape[1]]])
            for name, values in trace.values.items()
        }
        if whole
        else None,
    }


def _memory(memory: Memory, threshold: float) -> dict[str, Any]:
    forgotten = np.exp(memory.log_held) < threshold
    # Steps from the end to the newest step of which less than the threshold is held; all where none is.
    newest = forgotten[::-1] if not memory.backward else forgotten
    kept = np.where(newest.any(axis=0), newest.argmax(axis=0), len(newest))
    return {
        "layer": memory.layer + 1,
        "backward": memory.backward,
        "rule": memory.words,
        "half_life": _numbers(memory.half_life),
        "longest_lived": memory.longest + 1,
        "held_steps": kept.tolist(),
    }
