// The states that steps begin with: initial ones, those after a reset, and those that are kept before a
// chunk.
#pragma once

#include "groups.h"

namespace longspan::LONGSPAN_ISA {

// Those before the first step of a sequence, which without steps are those after the last.
template <class T>
void begin(const Place<T>& at, Index place) {
    const Call& call = at.call;
    const Index n = call.order[place], first = call.first(place);
    for (int which = 0; which < call.shape.states(); ++which) {
        const Index width = call.shape.state_width(which);
        const T* const all = static_cast<const T*>(call.problem->state[which]);
        const bool none = call.length[place] == 0;
        T* const row =
            none ? static_cast<T*>(call.results->state[which]) + n * width : at.state(which, first, place);
        if (!none || all == nullptr) clear(row, none ? width : padded(width));
        if (all != nullptr && row != all + n * width) copy(all + n * width, width, row);
    }
}

// The states that a chunk begins with: those that were kept, or the initial ones.
template <class T>
void restore(const Place<T>& at, Index place, Share steps) {
    const Call& call = at.call;
    const Index first = call.first(place), chunk = call.work.chunk;
    if (call.length[place] == 0 || first >= steps.to) return;
    if (first >= steps.from) return begin(at, place);
    if (!call.active(place, steps.from)) return;
    const Index number = (steps.from - chunk_shift(*call.problem, chunk)) / chunk;
    copy(at.mark(0, number, place), call.shape.h_width, at.h(steps.from, place));
    if (call.shape.lstm) copy(at.mark(1, number, place), call.shape.width, at.c(steps.from, place));
}

// Keep the states before the first step of a chunk of so many steps.
template <class T>
void mark(const Place<T>& at, const Group& now, Index step, const Team& team, Index chunk) {
    const Shape& s = at.call.shape;
    const Index past = step - chunk_shift(*at.call.problem, chunk);
    if (past < 0 || past % chunk != 0) return;
    each_owned(team, now, [&](Index place) {
        copy(at.h(step, place), s.h_width, at.mark(0, past / chunk, place));
        if (s.lstm) copy(at.c(step, place), s.width, at.mark(1, past / chunk, place));
    });
}

template <class T>
void start_anew(const Place<T>& at, Index step, Index place) {
    for (int which = 0; which < at.call.shape.states(); ++which) {
        const Index width = at.call.shape.state_width(which);
        const T* const fresh = static_cast<const T*>(at.call.problem->fresh[which]);
        T* const row = at.state(which, step, place);
        if (fresh == nullptr)
            clear(row, width);
        else
            copy(fresh, width, row);
    }
}

}  // namespace longspan::LONGSPAN_ISA
