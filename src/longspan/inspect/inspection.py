"""All that an inspection finds, as one record: arrays, JSON, and a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from longspan.core.checks import known_name
from longspan.core.errors import InputError
from longspan.core.seeds import derive
from longspan.inspect.attribution import Attribution, attention_maps, integrated_gradients
from longspan.inspect.depth import depth_gradients, plain_net
from longspan.inspect.gates import GateTrace, check_layers, trace_gates
from longspan.inspect.gradients import LagCurve, LagGradients, lag_gradients
from longspan.inspect.horizon import Horizon, ablate, gate_horizon, gradient_horizon, removal_estimate
from longspan.inspect.memory import Memory, cell_memory
from longspan.inspect.probe import Probe, Visit, recurrent_layer
from longspan.inspect.settings import InspectSettings
from longspan.inspect.words import disagreements, sentence
from longspan.models.subject import Shown, StepMeaning, Subject, spread_rows
from longspan.nn.encoders import encoder_names
from longspan.store.atomic import write_file
from longspan.store.strict_json import dump
from longspan.store.tensors import encode

__all__ = ["Inspection", "inspect_subject"]

_ABLATED, _DERIVED = (32, 256), (4, 16)  # fewest and most examples
_STEPS_ABLATED, _STEPS_DERIVED = 1 << 19, 1 << 16  # of all examples together
_DEPTH, _DEPTH_EXAMPLES = 64, 16


def _say_nothing(_line: str) -> None:
    """For an inspection that nobody watches."""


@dataclass(frozen=True, eq=False)
class Inspection:
    """What a model remembers, and for how long.

    Attributes:
        settings: how it was made. title: of the model. step: what one step is.
        shown: the example that is drawn, in the user's terms.
        features: names of the features of the sequence.
        gates, memory: of the layers asked for, on that example; empty where the encoder has none.
        gradients: of this model, then those asked for beside it.
        depth: gradients by depth of an untrained feed-forward net as wide as the encoder, and of one whose
            layers share their weights.
        horizon: how far back the model uses its past.
        attribution: of the prediction for the drawn example. attention: (L, heads, T, T), or None.
        notes: what to know of the model, in words.
    """

    settings: InspectSettings
    title: str
    step: StepMeaning
    shown: Shown
    features: tuple[str, ...]
    gates: tuple[GateTrace, ...]
    memory: tuple[Memory, ...]
    gradients: tuple[LagGradients, ...]
    depth: tuple[LagCurve, ...]
    horizon: Horizon
    attribution: Attribution
    attention: NDArray[np.float32] | None
    notes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The answer, for people."""
        return sentence(self.horizon, self.step)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything that is an array, by name: ``gates.layer1.f`` (T, H), ``gradients.0.input`` (n, T) …"""
        found: dict[str, NDArray[Any]] = {"attribution": self.attribution.shares}
        for trace in self.gates:
            place = _place(trace.layer, trace.backward)
            found |= {f"gates.{place}.{name}": values for name, values in trace.values.items()}
            found[f"gates.{place}.order"] = trace.order
        for each in self.memory:
            place = _place(each.layer, each.backward)
            found |= {f"memory.{place}.log_held": each.log_held, f"memory.{place}.half_life": each.half_life}
        for number, model in enumerate(self.gradients):
            for curve in filter(None, (model.input, model.encoder, *model.states)):
                name = f"gradients.{number}.{curve.name.split()[-1]}"
                found |= {name: curve.size, f"{name}.lags": curve.lags}
        found |= {f"depth.{number}": each.size for number, each in enumerate(self.depth)}
        return found if self.attention is None else found | {"attention": self.attention}

    def to_json(self) -> dict[str, Any]:
        """JSON-able: every curve and estimate; gates of the drawn steps and units where they are not too
        many (see `arrays` for all)."""
        from longspan.inspect.to_json import inspection_json

        return inspection_json(self)

    def page(self) -> str:
        """One self-contained HTML page."""
        from longspan.inspect.page import inspection_page

        return inspection_page(self)

    def write(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the page (``.html``), the JSON (``.json``) or the arrays (``.safetensors``), whole or not at
        all.

        Raises:
            InputError: another ending, or the file exists and ``force`` is off.
        """
        place = Path(path)
        makers: dict[str, Callable[[], bytes]] = {
            ".html": lambda: self.page().encode(),
            ".json": lambda: dump(self.to_json()),
            ".safetensors": lambda: encode(
                {name: torch.from_numpy(np.ascontiguousarray(each)) for name, each in self.arrays().items()}
            ),
        }
        if place.suffix.lower() not in makers:
            raise InputError(f"inspect: expected a file ending in {', '.join(makers)}, got {str(place)!r}")
        if place.exists() and not force:
            raise InputError(
                f"inspect: {str(place)!r} exists. Pass force=True to replace it, or another name"
            )
        write_file(place, makers[place.suffix.lower()]())
        return place


def _place(layer: int, backward: bool) -> str:
    return f"layer{layer + 1}" + ("_backward" if backward else "")


def inspect_subject(
    subject: Subject,
    settings: InspectSettings | None = None,
    *,
    title: str = "the model",
    say: Callable[[str], None] = _say_nothing,
) -> Inspection:
    """Look into a model.

    Args:
        subject: the model and its examples.
        settings: what to look at; None takes the defaults.
        title: what the model is called. say: told of every part.

    Raises:
        InputError: layers, units or encoders that there are not, fewer than 2 examples, or nothing known
            of the training.
    """
    asked = InspectSettings() if settings is None else settings
    for name in asked.against:
        known_name(name, "against", encoder_names())
    if subject.count < 2:
        raise InputError(
            f"inspect: expected at least 2 examples to compare, got {subject.count}. Give more data"
        )
    visit = _visited(subject)
    layer = recurrent_layer(subject.encoder)
    if layer is None and (asked.layers or asked.units):
        name = "layers" if asked.layers else "units"
        raise InputError(f"{name}: expected none, since the encoder is not recurrent and has no gates")
    layers = check_layers(asked.layers, layer.num_layers) if layer is not None else ()
    gates = tuple(trace_gates(layer, visit, 0, layers)) if layer is not None else ()
    for trace in gates:
        _check_units(asked.units, trace)
    memory = tuple(cell_memory(layer, visit, 0, layers)) if layer is not None else ()
    say("gradients by lag")
    gradients = _gradients(subject, asked, title, say)
    say("memory horizon")
    horizon = _horizon(subject, asked, gradients[0])
    say("attribution")
    attribution = integrated_gradients(subject, subject.shown_row)
    return Inspection(
        asked,
        title,
        subject.step,
        subject.shown(),
        tuple(subject.names),
        gates,
        memory,
        gradients,
        _by_depth(subject, asked.seed),
        horizon,
        attribution,
        attention_maps(subject.encoder, visit, 0),
        (*_what_there_is(subject), *subject.notes),
    )


def _visited(subject: Subject) -> Visit:
    """What the encoder reads of the drawn example."""
    visits: list[Visit] = []
    with torch.no_grad():
        watched = subject.with_encoder(Probe(subject.encoder, visits.append))
        watched.outputs(watched.batch(np.array([subject.shown_row])))
    return visits[0]


def _check_units(units: tuple[int, ...], trace: GateTrace) -> None:
    count = len(trace.order)
    wrong = [unit for unit in units if not 1 <= unit <= count]
    if wrong:
        raise InputError(f"units: expected numbers from 1 to {count}, got {wrong[0]}")


def _rows(subject: Subject, asked: int | None, bounds: tuple[int, int], steps: int) -> NDArray[np.int64]:
    """Evenly spread examples: as many as asked for, else as many as so many steps hold."""
    longest = subject.sequence(subject.batch(np.array([subject.shown_row]))).shape[1]
    usual = int(np.clip(steps // max(longest, 1), *bounds))
    return spread_rows(subject.count, usual if asked is None else asked)


def _gradients(
    subject: Subject, asked: InspectSettings, title: str, say: Callable[[str], None]
) -> tuple[LagGradients, ...]:
    rows = _rows(subject, None, _DERIVED, _STEPS_DERIVED)
    found = [lag_gradients(subject, rows, title, asked.seed)]
    if asked.untrained:
        found.append(lag_gradients(subject.untrained(asked.seed), rows, "untrained", asked.seed))
    for name in asked.against:
        say(f"training {name} in the same way")
        other = subject.retrained(name, asked.seed)
        found.append(lag_gradients(other, rows, f"{name}, trained the same way", asked.seed))
    return tuple(found)


def _horizon(subject: Subject, asked: InspectSettings, gradients: LagGradients) -> Horizon:
    rows = _rows(subject, asked.examples, _ABLATED, _STEPS_ABLATED)
    few = _rows(subject, None, _DERIVED, _STEPS_DERIVED)
    ablations = (ablate(subject, rows, "cut", asked.seed), ablate(subject, rows, "scrambled", asked.seed))
    estimates = (
        gate_horizon(subject, few, asked.threshold),
        gradient_horizon(gradients.input.size, asked.threshold),
        *map(removal_estimate, ablations),
    )
    found = Horizon(estimates, ablations)
    return Horizon(estimates, ablations, disagreements(found, subject.step))


def _by_depth(subject: Subject, seed: int) -> tuple[LagCurve, ...]:
    """Feed-forward nets of the encoder's width, with weights of their own and with shared ones."""
    width = subject.encoder.output_size
    return tuple(
        depth_gradients(
            plain_net(width, _DEPTH, derive(seed, "depth"), shared=shared), width, _DEPTH_EXAMPLES, seed
        )
        for shared in (False, True)
    )


def _what_there_is(subject: Subject) -> tuple[str, ...]:
    """What the encoder is, and what of this page it cannot have."""
    layer, span = recurrent_layer(subject.encoder), subject.encoder.span
    if layer is None:
        limit = "" if span is None else f" and sees {subject.step.words(span)} at most"
        return (f"The encoder is not recurrent{limit}: it has neither gates nor states to draw.",)
    sizes = f"{layer.cell.label}, {layer.num_layers} × {layer.hidden_size} units"
    return (f"The encoder is {sizes}{', in both directions' if layer.bidirectional else ''}.",)
