// Where everything lies in the tape and in the work space. Sizes only: shared by all instruction sets.
//
// Rows are padded to whole blocks of 16. Step s is the s-th in the order of processing, place g the g-th
// sequence, the longest first; both are independent of threads.
#pragma once

#include <cstdint>

#include "longspan.h"

// Whatever is shared by files of different instruction sets is always inlined, so that the linker never has
// to choose one of their copies.
#define LONGSPAN_INLINE inline __attribute__((always_inline))
// The same for the body of a loop that is given as a lambda.
#define LONGSPAN_BODY __attribute__((always_inline))

namespace longspan {

using Index = std::int64_t;

LONGSPAN_INLINE constexpr Index padded(Index units) {
    return (units + 15) / 16 * 16;
}

struct Shape {
    Index gates, chains;  // G, and rows of a step on the tape: one more where r multiplies U_n h + b
    Index peeping;
    Index H, P, I, width;  // sizes; width is H padded
    Index h_width;         // P padded
    Index groups;          // of sequences, see groups_of
    bool lstm, gru, norm, projection, peephole, drop, hold;
    bool reset_before;  // GRU: the product of n waits for r

    int states() const { return lstm ? 2 : 1; }
    Index state_width(int which) const { return which == 0 ? P : H; }
};

// The number of the row of a step and a place: all steps of a group of sequences lie together, so that
// threads with groups of their own write to memory far apart. What a processor fetches ahead of one would
// otherwise take lines away from another.
struct Numbering {
    Index stride = 0;  // rows of a step
    Index jump = 0;    // what is added from one group to the next
    LONGSPAN_INLINE Index of(Index step, Index place, Index group) const {
        return step * stride + place + group * jump;
    }
};

// Rows of the same width for every step and place; without a tape only the last `slots` steps are there. Then
// the rows of two threads, which are written again and again, stand `gap` rows apart.
struct Rows {
    Index offset = 0, width = 0;
    Numbering number;
    Index mask = 0, gap = 0;
    LONGSPAN_INLINE Index at(Index step, Index place, Index group, Index thread) const {
        return offset + (number.of(step & mask, place, group) + thread * gap) * width;
    }
};
inline constexpr Index gap_elements = 1024;

// Counts out regions one after the other, in elements.
class Ruler {
  public:
    LONGSPAN_INLINE Index take(Index count) {
        const Index here = end_;
        end_ += padded(count);
        return here;
    }
    // Of the last `slots` steps, a power of two.
    LONGSPAN_INLINE Rows rows(Index slots, Index batch, Index width, Index threads) {
        const Index gap = threads == 1 || width == 0 ? 0 : (gap_elements + width - 1) / width;
        const Index stride = batch + threads * gap;
        const Rows found{end_, width, {stride, 0}, slots - 1, gap};
        end_ += slots * stride * width;
        return found;
    }
    // Of all steps: so many rows.
    LONGSPAN_INLINE Rows rows(const Numbering& number, Index count, Index width) {
        const Rows found{end_, width, number, ~Index{0}, 0};
        end_ += count * width;
        return found;
    }
    LONGSPAN_INLINE Index end() const { return end_; }

  private:
    Index end_ = 0;
};

inline constexpr Index ahead_steps = 16;  // steps whose input is projected ahead at a time,
inline constexpr Index ahead_batch = 8;   // in batches up to this, where a step has too few rows of its own

inline constexpr Index index_elements = sizeof(Index) / sizeof(float);  // room for an Index among elements

struct TapeLayout {
    Rows gates;           // chains x width: sums, then activated gates
    Rows h, c;            // states before each step
    Rows seen;            // h as the recurrent product sees it, where it is dropped
    Rows unit_x, unit_h;  // the two products, then normalised
    Rows scale;           // 16 wide: 1 / deviation of the two products, then the moments of the cell state
    Rows shown;           // what is projected
    Rows held;            // zoneout in training: a bit for each unit of h and of c that keeps its old value
    Rows mark_h, mark_c;  // to recompute the rest: states before the first step of every chunk
    Index size;
};

// Sums of the weight gradients: matrices as [panel][column][64], vectors as (gates, width).
struct SumsLayout {
    Index w_ih, w_hh, w_hr, bias_ih, bias_hh, gain_ih, gain_hh, gain_c, shift_c, peep;
    Index w_hn;  // U_n, where what it multiplies is not what the others do
    Index size;
};

static inline SumsLayout sums_layout(const Shape& s) {
    SumsLayout l{};
    Ruler ruler;
    const Index rows = (s.gates * s.width + 63) / 64 * 64;
    l.w_ih = ruler.take(rows * s.I), l.w_hh = ruler.take(rows * s.P);
    l.w_hr = ruler.take(s.projection ? (s.h_width + 63) / 64 * 64 * s.H : 0);
    l.bias_ih = ruler.take(rows), l.bias_hh = ruler.take(rows);
    l.gain_ih = ruler.take(s.norm ? rows : 0), l.gain_hh = ruler.take(s.norm ? rows : 0);
    l.gain_c = ruler.take(s.norm ? s.width : 0), l.shift_c = ruler.take(s.norm ? s.width : 0);
    l.peep = ruler.take(s.peeping * s.width);
    l.w_hn = ruler.take(s.reset_before ? (s.width + 63) / 64 * 64 * s.P : 0);
    l.size = ruler.end();
    return l;
}

// The backward pass goes through time in chunks: what it finds for the steps of one is summed up while it is
// still near, and overwritten by the next. A chunk is made of blocks, which alone decide the order of the
// sums.
inline constexpr Index block_rows = 128;              // about this many rows a block, in whole steps
inline constexpr Index chunk_bytes = Index{1} << 20;  // a chunk fills the second-level cache at least

// Where weights are small, sequences are summed up by groups, each by itself: a thread that goes through time
// with whole groups then finds in its own cache what it sums up, and leaves other threads' memory alone. A
// matter of sizes and not of threads, since it decides the order of the sums.
inline constexpr Index most_groups = 8;                    // a power of two
inline constexpr Index least_of_group = 6;                 // sequences: a tile of rows
inline constexpr Index grouped_elements = Index{1} << 17;  // of sums

static inline Index groups_of(const longspan_problem& p, const Shape& s) {
    Index groups = 1;
    if (p.batch < 2 * least_of_group || sums_layout(s).size > grouped_elements) return groups;
    while (groups < most_groups && p.batch % (2 * groups) == 0 && p.batch >= 2 * groups * least_of_group)
        groups *= 2;
    return groups;
}

static inline Shape shape_of(const longspan_problem& p) {
    Shape s{};
    s.lstm = p.cell == LONGSPAN_LSTM;
    s.gru = p.cell == LONGSPAN_GRU;
    const bool no_f = (p.options & (LONGSPAN_COUPLED | LONGSPAN_NO_FORGET)) != 0;
    s.gates = s.lstm ? (no_f ? 3 : 4) : (s.gru ? 3 : 1);
    s.reset_before = s.gru && (p.options & LONGSPAN_RESET_BEFORE) != 0;
    s.chains = s.gru && !s.reset_before ? 4 : s.gates;
    s.peephole = (p.options & LONGSPAN_PEEPHOLE) != 0;
    s.peeping = s.peephole ? s.gates - 1 : 0;
    s.norm = (p.options & LONGSPAN_LAYER_NORM) != 0;
    s.projection = (p.options & LONGSPAN_PROJECTION) != 0;
    s.H = p.hidden, s.P = p.width, s.I = p.inputs;
    s.width = padded(s.H), s.h_width = padded(s.P);
    s.drop = p.training && p.recurrent_dropout > 0.0;
    s.hold = p.zoneout[0] > 0.0 || p.zoneout[1] > 0.0;
    s.groups = groups_of(p, s);
    return s;
}

LONGSPAN_INLINE Index group_size(const longspan_problem& p, const Shape& s) {
    return p.batch > 0 ? p.batch / s.groups : 1;
}

// The numbering of the rows of so many steps.
static inline Numbering numbering(const longspan_problem& p, const Shape& s, Index steps) {
    const Index size = group_size(p, s);
    return {size, size * (steps - 1)};
}

// What the steps of a call leave behind: of all `steps`, with room for one more of each kind, so that they
// are numbered alike; or of the last few, and then sums of these steps and of those to come.
static inline void step_rows(Ruler& ruler, const longspan_problem& p, const Shape& s, Index steps, bool all,
                             TapeLayout& t) {
    const Index ahead = p.batch <= ahead_batch ? 2 * ahead_steps : 1;
    const Numbering number = numbering(p, s, steps + 1);
    const auto rows = [&](Index slots, Index width) {
        return all ? ruler.rows(number, (steps + 1) * p.batch, width)
                   : ruler.rows(slots, p.batch, width, p.threads);
    };
    t.gates = rows(ahead, s.chains * s.width);
    t.h = rows(2, s.h_width);
    if (s.lstm) t.c = rows(2, s.width);
    if (s.drop) t.seen = rows(1, s.h_width);
    if (s.norm) {
        t.unit_x = rows(1, s.gates * s.width);
        t.unit_h = rows(1, s.gates * s.width);
        t.scale = rows(1, 16);
    }
    if (s.projection) t.shown = rows(1, s.width);
    if (s.hold && p.training) t.held = rows(1, padded((s.h_width + s.width + 31) / 32));
}

static inline Index block_steps(const longspan_problem& p, const Shape& s) {
    const Index steps = block_rows / group_size(p, s);
    return steps > 1 ? steps : 1;
}

// Elements of the rows that the backward pass writes for a sequence and a step, next to nothing left out.
LONGSPAN_INLINE Index ring_elements(const Shape& s) {
    const Index norm = s.norm ? 2 * s.gates + 2 : 0;
    return (s.chains + norm + (s.peephole ? 1 : 0)) * s.width + (s.projection ? s.h_width : 0);
}

static inline Index chunk_steps(const longspan_problem& p, const Shape& s) {
    const Index element = p.type == LONGSPAN_FLOAT64 ? 8 : 4, block = block_steps(p, s);
    const Index of_block = block * p.batch * ring_elements(s) * element;
    // Every chunk goes over all sums of the weights once: with large weights it has to be worth it.
    const Index weights = s.gates * s.H * (s.I + s.P) * element / 4;
    const Index wanted = (weights > chunk_bytes ? weights : chunk_bytes) / (of_block > 0 ? of_block : 1);
    const Index all = (p.steps + block - 1) / block;
    const Index blocks = wanted < 1 ? 1 : wanted < all ? wanted : all;
    return block * (blocks > 0 ? blocks : 1);
}

// Chunks count from the first element of the sequences: the last one that is taken, or the first, is cut
// short.
static inline Index chunk_shift(const longspan_problem& p, Index chunk) {
    return p.reverse != 0 ? p.steps % chunk : 0;
}

static inline TapeLayout tape_layout(const longspan_problem& p, const Shape& s) {
    TapeLayout t{};
    Ruler ruler;
    if (p.keep == LONGSPAN_KEEP_STATES) {
        const Index marks = p.steps / chunk_steps(p, s) + 1;
        const Numbering number = numbering(p, s, marks);
        t.mark_h = ruler.rows(number, marks * p.batch, s.h_width);
        if (s.lstm) t.mark_c = ruler.rows(number, marks * p.batch, s.width);
    }
    step_rows(ruler, p, s, p.steps, p.keep == LONGSPAN_KEEP_ALL, t);
    t.size = ruler.end();
    return t;
}

// Elements of a matrix packed for the forward pass; those in half the room come in pairs of blocks.
LONGSPAN_INLINE Index elements_of_weights(const longspan_problem& p, Index columns, Index depth) {
    return p.weights_type == LONGSPAN_BFLOAT16 ? (columns + 31) / 32 * 16 * depth : columns * depth;
}

inline constexpr Index kept_facts = 8, kept_line = 8;  // whole numbers; a line of a cache

// Elements of an array of weights.
LONGSPAN_INLINE Index weight_elements(const Shape& s, int which) {
    const Index rows = s.gates * s.H;
    switch (which) {
        case LONGSPAN_WEIGHT_IH:
            return rows * s.I;
        case LONGSPAN_WEIGHT_HH:
            return rows * s.P;
        case LONGSPAN_WEIGHT_HR:
            return s.projection ? s.P * s.H : 0;
        case LONGSPAN_WEIGHT_CH:
            return s.peeping * s.H;
        case LONGSPAN_GAIN_IH:
        case LONGSPAN_GAIN_HH:
            return s.norm ? rows : 0;
        case LONGSPAN_GAIN_C:
        case LONGSPAN_SHIFT_C:
            return s.norm ? s.H : 0;
        default:
            return rows;
    }
}

struct WorkLayout {
    Index w_ih, w_hh, w_hr;                         // packed
    Index bias, gain_ih, gain_hh, gain_c, shift_c;  // padded to whole blocks
    Index peep;
    Index drop;     // (B, h_width) factors
    Index order;    // (B) sequence at each place, (B) its length, (B) its group; int64
    Index scratch;  // per place
    Index scratch_width;
    Index kept, kept_weights;  // what was packed, where calls compare: whole numbers, then the arrays
    Index chunk;               // backward: steps of a chunk
    Index ring;                // backward: rows of a chunk,
    Numbering number;          // and their numbering
    Index d_sums;              // backward, rows of a chunk: gradients of the sums
    Index d_unit_x, d_unit_h, product_c, d_product_c, new_c;  // the same, for sums over time
    Index d_h;                                                // the same: gradient of h before projection
    Index reset_h;                                            // the same: r h, which the product of n sees
    Index sums;       // backward: sums of the weight gradients, as SumsLayout says, of each group
    Index gradients;  // backward: per thread, rows of the gradient of x
    Index gradients_size;
    Index list;  // backward: per thread, the real rows of a chunk; int64
    Index list_size;
    Index again_ih, again_hh, again_hr;  // backward that recomputes: weights packed as for the forward pass,
    Index again_scratch, again;          // and its rows, and those of a chunk
    Index size;
};

inline constexpr Index gradient_rows = 64;  // of the gradient of x at a time

// The rows of one chunk, which the backward pass makes again.
static inline TapeLayout chunk_layout(const longspan_problem& p, const Shape& s, Index chunk) {
    TapeLayout t{};
    Ruler ruler;
    step_rows(ruler, p, s, chunk, true, t);
    t.size = ruler.end();
    return t;
}

static inline WorkLayout work_layout(const longspan_problem& p, const Shape& s, bool backward) {
    WorkLayout w{};
    Ruler ruler;
    const Index B = p.batch, rows = s.gates * s.width;
    if (backward) {
        w.w_ih = ruler.take(s.gates * s.H * padded(s.I));
        w.w_hh = ruler.take(s.gates * s.H * s.h_width);
        w.w_hr = ruler.take(s.projection ? s.P * s.width : 0);
    } else {
        w.w_ih = ruler.take(elements_of_weights(p, rows, s.I));
        w.w_hh = ruler.take(elements_of_weights(p, rows, s.P));
        w.w_hr = ruler.take(s.projection ? elements_of_weights(p, s.h_width, s.H) : 0);
    }
    w.bias = ruler.take(2 * rows);
    w.gain_ih = ruler.take(rows), w.gain_hh = ruler.take(rows);
    w.gain_c = ruler.take(s.width), w.shift_c = ruler.take(s.width);
    w.peep = ruler.take(s.peeping * s.width);
    w.drop = ruler.take(s.drop ? B * s.h_width : 0);
    w.order = ruler.take(3 * B * index_elements);
    w.scratch_width = 13 * s.width + 4 * s.h_width;
    w.scratch = ruler.take(B * w.scratch_width);
    if (p.packed == LONGSPAN_PACK_CHANGED) {
        w.kept = ruler.take((kept_facts + kept_line * p.threads) * index_elements);
        Index all = 0;
        for (int which = 0; which < LONGSPAN_WEIGHTS; ++which) all += weight_elements(s, which);
        w.kept_weights = ruler.take(all);
    }
    if (backward) {
        w.chunk = chunk_steps(p, s);
        // With room for the state after the chunk, as rows that are made again have.
        w.ring = (w.chunk + 1) * B, w.number = numbering(p, s, w.chunk + 1);
        w.d_sums = ruler.take(w.ring * s.chains * s.width);
        if (s.norm) {
            w.d_unit_x = ruler.take(w.ring * rows), w.d_unit_h = ruler.take(w.ring * rows);
            w.product_c = ruler.take(w.ring * s.width), w.d_product_c = ruler.take(w.ring * s.width);
        }
        if (s.peephole) w.new_c = ruler.take(w.ring * s.width);
        if (s.projection) w.d_h = ruler.take(w.ring * s.h_width);
        if (s.reset_before) w.reset_h = ruler.take(w.ring * s.h_width);
        w.sums = ruler.take(s.groups * sums_layout(s).size);
        w.gradients_size = padded(s.I) * gradient_rows;
        w.gradients = ruler.take(w.gradients_size * p.threads);
        w.list_size = (5 * w.ring + w.chunk) * index_elements;
        w.list = ruler.take(w.list_size * p.threads);
    }
    if (backward && p.keep == LONGSPAN_KEEP_STATES) {
        w.again_ih = ruler.take(elements_of_weights(p, rows, s.I));
        w.again_hh = ruler.take(elements_of_weights(p, rows, s.P));
        w.again_hr = ruler.take(s.projection ? elements_of_weights(p, s.h_width, s.H) : 0);
        w.again_scratch = ruler.take(B * w.scratch_width);
        w.again = ruler.take(chunk_layout(p, s, w.chunk).size);
    }
    w.size = ruler.end();
    return w;
}

}  // namespace longspan
