// Squares of numbers turned over in registers: how weights are packed and their gradients unpacked.
#pragma once

#include <utility>

#include "maths.h"

namespace longspan::LONGSPAN_ISA {

// Rows a and b exchange the lanes that lie across the diagonal of a square of 2 by 2 blocks of size D.
template <class T, int D, int... L>
LONGSPAN_INLINE void exchange(Vec<T>& a, Vec<T>& b, std::integer_sequence<int, L...>) {
    const Vec<T> upper = __builtin_shufflevector(a, b, ((L & D) == 0 ? L : lanes<T> + L - D)...);
    b = __builtin_shufflevector(a, b, ((L & D) == 0 ? L + D : lanes<T> + L)...);
    a = upper;
}

template <class T, int D>
LONGSPAN_INLINE void turn_blocks(Vec<T> (&row)[lanes<T>]) {
    LONGSPAN_UNROLL
    for (int k = 0; k < lanes<T>; ++k)
        if ((k & D) == 0) exchange<T, D>(row[k], row[k + D], std::make_integer_sequence<int, lanes<T>>{});
    if constexpr (D > 1) turn_blocks<T, D / 2>(row);
}

// to[k * to_stride + r] = from[r * from_stride + k] for r < rows and k < columns; rows up to `block` of `to`
// that have no row in `from` become zero where `fill` says so.
template <class T>
void transpose(const T* from, Index from_stride, Index rows, Index columns, T* to, Index to_stride,
               bool fill) {
    constexpr int size = lanes<T>;
    for (Index first = 0; first < block; first += size) {
        const Index here = rows - first < size ? rows - first : size;
        if (here < size && !fill) {
            for (Index r = first; r < rows; ++r)
                for (Index k = 0; k < columns; ++k) to[k * to_stride + r] = from[r * from_stride + k];
            return;
        }
        Index k = 0;
        for (; k + size <= columns; k += size) {
            Vec<T> square[size];
            LONGSPAN_UNROLL
            for (int r = 0; r < size; ++r)
                square[r] = r < here ? load<T>(from + (first + r) * from_stride + k) : splat<T>(0);
            turn_blocks<T, size / 2>(square);
            LONGSPAN_UNROLL
            for (int r = 0; r < size; ++r) store<T>(to + (k + r) * to_stride + first, square[r]);
        }
        for (; k < columns; ++k)
            for (Index r = 0; r < size; ++r)
                to[k * to_stride + first + r] = r < here ? from[(first + r) * from_stride + k] : T(0);
    }
}

}  // namespace longspan::LONGSPAN_ISA
