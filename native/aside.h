// One product in the pauses of another.
//
// A row by itself waits for its weights: the second-level cache of many processors gives one vector of them
// in two cycles, and a single row has one fused multiply-add for it. Meanwhile a product of many rows, which
// reads little, can go on.
#pragma once

#include "pack.h"

namespace longspan::LONGSPAN_ISA {

// So many rows are taken on at a time: three tiles, of five and six rows.
inline constexpr Index aside_rows = ahead_steps;
static_assert(aside_rows == 5 + 5 + 6);

template <class T>
class Aside {
  public:
    // Registers for both products at once, and panels of four native vectors.
    static constexpr bool possible = vector_bytes == 64 && sizeof(T) == 4 && tile_rows == 6;

    // Takes on a product with one operand, of `aside_rows` rows and whole panels; `rows` and `out` are
    // copied.
    void take(const Product<T>& job, Share panels, const T* const* rows, T* const* out) {
        job_ = job;
        for (Index row = 0; row < aside_rows; ++row) rows_[row] = rows[row], out_[row] = out[row];
        panel_ = panels.from, to_ = panels.to, row_ = 0, term_ = 0;
    }

    bool done() const { return panel_ >= to_; }

    // out += row times the matrix of `job`, for these panels, all of them whole; and meanwhile a part of what
    // was taken on.
    void multiply_row(const Product<T>& job, Share panels, T* out) {
        const T* const row = job.operands[0].rows[0];
        const Index terms = job.operands[0].count;
        for (Index number = panels.from; number < panels.to; ++number) {
            // There and back: a part of the panel that was read last is still in the nearest cache.
            const Index panel = job.turned ? panels.from + panels.to - 1 - number : number;
            Vec<T> sum[vectors];
            T* at[vectors];
            LONGSPAN_UNROLL
            for (int v = 0; v < vectors; ++v) {
                at[v] = out + job.columns.place(4 * panel + v);
                sum[v] = load<T>(at[v]);
            }
            const T* weights = job.operands[0].matrix.at(panel, 0);
            Index k = 0;
            while (!done()) {
                const Index rows = tile(), left = depth() - term_, room = (terms - k) / rows;
                const Index count = room < left ? room : left;
                if (count == 0) break;
                if (rows == 6)
                    both<6>(sum, weights + k * stride, row + k, count);
                else
                    both<5>(sum, weights + k * stride, row + k, count);
                k += count * rows;
                forward(count);
            }
            for (; k < terms; ++k) add(sum, weights + k * stride, row[k]);
            LONGSPAN_UNROLL
            for (int v = 0; v < vectors; ++v) store<T>(at[v], sum[v]);
        }
    }

    // The rest of what was taken on.
    void finish() {
        if (done()) return;
        Product<T> rest = job_;
        const T* rows[aside_rows];
        while (!done() && (row_ > 0 || term_ > 0)) {
            const Index count = tile();
            for (Index r = 0; r < count; ++r) rows[r] = rows_[row_ + r] + term_;
            rest.operands[0] = {rows, matrix(), term_, depth() - term_};
            rest.begin = term_ > 0 ? Begin::kept : job_.begin;
            pass<T>(count, rest, panel_, panel_ + 1, out_ + row_);
            forward(depth() - term_);
        }
        rest = job_;
        rest.operands[0].rows = rows_;
        if (!done()) multiply<T>(aside_rows, rest, panel_, to_, out_);
        panel_ = to_;
    }

  private:
    static constexpr int vectors = 4;                 // of a panel
    static constexpr Index stride = vectors * block;  // elements of a row of weights

    Product<T> job_{};
    const T* rows_[aside_rows];
    T* out_[aside_rows];
    Index panel_ = 0, to_ = 0, row_ = 0, term_ = 0;  // where it stands: this tile of this panel, this term

    const Packed<T>& matrix() const { return job_.operands[0].matrix; }
    Index depth() const { return job_.operands[0].count; }
    Index tile() const { return row_ < 10 ? 5 : 6; }  // 5, 5, 6

    void forward(Index terms) {
        term_ += terms;
        if (term_ < depth()) return;
        row_ += tile(), term_ = 0;
        if (row_ == aside_rows) row_ = 0, ++panel_;
    }

    static LONGSPAN_INLINE void add(Vec<T> (&sum)[vectors], const T* weights, T term) {
        LONGSPAN_UNROLL
        for (int v = 0; v < vectors; ++v)
            sum[v] = fma(splat<T>(term), load<T>(weights + v * lanes<T>), sum[v]);
    }

    // So many terms of the tile that is on, and R times as many of the row: as many multiplications of both.
    template <int R>
    LONGSPAN_INLINE void both(Vec<T> (&sum)[vectors], const T* weights, const T* row, Index count) {
        Vec<T> own[R][vectors];
        Index place[vectors];
        LONGSPAN_UNROLL
        for (int v = 0; v < vectors; ++v) {
            place[v] = job_.columns.place(4 * panel_ + v);
            LONGSPAN_UNROLL
            for (int r = 0; r < R; ++r)
                own[r][v] = term_ == 0 ? load<T>(job_.bias + (4 * panel_ + v) * block)
                                       : load<T>(out_[row_ + r] + place[v]);
        }
        const T* terms[R];
        LONGSPAN_UNROLL
        for (int r = 0; r < R; ++r) terms[r] = rows_[row_ + r] + term_;
        const T* other = matrix().at(panel_, term_);
        for (Index k = 0; k < count; ++k) {
            LONGSPAN_UNROLL
            for (int r = 0; r < R; ++r) add(sum, weights + (k * R + r) * stride, row[k * R + r]);
            LONGSPAN_UNROLL
            for (int v = 0; v < vectors; ++v) {
                const Vec<T> weight = load<T>(other + k * stride + v * lanes<T>);
                LONGSPAN_UNROLL
                for (int r = 0; r < R; ++r) own[r][v] = fma(splat<T>(terms[r][k]), weight, own[r][v]);
            }
        }
        LONGSPAN_UNROLL
        for (int r = 0; r < R; ++r) {
            LONGSPAN_UNROLL
            for (int v = 0; v < vectors; ++v) store<T>(out_[row_ + r] + place[v], own[r][v]);
        }
    }
};

}  // namespace longspan::LONGSPAN_ISA
