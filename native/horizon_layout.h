// Where everything lies in the tape and the work space of a horizon, and which of its rows go together.
#pragma once

#include "layout.h"

namespace longspan {

inline constexpr Index together_rows = 128;  // of one product

// A row is one step of the horizon of one sequence; layer k reads width[k] numbers and gives width[k + 1].
struct HorizonLayout {
    Index batch, steps, layers;
    Index summary, codes, plan;  // widths of s, of a code, and of all codes of a sequence
    Index width[LONGSPAN_LAYERS + 1], wide[LONGSPAN_LAYERS + 1];  // wide: padded to whole blocks
    Index wide_summary, wide_plan, widest;
    Index piece, pieces;  // sequences of a piece, about as many rows as go together; how many pieces
    Index parts;          // of the sums over rows, each over neighbouring pieces: a matter of sizes alone
    bool tape_in_work;
    Index rows[LONGSPAN_LAYERS];                             // tape: (B H, wide[k]), what each layer reads
    Index plan_in, plan_bias_in, shared_in, shared_bias_in;  // work: packed, for the way forward
    Index weights_in[LONGSPAN_LAYERS], biases_in[LONGSPAN_LAYERS];
    Index plan_out, shared_out, weights_out[LONGSPAN_LAYERS];  // and for the way back
    Index d_plan, d_shared;                   // (B + 1, wide_plan), (B + 1, wide[1]): the last row is the sum
    Index plan_sums, shared_sums;             // of their weights, by panels
    Index tilts, level_weights;               // of the outputs, where these are quantiles
    Index scratch, scratch_size;              // per thread
    Index near, far, plan_rows, shared_rows;  // in it
    Index sums, sums_size;                    // per part
    Index sum_weights[LONGSPAN_LAYERS], sum_biases[LONGSPAN_LAYERS], sum_loss;
    Index tape, work;  // elements
};

static inline Index panels_of(Index columns) {
    return (columns + 63) / 64;
}

static inline void horizon_widths(const longspan_horizon& p, HorizonLayout& l) {
    l.batch = p.batch, l.steps = p.steps, l.layers = p.layers;
    l.summary = p.summary_width, l.codes = p.codes, l.plan = p.steps * p.codes;
    l.wide_summary = padded(l.summary), l.wide_plan = padded(l.plan);
    l.widest = l.wide_summary;
    for (Index k = 0; k <= l.layers; ++k) {
        l.width[k] = k == 0 ? p.codes + p.known : p.widths[k - 1];
        l.wide[k] = padded(l.width[k]);
        if (l.wide[k] > l.widest) l.widest = l.wide[k];
    }
    const Index even = (l.batch + most_groups - 1) / most_groups;
    const Index fit = l.steps < together_rows ? together_rows / (l.steps < 1 ? 1 : l.steps) : 1;
    l.piece = even < 1 ? 1 : even < fit ? even : fit;
    l.pieces = (l.batch + l.piece - 1) / l.piece;
    l.parts = 1;
    while (l.parts < most_groups && 2 * l.parts <= l.pieces) l.parts *= 2;
}

static inline void horizon_sums(HorizonLayout& l, Ruler& work) {
    Ruler sums;
    for (Index k = 0; k < l.layers; ++k) {
        l.sum_weights[k] = sums.take(panels_of(l.wide[k + 1]) * 64 * l.width[k]);
        l.sum_biases[k] = sums.take(l.wide[k + 1]);
    }
    l.sum_loss = sums.take(16);
    l.sums_size = sums.end();
    l.sums = work.take(l.parts * l.sums_size);
    l.d_plan = work.take((l.batch + 1) * l.wide_plan), l.d_shared = work.take((l.batch + 1) * l.wide[1]);
    l.plan_sums = work.take(panels_of(l.wide_plan) * 64 * l.summary);
    l.shared_sums = work.take(panels_of(l.wide[1]) * 64 * l.summary);
}

static inline HorizonLayout horizon_layout(const longspan_horizon& p, int call) {
    HorizonLayout l{};
    horizon_widths(p, l);
    const bool forward = call != LONGSPAN_HORIZON_BACKWARD, backward = call != LONGSPAN_HORIZON_FORWARD;
    l.tape_in_work = call == LONGSPAN_HORIZON_LEARN;
    Ruler tape, work, scratch;
    for (Index k = 0; k < l.layers; ++k)
        l.rows[k] = (l.tape_in_work ? work : tape).take(l.batch * l.steps * l.wide[k]);
    if (forward) {
        l.plan_in = work.take(l.wide_plan * l.summary), l.plan_bias_in = work.take(l.wide_plan);
        l.shared_in = work.take(l.wide[1] * l.summary), l.shared_bias_in = work.take(l.wide[1]);
    }
    if (backward) {
        l.plan_out = work.take(l.plan * l.wide_summary),
        l.shared_out = work.take(l.width[1] * l.wide_summary);
        horizon_sums(l, work);
        l.tilts = work.take(l.wide[l.layers]), l.level_weights = work.take(l.wide[l.layers]);
    }
    for (Index k = 0; k < l.layers; ++k) {
        if (forward) l.weights_in[k] = work.take(l.wide[k + 1] * l.width[k]);
        if (forward) l.biases_in[k] = work.take(l.wide[k + 1]);
        if (backward) l.weights_out[k] = work.take(l.width[k + 1] * l.wide[k]);
    }
    l.near = scratch.take(together_rows * l.widest), l.far = scratch.take(together_rows * l.widest);
    l.plan_rows = scratch.take(l.piece * l.wide_plan), l.shared_rows = scratch.take(l.piece * l.wide[1]);
    l.scratch_size = scratch.end();
    l.scratch = work.take(l.scratch_size * p.threads);
    l.tape = tape.end(), l.work = work.end();
    return l;
}

// A call, prepared.
struct HorizonCall {
    const longspan_horizon* problem;
    HorizonLayout layout;
    void* y;                                      // of a forward call
    const longspan_pinball* loss;                 // of one that learns
    const longspan_horizon_gradients* gradients;  // of that, and of a backward call
    void (*wait)(void* barrier, int thread);      // NULL where there is one thread
    void* barrier;
    LONGSPAN_INLINE void meet(int thread) const {
        if (wait != nullptr) wait(barrier, thread);
    }
};

}  // namespace longspan
