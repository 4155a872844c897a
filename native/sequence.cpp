// Compiled once for each instruction set, with LONGSPAN_ISA its name: every phase of a call.
//
// No function of the standard library may be instantiated here: the linker would be free to give this copy of
// it, with this instruction set, to every other file.
#include <cstdint>
#include <type_traits>

#include "backward.h"
#include "horizon.h"
#include "sums.h"

namespace longspan::LONGSPAN_ISA {
namespace {

// Gradients of everything that is summed over time and over a group of sequences: one part of them, by one
// thread.
template <class T>
class WeightGradients {
  public:
    WeightGradients(const Call& call, Index group, int thread, Part part)
        : call_(call),
          s_(call.shape),
          at_(call),
          layout_(sums_layout(call.shape)),
          total_(at_.work + call.work.sums + group * layout_.size),
          rows_(call, places_of(call, group), list_of(at_, thread)),
          sums_(rows_, part),
          input_{s_.gates, s_.H, s_.width, {0, 1, 2, 3}},
          recurrent_(input_),
          late_gate_{1, s_.H, s_.width, {2, 0, 0, 0}},
          projected_{1, s_.P, s_.h_width, {0, 0, 0, 0}},
          cell_{1, s_.H, s_.width, {0, 0, 0, 0}},
          early_{s_.peeping - 1, s_.H, s_.width, {0, 1, 0, 0}},
          late_{1, s_.H, s_.width, {s_.gates - 1, 0, 0, 0}},
          thread_(thread),
          part_(part) {
        recurrent_.row[s_.gates - 1] = s_.chains - 1;
        if (s_.reset_before) recurrent_.gates = 2;
    }

    void clear() const {
        each_weight([&](const Stack& stack, Index columns, Index total, T*) {
            sums_.clear_weight(stack, columns, total_ + total);
        });
        each_vector(
            [&](const Stack& stack, Index total, void*) { sums_.clear_elements(stack, total_ + total); });
    }

    void write() const {
        each_weight([&](const Stack& stack, Index columns, Index total, T* to) {
            sums_.write_weight(stack, columns, total_ + total, to);
        });
        each_vector([&](const Stack& stack, Index total, void* to) {
            sums_.write_elements(stack, total_ + total, static_cast<T*>(to));
        });
    }

    // The steps [from, to) of a chunk that the time loop has gone through.
    void add(Index from, Index to) {
        rows_.list(from, to);
        if (rows_.count() == 0) return;
        const WorkLayout& w = call_.work;
        const Index wide = s_.gates * s_.width;
        const Source<T> d = ring(w.d_sums, s_.chains * s_.width);
        const Source<T> d_x = s_.norm ? ring(w.d_unit_x, wide) : d,
                        d_h = s_.norm ? ring(w.d_unit_h, wide) : d;
        const Source<T> x{static_cast<const T*>(call_.problem->x), 1, rows_.in_x()};
        const Source<T> seen = tape(s_.drop ? call_.tape.seen : call_.tape.h);
        sums_.weight(input_, d_x, x, s_.I, total_ + layout_.w_ih);
        sums_.weight(recurrent_, d_h, seen, s_.P, total_ + layout_.w_hh);
        if (s_.reset_before)
            sums_.weight(late_gate_, d, ring(w.reset_h, s_.h_width), s_.P, total_ + layout_.w_hn);
        add_elements(d);
        if (s_.projection)
            sums_.weight(projected_, ring(w.d_h, s_.h_width), tape(call_.tape.shown), s_.H,
                         total_ + layout_.w_hr);
        if (call_.gradients->x != nullptr) add_input(d_x);
    }

  private:
    const Call& call_;
    const Shape& s_;
    Place<T> at_;
    SumsLayout layout_;
    T* total_;
    Rows rows_;
    Sums<T> sums_;
    Stack input_, recurrent_, late_gate_, projected_, cell_, early_, late_;
    int thread_;
    Part part_;

    static Share places_of(const Call& call, Index group) {
        const Index size = group_size(*call.problem, call.shape);
        return {group * size, (group + 1) * size};
    }
    static Index* list_of(const Place<T>& at, int thread) {
        return reinterpret_cast<Index*>(at.work + at.call.work.list + thread * at.call.work.list_size);
    }
    void* out(int which) const { return call_.gradients->weights[which]; }
    Source<T> tape(const longspan::Rows& rows) const {
        return {at_.tape + rows.offset, rows.width, call_.recomputes() ? rows_.ring() : rows_.tape()};
    }
    Source<T> ring(Index region, Index width) const { return {at_.work + region, width, rows_.ring()}; }

    template <class Do>
    void each_weight(Do act) const {
        const auto to = [&](int which) { return static_cast<T*>(out(which)); };
        act(input_, s_.I, layout_.w_ih, to(LONGSPAN_WEIGHT_IH));
        act(recurrent_, s_.P, layout_.w_hh, to(LONGSPAN_WEIGHT_HH));
        if (s_.reset_before) act(late_gate_, s_.P, layout_.w_hn, to(LONGSPAN_WEIGHT_HH) + 2 * s_.H * s_.P);
        if (s_.projection) act(projected_, s_.H, layout_.w_hr, to(LONGSPAN_WEIGHT_HR));
    }

    template <class Do>
    void each_vector(Do act) const {
        if (out(LONGSPAN_BIAS_IH) != nullptr) {
            act(input_, layout_.bias_ih, out(LONGSPAN_BIAS_IH));
            // One sum is the gradient of both, unless the GRU has another one for the product with h.
            act(input_, s_.chains > s_.gates ? layout_.bias_hh : layout_.bias_ih, out(LONGSPAN_BIAS_HH));
        }
        if (s_.norm) {
            act(input_, layout_.gain_ih, out(LONGSPAN_GAIN_IH));
            act(input_, layout_.gain_hh, out(LONGSPAN_GAIN_HH));
            act(cell_, layout_.gain_c, out(LONGSPAN_GAIN_C));
            if (out(LONGSPAN_SHIFT_C) != nullptr) act(cell_, layout_.shift_c, out(LONGSPAN_SHIFT_C));
        }
        if (!s_.peephole) return;
        T* const peep = static_cast<T*>(out(LONGSPAN_WEIGHT_CH));
        act(early_, layout_.peep, peep);
        act(late_, layout_.peep + early_.gates * s_.width, peep + early_.gates * s_.H);
    }

    // The weights that are vectors; those of one row of gradients together.
    void add_elements(const Source<T>& d) const {
        const WorkLayout& w = call_.work;
        const TapeLayout& t = call_.tape;
        const bool bias = out(LONGSPAN_BIAS_IH) != nullptr;
        if (s_.norm) {
            const Factor<T> gains[] = {{total_ + layout_.gain_ih, tape(t.unit_x), {0, 1, 2, 3}},
                                       {total_ + layout_.gain_hh, tape(t.unit_h), {0, 1, 2, 3}},
                                       {total_ + layout_.bias_ih}};
            sums_.elements(input_, d, gains, bias ? 3 : 2);
            const Factor<T> cell[] = {{total_ + layout_.gain_c, ring(w.product_c, s_.width)},
                                      {total_ + layout_.shift_c}};
            const bool shift = out(LONGSPAN_SHIFT_C) != nullptr;
            sums_.elements(cell_, ring(w.d_product_c, s_.width), cell, shift ? 2 : 1);
        } else if (bias) {
            sums_.elements(input_, d, {total_ + layout_.bias_ih});
            if (s_.chains > s_.gates) sums_.elements(recurrent_, d, {total_ + layout_.bias_hh});
        }
        if (s_.peephole) {  // i and, where there is one, f see the state before the step
            T* const peep = total_ + layout_.peep;
            sums_.elements(early_, d, {peep, tape(t.c)});
            sums_.elements(late_, d, {peep + early_.gates * s_.width, ring(w.new_c, s_.width)});
        }
    }

    void input_products(Index count, const T* const* d, const Packed<T>& w_ih, T* const* out) const {
        if (w_ih.vectors == 1 && s_.gates == 4) return gates_block<T, 4>(count, d, s_.width, w_ih, s_.H, out);
        if (w_ih.vectors == 1 && s_.gates == 3) return gates_block<T, 3>(count, d, s_.width, w_ih, s_.H, out);
        const T* in[gradient_rows];
        for (Index gate = 0; gate < s_.gates; ++gate) {
            for (Index k = 0; k < count; ++k) in[k] = d[k] + gate * s_.width;
            const Product<T> job{{{in, w_ih, gate * s_.H, s_.H}, {}}, 1,        nullptr, Begin::zero,
                                 gate == 0 ? End::store : End::add,   {1, 0, 0}};
            multiply<T>(count, job, 0, (w_ih.vectors + 3) / 4, out);
        }
    }

    // Gradient of x: one chain a gate, as for h.
    void add_input(const Source<T>& d) const {
        const Share mine = part_.of(rows_.count());
        const Packed<T> w_ih{at_.work + call_.work.w_ih, s_.gates * s_.H, padded(s_.I) / block};
        T* const rows = at_.work + call_.work.gradients + thread_ * call_.work.gradients_size;
        T* const d_x = static_cast<T*>(call_.gradients->x);
        for (Index start = mine.from; start < mine.to; start += gradient_rows) {
            const Index count = mine.to - start < gradient_rows ? mine.to - start : gradient_rows;
            const T* in[gradient_rows];
            T* result[gradient_rows];
            for (Index k = 0; k < count; ++k) result[k] = rows + k * padded(s_.I), in[k] = d.row(start + k);
            input_products(count, in, w_ih, result);
            for (Index k = 0; k < count; ++k) copy(result[k], s_.I, d_x + rows_.in_dx()[start + k]);
        }
    }
};

template <class T>
void clear_input_padding(const Call& call, int thread, int threads) {
    const longspan_problem& p = *call.problem;
    const longspan_gradients& to = *call.gradients;
    if (to.x == nullptr) return;
    for (Index place = thread; place < p.batch; place += threads)
        for (Index t = call.length[place]; t < p.steps; ++t)
            clear(static_cast<T*>(to.x) + t * to.x_time + call.order[place] * to.x_batch, p.inputs);
}

// The call as the forward pass saw it, but for the place of its rows: to make those of a chunk again.
Call forward_again(const Call& call) {
    Call again = call;
    again.results = nullptr;
    again.work.w_ih = call.work.again_ih, again.work.w_hh = call.work.again_hh;
    again.work.w_hr = call.work.again_hr, again.work.scratch = call.work.again_scratch;
    return again;
}

// The groups whose sums a thread makes: its own, or with the others all of them.
struct Groups {
    Share numbers;
    bool own;
    Part part;  // of each sum
};

Groups groups_for(const Call& call, Share sequences, int thread, int threads) {
    const Index size = group_size(*call.problem, call.shape), all = call.shape.groups;
    if (call.by_units || all == 1) return {{0, all}, threads == 1, {thread, threads}};
    return {{sequences.from / size, sequences.to / size}, true, {0, 1}};
}

// Apart from the time loop: in one function with it, gcc lays the loop out a tenth slower.
template <class T, class Do>
__attribute__((noinline)) void each_sum(const Call& call, const Groups& groups, int thread, Do act) {
    for (Index group = groups.numbers.from; group < groups.numbers.to; ++group) {
        WeightGradients<T> sums(call, group, thread, groups.part);
        act(sums);
    }
}

template <class T>
void backward(const Call& call, int thread, int threads) {
    const longspan_problem& p = *call.problem;
    pack<T>(call, true, thread, threads);
    const Call before = forward_again(call);
    if (call.recomputes()) pack<T>(before, false, thread, threads);
    Forward<T> again(before);
    clear_input_padding<T>(call, thread, threads);
    const Share mine = sequences_of(call, thread, threads);
    const Groups groups = groups_for(call, mine, thread, threads);
    each_sum<T>(call, groups, thread, [](const WeightGradients<T>& sums) { sums.clear(); });
    Backward<T> loop(call);
    for (Index place = mine.from; place < mine.to; ++place) loop.begin(place);
    if (call.by_units) {
        loop.join({thread, threads});
        again.join({thread, threads});
    }
    call.meet(thread);
    const Index chunk = call.work.chunk, shift = chunk_shift(p, chunk);
    for (Index to = p.steps; to > 0;) {
        Index from = shift + (to - 1 - shift) / chunk * chunk;
        if (to <= shift) from = 0;
        const Share steps{from, to};
        each_group(call.by_units ? Share{0, p.batch} : mine, [&](const Group& group) {
            if (call.recomputes()) again.again(group, steps);
            loop.run(group, steps);
        });
        if (!groups.own) call.meet(thread);
        each_sum<T>(call, groups, thread, [&](WeightGradients<T>& sums) { sums.add(from, to); });
        if (!groups.own) call.meet(thread);
        to = from;
    }
    const Index groups_in_all = call.shape.groups;
    if (groups_in_all > 1) {
        T* const sums = static_cast<T*>(p.work) + call.work.sums;
        const Index size = sums_layout(call.shape).size;
        const int owners = call.by_units ? 0 : threads;
        if (owners > 0) add_up<T>(sums, groups_in_all, size, owners, thread, {0, 1});
        call.meet(thread);
        add_up<T>(sums, groups_in_all, size, owners, -1, {thread, threads});
        call.meet(thread);
    }
    WeightGradients<T>(call, 0, thread, {thread, threads}).write();
}

void run_forward(const Call& call, int thread, int threads) {
    if (call.problem->type == LONGSPAN_FLOAT64)
        forward<double>(call, thread, threads);
    else if (call.problem->weights_type == LONGSPAN_BFLOAT16)
        forward<float, Bfloat16>(call, thread, threads);
    else
        forward<float>(call, thread, threads);
}

void run_backward(const Call& call, int thread, int threads) {
    if (call.problem->type == LONGSPAN_FLOAT64)
        backward<double>(call, thread, threads);
    else
        backward<float>(call, thread, threads);
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

void run_horizon_forward(const HorizonCall& call, int thread, int threads) {
    const bool wide = call.problem->type == LONGSPAN_FLOAT64;
    (wide ? horizon_forward<double> : horizon_forward<float>)(call, thread, threads);
}

void run_horizon_backward(const HorizonCall& call, int thread, int threads) {
    const bool wide = call.problem->type == LONGSPAN_FLOAT64;
    (wide ? horizon_backward<double> : horizon_backward<float>)(call, thread, threads);
}

extern const Engine engine;
const Engine engine{run_forward, run_backward, run_horizon_forward, run_horizon_backward, activate};

}  // namespace longspan::LONGSPAN_ISA
