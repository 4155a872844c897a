// Gradients of the weights: sums over all real (step, place) rows, chunk by chunk of time, from the last to
// the first.
//
// Each element is, group by group of sequences and piece by piece, one chain of fused multiply-adds that
// starts at 0, and the pieces are added in their order: the real rows of `block_steps` steps, counted from
// the first element of the sequences, or the rest of them after every `sum_rows`. Threads share out the
// groups or the elements, never a sum; chunks change nothing.
#pragma once

#include "pack.h"

namespace longspan::LONGSPAN_ISA {

inline constexpr Index sum_rows = 2 * block_rows;  // of a piece, at most
inline constexpr int sum_columns = tile_rows;      // features side by side

// total[c][...] += sum over k of d[k][offset] * x[k][first + c], for C features and V native vectors.
template <class T, int C, int V>
void outer_tile(Index count, const T* const* d, const Index (&offset)[4], const T* const* x, Index first,
                T* const (&total)[4], Index stride) {
    Vec<T> sum[C][V];
    LONGSPAN_UNROLL
    for (int c = 0; c < C; ++c) {
        LONGSPAN_UNROLL
        for (int v = 0; v < V; ++v) sum[c][v] = splat<T>(0);
    }
    for (Index k = 0; k < count; ++k) {
        const T *row = d[k], *from = x[k] + first;
        Vec<T> term[C];
        LONGSPAN_UNROLL
        for (int c = 0; c < C; ++c) term[c] = splat<T>(from[c]);
        LONGSPAN_UNROLL
        for (int v = 0; v < V; ++v) {
            const Vec<T> value = load<T>(row + offset[v]);
            LONGSPAN_UNROLL
            for (int c = 0; c < C; ++c) sum[c][v] = fma(term[c], value, sum[c][v]);
        }
    }
    LONGSPAN_UNROLL
    for (int c = 0; c < C; ++c) {
        LONGSPAN_UNROLL
        for (int v = 0; v < V; ++v) {
            T* to = total[v] + c * stride;
            store<T>(to, load<T>(to) + sum[c][v]);
        }
    }
}

template <class T, int V>
void outer(int columns, Index count, const T* const* d, const Index (&offset)[4], const T* const* x,
           Index first, T* const (&total)[4], Index stride) {
    switch (columns) {
        case 1:
            return outer_tile<T, 1, V>(count, d, offset, x, first, total, stride);
        case 2:
            return outer_tile<T, 2, V>(count, d, offset, x, first, total, stride);
        case 3:
            return outer_tile<T, 3, V>(count, d, offset, x, first, total, stride);
#if defined(__AVX512F__) || defined(__aarch64__)
        case 4:
            return outer_tile<T, 4, V>(count, d, offset, x, first, total, stride);
        case 5:
            return outer_tile<T, 5, V>(count, d, offset, x, first, total, stride);
        default:
            return outer_tile<T, 6, V>(count, d, offset, x, first, total, stride);
#else
        default:
            return;
#endif
    }
}

// The real rows of a chunk, of the sequences of a group, in the order of processing.
class Rows {
  public:
    // `room` holds (5 ring + chunk) Index: four numbers a row, and the ends of the pieces.
    Rows(const Call& call, Share places, Index* room)
        : call_(call),
          places_(places),
          tape_(room),
          ring_(tape_ + call.work.ring),
          in_x_(ring_ + call.work.ring),
          in_dx_(in_x_ + call.work.ring),
          ends_(in_dx_ + call.work.ring) {}

    // Steps [from, end): `from` is the step of the first row of the chunk.
    void list(Index from, Index end) {
        const longspan_problem& p = *call_.problem;
        const longspan_gradients& to = *call_.gradients;
        const Index steps = block_steps(p, call_.shape), shift = call_.reverse() ? p.steps % steps : 0;
        count_ = pieces_ = 0;
        Index start = 0;
        for (Index step = from; step < end; ++step) {
            for (Index place = places_.from; place < places_.to; ++place) {
                if (!call_.active(place, step)) continue;
                const Index t = call_.time(step), n = call_.order[place];
                const Index group = call_.group[place];
                tape_[count_] = call_.tape.gates.number.of(step, place, group);
                ring_[count_] = call_.work.number.of(step - from, place, group);
                in_x_[count_] = t * p.x_time + n * p.x_batch,
                in_dx_[count_++] = t * to.x_time + n * to.x_batch;
            }
            const bool last = step + 1 == end || (step + 1 - shift) % steps == 0;
            while (count_ - start >= sum_rows || (last && count_ > start)) {
                start = count_ - start > sum_rows ? start + sum_rows : count_;
                ends_[pieces_++] = start;
            }
        }
    }

    Index count() const { return count_; }
    Index pieces() const { return pieces_; }
    Index start(Index piece) const { return piece == 0 ? 0 : ends_[piece - 1]; }
    Index end(Index piece) const { return ends_[piece]; }
    const Index* tape() const { return tape_; }
    const Index* ring() const { return ring_; }
    const Index* in_x() const { return in_x_; }
    const Index* in_dx() const { return in_dx_; }

  private:
    const Call& call_;
    Share places_;
    Index *tape_, *ring_, *in_x_, *in_dx_, *ends_;
    Index count_ = 0, pieces_ = 0;
};

// Rows of a buffer, by numbers of real rows.
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
    Index vectors() const { return gates * width / block; }
    Index place(Index vector) const { return row[vector * block / width] * width + vector * block % width; }
};

// Of one panel of a stack: total [column][64] += the sum over so many rows of d outer x.
template <class T>
void add_outer(const Stack& stack, Index panel, Index rows, const T* const* d, const T* const* x,
               Index columns, T* panel_total) {
    constexpr int split = block / lanes<T>;
    const Index first = 4 * panel, left = stack.vectors() - first, count = left < 4 ? left : 4;
    const auto several = [&](Index native, auto width) {
        constexpr int V = decltype(width)::value;
        Index offset[4] = {};
        T* total[4] = {};
        for (int v = 0; v < V; ++v) {
            const Index vector = (native + v) / split, lane = (native + v) % split * lanes<T>;
            offset[v] = stack.place(first + vector) + lane;
            total[v] = panel_total + (native + v) * lanes<T>;
        }
        for (Index c = 0; c < columns; c += sum_columns) {
            const Index rest = columns - c;
            T* here[4] = {};
            for (int v = 0; v < V; ++v) here[v] = total[v] + c * 4 * block;
            outer<T, V>(static_cast<int>(rest < sum_columns ? rest : sum_columns), rows, d, offset, x, c,
                        here, 4 * block);
        }
    };
    Index native = 0;
    for (; native + 4 <= count * split; native += 4) several(native, std::integral_constant<int, 4>{});
    for (; native + 2 <= count * split; native += 2) several(native, std::integral_constant<int, 2>{});
    for (; native < count * split; ++native) several(native, std::integral_constant<int, 1>{});
}

// Which of several threads, each with neighbours of its own, has all of these sums; -1 where none has.
inline int owner_of(Share sums, Index count, int owners) {
    for (int thread = 0; thread < owners; ++thread) {
        const Share own = share(count, thread, owners);
        if (own.from <= sums.from && sums.to <= own.to) return thread;
    }
    return -1;
}

// Sums that lie `size` apart, a whole number of blocks each, are added up in pairs, pairs of pairs and so on
// in the place of the first: `count` is a power of two, and the tree is the same whoever adds. Here those
// pairs that one owner has, or none (-1); of each the elements of a part.
template <class T>
void add_up(T* first, Index count, Index size, int owners, int owner, Part part) {
    const Share mine = part.of(size / block);
    for (Index width = 2; width <= count; width *= 2) {
        for (Index at = 0; at < count; at += width) {
            if (owner_of({at, at + width}, count, owners) != owner) continue;
            T* const to = first + at * size;
            const T* const from = to + width / 2 * size;
            each_vector<T>(Units{mine.from * block, mine.to * block}, [&](Index k) LONGSPAN_BODY {
                store<T>(to + k, load<T>(to + k) + load<T>(from + k));
            });
        }
    }
}

// Sums [panel][column][64] of these panels to the caller's array (gates * units, columns).
template <class T>
void write_panels(const Stack& stack, Share panels, Index columns, const T* total, T* out) {
    for (Index vector = 4 * panels.from; vector < 4 * panels.to && vector < stack.vectors(); ++vector) {
        const Index gate = vector * block / stack.width, unit = vector * block % stack.width;
        const Index here = stack.units - unit < block ? stack.units - unit : block;
        const T* from = total + (vector / 4 * columns * 4 + vector % 4) * block;
        T* rows = out + (gate * stack.units + unit) * columns;
        Index c = 0;
        for (; c + block <= columns; c += block)
            transpose<T>(from + c * 4 * block, 4 * block, block, here, rows + c, columns, false);
        for (; c < columns; ++c)
            for (Index lane = 0; lane < here; ++lane) rows[lane * columns + c] = from[c * 4 * block + lane];
    }
}

// What elements are multiplied with and where the sums go: gate g is at row[g] of b; without b they are
// summed up as they are.
template <class T>
struct Factor {
    T* total;
    Source<T> b{};
    Index row[4] = {0, 0, 0, 0};
};

// What one thread sums up and writes.
template <class T>
class Sums {
  public:
    Sums(const Rows& rows, Part part) : rows_(rows), part_(part) {}

    // total += d outer x over the rows of the chunk; total is [panel][column][64].
    void weight(const Stack& stack, const Source<T>& d, const Source<T>& x, Index columns, T* total) const {
        const Share mine = panels(stack);
        for (Index panel = mine.from; panel < mine.to; ++panel)
            for (Index piece = rows_.pieces() - 1; piece >= 0; --piece)
                panel_sum(stack, d, x, columns, panel, piece, total + panel * columns * 4 * block);
    }

    // total (gates, width) += a * b by elements, for the gates of a stack, of one or several b.
    void elements(const Stack& stack, const Source<T>& a, const Factor<T>* by, int count) const {
        if (count == 1) elements_of<1>(stack, a, by);
        if (count == 2) elements_of<2>(stack, a, by);
        if (count == 3) elements_of<3>(stack, a, by);
    }

    void elements(const Stack& stack, const Source<T>& a, const Factor<T>& by) const {
        elements_of<1>(stack, a, &by);
    }

    void clear_weight(const Stack& stack, Index columns, T* total) const {
        const Share mine = panels(stack);
        clear(total + mine.from * columns * 4 * block, (mine.to - mine.from) * columns * 4 * block);
    }

    void clear_elements(const Stack& stack, T* total) const {
        const Share mine = vectors(stack);
        clear(total + mine.from * block, (mine.to - mine.from) * block);
    }

    // To the caller's array (gates * units, columns).
    void write_weight(const Stack& stack, Index columns, const T* total, T* out) const {
        write_panels<T>(stack, panels(stack), columns, total, out);
    }

    void write_elements(const Stack& stack, const T* total, T* out) const {
        const Share mine = vectors(stack);
        for (Index v = mine.from; v < mine.to; ++v) {
            const Index gate = v * block / stack.width, unit = v * block % stack.width;
            for (Index lane = 0; lane < block && unit + lane < stack.units; ++lane)
                out[gate * stack.units + unit + lane] = total[v * block + lane];
        }
    }

  private:
    const Rows& rows_;
    Part part_;

    Share panels(const Stack& stack) const { return part_.of((stack.vectors() + 3) / 4); }
    Share vectors(const Stack& stack) const { return part_.of(stack.vectors()); }

    void panel_sum(const Stack& stack, const Source<T>& d, const Source<T>& x, Index columns, Index panel,
                   Index piece, T* panel_total) const {
        const Index start = rows_.start(piece), rows = rows_.end(piece) - start;
        const T *d_rows[sum_rows], *x_rows[sum_rows];
        for (Index k = 0; k < rows; ++k) d_rows[k] = d.row(start + k), x_rows[k] = x.row(start + k);
        add_outer<T>(stack, panel, rows, d_rows, x_rows, columns, panel_total);
    }

    template <int N>
    void elements_of(const Stack& stack, const Source<T>& a, const Factor<T>* by) const {
        const Share mine = vectors(stack);
        const Index of_gate = stack.width / block;
        for (Index v = mine.from; v < mine.to;) {
            const Index gate = v / of_gate, unit = v % of_gate * block;
            const Index end = (gate + 1) * of_gate < mine.to ? (gate + 1) * of_gate : mine.to;
            Index at[N];
            T* total[N];
            for (int n = 0; n < N; ++n)
                at[n] = by[n].row[gate] * stack.width + unit, total[n] = by[n].total + v * block;
            const Index a_at = stack.row[gate] * stack.width + unit;
            if (end - v >= 4)
                column_sums<4, N>(a, a_at, by, at, total), v += 4;
            else
                column_sums<1, N>(a, a_at, by, at, total), v += 1;
        }
    }

    // V blocks of columns side by side.
    template <int V, int N>
    void column_sums(const Source<T>& a, Index a_at, const Factor<T>* by, const Index (&by_at)[N],
                     T* const (&total)[N]) const {
        constexpr int natives = V * block / lanes<T>, together = natives < 4 ? natives : 4;
        for (int first = 0; first < natives; first += together) {
            const Index at = first * lanes<T>;
            for (Index piece = rows_.pieces() - 1; piece >= 0; --piece) {
                Vec<T> sum[N][together];
                LONGSPAN_UNROLL
                for (int n = 0; n < N; ++n) {
                    LONGSPAN_UNROLL
                    for (int k = 0; k < together; ++k) sum[n][k] = splat<T>(0);
                }
                for (Index row = rows_.start(piece); row < rows_.end(piece); ++row) {
                    const T* left = a.row(row) + a_at + at;
                    const T* right[N];
                    LONGSPAN_UNROLL
                    for (int n = 0; n < N; ++n)
                        right[n] = by[n].b.base == nullptr ? nullptr : by[n].b.row(row) + by_at[n] + at;
                    LONGSPAN_UNROLL
                    for (int k = 0; k < together; ++k) {
                        const Vec<T> value = load<T>(left + k * lanes<T>);
                        LONGSPAN_UNROLL
                        for (int n = 0; n < N; ++n)
                            sum[n][k] = right[n] == nullptr
                                            ? sum[n][k] + value
                                            : fma(value, load<T>(right[n] + k * lanes<T>), sum[n][k]);
                    }
                }
                LONGSPAN_UNROLL
                for (int n = 0; n < N; ++n) {
                    LONGSPAN_UNROLL
                    for (int k = 0; k < together; ++k) {
                        T* to = total[n] + at + k * lanes<T>;
                        store<T>(to, load<T>(to) + sum[n][k]);
                    }
                }
            }
        }
    }
};

}  // namespace longspan::LONGSPAN_ISA
