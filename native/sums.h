// Gradients of the weights: sums over all real (step, place) rows, in blocks of 128 rows, in their order.
//
// Each element is, block by block, one chain of fused multiply-adds that starts at 0, and the blocks are
// added in order. Threads share out the elements, never a sum.
#pragma once

#include "pack.h"

namespace longspan::LONGSPAN_ISA {

inline constexpr Index sum_rows = 128;
inline constexpr int sum_columns = tile_rows;  // features side by side

// total[c][...] += sum over k of d[k][offset] * x[k][first + c], for C features and four native vectors.
template <class T, int C>
void outer_tile(Index count, const T* const* d, const Index (&offset)[4], const T* const* x, Index first,
                T* const (&total)[4], Index stride) {
    Vec<T> sum[C][4];
    LONGSPAN_UNROLL
    for (int c = 0; c < C; ++c) {
        LONGSPAN_UNROLL
        for (int v = 0; v < 4; ++v) sum[c][v] = splat<T>(0);
    }
    for (Index k = 0; k < count; ++k) {
        const T *row = d[k], *from = x[k] + first;
        Vec<T> term[C];
        LONGSPAN_UNROLL
        for (int c = 0; c < C; ++c) term[c] = splat<T>(from[c]);
        LONGSPAN_UNROLL
        for (int v = 0; v < 4; ++v) {
            const Vec<T> value = load<T>(row + offset[v]);
            LONGSPAN_UNROLL
            for (int c = 0; c < C; ++c) sum[c][v] = fma(term[c], value, sum[c][v]);
        }
    }
    LONGSPAN_UNROLL
    for (int c = 0; c < C; ++c) {
        LONGSPAN_UNROLL
        for (int v = 0; v < 4; ++v) {
            T* to = total[v] + c * stride;
            store<T>(to, load<T>(to) + sum[c][v]);
        }
    }
}

template <class T>
void outer(int columns, Index count, const T* const* d, const Index (&offset)[4], const T* const* x,
           Index first, T* const (&total)[4], Index stride) {
    switch (columns) {
        case 1:
            return outer_tile<T, 1>(count, d, offset, x, first, total, stride);
        case 2:
            return outer_tile<T, 2>(count, d, offset, x, first, total, stride);
        case 3:
            return outer_tile<T, 3>(count, d, offset, x, first, total, stride);
#if defined(__AVX512F__) || defined(__aarch64__)
        case 4:
            return outer_tile<T, 4>(count, d, offset, x, first, total, stride);
        case 5:
            return outer_tile<T, 5>(count, d, offset, x, first, total, stride);
        default:
            return outer_tile<T, 6>(count, d, offset, x, first, total, stride);
#else
        default:
            return;
#endif
    }
}

// Rows of a buffer, by the numbers in the list of real rows.
template <class T>
struct Source {
    const T* base = nullptr;
    Index width = 0;
    const Index* numbers = nullptr;  // row k is at base + numbers[k] * width
    const T* row(Index k) const { return base + numbers[k] * width; }
};

// A matrix (gates * units, columns) whose rows are the units of gates that lie `width` apart, gate g at
// row[g].
struct Stack {
    Index gates, units, width;
    Index row[4];
};

template <class T>
class Sums {
  public:
    Sums(const Call& call, T* total, int thread, int threads)
        : real_(call.real), total_(total), thread_(thread), threads_(threads) {}

    // out = sum of d outer x.
    void weight(const Stack& stack, const Source<T>& d, const Source<T>& x, Index columns, T* out) const {
        const Index vectors = stack.gates * stack.width / block;
        const Share mine = share((vectors + 3) / 4, thread_, threads_);
        for (Index panel = mine.from; panel < mine.to; ++panel) {
            const Index first = 4 * panel, count = vectors - first < 4 ? vectors - first : 4;
            panel_sum(stack, d, x, columns, first, count);
            for (Index v = 0; v < count; ++v) write(stack, first + v, v, columns, out);
        }
    }

    // out = sum of a * b by elements, or of a alone; for the gates of a stack, b in rows of its own.
    void elements(const Stack& stack, const Source<T>& a, const Source<T>& b, const Index (&b_row)[4],
                  T* out) const {
        const Share mine = share(stack.gates * stack.width / block, thread_, threads_);
        for (Index v = mine.from; v < mine.to; ++v) {
            const Index gate = v * block / stack.width, unit = v * block % stack.width;
            T sum[block];
            column_sum(a, stack.row[gate] * stack.width + unit, b, b_row[gate] * stack.width + unit, sum);
            for (Index lane = 0; lane < block && unit + lane < stack.units; ++lane)
                out[gate * stack.units + unit + lane] = sum[lane];
        }
    }

    void elements(const Stack& stack, const Source<T>& a, T* out) const {
        elements(stack, a, Source<T>{}, {0, 0, 0, 0}, out);
    }

  private:
    Index real_;
    T* total_;  // [column][64]
    int thread_, threads_;

    static Index place(const Stack& stack, Index vector) {
        const Index gate = vector * block / stack.width;
        return stack.row[gate] * stack.width + vector * block % stack.width;
    }

    void panel_sum(const Stack& stack, const Source<T>& d, const Source<T>& x, Index columns, Index first,
                   Index count) const {
        constexpr int split = block / lanes<T>;
        const Index natives = 4 * split;
        clear(total_, columns * 4 * block);
        const T *d_rows[sum_rows], *x_rows[sum_rows];
        for (Index start = 0; start < real_; start += sum_rows) {
            const Index rows = real_ - start < sum_rows ? real_ - start : sum_rows;
            for (Index k = 0; k < rows; ++k) d_rows[k] = d.row(start + k), x_rows[k] = x.row(start + k);
            for (Index native = 0; native < natives; native += 4) {
                Index offset[4];
                T* total[4];
                for (Index v = 0; v < 4; ++v) {
                    // Past the last vector the last one is summed again, into columns that are not read.
                    const Index vector = (native + v) / split, lane = (native + v) % split * lanes<T>;
                    offset[v] = place(stack, first + (vector < count ? vector : count - 1)) + lane;
                    total[v] = total_ + (native + v) * lanes<T>;
                }
                for (Index c = 0; c < columns; c += sum_columns) {
                    const Index left = columns - c;
                    T* here[4];
                    for (int v = 0; v < 4; ++v) here[v] = total[v] + c * 4 * block;
                    outer<T>(static_cast<int>(left < sum_columns ? left : sum_columns), rows, d_rows, offset,
                             x_rows, c, here, 4 * block);
                }
            }
        }
    }

    void write(const Stack& stack, Index vector, Index v, Index columns, T* out) const {
        const Index gate = vector * block / stack.width, unit = vector * block % stack.width;
        const Index here = stack.units - unit < block ? stack.units - unit : block;
        T* rows = out + (gate * stack.units + unit) * columns;
        Index c = 0;
        for (; c + block <= columns; c += block)
            transpose<T>(total_ + v * block + c * 4 * block, 4 * block, block, here, rows + c, columns,
                         false);
        for (; c < columns; ++c)
            for (Index lane = 0; lane < here; ++lane)
                rows[lane * columns + c] = total_[(c * 4 + v) * block + lane];
    }

    void column_sum(const Source<T>& a, Index a_at, const Source<T>& b, Index b_at, T* out) const {
        constexpr int split = block / lanes<T>;
        Vec<T> total[split];
        for (int k = 0; k < split; ++k) total[k] = splat<T>(0);
        for (Index start = 0; start < real_; start += sum_rows) {
            const Index end = start + sum_rows < real_ ? start + sum_rows : real_;
            for (int k = 0; k < split; ++k) {
                Vec<T> sum = splat<T>(0);
                for (Index row = start; row < end; ++row) {
                    const Vec<T> value = load<T>(a.row(row) + a_at + k * lanes<T>);
                    sum = b.base == nullptr ? sum + value
                                            : fma(value, load<T>(b.row(row) + b_at + k * lanes<T>), sum);
                }
                total[k] += sum;
            }
        }
        for (int k = 0; k < split; ++k) store<T>(out + k * lanes<T>, total[k]);
    }
};

}  // namespace longspan::LONGSPAN_ISA
