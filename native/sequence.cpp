// Compiled once for each instruction set, with LONGSPAN_ISA its name: every phase of a call.
//
// No function of the standard library may be instantiated here: the linker would be free to give this copy of
// it, with this instruction set, to every other file.
#include <cstdint>
#include <type_traits>

#include "backward.h"
#include "sums.h"

namespace longspan::LONGSPAN_ISA {
namespace {

Index* list_of(const Call& call) {
    const Index size = call.problem->type == LONGSPAN_FLOAT64 ? 8 : 4;
    return reinterpret_cast<Index*>(static_cast<char*>(call.problem->work) + call.work.list * size);
}

// Numbers of the real rows, in the order of processing, and where each is in x.
void list_rows(const Call& call) {
    Index *numbers = list_of(call), *in_x = numbers + call.real;
    const longspan_problem& p = *call.problem;
    for (Index step = 0; step < p.steps; ++step) {
        for (Index place = 0; place < p.batch; ++place) {
            if (!call.active(place, step)) continue;
            *numbers++ = step * p.batch + place;
            *in_x++ = call.time(step) * p.x_time + call.order[place] * p.x_batch;
        }
    }
}

template <class T>
struct Tape {
    explicit Tape(const Call& call) : at(call), numbers(list_of(call)) {}
    Place<T> at;
    const Index* numbers;

    Source<T> tape(const Rows& rows) const { return {at.tape + rows.offset, rows.width, numbers}; }
    Source<T> work(const Rows& rows) const { return {at.work + rows.offset, rows.width, numbers}; }
    Source<T> x() const { return {static_cast<const T*>(at.call.problem->x), 1, numbers + at.call.real}; }
};

template <class T>
void sum_options(const Tape<T>& from, const Stack& stack, const Sums<T>& sums, void* const* out) {
    const Shape& s = from.at.call.shape;
    const TapeLayout& tape = from.at.call.tape;
    const WorkLayout& work = from.at.call.work;
    const auto to = [&](int which) { return static_cast<T*>(out[which]); };
    const Source<T> d = from.work(work.d_sums);
    if (s.norm) {
        sums.elements(stack, d, from.tape(tape.unit_x), {0, 1, 2, 3}, to(LONGSPAN_GAIN_IH));
        sums.elements(stack, d, from.tape(tape.unit_h), {0, 1, 2, 3}, to(LONGSPAN_GAIN_HH));
        const Stack cell{1, s.H, s.width, {0, 0, 0, 0}};
        const Source<T> d_c = from.work(work.d_product_c);
        sums.elements(cell, d_c, from.work(work.product_c), {0, 0, 0, 0}, to(LONGSPAN_GAIN_C));
        if (out[LONGSPAN_SHIFT_C] != nullptr) sums.elements(cell, d_c, to(LONGSPAN_SHIFT_C));
    }
    if (s.peephole) {
        const Index before = s.peeping - 1;  // i and, where there is one, f see the state before the step
        const Stack early{before, s.H, s.width, {0, 1, 0, 0}};
        const Stack late{1, s.H, s.width, {s.gates - 1, 0, 0, 0}};
        sums.elements(early, d, from.tape(tape.c), {0, 0, 0, 0}, to(LONGSPAN_WEIGHT_CH));
        sums.elements(late, d, from.work(work.new_c), {0, 0, 0, 0}, to(LONGSPAN_WEIGHT_CH) + before * s.H);
    }
    if (s.projection) {
        const Stack projected{1, s.P, s.h_width, {0, 0, 0, 0}};
        sums.weight(projected, from.work(work.d_h), from.tape(tape.shown), s.H, to(LONGSPAN_WEIGHT_HR));
    }
}

template <class T>
void sum_weights(const Call& call, int thread, int threads) {
    const Tape<T> from(call);
    const Shape& s = call.shape;
    void* const* out = call.gradients->weights;
    T* total = from.at.work + call.work.totals + thread * call.work.total_size;
    const Sums<T> sums(call, total, thread, threads);
    const Stack input{s.gates, s.H, s.width, {0, 1, 2, 3}};
    Stack recurrent = input;
    recurrent.row[s.gates - 1] = s.chains - 1;
    const Source<T> d = from.work(call.work.d_sums);
    const Source<T> d_x = s.norm ? from.work(call.work.d_unit_x) : d;
    const Source<T> d_h = s.norm ? from.work(call.work.d_unit_h) : d;
    const Source<T> seen = from.tape(s.drop ? call.tape.seen : call.tape.h);
    sums.weight(input, d_x, from.x(), s.I, static_cast<T*>(out[LONGSPAN_WEIGHT_IH]));
    sums.weight(recurrent, d_h, seen, s.P, static_cast<T*>(out[LONGSPAN_WEIGHT_HH]));
    if (out[LONGSPAN_BIAS_IH] != nullptr) sums.elements(input, d, static_cast<T*>(out[LONGSPAN_BIAS_IH]));
    if (out[LONGSPAN_BIAS_HH] != nullptr) sums.elements(recurrent, d, static_cast<T*>(out[LONGSPAN_BIAS_HH]));
    sum_options(from, input, sums, out);
}

// Gradient of x: one chain a gate, as for h; rows [k, k + count) of the list.
template <class T>
void input_rows(const Tape<T>& from, Index start, Index count, T* rows) {
    const Call& call = from.at.call;
    const longspan_problem& p = *call.problem;
    const Shape& s = call.shape;
    const Packed<T> w_ih{from.at.work + call.work.w_ih, s.gates * s.H, padded(s.I) / block};
    const Source<T> d = s.norm ? from.work(call.work.d_unit_x) : from.work(call.work.d_sums);
    const T* in[most_rows];
    T* out[most_rows];
    for (Index k = 0; k < count; ++k) out[k] = rows + k * padded(s.I);
    for (Index gate = 0; gate < s.gates; ++gate) {
        for (Index k = 0; k < count; ++k) in[k] = d.row(start + k) + gate * s.width;
        const Product<T> job{{{in, w_ih, gate * s.H, s.H}, {}}, 1,        nullptr, Begin::zero,
                             gate == 0 ? End::store : End::add, {1, 0, 0}};
        multiply<T>(count, job, 0, (w_ih.vectors + 3) / 4, out);
    }
    for (Index k = 0; k < count; ++k) {
        const Index number = from.numbers[start + k];
        const Index n = call.order[number % p.batch], t = call.time(number / p.batch);
        copy(out[k], s.I, static_cast<T*>(call.gradients->x) + (t * p.batch + n) * s.I);
    }
}

template <class T>
void input_gradient(const Call& call, int thread, int threads) {
    const Tape<T> from(call);
    const longspan_problem& p = *call.problem;
    T* rows = from.at.work + call.work.totals + thread * call.work.total_size;
    for (Index place = thread; place < p.batch; place += threads)
        for (Index t = call.length[place]; t < p.steps; ++t)
            clear(static_cast<T*>(call.gradients->x) + (t * p.batch + call.order[place]) * p.inputs,
                  p.inputs);
    const Share mine = share((call.real + most_rows - 1) / most_rows, thread, threads);
    for (Index part = mine.from; part < mine.to; ++part) {
        const Index start = part * most_rows, left = call.real - start;
        input_rows<T>(from, start, left < most_rows ? left : most_rows, rows);
    }
}

template <class T>
void phases(const Call& call, Phase phase, int thread, int threads) {
    switch (phase) {
        case Phase::pack:
            return pack<T>(call, false, thread, threads);
        case Phase::forward:
            return forward<T>(call, thread, threads);
        case Phase::pack_backward:
            if (thread == 0) list_rows(call);
            return pack<T>(call, true, thread, threads);
        case Phase::backward:
            return backward<T>(call, thread, threads);
        case Phase::sums:
            if (call.gradients->x != nullptr) input_gradient<T>(call, thread, threads);
            return sum_weights<T>(call, thread, threads);
    }
}

void run(const Call& call, Phase phase, int thread, int threads) {
    if (call.problem->type == LONGSPAN_FLOAT64)
        phases<double>(call, phase, thread, threads);
    else
        phases<float>(call, phase, thread, threads);
}

template <class T>
void activation(int function, Index count, const T* in, T* out) {
    for (Index k = 0; k < count; k += lanes<T>) {
        const Index here = count - k < lanes<T> ? count - k : lanes<T>;
        T part[lanes<T>] = {};
        copy(in + k, here, part);
        const Vec<T> x = load<T>(part);
        store<T>(part, function == 0 ? sigmoid<T>(x) : tanh<T>(x));
        copy(part, here, out + k);
    }
}

void activate(int function, int type, Index count, const void* in, void* out) {
    if (type == LONGSPAN_FLOAT64)
        activation<double>(function, count, static_cast<const double*>(in), static_cast<double*>(out));
    else
        activation<float>(function, count, static_cast<const float*>(in), static_cast<float*>(out));
}

}  // namespace

extern const Engine engine;
const Engine engine{run, activate};

}  // namespace longspan::LONGSPAN_ISA
