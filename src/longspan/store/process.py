"""Which process wrote a file, and whether it still lives."""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Owner"]


@dataclass(frozen=True)
class Owner:
    """A process of one machine, told apart from a later one with the same number by its start time.

    Args:
        host: first eight hexadecimal digits of the SHA-256 of the host name.
        pid: process number.
        started: start time in clock ticks since boot, or 0 where the system does not tell (no ``/proc``).
    """

    host: str
    pid: int
    started: int

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        return cls(_host(), os.getpid(), _started(os.getpid()))

    @classmethod
    def parse(cls, token: str) -> Owner | None:
        """The owner that `str()` wrote, or None where `token` is something else."""
        parts = token.split("-")
        if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
            return None
        return cls(parts[0], int(parts[1]), int(parts[2]))

    def __str__(self) -> str:
        return f"{self.host}-{self.pid}-{self.started}"

    def is_dead(self) -> bool:
        """True only where it is certain: a process of another machine counts as alive."""
        if self.host != _host():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OverflowError:
            return True
        except PermissionError:
            pass  # it belongs to someone else, so it lives
        return self.started != _started(self.pid)


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _started(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    # Field 22; the second field is the program's name in brackets and may itself hold blanks and brackets.
    return int(text.rpartition(")")[2].split()[19])
