"""What each verb does with the words given to it. Everything heavy is imported here, inside the functions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from longspan.bench.settings import BenchSettings
from longspan.cli import output
from longspan.cli.generate import OptionSpec, given_values, option_specs
from longspan.core.errors import InputError, Interrupted
from longspan.core.wording import counted
from longspan.tasks.base import NO_OPTIONS, TASKS, Options, Task
from longspan.tasks.settings import FitSettings

if TYPE_CHECKING:
    from longspan.api import Model

__all__ = [
    "bench",
    "datasets_fetch",
    "datasets_info",
    "datasets_list",
    "datasets_path",
    "demo",
    "evaluate",
    "fit",
    "info",
    "list_tasks",
    "predict",
    "task_options",
]


def list_tasks(*, as_json: bool) -> None:
    """``longspan fit`` alone: the tasks with their summaries."""
    if as_json:
        output.write_json(
            {"tasks": [{"name": task.name, "summary": task.summary} for task in TASKS.values()]}
        )
        return
    output.show_record({"Tasks": {task.name: task.summary for task in TASKS.values()}})
    output.say("\nOptions of a task: longspan fit TASK --help")


def fit(task: Task, given: dict[str, Any], command: tuple[str, ...]) -> None:
    """``longspan fit TASK DATA``."""
    from longspan.api import fit_task

    values = given_values(option_specs(task.fit_options), given)
    options = task.fit_options.read(values, verb=f"longspan fit {task.name}", door="shell")
    own = {
        "out": given["out"],
        "seed": _whole("--seed", given["seed"]),
        "device": given["device"],
        "time_budget": given["time_budget"],
        "resume": given["resume"],
        "force": given["force"],
        "progress": not given["quiet"],
    }
    settings = FitSettings.read(own, verb=f"longspan fit {task.name}", door="shell")
    try:
        model = fit_task(task, given["data"], options, settings, command=command, door="shell")
    except KeyboardInterrupt:
        raise Interrupted(_how_to_resume(given["out"], command)) from None
    _show_fit(model, given)


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{name} expected a whole number, got {text!r}") from None


def _how_to_resume(out: str, command: tuple[str, ...]) -> str:
    import shlex

    place = Path(out)
    if not place.with_name(place.name + ".partial").exists():
        return "Interrupted. Nothing was written."
    words = command if "--resume" in command else (*command, "--resume")
    return f"Interrupted. Go on with: {shlex.join(words)}"


def _show_fit(model: Model, given: dict[str, Any]) -> None:
    found = model.info()
    if given["as_json"]:
        output.write_json({"model": given["out"], **found})
        return
    if found["metrics"]:
        output.show_record({"metrics": found["metrics"]})
    if not given["quiet"]:
        output.say(f"\nModel: {given['out']}    Next: longspan predict {given['out']} DATA")


def predict(given: dict[str, Any]) -> None:
    """``longspan predict MODEL DATA``."""
    out = Path(given["out"]) if given["out"] is not None else None
    if out is not None:
        output.check_new_file(out, force=given["force"])
    model = _load(given)
    options = task_options(model.task, "predict_options", given)
    frame = model.work.predict(given["data"], options)
    if out is not None:
        output.write_rows(frame, out)
    if given["as_json"]:
        record: dict[str, Any] = {"task": model.task.name, "rows": frame.height, "columns": frame.columns}
        output.write_json(record | ({"out": str(out)} if out else {"predictions": frame.to_dicts()}))
    elif out is None:
        output.show_rows(frame)
    else:
        output.say(f"{counted(frame.height, 'row')} written to {out}")


def evaluate(given: dict[str, Any]) -> None:
    """``longspan evaluate MODEL DATA``."""
    model = _load(given)
    scores = model.work.evaluate(given["data"], task_options(model.task, "evaluate_options", given))
    if given["as_json"]:
        output.write_json({"task": model.task.name, "model": given["model"], "scores": scores})
    else:
        output.show_record(scores)


def info(given: dict[str, Any]) -> None:
    """``longspan info MODEL``."""
    found = _load(given).info()
    (output.write_json if given["as_json"] else output.show_record)(found)


def _load(given: dict[str, Any]) -> Model:
    from longspan.api import load

    return load(given["model"])


def task_options(task: Task, which: str, given: dict[str, Any]) -> Options:
    """The options given, read by the model's own task: it refuses those of other tasks."""
    specs: dict[str, OptionSpec] = {}
    for each in (task, *TASKS.values()):
        for spec in option_specs(getattr(each, which) or NO_OPTIONS):
            specs.setdefault(spec.name, spec)
    values = given_values(specs.values(), given)
    verb = f"longspan {which.removesuffix('_options')} with a {task.name} model"
    declared: type[Options] = getattr(task, which) or NO_OPTIONS
    return declared.read(values, verb=verb, door="shell")


def demo(given: dict[str, Any]) -> None:
    """``longspan demo``."""

    from longspan.cli.demo import run

    def quiet(_line: str) -> None:
        return None

    hushed = bool(given["quiet"])
    found = run(Path(given["out"]), quiet if hushed else output.say, progress=not hushed)
    if given["as_json"]:
        output.write_json(found)


def bench(given: dict[str, Any]) -> None:
    """``longspan bench``: the table, and one line of JSON; status 1 where a row's results are wrong."""
    import json

    from longspan.api import plain
    from longspan.bench.compare import compare, read
    from longspan.bench.run import bench as measure
    from longspan.bench.table import unfit

    values = given_values(option_specs(BenchSettings), given)
    settings = BenchSettings.read(values, verb="longspan bench", door="shell")
    earlier = None if settings.compare is None else read(Path(settings.compare))
    record = measure(settings, _quiet if given["quiet"] else output.say)
    if earlier is not None:
        record["compared"] = compare(earlier, record)
    if not given["as_json"]:
        _show_bench(record)
    output.show_text(json.dumps(plain(record), ensure_ascii=False, allow_nan=False))
    wrong = unfit(record)
    if wrong:
        output.say(f"No figure for {', '.join(wrong)}: the results are not what they should be.")
        raise typer.Exit(1)


def _quiet(_line: str) -> None:
    """For who wants the answer alone."""


def _show_bench(record: dict[str, Any]) -> None:
    from longspan.bench.table import compared, machine, table, then_and_now

    output.show_record({"machine": machine(record), "rows": table(record)})
    if "compared" in record:
        output.show_record(
            {"beside": compared(record["compared"]), "then and now": then_and_now(record["compared"])}
        )


def datasets_list(given: dict[str, Any]) -> None:
    """``longspan datasets list``."""
    from longspan.data import registry

    found = [
        {"name": each.name, "task": each.task, "bytes": each.bytes, "description": each.description}
        for each in map(registry.info, registry.names())
    ]
    if given["as_json"]:
        output.write_json({"datasets": found})
    else:
        output.show_record({"Data sets": found})


def datasets_info(given: dict[str, Any]) -> None:
    """``longspan datasets info NAME``."""
    from longspan.data import registry

    found = registry.info(given["name"]).model_dump(mode="json")
    if given["as_json"]:
        output.write_json(found)
    else:
        shown = ("file", "bytes", "format", "address")
        output.show_record(found | {"files": [{key: each[key] for key in shown} for each in found["files"]]})


def datasets_fetch(given: dict[str, Any]) -> None:
    """``longspan datasets fetch NAME``: all files of a set, or its table written to a file."""
    from longspan.data import registry

    if given["out"] is None:
        _show_paths(given, [str(each) for each in registry.fetch(given["name"])])
        return
    out = Path(given["out"])
    output.check_new_file(out, force=given["force"])
    output.write_rows(registry.load(given["name"], given["file"]), out)
    _show_paths(given, [str(out)])


def datasets_path(given: dict[str, Any]) -> None:
    """``longspan datasets path NAME [FILE]``: one file of a set."""
    from longspan.data import registry

    _show_paths(given, [str(registry.path(given["name"], given["file"]))])


def _show_paths(given: dict[str, Any], paths: list[str]) -> None:
    if given["as_json"]:
        output.write_json({"name": given["name"], "paths": paths})
    elif paths:
        output.show_text("\n".join(paths))
    else:
        output.say(f"{given['name']} has no files of its own. Pass --out FILE.csv to write its table.")
