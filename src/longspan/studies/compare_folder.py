"""Where a comparison is written: a folder with its page and its figures, and a work folder beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from longspan.core.errors import InputError, ModelError
from longspan.core.wording import passing
from longspan.studies.compare_settings import CompareSettings
from longspan.tasks.base import Door, spell
from longspan.tasks.place import absolute, holds_parts

__all__ = ["FIGURES", "PAGE", "Place", "write_comparison"]

PAGE = "report.html"
FIGURES = "comparison.json"


@dataclass(frozen=True)
class Place:
    """Where a comparison is written to, and the folder that keeps its trainings until then."""

    out: Path
    workspace: Path

    @classmethod
    def check(cls, settings: CompareSettings, door: Door) -> Place | None:
        """Refuse, before any work, an output that could not be written.

        Raises:
            InputError: it exists, its folder does not, or an interrupted run is there or is missing.
        """
        resume, force = passing("resume", door=door), passing("force", door=door)
        if settings.out is None:
            if settings.resume:
                raise InputError(f"{resume} needs {spell('out', door)} of the interrupted comparison")
            return None
        out = absolute(settings.out)
        _check_ours(out)
        if os.path.lexists(out) and not settings.force:
            raise InputError(
                f"{spell('out', door)} {settings.out!r} exists. Pass {force} to replace it, or another name"
            )
        if not out.parent.is_dir():
            raise InputError(
                f"{spell('out', door)} {settings.out!r}: the folder {str(out.parent)!r} does not exist"
            )

        from longspan.store.workspace import workspace_path

        place = cls(out, workspace_path(out))
        if settings.resume and not place.workspace.exists():
            raise InputError(
                f"no interrupted comparison at {str(place.workspace)!r}. Leave {resume} out to start one"
            )
        if holds_parts(place.workspace) and not (settings.resume or settings.force):
            raise InputError(
                f"an interrupted comparison is kept at {str(place.workspace)!r}. "
                f"Pass {resume} to go on with it, or {force} to start anew"
            )
        return place

    def clear(self) -> None:
        """Remove the work folder: the comparison is written."""
        from longspan.store.atomic import remove_folder

        if self.workspace.is_dir():
            remove_folder(self.workspace)


def write_comparison(path: Path, page: str, figures: str, *, force: bool) -> Path:
    """A folder with ``report.html`` and ``comparison.json``, whole or not at all.

    Raises:
        InputError: something is there and ``force`` is off, or it is no comparison.
        ModelError: it could not be written; what was there is as it was.
    """
    from longspan.store import atomic

    _check_ours(path)
    try:
        with atomic.new_folder(path, replace=force) as folder:
            atomic.write_new(folder / PAGE, page.encode())
            atomic.write_new(folder / FIGURES, figures.encode())
    except FileExistsError:
        raise InputError(f"{str(path)!r} exists. Replace it with force, or give another name") from None
    except OSError as error:
        raise ModelError(
            f"{path}: not written ({error.strerror or error}). What is there is as before"
        ) from error
    return path


def _check_ours(path: Path) -> None:
    """Nothing but a comparison is ever replaced by one."""
    if os.path.lexists(path) and not (path / FIGURES).is_file():
        raise InputError(
            f"{str(path)!r} is no folder that a comparison was written to, so it is not replaced. "
            "Give another name"
        )
