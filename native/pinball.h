// The pinball loss of rows of quantiles, and its gradient in their place.
#pragma once

#include "horizon_layout.h"
#include "pack.h"

namespace longspan::LONGSPAN_ISA {

template <class T>
struct PinballRows {
    const longspan_pinball& loss;
    Index rows, levels;
    T *tilts, *weights;  // of the levels, padded to whole blocks

    // |e| + (2 q - 1) e is twice the loss at the level q; the mean over the levels counts none that is
    // padding.
    void pack_levels() const {
        const T* const given = static_cast<const T*>(loss.levels);
        for (Index q = 0; q < padded(levels); ++q) {
            tilts[q] = q < levels ? T(2) * given[q] - T(1) : T(0);
            weights[q] = q < levels ? T(0.5) / static_cast<T>(levels) : T(0);
        }
    }

    // What each known target counts for; NaN stands for one that is not known.
    T share_of_known() const {
        const T* const target = static_cast<const T*>(loss.target);
        Index known = 0;
        for (Index row = 0; row < rows; ++row) known += target[row] == target[row];
        return known > 0 ? T(1) / static_cast<T>(known) : T(0);
    }

    // Of one row: adds its loss to `sum`, a block of lanes, and puts the gradient in the place of y.
    void lose(Index row, T share, T* y, T* sum) const {
        const T target = static_cast<const T*>(loss.target)[row];
        const T anchor = static_cast<const T*>(loss.anchor)[row];
        T* const d_anchor = static_cast<T*>(loss.anchor_gradient);
        if (d_anchor != nullptr) d_anchor[row] = T(0);
        if (target != target) return clear(y, padded(levels));
        each_vector<T>(padded(levels), [&](Index q) LONGSPAN_BODY {
            const Vec<T> none = splat<T>(0), one = splat<T>(1), tilt = load<T>(tilts + q);
            const Vec<T> weight = load<T>(weights + q) * splat<T>(share);
            const Vec<T> error = splat<T>(target) - (load<T>(y + q) + splat<T>(anchor));
            // Neither above nor below is 0, or no number.
            const Vec<T> sign = error > none ? one : (error < none ? -one : error - error);
            T* const to = sum + q % block;
            store<T>(to, load<T>(to) + weight * (absolute<T>(error) + tilt * error));
            store<T>(y + q, -(weight * (sign + tilt)));
        });
        for (Index q = 0; d_anchor != nullptr && q < levels; ++q) d_anchor[row] += y[q];
    }
};

}  // namespace longspan::LONGSPAN_ISA
