"""From a fitted task to its inspection: which options are whose, and whether the task can be looked into."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from longspan.core.errors import InputError
from longspan.inspect.inspection import Inspection, inspect_subject
from longspan.inspect.settings import InspectSettings
from longspan.tasks.base import TASKS, Options, Task, Work

__all__ = ["inspect_read", "inspect_work"]

_LOG = logging.getLogger("longspan")


def inspect_work(task: Task, work: Work, data: Any, options: Mapping[str, Any]) -> Inspection:
    """Look into a fitted task.

    Args:
        task, work: of the model. data: whatever the user gave.
        options: by name: those of every inspection (`InspectSettings`) and those of the task.

    Raises:
        InputError: an option is wrong, or the task cannot be looked into.
    """
    declared = _declared(task)
    every = {name: value for name, value in options.items() if name in InspectSettings.model_fields}
    own = {name: value for name, value in options.items() if name not in every}
    settings = InspectSettings.read(every, verb="inspect")
    read = declared.read(own, verb=f"inspect a {task.name} model")
    return inspect_read(task, work, data, read, settings, say=_LOG.info)


def inspect_read(
    task: Task,
    work: Work,
    data: Any,
    options: Options,
    settings: InspectSettings,
    *,
    title: str = "this model",
    say: Callable[[str], None],
) -> Inspection:
    """:func:`inspect_work` with its options read already; the command line comes in here.

    Args:
        task, work: of the model. data: whatever the user gave.
        options: the task's own. settings: those of every inspection.
        title: what the model is called. say: told of every part.
    """
    _declared(task)
    return inspect_subject(work.subject(data, options), settings, title=title, say=say)


def _declared(task: Task) -> type[Options]:
    if task.inspect_options is None:
        able = ", ".join(name for name, each in TASKS.items() if each.inspect_options is not None) or "none"
        raise InputError(f"inspect: a {task.name} model cannot be looked into. Tasks that can: {able}")
    return task.inspect_options
