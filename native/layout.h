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

namespace longspan {

using Index = std::int64_t;

LONGSPAN_INLINE constexpr Index padded(Index units) {
    return (units + 15) / 16 * 16;
}

struct Shape {
    Index gates, chains;  // G, and rows of a step on the tape: G, or 4 for a GRU
    Index peeping;
    Index H, P, I, width;  // sizes; width is H padded
    Index h_width;         // P padded
    bool lstm, gru, norm, projection, peephole, drop, hold;
};

static inline Shape shape_of(const longspan_problem& p) {
    Shape s{};
    s.lstm = p.cell == LONGSPAN_LSTM;
    s.gru = p.cell == LONGSPAN_GRU;
    const bool no_f = (p.options & (LONGSPAN_COUPLED | LONGSPAN_NO_FORGET)) != 0;
    s.gates = s.lstm ? (no_f ? 3 : 4) : (s.gru ? 3 : 1);
    s.chains = s.gru ? 4 : s.gates;
    s.peephole = (p.options & LONGSPAN_PEEPHOLE) != 0;
    s.peeping = s.peephole ? s.gates - 1 : 0;
    s.norm = (p.options & LONGSPAN_LAYER_NORM) != 0;
    s.projection = (p.options & LONGSPAN_PROJECTION) != 0;
    s.H = p.hidden, s.P = p.width, s.I = p.inputs;
    s.width = padded(s.H), s.h_width = padded(s.P);
    s.drop = p.training && p.recurrent_dropout > 0.0;
    s.hold = p.zoneout[0] > 0.0 || p.zoneout[1] > 0.0;
    return s;
}

// Rows of the same width for every step and place; without a tape only the last `slots` steps are there.
struct Rows {
    Index offset = 0, width = 0, batch = 0, mask = 0;
    LONGSPAN_INLINE Index at(Index step, Index place) const {
        return offset + ((step & mask) * batch + place) * width;
    }
};

// Counts out regions one after the other, in elements.
class Ruler {
  public:
    LONGSPAN_INLINE Index take(Index count) {
        const Index here = end_;
        end_ += padded(count);
        return here;
    }
    LONGSPAN_INLINE Rows rows(Index steps, Index batch, Index width, bool all) {
        Rows found{end_, width, batch, all ? ~Index{0} : steps - 1};
        end_ += steps * batch * width;
        return found;
    }
    LONGSPAN_INLINE Index end() const { return end_; }

  private:
    Index end_ = 0;
};

inline constexpr Index ahead_steps = 32;  // steps whose input is projected ahead at a time,
inline constexpr Index ahead_batch = 8;   // in batches up to this, where a step has too few rows of its own

inline constexpr Index index_elements = sizeof(Index) / sizeof(float);  // room for an Index among elements

struct TapeLayout {
    Rows gates;           // chains x width: sums, then activated gates
    Rows h, c;            // states before each step
    Rows seen;            // h as the recurrent product sees it, where it is dropped
    Rows unit_x, unit_h;  // the two products, then normalised
    Rows scale;           // 16 wide: 1 / deviation of the two products
    Rows shown;           // what is projected
    Index size;
};

static inline TapeLayout tape_layout(const longspan_problem& p, const Shape& s) {
    TapeLayout t{};
    Ruler ruler;
    const bool all = p.keep != 0;
    const Index T = all ? p.steps : 1;
    t.gates = ruler.rows(all                      ? T
                         : p.batch <= ahead_batch ? ahead_steps
                                                  : 1,
                         p.batch, s.chains * s.width, all);
    t.h = ruler.rows(all ? T + 1 : 2, p.batch, s.h_width, all);
    if (s.lstm) t.c = ruler.rows(all ? T + 1 : 2, p.batch, s.width, all);
    if (s.drop) t.seen = ruler.rows(T, p.batch, s.h_width, all);
    if (s.norm) {
        t.unit_x = ruler.rows(T, p.batch, s.gates * s.width, all);
        t.unit_h = ruler.rows(T, p.batch, s.gates * s.width, all);
        t.scale = ruler.rows(T, p.batch, 16, all);
    }
    if (s.projection || s.norm) t.shown = ruler.rows(T, p.batch, s.width, all);
    t.size = ruler.end();
    return t;
}

struct WorkLayout {
    Index w_ih, w_hh, w_hr;                         // packed
    Index bias, gain_ih, gain_hh, gain_c, shift_c;  // padded to whole blocks
    Index peep;
    Index drop;     // (B, h_width) factors
    Index order;    // (B) sequence at each place, (B) its length; int64
    Index scratch;  // per place, scratch_rows x width
    Index scratch_width;
    Rows d_sums;                                             // backward: gradients of the sums
    Rows d_unit_x, d_unit_h, product_c, d_product_c, new_c;  // backward, for sums over time
    Rows d_h;                                                // backward: gradient of h before projection
    Index totals;                                            // backward: per thread, sums of weight gradients
    Index total_size;
    Index list;  // backward: number and offset in x of every real (step, place); int64
    Index size;
};

static inline WorkLayout work_layout(const longspan_problem& p, const Shape& s, bool backward) {
    WorkLayout w{};
    Ruler ruler;
    const Index B = p.batch, T = p.steps, rows = s.gates * s.width;
    if (backward) {
        w.w_ih = ruler.take(s.gates * s.H * padded(s.I));
        w.w_hh = ruler.take(s.gates * s.H * s.h_width);
        w.w_hr = ruler.take(s.P * s.width);
    } else {
        w.w_ih = ruler.take(rows * s.I);
        w.w_hh = ruler.take(rows * s.P);
        w.w_hr = ruler.take(s.h_width * s.H);
    }
    w.bias = ruler.take(2 * rows);
    w.gain_ih = ruler.take(rows), w.gain_hh = ruler.take(rows);
    w.gain_c = ruler.take(s.width), w.shift_c = ruler.take(s.width);
    w.peep = ruler.take(s.peeping * s.width);
    w.drop = ruler.take(s.drop ? B * s.h_width : 0);
    w.order = ruler.take(2 * B * index_elements);
    w.scratch_width = 14 * s.width + 4 * s.h_width;
    w.scratch = ruler.take(B * w.scratch_width);
    if (backward) {
        w.d_sums = ruler.rows(T, B, s.chains * s.width, true);
        if (s.norm) {
            w.d_unit_x = ruler.rows(T, B, rows, true);
            w.d_unit_h = ruler.rows(T, B, rows, true);
            w.product_c = ruler.rows(T, B, s.width, true);
            w.d_product_c = ruler.rows(T, B, s.width, true);
        }
        if (s.peephole) w.new_c = ruler.rows(T, B, s.width, true);
        if (s.projection) w.d_h = ruler.rows(T, B, s.h_width, true);
        const Index widest = s.I > s.P ? s.I : s.P;
        w.total_size = padded((widest > s.H ? widest : s.H) + 1) * 64;
        w.totals = ruler.take(w.total_size * p.threads);
        w.list = ruler.take(2 * B * T * index_elements);
    }
    w.size = ruler.end();
    return w;
}

}  // namespace longspan
