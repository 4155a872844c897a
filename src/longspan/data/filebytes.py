"""Bytes of a file: decompressed within a limit, decoded to UTF-8, with the place of every fault."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import polars as pl

from longspan.core.errors import DataError, InputError
from longspan.core.wording import passing, spell

__all__ = ["COMPRESSIONS", "check_utf8", "read_bytes", "to_utf8", "wrong_encoding"]

COMPRESSIONS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
_BLOCK = 1 << 20
_FULL_ZSTD_BLOCK = 128 << 10


def read_bytes(path: Path, compression: str | None, max_bytes: int) -> bytes:
    """The content of a file, decompressed; never more than ``max_bytes``.

    Raises:
        DataError: the content is larger than the limit, or the compressed file is damaged.
    """
    if compression is None:
        return path.read_bytes()
    if compression == "zstd":
        return _read_zstd(path, max_bytes)
    parts, size = [], 0
    try:
        with _open(path, compression) as stream:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > max_bytes:
                    raise _too_large(path, max_bytes)
                parts.append(block)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, OSError) as fault:
        raise _damaged(path, compression, fault) from fault
    return b"".join(parts)


def _open(path: Path, compression: str) -> IO[bytes]:
    if compression == "gzip":
        return cast("IO[bytes]", gzip.open(path))
    return bz2.open(path) if compression == "bzip2" else lzma.open(path)


def _too_large(path: Path, max_bytes: int) -> DataError:
    return DataError(
        f"expected at most {max_bytes:,} bytes after decompression, got more. Raise max_bytes if the file "
        "is trusted.",
        source=path.name,
    )


def _damaged(path: Path, compression: str, fault: Exception) -> DataError:
    return DataError(
        f"expected a whole {compression} file, got one that cannot be decompressed ({fault}). Fetch it "
        "again, or rename it if it is not compressed.",
        source=path.name,
    )


def _read_zstd(path: Path, max_bytes: int) -> bytes:
    """Decompress zstd with whatever is installed, once its headers have shown that it stays within the
    limit."""
    packed = path.read_bytes()
    try:
        bound = sum(zstd_block_sizes(packed))
    except (IndexError, struct.error, ValueError) as fault:
        raise _damaged(path, "zstd", fault) from fault
    if bound > max_bytes:
        raise _too_large(path, max_bytes)
    try:
        return _unpack_zstd(packed)
    except (OSError, ValueError, pl.exceptions.PolarsError) as fault:
        raise _damaged(path, "zstd", fault) from fault


def _unpack_zstd(packed: bytes) -> bytes:
    try:
        import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return _unpack_zstd_text(packed)
    with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
        return cast("bytes", stream.read())


def _unpack_zstd_text(packed: bytes) -> bytes:
    """Without pyarrow: polars unpacks zstd while it reads CSV, so whole lines are read as one text column."""
    lines = pl.read_csv(packed, has_header=False, separator="\x01", quote_char=None, infer_schema=False)
    if lines.width != 1:
        raise ValueError("binary content needs pyarrow")
    return "\n".join(lines.to_series().fill_null("")).encode()


def zstd_block_sizes(packed: bytes) -> Iterator[int]:
    """The most bytes that each block of a zstd file can unpack to (RFC 8878, 3.1.1); nothing is unpacked.

    A raw or repeated block states its size; a compressed one holds at most 128 KiB, so a sum over blocks
    bounds the whole, and a file that unpacks to far more than it seems is seen before memory is spent on it.
    """
    place = 0
    while place < len(packed):
        (magic,) = struct.unpack_from("<I", packed, place)
        place += 4
        if 0x184D2A50 <= magic <= 0x184D2A5F:
            place += 4 + struct.unpack_from("<I", packed, place)[0]
            continue
        if magic != 0xFD2FB528:
            raise ValueError(f"no zstd frame at byte {place - 4:,}")
        place, checksum = _skip_frame_header(packed, place)
        last = False
        while not last:
            header = int.from_bytes(packed[place : place + 3], "little")
            if place + 3 > len(packed):
                raise ValueError("the last block is missing")
            last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
            place += 3 + (1 if kind == 1 else size)
            yield _FULL_ZSTD_BLOCK if kind == 2 else size
        place += checksum


def _skip_frame_header(packed: bytes, place: int) -> tuple[int, int]:
    """Where the first block begins, and the bytes of the checksum behind the last."""
    descriptor = packed[place]
    single = descriptor >> 5 & 1
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    content = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    return place + 1 + (0 if single else 1) + dictionary + content, 4 if descriptor & 4 else 0


def to_utf8(content: bytes, encoding: str, source: str) -> bytes:
    """Recode bytes to UTF-8 without a byte-order mark.

    Raises:
        DataError: a byte that the encoding does not have, with its offset and row.
        InputError: no such encoding.
    """
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise InputError(
            f"encoding: expected a name such as utf-8, latin-1 or gb18030, got {encoding!r}"
        ) from None
    try:
        return content.decode(name).removeprefix("\ufeff").encode()
    except UnicodeDecodeError as fault:
        raise wrong_encoding(content, fault.start, encoding, source) from None


def check_utf8(content: bytes, source: str) -> None:
    """Refuse bytes that are not UTF-8: names the byte offset, the row and the likely encoding."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for first in range(0, len(content), _BLOCK):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(content[first : first + _BLOCK], final=first + _BLOCK >= len(content))
        except UnicodeDecodeError as fault:
            raise wrong_encoding(content, first - pending + fault.start, "utf-8", source) from None


def wrong_encoding(content: bytes, offset: int, encoding: str, source: str) -> DataError:
    """The refusal for a byte that is not of the encoding: its offset, its row, and what the file may be."""
    likely = likely_encoding(content, offset)
    what = (
        f"It looks like {likely}: pass {passing('encoding', likely)}."
        if likely
        else f"Pass its real encoding with {spell('encoding')}."
    )
    return DataError(
        f"expected {encoding} text, got byte 0x{content[offset]:02x} at offset {offset:,}. {what}",
        source=source,
        row=content.count(b"\n", 0, offset) + 1,
    )


def likely_encoding(content: bytes, offset: int = 0) -> str | None:
    """A guess for the message only, from the bytes around a fault: never used to read."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    sample = content[: 1 << 16]
    if sample.count(0, 0, 4096) > len(sample[:4096]) // 4:
        return "utf-16-le" if sample[1:2] == b"\x00" else "utf-16-be"
    line_start = content.rfind(b"\n", 0, offset) + 1
    around = content[line_start : line_start + (1 << 16)]
    around = around[: around.rfind(b"\n") + 1] or around
    for name, block in (("shift_jis", ("\u3040", "\u30ff")), ("gb18030", ("\u4e00", "\u9fff"))):
        if _mostly_within(around, name, *block):
            return name
    try:
        around.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252" if any(0x80 <= byte < 0xA0 for byte in around) else "latin-1"


def _mostly_within(content: bytes, encoding: str, first: str, last: str) -> bool:
    """Whether the text decodes and nine of ten letters outside ASCII lie in one block, several of them in a
    row."""
    try:
        foreign = [letter for letter in content.decode(encoding) if letter > "\x7f" and letter.isalpha()]
    except UnicodeDecodeError:
        return False
    # A byte of western text that happens to pair with the ASCII letter behind it makes no Chinese text.
    runs = re.findall(rb"[\x80-\xff]+", content)
    paired = encoding != "gb18030" or 10 * sum(len(run) % 2 == 0 for run in runs) >= 9 * len(runs)
    return (
        paired
        and len(foreign) >= 2
        and sum(first <= letter <= last for letter in foreign) >= 0.9 * len(foreign)
    )
