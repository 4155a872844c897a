// One call of the engine, prepared: what every phase and every instruction set is given.
#pragma once

#include "layout.h"

namespace longspan {

struct Call {
    const longspan_problem* problem;
    const longspan_results* results;
    const longspan_gradients* gradients;
    Shape shape;
    TapeLayout tape;
    WorkLayout work;
    void* rows;           // what `tape` lays out: the caller's tape, or the chunk that is made again
    const Index* order;   // the sequence at each place, the longest first
    const Index* length;  // its length
    const Index* group;   // its group, by which it lies in memory
    Index real;           // steps of all sequences together
    Index together;       // sequences that one thread takes as a whole
    bool by_units;        // threads share out the units of a step, not the sequences
    void (*wait)(void* barrier, int thread);  // NULL where there is one thread
    void* barrier;

    // All threads of the call wait here for each other.
    LONGSPAN_INLINE void meet(int thread) const {
        if (wait != nullptr) wait(barrier, thread);
    }

    LONGSPAN_INLINE bool reverse() const { return problem->reverse != 0; }
    // Step s of the processing is element time(s) of the sequence.
    LONGSPAN_INLINE Index time(Index step) const { return reverse() ? problem->steps - 1 - step : step; }
    LONGSPAN_INLINE Index first(Index place) const { return reverse() ? problem->steps - length[place] : 0; }
    LONGSPAN_INLINE Index last(Index place) const {
        return reverse() ? problem->steps - 1 : length[place] - 1;
    }
    // Whether the steps of a chunk are made again from the states before it.
    LONGSPAN_INLINE bool recomputes() const { return problem->keep == LONGSPAN_KEEP_STATES; }
    LONGSPAN_INLINE bool active(Index place, Index step) const {
        return step >= first(place) && step <= last(place);
    }
    // Gate number of the header for row `chain` of the weights.
    LONGSPAN_INLINE int gate(Index chain) const {
        return static_cast<int>(shape.lstm && shape.gates == 3 && chain > 0 ? chain + 1 : chain);
    }
    LONGSPAN_INLINE bool resets(Index step, Index place) const {
        const longspan_problem& p = *problem;
        if (p.reset == nullptr) return false;
        // Going backward, a sequence ends where its first element is: the step after it belongs to another
        // one.
        const Index t = time(step) + (reverse() ? 1 : 0);
        return t < length[place] && p.reset[t * p.reset_time + order[place] * p.reset_batch] != 0;
    }
    LONGSPAN_INLINE std::uint64_t sample(Index place) const {
        const Index n = order[place];
        return static_cast<std::uint64_t>(problem->sample_ids == nullptr ? n : problem->sample_ids[n]);
    }
};

// Run by all threads of a call at the same time.
using Run = void (*)(const Call& call, int thread, int threads);
using Activate = void (*)(int function, int type, Index count, const void* in, void* out);
struct HorizonCall;
using RunHorizon = void (*)(const HorizonCall& call, int thread, int threads);

struct Engine {
    Run forward, backward;
    RunHorizon horizon_forward, horizon_backward;
    Activate activate;
};

#if defined(__x86_64__)
namespace v3 {
extern const Engine engine;
}
namespace v4 {
extern const Engine engine;
}
#else
namespace base {
extern const Engine engine;
}
#endif

}  // namespace longspan
