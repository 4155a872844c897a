// The C interface: checks, the choice of instruction set, and the phases of a call in their order.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <limits>
#include <new>
#include <numeric>

#include "engine.h"
#include "longspan.h"
#include "threads.h"

namespace longspan {
namespace {

bool sizes_fit(const longspan_problem& p) {
    constexpr Index most = Index{1} << 31;
    for (const Index size : {p.steps, p.batch})
        if (size < 0 || size >= most) return false;
    for (const Index size : {p.inputs, p.hidden, p.width})
        if (size < 1 || size >= Index{1} << 22) return false;
    if (p.width > p.hidden || ((p.options & LONGSPAN_PROJECTION) == 0 && p.width != p.hidden)) return false;
    // The widest region has a few dozen rows of H or I for each step and sequence: their count must be an
    // Index.
    const double rows = (static_cast<double>(p.steps) + 32.0) * (static_cast<double>(p.batch) + 1.0);
    if (rows * static_cast<double>(64 * (p.hidden + p.inputs + 16)) > 0x1p60) return false;
    return p.threads >= 1 && p.threads <= most_threads;
}

bool weights_type_fits(const longspan_problem& p, bool backward) {
    if (p.weights_type == LONGSPAN_AS_TYPE) return true;
    return p.weights_type == LONGSPAN_BFLOAT16 && p.type == LONGSPAN_FLOAT32 && p.keep == 0 && !backward;
}

bool packed_fits(const longspan_problem& p, bool backward) {
    if (p.packed == LONGSPAN_PACK) return true;
    return (p.packed == LONGSPAN_PACKED || p.packed == LONGSPAN_PACK_CHANGED) && !backward &&
           (p.packed == LONGSPAN_PACKED || p.keep == LONGSPAN_KEEP_NOTHING);
}

bool options_fit(const longspan_problem& p) {
    constexpr int lstm =
        LONGSPAN_PEEPHOLE | LONGSPAN_COUPLED | LONGSPAN_NO_FORGET | LONGSPAN_LAYER_NORM | LONGSPAN_PROJECTION;
    constexpr int both = LONGSPAN_COUPLED | LONGSPAN_NO_FORGET;
    if (p.type != LONGSPAN_FLOAT32 && p.type != LONGSPAN_FLOAT64) return false;
    if (p.keep < LONGSPAN_KEEP_NOTHING || p.keep > LONGSPAN_KEEP_STATES) return false;
    for (const double rate : {p.recurrent_dropout, p.zoneout[0], p.zoneout[1]})
        if (!(rate >= 0.0 && rate <= 1.0)) return false;
    if (!(p.cell_clip >= 0.0) || p.layer < 0 || p.layer > 255 || p.direction < 0 || p.direction > 1)
        return false;
    if (p.cell == LONGSPAN_LSTM) return (p.options & ~lstm) == 0 && (p.options & both) != both;
    return p.cell_clip == 0.0 && ((p.cell == LONGSPAN_RNN && (p.options & ~LONGSPAN_RELU) == 0) ||
                                  (p.cell == LONGSPAN_GRU && (p.options & ~LONGSPAN_RESET_BEFORE) == 0));
}

bool weights_fit(const Shape& s, const void* const* weights) {
    bool needed[LONGSPAN_WEIGHTS] = {true, true};
    needed[LONGSPAN_WEIGHT_HR] = s.projection;
    needed[LONGSPAN_WEIGHT_CH] = s.peephole;
    for (const int which : {LONGSPAN_GAIN_IH, LONGSPAN_GAIN_HH, LONGSPAN_GAIN_C}) needed[which] = s.norm;
    for (int which = 0; which < LONGSPAN_WEIGHTS; ++which)
        if (needed[which] && weights[which] == nullptr) return false;
    return (weights[LONGSPAN_BIAS_IH] == nullptr) == (weights[LONGSPAN_BIAS_HH] == nullptr);
}

bool pointers_fit(const Call& call) {
    const longspan_problem& p = *call.problem;
    if (!weights_fit(call.shape, p.weights)) return false;
    if (p.batch == 0) return call.gradients == nullptr || p.work != nullptr;
    if (p.work == nullptr || p.tape == nullptr) return false;
    return p.steps == 0 || p.x != nullptr;
}

int check(const longspan_problem& p, bool backward) {
    if (!options_fit(p)) return LONGSPAN_BAD_OPTION;
    if (!sizes_fit(p)) return LONGSPAN_BAD_SHAPE;
    if (engine_of(p.isa) == nullptr)
        return engine_of(0) == nullptr ? LONGSPAN_NO_PROCESSOR : LONGSPAN_BAD_OPTION;
    return weights_type_fits(p, backward) && packed_fits(p, backward) ? LONGSPAN_OK : LONGSPAN_BAD_OPTION;
}

Index element(const longspan_problem& p) {
    return p.type == LONGSPAN_FLOAT64 ? 8 : 4;
}

Index element_of_weights(const longspan_problem& p) {
    return p.weights_type == LONGSPAN_BFLOAT16 ? 2 : element(p);
}

// The sequences, the longest first; equal ones in their own order, without memory from the heap.
void sort_by_length(const longspan_problem& p, Index* order) {
    std::iota(order, order + p.batch, Index{0});
    const int64_t* const of = p.lengths;
    if (of != nullptr)
        std::sort(order, order + p.batch,
                  [&](Index a, Index b) { return of[a] != of[b] ? of[a] > of[b] : a < b; });
}

// Sequences with lengths are dealt out like cards, there and back, so that about as many of every hand are
// still there at every step: threads that meet after every chunk of the backward pass have as much to do.
void deal(const Index* sorted, Index batch, Index hands, Index* order) {
    for (Index hand = 0; hand < hands; ++hand)
        for (Index round = 0; round * hands < batch; ++round) {
            const Index at = round * hands + (round % 2 == 0 ? hand : hands - 1 - hand);
            if (at < batch) *order++ = sorted[at];
        }
}

// A call that was laid out, and what that depends on: all that comes before the arrays.
struct Known {
    static constexpr std::size_t bytes = offsetof(longspan_problem, x);
    unsigned char facts[bytes];
    bool is_known = false;
    Call call;
};

// Sizes of a call, nothing of its arrays read. Streams and loops make the same few calls again and again:
// each thread knows the last ones.
int lay_out(const longspan_problem& p, bool backward, Call& call) {
    thread_local Known all[8];
    Known& known =
        all[(static_cast<unsigned>(p.layer) * 4u + static_cast<unsigned>(p.direction) * 2u + backward) % 8u];
    if (!known.is_known || std::memcmp(known.facts, &p, Known::bytes) != 0) {
        const int status = check(p, backward);
        if (status != LONGSPAN_OK) return status;
        Call made{};
        made.shape = shape_of(p);
        made.tape = tape_layout(p, made.shape);
        made.work = work_layout(p, made.shape, backward);
        std::memcpy(known.facts, &p, Known::bytes);
        known.call = made, known.is_known = true;
    }
    call = known.call;
    call.problem = &p;
    return LONGSPAN_OK;
}

int check_arrays(const Call& call) {
    const longspan_problem& p = *call.problem;
    if (!pointers_fit(call)) return LONGSPAN_BAD_POINTER;
    if (p.tape_bytes < call.tape.size * element(p) || p.work_bytes < call.work.size * element(p))
        return LONGSPAN_NO_MEMORY;
    for (Index n = 0; p.lengths != nullptr && n < p.batch; ++n)
        if (p.lengths[n] < 0 || p.lengths[n] > p.steps) return LONGSPAN_BAD_LENGTH;
    return LONGSPAN_OK;
}

// What a call needs beside its sizes, written into the work space.
void prepare(Call& call) {
    const longspan_problem& p = *call.problem;
    call.rows = p.tape;
    if (call.gradients != nullptr && call.recomputes()) {
        const TapeLayout marks = call.tape;
        call.tape = chunk_layout(p, call.shape, call.work.chunk);
        call.tape.mark_h = marks.mark_h, call.tape.mark_c = marks.mark_c;
        call.rows = static_cast<char*>(p.work) + call.work.again * element(p);
    }
    Index* order = reinterpret_cast<Index*>(static_cast<char*>(p.work) + call.work.order * element(p));
    Index *length = order + p.batch, *group = length + p.batch;
    sort_by_length(p, group);
    const bool dealt = p.lengths != nullptr && p.keep != LONGSPAN_KEEP_NOTHING;
    deal(group, p.batch, dealt ? std::max(call.shape.groups, std::min(most_groups, p.batch)) : 1, order);
    const Index size = group_size(p, call.shape);
    for (Index place = 0; place < p.batch; ++place) {
        length[place] = p.lengths == nullptr ? p.steps : p.lengths[order[place]];
        group[place] = place / size;
    }
    call.order = order, call.length = length, call.group = group;
    call.real = std::accumulate(length, length + p.batch, Index{0});
    call.together = p.keep != LONGSPAN_KEEP_NOTHING && call.shape.groups > 1 ? size : 1;
}

void measure_crossing(void* found, int share, int) {
    const double ns = Pool::global().barrier().crossing(share);
    if (share == 0) *static_cast<float*>(found) = static_cast<float>(ns / 1e3);
}

constexpr double sequences_us = 25.0;   // of work that are worth a thread with sequences of its own,
constexpr double units_us = 8.0;        // or one that shares the units of every step
constexpr double bytes_per_us = 1.5e5;  // of weights that do not stay in the nearest cache
constexpr double meeting_us = 0.1;      // of a meeting at every step, and besides
constexpr double crossings = 4.0;       // of a word from one thread to another
constexpr std::chrono::milliseconds crossing_holds{100};
constexpr Index unit_sharing_bytes = Index{1} << 21;  // weights that do not stay in a second-level cache
constexpr Index unit_sharing_rows = 8;                // rows for which a thread reads them at full speed
constexpr Index far_bytes = Index{1} << 24;           // weights that every cache is too small for,
constexpr Index far_rows = 256;                       // and rows that are worth reading all of them

// Microseconds that a word takes from one thread to another: some 0.04 where they share a cache, ten times
// that where they do not. Systems move threads about, so it is looked at again from time to time.
double crossing_us() {
    using Clock = std::chrono::steady_clock;
    static std::atomic<Clock::rep> next{0};
    static std::atomic<float> found{0.0f};
    const Clock::rep now = Clock::now().time_since_epoch().count();
    if (now >= next.load(std::memory_order_relaxed)) {
        float us = 1e6f;  // where nobody can be met, nothing can be shared
        Pool::global().run_together(2, measure_crossing, &us);
        found.store(us, std::memory_order_relaxed);
        next.store(now + Clock::duration(crossing_holds).count(), std::memory_order_relaxed);
    }
    return static_cast<double>(found.load(std::memory_order_relaxed));
}

// Microseconds of one thread for the terms of one row in a step.
double row_us(const Call& call) {
    const double weights =
        static_cast<double>(call.shape.gates * call.shape.H * (call.shape.I + call.shape.P));
    return weights *
           (2.0 / flops_per_us + static_cast<double>(element_of_weights(*call.problem)) / bytes_per_us);
}

// Whether a meeting at every step costs less than is saved by sharing its units.
bool worth_meeting(const Call& call, int shares) {
    const double saved = row_us(call) * (1.0 - 1.0 / shares);
    return saved > meeting_us && saved > meeting_us + crossings * crossing_us();
}

// Whether threads share out the units of a step instead of the sequences: where there are fewer sequences
// than threads, or where every thread would read all of large weights for a few rows.
bool by_units(const Call& call, int shares) {
    const longspan_problem& p = *call.problem;
    const Shape& s = call.shape;
    if (shares < 2 || s.width / (2 * 16) < shares) return false;
    const Index bytes = s.gates * s.H * (s.I + s.P) * element_of_weights(p);
    const auto thin = [&](Index least, Index rows) { return bytes >= least && p.batch < rows * shares; };
    return thin(unit_sharing_bytes, unit_sharing_rows) || thin(far_bytes, far_rows) ||
           (p.batch < shares && worth_meeting(call, shares));
}

struct Sharing {
    int shares;
    bool by_units;
};

// As many threads as the work is worth and can be shared by.
Sharing sharing_of(const Call& call) {
    const longspan_problem& p = *call.problem;
    const Shape& s = call.shape;
    const double weights = static_cast<double>(s.gates * s.H * (s.I + s.P));
    const double bytes = weights * static_cast<double>(element_of_weights(p) * p.steps);
    const double us = 2.0 * weights * static_cast<double>(call.real) / flops_per_us + bytes / bytes_per_us;
    const auto worth = [&](double least) {
        return std::clamp(static_cast<int>(std::min(us / least, 1e6)), 1, static_cast<int>(p.threads));
    };
    const int shares = worth(units_us);
    if (by_units(call, shares)) return {shares, true};
    const Index most = std::max<Index>((p.batch + call.together - 1) / call.together, 1);
    return {static_cast<int>(std::min<Index>(worth(sequences_us), most)), false};
}

// All threads at the same time, since they meet; one alone where others have the pool.
void run(Call& call, Run job) {
    const auto [shares, by_units] = sharing_of(call);
    call.by_units = by_units;
    if (run_together(call, job, shares)) return;
    call.by_units = false;
    run_alone(call, job);
}

// Whether a cell has this record: NO_FORGET has no forget gate, COUPLED has no sums of one.
bool has_record(const longspan_problem& p, int which) {
    if (which == LONGSPAN_RECORD_H) return true;
    if (which == LONGSPAN_RECORD_C) return p.cell == LONGSPAN_LSTM;
    if (p.cell == LONGSPAN_LSTM && which == LONGSPAN_RECORD_GATE + 1)
        return (p.options & LONGSPAN_NO_FORGET) == 0;
    if (p.cell == LONGSPAN_LSTM && which == LONGSPAN_RECORD_PRE + 1)
        return (p.options & (LONGSPAN_NO_FORGET | LONGSPAN_COUPLED)) == 0;
    const int gates = p.cell == LONGSPAN_LSTM ? 4 : p.cell == LONGSPAN_GRU ? 3 : 1;
    return which % LONGSPAN_RECORD_PRE < gates;
}

template <class Pointer>
bool records_fit(const longspan_problem& p, const Pointer* records) {
    for (int which = 0; which < LONGSPAN_RECORDS; ++which)
        if (records[which] != nullptr && !has_record(p, which)) return false;
    return true;
}

bool results_fit(const longspan_problem& p, const longspan_results& r) {
    if (p.batch == 0) return true;
    if (r.state[0] == nullptr || (p.cell == LONGSPAN_LSTM && r.state[1] == nullptr)) return false;
    return p.steps == 0 || r.y != nullptr;
}

bool gradients_fit(const longspan_problem& p, const longspan_gradients& g) {
    for (int which = 0; which < LONGSPAN_WEIGHTS; ++which)
        if (p.weights[which] != nullptr && g.weights[which] == nullptr) return false;
    return true;
}

}  // namespace
}  // namespace longspan

using namespace longspan;

extern "C" {

int32_t longspan_abi(void) {
    return LONGSPAN_ABI;
}

int32_t longspan_isa(void) {
    return best_isa();
}

int32_t longspan_sizes(const longspan_problem* problem, int32_t backward, int64_t* tape, int64_t* work) {
    if (problem == nullptr || tape == nullptr || work == nullptr) return LONGSPAN_BAD_POINTER;
    Call call;
    const int status = lay_out(*problem, backward != 0, call);
    if (status != LONGSPAN_OK) return status;
    *tape = call.tape.size * element(*problem);
    *work = call.work.size * element(*problem);
    return LONGSPAN_OK;
}

int32_t longspan_forward(const longspan_problem* problem, const longspan_results* results) {
    if (problem == nullptr || results == nullptr) return LONGSPAN_BAD_POINTER;
    Call call;
    int status = lay_out(*problem, false, call);
    if (status != LONGSPAN_OK) return status;
    status = check_arrays(call);
    if (status != LONGSPAN_OK) return status;
    if (!results_fit(*problem, *results)) return LONGSPAN_BAD_POINTER;
    if (!records_fit(*problem, results->record)) return LONGSPAN_BAD_OPTION;
    if (problem->batch == 0) return LONGSPAN_OK;
    call.results = results;
    prepare(call);
    run(call, engine_of(problem->isa)->forward);
    return LONGSPAN_OK;
}

int32_t longspan_forward_layers(const longspan_problem* problems, const longspan_results* results,
                                int32_t layers) {
    if (problems == nullptr || results == nullptr) return LONGSPAN_BAD_POINTER;
    int32_t status = LONGSPAN_OK;
    for (int32_t layer = 0; layer < layers && status == LONGSPAN_OK; ++layer)
        status = longspan_forward(problems + layer, results + layer);
    return status;
}

int32_t longspan_backward(const longspan_problem* problem, const longspan_gradients* gradients) {
    if (problem == nullptr || gradients == nullptr) return LONGSPAN_BAD_POINTER;
    if (problem->keep == LONGSPAN_KEEP_NOTHING) return LONGSPAN_BAD_OPTION;
    Call call;
    int status = lay_out(*problem, true, call);
    if (status != LONGSPAN_OK) return status;
    call.gradients = gradients;
    status = check_arrays(call);
    if (status != LONGSPAN_OK) return status;
    if (!gradients_fit(*problem, *gradients)) return LONGSPAN_BAD_POINTER;
    if (!records_fit(*problem, gradients->record)) return LONGSPAN_BAD_OPTION;
    prepare(call);
    run(call, engine_of(problem->isa)->backward);
    return LONGSPAN_OK;
}

void longspan_borrow_threads(void (*parallel)(void (*body)(void*), void* data, unsigned threads,
                                              unsigned flags),
                             int (*team)(void), int (*number)(void)) {
    const bool all = parallel != nullptr && team != nullptr && number != nullptr;
    Pool::global().borrow(all ? Lender{parallel, team, number} : Lender{});
}

int32_t longspan_activation(int32_t function, int32_t type, int32_t isa, int64_t count, const void* in,
                            void* out) {
    const Engine* engine = engine_of(isa);
    if (engine == nullptr || (function != 0 && function != 1)) return LONGSPAN_BAD_OPTION;
    if (type != LONGSPAN_FLOAT32 && type != LONGSPAN_FLOAT64) return LONGSPAN_BAD_OPTION;
    if (count < 0) return LONGSPAN_BAD_SHAPE;
    if (count > 0 && (in == nullptr || out == nullptr)) return LONGSPAN_BAD_POINTER;
    const StandardArithmetic standard;
    engine->activate(function, type, count, in, out);
    return LONGSPAN_OK;
}

}  // extern "C"
