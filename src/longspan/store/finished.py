"""A run that was killed after its model was in place and before its work folder was gone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from longspan.core.errors import ModelError
from longspan.store import atomic, lock, strict_json
from longspan.store.folder import MANIFEST, read_folder
from longspan.store.workspace import LOCK, RUN, workspace_path

__all__ = ["clear_finished"]


def clear_finished(out: Path, *, task: str, settings: Mapping[str, JsonValue], seed: int) -> bool:
    """Remove the work folder beside `out` if `out` is the model that its run ended in.

    That is so if `out` is whole, of this task and of the run's data, and newer than all that the run kept:
    a model that the run was to replace is older.

    Args:
        out: the model folder.
        task, settings, seed: those of the run that is asked for; that of the work folder must have the same.

    Returns:
        Whether the folder was there and is gone. If not, nothing has changed.

    Raises:
        ModelError: another process works there.
    """
    workspace = workspace_path(out)
    if not out.is_dir() or not (workspace / RUN).is_file():
        return False
    handle = lock.take(workspace / LOCK)
    try:
        ended = _ended(out, workspace, task, settings, seed)
        if ended:
            atomic.remove_folder(workspace)
    finally:
        lock.release(handle)
    return ended


def _ended(out: Path, workspace: Path, task: str, settings: Mapping[str, JsonValue], seed: int) -> bool:
    begun = workspace / RUN
    try:
        run, model = strict_json.parse(begun.read_bytes(), str(begun)), read_folder(out).manifest
    except ModelError:
        return False
    asked = {"settings": settings, "seed": seed, "data_sha256": model.data.sha256}
    if model.task != task or not isinstance(run, dict) or any(run.get(key) != asked[key] for key in asked):
        return False
    kept = (begun, *workspace.glob("*.safetensors"))
    return (out / MANIFEST).stat().st_mtime_ns >= max(each.stat().st_mtime_ns for each in kept)
