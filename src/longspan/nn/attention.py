"""A small causal transformer whose attention slides over the last steps, so that its state is bounded.

Pre-norm blocks (Xiong et al. 2020) of multi-head attention (Vaswani et al. 2017) with rotary positions (Su et
al. 2021): what counts is how far back a step lies, not where the sequence began, so any length can be read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from longspan.core.checks import probability, whole
from longspan.core.errors import InputError
from longspan.nn.encoder import REACH, Encoder, as_reading, newest, state_part

__all__ = ["AttentionState", "Transformer"]

_HEADS = (8, 4, 2, 1)
_HEAD_WIDTH = 8  # the narrowest head that is chosen unasked
_BASE = 10_000.0  # of the rotary frequencies
_EXPANSION = 4  # hidden units of a block's two-layer network, in multiples of H


class AttentionState(NamedTuple):
    """What a transformer keeps of the past.

    ``keys`` and ``values`` of each layer are (B, context - 1, inner), the newest last; ``seen``, int (B,),
    says how many of these steps there have been.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    seen: Tensor


class _Past(NamedTuple):
    """One layer's share of a state."""

    keys: Tensor
    values: Tensor
    seen: Tensor


class _Attention(nn.Module):
    """Causal attention of ``heads`` heads over the last ``context`` steps."""

    def __init__(self, hidden_size: int, heads: int, context: int) -> None:
        super().__init__()
        self.heads, self.context = heads, context
        self.width = -(-hidden_size // (2 * heads)) * 2  # of a head; even, since rotations turn pairs
        self.inner = heads * self.width
        self.project = nn.Linear(hidden_size, 3 * self.inner, bias=False)
        self.out = nn.Linear(self.inner, hidden_size)

    def forward(self, x: Tensor, past: _Past | None) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (B, T, H), and keys and values (B, P + T, inner), P = context - 1 where there is a past."""
        steps = x.shape[1]
        query, key, value = self.project(x).split(self.inner, -1)
        if past is None and steps <= self.context:
            q, k = (self._split(_turned(each, self.width)) for each in (query, key))
            y = functional.scaled_dot_product_attention(q, k, self._split(value), is_causal=True)
            return self.out(y.transpose(1, 2).flatten(2)), key, value
        before = self.context - 1
        if past is None:
            keys, values = (functional.pad(each, (0, 0, before, 0)) for each in (key, value))
            seen = torch.zeros(1, dtype=torch.int64, device=x.device)
        else:
            keys, values = torch.cat((past.keys, key), 1), torch.cat((past.values, value), 1)
            seen = past.seen
        return self.out(self._slide(query, keys, values, seen)), keys, values

    def _slide(self, query: Tensor, keys: Tensor, values: Tensor, seen: Tensor) -> Tensor:
        """Each query on the ``context`` keys that end at it: (B, T, inner).

        In blocks, so that time and memory grow with T · context and not with T².
        """
        batch, steps, _ = query.shape
        before = self.context - 1
        size = min(steps, self.context)
        blocks = -(-steps // size)
        spare = blocks * size - steps  # steps put behind the last, to fill the last block
        filled = [functional.pad(each, (0, 0, 0, spare)) for each in (query, keys, values)]
        asked = filled[0].view(batch * blocks, size, self.inner)
        held = [self._blocks(each, size) for each in filled[1:]]
        # Turned by the place in the block: only differences of place count.
        q = self._split(_turned(asked, self.width, before))
        k, v = self._split(_turned(held[0], self.width)), self._split(held[1])
        mask = self._mask(seen, batch, blocks, size)
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return y.transpose(1, 2).reshape(batch, blocks * size, self.inner)[:, :steps]

    def _blocks(self, steps: Tensor, size: int) -> Tensor:
        """(B, P + n · size, inner) → (B · n, P + size, inner): each block with the P steps before it."""
        return steps.unfold(1, self.context - 1 + size, size).transpose(2, 3).flatten(0, 1)

    def _mask(self, seen: Tensor, batch: int, blocks: int, size: int) -> Tensor:
        """Which key each query may look at: bool (B · n, 1, size, P + size)."""
        before, device = self.context - 1, seen.device
        lag = before + torch.arange(size, device=device)[:, None] - torch.arange(before + size, device=device)
        near = (lag >= 0) & (lag <= before)  # (size, P + size)
        place = torch.arange(blocks, device=device)[:, None] * size + torch.arange(
            before + size, device=device
        )
        there = place >= (before - seen)[:, None, None]  # (B or 1, n, P + size)
        return (near & there[:, :, None]).expand(batch, -1, -1, -1).reshape(batch * blocks, 1, size, -1)

    def end(self, steps: Tensor, count: Tensor | None) -> Tensor:
        """The output (B, H) for the last of ``steps`` (B, P, H), at most ``context`` of them.

        Args:
            steps: inputs, right aligned.
            count: (B,), how many of them are real; None means all.
        """
        size = steps.shape[1]
        query, key, value = self.project.weight.view(3, self.inner, -1).unbind()
        q = self._split(_turned(functional.linear(steps[:, -1:], query), self.width, size - 1))
        k = self._split(_turned(functional.linear(steps, key), self.width))
        v = self._split(functional.linear(steps, value))
        mask = None
        if count is not None:  # the last stays, so that a row without steps gives no NaN
            place = torch.arange(size, device=steps.device)
            mask = (place >= (size - count.clamp(min=1))[:, None])[:, None, None]
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return cast(Tensor, self.out(y.flatten(1)))

    def weights(self, x: Tensor) -> Tensor:
        """The attention of each step on each step, plainly: (B, heads, T, T), every row of sum one."""
        query, key, _ = self.project(x).split(self.inner, -1)
        q, k = (self._split(_turned(each, self.width)) for each in (query, key))
        scores = q @ k.transpose(2, 3) / math.sqrt(self.width)
        place = torch.arange(x.shape[1], device=x.device)
        lag = place[:, None] - place
        return scores.masked_fill((lag < 0) | (lag >= self.context), -torch.inf).softmax(-1)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, self.width).transpose(1, 2)  # (B, heads, T, width)


class _Block(nn.Module):
    """Attention, then a two-layer network, each on normalised input and added to what came in."""

    def __init__(self, hidden_size: int, heads: int, context: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(hidden_size)
        self.attention = _Attention(hidden_size, heads, context)
        self.network_norm = nn.LayerNorm(hidden_size)
        self.network = nn.Sequential(
            nn.Linear(hidden_size, _EXPANSION * hidden_size),
            nn.GELU(),
            nn.Linear(_EXPANSION * hidden_size, hidden_size),
        )
        self.dropout = dropout

    def forward(self, x: Tensor, past: _Past | None) -> tuple[Tensor, Tensor, Tensor]:
        y, keys, values = self.attention(self.attention_norm(x), past)
        x = x + functional.dropout(y, self.dropout, self.training)
        y = self.network(self.network_norm(x))
        return x + functional.dropout(y, self.dropout, self.training), keys, values

    def end(self, x: Tensor, size: int, lengths: Tensor | None) -> Tensor:
        """What ``forward`` without a past gives at the end of each sequence, from the last ``size`` steps."""
        steps = newest(functional.pad(x, (0, 0, size, 0)), size, lengths)  # (B, size, H)
        count = None if lengths is None else lengths.clamp(max=size)
        y = self.attention.end(self.attention_norm(steps), count)
        x = steps[:, -1] + functional.dropout(y, self.dropout, self.training)
        y = self.network(self.network_norm(x))
        return x + functional.dropout(y, self.dropout, self.training)


class Transformer(Encoder):
    """Pre-norm transformer blocks, every step looking back over ``context`` steps, itself among them.

    It spans ``1 + num_layers · (context - 1)`` steps. Where N is H with the width of a head rounded up to an
    even number, it has ``I · H + 3 · H + num_layers · (4 · H · N + 8 · H² + 10 · H)`` parameters.

    Args:
        input_size: I.
        hidden_size: H, width of the blocks.
        num_layers: blocks.
        dropout: of what attention and network add to a block, in training.
        reach: how long the sequences are that it will read.
        context: steps that attention sees; ``reach``, or 64 where that is not known.
        heads: heads of attention, a divisor of H; the most of 8, 4, 2, 1 whose width is even and at least 8,
            else one.

    Raises:
        InputError: a size out of range, or heads that do not divide H.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        dropout: float = 0.0,
        reach: int | None = None,
        context: int | None = None,
        heads: int | None = None,
    ) -> None:
        super().__init__()
        where = "Transformer"
        self.input_size = whole(input_size, "input_size", where, minimum=1)
        self.output_size = whole(hidden_size, "hidden_size", where, minimum=1)
        layers = whole(num_layers, "num_layers", where, minimum=1)
        wanted = next((each for each in (context, reach) if each is not None), REACH)
        self.context = whole(wanted, "context", where, minimum=1)
        self.heads = _chosen_heads(hidden_size) if heads is None else _checked_heads(heads, hidden_size)
        self.span = 1 + layers * (self.context - 1)
        drop = probability(dropout, "dropout", where)
        self.embed = nn.Linear(input_size, hidden_size)
        self.blocks = nn.ModuleList(
            _Block(hidden_size, self.heads, self.context, drop) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(hidden_size)

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | Sequence[int] | None = None,
        state: AttentionState | None = None,
    ) -> tuple[Tensor, AttentionState]:
        """Read sequences; the state is an `AttentionState`."""
        reading = as_reading(x, lengths, self.input_size, self.embed.weight, "transformer")
        past = self._past(state, len(x))
        new = (
            torch.full((len(x),), x.shape[1], device=x.device) if reading.lengths is None else reading.lengths
        )
        y, keys, values = self.embed(reading.x), [], []
        for number, block in enumerate(self.blocks):
            y, key, value = block(y, past[number] if past else None)
            keys.append(self._kept(key, x.shape[1], reading.lengths))
            values.append(self._kept(value, x.shape[1], reading.lengths))
        before = 0 if state is None else state.seen
        seen = (new + before).clamp(max=self.context - 1)
        return reading.masked(self.norm(y)), AttentionState(tuple(keys), tuple(values), seen)

    def summary(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """What stands at the end of each sequence; the last block looks from there only."""
        reading = as_reading(x, lengths, self.input_size, self.embed.weight, "transformer")
        y = self.embed(reading.x)
        for block in self.blocks[:-1]:
            y = block(y, None)[0]
        size = min(self.context, x.shape[1])
        ends = self.norm(cast(_Block, self.blocks[-1]).end(y, size, reading.lengths))
        return reading.ends(cast(Tensor, ends))

    def attention_maps(self, x: Tensor) -> Tensor:
        """How much each step looks at each step: (num_layers, B, heads, T, T), rows of sum one.

        Args:
            x: (B, T, I), read from its start.
        """
        y, maps = self.embed(as_reading(x, None, self.input_size, self.embed.weight, "transformer").x), []
        for block in self.blocks:
            own = cast(_Block, block)
            maps.append(own.attention.weights(own.attention_norm(y)))
            y = own(y, None)[0]
        return torch.stack(maps)

    def _past(self, state: AttentionState | None, batch: int) -> list[_Past]:
        if state is None:
            return []
        if not isinstance(state, AttentionState) or len(state.keys) != len(self.blocks):
            raise InputError(
                f"transformer: expected the state that an earlier call returned, an AttentionState of "
                f"{len(self.blocks)} layers, got {type(state).__name__}"
            )
        shape = (batch, self.context - 1, cast(_Block, self.blocks[0]).attention.inner)
        seen = state_part(state.seen, (batch,), "transformer")
        return [
            _Past(state_part(key, shape, "transformer"), state_part(value, shape, "transformer"), seen)
            for key, value in zip(state.keys, state.values, strict=True)
        ]

    def _kept(self, steps: Tensor, new: int, lengths: Tensor | None) -> Tensor:
        """The newest of the keys or values (B, P + new or new, inner): always P = context - 1 of them."""
        missing = self.context - 1 + new - steps.shape[1]
        return newest(functional.pad(steps, (0, 0, missing, 0)), self.context - 1, lengths)

    def extra_repr(self) -> str:
        """Heads and context."""
        return f"heads={self.heads}, context={self.context}"


def _turned(x: Tensor, width: int, first: int = 0) -> Tensor:
    """Rotary positions: pair i of each head's features (…, T, heads · width), turned by an angle of
    place · 10000^(-2i / width).

    Angles are computed in float64: places are large and only their differences count.
    """
    rates = _BASE ** (-torch.arange(0, width, 2, dtype=torch.float64, device=x.device) / width)
    places = torch.arange(first, first + x.shape[-2], dtype=torch.float64, device=x.device)
    angles = (places[:, None] * rates)[:, None]  # (T, 1, width / 2)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    one, two = x.reshape(*x.shape[:-1], -1, 2, width // 2).unbind(-2)  # (…, T, heads, width / 2)
    return torch.stack((one * cos - two * sin, two * cos + one * sin), -2).flatten(-3)


def _chosen_heads(hidden_size: int) -> int:
    fits = (each for each in _HEADS if hidden_size % (2 * each) == 0 and hidden_size >= each * _HEAD_WIDTH)
    return next(fits, 1)


def _checked_heads(heads: int, hidden_size: int) -> int:
    if hidden_size % whole(heads, "heads", "Transformer", minimum=1):
        raise InputError(f"Transformer: expected heads that divide the width {hidden_size}, got {heads}")
    return heads
