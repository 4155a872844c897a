// Layer normalisation of rows that lie in gates of padded width.
//
// A sum over units is 16 partial sums, one a lane, folded 8, 4, 2, 1: the same tree for every vector width.
#pragma once

#include "gemm.h"

namespace longspan::LONGSPAN_ISA {

inline constexpr double norm_epsilon = 1e-5;

LONGSPAN_INLINE float square_root(float x) {
    return __builtin_sqrtf(x);
}
LONGSPAN_INLINE double square_root(double x) {
    return __builtin_sqrt(x);
}

// Sum over the units of `term(offset, unit)`, a native vector each; lanes past the end of a gate do not
// count.
template <class T, class Term>
LONGSPAN_INLINE T sum_units(Index gates, Index units, Index width, Term term) {
    constexpr int split = block / lanes<T>;
    Vec<T> partial[split];
    for (int k = 0; k < split; ++k) partial[k] = splat<T>(0);
    for (Index gate = 0; gate < gates; ++gate) {
        for (Index unit = 0; unit < width; unit += block) {
            for (int k = 0; k < split; ++k) {
                const Index start = unit + k * lanes<T>;
                Vec<T> value = term(gate * width + start);
                for (int lane = 0; start + lanes < T >> units && lane < lanes<T>; ++lane)
                    if (start + lane >= units) value[lane] = T(0);
                partial[k] += value;
            }
        }
    }
    T tree[block];
    for (int k = 0; k < split; ++k) store<T>(tree + k * lanes<T>, partial[k]);
    for (int half = block / 2; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) tree[k] += tree[k + half];
    return tree[0];
}

// Units [from, to), whole blocks.
struct Units {
    Index from, to;
};

template <class T, class Body>
LONGSPAN_INLINE void each_vector(Units units, Body body) {
    for (Index at = units.from; at < units.to; at += lanes<T>) body(at);
}

template <class T, class Body>
LONGSPAN_INLINE void each_vector(Index count, Body body) {
    each_vector<T>(Units{0, count}, body);
}

// row becomes (row - mean) / deviation; returns 1 / deviation.
template <class T>
T normalise(const T* from, Index gates, Index units, Index width, T* to) {
    const T count = static_cast<T>(gates * units);
    const Vec<T> mean =
        splat<T>(sum_units<T>(gates, units, width, [&](Index k) { return load<T>(from + k); }) / count);
    const T variance = sum_units<T>(gates, units, width,
                                    [&](Index k) {
                                        const Vec<T> d = load<T>(from + k) - mean;
                                        return d * d;
                                    }) /
                       count;
    const T scale = T(1) / square_root(variance + static_cast<T>(norm_epsilon));
    each_vector<T>(gates * width,
                   [&](Index k) { store<T>(to + k, (load<T>(from + k) - mean) * splat<T>(scale)); });
    return scale;
}

// Gradient through normalise: `unit` is its result, `gradient` that of the result times the gain.
template <class T>
void normalise_backward(const T* unit, const T* gradient, T scale, Index gates, Index units, Index width,
                        T* to) {
    const T count = static_cast<T>(gates * units);
    const auto plain = [&](Index k) { return load<T>(gradient + k); };
    const auto along = [&](Index k) { return load<T>(gradient + k) * load<T>(unit + k); };
    const Vec<T> mean = splat<T>(sum_units<T>(gates, units, width, plain) / count);
    const Vec<T> slope = splat<T>(sum_units<T>(gates, units, width, along) / count);
    each_vector<T>(gates * width, [&](Index k) {
        const Vec<T> rest = fma(-load<T>(unit + k), slope, load<T>(gradient + k) - mean);
        store<T>(to + k, rest * splat<T>(scale));
    });
}

}  // namespace longspan::LONGSPAN_ISA
