"""``longspan inspect MODEL DATA``: what a model remembers and for how long."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.cli import output
from longspan.cli.generate import given_values, option_specs
from longspan.inspect.settings import InspectSettings

if TYPE_CHECKING:
    from longspan.inspect.inspection import Inspection

__all__ = ["SUFFIXES", "inspect"]

SUFFIXES = (".html", ".json", ".safetensors")


def inspect(given: dict[str, Any]) -> None:
    """``longspan inspect MODEL DATA``."""
    from longspan.api import load
    from longspan.cli.verbs import task_options
    from longspan.inspect.work import inspect_read

    out = None if given["out"] is None else Path(given["out"])
    if out is not None:
        output.check_new_file(out, force=given["force"], suffixes=SUFFIXES)
    values = given_values(option_specs(InspectSettings), given)
    settings = InspectSettings.read(values, verb="longspan inspect", door="shell")
    model = load(given["model"])
    name = os.path.basename(os.path.normpath(given["model"]))  # noqa: PTH119 - "m/" and "." are folders too
    options = task_options(model.task, "inspect_options", given)
    say = _quiet if given["quiet"] else output.say
    found = inspect_read(model.task, model.work, given["data"], options, settings, title=name, say=say)
    if out is not None:
        found.write(out, force=given["force"])
    if given["as_json"]:
        output.write_json(found.to_json() | ({} if out is None else {"out": str(out)}))
        return
    _show(found)
    if out is not None and not given["quiet"]:
        output.say(f"\nWritten to {out}")


def _quiet(_line: str) -> None:
    """For who wants the answer alone."""


def _show(found: Inspection) -> None:
    estimates = [
        {"by": each.name, "lag": each.lag, "time": found.step.time(each.lag or 0), "rule": each.rule}
        for each in found.horizon.estimates
    ]
    output.show_text(found.sentence)
    output.show_record({"memory horizon, in steps": estimates})
    output.show_text("\n" + "\n".join(found.horizon.words))
