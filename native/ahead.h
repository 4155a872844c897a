// The input terms of coming steps, made before them: of few sequences many steps at once, which reads the
// weights once for all of them.
#pragma once

#include "aside.h"
#include "groups.h"

namespace longspan::LONGSPAN_ISA {

// Terms of the input of so many rows, up to where those of the recurrent product follow.
template <class T, class W>
Product<T, W> input_product(const T* const* rows, const Packed<W>& w_ih, const T* bias, Columns columns) {
    return {{{rows, w_ih, 0, w_ih.depth}, {}}, 1, bias, Begin::bias, End::store, columns};
}

template <class T, class W>
class Ahead {
  public:
    Ahead(const Call& call, const Packed<W>& w_ih, const Columns& columns, bool whole_panels)
        : call_(call), w_ih_(w_ih), columns_(columns), whole_panels_(whole_panels) {}

    bool worth(const Group& group) const {
        const longspan_problem& p = *call_.problem;
        return group.count < 4 && p.batch <= ahead_batch && p.steps > 1 && !call_.shape.norm;
    }

    // Before every step of `steps`: of every so many from here on the input terms are then in the place of
    // their sums, for these panels, and those of as many steps after them are begun with.
    void look(const Place<T>& at, const Group& group, Index step, Share steps, Share panels) {
        if ((step - steps.from) % ahead_steps != 0) return;
        if (step == steps.from || !goes_aside(group, step, steps))
            for (Index k = 0; k < group.count; ++k) project(at, group.place[k], {step, steps.to}, panels);
        if constexpr (has_aside) {
            aside_.finish();
            if (goes_aside(group, step + ahead_steps, steps))
                begin_aside(at, group.place[0], step + ahead_steps, panels);
        }
    }

    // The recurrent product of one row, and meanwhile what was begun with; false where there is nothing.
    bool multiply_row(const Product<T, W>& job, Share panels, T* out) {
        if constexpr (has_aside) {
            if (aside_.done()) return false;
            aside_.multiply_row(job, panels, out);
            return true;
        }
        return false;
    }

  private:
    static constexpr bool has_aside = Aside<T>::possible && std::is_same_v<T, W>;

    const Call& call_;
    Packed<W> w_ih_;
    Columns columns_;
    bool whole_panels_;  // of both products
    Aside<T> aside_;

    // Whether the input terms of the steps from this one on are a product that is made aside.
    bool goes_aside(const Group& group, Index step, Share steps) const {
        if (!has_aside || !whole_panels_ || group.count != 1) return false;
        const Index last = step + ahead_steps - 1, place = group.place[0];
        return last < steps.to && call_.active(place, step) && call_.active(place, last);
    }

    // Of one sequence: rows of one product.
    void project(const Place<T>& at, Index place, Share steps, Share panels) const {
        const T* rows[ahead_steps];
        T* sums[ahead_steps];
        Index count = 0;
        for (Index step = steps.from; step < steps.from + ahead_steps && step < steps.to; ++step) {
            if (!call_.active(place, step)) continue;
            rows[count] = at.x(step, place);
            sums[count++] = at.gates(step, place);
        }
        const Product<T, W> job = input_product<T>(rows, w_ih_, at.bias(), columns_);
        multiply<T>(count, job, panels.from, panels.to, sums);
    }

    void begin_aside(const Place<T>& at, Index place, Index from, Share panels) {
        const T* rows[ahead_steps];
        T* sums[ahead_steps];
        for (Index k = 0; k < ahead_steps; ++k)
            rows[k] = at.x(from + k, place), sums[k] = at.gates(from + k, place);
        aside_.take(input_product<T>(rows, w_ih_, at.bias(), columns_), panels, rows, sums);
    }
};

}  // namespace longspan::LONGSPAN_ISA
