// Which sequences a thread takes, which of them go through time side by side, and what follows their ends.
#pragma once

#include "pack.h"

namespace longspan::LONGSPAN_ISA {

// Sequences that go through time together.
struct Group {
    Index place[most_rows];
    Index count = 0;
};

// The threads that go through time on the same sequences, each with its own units of a step; a thread with
// sequences of its own is a team of one.
struct Team {
    int thread = 0, threads = 1;

    // Some of what a step does takes whole rows of a sequence, and every sequence has one thread for that,
    // the same at all steps: what it leaves in those rows, it alone begins the next step with.
    bool owns(Index place) const { return threads == 1 || place % threads == thread; }
    void meet(const Call& call) const {
        if (threads > 1) call.meet(thread);
    }
};

// Calls act(place) for those of the group that this thread owns.
template <class Do>
LONGSPAN_INLINE void each_owned(const Team& team, const Group& group, Do act) {
    for (Index k = 0; k < group.count; ++k)
        if (team.owns(group.place[k])) act(group.place[k]);
}

// Those of a group that have this step; `some` is room for them where they are not all.
LONGSPAN_INLINE const Group& active_of(const Call& call, const Group& group, Index step, Group& some) {
    if (call.problem->lengths == nullptr) return group;
    some.count = 0;
    for (Index k = 0; k < group.count; ++k)
        if (call.active(group.place[k], step)) some.place[some.count++] = group.place[k];
    return some;
}

// Everything past the end of a sequence is zero.
template <class T>
void clear_padding(const Call& call, Index place) {
    const longspan_problem& p = *call.problem;
    const longspan_results& out = *call.results;
    const Index n = call.order[place];
    for (Index t = call.length[place]; t < p.steps; ++t) {
        clear(static_cast<T*>(out.y) + t * out.y_time + n * out.y_batch, p.width);
        for (int which = 0; which < LONGSPAN_RECORDS; ++which) {
            const Index width = which == LONGSPAN_RECORD_H ? p.width : p.hidden;
            if (out.record[which] != nullptr)
                clear(static_cast<T*>(out.record[which]) + (n * p.steps + t) * width, width);
        }
    }
}

// Sequences of one thread: neighbours, so that threads write to memory of their own, and about as many steps
// for each.
LONGSPAN_INLINE Share sequences_of(const Call& call, int thread, int threads) {
    const Index batch = call.problem->batch, whole = call.together;
    const auto within = [&](Index place) { return place < batch ? place : batch; };
    if (call.problem->lengths == nullptr || whole > 1) {
        const Share mine = share((batch + whole - 1) / whole, thread, threads);
        return {within(mine.from * whole), within(mine.to * whole)};
    }
    const auto boundary = [&](int number) {
        const Index wanted = call.real * number / threads;
        Index place = 0;
        for (Index steps = 0; place < batch && (steps < wanted || place % whole != 0); ++place)
            steps += call.length[place];
        return number == threads ? batch : place;
    };
    return {boundary(thread), boundary(thread + 1)};
}

// Calls run(group) for sequences [mine.from, mine.to) in groups of about the same size.
template <class Run>
void each_group(Share mine, Run run) {
    const Index count = mine.to - mine.from, groups = (count + most_rows - 1) / most_rows;
    for (Index number = 0; number < groups; ++number) {
        Group group;
        for (Index k = count * number / groups; k < count * (number + 1) / groups; ++k)
            group.place[group.count++] = mine.from + k;
        run(group);
    }
}

}  // namespace longspan::LONGSPAN_ISA
