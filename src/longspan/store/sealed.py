"""Plain values and tensors in one safetensors file with a SHA-256 over all of it.

The metadata text of the file is 64 hexadecimal digits and a JSON object; the digits tell a file that was
altered or cut off from a whole one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from longspan.core.errors import ModelError
from longspan.store import strict_json, tensors

__all__ = ["decode_sealed", "encode_sealed"]


def encode_sealed(record: Mapping[str, Any], named: Mapping[str, Tensor]) -> bytes:
    """The bytes of a file with the JSON-able `record` and these tensors."""
    text = strict_json.dump(record).decode()
    return tensors.encode(named, _digest(text, named) + text)


def decode_sealed(data: bytes, source: str, *, kind: str, now: str) -> tuple[Any, dict[str, Tensor]]:
    """What `encode_sealed` wrote.

    Args:
        data: of the file. source: its name, for the errors.
        kind: what the file should be, for the errors. now: what the user may do, for the errors.

    Raises:
        ModelError: cut off, altered, or a file of another kind.
    """
    named, metadata = tensors.decode(data, source)
    if metadata is None or len(metadata) < 64:
        raise ModelError(f"{source}: not a longspan {kind}. {now}")
    digest, text = metadata[:64], metadata[64:]
    if _digest(text, named) != digest:
        raise ModelError(f"{source}: its content does not fit its SHA-256: altered. {now}")
    return strict_json.parse(text.encode(), source), named


def _digest(text: str, named: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(named):
        tensor = named[name].detach().cpu().contiguous()
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        if tensor.numel():  # an empty one may have strides that no view can take
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
