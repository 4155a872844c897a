"""What a task is: a frozen record from which the command line, the Python API and the docs are generated.

To declare a task costs no more than pydantic: the record names where the work is found, and the work, with
torch and the readers, is imported when it is used. ``docs/howto/add-a-task.md`` walks through one.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, cast, get_args, get_origin

import pydantic

from longspan.core.errors import InputError
from longspan.core.wording import Door, entered_by, nearest, spell

if TYPE_CHECKING:
    import polars
    import torch

    from longspan.models.contest import Contest
    from longspan.models.subject import Subject
    from longspan.store.workspace import Workspace

__all__ = [
    "NO_OPTIONS",
    "TASKS",
    "Contents",
    "Door",
    "Options",
    "Run",
    "Task",
    "Work",
    "find_task",
    "nearest",
    "option",
    "register",
    "spell",
]

_SHOWN = 80  # characters of a value in a message
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _SHOWN


def option(
    default: Any,
    help: str,  # noqa: A002 - it is the help text, by the name that typer and argparse give it
    *,
    group: str = "Options",
    metavar: str | None = None,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    min_length: int | None = None,
) -> Any:
    """One option of a task: ``horizon: int = option(..., "steps to forecast", group="Data", ge=1)``.

    Args:
        default: the value where the user gives none; ``...`` makes the option required.
        help: one sentence, shown by ``--help`` and in the documentation.
        group: title of the panel that lists the option.
        metavar: what stands for the value in ``--help``, such as ``COLUMN``; the type if None.
        ge, gt, le, lt: bounds of a number.
        min_length: least number of values of a tuple, or of characters of a text.
    """
    extra = {"group": group} if metavar is None else {"group": group, "metavar": metavar}
    return pydantic.Field(
        default,
        description=help,
        json_schema_extra=cast(Any, extra),
        ge=ge,
        gt=gt,
        le=le,
        lt=lt,
        min_length=min_length,
    )


class Options(pydantic.BaseModel):
    """Base of the options of a verb: frozen, strict, no unknown names.

    Fields are made by :func:`option` and have one of the types int, float, str, bool, ``Literal[...]`` of
    texts, a tuple ``tuple[X, ...]`` of one of these, or any of them ``| None``; or Any, for whatever DATA may
    be: a path on the shell. Any sequence or a single value is taken where a tuple is declared, and numpy's
    numbers where a number is; nothing else is converted, so ``horizon="24"`` is an error.
    """

    model_config = pydantic.ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        defer_build=True,  # ``--help`` reads the fields only and need not wait for the validators
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _plain_values(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        fields = cls.model_fields
        return {k: _plain(v, fields[k].annotation) if k in fields else v for k, v in values.items()}

    @classmethod
    def read(cls, values: Mapping[str, Any], *, verb: str, door: Door = "python") -> Self:
        """The options that a user gave, checked.

        Args:
            values: option name → value, only those that were given.
            verb: what they were given to, as the user knows it (``fit forecast``); it is named in errors.
            door: ``"shell"`` spells names as ``--horizon`` in errors, ``"python"`` as ``horizon=``.

        Raises:
            InputError: an unknown, missing or wrong option: its name as the user wrote it, expected and got.
        """
        unknown = [name for name in values if name not in cls.model_fields]
        if unknown:
            raise InputError(_unknown_text(unknown[0], list(cls.model_fields), verb, door))
        try:
            with entered_by(door):
                return cls.model_validate(dict(values))
        except pydantic.ValidationError as error:
            lines = [_problem_text(cls, problem, verb, door) for problem in error.errors(include_url=False)]
            raise InputError("\n".join(dict.fromkeys(lines))) from None

    def given(self) -> dict[str, Any]:
        """The options as JSON-able values, all of them, for the model folder."""
        return self.model_dump(mode="json")


class NO_OPTIONS(Options):  # noqa: N801 - used as a constant: the options of a verb that has none
    """The options of a verb that has none."""


def _say_nothing(_line: str) -> None:
    """For runs that nobody watches."""


@dataclass(frozen=True)
class Run:
    """What every training run has, whatever its task.

    Attributes:
        seed: the one seed from which every random choice is derived.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, or ``"auto"`` for the work to resolve.
        time_budget: seconds of wall time that training may take, None for no limit.
        workspace: folder that keeps checkpoints while training; None where nothing is kept on disk.
        resume: go on from the checkpoint in ``workspace``.
        replace: throw away the checkpoints of an interrupted run in ``workspace``.
        command: how the run was started, for the model's records.
        say: shows the user one line.
        progress: show a progress bar.
    """

    seed: int = 0
    device: str = "auto"
    time_budget: float | None = None
    workspace: Path | None = None
    resume: bool = False
    replace: bool = False
    command: str = ""
    say: Callable[[str], None] = field(default=_say_nothing)
    progress: bool = False

    def open_workspace(self, options: Options, data_sha256: str, device: str) -> Workspace | None:
        """The work folder for checkpoints, locked for this process, or None where nothing is kept on disk.

        Call it once the data are read and found good, and close it (a ``with`` block does) before ``fit``
        returns; it is removed when the model is in its place.

        Args:
            options: the task's own; a resumed run must be given the same.
            data_sha256: hash of the data; the same again.
            device: the device that the run uses.

        Raises:
            InputError: nothing to resume, another run is kept there, or options or data differ.
        """
        if self.workspace is None:
            return None
        import torch

        from longspan.store.workspace import Run as Begun
        from longspan.store.workspace import Workspace

        begun = Begun(options.given(), data_sha256, self.seed, torch.get_num_threads(), device)
        if self.resume:
            return Workspace.resume(self.workspace, begun)
        return Workspace.create(self.workspace, begun, replace=self.replace)


@dataclass(frozen=True)
class Contents:
    """What a fitted task keeps on disk.

    Attributes:
        config: JSON-able; everything but the arrays, options and schema included.
        tensors: name → tensor, weights above all.
        files: file name → bytes, for what a person may want to open (a report, a table); may be empty.
    """

    config: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    files: dict[str, bytes] = field(default_factory=dict)


class Work(Protocol):
    """A fitted task: the class that ``Task.work`` names has these methods.

    ``data`` is whatever the user gave: a path, or a frame of any library that narwhals knows; the reader of
    ``longspan.data.tables`` takes both.
    """

    @classmethod
    def fit(cls, data: Any, options: Any, run: Run) -> Work:
        """Learn from the data. Data that cannot be used raise DataError before anything is written."""

    @classmethod
    def restore(cls, contents: Contents) -> Work:
        """The fitted task again, from what :meth:`contents` gave."""

    def contents(self) -> Contents:
        """What is to be kept on disk."""

    @classmethod
    def contest(cls, data: Any, options: Any, run: Run) -> Contest:
        """What a comparison needs, of a task that declares ``compare_options``; it trains nothing yet."""

    def predict(self, data: Any, options: Any) -> polars.DataFrame:
        """The model's answer to the data, one table."""

    def evaluate(self, data: Any, options: Any) -> dict[str, Any]:
        """Scores on data with known answers, JSON-able."""

    def subject(self, data: Any, options: Any) -> Subject:
        """What an inspection needs, of a task that declares ``inspect_options``."""

    def describe(self) -> dict[str, Any]:
        """What ``info`` shows, JSON-able.

        After ``fit`` it holds ``"data"``, that is ``{"sha256": …, "rows": {"read": …}, "source": …}`` with
        the file's name or None as the source, and ``"metrics"``; both are kept in the folder's manifest, so a
        restored work may leave them out. ``"parameters"`` is the number of weights, where not every tensor
        of :meth:`contents` is one. Anything more is shown as it is.
        """


@dataclass(frozen=True)
class Task:
    """The declaration of a task.

    Attributes:
        name: the verb's second word, ``forecast``.
        summary: one line for lists.
        data_help: what DATA is for this task, one or two sentences.
        work: where the :class:`Work` is found, ``"longspan.tasks.forecast:Forecast"``; imported late.
        fit_options, predict_options, evaluate_options: :class:`Options` of the three verbs.
        compare_options: of ``compare``; None where the work has no ``contest``.
        inspect_options: of ``inspect``; None where the work has no ``subject``.
    """

    name: str
    summary: str
    data_help: str
    work: str
    fit_options: type[Options]
    predict_options: type[Options] = NO_OPTIONS
    evaluate_options: type[Options] = NO_OPTIONS
    compare_options: type[Options] | None = None
    inspect_options: type[Options] | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise InputError(f"a task's name is one word of letters, digits and _; got {self.name!r}")
        if self.work.count(":") != 1:
            raise InputError(f"task {self.name!r}: work is 'package.module:Class'; got {self.work!r}")
        declared = (self.fit_options, self.predict_options, self.evaluate_options)
        for options in filter(None, (*declared, self.compare_options, self.inspect_options)):
            for name, info in options.model_fields.items():
                if not info.description:
                    field_name = f"{options.__name__}.{name}"
                    raise InputError(
                        f"task {self.name!r}: {field_name} has no help text. Declare it with option()"
                    )

    def load_work(self) -> type[Work]:
        """The class that does the work, imported now."""
        module, name = self.work.split(":")
        return cast("type[Work]", getattr(import_module(module), name))


TASKS: dict[str, Task] = {}


def register(task: Task) -> Task:
    """Put a task into the table; each task file does so once, where it declares its record."""
    known = TASKS.get(task.name)
    if known is not None and known != task:
        raise InputError(f"two tasks are named {task.name!r}: {known.work} and {task.work}. Rename one")
    TASKS[task.name] = task
    return task


def find_task(name: str) -> Task:
    """The task of that name.

    Raises:
        InputError: there is none; the nearest name and all names are given.
    """
    if name in TASKS:
        return TASKS[name]
    known = ", ".join(TASKS) or "none"
    raise InputError(f"there is no task {name!r}.{nearest(name, TASKS)} Tasks: {known}")


def _plain(value: Any, annotation: Any) -> Any:
    """Arrays, other sequences and single values to tuples where one is declared, numpy's numbers to Python's;
    the rest as it is."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if any(get_origin(kind) is tuple for kind in (annotation, *get_args(annotation))):
        if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping | Set):
            value = tuple(value)
        elif value is not None:
            value = (value,)
    if isinstance(value, tuple):
        return tuple(_plain(part, None) for part in value)
    return value


def _unknown_text(name: str, known: list[str], verb: str, door: Door) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {spell(found[0], door)}?" if found else ""
    every = ", ".join(spell(each, door) for each in known) or "none"
    return f"{verb} has no option {spell(name, door)}. {hint or 'Its options: ' + every}"


def _problem_text(options: type[Options], problem: Any, verb: str, door: Door) -> str:
    """One of pydantic's problems in our words: the option as the user wrote it, expected, got."""
    where = problem["loc"]
    if not where:  # a check across several options, whose text is the task's own
        return str(problem["msg"]).removeprefix("Value error, ")
    name = spell(str(where[0]), door)
    if problem["type"] == "missing":
        return f"{verb} needs {name}: {options.model_fields[where[0]].description}"
    return f"{name} expected {_expected(problem)}, got {_got(problem['input'])}"


def _got(value: Any) -> str:
    """A value in one short line: arrays and frames by their kind and shape."""
    if shape := getattr(value, "shape", None):
        return f"{type(value).__name__} of shape {tuple(shape)}"
    text = _REPR.repr(value)
    return type(value).__name__ if "\n" in text else text


def _expected(problem: Any) -> str:
    plain = {
        "int_type": "a whole number",
        "float_type": "a number",
        "string_type": "a text",
        "bool_type": "True or False",
    }
    if problem["type"] in plain:
        return plain[problem["type"]]
    if problem["type"] == "too_short":
        return f"at least {problem['ctx']['min_length']} value(s)"
    return str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
