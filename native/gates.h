// Products of the gradients of all gates with one matrix of few rows or columns.
#pragma once

#include "pack.h"

namespace longspan::LONGSPAN_ISA {

// The product of R rows with all G gates, each gate one chain, side by side, then added up in their order:
// where too few columns or rows would leave a gate alone with too few chains to hide the latency of a sum.
// d[row] + gate * width are the gradients of the sums, V native vectors of the panel from `first` on.
template <class T, int R, int G, int V>
void gates_tile(const T* const* d, Index width, const Packed<T>& matrix, Index units, Index panel,
                Index first, T* const* out) {
    Vec<T> sum[R][G][V];
    const T* weights[G];
    const Index stride = matrix.width(panel);
    LONGSPAN_UNROLL
    for (int gate = 0; gate < G; ++gate) {
        weights[gate] = matrix.at(panel, gate * units) + first * lanes<T>;
        LONGSPAN_UNROLL
        for (int r = 0; r < R; ++r) {
            LONGSPAN_UNROLL
            for (int v = 0; v < V; ++v) sum[r][gate][v] = splat<T>(0);
        }
    }
    for (Index k = 0; k < units; ++k) {
        LONGSPAN_UNROLL
        for (int gate = 0; gate < G; ++gate) {
            LONGSPAN_UNROLL
            for (int v = 0; v < V; ++v) {
                const Vec<T> weight = load<T>(weights[gate] + k * stride + v * lanes<T>);
                LONGSPAN_UNROLL
                for (int r = 0; r < R; ++r)
                    sum[r][gate][v] = fma(splat<T>(d[r][gate * width + k]), weight, sum[r][gate][v]);
            }
        }
    }
    LONGSPAN_UNROLL
    for (int r = 0; r < R; ++r) {
        LONGSPAN_UNROLL
        for (int v = 0; v < V; ++v) {
            Vec<T> total = sum[r][0][v];
            LONGSPAN_UNROLL
            for (int gate = 1; gate < G; ++gate) total += sum[r][gate][v];
            store<T>(out[r] + panel * 4 * block + (first + v) * lanes<T>, total);
        }
    }
}

// One row with panels of any width.
template <class T, int G>
void gates_row(const T* d, Index width, const Packed<T>& matrix, Index units, Share panels, T* out) {
    for (Index panel = panels.from; panel < panels.to; ++panel) {
        const Index natives = matrix.width(panel) / lanes<T>;
        Index first = 0;
        for (; first + 4 <= natives; first += 4)
            gates_tile<T, 1, G, 4>(&d, width, matrix, units, panel, first, &out);
        for (; first < natives; ++first) gates_tile<T, 1, G, 1>(&d, width, matrix, units, panel, first, &out);
    }
}

// Rows with a matrix of a single block of columns.
template <class T, int G>
void gates_block(Index count, const T* const* d, Index width, const Packed<T>& matrix, Index units,
                 T* const* out) {
    for (Index first = 0; first < block / lanes<T>; ++first) {
        Index r = 0;
        for (; r + 4 <= count; r += 4) gates_tile<T, 4, G, 1>(d + r, width, matrix, units, 0, first, out + r);
        for (; r < count; ++r) gates_tile<T, 1, G, 1>(d + r, width, matrix, units, 0, first, out + r);
    }
}

}  // namespace longspan::LONGSPAN_ISA
