"""The studies there are. A family of studies is one file of declarations and one line here."""

from __future__ import annotations

from longspan.core.checks import choice
from longspan.core.errors import InputError
from longspan.studies import dependency, gers, hochreiter, memory, timeseries_case, tracking
from longspan.studies.study import Study

__all__ = ["STUDIES", "find_study"]

_FAMILIES = (
    hochreiter.STUDIES,
    gers.STUDIES,
    memory.STUDIES,
    tracking.STUDIES,
    dependency.STUDIES,
    timeseries_case.STUDIES,
)


def _table() -> dict[str, Study]:
    found: dict[str, Study] = {}
    for study in (each for family in _FAMILIES for each in family):
        if study.name in found:
            raise InputError(f"two studies are called {study.name!r}: rename one")
        found[study.name] = study
    return found


STUDIES: dict[str, Study] = _table()


def find_study(name: str) -> Study:
    """A study by name.

    Raises:
        InputError: there is none of this name, listing those there are.
    """
    return STUDIES[choice(name, "NAME", "paper", tuple(STUDIES))]
