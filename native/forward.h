// The time loop of all cells, for the sequences of one thread.
#pragma once

#include "ahead.h"
#include "kept.h"
#include "pointwise/gru.h"
#include "pointwise/lstm.h"
#include "pointwise/rnn.h"
#include "recorder.h"
#include "states.h"
#include "zoneout.h"

namespace longspan::LONGSPAN_ISA {

// W is what packed weights are kept as.
template <class T, class W = T>
class Forward {
  public:
    explicit Forward(const Call& call)
        : call_(call),
          p_(*call.problem),
          s_(call.shape),
          at_(call),
          lstm_(call),
          w_ih_{at_.template packed<W>(call.work.w_ih), s_.I, s_.gates * s_.width / block},
          w_hh_{at_.template packed<W>(call.work.w_hh), s_.P, early() * s_.width / block},
          w_hr_{at_.template packed<W>(call.work.w_hr), s_.H, s_.h_width / block},
          w_hn_{w_hh_.data + early() * s_.width * s_.P, s_.P, s_.width / block},
          ahead_(call, w_ih_, columns(), w_ih_.vectors % 4 == 0 && w_hh_.vectors % 4 == 0),
          recorder_(call),
          marks_(call.results != nullptr && call.recomputes() ? chunk_steps(p_, s_) : 0),
          panels_{0, (w_ih_.vectors + 3) / 4},
          panels_hr_{0, (w_hr_.vectors + 3) / 4},
          units_{0, s_.width},
          by_units_(!(s_.norm || s_.projection || s_.hold || recorder_.wants_pre())) {}

    // Rows that are kept for no one else lie where this thread has them to itself.
    void take_rows(int thread) { at_.thread = thread; }

    // From here on this thread has its share of every step.
    void join(const Team& team) {
        team_ = team;
        const Index blocks = s_.width / block,
                    whole = s_.gates == 4 ? 1 : 4;  // blocks that fill whole panels
        const Share mine = share((blocks + whole - 1) / whole, team.thread, team.threads);
        units_ = {mine.from * whole * block, (mine.to * whole < blocks ? mine.to * whole : blocks) * block};
        panels_ = panels_of(s_.gates);
        panels_hr_ = share((w_hr_.vectors + 3) / 4, team.thread, team.threads);
    }

    void run(const Group& group) {
        each_owned(team_, group, [&](Index place) { begin(at_, place); });
        team_.meet(call_);
        go(group, {0, p_.steps});
    }

    // Steps [from, to) once more, for the backward pass, which has no results to write.
    void again(const Group& group, Share steps) {
        at_.first = steps.from;
        each_owned(team_, group, [&](Index place) { restore(at_, place, steps); });
        team_.meet(call_);
        go(group, steps);
        team_.meet(call_);
    }

  private:
    void go(const Group& group, Share steps) {
        const bool ahead = ahead_.worth(group);
        for (Index step = steps.from; step < steps.to; ++step) {
            if (ahead) ahead_.look(at_, group, step, steps, panels_);
            advance(group, step, ahead);
        }
    }

    const Call& call_;
    const longspan_problem& p_;
    const Shape& s_;
    Place<T> at_;
    LstmForm<T> lstm_;
    Packed<W> w_ih_, w_hh_, w_hr_;
    Packed<W> w_hn_;  // U_n, where its product waits for r
    Ahead<T, W> ahead_;
    Recorder<T> recorder_;
    Index marks_;               // steps between two states that are kept; 0 where none is
    Share panels_, panels_hr_;  // of the products: all, or those of this thread
    Units units_;               // that these panels are about
    Team team_;
    bool by_units_;  // the pointwise part of a step asks for no more than the units of its own

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

    struct Inputs {
        const T *x[most_rows], *h[most_rows];
        T* sums[most_rows];
        bool turned = false;
    };

    // Before the products of a step.
    void arrive(Index step, Index place) const {
        if (call_.resets(step, place)) start_anew(at_, step, place);
        if (!s_.drop) return;
        const T *row = at_.h(step, place), *factor = at_.drop(place);
        T* seen = at_.seen(step, place);
        each_vector<T>(s_.h_width, [&](Index u) LONGSPAN_BODY {
            store<T>(seen + u, load<T>(row + u) * load<T>(factor + u));
        });
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
        if (marks_ > 0) mark(at_, now, step, team_, marks_);
        if (s_.drop || p_.reset != nullptr) {
            each_owned(team_, now, [&](Index place) { arrive(step, place); });
            team_.meet(call_);
        }
        if (team_.threads > 1) fetch(now, step);
        every_product(now, step, ahead);
        if (s_.reset_before) late_product(now, step);
        if (by_units_)
            end_by_units(now, step);
        else
            end_by_rows(now, step);
    }

    // Everything but the results by units. Records too: another thread may be at the products of the next
    // step before a row of sums that both share is read.
    void end_by_units(const Group& now, Index step) {
        for (Index k = 0; k < now.count; ++k) {
            pointwise(step, now.place[k]);
            if (recorder_.any()) recorder_.write(at_, step, now.place[k], units_);
        }
        team_.meet(call_);
        each_owned(team_, now, [&](Index place) { give(step, place); });
    }

    void end_by_rows(const Group& now, Index step) {
        team_.meet(call_);
        const Units mine = units_;
        units_ = {0, s_.width};
        each_owned(team_, now, [&](Index place) {
            if (s_.norm) normalise_products(step, place);
            pointwise(step, place);
        });
        if (s_.projection) {
            team_.meet(call_);
            project(now, step);
            team_.meet(call_);
        }
        each_owned(team_, now, [&](Index place) {
            hold_states(step, place);
            if (recorder_.any()) recorder_.write(at_, step, place, units_);
            give(step, place);
        });
        units_ = mine;
        team_.meet(call_);
    }

    // Of few rows, what other threads have written: all of it at once, where the product would wait for one
    // line after the other.
    void fetch(const Group& now, Index step) const {
        for (Index k = 0; k < now.count && k < rows_fetched; ++k)
            fetch_row(at_.seen(step, now.place[k]), s_.P);
    }

    void products(const Group& now, const Inputs& in, bool ahead) {
        const Operand<T, W> input{in.x, w_ih_, 0, s_.I}, recurrent{in.h, w_hh_, 0, s_.P};
        T* const* sums = in.sums;
        if (!s_.gru && !ahead) {
            const Product<T, W> job{{input, recurrent}, 2, at_.bias(), Begin::bias, End::store, columns()};
            return multiply<T>(now.count, job, panels_.from, panels_.to, sums);
        }
        if (!ahead) {
            const Product<T, W> job = input_product<T>(in.x, w_ih_, at_.bias(), columns());
            multiply<T>(now.count, job, panels_.from, panels_.to, sums);
        }
        for (Index k = 0; s_.chains > s_.gates && k < now.count; ++k)
            copy(at_.bias() + s_.gates * s_.width + units_.from, units_.to - units_.from,
                 sums[k] + 3 * s_.width + units_.from);
        const Product<T, W> job{{recurrent, {}},     1,        nullptr, Begin::kept, End::store,
                                recurrent_columns(), in.turned};
        const Share panels = panels_of(early());
        if (ahead && ahead_.multiply_row(job, panels, sums[0])) return;
        multiply<T>(now.count, job, panels.from, panels.to, sums);
    }

    // The product of n, which waits for r of all units.
    void late_product(const Group& now, Index step) const {
        const T* rows[most_rows];
        T* sums[most_rows];
        for (Index k = 0; k < now.count; ++k) {
            const Index place = now.place[k];
            rows[k] = reset_h(place), sums[k] = at_.gates(step, place);
            T* pre = recorder_.wants_pre() ? at_.scratch(place) : nullptr;
            gru_reset<T>(units_, sums[k], at_.seen(step, place), reset_h(place), pre);
        }
        team_.meet(call_);
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
        const Moments<T> by_x{mean[0], scale[0]}, by_h{mean[1], scale[1]};
        for (Index gate = 0; gate < s_.gates; ++gate) {
            for (Index u = 0; u < s_.width; u += lanes<T>) {
                const Index j = gate * s_.width + u;
                const Vec<T> x = normalised<T>(load<T>(unit_x + j), by_x);
                const Vec<T> h = normalised<T>(load<T>(unit_h + j), by_h);
                store<T>(unit_x + j, x), store<T>(unit_h + j, h);
                const Vec<T> bias = load<T>(at_.bias() + (u / block * s_.gates + gate) * block + u % block);
                store<T>(sums + j, fma(load<T>(gain_x + j), x, fma(load<T>(gain_h + j), h, bias)));
            }
        }
    }

    void pointwise(Index step, Index place) {
        T* pre = recorder_.wants_pre() ? at_.scratch(place) : nullptr;
        T *gates = at_.gates(step, place), *after = at_.h(step + 1, place);
        if (s_.lstm) {
            T* shown = s_.projection ? at_.shown(step, place) : after;
            T* moments = s_.norm ? at_.moments_c(step, place) : nullptr;
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

    void hold_states(Index step, Index place) const {
        for (int which = 0; s_.hold && which < s_.states(); ++which)
            hold<T>(at_, which, step, place, at_.state(which, step, place),
                    at_.state(which, step + 1, place));
    }

    // The results of a step, where the caller wants them.
    void give(Index step, Index place) const {
        if (call_.results == nullptr) return;
        const longspan_results& out = *call_.results;
        const Index n = call_.order[place];
        const T* h = at_.h(step + 1, place);
        copy_row(h, s_.P, static_cast<T*>(out.y) + call_.time(step) * out.y_time + n * out.y_batch);
        if (step != call_.last(place)) return;
        for (int which = 0; which < s_.states(); ++which) {
            const Index width = s_.state_width(which);
            copy(at_.state(which, step + 1, place), width, static_cast<T*>(out.state[which]) + n * width);
        }
    }
};

template <class T, class W = T>
void forward(const Call& call, int thread, int threads) {
    if (call.problem->packed == LONGSPAN_PACK_CHANGED) {
        pack_changed<T, W>(call, thread, threads);
    } else if (call.problem->packed == LONGSPAN_PACK) {
        pack<T, W>(call, false, thread, threads);
        call.meet(thread);
    } else {
        draw_alone<T>(call, thread);
    }
    Forward<T, W> loop(call);
    const Share mine = sequences_of(call, thread, threads);
    for (Index place = mine.from; place < mine.to; ++place) clear_padding<T>(call, place);
    if (call.by_units)
        loop.join({thread, threads});
    else
        loop.take_rows(thread);
    each_group(call.by_units ? Share{0, call.problem->batch} : mine,
               [&](const Group& group) { loop.run(group); });
}

}  // namespace longspan::LONGSPAN_ISA
