"""Nested plain values with tensors in them, taken apart into JSON and named tensors, and put together again.

What JSON lacks is written as an object with one key that begins with ``$``; ordinary keys may not begin so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from longspan.core.errors import InputError, ModelError

__all__ = ["flatten", "unflatten"]


def flatten(value: Any, tensors: dict[str, Tensor], path: str = "") -> Any:
    """The JSON form of `value`; its tensors are put into `tensors` under their paths.

    Kept exactly: None, bool, int, float (also not finite), str, list, tuple, dict (text or other plain
    keys), tensor.

    Raises:
        InputError: a value of another type, with its path.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else {"$float": float.__repr__(value)}
        case Tensor():
            name = path or "tensor"
            while name in tensors:  # a key may hold a slash, so two paths can read the same
                name += "'"
            tensors[name] = value
            return {"$tensor": name}
        case list():
            return [flatten(item, tensors, f"{path}/{n}") for n, item in enumerate(value)]
        case tuple():
            return {"$tuple": [flatten(item, tensors, f"{path}/{n}") for n, item in enumerate(value)]}
        case dict() if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: flatten(item, tensors, f"{path}/{key}") for key, item in value.items()}
        case dict():
            pairs = [
                [flatten(key, tensors, f"{path}/key"), flatten(item, tensors, f"{path}/{key}")]
                for key, item in value.items()
            ]
            return {"$pairs": pairs}
    raise InputError(f"{path or 'value'}: expected plain values and tensors, got {type(value).__name__}")


def unflatten(value: Any, tensors: Mapping[str, Tensor], source: str) -> Any:
    """What `flatten` took apart; `source` is named in the errors.

    Raises:
        ModelError: a mark that `flatten` does not write, or a tensor that is not there.
    """
    if isinstance(value, list):
        return [unflatten(item, tensors, source) for item in value]
    if not isinstance(value, dict):
        return value
    mark = next((key for key in value if key.startswith("$")), None)
    if mark is None:
        return {key: unflatten(item, tensors, source) for key, item in value.items()}
    content = value[mark]
    match mark:
        case "$float" if content in ("nan", "inf", "-inf"):
            return float(content)
        case "$tensor" if isinstance(content, str) and content in tensors:
            return tensors[content]
        case "$tuple" if isinstance(content, list):
            return tuple(unflatten(content, tensors, source))
        case "$pairs" if isinstance(content, list) and all(
            isinstance(p, list) and len(p) == 2 for p in content
        ):
            return {
                unflatten(key, tensors, source): unflatten(item, tensors, source) for key, item in content
            }
    raise ModelError(f"{source}: cannot read {mark!r}: {str(content)[:80]!r}: altered")


def same(one: Any, other: Any) -> bool:
    """Whether two nested values are the same to the last bit (tensors too: type, shape and bytes)."""
    first: dict[str, Tensor] = {}
    second: dict[str, Tensor] = {}
    # As text, since Python holds 1, 1.0 and True for equal, and 0.0 and -0.0.
    texts = [
        json.dumps(flatten(value, into), sort_keys=True) for value, into in ((one, first), (other, second))
    ]
    if texts[0] != texts[1]:
        return False
    return all(_same_bytes(first[name], second[name]) for name in first)


def _same_bytes(one: Tensor, other: Tensor) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    left, right = (part.detach().cpu().contiguous().reshape(-1).view(torch.uint8) for part in (one, other))
    return torch.equal(left, right)
