"""What every inspection takes, whatever the task."""

from __future__ import annotations

from longspan.tasks.base import Options, option

__all__ = ["InspectSettings"]


class InspectSettings(Options):
    """Options of ``longspan inspect`` and ``Model.inspect`` that are not the task's."""

    layers: tuple[int, ...] = option((), "layers that are drawn, from 1; the last one", group="Inspect")
    units: tuple[int, ...] = option((), "units that are drawn, from 1; all", group="Inspect")
    threshold: float = option(
        0.05,
        "share of a written value below which it counts as forgotten; also the share that the rules of gates "
        "and gradients leave out",
        group="Inspect",
        gt=0,
        lt=1,
    )
    examples: int | None = option(
        None,
        "examples that gradients and ablations are measured on; as many as are quick",
        group="Inspect",
        ge=2,
    )
    window: int = option(500, "last steps that are drawn", group="Inspect", ge=2)
    seed: int = option(0, "seed of every random choice", group="Inspect", ge=0, le=2**63 - 1)
    untrained: bool = option(False, "gradients of the untrained network beside it", group="Inspect")
    against: tuple[str, ...] = option(
        (), "encoders to train in the same way, as rnn, for their gradients beside it", group="Inspect"
    )
