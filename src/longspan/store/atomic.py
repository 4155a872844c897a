"""Files and folders that are written whole or not at all.

What is new is written under a hidden temporary name beside its place, forced to the disk, and renamed.
Whoever looks at the place sees the old or the new, never a part. The temporary name carries the process
that wrote it, so that the leftovers of a killed process are recognised and swept away by the next one.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from longspan.store.process import Owner

__all__ = ["is_temporary", "moved_aside", "new_folder", "remove_folder", "sweep", "write_file", "write_new"]

_COUNTER = itertools.count()
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<owner>[0-9a-f]{8}-\d+-\d+)\.\d+\.(?P<kind>new|old)")
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def write_file(path: Path, data: bytes) -> None:
    """Put `data` at `path`, replacing what is there, whole or not at all.

    Raises:
        OSError: the disk is full, the folder is missing or not writable …; what was at `path` is untouched.
    """
    temporary = _sibling(path, "new")
    try:
        write_new(temporary, data)
        temporary.replace(path)
    except BaseException:
        _discard(temporary)
        raise
    _sync_folder(path.parent)


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet and force it to the disk; for the inside of `new_folder`."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A temporary folder to fill with `write_new`; it becomes `path` when the block ends well.

    Args:
        path: where the folder will be.
        replace: an existing folder at `path` is kept until the new one is in its place, then removed.

    Raises:
        FileExistsError: there is something at `path` and `replace` is off.
        OSError: nothing has changed at `path`.
    """
    sweep(path)
    if os.path.lexists(path) and not replace:
        raise FileExistsError(errno.EEXIST, "already exists", str(path))
    temporary = _sibling(path, "new")
    try:
        temporary.mkdir()
        yield temporary
        _sync_folder(temporary)
        if os.path.lexists(path) and replace:
            _exchange(temporary, path)
        else:
            _rename_new(temporary, path)
        _sync_folder(path.parent)
    finally:
        # After an exchange the old folder is what is left under the temporary name.
        _discard(temporary)


def sweep(path: Path) -> list[Path]:
    """Clear away what dead processes left while writing `path`; put back an old folder moved aside.

    Returns:
        The leftovers that were found. Those of living processes, and of other machines, are not touched.
    """
    found: list[Path] = []
    if not path.parent.is_dir():
        return found
    for entry in sorted(path.parent.iterdir()):
        match = _TEMPORARY.fullmatch(entry.name)
        if match is None or match["name"] != path.name:
            continue
        owner = Owner.parse(match["owner"])
        if owner is None or not owner.is_dead():
            continue
        found.append(entry)
        if match["kind"] == "old" and not os.path.lexists(path):
            entry.rename(path)
        else:
            _discard(entry)
    return found


def remove_folder(path: Path) -> None:
    """Remove a folder at once: it is renamed away before its files go, so nobody meets a half-empty one."""
    away = _sibling(path, "new")
    path.rename(away)
    _sync_folder(path.parent)
    _discard(away)


def moved_aside(path: Path) -> Path | None:
    """The old folder that a replacement of `path` moved aside and, cut short, did not put back."""
    if os.path.lexists(path) or not path.parent.is_dir():
        return None
    for entry in sorted(path.parent.iterdir()):
        match = _TEMPORARY.fullmatch(entry.name)
        if match is not None and match["name"] == path.name and match["kind"] == "old":
            return entry
    return None


def is_temporary(name: str) -> bool:
    """Whether `name` is one that a write gives to its unfinished file or folder."""
    return _TEMPORARY.fullmatch(name) is not None


def _sibling(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{Owner.current()}.{next(_COUNTER)}.{kind}")


def _sync_folder(path: Path) -> None:
    """Make the names in a folder durable; a rename without it may be lost with the power."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _rename_new(temporary: Path, path: Path) -> None:
    # rename(2) would silently take the place of an empty folder that appeared in the meantime.
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "appeared while the new folder was written", str(path))
    temporary.rename(path)


def _exchange(temporary: Path, path: Path) -> None:
    """Swap two folders: at once where the system can, else by an ``.old`` name that `sweep` restores."""
    if _exchange_at_once(temporary, path):
        return
    old = _sibling(path, "old")
    path.rename(old)
    try:
        temporary.rename(path)
    except OSError:
        old.rename(path)
        raise
    _discard(old)


def _exchange_at_once(one: Path, other: Path) -> bool:
    """renameat2(RENAME_EXCHANGE) of Linux; False where the system or the file system does not offer it."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _discard(path: Path) -> None:
    """Remove a temporary file or folder; what cannot be removed now is swept later."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
