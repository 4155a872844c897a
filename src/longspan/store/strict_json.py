"""JSON read and written without surprises.

Python's reader accepts repeated keys (the last wins), ``NaN`` and ``Infinity``, numbers too large for a
double, and lone surrogates. Each of these lets two readers see two different documents, so here each is
refused.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from longspan.core.errors import ModelError

__all__ = ["brief", "dump", "parse"]


def dump(value: Any) -> bytes:
    """UTF-8, indented, ends with a line feed.

    Raises:
        ValueError: a number is not finite, or a value is not JSON.
    """
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def parse(data: bytes, source: str) -> Any:
    """The value in `data`; `source` is named in the errors.

    Raises:
        ModelError: not UTF-8, not JSON, cut off, a repeated key, a number not finite, nested too deeply.
    """
    try:
        text = data.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_int64,
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # finds lone surrogates
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{source}: expected UTF-8 text, got byte {data[error.start]:#04x} at {error.start}. {_NOW}"
        ) from None
    except UnicodeEncodeError:
        raise ModelError(f"{source}: expected text, got half of a surrogate pair. {_NOW}") from None
    except json.JSONDecodeError as error:
        what = (
            "it is empty" if not data.strip() else f"{error.msg} at line {error.lineno}, column {error.colno}"
        )
        raise ModelError(f"{source}: expected JSON, but {what}: cut off or altered. {_NOW}") from None
    except RecursionError:
        raise ModelError(f"{source}: nested too deeply to be one of ours. {_NOW}") from None
    except ValueError as error:
        raise ModelError(f"{source}: {error}. {_NOW}") from None
    return value


def brief(value: Any) -> str:
    """A value that was read, for an error: 80 characters at most, and none that steers a terminal."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


_NOW = "Restore it from a copy or make it again."


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {repeated!r} stands twice in one object")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"expected a number, got {name}")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _int64(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**64:
        raise ValueError(f"the number {text[:40]} is too large")
    return int(text)
