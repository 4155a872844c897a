// What the caller wants to see of every step.
#pragma once

#include "pack.h"

namespace longspan::LONGSPAN_ISA {

template <class T>
class Recorder {
  public:
    explicit Recorder(const Call& call) : call_(call) {
        if (call.results == nullptr) return;
        const auto& wanted = call.results->record;
        for (int which = 0; which < LONGSPAN_RECORDS; ++which) any_ |= wanted[which] != nullptr;
        for (int gate = 0; gate < 4; ++gate) {
            const bool untaped = has_coupled_f() && gate == 1;
            wants_pre_ |= wanted[LONGSPAN_RECORD_PRE + gate] != nullptr;
            wants_pre_ |= untaped && wanted[LONGSPAN_RECORD_GATE + gate] != nullptr;
        }
    }

    bool any() const { return any_; }

    // Whether the step has to leave its sums in the scratch space, before activation; and the coupled forget
    // gate.
    bool wants_pre() const { return wants_pre_; }

    // These units of one step.
    void write(const Place<T>& at, Index step, Index place, Units units) const {
        const Shape& s = call_.shape;
        const auto& wanted = call_.results->record;
        const auto write = [&](int which, const T* from, Index width) {
            T* to = at.recorded(wanted[which], step, place, width);
            const Index end = units.to < width ? units.to : width;
            if (to != nullptr) copy(from + units.from, end - units.from, to + units.from);
        };
        const T *gates = at.gates(step, place), *pre = at.scratch(place);
        for (Index chain = 0; chain < s.gates; ++chain) {
            const int gate = s.lstm ? call_.gate(chain) : static_cast<int>(chain);
            write(LONGSPAN_RECORD_GATE + gate, gates + chain * s.width, s.H);
            write(LONGSPAN_RECORD_PRE + gate, pre + gate * s.width, s.H);
        }
        if (has_coupled_f()) write(LONGSPAN_RECORD_GATE + 1, pre + 4 * s.width, s.H);
        write(LONGSPAN_RECORD_H, at.h(step + 1, place), s.P);
        if (s.lstm) write(LONGSPAN_RECORD_C, at.c(step + 1, place), s.H);
    }

  private:
    const Call& call_;
    bool any_ = false, wants_pre_ = false;

    // The forget gate of coupled gates is no row of the tape.
    bool has_coupled_f() const { return call_.shape.lstm && call_.shape.gates == 3; }
};

}  // namespace longspan::LONGSPAN_ISA
