"""The verbs and what each does. Those of tasks are generated from the task table."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from inspect import Parameter
from typing import Annotated, Any

import typer

import longspan.tasks  # noqa: F401 - the import fills the task table
from longspan import __version__
from longspan.bench.settings import BenchSettings
from longspan.cli import compare_verb, inspect_verb, paper_verb, verbs
from longspan.cli.generate import command_function, option_parameters, option_specs, plain_help
from longspan.core.errors import InputError
from longspan.inspect.settings import InspectSettings
from longspan.tasks.base import NO_OPTIONS, TASKS, Task, spell

__all__ = ["build"]

_HELP = {"help_option_names": ["-h", "--help"]}
_RUN = "Run"
_OUTPUT = "Output"


def build(command: tuple[str, ...] = ()) -> typer.Typer:
    """The application, from the task table as it stands; models record ``command``."""
    app = typer.Typer(
        name="longspan",
        help="The LSTM toolkit: from a file on disk to a trained, tested and explained sequence model.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings=_HELP,
    )
    app.callback()(_root)
    app.add_typer(_fit_group(command), name="fit")
    _add(app, "predict", "Answer new data with a fitted model.", _predict_parameters(), verbs.predict)
    _add(
        app,
        "evaluate",
        "Score a fitted model on data with known answers.",
        _evaluate_parameters(),
        verbs.evaluate,
    )
    _add(app, "info", "Show what a model is and where it comes from.", [_MODEL, _JSON, _DEBUG], verbs.info)
    _add(app, "inspect", _INSPECT, _inspect_parameters(), inspect_verb.inspect)
    app.add_typer(
        compare_verb.group(partial(_positional, "data"), _compare_parameters(), command, _HELP),
        name="compare",
    )
    _add(app, "paper", paper_verb.HELP, _paper_parameters(), partial(paper_verb.paper, command=command))
    app.add_typer(_datasets_group(), name="datasets")
    _add(app, "bench", _BENCH, _bench_parameters(), verbs.bench)
    _add(app, "demo", "A real series, learned, forecast and explained in about a minute.", _DEMO, verbs.demo)
    return app


def _add(app: typer.Typer, name: str, doc: str, parameters: list[Parameter], body: Any) -> None:
    app.command(name, help=doc)(command_function(name, doc, parameters, body))


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"longspan {__version__}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool, typer.Option("--version", help="show the version", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Nothing of its own; the verbs do the work."""


def _flag(name: str, help_text: str, panel: str, word: str | None = None) -> Parameter:
    info = typer.Option(word or f"--{name}", help=help_text, rich_help_panel=panel)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, info])


def _text(name: str, help_text: str, panel: str, metavar: str, default: Any = None) -> Parameter:
    info = typer.Option(spell(name, "shell"), help=help_text, rich_help_panel=panel, metavar=metavar)
    declared: Any = str if default is not None else str | None
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[declared, info])


def _positional(name: str, help_text: str, default: Any = Parameter.empty) -> Parameter:
    info = typer.Argument(metavar=name.upper(), help=plain_help(help_text), show_default=False)
    declared: Any = str if default is Parameter.empty else str | None
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[declared, info])


_JSON = _flag("as_json", "write exactly one JSON document to standard output", _OUTPUT, "--json")
_DEBUG = _flag("debug", "show the traceback of an error", _OUTPUT)
_QUIET = _flag("quiet", "no progress bar and no notes", _OUTPUT)
_MODEL = _positional("model", "a model folder that `longspan fit` wrote")
_BENCH = "How fast the layers are on this machine, beside torch's; every figure behind a check of results."
_INSPECT = "What a model remembers and for how long: gates, gradients by lag, memory horizon, attribution."
_DEMO = [
    _text("out", "folder for the report and the model", "Run", "DIR", "demo"),
    _JSON,
    _QUIET,
    _DEBUG,
]


def _fit_group(command: tuple[str, ...]) -> typer.Typer:
    group = typer.Typer(
        help="Learn a task from data.",
        invoke_without_command=True,
        context_settings=_HELP,
        rich_markup_mode="rich",
    )

    @group.callback()
    def list_tasks(
        context: typer.Context,
        as_json: Annotated[bool, typer.Option("--json", help="list the tasks as one JSON document")] = False,
    ) -> None:
        if context.invoked_subcommand is None:
            verbs.list_tasks(as_json=as_json)

    for task in TASKS.values():
        group.command(task.name, help=task.summary)(_fit_command(task, command))
    return group


def _fit_command(task: Task, command: tuple[str, ...]) -> Any:
    options = option_parameters(option_specs(task.fit_options))
    parameters = [_positional("data", task.data_help), *options, *_run_parameters()]
    _refuse_taken_names(task, options, _run_parameters())

    def body(given: dict[str, Any]) -> None:
        verbs.fit(task, given, command)

    return command_function(task.name, task.summary, parameters, body)


def _run_parameters() -> list[Parameter]:
    budget = "longest time for the whole fit, such as 90, 90s, 15m or 2h; no limit unless given"
    resume = "go on where an interrupted run with the same --out stopped"
    return [
        _text("out", "folder to write the model to", _RUN, "MODEL", Parameter.empty),
        _text("seed", "seed of every random choice", _RUN, "INTEGER", "0"),
        _text("time_budget", budget, _RUN, "TIME"),
        _text("device", "auto, cpu, cuda, cuda:1, mps …", _RUN, "DEVICE", "auto"),
        _flag("resume", resume, _RUN),
        _flag("force", "replace the model at --out", _RUN),
        _QUIET,
        _JSON,
        _DEBUG,
    ]


def _compare_parameters() -> list[Parameter]:
    """What every run takes; a comparison has a place of its own, and one budget for all trainings."""
    own = {
        "out": _text("out", "folder to write the page to", _RUN, "DIR", "comparison"),
        "time_budget": _text(
            "time_budget", "longest time for all of it, split equally, such as 15m or 2h", _RUN, "TIME"
        ),
        "force": _flag("force", "replace the comparison at --out", _RUN),
    }
    return [own.get(each.name, each) for each in _run_parameters()]


def _predict_parameters() -> list[Parameter]:
    own = [
        _text(
            "out", "file to write: .csv, .parquet or .jsonl; standard output unless given", _OUTPUT, "FILE"
        ),
        _flag("force", "replace an existing --out", _OUTPUT),
        _JSON,
        _DEBUG,
    ]
    return _task_verb_parameters("predict_options", own)


def _evaluate_parameters() -> list[Parameter]:
    return _task_verb_parameters("evaluate_options", [_JSON, _DEBUG])


def _inspect_parameters() -> list[Parameter]:
    written = "file to write: the page .html, or .json, or the arrays .safetensors"
    own = [
        *option_parameters(option_specs(InspectSettings)),
        _text("out", written, _OUTPUT, "FILE"),
        _flag("force", "replace an existing --out", _OUTPUT),
        _QUIET,
        _JSON,
        _DEBUG,
    ]
    return _task_verb_parameters("inspect_options", own)


def _task_verb_parameters(which: str, own: list[Parameter]) -> list[Parameter]:
    """MODEL DATA, the options of every task, and the verb's own; the model decides which of them it takes."""
    options: dict[str, Parameter] = {}
    for task in TASKS.values():
        # Required is for the task to say: another task's model does not take the option at all.
        specs = [replace(spec, required=False) for spec in option_specs(getattr(task, which) or NO_OPTIONS)]
        found = option_parameters(specs)
        _refuse_taken_names(task, found, [_MODEL, *own])
        for parameter in found:
            options.setdefault(parameter.name, parameter)
    data = _positional("data", "new data, with the columns that the model was fitted on")
    return [_MODEL, data, *options.values(), *own]


def _bench_parameters() -> list[Parameter]:
    return [*option_parameters(option_specs(BenchSettings)), _QUIET, _JSON, _DEBUG]


def _paper_parameters() -> list[Parameter]:
    name = _positional("name", "of the study, as `longspan paper --list` shows it", None)
    listed = _flag("list", "list the studies, with what they take", _RUN)
    time = "longest time for all of it, such as 90, 90s, 15m or 2h; what it does not allow is left out"
    budget = _text("time_budget", time, _RUN, "TIME")
    return [name, listed, *paper_verb.parameters(), budget, _QUIET, _JSON, _DEBUG]


def _refuse_taken_names(task: Task, options: list[Parameter], own: list[Parameter]) -> None:
    taken = {"data", *(parameter.name for parameter in own)}
    for parameter in options:
        if parameter.name in taken:
            raise InputError(
                f"task {task.name!r} declares {parameter.name!r}, which every task has already. Rename it"
            )


def _datasets_group() -> typer.Typer:
    group = typer.Typer(
        help="Public data sets: list, info, fetch, path.", invoke_without_command=True, context_settings=_HELP
    )

    @group.callback()
    def every(
        context: typer.Context,
        as_json: Annotated[bool, typer.Option("--json", help="list them as one JSON document")] = False,
    ) -> None:
        if context.invoked_subcommand is None:
            verbs.datasets_list({"as_json": as_json})

    name = _positional("name", "name of a data set, as `longspan datasets` lists it")
    _add(group, "list", "Names, tasks and sizes.", [_JSON, _DEBUG], verbs.datasets_list)
    _add(group, "info", "Description, files, origin and licence.", [name, _JSON, _DEBUG], verbs.datasets_info)
    file = _positional("file", "which of its files, where it has several", None)
    fetch = [
        name,
        file,
        _text("out", "write its table to this file: .csv, .parquet or .jsonl", _OUTPUT, "FILE"),
        _flag("force", "replace an existing --out", _OUTPUT),
        _JSON,
        _DEBUG,
    ]
    path = [name, file, _JSON, _DEBUG]
    _add(group, "fetch", "Download and check its files; show where they are.", fetch, verbs.datasets_fetch)
    _add(group, "path", "Where one of its files is on this machine.", path, verbs.datasets_path)
    return group
