// The time loop backward: gradients of the sums of every step, of the states, and what crosses a reset.
#pragma once

#include <initializer_list>

#include "forward.h"
#include "gates.h"

namespace longspan::LONGSPAN_ISA {

// Rows of one sequence in its scratch space.
template <class T>
struct Gradients {
    Gradients(const Place<T>& at, Index place) {
        const Shape& s = at.call.shape;
        T* next = at.scratch(place);
        for (T** row : {&h, &new_h, &direct, &product}) *row = next, next += s.h_width;
        for (T** row : {&c, &held_c, &shown, &spare, &new_c}) *row = next, next += s.width;
        for (T*& row : outside) row = next, next += s.width;
    }
    T *h, *new_h, *direct,
        *product;  // of h after the step; of h before zoneout; past the product; through it
    T *c, *held_c, *shown, *spare, *new_c;
    T* outside[8];  // gradients that the caller gives to gates and sums, in whole blocks
};

template <class T>
class Backward {
  public:
    explicit Backward(const Call& call)
        : call_(call), p_(*call.problem), s_(call.shape), in_(*call.gradients), at_(call), lstm_(call) {
        w_hh_ = {at_.work + call.work.w_hh, s_.gates * s_.H, s_.h_width / block};
        w_hr_ = {at_.work + call.work.w_hr, s_.P, s_.width / block};
        by_units_ = found_by_units();
        panels_ = {0, (w_hh_.vectors + 3) / 4};
        panels_hr_ = {0, (w_hr_.vectors + 3) / 4};
        units_ = {0, s_.width};
    }

    // Steps [from, to) of sequences whose later steps are done; their rows lie in the chunk from its
    // beginning.
    void run(const Group& group, Share steps) {
        first_ = steps.from;
        if (call_.recomputes()) at_.first = first_;
        for (Index step = steps.to - 1; step >= steps.from; --step) {
            Group some;
            const Group& now = active_of(call_, group, step, some);
            if (now.count > 0) retreat(now, step);
        }
    }

    // From here on this thread has its share of every step.
    void join(const Team& team) {
        team_ = team;
        panels_ = share(panels_.to, team.thread, team.threads);
        panels_hr_ = share(panels_hr_.to, team.thread, team.threads);
        units_ = {panels_.from * 4 * block, panels_.to * 4 * block};
        if (units_.to > s_.width) units_.to = s_.width;
    }

    void begin(Index place) const {
        const Gradients<T> own(at_, place);
        const Index n = call_.order[place];
        for (int which = 0; which < s_.states(); ++which) {
            const Index width = s_.state_width(which);
            T* row = which == 0 ? own.h : own.c;
            clear(row, padded(width));
            if (in_.state[which] != nullptr)
                copy(static_cast<const T*>(in_.state[which]) + n * width, width, row);
            if (call_.length[place] == 0) give_initial(which, row, n * width, width);
            if (in_.fresh[which] != nullptr) clear(static_cast<T*>(in_.fresh[which]) + n * width, width);
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
    Share panels_, panels_hr_;  // of the products: all, or those of this thread
    Units units_;               // that these panels are about
    Team team_;
    bool by_units_ = false;
    Index first_ = 0;  // step of the first row of the chunk

    // Row of a step and place in a region of the chunk.
    T* ring(Index region, Index width, Index step, Index place) const {
        return at_.work + region + call_.work.number.of(step - first_, place, call_.group[place]) * width;
    }
    T* d_sums(Index step, Index place) const {
        return ring(call_.work.d_sums, s_.chains * s_.width, step, place);
    }

    void retreat(const Group& now, Index step) {
        if (by_units())
            retreat_by_units(now, step);
        else
            retreat_by_rows(now, step);
    }

    void retreat_by_units(const Group& now, Index step) {
        for (Index k = 0; k < now.count; ++k) {
            arrive_plain(step, now.place[k]);
            pointwise(step, now.place[k]);
        }
        team_.meet(call_);
        if (s_.reset_before) {
            products_of_reset(now, step);
            for (Index k = 0; k < now.count; ++k) through_reset(step, now.place[k]);
            team_.meet(call_);
        }
        recur(now, step);
        for (Index k = 0; k < now.count; ++k) leave_plain(step, now.place[k]);
    }

    void retreat_by_rows(const Group& now, Index step) {
        const Units mine = units_;
        units_ = {0, s_.width};
        each_owned(team_, now, [&](Index place) { arrive(step, place); });
        if (s_.projection) {
            team_.meet(call_);
            unproject(now, step);
            team_.meet(call_);
        }
        each_owned(team_, now, [&](Index place) { pointwise(step, place); });
        team_.meet(call_);
        if (s_.reset_before) {
            products_of_reset(now, step);
            team_.meet(call_);
            each_owned(team_, now, [&](Index place) { through_reset(step, place); });
            team_.meet(call_);
        }
        units_ = mine;
        recur(now, step);
        team_.meet(call_);
        each_owned(team_, now, [&](Index place) { leave(step, place); });
    }

    // Whether a step asks for no more than its own units, and gradients go through the product alone.
    bool by_units() const { return by_units_; }

    bool found_by_units() const {
        for (int which = 0; which < LONGSPAN_RECORDS; ++which)
            if (in_.record[which] != nullptr) return false;
        return !(s_.norm || s_.projection || s_.hold || s_.drop) && p_.reset == nullptr;
    }

    // Elements of the gradient of an initial state, if it is wanted.
    void give_initial(int which, const T* from, Index start, Index count) const {
        if (in_.initial[which] != nullptr) copy(from, count, static_cast<T*>(in_.initial[which]) + start);
    }

    void arrive_plain(Index step, Index place) const {
        if (in_.y == nullptr) return;
        const T* d_y =
            static_cast<const T*>(in_.y) + call_.time(step) * in_.y_time + call_.order[place] * in_.y_batch;
        const Index to = units_.to < s_.H ? units_.to : s_.H;
        add(d_y + units_.from, to - units_.from, Gradients<T>(at_, place).h + units_.from);
    }

    void leave_plain(Index step, Index place) const {
        const Gradients<T> own(at_, place);
        if (s_.reset_before) add_reset(step, place, units_, own.h);
        if (s_.gru)
            each_vector<T>(units_, [&](Index k) LONGSPAN_BODY {
                store<T>(own.h + k, load<T>(own.h + k) + load<T>(own.direct + k));
            });
        if (step != call_.first(place)) return;
        const Index to = units_.to < s_.H ? units_.to : s_.H, start = call_.order[place] * s_.H + units_.from;
        for (int which = 0; which < s_.states(); ++which)
            give_initial(which, (which == 0 ? own.h : own.c) + units_.from, start, to - units_.from);
    }

    static void add(const T* from, Index count, T* to) {
        for (Index k = 0; k < count; ++k) to[k] += from[k];
    }

    void arrive(Index step, Index place) const {
        const Gradients<T> own(at_, place);
        const Index n = call_.order[place];
        if (in_.y != nullptr)
            add(static_cast<const T*>(in_.y) + call_.time(step) * in_.y_time + n * in_.y_batch, s_.P, own.h);
        const T* more = at_.recorded(in_.record[LONGSPAN_RECORD_H], step, place, s_.P);
        if (more != nullptr) add(more, s_.P, own.h);
        split<T>(at_, 0, step, place, own.h, own.direct, own.new_h);
        if (s_.projection) copy(own.new_h, s_.h_width, ring(call_.work.d_h, s_.h_width, step, place));
        if (!s_.lstm) return;
        more = at_.recorded(in_.record[LONGSPAN_RECORD_C], step, place, s_.H);
        if (more != nullptr) add(more, s_.H, own.c);
        split<T>(at_, 1, step, place, own.c, own.held_c, own.c);
    }

    void unproject(const Group& now, Index step) const {
        const T* rows[most_rows];
        T* out[most_rows];
        for (Index k = 0; k < now.count; ++k) {
            rows[k] = ring(call_.work.d_h, s_.h_width, step, now.place[k]);
            out[k] = Gradients<T>(at_, now.place[k]).shown;
        }
        const Product<T> job{{{rows, w_hr_, 0, s_.P}, {}}, 1, nullptr, Begin::zero, End::store, {1, 0, 0}};
        multiply<T>(now.count, job, panels_hr_.from, panels_hr_.to, out);
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
        const T *gate[4] = {}, *pre[4] = {};
        for (int k = 0; !by_units() && k < 4; ++k) {
            gate[k] = outside(LONGSPAN_RECORD_GATE + k, step, place, own);
            pre[k] = outside(LONGSPAN_RECORD_PRE + k, step, place, own);
        }
        const T* gates = at_.gates(step, place);
        T* sums = d_sums(step, place);
        const T* d_h = by_units() ? own.h : own.new_h;
        if (s_.lstm) {
            const WorkLayout& w = call_.work;
            T* new_c = s_.peephole ? ring(w.new_c, s_.width, step, place) : s_.norm ? own.new_c : nullptr;
            T* unit_c = s_.norm ? ring(w.product_c, s_.width, step, place) : nullptr;
            T* d_unit_c = s_.norm ? ring(w.d_product_c, s_.width, step, place) : nullptr;
            const LstmBackward<T> row{gates,
                                      sums,
                                      at_.c(step, place),
                                      s_.projection ? own.shown : d_h,
                                      own.c,
                                      {gate[0], gate[1], gate[2], gate[3]},
                                      {pre[0], pre[1], pre[2], pre[3]},
                                      new_c,
                                      unit_c,
                                      d_unit_c,
                                      own.spare,
                                      s_.norm ? at_.moments_c(step, place) : nullptr};
            lstm_backward<T>(lstm_, row, units_);
            if (s_.norm) unnormalise(step, place);
        } else if (s_.gru) {
            T* direct = by_units() ? own.direct : own.spare;
            const auto backward = s_.reset_before ? gru_before_backward<T> : gru_backward<T>;
            backward(s_.width, units_, gates, sums, at_.h(step, place), d_h, gate, pre, direct);
            if (!by_units()) add(own.spare, s_.width, own.direct);
        } else {
            rnn_backward<T>((p_.options & LONGSPAN_RELU) != 0, units_, gates, sums, d_h, gate[0], pre[0]);
        }
    }

    // From the gradients of the sums to those of the two products, before their normalisation.
    void unnormalise(Index step, Index place) const {
        const WorkLayout& w = call_.work;
        const T *sums = d_sums(step, place), *scales = at_.scale(step, place);
        const T* const gains[2] = {at_.work + w.gain_ih, at_.work + w.gain_hh};
        const T* const results[2] = {at_.unit_x(step, place), at_.unit_h(step, place)};
        const T scale[2] = {scales[0], scales[1]};
        T* const to[2] = {ring(w.d_unit_x, s_.gates * s_.width, step, place),
                          ring(w.d_unit_h, s_.gates * s_.width, step, place)};
        normalise_backward<T, 2>(
            results, scale, s_.gates, s_.H, s_.width,
            [&](int which, Index k) { return load<T>(sums + k) * load<T>(gains[which] + k); }, to);
    }

    // The reset before the product: through the product of n to r h,
    void products_of_reset(const Group& now, Index step) const {
        const T* rows[most_rows];
        T* out[most_rows];
        for (Index k = 0; k < now.count; ++k) {
            rows[k] = d_sums(step, now.place[k]) + 2 * s_.width;
            out[k] = Gradients<T>(at_, now.place[k]).shown;
        }
        const Product<T> job{
            {{rows, w_hh_, 2 * s_.H, s_.H}, {}}, 1, nullptr, Begin::zero, End::store, {1, 0, 0}};
        multiply<T>(now.count, job, panels_.from, panels_.to, out);
    }

    // and then to the sum of r.
    void through_reset(Index step, Index place) const {
        const Gradients<T> own(at_, place);
        const auto given = [&](int which) { return by_units() ? nullptr : outside(which, step, place, own); };
        gru_reset_backward<T>(units_, at_.gates(step, place), d_sums(step, place), at_.seen(step, place),
                              own.shown, given(LONGSPAN_RECORD_GATE), given(LONGSPAN_RECORD_PRE),
                              ring(call_.work.reset_h, s_.h_width, step, place));
    }

    // What comes to h from r h, on top of what the products of the other gates gave.
    void add_reset(Index step, Index place, Units units, T* to) const {
        const T *r = at_.gates(step, place), *d_reset_h = Gradients<T>(at_, place).shown;
        each_vector<T>(units, [&](Index k) LONGSPAN_BODY {
            store<T>(to + k, fma(load<T>(d_reset_h + k), load<T>(r + k), load<T>(to + k)));
        });
    }

    // Gradients of the sums of one step that belong to the recurrent product, and where it goes.
    const T* recurrent_sums(Index step, Index place) const {
        return s_.norm ? ring(call_.work.d_unit_h, s_.gates * s_.width, step, place) : d_sums(step, place);
    }
    T* recurrent_out(Index place) const {
        const Gradients<T> own(at_, place);
        return by_units() ? own.h : own.product;
    }
    Index chain_of(Index gate) const { return gate == s_.gates - 1 ? s_.chains - 1 : gate; }

    // Through the recurrent product: one chain a gate, added up in the order of the gates.
    void recur(const Group& now, Index step) const {
        if (now.count == 1 && !s_.gru) {
            const T* d = recurrent_sums(step, now.place[0]);
            T* out = recurrent_out(now.place[0]);
            if (s_.gates == 4) return gates_row<T, 4>(d, s_.width, w_hh_, s_.H, panels_, out);
            if (s_.gates == 3) return gates_row<T, 3>(d, s_.width, w_hh_, s_.H, panels_, out);
            return gates_row<T, 1>(d, s_.width, w_hh_, s_.H, panels_, out);
        }
        const T* rows[most_rows];
        T* out[most_rows];
        for (Index k = 0; k < now.count; ++k) {
            rows[k] = recurrent_sums(step, now.place[k]);
            out[k] = recurrent_out(now.place[k]);
        }
        const T* from[most_rows];
        for (Index gate = 0; gate < (s_.reset_before ? 2 : s_.gates); ++gate) {
            for (Index k = 0; k < now.count; ++k) from[k] = rows[k] + chain_of(gate) * s_.width;
            const Product<T> job{{{from, w_hh_, gate * s_.H, s_.H}, {}}, 1,        nullptr, Begin::zero,
                                 gate == 0 ? End::store : End::add,      {1, 0, 0}};
            multiply<T>(now.count, job, panels_.from, panels_.to, out);
        }
    }

    void leave(Index step, Index place) const {
        const Gradients<T> own(at_, place);
        const Index n = call_.order[place];
        const T* factor = at_.drop(place);
        if (s_.reset_before) add_reset(step, place, {0, s_.width}, own.product);
        each_vector<T>(s_.h_width, [&](Index k) LONGSPAN_BODY {
            const Vec<T> through = load<T>(own.product + k), direct = load<T>(own.direct + k);
            store<T>(own.h + k, s_.drop ? fma(through, load<T>(factor + k), direct) : through + direct);
        });
        if (s_.lstm && p_.zoneout[1] > 0.0) add(own.held_c, s_.width, own.c);
        const bool anew = call_.resets(step, place);
        for (int which = 0; which < s_.states(); ++which) {
            T* row = which == 0 ? own.h : own.c;
            const Index width = s_.state_width(which);
            if (anew) {
                if (in_.fresh[which] != nullptr)
                    add(row, width, static_cast<T*>(in_.fresh[which]) + n * width);
                clear(row, padded(width));
            }
            if (step == call_.first(place)) give_initial(which, row, n * width, width);
        }
    }
};

}  // namespace longspan::LONGSPAN_ISA
