// Where everything lies in the tape and the work space of a perceptron, and which of its rows go together.
#pragma once

#include "layout.h"

namespace longspan {

inline constexpr Index together_rows = 128;  // of one product

struct PerceptronLayout {
    Index rows, group, layers;
    Index width[LONGSPAN_LAYERS + 1], wide[LONGSPAN_LAYERS + 1];  // wide: padded to whole blocks
    Index widest;
    Index piece, pieces;  // rows of a piece: whole groups, about as many as go together; how many pieces
    Index parts;          // of the sums over rows, each over neighbouring pieces: a matter of sizes alone
    Index hidden[LONGSPAN_LAYERS];                            // tape: (rows, wide) outputs of each layer
    Index weights[LONGSPAN_LAYERS], biases[LONGSPAN_LAYERS];  // work: packed
    Index scratch, scratch_size;                              // per thread
    Index sums, sums_size;                                    // per part
    Index sum_weights[LONGSPAN_LAYERS], sum_biases[LONGSPAN_LAYERS];
    Index tape, work;  // elements
};

static inline PerceptronLayout perceptron_layout(const longspan_perceptron& p, bool backward) {
    PerceptronLayout l{};
    l.rows = p.rows, l.group = p.group, l.layers = p.layers;
    for (Index k = 0; k <= l.layers; ++k) {
        l.width[k] = p.widths[k], l.wide[k] = padded(p.widths[k]);
        if (l.wide[k] > l.widest) l.widest = l.wide[k];
    }
    const Index groups = l.rows / l.group, even = (groups + most_groups - 1) / most_groups;
    const Index fit = l.group < together_rows ? together_rows / l.group : 1;
    l.piece = l.group * (even < 1 ? 1 : even < fit ? even : fit);
    l.pieces = (l.rows + l.piece - 1) / l.piece;
    l.parts = 1;
    while (l.parts < most_groups && 2 * l.parts <= l.pieces) l.parts *= 2;
    Ruler tape, work, sums;
    for (Index k = 0; k + 1 < l.layers; ++k) l.hidden[k] = tape.take(l.rows * l.wide[k + 1]);
    for (Index k = 0; k < l.layers; ++k) {
        l.weights[k] = work.take(backward ? l.width[k + 1] * l.wide[k] : l.wide[k + 1] * l.width[k]);
        l.biases[k] = work.take(l.wide[k + 1]);
        l.sum_weights[k] = sums.take((l.wide[k + 1] + 63) / 64 * 64 * l.width[k]);
        l.sum_biases[k] = sums.take(l.wide[k + 1]);
    }
    l.scratch_size = 2 * together_rows * l.widest;
    l.scratch = work.take(l.scratch_size * p.threads);
    l.sums_size = sums.end();
    if (backward) l.sums = work.take(l.parts * l.sums_size);
    l.tape = tape.end(), l.work = work.end();
    return l;
}

// A call of a perceptron, prepared.
struct PerceptronCall {
    const longspan_perceptron* problem;
    PerceptronLayout layout;
    void* y;                                         // forward
    const longspan_perceptron_gradients* gradients;  // backward
    void (*wait)(void* barrier, int thread);         // NULL where there is one thread
    void* barrier;
    LONGSPAN_INLINE void meet(int thread) const {
        if (wait != nullptr) wait(barrier, thread);
    }
};

}  // namespace longspan
