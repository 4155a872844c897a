"""Named tensors as safetensors bytes, checked before they are used.

The format: https://github.com/huggingface/safetensors#format (eight bytes of header length, a JSON header,
the numbers). The header is checked here in full, since a file may come from anywhere, and the library's own
messages name no cure.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from longspan.core.errors import InputError, ModelError
from longspan.store import strict_json
from longspan.store.strict_json import brief

__all__ = ["DTYPES", "MAX_DIMENSIONS", "MAX_HEADER", "decode", "encode"]

#: name in the file → torch type: what longspan writes, and all that it reads
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}

MAX_HEADER = 64 * 2**20  # bytes; half a million tensors need about as much
MAX_DIMENSIONS = 16

_NOW = "Restore it from a copy or make it again."


def encode(tensors: Mapping[str, Tensor], metadata: str | None = None) -> bytes:
    """The bytes of a safetensors file, the same for the same tensors.

    Args:
        tensors: any device, any strides; where two share memory (tied weights) each is written in full.
        metadata: a text kept in the header under the key ``longspan``.

    Raises:
        InputError: a name or dtype that cannot be kept.
    """
    plain: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        if not name or name == "__metadata__":
            raise InputError(f"tensor name: expected a text other than '__metadata__', got {name!r}")
        if tensor.dtype not in DTYPES.values():
            raise InputError(
                f"tensor {name!r}: dtype {tensor.dtype} cannot be kept, expected one of {_names()}"
            )
        if tensor.ndim > MAX_DIMENSIONS:
            raise InputError(
                f"tensor {name!r}: expected at most {MAX_DIMENSIONS} dimensions, got {tensor.ndim}"
            )
        value = tensor.detach().cpu().contiguous()
        if value.untyped_storage().data_ptr() in seen:
            value = value.clone()
        seen.add(value.untyped_storage().data_ptr())
        plain[name] = value
    data = safetensors.torch.save(plain, None if metadata is None else {"longspan": metadata})
    length = struct.unpack("<Q", data[:8])[0]
    if length > MAX_HEADER:
        raise InputError(
            f"tensors: names and metadata take {length:,} bytes, at most {MAX_HEADER:,} can be read"
        )
    return data


def decode(data: bytes, source: str) -> tuple[dict[str, Tensor], str | None]:
    """The tensors (on the CPU) and the metadata text of `encode`; `source` is named in the errors.

    Raises:
        ModelError: cut off, a header too large, repeated names, unknown dtype, shapes that do not fit.
    """
    header, body = _header(data, source)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ModelError(f"{source}: expected '__metadata__' to map names to texts. {_NOW}")
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: _span(item[0], item[1], source)):
        end = _check_entry(name, entry, end, source)
    if end != body:
        raise ModelError(
            f"{source}: expected {end:,} bytes of numbers, got {body:,}: cut off or altered. {_NOW}"
        )
    try:
        return safetensors.torch.load(data), metadata.get("longspan")
    except (safetensors.SafetensorError, ValueError, RuntimeError) as error:
        raise ModelError(f"{source}: not readable as safetensors ({error}). {_NOW}") from error


def _header(data: bytes, source: str) -> tuple[dict[str, Any], int]:
    """The parsed header and the number of bytes that follow it."""
    if len(data) < 8:
        raise ModelError(f"{source}: expected at least 8 bytes, got {len(data)}: cut off. {_NOW}")
    length = struct.unpack("<Q", data[:8])[0]
    if length > MAX_HEADER:
        raise ModelError(
            f"{source}: a header of {length:,} bytes, at most {MAX_HEADER:,} are allowed: altered. {_NOW}"
        )
    if 8 + length > len(data):
        raise ModelError(
            f"{source}: expected a header of {length:,} bytes, got {len(data) - 8:,}: cut off. {_NOW}"
        )
    header = strict_json.parse(data[8 : 8 + length], f"{source} (header)")
    if not isinstance(header, dict):
        raise ModelError(f"{source}: expected a JSON object as header, got {brief(header)}. {_NOW}")
    return header, len(data) - 8 - length


def _span(name: str, entry: Any, source: str) -> tuple[int, int]:
    fields = ["data_offsets", "dtype", "shape"]
    if not isinstance(entry, dict) or sorted(entry) != fields:
        raise ModelError(
            f"{source}: tensor {name!r}: expected {', '.join(fields)}, got {brief(entry)}. {_NOW}"
        )
    offsets = entry["data_offsets"]
    if not _are_naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ModelError(
            f"{source}: tensor {name!r}: expected data_offsets [begin, end], got {brief(offsets)}. {_NOW}"
        )
    return offsets[0], offsets[1]


def _check_entry(name: str, entry: dict[str, Any], end: int, source: str) -> int:
    """Where the tensor's bytes stop; they must begin at `end`, so none overlap and nothing hides between."""
    begin, stop = _span(name, entry, source)
    dtype, shape = entry["dtype"], entry["shape"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        known = ", ".join(DTYPES)
        raise ModelError(
            f"{source}: tensor {name!r}: unknown dtype {brief(dtype)}, expected one of {known}. {_NOW}"
        )
    if not _are_naturals(shape) or len(shape) > MAX_DIMENSIONS:
        raise ModelError(
            f"{source}: tensor {name!r}: expected a shape of whole numbers, got {brief(shape)}. {_NOW}"
        )
    size = DTYPES[dtype].itemsize
    for extent in shape:
        size *= extent
    if begin != end or stop - begin != size:
        raise ModelError(
            f"{source}: tensor {name!r}: expected bytes {end:,} to {end + size:,}, "
            f"got {begin:,} to {stop:,}. {_NOW}"
        )
    return stop


def _are_naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _names() -> str:
    return ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES.values())
