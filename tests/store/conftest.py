"""A process that dies between two file operations, played in this one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from longspan.store import atomic
from longspan.store.process import Owner

OPERATIONS = (
    "open",
    "write",
    "fsync",
    "rename",
    "replace",
    "unlink",
    "mkdir",
    "rmdir",
    "ftruncate",
    "pwrite",
)

Crashing = Callable[[int | None], AbstractContextManager["Machine"]]


class Crash(BaseException):
    """The process is dead: nothing that stands in an ``except`` or ``finally`` reaches the disk any more."""


class Machine:
    """Counts file operations and dies with the one of number `last` (from 1; 0: before the first; None:
    never).

    The deadly operation is done, except that a write gets only half of its bytes out. After it every one
    fails and changes nothing, as if the process had gone.
    """

    def __init__(self, last: int | None) -> None:
        self.last = last
        self.done = 0
        self.dead = last == 0
        self.handles: set[int] = set()

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*args: Any, **kwargs: Any) -> Any:
            if self.dead:
                raise Crash
            self.done += 1
            self.dead = self.done == self.last
            if self.dead and name == "write":
                args = (args[0], args[1][: len(args[1]) // 2])
            result = real(*args, **kwargs)
            if name == "open":
                self.handles.add(result)
            if self.dead:
                raise Crash
            return result

        return operation

    def close(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def close(handle: int) -> None:
            self.handles.discard(handle)
            real(handle)

        return close


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch) -> Crashing:
    """``with crashing(n) as machine:`` dies with file operation n; afterwards its process counts as dead."""

    @contextlib.contextmanager
    def block(last: int | None) -> Iterator[Machine]:
        machine = Machine(last)
        with monkeypatch.context() as patch:
            for name in OPERATIONS:
                patch.setattr(os, name, machine.wrap(name, getattr(os, name)))
            patch.setattr(os, "close", machine.close(os.close))
            patch.setattr(atomic, "_exchange_at_once", machine.wrap("exchange", atomic._exchange_at_once))
            with contextlib.suppress(Crash):
                yield machine
        for handle in machine.handles:
            os.close(handle)

    monkeypatch.setattr(Owner, "is_dead", lambda _: True)
    return block
