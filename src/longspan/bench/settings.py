"""What ``longspan bench`` takes. Light: the command line reads it for ``--help``."""

from __future__ import annotations

from longspan.tasks.base import Options, option

__all__ = ["BenchSettings"]


class BenchSettings(Options):
    """The options of ``longspan bench``."""

    rows: tuple[str, ...] = option(
        (), "groups such as training, or rows such as inference/32x100x64x128 (B, T, I, H); default: all"
    )
    quick: bool = option(False, "leave out the large rows, and time the others for a quarter of the seconds")
    threads: int | None = option(None, "threads of both sides; as many as torch takes unless given", ge=1)
    seconds: float = option(2.0, "how long a row is timed, all sides together", gt=0)
    backend: str | None = option(
        None, "kernel to run on, such as native; the one that the layers choose unless given"
    )
    compare: str | None = option(None, "an earlier result of this command, to set beside", metavar="FILE")
