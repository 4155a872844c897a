"""The command line with the test task in its table, for tests in a process of its own."""

from __future__ import annotations

from level_options import LEVEL

from longspan.cli import main
from longspan.tasks.base import register

if __name__ == "__main__":
    register(LEVEL)
    main()
