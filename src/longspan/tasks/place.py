"""Where a fit writes: the model, and beside it a work folder, locked until the model is in its place."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from longspan.core.errors import InputError
from longspan.core.wording import passing
from longspan.tasks.base import Door, Options, Run, Task, spell
from longspan.tasks.settings import FitSettings

if TYPE_CHECKING:
    from longspan.store.workspace import Workspace

__all__ = ["HeldRun", "Place", "absolute", "had_ended", "holds_parts"]


@dataclass(frozen=True)
class HeldRun(Run):
    """A run whose work folder stays locked after its work has closed it, until the model is in its place."""

    held: list[Workspace] = field(default_factory=list)

    def open_workspace(self, options: Options, data_sha256: str, device: str) -> Workspace | None:
        """As of every run; the folder stays locked when the work closes it."""
        space = super().open_workspace(options, data_sha256, device)
        if space is not None:
            self.held.append(space.share())
        return space


@dataclass(frozen=True)
class Place:
    """Where a fit writes: the model, and beside it the work folder while training."""

    out: Path
    workspace: Path

    @classmethod
    def check(cls, settings: FitSettings, door: Door) -> Place | None:
        """Refuse, before any work, an output that could not be written."""
        if settings.out is None:
            if settings.resume:
                raise InputError(f"{spell('resume', door)} needs {spell('out', door)} of the interrupted run")
            return None
        out = absolute(settings.out)
        name, force, resume = spell("out", door), passing("force", door=door), passing("resume", door=door)
        if out.is_file():
            raise InputError(f"{name} expected a folder to make, got the file {settings.out!r}. Name another")
        if os.path.lexists(out) and not settings.force:
            raise InputError(f"{name} {settings.out!r} exists. Pass {force} to replace it, or another name")
        # Only now, since these load torch and the most frequent refusal need not wait for it.
        from longspan.store.folder import check_target
        from longspan.store.workspace import workspace_path

        check_target(out, force=settings.force)
        place = cls(out, workspace_path(out))
        if settings.resume and not place.workspace.exists():
            raise InputError(
                f"no interrupted run at {str(place.workspace)!r}. Leave {resume} out to start one"
            )
        if holds_parts(place.workspace) and not (settings.resume or settings.force):
            raise InputError(
                f"an interrupted run is kept at {str(place.workspace)!r}. "
                f"Pass {resume} to go on with it, or {force} to start anew"
            )
        return place


def absolute(out: str) -> Path:
    """Where a folder will be; a symbolic link stays one."""
    return Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a symbolic link


def holds_parts(workspace: Path) -> bool:
    """There is something to go on from in a work folder."""
    return workspace.is_dir() and any(workspace.glob("*.safetensors"))


def had_ended(task: Task, options: Options, settings: FitSettings) -> bool:
    """The run to resume was killed between its model's move into place and the removal of its work folder,
    which is removed now."""
    if settings.out is None or not settings.resume or not os.path.lexists(settings.out):
        return False
    from longspan.store.finished import clear_finished

    out = absolute(settings.out)
    return clear_finished(out, task=task.name, settings=options.given(), seed=settings.seed)
