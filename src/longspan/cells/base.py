"""What a cell is: a frozen record of one recurrent step, and the register of all of them.

A record holds the mathematics and nothing else. Running it over time, layers and directions is the work of
``longspan.kernels``; holding its weights is the work of ``longspan.nn``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Literal, NamedTuple, ParamSpec

import torch
from torch import Tensor

from longspan.core.checks import choice, known_options
from longspan.core.errors import InputError

__all__ = [
    "Activations",
    "Cell",
    "Params",
    "State",
    "StepNoise",
    "Weight",
    "build",
    "names",
    "option_names",
    "register",
]

Params = Mapping[str, Tensor]
State = tuple[Tensor, ...]
Activations = dict[str, Tensor]
Hoist = Callable[[Tensor, Params], Tensor]
Dimension = tuple[int, Literal["I", "H", "P"]]


class StepNoise(NamedTuple):
    """The random part of one step, drawn outside it.

    Attributes:
        drop: (B, P) factor, 0 or 1/(1-p), on h on its way into the recurrent product (Gal & Ghahramani 2016).
        hold: for each state what zoneout keeps of its old value: a bool tensor of the state's shape
            (training), a rate in [0, 1] (evaluation, the expectation) or None (Krueger et al. 2017).
    """

    drop: Tensor | None = None
    hold: tuple[Tensor | float | None, ...] = ()

    def recurrent(self, h: Tensor) -> Tensor:
        """``h`` as the recurrent product sees it."""
        return h if self.drop is None else h * self.drop

    def keep(self, index: int, old: Tensor, new: Tensor) -> Tensor:
        """State number ``index`` after the step."""
        held = self.hold[index] if self.hold else None
        if held is None:
            return new
        if isinstance(held, Tensor):
            return torch.where(held, old, new)
        return held * old + (1.0 - held) * new


Step = Callable[[Tensor, State, Params, StepNoise], tuple[State, Activations]]


class Weight(NamedTuple):
    """One parameter of a cell.

    Attributes:
        name: for instance ``weight_ih``.
        shape: one (factor, size) for each dimension: ``((4, "H"), (1, "I"))`` is (4·H, I).
        start: ``uniform`` is U(-1/sqrt(H), 1/sqrt(H)), as torch does it.
    """

    name: str
    shape: tuple[Dimension, ...]
    start: Literal["uniform", "ones", "zeros"] = "uniform"


@dataclass(frozen=True, eq=False)
class Cell:
    """A recurrent cell. Two records are the same only if they are one object.

    Sizes: I inputs, H hidden units, P the width of h (H unless the cell projects). All states but h are H
        wide.

    Attributes:
        name: the name in the register.
        options: every option with its value, so that the record can be built again.
        gates: gate names in the order in which the stacked weights hold them; G of them.
        states: state names; h, which is the output, comes first.
        weights: the parameters, in the order in which kernels get them; the first two are ``weight_ih`` (G·H,
            I) and ``weight_hh`` (G·H, P).
        activations: what a step reports besides the states: activated gates, and ``pre_`` names before
            activation.
        hoist: what needs no state and can be computed for all steps at once: x (..., I) → (..., G·H).
        step: one step: (hoisted x (B, G·H), state, params, noise) → (state, activations). Pure.
        source: the papers of the equations.
        projected: whether h is a projection of H units to P.
        label: name and the options that change the equations, other than bias and projection.
        weight_names: names of the weights, in order.

    Raises:
        InputError: the record contradicts itself.
    """

    name: str
    options: tuple[tuple[str, object], ...]
    gates: tuple[str, ...]
    states: tuple[str, ...]
    weights: tuple[Weight, ...]
    activations: tuple[str, ...]
    hoist: Hoist
    step: Step
    source: str
    projected: bool = False
    label: str = field(init=False)
    weight_names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", _label(self))
        object.__setattr__(self, "weight_names", tuple(weight.name for weight in self.weights))
        _check_names(self)
        _check_weights(self)
        _check_step(self)

    def __reduce__(self) -> tuple[Callable[[str, dict[str, object]], Cell], tuple[str, dict[str, object]]]:
        """Copying gives the one record of that name and options."""
        return _rebuild, (self.name, dict(self.options))

    def __repr__(self) -> str:
        return f"Cell({self.label})"

    @property
    def records(self) -> tuple[str, ...]:
        """Everything that ``record=`` may name."""
        return self.activations + self.states

    def state_width(self, state: str, hidden_size: int, proj_size: int) -> int:
        """Width of a state: P for h, H for every other."""
        return proj_size if state == "h" and proj_size else hidden_size

    def shapes(self, input_size: int, hidden_size: int, proj_size: int = 0) -> dict[str, tuple[int, ...]]:
        """Shape of every weight for these sizes; ``proj_size`` 0 means that h is H wide."""
        sizes = {"I": input_size, "H": hidden_size, "P": proj_size or hidden_size}
        return {
            weight.name: tuple(factor * sizes[size] for factor, size in weight.shape)
            for weight in self.weights
        }


def _label(cell: Cell) -> str:
    defaults = _defaults(_FACTORIES[cell.name]) if cell.name in _FACTORIES else {}
    changed = [
        f"{key}={value}"
        for key, value in cell.options
        if key not in ("bias", "projection") and (key not in defaults or defaults[key] != value)
    ]
    return f"{cell.name}({', '.join(changed)})" if changed else cell.name


def _check_names(cell: Cell) -> None:
    where = f"cell {cell.name!r}"
    if not cell.states or cell.states[0] != "h":
        raise InputError(f"{where}: expected state names that start with 'h', the output, got {cell.states}")
    if not cell.gates:
        raise InputError(f"{where}: expected at least one gate, got none")
    for kind, given in (
        ("gate", cell.gates),
        ("state", cell.states),
        ("weight", cell.weight_names),
        ("recorded", cell.records),
    ):
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise InputError(f"{where}: expected {kind} names that differ, got {twice[0]!r} twice in {given}")
    for gate in cell.gates:
        if gate not in cell.activations:
            raise InputError(f"{where}: gate {gate!r} is not among the activations {cell.activations}")
    if not cell.source.strip():
        raise InputError(f"{where}: expected the source of the equations, got an empty text")


# Sizes that no two share, so that a transposed or mixed-up shape cannot pass.
_I, _H, _P, _B = 5, 7, 3, 2


def _check_weights(cell: Cell) -> None:
    where = f"cell {cell.name!r}"
    p = _P if cell.projected else _H
    shapes = cell.shapes(_I, _H, p)
    rows = len(cell.gates) * _H
    first = tuple(shapes)[:2]
    if first != ("weight_ih", "weight_hh"):
        raise InputError(f"{where}: expected the weights to start with weight_ih, weight_hh, got {first}")
    for name, expected in (("weight_ih", (rows, _I)), ("weight_hh", (rows, p))):
        if shapes[name] != expected:
            raise InputError(
                f"{where}: expected {name} of shape (G·H, ...) = {expected} at I {_I}, H {_H}, P {p} and "
                f"G {len(cell.gates)}, got {shapes[name]}"
            )


def _check_step(cell: Cell) -> None:
    """Run one step on small zeros and look at every name and shape that comes out.

    Tensors without values would do, but torch spends a third of a second on its compiler for the first.
    """
    where = f"cell {cell.name!r}"
    p = _P if cell.projected else _H
    with torch.no_grad():
        params = {name: torch.zeros(shape) for name, shape in cell.shapes(_I, _H, p).items()}
        widths = {name: cell.state_width(name, _H, p) for name in cell.states}
        state = tuple(torch.zeros(_B, width) for width in widths.values())
        hoisted = cell.hoist(torch.zeros(_B, _I), params)
        if tuple(hoisted.shape) != (_B, len(cell.gates) * _H):
            raise InputError(
                f"{where}: expected hoist to give (B, G·H) = {(_B, len(cell.gates) * _H)}, "
                f"got {tuple(hoisted.shape)}"
            )
        new, activations = cell.step(hoisted, state, params, StepNoise())
    given = [tuple(part.shape) for part in new]
    if given != [(_B, width) for width in widths.values()]:
        raise InputError(
            f"{where}: expected step to give states {tuple(widths)} of widths {tuple(widths.values())}, "
            f"got {given}"
        )
    if set(activations) != set(cell.activations):
        raise InputError(f"{where}: expected step to report {cell.activations}, got {tuple(activations)}")
    for name, value in activations.items():
        if tuple(value.shape) != (_B, _H):
            raise InputError(
                f"{where}: expected activation {name!r} of shape (B, H) = {(_B, _H)}, "
                f"got {tuple(value.shape)}"
            )


_FACTORIES: dict[str, Callable[..., Cell]] = {}

Options = ParamSpec("Options")


def register(name: str) -> Callable[[Callable[Options, Cell]], Callable[Options, Cell]]:
    """Enter a factory, a function from keyword options to a record, under ``name``.

    The factory that comes back gives one object for one set of options, defaults filled in.

    Raises:
        InputError: the name is taken.
    """

    def enter(factory: Callable[Options, Cell]) -> Callable[Options, Cell]:
        if name in _FACTORIES:
            raise InputError(f"a cell named {name!r} is registered already: choose another name")
        made: dict[tuple[object, ...], Cell] = {}
        defaults = _defaults(factory)

        @wraps(factory)
        def once(*args: Options.args, **kwargs: Options.kwargs) -> Cell:
            options = {**defaults, **kwargs}
            # The type is part of the key: True and 1 are equal, but only one of them is a valid flag.
            key = (*args, *((option, type(value), value) for option, value in options.items()))
            if key not in made:
                made[key] = factory(*args, **kwargs)
            return made[key]

        _FACTORIES[name] = once
        return once

    return enter


def names() -> tuple[str, ...]:
    """Names of all registered cells, in the order in which they were registered."""
    return tuple(_FACTORIES)


def _defaults(factory: Callable[..., Cell]) -> dict[str, object]:
    return {key: item.default for key, item in inspect.signature(factory).parameters.items()}


def option_names(name: str) -> tuple[str, ...]:
    """Options that the cell of this name takes."""
    choice(name, "cell", "cells", names())
    return tuple(_defaults(_FACTORIES[name]))


def build(name: str, **options: object) -> Cell:
    """The record of a registered cell with these options; the same call gives the same object.

    Raises:
        InputError: no such cell, no such option, or options that contradict each other.
    """
    known_options(options, option_names(name), f"cell {name!r}")
    return _FACTORIES[name](**options)


def _rebuild(name: str, options: dict[str, object]) -> Cell:
    return build(name, **options)
