"""Where a long study writes: a folder for what came of it, and beside it one that keeps its parts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from longspan.core.errors import InputError, ModelError
from longspan.core.wording import passing
from longspan.tasks.base import Door, spell
from longspan.tasks.place import absolute, holds_parts

__all__ = ["Place", "write_folder"]


@dataclass(frozen=True)
class Place:
    """A folder to write to, and the work folder beside it.

    Attributes:
        out: the folder.
        workspace: keeps finished parts until all are done.
    """

    out: Path
    workspace: Path

    @classmethod
    def check(cls, out: str, marker: str, *, resume: bool, force: bool, door: Door) -> Place:
        """Refuse, before any work, a folder that could not be written.

        A run that was broken off by its time has written both: `resume` goes on with its parts and replaces
        what it wrote.

        Args:
            out: as the user gave it.
            marker: the file by which a folder of ours is known; nothing else is ever replaced.
            resume, force: as given.
            door: how to spell options in errors.

        Raises:
            InputError: it exists, its parent does not, or an interrupted run is there or is missing.
        """
        from longspan.store.workspace import workspace_path

        path = absolute(out)
        name, place = f"{spell('out', door)} {out!r}", cls(path, workspace_path(path))
        on, anew = passing("resume", door=door), passing("force", door=door)
        kept = holds_parts(place.workspace)
        if resume and not kept:
            raise InputError(f"nothing is kept at {str(place.workspace)!r}. Leave {on} out to start anew")
        if kept and not (resume or force):
            raise InputError(
                f"a run that was not finished is kept at {str(place.workspace)!r}. "
                f"Pass {on} to go on with it, or {anew} to start anew"
            )
        _check_ours(path, marker)
        if os.path.lexists(path) and not (resume or force):
            raise InputError(f"{name} exists. Pass {anew} to replace it, or another name")
        if not path.parent.is_dir():
            raise InputError(f"{name}: the folder {str(path.parent)!r} does not exist. Make it first")
        return place

    def clear(self) -> None:
        """Remove the work folder: all parts are done."""
        from longspan.store.atomic import remove_folder

        if self.workspace.is_dir():
            remove_folder(self.workspace)


def write_folder(path: Path, files: Mapping[str, str], marker: str, *, replace: bool) -> Path:
    """A folder of texts, whole or not at all.

    Raises:
        InputError: something is there, and `replace` is off or it is not one of ours.
        ModelError: it could not be written; what was there is as it was.
    """
    from longspan.store import atomic

    _check_ours(path, marker)
    try:
        with atomic.new_folder(path, replace=replace) as folder:
            for name, text in files.items():
                atomic.write_new(folder / name, text.encode())
    except FileExistsError:
        raise InputError(f"{str(path)!r} exists. Replace it with force, or give another name") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(f"{path}: not written ({reason}). What is there is as before") from error
    return path


def _check_ours(path: Path, marker: str) -> None:
    if os.path.lexists(path) and not (path / marker).is_file():
        raise InputError(
            f"{str(path)!r} holds no {marker}, so it is none of ours and is not replaced. Give another name"
        )
