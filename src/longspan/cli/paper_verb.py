"""``longspan paper NAME``: its parameters, and what it writes."""

from __future__ import annotations

import shlex
from inspect import Parameter
from typing import Any

from longspan.cli import output
from longspan.cli.generate import OptionSpec, given_values, option_parameters, option_specs
from longspan.core.errors import Interrupted
from longspan.studies.catalogue import STUDIES, find_study
from longspan.studies.paper import PAGE, PaperSettings, run_paper
from longspan.studies.study import Outcome

__all__ = ["HELP", "paper", "parameters"]

HELP = "Run a published experiment again, and say whether it is reproduced."


def parameters() -> list[Parameter]:
    """Those of `PaperSettings`, without the time, which is a text such as ``15m``."""
    return option_parameters(_specs())


def _specs() -> list[OptionSpec]:
    return [spec for spec in option_specs(PaperSettings) if spec.name != "time_budget"]


def paper(given: dict[str, Any], command: tuple[str, ...]) -> None:
    """``longspan paper NAME``, and ``longspan paper --list``."""
    if given["list"] or given["name"] is None:
        _list(as_json=given["as_json"])
        return
    study = find_study(given["name"])
    values = given_values(_specs(), given) | {"time_budget": given["time_budget"]}
    settings = PaperSettings.read(values, verb=f"longspan paper {study.name}", door="shell")
    try:
        outcome = run_paper(study, settings, _quiet if given["quiet"] else output.say, door="shell")
    except KeyboardInterrupt:
        raise Interrupted(_how_to_resume(settings.out, command)) from None
    _show(outcome, settings.out, as_json=given["as_json"], quiet=given["quiet"])


def _list(*, as_json: bool) -> None:
    if as_json:
        found = [
            {"name": each.name, "title": each.title, "source": each.source, "seeds": each.seeds}
            | {"seconds": each.budget, "tolerance": each.tolerance}
            for each in STUDIES.values()
        ]
        output.write_json({"studies": found})
        return
    rows = [
        {"name": each.name, "what": each.title, "seeds": each.seeds, "minutes": round(each.budget / 60, 1)}
        for each in STUDIES.values()
    ]
    output.show_record({"Published experiments": rows})
    output.say("\nRun one: longspan paper NAME --out DIR; minutes are those expected on two cores")


def _quiet(_line: str) -> None:
    """For who wants the answer alone."""


def _how_to_resume(out: str | None, command: tuple[str, ...]) -> str:
    if out is None:
        return "Interrupted. Nothing was kept: pass --out to keep each seed's result as it ends."
    words = command if "--resume" in command else (*command, "--resume")
    return f"Interrupted. Go on with: {shlex.join(words)}"


def _show(outcome: Outcome, out: str | None, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        output.write_json({"out": out, **outcome.to_json()})
        return
    rows = [
        {
            "figure": each.what,
            "published": each.published,
            "ours": f"> {each.ours:,.6g}" if each.censored else each.ours,
            "must be": None if each.bar is None else str(each.bar),
            "holds": outcome.holds(each),
        }
        for each in outcome.findings.figures
    ]
    output.show_record({outcome.study.title: rows})
    output.show_text(f"\n{outcome.sentence}")
    if out is not None and not quiet:
        output.say(f"\nPage: {out}/{PAGE}")
