// Zoneout (Krueger et al. 2017): a unit keeps its old state at random, or in evaluation the share of it that
// is expected; and the derivative of that.
#pragma once

#include "norm.h"
#include "pack.h"

namespace longspan::LONGSPAN_ISA {

// Mask of zoneout for one state, a bit for each unit.
inline void hold_mask(const Call& call, int state, Index step, Index place, Index units, std::uint16_t* out) {
    const longspan_problem& p = *call.problem;
    const Draw draw{static_cast<std::uint64_t>(p.seed), zoneout_purpose + static_cast<std::uint32_t>(state),
                    static_cast<std::uint32_t>(p.layer), static_cast<std::uint32_t>(p.direction)};
    const std::uint32_t number = static_cast<std::uint32_t>(p.first_step + call.time(step));
    mask_bits(draw, number, call.sample(place), p.zoneout[state], units, out);
}

// `now`, the new value of a state, becomes what is left of it beside the old one.
template <class T>
void hold(const Place<T>& at, int which, Index step, Index place, const T* old, T* now) {
    const longspan_problem& p = *at.call.problem;
    const T rate = static_cast<T>(p.zoneout[which]);
    if (rate == T(0)) return;
    const Index width = padded(at.call.shape.state_width(which));
    if (p.training == 0)
        return each_vector<T>(width, [&](Index k) LONGSPAN_BODY {
            store<T>(now + k,
                     fma(splat<T>(rate), load<T>(old + k), splat<T>(T(1) - rate) * load<T>(now + k)));
        });
    std::uint16_t* const held = at.held(which, step, place);
    hold_mask(at.call, which, step, place, width, held);
    each_vector<T>(width, [&](Index k) LONGSPAN_BODY {
        store<T>(now + k, chosen<T>(held, k) ? load<T>(old + k) : load<T>(now + k));
    });
}

// The gradient `whole` is split into what goes to the old value and what goes to the new one.
template <class T>
void split(const Place<T>& at, int which, Index step, Index place, const T* whole, T* old_part, T* new_part) {
    const longspan_problem& p = *at.call.problem;
    const T rate = static_cast<T>(p.zoneout[which]);
    const Index width = padded(at.call.shape.state_width(which));
    const Vec<T> none = splat<T>(0);
    if (p.training != 0 && rate > T(0)) {
        const std::uint16_t* const held = at.held(which, step, place);
        return each_vector<T>(width, [&](Index k) LONGSPAN_BODY {
            const auto hit = chosen<T>(held, k);
            const Vec<T> d = load<T>(whole + k);
            store<T>(old_part + k, hit ? d : none);
            store<T>(new_part + k, hit ? none : d);
        });
    }
    each_vector<T>(width, [&](Index k) LONGSPAN_BODY {
        const Vec<T> d = load<T>(whole + k);
        store<T>(old_part + k, rate > T(0) ? splat<T>(rate) * d : none);
        store<T>(new_part + k, rate > T(0) ? splat<T>(T(1) - rate) * d : d);
    });
}

}  // namespace longspan::LONGSPAN_ISA
