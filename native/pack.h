// Weights as the products read them (see gemm.h).
#pragma once

#include <type_traits>

#include "call.h"
#include "gemm.h"
#include "masks.h"
#include "transpose.h"

namespace longspan::LONGSPAN_ISA {

// Blocks [from, to) of `total` that belong to one of several threads.
struct Share {
    Index from, to;
};
LONGSPAN_INLINE Share share(Index total, int thread, int threads) {
    return {total * thread / threads, total * (thread + 1) / threads};
}

// What one of several does of that which they share.
struct Part {
    int number, parts;
    Share of(Index total) const { return share(total, number, parts); }
};

template <class T>
LONGSPAN_INLINE void copy(const T* from, Index count, T* to) {
    __builtin_memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
}

// The same for a row of a few blocks, where a call of the library would take as long as the copy.
template <class T>
LONGSPAN_INLINE void copy_row(const T* from, Index count, T* to) {
    Index k = 0;
    for (; k + lanes<T> <= count; k += lanes<T>) store<T>(to + k, load<T>(from + k));
    if (k < count) copy(from + k, count - k, to + k);
}

template <class T>
LONGSPAN_INLINE void clear(T* to, Index count) {
    __builtin_memset(to, 0, static_cast<std::size_t>(count) * sizeof(T));
}

// One block of columns, rounded.
template <class T, class W>
void pack_rounded(const T* from, Index units, Index depth, W* to, Index column, Index stride) {
    constexpr Index piece = 64;  // terms
    T turned[piece * block];
    for (Index k = 0; k < depth; k += piece) {
        const Index here = depth - k < piece ? depth - k : piece;
        transpose<T>(from + k, depth, units, here, turned, block, true);
        for (Index term = 0; term < here; ++term)
            put_block(turned + term * block, column, to + (k + term) * stride);
    }
}

// Columns are units: vector v holds 16 units of gate v % gates; matrix is (gates * units, depth).
template <class T, class W>
void pack_rows(const T* matrix, Index gates, Index units, Index depth, W* out, Share vectors) {
    const Index total = gates * padded(units) / block;
    const Packed<W> packed{out, depth, total};
    for (Index v = vectors.from; v < vectors.to; ++v) {
        const Index gate = v % gates, unit = v / gates * block;
        const Index here = units - unit < block ? units - unit : block;
        const T* from = matrix + (gate * units + unit) * depth;
        W* to = out + (packed.at(v / 4, 0) - packed.data);
        const Index column = v % 4 * block, stride = packed.stride(v / 4);
        if constexpr (std::is_same_v<T, W>)
            transpose<T>(from, depth, here, depth, to + column, stride, true);
        else
            pack_rounded<T>(from, here, depth, to, column, stride);
    }
}

// Columns are the matrix's own columns, k is its rows: (rows, columns). Panel by panel, so that a row is read
// in one piece.
template <class T>
void pack_columns(const T* matrix, Index rows, Index columns, T* out, Share vectors) {
    const Packed<T> packed{out, rows, padded(columns) / block};
    for (Index v = vectors.from; v < vectors.to;) {
        const Index panel = v / 4, end = 4 * panel + 4 < vectors.to ? 4 * panel + 4 : vectors.to;
        const Index from = v * block, real = (end * block < columns ? end * block : columns) - from;
        T* const to = out + (packed.at(panel, 0) - packed.data) + v % 4 * block;
        const Index width = packed.width(panel), room = (end - v) * block;
        for (Index k = 0; k < rows; ++k) {
            copy_row(matrix + k * columns + from, real, to + k * width);
            clear(to + k * width + real, room - real);
        }
        v = end;
    }
}

// (gates, units) to (gates, padded units); NULL gives zeros.
template <class T>
void pad_gates(const T* from, Index gates, Index units, T* to) {
    for (Index gate = 0; gate < gates; ++gate)
        for (Index unit = 0; unit < padded(units); ++unit)
            to[gate * padded(units) + unit] =
                from != nullptr && unit < units ? from[gate * units + unit] : T(0);
}

// Where a call's arrays are, typed.
template <class T>
struct Place {
    explicit Place(const Call& of)
        : call(of), tape(static_cast<T*>(of.rows)), work(static_cast<T*>(of.problem->work)) {}

    const Call& call;
    T* tape;
    T* work;
    Index thread = 0;  // whose rows these are, where rows of threads lie apart
    Index first = 0;   // step of the first row, where there are those of a chunk only

    const T* weight(int which) const { return static_cast<const T*>(call.problem->weights[which]); }
    const T* x(Index step, Index place) const {
        const longspan_problem& p = *call.problem;
        return static_cast<const T*>(p.x) + call.time(step) * p.x_time + call.order[place] * p.x_batch;
    }
    T* gates(Index step, Index place) const { return row(call.tape.gates, step, place); }
    T* h(Index step, Index place) const { return row(call.tape.h, step, place); }
    T* c(Index step, Index place) const { return row(call.tape.c, step, place); }
    T* state(int which, Index step, Index place) const {
        return which == 0 ? h(step, place) : c(step, place);
    }
    // h as the recurrent product sees it.
    T* seen(Index step, Index place) const {
        return row(call.shape.drop ? call.tape.seen : call.tape.h, step, place);
    }
    T* unit_x(Index step, Index place) const { return row(call.tape.unit_x, step, place); }
    T* unit_h(Index step, Index place) const { return row(call.tape.unit_h, step, place); }
    T* scale(Index step, Index place) const { return row(call.tape.scale, step, place); }
    // Mean and 1 / deviation of the new cell state, behind the scales of the two products.
    T* moments_c(Index step, Index place) const { return scale(step, place) + 2; }
    T* shown(Index step, Index place) const { return row(call.tape.shown, step, place); }
    // Bits of the units of a state that keep their old value.
    std::uint16_t* held(int which, Index step, Index place) const {
        return reinterpret_cast<std::uint16_t*>(row(call.tape.held, step, place)) +
               which * call.shape.h_width / block;
    }
    // States before the first step of a chunk.
    T* mark(int which, Index number, Index place) const {
        const Rows& rows = which == 0 ? call.tape.mark_h : call.tape.mark_c;
        return static_cast<T*>(call.problem->tape) + rows.at(number, place, call.group[place], 0);
    }
    T* row(const Rows& rows, Index step, Index place) const {
        return tape + rows.at(step - first, place, call.group[place], thread);
    }
    T* scratch(Index place) const { return work + call.work.scratch + place * call.work.scratch_width; }
    const T* drop(Index place) const { return work + call.work.drop + place * call.shape.h_width; }
    const T* bias() const { return work + call.work.bias; }
    // Where packed weights of type W are.
    template <class W>
    W* packed(Index region) const {
        return reinterpret_cast<W*>(work + region);
    }

    // A row of an array (B, T, width) of `record`, or NULL.
    template <class Pointer>
    auto recorded(Pointer base, Index step, Index place, Index width) const {
        using Element = std::conditional_t<std::is_same_v<Pointer, void*>, T, const T>;
        if (base == nullptr) return static_cast<Element*>(nullptr);
        const Index row = call.order[place] * call.problem->steps + call.time(step);
        return static_cast<Element*>(base) + row * width;
    }
};

inline constexpr Index rows_fetched = 4;

template <class T>
LONGSPAN_INLINE void fetch_row(const T* row, Index count) {
    const char* const bytes = reinterpret_cast<const char*>(row);
    for (Index at = 0; at < count * static_cast<Index>(sizeof(T)); at += line) __builtin_prefetch(bytes + at);
}

template <class T>
void pack_bias(const Place<T>& at) {
    const Shape& s = at.call.shape;
    const T* ih = at.weight(LONGSPAN_BIAS_IH);
    const T* hh = at.weight(LONGSPAN_BIAS_HH);
    T* bias = at.work + at.call.work.bias;  // [vector][16], as the columns of the products
    T* last = bias + s.gates * s.width;     // GRU: the recurrent bias of n, which r multiplies
    for (Index gate = 0; gate < s.gates; ++gate) {
        const bool apart = s.chains > s.gates && gate == 2;
        for (Index unit = 0; unit < s.width; ++unit) {
            const bool real = ih != nullptr && unit < s.H;
            const T first = real ? ih[gate * s.H + unit] : T(0), second = real ? hh[gate * s.H + unit] : T(0);
            bias[(unit / block * s.gates + gate) * block + unit % block] = apart ? first : first + second;
            if (apart) last[unit] = second;
        }
    }
}

template <class T>
void pack_options(const Place<T>& at) {
    const Shape& s = at.call.shape;
    const WorkLayout& w = at.call.work;
    if (s.peephole) pad_gates<T>(at.weight(LONGSPAN_WEIGHT_CH), s.peeping, s.H, at.work + w.peep);
    if (!s.norm) return;
    pad_gates<T>(at.weight(LONGSPAN_GAIN_IH), s.gates, s.H, at.work + w.gain_ih);
    pad_gates<T>(at.weight(LONGSPAN_GAIN_HH), s.gates, s.H, at.work + w.gain_hh);
    pad_gates<T>(at.weight(LONGSPAN_GAIN_C), 1, s.H, at.work + w.gain_c);
    pad_gates<T>(at.weight(LONGSPAN_SHIFT_C), 1, s.H, at.work + w.shift_c);
}

template <class T>
void draw_drop(const Place<T>& at) {
    const longspan_problem& p = *at.call.problem;
    const Shape& s = at.call.shape;
    if (!s.drop) return;
    const Draw draw{static_cast<std::uint64_t>(p.seed), recurrent_purpose,
                    static_cast<std::uint32_t>(p.layer), static_cast<std::uint32_t>(p.direction)};
    const T kept = p.recurrent_dropout < 1.0 ? static_cast<T>(1.0 / (1.0 - p.recurrent_dropout)) : T(0);
    for (Index place = 0; place < p.batch; ++place) {
        T* row = at.work + at.call.work.drop + place * s.h_width;
        clear(row, s.h_width);
        mask<T>(draw, 0, at.call.sample(place), p.recurrent_dropout, s.P, T(0), kept, row);
    }
}

template <class T, class W = T>
void pack(const Call& call, bool backward, int thread, int threads) {
    const Place<T> at(call);
    const Shape& s = call.shape;
    const WorkLayout& w = call.work;
    const Index vectors = s.gates * s.width / block;
    const T *ih = at.weight(LONGSPAN_WEIGHT_IH), *hh = at.weight(LONGSPAN_WEIGHT_HH);
    const T* hr = at.weight(LONGSPAN_WEIGHT_HR);
    const auto mine = [&](Index total) { return share(total, thread, threads); };
    if (backward) {
        pack_columns<T>(ih, s.gates * s.H, s.I, at.work + w.w_ih, mine(padded(s.I) / block));
        pack_columns<T>(hh, s.gates * s.H, s.P, at.work + w.w_hh, mine(s.h_width / block));
        if (s.projection) pack_columns<T>(hr, s.P, s.H, at.work + w.w_hr, mine(s.width / block));
    } else {
        pack_rows<T>(ih, s.gates, s.H, s.I, at.template packed<W>(w.w_ih), mine(vectors));
        // Where the product of n waits for r, its matrix lies behind that of the others.
        const Index early = s.reset_before ? s.gates - 1 : s.gates, rest = s.gates - early;
        pack_rows<T>(hh, early, s.H, s.P, at.template packed<W>(w.w_hh), mine(early * s.width / block));
        pack_rows<T>(hh + early * s.H * s.P, rest, s.H, s.P,
                     at.template packed<W>(w.w_hh) + early * s.width * s.P, mine(rest * s.width / block));
        if (s.projection)
            pack_rows<T>(hr, 1, s.P, s.H, at.template packed<W>(w.w_hr), mine(s.h_width / block));
    }
    if (thread != 0) return;
    pack_bias(at);
    pack_options(at);
    draw_drop(at);
}

}  // namespace longspan::LONGSPAN_ISA
