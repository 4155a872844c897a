// The time loop backward: gradients of the sums of every step, of the states, and what crosses a reset.
#pragma once

#include <initializer_list>

#include "forward.h"

namespace longspan::LONGSPAN_ISA {

// Rows of one sequence in its scratch space.
template <class T>
struct Gradients {
    Gradients(const Place<T>& at, Index place) {
        const Shape& s = at.call.shape;
        T* next = at.scratch(place);
        for (T** row : {&h, &new_h, &direct, &product}) *row = next, next += s.h_width;
        for (T** row : {&c, &held_c, &shown, &hold, &spare, &new_c}) *row = next, next += s.width;
        for (T*& row : outside) row = next, next += s.width;
    }
    T *h, *new_h, *direct,
        *product;  // of h after the step; of h before zoneout; past the product; through it
    T *c, *held_c, *shown, *hold, *spare, *new_c;
    T* outside[8];  // gradients that the caller gives to gates and sums, in whole blocks
};

template <class T>
class Backward {
  public:
    explicit Backward(const Call& call)
        : call_(call), p_(*call.problem), s_(call.shape), in_(*call.gradients), at_(call), lstm_(call) {
        w_hh_ = {at_.work + call.work.w_hh, s_.gates * s_.H, s_.h_width / block};
        w_hr_ = {at_.work + call.work.w_hr, s_.P, s_.width / block};
    }

    void run(const Group& group) {
        for (Index k = 0; k < group.count; ++k) begin(group.place[k]);
        for (Index step = p_.steps - 1; step >= 0; --step) {
            Group now;
            for (Index k = 0; k < group.count; ++k)
                if (call_.active(group.place[k], step)) now.place[now.count++] = group.place[k];
            if (now.count > 0) retreat(now, step);
        }
    }

  private:
    const Call& call_;
    const longspan_problem& p_;
    const Shape& s_;
    const longspan_gradients& in_;
    Place<T> at_;
    LstmForm<T> lstm_;
    Packed<T> w_hh_, w_hr_;

    int states() const { return s_.lstm ? 2 : 1; }
    Index state_width(int which) const { return which == 0 ? s_.P : s_.H; }

    void begin(Index place) const {
        const Gradients<T> own(at_, place);
        const Index n = call_.order[place];
        for (int which = 0; which < states(); ++which) {
            const Index width = state_width(which);
            T* row = which == 0 ? own.h : own.c;
            clear(row, padded(width));
            if (in_.state[which] != nullptr)
                copy(static_cast<const T*>(in_.state[which]) + n * width, width, row);
            if (call_.length[place] == 0) copy(row, width, static_cast<T*>(in_.initial[which]) + n * width);
            if (in_.fresh[which] != nullptr) clear(static_cast<T*>(in_.fresh[which]) + n * width, width);
        }
    }

    void retreat(const Group& now, Index step) {
        for (Index k = 0; k < now.count; ++k) arrive(step, now.place[k]);
        if (s_.projection) unproject(now, step);
        for (Index k = 0; k < now.count; ++k) pointwise(step, now.place[k]);
        recur(now, step);
        for (Index k = 0; k < now.count; ++k) leave(step, now.place[k]);
    }

    static void add(const T* from, Index count, T* to) {
        for (Index k = 0; k < count; ++k) to[k] += from[k];
    }

    // Zoneout: `whole` is split into what goes to the old state and what goes to the new one.
    void split(int which, Index step, Index place, const T* whole, T* held, T* old_part, T* new_part) const {
        const T rate = static_cast<T>(p_.zoneout[which]);
        const Index width = padded(state_width(which));
        if (p_.training && rate > T(0)) hold_mask<T>(call_, which, step, place, width, held);
        each_vector<T>(width, [&](Index k) {
            const Vec<T> d = load<T>(whole + k), none = splat<T>(0);
            if (p_.training && rate > T(0)) {
                const auto hit = load<T>(held + k) != none;
                store<T>(old_part + k, hit ? d : none);
                store<T>(new_part + k, hit ? none : d);
            } else {
                store<T>(old_part + k, rate > T(0) ? splat<T>(rate) * d : none);
                store<T>(new_part + k, rate > T(0) ? splat<T>(T(1) - rate) * d : d);
            }
        });
    }

    void arrive(Index step, Index place) const {
        const Gradients<T> own(at_, place);
        const Index n = call_.order[place];
        if (in_.y != nullptr)
            add(static_cast<const T*>(in_.y) + call_.time(step) * in_.y_time + n * in_.y_batch, s_.P, own.h);
        const T* more = at_.recorded(in_.record[LONGSPAN_RECORD_H], step, place, s_.P);
        if (more != nullptr) add(more, s_.P, own.h);
        split(0, step, place, own.h, own.hold, own.direct, own.new_h);
        if (!s_.lstm) return;
        more = at_.recorded(in_.record[LONGSPAN_RECORD_C], step, place, s_.H);
        if (more != nullptr) add(more, s_.H, own.c);
        split(1, step, place, own.c, own.hold, own.held_c, own.c);
    }

    void unproject(const Group& now, Index step) const {
        const T* rows[most_rows];
        T* out[most_rows];
        for (Index k = 0; k < now.count; ++k) {
            const Gradients<T> own(at_, now.place[k]);
            T* kept = at_.work + call_.work.d_h.at(step, now.place[k]);
            copy(own.new_h, s_.h_width, kept);
            rows[k] = kept;
            out[k] = own.shown;
        }
        const Product<T> job{{{rows, w_hr_, 0, s_.P}, {}}, 1, nullptr, Begin::zero, End::store, {1, 0, 0}};
        multiply<T>(now.count, job, 0, (w_hr_.vectors + 3) / 4, out);
    }

    // What the caller gives to gate or sum number `which`, in whole blocks; NULL for nothing.
    const T* outside(int which, Index step, Index place, const Gradients<T>& own) const {
        const T* given = at_.recorded(in_.record[which], step, place, s_.H);
        if (given == nullptr) return nullptr;
        T* row = own.outside[which];
        clear(row + s_.width - block, block);
        copy(given, s_.H, row);
        return row;
    }

    void pointwise(Index step, Index place) {
        const Gradients<T> own(at_, place);
        const T *gate[4], *pre[4];
        for (int k = 0; k < 4; ++k) {
            gate[k] = outside(LONGSPAN_RECORD_GATE + k, step, place, own);
            pre[k] = outside(LONGSPAN_RECORD_PRE + k, step, place, own);
        }
        const T* gates = at_.gates(step, place);
        T* d_sums = at_.d_sums(step, place);
        if (s_.lstm) {
            const WorkLayout& w = call_.work;
            T* new_c = s_.peephole ? at_.work + w.new_c.at(step, place) : s_.norm ? own.new_c : nullptr;
            T* unit_c = s_.norm ? at_.work + w.product_c.at(step, place) : nullptr;
            T* d_unit_c = s_.norm ? at_.work + w.d_product_c.at(step, place) : nullptr;
            const T* shown = s_.projection ? own.shown : own.new_h;
            lstm_backward<T>(lstm_, {gates,
                                     d_sums,
                                     at_.c(step, place),
                                     shown,
                                     own.c,
                                     {gate[0], gate[1], gate[2], gate[3]},
                                     {pre[0], pre[1], pre[2], pre[3]},
                                     new_c,
                                     unit_c,
                                     d_unit_c,
                                     own.spare});
            if (s_.norm) unnormalise(step, place);
        } else if (s_.gru) {
            gru_backward<T>(s_.width, gates, d_sums, at_.h(step, place), own.new_h, gate, pre, own.spare);
            add(own.spare, s_.width, own.direct);
        } else {
            rnn_backward<T>((p_.options & LONGSPAN_RELU) != 0, s_.width, gates, d_sums, own.new_h, gate[0],
                            pre[0]);
        }
    }

    // From the gradients of the sums to those of the two products, before their normalisation.
    void unnormalise(Index step, Index place) const {
        const WorkLayout& w = call_.work;
        const T *sums = at_.d_sums(step, place), *scale = at_.scale(step, place);
        const auto through = [&](Index gain, const T* unit, T factor, T* to) {
            const T* gains = at_.work + gain;
            each_vector<T>(s_.gates * s_.width,
                           [&](Index k) { store<T>(to + k, load<T>(sums + k) * load<T>(gains + k)); });
            normalise_backward<T>(unit, to, factor, s_.gates, s_.H, s_.width, to);
        };
        through(w.gain_ih, at_.unit_x(step, place), scale[0], at_.work + w.d_unit_x.at(step, place));
        through(w.gain_hh, at_.unit_h(step, place), scale[1], at_.work + w.d_unit_h.at(step, place));
    }

    // Through the recurrent product: one chain a gate, added up in the order of the gates.
    void recur(const Group& now, Index step) const {
        const T* rows[most_rows];
        T* out[most_rows];
        for (Index gate = 0; gate < s_.gates; ++gate) {
            const Index chain = gate == s_.gates - 1 ? s_.chains - 1 : gate;
            for (Index k = 0; k < now.count; ++k) {
                const Index place = now.place[k];
                const T* from =
                    s_.norm ? at_.work + call_.work.d_unit_h.at(step, place) : at_.d_sums(step, place);
                rows[k] = from + chain * s_.width;
                out[k] = Gradients<T>(at_, place).product;
            }
            const Product<T> job{{{rows, w_hh_, gate * s_.H, s_.H}, {}}, 1,        nullptr, Begin::zero,
                                 gate == 0 ? End::store : End::add,      {1, 0, 0}};
            multiply<T>(now.count, job, 0, (w_hh_.vectors + 3) / 4, out);
        }
    }

    void leave(Index step, Index place) const {
        const Gradients<T> own(at_, place);
        const Index n = call_.order[place];
        const T* factor = at_.drop(place);
        each_vector<T>(s_.h_width, [&](Index k) {
            const Vec<T> through = load<T>(own.product + k), direct = load<T>(own.direct + k);
            store<T>(own.h + k, s_.drop ? fma(through, load<T>(factor + k), direct) : through + direct);
        });
        if (s_.lstm && p_.zoneout[1] > 0.0) add(own.held_c, s_.width, own.c);
        const bool anew = call_.resets(step, place);
        for (int which = 0; which < states(); ++which) {
            T* row = which == 0 ? own.h : own.c;
            const Index width = state_width(which);
            if (anew) {
                if (in_.fresh[which] != nullptr)
                    add(row, width, static_cast<T*>(in_.fresh[which]) + n * width);
                clear(row, padded(width));
            }
            if (step == call_.first(place)) copy(row, width, static_cast<T*>(in_.initial[which]) + n * width);
        }
    }
};

template <class T>
void backward(const Call& call, int thread, int threads) {
    Backward<T> loop(call);
    Group group;
    for (Index place = thread; place < call.problem->batch; place += threads) {
        group.place[group.count++] = place;
        if (group.count < most_rows && place + threads < call.problem->batch) continue;
        loop.run(group);
        group.count = 0;
    }
}

}  // namespace longspan::LONGSPAN_ISA
