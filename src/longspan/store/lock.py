"""A lock file: one process at a time. The system lets go of it when its process dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from longspan.core.errors import ModelError

__all__ = ["release", "share", "take"]


def take(path: Path) -> int:
    """Lock the file at `path`, made where missing, and note our process number in it.

    Returns:
        What `release` wants.

    Raises:
        ModelError: a living process holds it, its folder is gone, or the file system has no locks.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except FileNotFoundError:
        raise _ended(path) from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be opened ({error.strerror})") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _must_be_there(handle, path)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(handle, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise ModelError(
            f"{path.parent}: process {holder} is working there. Wait for it, or stop it: kill {holder}"
        ) from None
    except ModelError:
        os.close(handle)
        raise
    except OSError as error:
        os.close(handle)
        raise ModelError(
            f"{path}: cannot be locked ({error.strerror}). Put the output on a local disk"
        ) from error
    return handle


def share(handle: int) -> int:
    """A second hold on a lock that is ours; it is free when both are released."""
    return os.dup(handle)


def release(handle: int) -> None:
    """Let go. The file stays, since removing it would let two processes lock two files of one name."""
    os.close(handle)


def _must_be_there(handle: int, path: Path) -> None:
    """The folder may have been removed between the opening and the lock."""
    try:
        same = os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        same = False
    if not same:
        raise _ended(path)


def _ended(path: Path) -> ModelError:
    return ModelError(f"{path.parent}: the run there has ended just now. Look at its result first")
