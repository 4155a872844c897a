// The time loop of all cells, for the sequences of one thread.
#pragma once

#include "aside.h"
#include "groups.h"
#include "kept.h"
#include "pointwise/gru.h"
#include "pointwise/lstm.h"
#include "pointwise/rnn.h"

namespace longspan::LONGSPAN_ISA {

// W is what packed weights are kept as.
template <class T, class W = T>
class Forward {
  public:
    explicit Forward(const Call& call)
        : call_(call), p_(*call.problem), s_(call.shape), at_(call), lstm_(call) {
        const Index vectors = s_.gates * s_.width / block;
        w_ih_ = {at_.template packed<W>(call.work.w_ih), s_.I, vectors};
        w_hh_ = {at_.template packed<W>(call.work.w_hh), s_.P, early() * s_.width / block};
        w_hn_ = {at_.template packed<W>(call.work.w_hh) + early() * s_.width * s_.P, s_.P, s_.width / block};
        w_hr_ = {at_.template packed<W>(call.work.w_hr), s_.H, s_.h_width / block};
        panels_ = {0, (vectors + 3) / 4};
        panels_hr_ = {0, (w_hr_.vectors + 3) / 4};
        units_ = {0, s_.width};
        marks_ = call.results != nullptr && call.recomputes() ? chunk_steps(p_, s_) : 0;
        for (int gate = 0; call.results != nullptr && gate < 4; ++gate) {
            const longspan_results& out = *call.results;
            const bool extra = s_.lstm && s_.gates == 3 && gate == 1;  // the coupled f is no row of the tape
            wants_pre_ |= out.record[LONGSPAN_RECORD_PRE + gate] != nullptr;
            wants_pre_ |= extra && out.record[LONGSPAN_RECORD_GATE + gate] != nullptr;
        }
        for (int which = 0; call.results != nullptr && which < LONGSPAN_RECORDS; ++which)
            records_ |= call.results->record[which] != nullptr;
    }

    // Rows that are kept for no one else lie where this thread has them to itself.
    void take_rows(int thread) { at_.thread = thread; }

    void run(const Group& group) {
        for (Index k = 0; k < group.count; ++k) begin(group.place[k]);
        go(group, {0, p_.steps});
    }

    // Steps [from, to) once more, for the backward pass, which has no results to write.
    void again(const Group& group, Share steps) {
        at_.first = steps.from;
        for (Index k = 0; k < group.count; ++k) restore(group.place[k], steps);
        go(group, steps);
    }

    // All threads on the same sequences, each with its own units, or its own sequences where a step needs a
    // whole row; they meet in between. What the last meeting leaves to do touches no row that others read
    // next.
    void run_shared(const Group& group, int thread, int threads) {
        take_units(thread, threads);
        const Share own = share(group.count, thread, threads);
        for (Index k = own.from; k < own.to; ++k) begin(group.place[k]);
        call_.meet(thread_);
        go_shared(group, {0, p_.steps}, thread, threads);
    }

    void again_shared(const Group& group, Share steps, int thread, int threads) {
        at_.first = steps.from;
        take_units(thread, threads);
        const Share own = share(group.count, thread, threads);
        for (Index k = own.from; k < own.to; ++k) restore(group.place[k], steps);
        call_.meet(thread_);
        go_shared(group, steps, thread, threads);
        call_.meet(thread_);
    }

  private:
    void go(const Group& group, Share steps) {
        const bool ahead = goes_ahead(group);
        for (Index step = steps.from; step < steps.to; ++step) {
            if (ahead && (step - steps.from) % ahead_steps == 0) look_ahead(group, step, steps);
            advance(group, step, ahead);
        }
    }

    void go_shared(const Group& group, Share steps, int thread, int threads) {
        const bool ahead = goes_ahead(group);
        for (Index step = steps.from; step < steps.to; ++step) {
            if (ahead && (step - steps.from) % ahead_steps == 0) look_ahead(group, step, steps);
            advance_shared(group, step, ahead, thread, threads);
        }
    }

    void take_units(int thread, int threads) {
        thread_ = thread;
        const Index blocks = s_.width / block,
                    whole = s_.gates == 4 ? 1 : 4;  // blocks that fill whole panels
        const Share mine = share((blocks + whole - 1) / whole, thread, threads);
        const Index last = mine.to * whole < blocks ? mine.to * whole : blocks;
        units_ = {mine.from * whole * block, last * block};
        panels_ = {mine.from * whole * s_.gates / 4, (last * s_.gates + 3) / 4};
        panels_hr_ = share((w_hr_.vectors + 3) / 4, thread, threads);
    }

    const Call& call_;
    const longspan_problem& p_;
    const Shape& s_;
    Place<T> at_;
    LstmForm<T> lstm_;
    Packed<W> w_ih_, w_hh_, w_hr_;
    Packed<W> w_hn_;  // U_n, where its product waits for r
    Aside<T> aside_;  // the input terms of coming steps
    static constexpr bool has_aside = Aside<T>::possible && std::is_same_v<T, W>;
    bool wants_pre_ = false, records_ = false;
    Index marks_ = 0;           // steps between two states that are kept; 0 where none is
    Share panels_, panels_hr_;  // of the products: all, or those of this thread
    Units units_;               // that these panels are about
    int thread_ = 0;            // who this is where threads meet

    Columns columns() const { return {s_.gates, s_.width, s_.gates - 1}; }
    Columns recurrent_columns() const {
        return {early(), s_.width, s_.reset_before ? early() - 1 : s_.chains - 1};
    }
    Index early() const { return s_.reset_before ? s_.gates - 1 : s_.gates; }  // gates that wait for none
    // Panels of a matrix of so many gates that are about these units.
    Share panels_of(Index gates) const {
        return {units_.from * gates / (4 * block), (units_.to * gates + 4 * block - 1) / (4 * block)};
    }
    T* reset_h(Index place) const { return at_.scratch(place) + 5 * s_.width; }
    T* state(int which, Index step, Index place) const {
        return which == 0 ? at_.h(step, place) : at_.c(step, place);
    }

    void begin(Index place) const {
        const Index n = call_.order[place], first = call_.first(place);
        for (int which = 0; which < s_.states(); ++which) {
            const Index width = s_.state_width(which);
            const T* const all = static_cast<const T*>(p_.state[which]);
            const T* initial = all == nullptr ? nullptr : all + n * width;
            if (call_.length[place] == 0) {
                T* final = static_cast<T*>(call_.results->state[which]) + n * width;
                if (initial == nullptr)
                    clear(final, width);
                else if (final != initial)
                    copy(initial, width, final);
                continue;
            }
            T* row = state(which, first, place);
            clear(row, padded(width));
            if (initial != nullptr) copy(initial, width, row);
        }
    }

    // The states that a chunk begins with: those that were kept, or the initial ones.
    void restore(Index place, Share steps) const {
        const Index first = call_.first(place), chunk = call_.work.chunk;
        if (call_.length[place] == 0 || first >= steps.to) return;
        if (first >= steps.from) return begin(place);
        if (!call_.active(place, steps.from)) return;
        const Index number = (steps.from - chunk_shift(p_, chunk)) / chunk;
        copy(at_.mark(0, number, place), s_.h_width, at_.h(steps.from, place));
        if (s_.lstm) copy(at_.mark(1, number, place), s_.width, at_.c(steps.from, place));
    }

    // Keep the states before the first step of a chunk.
    void mark(const Group& now, Index step, Share own) const {
        const Index past = step - chunk_shift(p_, marks_);
        if (past < 0 || past % marks_ != 0) return;
        for (Index k = own.from; k < own.to; ++k) {
            const Index place = now.place[k];
            copy(at_.h(step, place), s_.h_width, at_.mark(0, past / marks_, place));
            if (s_.lstm) copy(at_.c(step, place), s_.width, at_.mark(1, past / marks_, place));
        }
    }

    void start_anew(Index step, Index place) const {
        for (int which = 0; which < s_.states(); ++which) {
            const Index width = s_.state_width(which);
            T* row = state(which, step, place);
            if (p_.fresh[which] == nullptr)
                clear(row, width);
            else
                copy(static_cast<const T*>(p_.fresh[which]), width, row);
        }
    }

    // The input terms of the next steps are in the place of their sums from here on, and those of the steps
    // after them are begun with.
    void look_ahead(const Group& group, Index step, Share steps) {
        if (step == steps.from || !begins_aside(group, step, steps))
            for (Index k = 0; k < group.count; ++k) project_ahead(group.place[k], {step, steps.to});
        if constexpr (has_aside) {
            aside_.finish();
            if (begins_aside(group, step + ahead_steps, steps))
                project_aside(group.place[0], step + ahead_steps);
        }
    }

    // Whether the input terms of the steps from this one on are the product that is made aside.
    bool begins_aside(const Group& group, Index step, Share steps) const {
        if (!has_aside || group.count != 1) return false;
        const Index last = step + ahead_steps - 1, place = group.place[0];
        return w_ih_.vectors % 4 == 0 && w_hh_.vectors % 4 == 0 && last < steps.to &&
               call_.active(place, step) && call_.active(place, last);
    }

    // Of one sequence: rows of one product.
    void project_ahead(Index place, Share steps) const {
        const T* rows[ahead_steps];
        T* sums[ahead_steps];
        Index count = 0;
        for (Index step = steps.from; step < steps.from + ahead_steps && step < steps.to; ++step) {
            if (!call_.active(place, step)) continue;
            rows[count] = at_.x(step, place);
            sums[count++] = at_.gates(step, place);
        }
        multiply<T>(count, input_of(rows), panels_.from, panels_.to, sums);
    }

    void project_aside(Index place, Index from) {
        const T* rows[ahead_steps];
        T* sums[ahead_steps];
        for (Index k = 0; k < ahead_steps; ++k)
            rows[k] = at_.x(from + k, place), sums[k] = at_.gates(from + k, place);
        aside_.take(input_of(rows), panels_, rows, sums);
    }

    Product<T, W> input_of(const T* const* rows) const {
        return {{{rows, w_ih_, 0, s_.I}, {}}, 1, at_.bias(), Begin::bias, End::store, columns()};
    }

    bool goes_ahead(const Group& group) const {
        return group.count < 4 && p_.batch <= ahead_batch && p_.steps > 1 && !s_.norm;
    }

    struct Inputs {
        const T *x[most_rows], *h[most_rows];
        T* sums[most_rows];
        bool turned = false;
    };

    // Sequences [own.from, own.to) of those that are active, before the products of a step.
    void arrive(const Group& now, Index step, Share own) const {
        for (Index k = own.from; k < own.to; ++k) {
            const Index place = now.place[k];
            if (call_.resets(step, place)) start_anew(step, place);
            if (!s_.drop) continue;
            const T *row = at_.h(step, place), *factor = at_.drop(place);
            T* seen = at_.seen(step, place);
            each_vector<T>(s_.h_width, [&](Index u) LONGSPAN_BODY {
                store<T>(seen + u, load<T>(row + u) * load<T>(factor + u));
            });
        }
    }

    void every_product(const Group& now, Index step, bool ahead) {
        Inputs in;
        in.turned = step % 2 != 0;
        for (Index k = 0; k < now.count; ++k) {
            const Index place = now.place[k];
            in.x[k] = at_.x(step, place), in.h[k] = at_.seen(step, place),
            in.sums[k] = at_.gates(step, place);
        }
        if (s_.norm)
            separate_products(now, step, in);
        else
            products(now, in, ahead);
    }

    void advance(const Group& group, Index step, bool ahead) {
        Group some;
        const Group& now = active_of(call_, group, step, some);
        if (now.count == 0) return;
        if (marks_ > 0) mark(now, step, {0, now.count});
        arrive(now, step, {0, now.count});
        every_product(now, step, ahead);
        if (s_.reset_before) late_product(now, step, false);
        for (Index k = 0; k < now.count; ++k) {
            if (s_.norm) normalise_products(step, now.place[k]);
            pointwise(step, now.place[k]);
        }
        if (s_.projection) project(now, step);
        for (Index k = 0; k < now.count; ++k) finish(step, now.place[k]);
    }

    void advance_shared(const Group& group, Index step, bool ahead, int thread, int threads) {
        Group some;
        const Group& now = active_of(call_, group, step, some);
        if (now.count == 0) return;
        const Share own = share(now.count, thread, threads);
        if (marks_ > 0) mark(now, step, own);
        if (s_.drop || p_.reset != nullptr) {
            arrive(now, step, own);
            call_.meet(thread_);
        }
        fetch(now, step);
        every_product(now, step, ahead);
        if (s_.reset_before) late_product(now, step, true);
        if (by_units()) {
            for (Index k = 0; k < now.count; ++k) pointwise(step, now.place[k]);
            call_.meet(thread_);
            for (Index k = own.from; k < own.to; ++k) finish(step, now.place[k]);
            return;
        }
        call_.meet(thread_);
        const Units mine = units_;
        units_ = {0, s_.width};
        for (Index k = own.from; k < own.to; ++k) {
            if (s_.norm) normalise_products(step, now.place[k]);
            pointwise(step, now.place[k]);
        }
        units_ = mine;
        if (s_.projection) {
            call_.meet(thread_);
            project(now, step);
            call_.meet(thread_);
        }
        for (Index k = own.from; k < own.to; ++k) finish(step, now.place[k]);
        call_.meet(thread_);
    }

    // Of few rows, what other threads have written: all of it at once, where the product would wait for one
    // line after the other.
    void fetch(const Group& now, Index step) const {
        for (Index k = 0; k < now.count && k < rows_fetched; ++k)
            fetch_row(at_.seen(step, now.place[k]), s_.P);
    }

    // Whether the pointwise part of a step asks for no more than the units of its own.
    bool by_units() const { return !(s_.norm || s_.projection || s_.hold || wants_pre_); }

    void products(const Group& now, const Inputs& in, bool ahead) {
        const Operand<T, W> input{in.x, w_ih_, 0, s_.I}, recurrent{in.h, w_hh_, 0, s_.P};
        T* const* sums = in.sums;
        if (!s_.gru && !ahead) {
            const Product<T, W> job{{input, recurrent}, 2, at_.bias(), Begin::bias, End::store, columns()};
            return multiply<T>(now.count, job, panels_.from, panels_.to, sums);
        }
        if (!ahead) multiply<T>(now.count, input_of(in.x), panels_.from, panels_.to, sums);
        for (Index k = 0; s_.chains > s_.gates && k < now.count; ++k)
            copy(at_.bias() + s_.gates * s_.width + units_.from, units_.to - units_.from,
                 sums[k] + 3 * s_.width + units_.from);
        const Product<T, W> job{{recurrent, {}},     1,        nullptr, Begin::kept, End::store,
                                recurrent_columns(), in.turned};
        const Share panels = panels_of(early());
        if constexpr (has_aside)
            if (ahead && !aside_.done()) return aside_.multiply_row(job, panels, sums[0]);
        multiply<T>(now.count, job, panels.from, panels.to, sums);
    }

    // The product of n, which waits for r; threads that share the units of a step meet in between.
    void late_product(const Group& now, Index step, bool shared) const {
        const T* rows[most_rows];
        T* sums[most_rows];
        for (Index k = 0; k < now.count; ++k) {
            const Index place = now.place[k];
            rows[k] = reset_h(place), sums[k] = at_.gates(step, place);
            T* pre = wants_pre_ ? at_.scratch(place) : nullptr;
            gru_reset<T>(units_, sums[k], at_.seen(step, place), reset_h(place), pre);
        }
        if (shared) call_.meet(thread_);
        const Product<T, W> job{{{rows, w_hn_, 0, s_.P}, {}}, 1, nullptr, Begin::kept, End::store,
                                {1, s_.width, early()}};
        const Share panels = panels_of(1);
        multiply<T>(now.count, job, panels.from, panels.to, sums);
    }

    // Layer normalisation: each product by itself, then a_x N(W x) + a_h N(U h) + b.
    void separate_products(const Group& now, Index step, const Inputs& in) const {
        T *unit_x[most_rows], *unit_h[most_rows];
        for (Index k = 0; k < now.count; ++k) {
            unit_x[k] = at_.unit_x(step, now.place[k]);
            unit_h[k] = at_.unit_h(step, now.place[k]);
        }
        const Product<T, W> input{
            {{in.x, w_ih_, 0, s_.I}, {}}, 1, nullptr, Begin::zero, End::store, columns()};
        const Product<T, W> recurrent{
            {{in.h, w_hh_, 0, s_.P}, {}}, 1, nullptr, Begin::zero, End::store, columns()};
        multiply<T>(now.count, input, panels_.from, panels_.to, unit_x);
        multiply<T>(now.count, recurrent, panels_.from, panels_.to, unit_h);
    }

    void normalise_products(Index step, Index place) const {
        const T *gain_x = at_.work + call_.work.gain_ih, *gain_h = at_.work + call_.work.gain_hh;
        T *unit_x = at_.unit_x(step, place), *unit_h = at_.unit_h(step, place);
        T *scales = at_.scale(step, place), *sums = at_.gates(step, place);
        const T* const rows[2] = {unit_x, unit_h};
        T mean[2], scale[2];
        moments<T, 2>(rows, s_.gates, s_.H, s_.width, mean, scale);
        scales[0] = scale[0], scales[1] = scale[1];
        for (Index gate = 0; gate < s_.gates; ++gate) {
            for (Index u = 0; u < s_.width; u += lanes<T>) {
                const Index j = gate * s_.width + u;
                const Vec<T> x = (load<T>(unit_x + j) - splat<T>(mean[0])) * splat<T>(scale[0]);
                const Vec<T> h = (load<T>(unit_h + j) - splat<T>(mean[1])) * splat<T>(scale[1]);
                store<T>(unit_x + j, x), store<T>(unit_h + j, h);
                const Vec<T> bias = load<T>(at_.bias() + (u / block * s_.gates + gate) * block + u % block);
                store<T>(sums + j, fma(load<T>(gain_x + j), x, fma(load<T>(gain_h + j), h, bias)));
            }
        }
    }

    void pointwise(Index step, Index place) {
        T* pre = wants_pre_ ? at_.scratch(place) : nullptr;
        T *gates = at_.gates(step, place), *after = at_.h(step + 1, place);
        if (s_.lstm) {
            T* shown = s_.projection ? at_.shown(step, place) : after;
            T* moments = s_.norm ? at_.scale(step, place) + 2 : nullptr;
            lstm_forward<T>(lstm_, {gates, at_.c(step, place), at_.c(step + 1, place), shown, pre, moments},
                            units_);
        } else if (s_.reset_before) {
            gru_before_forward<T>(s_.width, units_, gates, at_.h(step, place), after, pre);
        } else if (s_.gru) {
            gru_forward<T>(s_.width, units_, gates, at_.h(step, place), after, pre);
        } else {
            rnn_forward<T>((p_.options & LONGSPAN_RELU) != 0, units_, gates, after, pre);
        }
    }

    void project(const Group& now, Index step) const {
        const T* rows[most_rows];
        T* out[most_rows];
        for (Index k = 0; k < now.count; ++k) {
            rows[k] = at_.shown(step, now.place[k]);
            out[k] = at_.h(step + 1, now.place[k]);
        }
        const Product<T, W> job{{{rows, w_hr_, 0, s_.H}, {}}, 1, nullptr, Begin::zero, End::store, {1, 0, 0}};
        multiply<T>(now.count, job, panels_hr_.from, panels_hr_.to, out);
    }

    // Zoneout of one state: what is held keeps its old value, or in evaluation the share that is expected.
    void hold(int which, Index step, Index place) const {
        const T rate = static_cast<T>(p_.zoneout[which]);
        if (rate == T(0)) return;
        const T* old = state(which, step, place);
        T* now = state(which, step + 1, place);
        const Index width = padded(s_.state_width(which));
        if (!p_.training)
            return each_vector<T>(width, [&](Index k) LONGSPAN_BODY {
                store<T>(now + k,
                         fma(splat<T>(rate), load<T>(old + k), splat<T>(T(1) - rate) * load<T>(now + k)));
            });
        std::uint16_t* const held = at_.held(which, step, place);
        hold_mask(call_, which, step, place, width, held);
        each_vector<T>(width, [&](Index k) LONGSPAN_BODY {
            store<T>(now + k, chosen<T>(held, k) ? load<T>(old + k) : load<T>(now + k));
        });
    }

    void finish(Index step, Index place) const {
        for (int which = 0; s_.hold && which < s_.states(); ++which) hold(which, step, place);
        if (call_.results == nullptr) return;
        const longspan_results& out = *call_.results;
        const Index n = call_.order[place];
        const T* h = at_.h(step + 1, place);
        copy_row(h, s_.P, static_cast<T*>(out.y) + call_.time(step) * out.y_time + n * out.y_batch);
        if (records_) record(step, place);
        if (step != call_.last(place)) return;
        for (int which = 0; which < s_.states(); ++which) {
            const Index width = s_.state_width(which);
            copy(state(which, step + 1, place), width, static_cast<T*>(out.state[which]) + n * width);
        }
    }

    void record(Index step, Index place) const {
        const auto& wanted = call_.results->record;
        const auto write = [&](int which, const T* from, Index width) {
            T* to = at_.recorded(wanted[which], step, place, width);
            if (to != nullptr) copy(from, width, to);
        };
        const T *gates = at_.gates(step, place), *pre = at_.scratch(place);
        for (Index chain = 0; chain < s_.gates; ++chain) {
            const int gate = s_.lstm ? call_.gate(chain) : static_cast<int>(chain);
            write(LONGSPAN_RECORD_GATE + gate, gates + chain * s_.width, s_.H);
            write(LONGSPAN_RECORD_PRE + gate, pre + gate * s_.width, s_.H);
        }
        if (s_.lstm && s_.gates == 3) write(LONGSPAN_RECORD_GATE + 1, pre + 4 * s_.width, s_.H);
        write(LONGSPAN_RECORD_H, at_.h(step + 1, place), s_.P);
        if (s_.lstm) write(LONGSPAN_RECORD_C, at_.c(step + 1, place), s_.H);
    }
};

template <class T, class W = T>
void forward(const Call& call, int thread, int threads) {
    if (call.problem->packed == LONGSPAN_PACK_CHANGED) {
        pack_changed<T, W>(call, thread, threads);
    } else if (call.problem->packed == LONGSPAN_PACK) {
        pack<T, W>(call, false, thread, threads);
        call.meet(thread);
    }
    Forward<T, W> loop(call);
    const Share mine = sequences_of(call, thread, threads);
    for (Index place = mine.from; place < mine.to; ++place) clear_padding<T>(call, place);
    if (!call.by_units) loop.take_rows(thread);
    if (!call.by_units) return each_group(mine, [&](const Group& group) { loop.run(group); });
    each_group({0, call.problem->batch},
               [&](const Group& group) { loop.run_shared(group, thread, threads); });
}

}  // namespace longspan::LONGSPAN_ISA
