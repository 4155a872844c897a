// Products with packed weights, each output one chain of fused multiply-adds in the order of k.
//
// A packed matrix is [panel][k][4 vectors][16 lanes]; the last panel may have fewer vectors, and bfloat16.h
// puts two of them into the room of one. No chain is ever split: rows, threads, time and vector width change
// which chains run side by side, never the order in one.
#pragma once

#include <cstdint>

#include "bfloat16.h"

namespace longspan::LONGSPAN_ISA {

// W is what a weight is kept as.
template <class W>
struct Packed {
    const W* data;
    Index depth;    // k runs over this many terms
    Index vectors;  // blocks of 16 columns

    Index width(Index panel) const {  // columns of a panel
        const Index left = vectors - 4 * panel;
        return block * (left < 4 ? left : 4);
    }
    Index stride(Index panel) const { return row_of_weights<W>(width(panel)); }  // elements of a row
    const W* at(Index panel, Index k) const { return data + panel * 4 * block * depth + k * stride(panel); }
};

// One part of a sum: term k of row r is rows[r][k] times row k of the matrix, from `first` on.
template <class T, class W = T>
struct Operand {
    const T* const* rows;
    Packed<W> matrix;
    Index first;
    Index count;
};

enum class Begin { zero, bias, kept };  // a chain begins at 0, at its bias, or where the output stands
enum class End { store, add };          // the chain is the output, or is added to it

// Where a column block goes in a row of the output: gates lie one after the other, `width` apart, but the
// last gate is row `last`.
struct Columns {
    Index gates;
    Index width;
    Index last;
    Index place(Index vector) const {
        const Index gate = vector % gates;
        return (gate == gates - 1 ? last : gate) * width + (vector / gates) * block;
    }
};

template <class T, class W = T>
struct Product {
    Operand<T, W> operands[2];
    int parts;
    const T* bias;  // [vector][16]
    Begin begin;
    End end;
    Columns columns;
    bool turned = false;  // where one row comes back to a matrix: from its other end this time
};

#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int tile_rows = 6;
#else
inline constexpr int tile_rows = 3;  // 16 registers: 12 sums, 3 terms, 1 weight
#endif
inline constexpr Index most_rows = 128;         // of one call of multiply
inline constexpr Index fetch_ahead = 16;        // terms
inline constexpr Index line = 64;               // bytes
inline constexpr Index near_bytes = 40 * 1024;  // of weights that stay in the nearest cache
inline constexpr Index slice = 1024;  // terms of a panel that stay in a second-level cache over all rows

// R rows by P panels of V native vectors, all sums in registers. Meanwhile, a line a term, what lies `later`
// bytes behind the weights is fetched into the second-level cache.
template <class T, int R, int V, int P, class W>
LONGSPAN_INLINE void accumulate(Vec<T> (&sum)[R][P][V], const Operand<T, W>& part,
                                const W* const (&weights)[P], Index stride, Index row, Index later) {
    const T* rows[R];
    LONGSPAN_UNROLL
    for (int r = 0; r < R; ++r) rows[r] = part.rows[row + r];
    const char* next = reinterpret_cast<const char*>(weights[0]) + later;
    for (Index k = 0; k < part.count; ++k) {
        if constexpr (R >= 4 && V == 4) {
            __builtin_prefetch(next + k * line, 0, 2);
            LONGSPAN_UNROLL
            for (int v = 0; v < V; v += static_cast<int>(sizeof(T) / sizeof(W)))
                __builtin_prefetch(weights[0] + (k + fetch_ahead) * stride + v * lanes<T>);
        }
        Vec<T> term[R];
        LONGSPAN_UNROLL
        for (int r = 0; r < R; ++r) term[r] = splat<T>(rows[r][k]);
        LONGSPAN_UNROLL
        for (int p = 0; p < P; ++p) {
            LONGSPAN_UNROLL
            for (int v = 0; v < V; ++v) {
                const Vec<T> weight = weights_at(weights[p] + k * stride, v);
                LONGSPAN_UNROLL
                for (int r = 0; r < R; ++r) sum[r][p][v] = fma(term[r], weight, sum[r][p][v]);
            }
        }
    }
}

// The part of the next panel that the tile of this number fetches: each of the first few its share.
template <class T, class W>
LONGSPAN_INLINE Index fetched_by(Index number, const Operand<T, W>& part, Index panel) {
    const Index row = part.matrix.stride(panel) * static_cast<Index>(sizeof(W));
    return number * line < row ? part.matrix.depth * row + number * part.count * line : 0;
}

// `first` is the first native vector in the first panel; the P panels are neighbours; the tile is the one of
// this number in its column.
template <class T, int R, int V, int P, class W>
void tile(const Product<T, W>& job, Index panel, Index first, Index number, Index row, T* const* out) {
    constexpr int split = block / lanes<T>;  // native vectors in a block
    Vec<T> sum[R][P][V];
    Index place[P][V];
    LONGSPAN_UNROLL
    for (int p = 0; p < P; ++p) {
        LONGSPAN_UNROLL
        for (int v = 0; v < V; ++v) {
            const Index native = first + v, vector = 4 * (panel + p) + native / split;
            const Index lane = native % split * lanes<T>;
            place[p][v] = job.columns.place(vector) + lane;
            LONGSPAN_UNROLL
            for (int r = 0; r < R; ++r) {
                if (job.begin == Begin::kept)
                    sum[r][p][v] = load<T>(out[row + r] + place[p][v]);
                else if (job.begin == Begin::bias)
                    sum[r][p][v] = load<T>(job.bias + vector * block + lane);
                else
                    sum[r][p][v] = splat<T>(0);
            }
        }
    }
    for (int part = 0; part < job.parts; ++part) {
        const Operand<T, W>& operand = job.operands[part];
        const W* weights[P];
        LONGSPAN_UNROLL
        for (int p = 0; p < P; ++p)
            weights[p] = operand.matrix.at(panel + p, operand.first) + first * lanes<T>;
        accumulate<T, R, V, P>(sum, operand, weights, operand.matrix.stride(panel), row,
                               fetched_by(number, operand, panel));
    }
    LONGSPAN_UNROLL
    for (int r = 0; r < R; ++r) {
        LONGSPAN_UNROLL
        for (int p = 0; p < P; ++p) {
            LONGSPAN_UNROLL
            for (int v = 0; v < V; ++v) {
                T* to = out[row + r] + place[p][v];
                store<T>(to, job.end == End::add ? load<T>(to) + sum[r][p][v] : sum[r][p][v]);
            }
        }
    }
}

template <class T, int V, int P, class W>
void tile_of(int rows, const Product<T, W>& job, Index panel, Index first, Index number, Index row,
             T* const* out) {
    switch (rows) {
        case 1:
            return tile<T, 1, V, P>(job, panel, first, number, row, out);
        case 2:
            return tile<T, 2, V, P>(job, panel, first, number, row, out);
        case 3:
            return tile<T, 3, V, P>(job, panel, first, number, row, out);
#if defined(__AVX512F__) || defined(__aarch64__)
        case 4:
            return tile<T, 4, V, P>(job, panel, first, number, row, out);
        case 5:
            return tile<T, 5, V, P>(job, panel, first, number, row, out);
        default:
            return tile<T, 6, V, P>(job, panel, first, number, row, out);
#else
        default:
            return;
#endif
    }
}

// One tile of rows over all columns of a panel, at most four native vectors at a time.
template <class T, class W>
void panel_of(int rows, const Product<T, W>& job, Index panel, Index number, Index row, T* const* out) {
    const Index natives = job.operands[0].matrix.width(panel) / lanes<T>;
    Index first = 0;
    for (; first + 4 <= natives; first += 4) tile_of<T, 4, 1>(rows, job, panel, first, number, row, out);
    if (natives - first == 1) tile_of<T, 1, 1>(rows, job, panel, first, number, row, out);
    if (natives - first == 2) tile_of<T, 2, 1>(rows, job, panel, first, number, row, out);
    if (natives - first == 3) tile_of<T, 3, 1>(rows, job, panel, first, number, row, out);
}

// Whether one row goes through four panels in two halves, from alternate ends: of a matrix a little larger
// than the nearest cache, the half that was read last is still there.
template <class T, class W>
bool in_halves(Index count, const Product<T, W>& job, Index from, Index to) {
    if (count != 1 || to - from != 4) return false;
    Index terms = 0;
    for (int part = 0; part < job.parts; ++part) terms += job.operands[part].count;
    const Index bytes = 4 * 4 * block * terms * static_cast<Index>(sizeof(W));
    return bytes > near_bytes && bytes <= 2 * near_bytes;
}

// All rows over panels [from, to) in one pass over the terms that `job` names.
template <class T, class W>
void pass(Index count, const Product<T, W>& job, Index from, Index to, T* const* out) {
    const Index tiles = (count + tile_rows - 1) / tile_rows;
    constexpr bool wide = vector_bytes == 64 && sizeof(T) == 4;  // a panel is four native vectors
    if constexpr (wide) {
        if (in_halves(count, job, from, to) && job.operands[0].matrix.width(to - 1) == 4 * block) {
            const Index first = job.turned ? from + 2 : from;
            tile<T, 1, 4, 2>(job, first, 0, 0, 0, out);
            return tile<T, 1, 4, 2>(job, 2 * from + 2 - first, 0, 0, 0, out);
        }
    }
    Index panel = from;
    while (panel < to) {
        const bool full = panel + 4 <= to && job.operands[0].matrix.width(panel + 3) == 4 * block;
        // One or two rows are too few chains to hide the latency of a sum: more panels side by side.
        const int together = wide && full && count <= 2 ? (count == 1 ? 4 : 2) : 1;
        for (Index index = 0, row = 0; index < tiles; ++index) {
            const Index rows = (count - row) / (tiles - index);  // balanced: 6 5 5, not 6 6 4
            if constexpr (wide) {
                if (together == 4)
                    tile<T, 1, 4, 4>(job, panel, 0, index, row, out);
                else if (together == 2)
                    tile<T, 2, 4, 2>(job, panel, 0, index, row, out);
                else
                    panel_of<T>(static_cast<int>(rows), job, panel, index, row, out);
            } else {
                panel_of<T>(static_cast<int>(rows), job, panel, index, row, out);
            }
            row += rows;
        }
        panel += together;
    }
}

// out = begin + the sum of the operands' products, for `count` rows and panels [from, to).
template <class T, class W>
void multiply(Index count, const Product<T, W>& job, Index from, Index to, T* const* out) {
    if (count == 0) return;
    Index total = 0;
    for (int part = 0; part < job.parts; ++part) total += job.operands[part].count;
    if (total <= 2 * slice || job.end == End::add || count <= tile_rows)
        return pass<T>(count, job, from, to, out);
    Product<T, W> piece = job;
    piece.parts = 1;
    const T* rows[most_rows];
    for (Index panel = from; panel < to; ++panel) {
        piece.begin = job.begin;
        for (int part = 0; part < job.parts; ++part) {
            const Operand<T, W>& whole = job.operands[part];
            for (Index k = 0; k < whole.count; k += slice) {
                for (Index r = 0; r < count; ++r) rows[r] = whole.rows[r] + k;
                const Index left = whole.count - k;
                piece.operands[0] = {rows, whole.matrix, whole.first + k, left < slice ? left : slice};
                pass<T>(count, piece, panel, panel + 1, out);
                piece.begin = Begin::kept;
            }
        }
    }
}

}  // namespace longspan::LONGSPAN_ISA
