"""``longspan compare TASK DATA``: its parameters, generated from the task table, and what it writes."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longspan.cli import output
from longspan.cli.generate import (
    OptionSpec,
    command_function,
    given_values,
    option_parameters,
    option_specs,
)
from longspan.core.errors import InputError, Interrupted
from longspan.studies.compare import compare_task, options_of
from longspan.studies.compare_folder import PAGE
from longspan.studies.compare_settings import CompareSettings
from longspan.tasks.base import TASKS, Task

if TYPE_CHECKING:
    from longspan.studies.compare import Comparison

__all__ = ["compare", "group"]

_OWN = ("encoders", "seeds", "learning_curve")  # options of every comparison; the rest is as ``fit`` has it


def group(
    data: Callable[[str], Parameter],
    run: list[Parameter],
    command: tuple[str, ...],
    settings: dict[str, Any],
) -> typer.Typer:
    """The verb with a command for each task that can be compared.

    Args:
        data: makes the argument DATA of its help. run: parameters that every long run takes.
        command: how the program was started. settings: of the command-line library.
    """
    found = typer.Typer(
        help="Is an LSTM worth it here? Encoders of one size, and the simple methods, on your data.",
        invoke_without_command=True,
        rich_markup_mode="rich",
        context_settings=settings,
    )

    @found.callback()
    def list_tasks(
        context: typer.Context,
        as_json: Annotated[bool, typer.Option("--json", help="list the tasks as one JSON document")] = False,
    ) -> None:
        if context.invoked_subcommand is None:
            _list_tasks(as_json=as_json)

    for task in TASKS.values():
        if task.compare_options is not None:
            found.command(task.name, help=f"Compare encoders: {task.summary}.")(
                _command(task, data(task.data_help), run, command)
            )
    return found


def _command(task: Task, data: Parameter, run: list[Parameter], command: tuple[str, ...]) -> Any:
    options = option_parameters(option_specs(options_of(task)))
    taken = {*_OWN, *(parameter.name for parameter in (data, *run))}
    for parameter in options:
        if parameter.name in taken:
            raise InputError(
                f"task {task.name!r} declares {parameter.name!r}, which every comparison has already. "
                "Rename it"
            )
    parameters = [data, *options, *option_parameters(_own_specs()), *run]

    def body(given: dict[str, Any]) -> None:
        compare(task, given, command)

    return command_function(task.name, task.summary, parameters, body)


def _own_specs() -> list[OptionSpec]:
    return [spec for spec in option_specs(CompareSettings) if spec.name in _OWN]


def _list_tasks(*, as_json: bool) -> None:
    """``longspan compare`` alone: the tasks that can be compared."""
    able = {task.name: task.summary for task in TASKS.values() if task.compare_options is not None}
    if as_json:
        output.write_json({"tasks": [{"name": name, "summary": summary} for name, summary in able.items()]})
        return
    output.show_record({"Tasks that can be compared": able})
    output.say("\nOptions of a comparison: longspan compare TASK --help")


def compare(task: Task, given: dict[str, Any], command: tuple[str, ...]) -> None:
    """``longspan compare TASK DATA``."""
    verb = f"longspan compare {task.name}"
    own = given_values(_own_specs(), given) | {
        "out": given["out"],
        "seed": _whole("--seed", given["seed"]),
        "device": given["device"],
        "time_budget": given["time_budget"],
        "resume": given["resume"],
        "force": given["force"],
        "progress": not given["quiet"],
    }
    settings = CompareSettings.read(own, verb=verb, door="shell")
    declared = options_of(task)
    options = declared.read(given_values(option_specs(declared), given), verb=verb, door="shell")
    try:
        found = compare_task(
            task, given["data"], options, settings, command=shlex.join(command), door="shell"
        )
    except KeyboardInterrupt:
        raise Interrupted(_how_to_resume(given["out"], command)) from None
    _show(found, given["out"], as_json=given["as_json"], quiet=given["quiet"])


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{name} expected a whole number, got {text!r}") from None


def _how_to_resume(out: str, command: tuple[str, ...]) -> str:
    if not Path(f"{out}.partial").exists():
        return "Interrupted. Nothing was written."
    words = command if "--resume" in command else (*command, "--resume")
    return f"Interrupted. Go on with: {shlex.join(words)}"


def _show(found: Comparison, out: str, *, as_json: bool, quiet: bool) -> None:
    from longspan.studies.compare_page import shown_table

    if as_json:
        output.write_json({"out": out, **found.to_json()})
        return
    output.show_record(
        {f"{found.made.title}: {found.made.measure}": shown_table(found.made, found.parts[-1])}
    )
    output.show_text(f"\n{found.verdict.words}")
    if not quiet:
        output.say(f"\nPage: {out}/{PAGE}")
