"""The C interface of the native engine in Python: ``native/include/longspan.h``, field by field.

The library is found beside this package, or at ``LONGSPAN_NATIVE_LIBRARY``. Where there is none, or it is of
another version, ``library`` raises ``NativeError`` with the reason, and the dispatch takes another kernel.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from ctypes import POINTER, Structure, c_double, c_int32, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from longspan.core.errors import LongspanError

__all__ = [
    "ABI",
    "GATE",
    "KEEP_ALL",
    "KEEP_NOTHING",
    "KEEP_STATES",
    "LAYERS",
    "MOST_THREADS",
    "PACK",
    "PACKED",
    "PACK_CHANGED",
    "PRE",
    "RECORDS",
    "STATUS",
    "TYPES",
    "WEIGHTS",
    "Gradients",
    "Horizon",
    "HorizonGradients",
    "NativeError",
    "Pinball",
    "Problem",
    "Results",
    "Running",
    "borrow_threads",
    "checked",
    "held_library",
    "library",
    "running",
]

ABI = 8
KEEP_NOTHING, KEEP_ALL, KEEP_STATES = 0, 1, 2  # enum longspan_keep
MOST_THREADS = 256  # of a call
PACK, PACKED, PACK_CHANGED = 0, 1, 2  # enum longspan_packed
WEIGHTS = (
    "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "weight_ch",
    "gain_ih", "gain_hh", "gain_c", "shift_c",
)  # fmt: skip
GATE, PRE, RECORDS = 0, 4, 10

STATUS = {
    -1: "this processor has neither AVX2 with FMA nor is it an aarch64",
    -2: "a size is out of range, or sizes contradict each other",
    -3: "an array that the call needs is missing",
    -4: "a length lies outside of 0 and the number of steps",
    -5: "the tape or the work space is too small",
    -6: "a cell, type, instruction set or record is unknown, or options contradict each other",
}


class NativeError(LongspanError, RuntimeError):
    """The native engine is missing, does not fit this version, or refused a call."""


class Problem(Structure):
    """``struct longspan_problem``."""

    _fields_ = (
        *(
            (name, c_int32)
            for name in (
                "cell",
                "options",
                "type",
                "training",
                "reverse",
                "keep",
                "threads",
                "isa",
                "packed",
                "weights_type",
            )
        ),
        *((name, c_int64) for name in ("steps", "batch", "inputs", "hidden", "width")),
        ("cell_clip", c_double),
        ("layer", c_int32),
        ("direction", c_int32),
        ("recurrent_dropout", c_double),
        ("zoneout", c_double * 2),
        ("x", c_void_p),
        ("x_time", c_int64),
        ("x_batch", c_int64),
        ("state", c_void_p * 2),
        ("weights", c_void_p * len(WEIGHTS)),
        ("lengths", c_void_p),
        ("reset", c_void_p),
        ("reset_time", c_int64),
        ("reset_batch", c_int64),
        ("fresh", c_void_p * 2),
        ("seed", c_int64),
        ("first_step", c_int64),
        ("sample_ids", c_void_p),
        ("tape", c_void_p),
        ("work", c_void_p),
        ("tape_bytes", c_int64),
        ("work_bytes", c_int64),
    )


class Results(Structure):
    """``struct longspan_results``."""

    _fields_ = (
        ("y", c_void_p),
        ("y_time", c_int64),
        ("y_batch", c_int64),
        ("state", c_void_p * 2),
        ("record", c_void_p * RECORDS),
    )


class Gradients(Structure):
    """``struct longspan_gradients``."""

    _fields_ = (
        ("y", c_void_p),
        ("y_time", c_int64),
        ("y_batch", c_int64),
        ("state", c_void_p * 2),
        ("record", c_void_p * RECORDS),
        ("x", c_void_p),
        ("x_time", c_int64),
        ("x_batch", c_int64),
        ("initial", c_void_p * 2),
        ("fresh", c_void_p * 2),
        ("weights", c_void_p * len(WEIGHTS)),
    )


TYPES = {torch.float32: 0, torch.float64: 1}
LAYERS = 4  # of a horizon, at most


class Horizon(Structure):
    """``struct longspan_horizon``."""

    _fields_ = (
        *((name, c_int32) for name in ("type", "threads", "isa", "layers")),
        *((name, c_int64) for name in ("batch", "steps", "summary_width", "codes", "known")),
        ("widths", c_int64 * LAYERS),
        *((name, c_void_p) for name in ("summary", "future", "plan", "plan_bias", "shared", "shared_bias")),
        ("weights", c_void_p * LAYERS),
        ("biases", c_void_p * LAYERS),
        ("tape", c_void_p),
        ("work", c_void_p),
        ("tape_bytes", c_int64),
        ("work_bytes", c_int64),
    )


class HorizonGradients(Structure):
    """``struct longspan_horizon_gradients``."""

    _fields_ = (
        *(
            (name, c_void_p)
            for name in ("y", "summary", "future", "plan", "plan_bias", "shared", "shared_bias")
        ),
        ("weights", c_void_p * LAYERS),
        ("biases", c_void_p * LAYERS),
    )


class Pinball(Structure):
    """``struct longspan_pinball``."""

    _fields_ = tuple((name, c_void_p) for name in ("target", "anchor", "levels", "loss", "anchor_gradient"))


def _path() -> Path:
    """Where the library is, or would be; an editable installation keeps it apart from the sources."""
    named = os.environ.get("LONGSPAN_NATIVE_LIBRARY")
    if named:
        return Path(named)
    package = sys.modules[__name__.partition(".")[0]]
    places = [Path(folder) / "_native" / "liblongspan.so" for folder in package.__path__]
    return next((place for place in places if place.is_file()), places[0])


# Functions that take structures by reference, counts and no address as a number: ``byref`` hands them over as
# they are, and a declaration of their arguments would only have them looked at, for a fifth of a small step.
_BY_REFERENCE = (
    "longspan_abi", "longspan_isa", "longspan_sizes", "longspan_forward", "longspan_forward_layers",
    "longspan_backward", "longspan_horizon_sizes", "longspan_horizon_backward", "longspan_horizon_learn",
)  # fmt: skip


def _declare(loaded: ctypes.CDLL) -> None:
    for name in _BY_REFERENCE:
        getattr(loaded, name).restype = c_int32
    for name, arguments in (
        ("longspan_horizon_forward", (POINTER(Horizon), c_void_p)),
        ("longspan_activation", (c_int32, c_int32, c_int32, c_int64, c_void_p, c_void_p)),
    ):
        function = getattr(loaded, name)
        function.argtypes, function.restype = arguments, c_int32
    loaded.longspan_borrow_threads.argtypes = (c_void_p, c_void_p, c_void_p)
    loaded.longspan_borrow_threads.restype = None


@cache
def library() -> ctypes.CDLL:
    """The library, loaded once.

    Raises:
        NativeError: there is none, it cannot be loaded, or this processor cannot run it.
    """
    path = _path()
    if not path.is_file():
        raise NativeError(
            f"there is no native library at {path}: install longspan where there is a C++ compiler"
        )
    try:
        loaded = ctypes.CDLL(str(path))
        _declare(loaded)
    except (OSError, AttributeError) as error:
        raise NativeError(f"the native library {path} cannot be loaded: {error}") from error
    if loaded.longspan_abi() != ABI:
        raise NativeError(
            f"expected version {ABI} of the native interface in {path}, got {loaded.longspan_abi()}: "
            "reinstall longspan"
        )
    if loaded.longspan_isa() == 0:
        raise NativeError(STATUS[-1])
    borrow_threads(loaded)
    return loaded


@cache
def held_library() -> ctypes.CDLL:
    """The library, for calls that keep the lock of the interpreter.

    To let it go costs a call of a few microseconds no more than a twentieth where nobody waits for it. Where
    another thread computes in Python, that thread then has the lock for up to five milliseconds.
    """
    held = ctypes.PyDLL(library()._name)
    _declare(held)
    return held


def borrow_threads(loaded: ctypes.CDLL, *, borrow: bool = True) -> None:
    """Let the engine run on torch's threads, where they are those of GNU OpenMP, or on its own again.

    Torch's threads spin for milliseconds after each of its own operators, and a second set of threads would
    have to share the processors with them.
    """
    if not borrow:
        loaded.longspan_borrow_threads(None, None, None)
        return
    process = ctypes.CDLL(None)
    names = ("GOMP_parallel", "omp_get_num_threads", "omp_get_thread_num")
    if all(hasattr(process, name) for name in names):
        loaded.longspan_borrow_threads(*(ctypes.cast(getattr(process, name), c_void_p) for name in names))


class Running(NamedTuple):
    """How calls run: ``threads`` at most; ``isa`` 0 for the best build, 3 or 4 for one of them (in tests)."""

    threads: int
    isa: int = 0


@cache
def _running(threads: int) -> Running:
    return Running(min(threads, MOST_THREADS))


def running() -> Running:
    """As many threads as torch uses, up to what the engine takes."""
    return _running(torch.get_num_threads())


class _Outcome(dict[int, None]):
    """Nothing for a status of 0, an error for every other."""

    def __missing__(self, status: int) -> None:
        raise NativeError(f"the native engine refused the call: {STATUS.get(status, f'status {status}')}")


# Raises what a status of the engine means, if it is not 0. A function in Python would take 0.1 µs.
checked: Callable[[int], None] = _Outcome({0: None}).__getitem__
