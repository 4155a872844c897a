"""The command line: verbs generated from the task table; ``--help`` loads no torch, polars or matplotlib."""

from __future__ import annotations

from longspan.cli.entry import main, run

__all__ = ["main", "run"]
