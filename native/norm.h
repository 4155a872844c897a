// Layer normalisation of rows that lie in gates of padded width.
//
// A sum over units is 64 partial sums, each block of 16 in turn to one of four, added up in pairs and then
// folded 8, 4, 2, 1: the same tree for every vector width.
#pragma once

#include <utility>

#include "gemm.h"

namespace longspan::LONGSPAN_ISA {

inline constexpr double norm_epsilon = 1e-5;
inline constexpr int sum_chains = 4;

LONGSPAN_INLINE float square_root(float x) {
    return __builtin_sqrtf(x);
}
LONGSPAN_INLINE double square_root(double x) {
    return __builtin_sqrt(x);
}

// Lane k and lane k + D are added, for the first D lanes; the others hold anything.
template <class T, int D, int... L>
LONGSPAN_INLINE Vec<T> fold_by(Vec<T> v, std::integer_sequence<int, L...>) {
    return v + __builtin_shufflevector(v, v, ((L + D) % lanes<T>)...);
}

template <class T, int D>
LONGSPAN_INLINE T fold(Vec<T> v) {
    const Vec<T> halved = fold_by<T, D>(v, std::make_integer_sequence<int, lanes<T>>{});
    if constexpr (D == 1)
        return halved[0];
    else
        return fold<T, D / 2>(halved);
}

// N sums over the units side by side: `term(which, offset)` is a native vector; lanes past the end of a gate
// do not count.
template <class T, int N, class Term>
LONGSPAN_INLINE void sum_units(Index gates, Index units, Index width, Term term, T (&total)[N]) {
    constexpr int split = block / lanes<T>;
    Vec<T> partial[N][sum_chains][split];
    LONGSPAN_UNROLL
    for (int which = 0; which < N; ++which) {
        LONGSPAN_UNROLL
        for (int chain = 0; chain < sum_chains; ++chain) {
            LONGSPAN_UNROLL
            for (int k = 0; k < split; ++k) partial[which][chain][k] = splat<T>(0);
        }
    }
    const auto add = [&](Index gate, Index unit, int chain) {
        LONGSPAN_UNROLL
        for (int k = 0; k < split; ++k) {
            const Index start = unit + k * lanes<T>;
            LONGSPAN_UNROLL
            for (int which = 0; which < N; ++which) {
                Vec<T> value = term(which, gate * width + start);
                if (start + lanes<T> > units) {
                    for (int lane = 0; lane < lanes<T>; ++lane)
                        if (start + lane >= units) value[lane] = T(0);
                }
                partial[which][chain][k] += value;
            }
        }
    };
    for (Index gate = 0; gate < gates; ++gate) {
        Index unit = 0;
        for (; unit + sum_chains * block <= width; unit += sum_chains * block) {
            LONGSPAN_UNROLL
            for (int chain = 0; chain < sum_chains; ++chain) add(gate, unit + chain * block, chain);
        }
        if (unit < width) add(gate, unit, 0);
        if (unit + block < width) add(gate, unit + block, 1);
        if (unit + 2 * block < width) add(gate, unit + 2 * block, 2);
    }
    LONGSPAN_UNROLL
    for (int which = 0; which < N; ++which) {
        auto& own = partial[which];
        LONGSPAN_UNROLL
        for (int k = 0; k < split; ++k) own[0][k] = (own[0][k] + own[1][k]) + (own[2][k] + own[3][k]);
        LONGSPAN_UNROLL
        for (int half = split / 2; half > 0; half /= 2) {
            LONGSPAN_UNROLL
            for (int k = 0; k < half; ++k) own[0][k] += own[0][k + half];
        }
        total[which] = fold<T, lanes<T> / 2>(own[0][0]);
    }
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

// A value, and what the caller adds to it where there is something.
template <class T>
LONGSPAN_INLINE Vec<T> plus(Vec<T> value, const T* more, Index k) {
    return more == nullptr ? value : value + load<T>(more + k);
}

// Mean and 1 / deviation of N rows side by side.
template <class T, int N>
LONGSPAN_INLINE void moments(const T* const (&rows)[N], Index gates, Index units, Index width, T (&mean)[N],
                             T (&scale)[N]) {
    const T count = static_cast<T>(gates * units);
    sum_units<T, N>(gates, units, width, [&](int which, Index k) { return load<T>(rows[which] + k); }, mean);
    LONGSPAN_UNROLL
    for (int which = 0; which < N; ++which) mean[which] /= count;
    sum_units<T, N>(
        gates, units, width,
        [&](int which, Index k) {
            const Vec<T> d = load<T>(rows[which] + k) - splat<T>(mean[which]);
            return d * d;
        },
        scale);
    LONGSPAN_UNROLL
    for (int which = 0; which < N; ++which)
        scale[which] = T(1) / square_root(scale[which] / count + static_cast<T>(norm_epsilon));
}

template <class T>
struct Moments {
    T mean, scale;  // scale is 1 / deviation
};

template <class T>
Moments<T> moments_of(const T* row, Index units, Index width) {
    const T* const rows[1] = {row};
    T mean[1], scale[1];
    moments<T, 1>(rows, 1, units, width, mean, scale);
    return {mean[0], scale[0]};
}

template <class T>
LONGSPAN_INLINE Vec<T> normalised(Vec<T> value, const Moments<T>& by) {
    return (value - splat<T>(by.mean)) * splat<T>(by.scale);
}

// Gradients through normalising for N rows side by side: units[which] is its result, and the gradient of the
// result times the gain is `gradient(which, offset)`, which is asked for twice.
template <class T, int N, class Gradient>
LONGSPAN_INLINE void normalise_backward(const T* const (&results)[N], const T (&scale)[N], Index gates,
                                        Index units, Index width, Gradient gradient, T* const (&to)[N]) {
    const T count = static_cast<T>(gates * units);
    T sums[2 * N];  // of the gradients, and of these times the results
    sum_units<T, 2 * N>(
        gates, units, width,
        [&](int which, Index k) {
            return which < N ? gradient(which, k) : gradient(which - N, k) * load<T>(results[which - N] + k);
        },
        sums);
    each_vector<T>(gates * width, [&](Index k) LONGSPAN_BODY {
        LONGSPAN_UNROLL
        for (int which = 0; which < N; ++which) {
            const Vec<T> rest = fma(-load<T>(results[which] + k), splat<T>(sums[N + which] / count),
                                    gradient(which, k) - splat<T>(sums[which] / count));
            store<T>(to[which] + k, rest * splat<T>(scale[which]));
        }
    });
}

}  // namespace longspan::LONGSPAN_ISA
