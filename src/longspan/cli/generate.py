"""From a task's pydantic options to parameters of the command line, and from words back to values.

Values come as text and are converted here, so a wrong one gives the same message as in Python. An option that
was not given is absent: defaults live in the task's declaration alone and are only shown by ``--help``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from longspan.core.errors import InputError, Interrupted
from longspan.tasks.base import Options, spell

__all__ = [
    "OptionSpec",
    "command_function",
    "given_values",
    "option_parameters",
    "option_specs",
    "plain_help",
]

_METAVAR = {int: "INTEGER", float: "NUMBER", str: "TEXT"}
_WORDS = {int: "a whole number", float: "a number"}


@dataclass(frozen=True)
class OptionSpec:
    """One option as the shell sees it.

    Attributes:
        name: the field's name, ``min_delta``.
        kind: int, float, str or bool, of one value.
        many: takes several values, repeated or separated by commas.
        choices: the texts allowed; empty where any is.
        required: must be given.
        default: shown by ``--help``.
        help, group, metavar: see :func:`longspan.tasks.base.option`.
        range: bounds of a number as `` [≥ 1]``, or empty.
    """

    name: str
    kind: type
    many: bool
    choices: tuple[str, ...]
    required: bool
    default: Any
    help: str
    group: str
    metavar: str
    range: str

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return spell(self.name, "shell")


def option_specs(options: type[Options]) -> tuple[OptionSpec, ...]:
    """The fields of an options class, in their order.

    Raises:
        InputError: a field has a type that the shell cannot show.
    """
    return tuple(_spec(options, name) for name in options.model_fields)


def _spec(options: type[Options], name: str) -> OptionSpec:
    info = options.model_fields[name]
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    kind, many, choices = _shape(info.annotation, f"{options.__name__}.{name}")
    shown = "|".join(choices) if choices else _METAVAR.get(kind, "")
    return OptionSpec(
        name=name,
        kind=kind,
        many=many,
        choices=choices,
        required=info.is_required(),
        default=None if info.is_required() else info.get_default(call_default_factory=True),
        help=info.description or "",
        group=str(extra.get("group", "Options")),
        metavar=str(extra.get("metavar", shown)) + (",…" if many else ""),
        range="" if many else _range(info.metadata),
    )


def _range(constraints: Iterable[Any]) -> str:
    """Bounds as people write them, from pydantic's record of them."""
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {bound:g}"
        for each in constraints
        for name, sign in signs.items()
        if (bound := getattr(each, name, None)) is not None
    ]
    return f" [{', '.join(found)}]" if found else ""


def _shape(annotation: Any, where: str) -> tuple[type, bool, tuple[str, ...]]:
    """(kind, many, choices) of an annotation."""
    parts = [part for part in get_args(annotation) if part is not NoneType]
    if NoneType in get_args(annotation) and len(parts) == 1:
        return _shape(parts[0], where)
    if get_origin(annotation) is tuple and len(parts) == 2 and parts[1] is Ellipsis:
        kind, many, choices = _shape(parts[0], where)
        if not many and kind is not bool:
            return kind, True, choices
    if get_origin(annotation) is Literal and all(isinstance(part, str) for part in parts):
        return str, False, tuple(parts)
    if annotation in (int, float, str, bool):
        return annotation, False, ()
    if annotation is Any:  # data: a path
        return str, False, ()
    raise InputError(
        f"{where}: an option is int, float, str, bool, Literal of texts, tuple[X, ...] of one of these, or "
        f"any of them | None, or Any for data; got {annotation}"
    )


def option_parameters(specs: Iterable[OptionSpec]) -> list[Parameter]:
    """Keyword parameters for the command-line library, one per option."""
    return [_parameter(spec) for spec in specs]


def _parameter(spec: OptionSpec) -> Parameter:
    if spec.kind is bool:
        words: tuple[str, ...] = (f"{spec.flag}/--no-{spec.flag.removeprefix('--')}",)
        declared: Any = bool if spec.required else bool | None
        metavar = None
    else:
        words, metavar = (spec.flag,), spec.metavar
        declared = list[str] if spec.many else str
        declared = declared if spec.required else declared | None
    info = typer.Option(
        *words,
        help=plain_help(f"{spec.help}{spec.range}{_default_text(spec)}"),
        metavar=metavar,
        rich_help_panel=spec.group,
        show_default=False,
        autocompletion=_complete(spec.choices) if spec.choices else None,
    )
    default = Parameter.empty if spec.required else None
    return Parameter(spec.name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[declared, info])


def plain_help(text: str) -> str:
    """A help text in which square brackets are no markup."""
    return text.replace("[", "\\[")


def _default_text(spec: OptionSpec) -> str:
    if spec.required or spec.default is None or spec.default == ():
        return ""
    if isinstance(spec.default, bool):
        shown = "on" if spec.default else "off"
    elif isinstance(spec.default, tuple):
        shown = ",".join(str(value) for value in spec.default)
    else:
        shown = str(spec.default)
    return f" [default: {shown}]"


def _complete(choices: tuple[str, ...]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete


def command_function(
    name: str, doc: str, parameters: list[Parameter], body: Callable[[dict[str, Any]], None]
) -> Callable[..., None]:
    """A function with the given parameters that hands them to ``body``: what typer reads and calls."""

    def command(**given: Any) -> None:
        try:
            body(given)
        except KeyboardInterrupt:  # the command-line library would end without a word
            raise Interrupted("Interrupted.") from None

    command.__name__, command.__doc__ = name, doc
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return command


def given_values(specs: Iterable[OptionSpec], given: Mapping[str, Any]) -> dict[str, Any]:
    """Option name → value, for the options that were given.

    Raises:
        InputError: a text that is no number where one is needed.
    """
    found = {spec: given[spec.name] for spec in specs if given.get(spec.name) not in (None, [])}
    return {spec.name: _value(spec, text) for spec, text in found.items()}


def _value(spec: OptionSpec, given: Any) -> Any:
    if spec.kind is bool:
        return given
    if not spec.many:
        return _one(spec, given)
    try:
        words = [
            word for text in given for word in next(csv.reader([text], skipinitialspace=True, strict=True))
        ]
    except csv.Error as error:
        raise InputError(f"{spec.flag} expected values separated by commas, got {given!r}: {error}") from None
    return tuple(_one(spec, word) for word in words)


def _one(spec: OptionSpec, text: str) -> Any:
    try:
        return spec.kind(text)
    except ValueError:
        raise InputError(f"{spec.flag} expected {_WORDS[spec.kind]}, got {text!r}") from None
