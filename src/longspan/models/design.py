"""The design of a forecaster, kept in the model folder, and the network that it describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from longspan.core.errors import ModelError
from longspan.models.features import WindowFeatures
from longspan.models.forecaster import DirectForecaster, Forecaster, StepForecaster
from longspan.nn.encoders import build_encoder
from longspan.nn.heads import LEVELS, build_head

__all__ = ["Decoding", "Design", "build_forecaster", "load_members", "member_tensors"]

Decoding = Literal["direct", "step"]
_Season = Annotated[int, Field(ge=1, le=1 << 16)]
_NOW = "Restore the model from a copy or make it again."


class Design(BaseModel):
    """Sizes and choices of a forecaster, plain values only.

    Attributes:
        context, horizon: C and H, in steps.
        seasons: whose lags are offered. anchor: see `WindowFeatures`.
        step_size, future_size: numbers that are read at each step of the context and of the horizon.
        encoder, hidden_size, num_layers, dropout, encoder_options: the encoder, by name.
        head, levels, decoding: the distribution, the quantiles that are given, ``direct`` or ``step``.
        shortcut: steps of the window that a linear map reads, 0 for none.
        nonnegative: forecasts below zero are set to zero.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    context: int = Field(ge=1, le=1 << 24)
    horizon: int = Field(ge=1, le=1 << 17)
    seasons: tuple[_Season, ...] = Field(default=(), max_length=64)
    anchor: int = Field(default=0, ge=0, le=1 << 16)
    step_size: int = Field(ge=1, le=1 << 16)
    future_size: int = Field(ge=1, le=1 << 16)
    encoder: str = "lstm"
    hidden_size: int = Field(default=64, ge=1, le=1 << 16)
    num_layers: int = Field(default=1, ge=1, le=64)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    encoder_options: dict[str, bool | int | float] = Field(default_factory=dict)
    head: str = "quantile"
    levels: tuple[float, ...] = Field(default=LEVELS, max_length=1 << 12)
    decoding: Decoding = "direct"
    shortcut: int = Field(default=0, ge=0, le=1 << 25)
    nonnegative: bool = False

    @property
    def features(self) -> WindowFeatures:
        """How windows become inputs."""
        centred = build_head(self.head, self.levels).centred
        return WindowFeatures(self.context, self.horizon, self.seasons, self.anchor, centred, self.shortcut)

    def around(self, encoder: str, hidden_size: int) -> Design:
        """The same design around another encoder; options are those of an encoder and stay with their own."""
        options = dict(self.encoder_options) if encoder == self.encoder else {}
        return self.model_copy(
            update={"encoder": encoder, "hidden_size": hidden_size, "encoder_options": options}
        )


def build_forecaster(design: Design) -> Forecaster:
    """The network of a design, freshly initialised by torch's generator.

    Raises:
        InputError: an unknown encoder, head or encoder option.
    """
    head = build_head(design.head, design.levels)
    size, layers, drop = design.hidden_size, design.num_layers, design.dropout
    options: dict[str, Any] = dict(design.encoder_options)
    encoder = build_encoder(
        design.encoder, design.step_size, size, layers, drop, reach=design.context, **options
    )
    if design.decoding == "direct":
        return DirectForecaster(
            encoder, head, design.horizon, design.future_size, size, design.shortcut, drop
        )
    width = StepForecaster.decoder_size(encoder, design.future_size)
    decoder = build_encoder(design.encoder, width, size, layers, drop, reach=design.horizon, **options)
    return StepForecaster(encoder, decoder, head, walk=design.anchor == 0)


def member_tensors(forecasters: Sequence[Forecaster]) -> dict[str, Tensor]:
    """The weights by name: of the first network as they are, of number n (from 1) as ``members.n.NAME``."""
    return {
        _prefix(number) + name: each.detach().cpu()
        for number, forecaster in enumerate(forecasters)
        for name, each in forecaster.state_dict().items()
    }


def load_members(design: Design, tensors: Mapping[str, Tensor], count: int) -> tuple[Forecaster, ...]:
    """The ``count`` forecasters whose weights `member_tensors` gave, in evaluation mode.

    Raises:
        ModelError: the tensors are not those of so many networks of the design, or no network has it.
    """
    _check_tensors(design, tensors, count)
    forecasters = []
    for number in range(count):
        prefix = _prefix(number)
        own = {
            name.removeprefix(prefix): each
            for name, each in tensors.items()
            if name.startswith(prefix) and (number > 0 or not name.startswith("members."))
        }
        forecaster = build_forecaster(design)
        forecaster.load_state_dict(own)
        forecasters.append(forecaster.eval())
    return tuple(forecasters)


def _check_tensors(design: Design, tensors: Mapping[str, Tensor], count: int) -> None:
    """Compare names and shapes before there is memory for a network: its sizes may be anything."""
    try:
        with torch.device("meta"):
            wanted = build_forecaster(design).state_dict()
    except (TypeError, ValueError, RuntimeError) as error:  # those of ours are ValueErrors
        raise ModelError(f"design: no network can be built to it ({error}). {_NOW}") from error
    surplus = set(tensors)
    for number in range(count):
        for name, like in wanted.items():
            own = _prefix(number) + name
            if not _fits(tensors.get(own), like):
                raise ModelError(
                    f"weights: expected {own!r} as {_kind(like)}, which is what the design makes it, got "
                    f"{_kind(tensors.get(own))}. {_NOW}"
                )
            surplus.remove(own)
    if surplus:
        raise ModelError(
            f"weights: expected those of {count:,} networks of the design, got {min(surplus)!r} too. {_NOW}"
        )


def _fits(tensor: Tensor | None, like: Tensor) -> bool:
    if tensor is None or tensor.shape != like.shape:
        return False
    return tensor.is_floating_point() == like.is_floating_point()


def _kind(tensor: Tensor | None) -> str:
    return "none" if tensor is None else f"{tensor.dtype} of shape {tuple(tensor.shape)}"


def _prefix(number: int) -> str:
    return f"members.{number}." if number else ""
