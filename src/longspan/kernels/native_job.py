"""One forward call of the engine for one layer and direction: what it is told, and its memory.

Calls without gradients keep theirs for the next call with weights at the same addresses. The engine compares
the weights that it packed there with those of the call, so that an address which has come to mean others does
no harm.
"""

from __future__ import annotations

import ctypes
from collections.abc import Hashable

from torch import Tensor, zeros

from longspan.kernels import native_buffers
from longspan.kernels.native_call import Call, CallFacts
from longspan.kernels.native_library import KEEP_NOTHING, PACK, Problem, Results, checked, library

__all__ = ["Job", "take_job"]


class Job:
    """A problem with its weights, and its memory.

    Attributes:
        problem: what does not lie in a tensor of this call is entered.
        results: to be entered.
        work: the work space; with the tape in front of it where none is kept.
        tape: the tape that is kept.
        key: what the job is kept by for the next call; None where it is not.
    """

    __slots__ = ("_references", "key", "problem", "results", "tape", "work")

    def __init__(self, problem: Problem, work: Tensor, tape: Tensor | None, key: Hashable | None) -> None:
        self.problem, self.results = problem, Results()
        self.work, self.tape, self.key = work, tape, key
        self._references = (ctypes.byref(problem), ctypes.byref(self.results))

    def run(self) -> None:
        """Run it; only once that is over, its memory is the next call's."""
        checked(library().longspan_forward(*self._references))
        if self.key is None:
            native_buffers.give(self.work)
        else:
            _kept.put(self.key, self)


_kept: native_buffers.Bounded[Job] = native_buffers.Bounded(
    1 << 27, lambda job: native_buffers.bytes_of(job.work)
)


def take_job(call: Call, side: CallFacts, place: int, keep: int) -> Job:
    """The job of a side; one that is kept has nobody else meanwhile: other threads get another one."""
    weights = call.addresses(place)
    if keep != KEEP_NOTHING or not native_buffers.may_keep():
        return _new_job(call, side, weights, keep, None)
    key = (side.family, weights)
    found = _kept.pop(key)
    return _new_job(call, side, weights, keep, key) if found is None else found


def _new_job(call: Call, side: CallFacts, weights: tuple[int, ...], keep: int, key: Hashable | None) -> Job:
    dtype, size = call.plan.dtype, call.size
    problem, tape = call.problem(side, weights), None
    if keep != KEEP_NOTHING:
        tape, work = native_buffers.take(side.tape, dtype), native_buffers.take(side.work, dtype)
        problem.tape, problem.work = tape.data_ptr(), work.data_ptr()
    else:
        both = side.tape + side.work
        work = native_buffers.take(both, dtype) if key is None else zeros(both, dtype=dtype)
        problem.tape = work.data_ptr()
        problem.work = problem.tape + side.tape * size
        if key is None:
            problem.packed = PACK
    problem.tape_bytes, problem.work_bytes = side.tape * size, side.work * size
    return Job(problem, work, tape, key)
