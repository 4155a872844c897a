// Weights that stay packed from call to call: packed again only where they are no longer what was packed.
#pragma once

#include "pack.h"

namespace longspan::LONGSPAN_ISA {

// A copy of the weights as they were given, and what else decides how they are packed.
template <class T>
class Kept {
  public:
    explicit Kept(const Call& call)
        : call_(call),
          facts_(reinterpret_cast<Index*>(static_cast<T*>(call.problem->work) + call.work.kept)) {}

    // Tells all threads whether this one's part of the weights is what it was, to the bit.
    void compare(int thread, int threads) const {
        bool same = true;
        Index now[kept_facts];
        facts(&now[0]);
        for (Index k = 0; k < kept_facts; ++k) same = same && now[k] == facts_[k];
        each_array([&](const T* array, Index count, T* copy) {
            const Share mine = share(count, thread, threads);
            same = same && __builtin_memcmp(array + mine.from, copy + mine.from, bytes(mine)) == 0;
        });
        *answer(thread) = same ? 1 : 0;
    }

    // After all have met.
    bool same(int threads) const {
        bool found = true;
        for (int thread = 0; thread < threads; ++thread) found = found && *answer(thread) != 0;
        return found;
    }

    // What is packed from here on; after all have met, since they compare with what stood here.
    void keep(int thread, int threads) const {
        if (thread == 0) facts(facts_);
        each_array([&](const T* array, Index count, T* copy) {
            const Share mine = share(count, thread, threads);
            __builtin_memcpy(copy + mine.from, array + mine.from, bytes(mine));
        });
    }

  private:
    const Call& call_;
    Index* facts_;

    static std::size_t bytes(Share of) { return static_cast<std::size_t>(of.to - of.from) * sizeof(T); }

    Index* answer(int thread) const { return facts_ + kept_facts + thread * kept_line; }

    void facts(Index* out) const {
        const longspan_problem& p = *call_.problem;
        Index given = 1;
        for (int which = 0; which < LONGSPAN_WEIGHTS; ++which)
            given |= p.weights[which] != nullptr ? Index{2} << which : 0;
        // Panels of bfloat16 are laid out by the width of a vector.
        const Index form = p.weights_type + vector_bytes;
        const Index all[kept_facts] = {given, p.cell, p.options, p.type, p.inputs, p.hidden, p.width, form};
        __builtin_memcpy(out, all, sizeof all);
    }

    template <class Visit>
    void each_array(Visit visit) const {
        T* copy = static_cast<T*>(call_.problem->work) + call_.work.kept_weights;
        for (int which = 0; which < LONGSPAN_WEIGHTS; ++which) {
            const Index count = weight_elements(call_.shape, which);
            const T* array = static_cast<const T*>(call_.problem->weights[which]);
            if (array != nullptr) visit(array, count, copy);
            copy += count;
        }
    }
};

// The masks of a call whose weights are packed already.
template <class T>
void draw_alone(const Call& call, int thread) {
    if (!call.shape.drop) return;
    if (thread == 0) draw_drop(Place<T>(call));
    call.meet(thread);
}

// Packs what has changed since the last call that had this work space; all threads of a call.
template <class T, class W>
void pack_changed(const Call& call, int thread, int threads) {
    const Kept<T> kept(call);
    kept.compare(thread, threads);
    call.meet(thread);
    if (kept.same(threads)) return draw_alone<T>(call, thread);
    kept.keep(thread, threads);
    pack<T, W>(call, false, thread, threads);
    call.meet(thread);
}

}  // namespace longspan::LONGSPAN_ISA
