// Weights kept in half the room: the upper 16 bits of a float, rounded once when they are packed. Widening
// is exact, so products with them are those of the rounded weights in float32, to the bit.
//
// Lanes of two neighbouring native vectors take turns, so that one load holds both: one of them is a shift
// away, the other a mask.
#pragma once

#include "maths.h"

namespace longspan::LONGSPAN_ISA {

struct Bfloat16 {
    std::uint16_t bits;
};

// Elements of a row of packed weights with so many columns: whole pairs of vectors.
template <class W>
inline constexpr int pair = 1;
template <>
inline constexpr int pair<Bfloat16> = 2 * lanes<float>;
template <class W>
LONGSPAN_INLINE constexpr Index row_of_weights(Index columns) {
    return (columns + pair<W> - 1) / pair<W> * pair<W>;
}

// Native vector `number` of a row of packed weights; for pairs the row begins with a whole one.
template <class T>
LONGSPAN_INLINE Vec<T> weights_at(const T* row, int number) {
    return load<T>(row + number * lanes<T>);
}

LONGSPAN_INLINE Vec<float> weights_at(const Bfloat16* row, int number) {
    typedef std::uint32_t Words __attribute__((vector_size(vector_bytes)));
    Words both;
    __builtin_memcpy(&both, row + number / 2 * pair<Bfloat16>, sizeof both);
    return (Vec<float>)(number % 2 == 0 ? both << 16 : both & 0xffff0000u);
}

// The nearest, of two as near the even one. NaN stays NaN; a number past the largest becomes infinite.
LONGSPAN_INLINE Bfloat16 rounded(float value) {
    std::uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    const std::uint32_t upper = bits >> 16, nearest = (bits + 0x7fff + (upper & 1)) >> 16;
    return {static_cast<std::uint16_t>(value != value ? upper | 0x40 : nearest)};
}

// Columns [column, column + block) of a row of packed weights.
LONGSPAN_INLINE void put_block(const float* from, Index column, Bfloat16* row) {
    for (Index lane = 0; lane < block; ++lane) {
        const Index at = column + lane, vector = at / lanes<float>;
        row[vector / 2 * pair<Bfloat16> + at % lanes<float> * 2 + vector % 2] = rounded(from[lane]);
    }
}

}  // namespace longspan::LONGSPAN_ISA
