// Vectors, fused multiply-add and the transcendental functions, in one place for every instruction set.
//
// Only IEEE operations whose result is defined to the bit are used (no reciprocal estimates, no contraction),
// so that every instruction set and vector width gives the same bits. NaN in gives NaN out, in its own lane.
#pragma once

#include <cstdint>
#include <type_traits>

#include "layout.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#else
#error "longspan: expected AVX2 with FMA, or aarch64; other processors take the reference kernel"
#endif

#if defined(__clang__)
#define LONGSPAN_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LONGSPAN_UNROLL _Pragma("GCC unroll 16")
#endif

namespace longspan::LONGSPAN_ISA {

// A block is 16 units whatever the width of a vector: every layout is made of blocks.
inline constexpr int block = 16;

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
inline constexpr int vector_bytes = 32;
#else
inline constexpr int vector_bytes = 16;
#endif

template <class T>
struct Vector;
template <>
struct Vector<float> {
    using Bits = std::int32_t;
    typedef float Type __attribute__((vector_size(vector_bytes)));
    typedef std::int32_t Integer __attribute__((vector_size(vector_bytes)));
};
template <>
struct Vector<double> {
    using Bits = std::int64_t;
    typedef double Type __attribute__((vector_size(vector_bytes)));
    typedef std::int64_t Integer __attribute__((vector_size(vector_bytes)));
};
template <class T>
using Vec = typename Vector<T>::Type;
template <class T>
using IntVec = typename Vector<T>::Integer;
template <class T>
inline constexpr int lanes = vector_bytes / static_cast<int>(sizeof(T));

template <class T>
LONGSPAN_INLINE Vec<T> load(const T* from) {
    Vec<T> value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

template <class T>
LONGSPAN_INLINE void store(T* to, Vec<T> value) {
    __builtin_memcpy(to, &value, sizeof value);
}

template <class T>
LONGSPAN_INLINE Vec<T> splat(T value) {
    // Not zero + value, which would turn -0 into 0.
    if constexpr (lanes<T> == 16)
        return Vec<T>{value, value, value, value, value, value, value, value,
                      value, value, value, value, value, value, value, value};
    else if constexpr (lanes<T> == 8)
        return Vec<T>{value, value, value, value, value, value, value, value};
    else if constexpr (lanes<T> == 4)
        return Vec<T>{value, value, value, value};
    else
        return Vec<T>{value, value};
}

#if defined(__AVX512F__)
LONGSPAN_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
    return (Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
LONGSPAN_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
    return (Vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
// The data stand second: x86 returns the second operand where either is NaN.
LONGSPAN_INLINE Vec<float> at_most(Vec<float> bound, Vec<float> x) {
    return (Vec<float>)_mm512_min_ps((__m512)bound, (__m512)x);
}
LONGSPAN_INLINE Vec<double> at_most(Vec<double> bound, Vec<double> x) {
    return (Vec<double>)_mm512_min_pd((__m512d)bound, (__m512d)x);
}
LONGSPAN_INLINE Vec<float> at_least(Vec<float> bound, Vec<float> x) {
    return (Vec<float>)_mm512_max_ps((__m512)bound, (__m512)x);
}
LONGSPAN_INLINE Vec<double> at_least(Vec<double> bound, Vec<double> x) {
    return (Vec<double>)_mm512_max_pd((__m512d)bound, (__m512d)x);
}
#elif defined(__AVX2__)
LONGSPAN_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
    return (Vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
LONGSPAN_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
    return (Vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
LONGSPAN_INLINE Vec<float> at_most(Vec<float> bound, Vec<float> x) {
    return (Vec<float>)_mm256_min_ps((__m256)bound, (__m256)x);
}
LONGSPAN_INLINE Vec<double> at_most(Vec<double> bound, Vec<double> x) {
    return (Vec<double>)_mm256_min_pd((__m256d)bound, (__m256d)x);
}
LONGSPAN_INLINE Vec<float> at_least(Vec<float> bound, Vec<float> x) {
    return (Vec<float>)_mm256_max_ps((__m256)bound, (__m256)x);
}
LONGSPAN_INLINE Vec<double> at_least(Vec<double> bound, Vec<double> x) {
    return (Vec<double>)_mm256_max_pd((__m256d)bound, (__m256d)x);
}
#else
LONGSPAN_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
    return (Vec<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
LONGSPAN_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
    return (Vec<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
LONGSPAN_INLINE Vec<float> at_most(Vec<float> bound, Vec<float> x) {
    return (Vec<float>)vminq_f32((float32x4_t)bound, (float32x4_t)x);
}
LONGSPAN_INLINE Vec<double> at_most(Vec<double> bound, Vec<double> x) {
    return (Vec<double>)vminq_f64((float64x2_t)bound, (float64x2_t)x);
}
LONGSPAN_INLINE Vec<float> at_least(Vec<float> bound, Vec<float> x) {
    return (Vec<float>)vmaxq_f32((float32x4_t)bound, (float32x4_t)x);
}
LONGSPAN_INLINE Vec<double> at_least(Vec<double> bound, Vec<double> x) {
    return (Vec<double>)vmaxq_f64((float64x2_t)bound, (float64x2_t)x);
}
#endif

template <class T>
struct Constants;
template <>
struct Constants<float> {
    static constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
    static constexpr float log2e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float lowest = -104.0f;  // exp of it is 0
    static constexpr float flat = 10.0f;      // tanh of it is 1
    static constexpr int mantissa = 23, bias = 127, terms = 5;
    // (e^r - 1 - r) / r^2 on |r| <= ln 2 / 2: the polynomial of least error relative to e^r, 3.8e-9.
    static constexpr float series[terms] = {0.49999994f, 0.166665211f, 0.041668389f, 0.00836872403f,
                                            0.00138145837f};
};
template <>
struct Constants<double> {
    static constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double log2e = 1.4426950408889634;
    static constexpr double ln2_high = 0.693147180369123816490, ln2_low = 1.90821492927058770002e-10;
    static constexpr double lowest = -746.0;
    static constexpr double flat = 20.0;
    static constexpr int mantissa = 52, bias = 1023, terms = 12;
    static constexpr double series[terms] = {
        // 1 / 2!, 1 / 3!, ... Taylor's
        1.0 / 2,     1.0 / 6,      1.0 / 24,      1.0 / 120,      1.0 / 720,       1.0 / 5040,
        1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
};

// exp(y) = 2^power * (1 + rest), |rest| <= 0.42. Cody and Waite's reduction.
template <class T>
struct Reduced {
    Vec<T> rest;
    Vec<T> power;  // a whole number
};

template <class T>
LONGSPAN_INLINE Reduced<T> reduce(Vec<T> y) {
    using K = Constants<T>;
    const Vec<T> magic = splat<T>(K::magic);
    const Vec<T> shifted = fma(y, splat<T>(K::log2e), magic);
    const Vec<T> whole = shifted - magic;
    const Vec<T> high = fma(whole, splat<T>(-K::ln2_high), y);
    const Vec<T> r = fma(whole, splat<T>(-K::ln2_low), high);
    Vec<T> series = splat<T>(K::series[K::terms - 1]);
    LONGSPAN_UNROLL
    for (int n = K::terms - 2; n >= 0; --n) series = fma(series, r, splat<T>(K::series[n]));
    return {fma(r * r, series, r), whole};
}

#if defined(__AVX512F__)
// value * 2^power, rounded once.
LONGSPAN_INLINE Vec<float> scaled(Vec<float> value, Vec<float> power) {
    return (Vec<float>)_mm512_scalef_ps((__m512)value, (__m512)power);
}
LONGSPAN_INLINE Vec<double> scaled(Vec<double> value, Vec<double> power) {
    return (Vec<double>)_mm512_scalef_pd((__m512d)value, (__m512d)power);
}
#else
template <class T>
LONGSPAN_INLINE Vec<T> power_of_two(IntVec<T> n) {
    return (Vec<T>)((n + Constants<T>::bias) << Constants<T>::mantissa);
}

// value * 2^power for a value near 1, in two steps, since 2^power may be too small for a normal number: only
// the second one rounds.
template <class V>
LONGSPAN_INLINE V scaled(V value, V power) {
    using T = std::remove_reference_t<decltype(value[0])>;
    const IntVec<T> n =
        (IntVec<T>)(power + splat<T>(Constants<T>::magic)) - (IntVec<T>)splat<T>(Constants<T>::magic);
    const IntVec<T> half = n >> 1;
    return value * power_of_two<T>(half) * power_of_two<T>(n - half);
}
#endif

template <class T>
LONGSPAN_INLINE IntVec<T> sign_bit() {
    return (IntVec<T>)splat<T>(static_cast<T>(-0.0));
}

template <class T>
LONGSPAN_INLINE Vec<T> absolute(Vec<T> x) {
    return (Vec<T>)((IntVec<T>)x & ~sign_bit<T>());
}

// 1 / (1 + exp(-x)), right to 2.5 units in the last place down to the smallest denormal.
template <class T>
LONGSPAN_INLINE Vec<T> sigmoid(Vec<T> x) {
    const Vec<T> y = at_least(splat<T>(Constants<T>::lowest), -absolute<T>(x)), one = splat<T>(1);
    const Reduced<T> parts = reduce<T>(y);
    const Vec<T> e = scaled(one + parts.rest, parts.power);
    return (x < splat<T>(0) ? e : one) / (one + e);
}

// (e^2|x| - 1) / (e^2|x| + 1) with the sign of x, right to 2.5 units in the last place.
template <class T>
LONGSPAN_INLINE Vec<T> tanh(Vec<T> x) {
    const Vec<T> size = at_most(splat<T>(Constants<T>::flat), absolute<T>(x)), one = splat<T>(1);
    const Reduced<T> parts = reduce<T>(size + size);
    const Vec<T> scale = scaled(one, parts.power);
    const Vec<T> grown = fma(scale, parts.rest, scale - one);  // e^2|x| - 1
    const Vec<T> value = grown / (grown + splat<T>(2));
    return (Vec<T>)((IntVec<T>)value | ((IntVec<T>)x & sign_bit<T>()));
}

}  // namespace longspan::LONGSPAN_ISA
