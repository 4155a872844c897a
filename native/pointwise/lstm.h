// One step of the LSTM for one sequence and, below it, its derivative; equations: longspan/cells/lstm.py.
#pragma once

#include "call.h"
#include "norm.h"

namespace longspan::LONGSPAN_ISA {

template <class T>
struct LstmForm {
    explicit LstmForm(const Call& call)
        : width(call.shape.width),
          units(call.shape.H),
          gates(call.shape.gates),
          forget(gates == 4),
          coupled((call.problem->options & LONGSPAN_COUPLED) != 0),
          peephole(call.shape.peephole),
          norm(call.shape.norm),
          clip(call.problem->cell_clip > 0.0),
          bound(static_cast<T>(call.problem->cell_clip)),
          peep(static_cast<const T*>(call.problem->work) + call.work.peep),
          gain(static_cast<const T*>(call.problem->work) + call.work.gain_c),
          shift(static_cast<const T*>(call.problem->work) + call.work.shift_c) {}

    Index width, units, gates;
    bool forget, coupled, peephole, norm, clip;
    T bound;
    const T *peep, *gain, *shift;

    Index f() const { return width; }
    Index g() const { return forget ? 2 * width : width; }
    Index o() const { return g() + width; }
    Index peep_o() const { return forget ? 2 * width : width; }

    // The cell state before it is cut.
    LONGSPAN_INLINE Vec<T> raw(Vec<T> i, Vec<T> f, Vec<T> g, Vec<T> c) const {
        if (forget || coupled) return fma(f, c, i * g);
        return fma(i, g, c);
    }
    LONGSPAN_INLINE Vec<T> cut(Vec<T> c) const {
        return clip ? at_least(splat<T>(-bound), at_most(splat<T>(bound), c)) : c;
    }
    LONGSPAN_INLINE Vec<T> forget_gate(const T* gate, Index k, Vec<T> i) const {
        if (forget) return load<T>(gate + f() + k);
        return coupled ? splat<T>(1) - i : splat<T>(1);
    }
};

// Rows of one step, each `width` units.
template <class T>
struct LstmForward {
    T* gates;    // (G, width): sums in, activated gates out
    const T* c;  // before
    T* new_c;    // after, zoneout not yet applied
    T* shown;    // o tanh(c)
    T* pre;      // (5, width): sums of i f g o and, if coupled, the forget gate; NULL where none is recorded
    T* moments;  // of the new cell state, mean and 1 / deviation, where it is normalised
};

template <class T>
void lstm_forward(const LstmForm<T>& form, const LstmForward<T>& row, Units mine) {
    T* const gate = row.gates;
    each_vector<T>(mine, [&](Index k) LONGSPAN_BODY {
        const Vec<T> c = load<T>(row.c + k);
        Vec<T> sum_i = load<T>(gate + k), sum_f = splat<T>(0);
        if (form.forget) sum_f = load<T>(gate + form.f() + k);
        if (form.peephole) {
            sum_i = fma(load<T>(form.peep + k), c, sum_i);
            if (form.forget) sum_f = fma(load<T>(form.peep + form.width + k), c, sum_f);
        }
        const Vec<T> sum_g = load<T>(gate + form.g() + k), i = sigmoid<T>(sum_i), g = tanh<T>(sum_g);
        Vec<T> f = splat<T>(1) - i;
        if (form.forget) f = sigmoid<T>(sum_f);
        const Vec<T> c_new = form.cut(form.raw(i, f, g, c));
        Vec<T> sum_o = load<T>(gate + form.o() + k);
        if (form.peephole) sum_o = fma(load<T>(form.peep + form.peep_o() + k), c_new, sum_o);
        store<T>(gate + k, i);
        if (form.forget) store<T>(gate + form.f() + k, f);
        store<T>(gate + form.g() + k, g);
        store<T>(gate + form.o() + k, sigmoid<T>(sum_o));
        store<T>(row.new_c + k, c_new);
        if (row.pre != nullptr) {
            store<T>(row.pre + k, sum_i), store<T>(row.pre + form.width + k, sum_f);
            store<T>(row.pre + 2 * form.width + k, sum_g), store<T>(row.pre + 3 * form.width + k, sum_o);
            store<T>(row.pre + 4 * form.width + k, f);
        }
    });
    // In a loop of its own: behind the gates of the same units it would wait for all of them.
    if (!form.norm)
        each_vector<T>(mine, [&](Index k) LONGSPAN_BODY {
            store<T>(row.shown + k, load<T>(gate + form.o() + k) * tanh<T>(load<T>(row.new_c + k)));
        });
    if (!form.norm) return;
    const Moments<T> by = moments_of<T>(row.new_c, form.units, form.width);
    row.moments[0] = by.mean, row.moments[1] = by.scale;
    each_vector<T>(form.width, [&](Index k) LONGSPAN_BODY {
        const Vec<T> unit = normalised<T>(load<T>(row.new_c + k), by);
        const Vec<T> shown = fma(load<T>(form.gain + k), unit, load<T>(form.shift + k));
        store<T>(row.shown + k, load<T>(gate + form.o() + k) * tanh<T>(shown));
    });
}

// Gradients that come in from outside: of the activated gates i f g o and of their sums, (width) each or
// NULL.
template <class T>
struct LstmBackward {
    const T* gates;  // (G, width): activated gates
    T* d_sums;       // (G, width): gradients of their sums, out
    const T* c;      // before the step
    const T* shown;  // gradient of o tanh(c)
    T* d_c;          // gradient of the new cell state in, of the one before it out
    const T* d_gate[4];
    const T* d_pre[4];
    T* new_c;          // out, where the sums over time need them; otherwise scratch
    T* unit_c;         // layer normalisation: the normalised cell state
    T* d_unit_c;       // and the gradient of it times its gain
    T* scratch;        // (width)
    const T* moments;  // as the forward pass left them
};

// What reaches the new cell state through the layer normalisation of what is shown.
template <class T>
void lstm_shown_backward(const LstmForm<T>& form, const LstmBackward<T>& row) {
    const Moments<T> by{row.moments[0], row.moments[1]};
    each_vector<T>(form.width, [&](Index k) LONGSPAN_BODY {
        const Vec<T> unit = normalised<T>(load<T>(row.new_c + k), by);
        store<T>(row.unit_c + k, unit);
        const Vec<T> shown = fma(load<T>(form.gain + k), unit, load<T>(form.shift + k));
        const Vec<T> t = tanh<T>(shown), d = load<T>(row.shown + k) * load<T>(row.gates + form.o() + k);
        const Vec<T> d_shown = d * fma(-t, t, splat<T>(1));
        store<T>(row.d_unit_c + k, d_shown);
        store<T>(row.scratch + k, d_shown * load<T>(form.gain + k));
    });
    const T* const results[1] = {row.unit_c};
    const T scales[1] = {by.scale};
    T* const to[1] = {row.scratch};
    normalise_backward<T, 1>(
        results, scales, 1, form.units, form.width, [&](int, Index k) { return load<T>(row.scratch + k); },
        to);
}

template <class T>
void lstm_backward(const LstmForm<T>& form, const LstmBackward<T>& row, Units mine) {
    const T* const gate = row.gates;
    T* const out = row.d_sums;
    const Vec<T> one = splat<T>(1);
    if (form.norm || row.new_c != nullptr) {
        each_vector<T>(mine, [&](Index k) LONGSPAN_BODY {
            const Vec<T> i = load<T>(gate + k), f = form.forget_gate(gate, k, i);
            store<T>(row.new_c + k,
                     form.cut(form.raw(i, f, load<T>(gate + form.g() + k), load<T>(row.c + k))));
        });
    }
    if (form.norm) lstm_shown_backward(form, row);
    each_vector<T>(mine, [&](Index k) LONGSPAN_BODY {
        const Vec<T> c = load<T>(row.c + k), i = load<T>(gate + k), f = form.forget_gate(gate, k, i);
        const Vec<T> g = load<T>(gate + form.g() + k), o = load<T>(gate + form.o() + k);
        const Vec<T> raw = form.raw(i, f, g, c), c_new = form.cut(raw), d_h = load<T>(row.shown + k);
        Vec<T> shown = c_new;
        if (form.norm) shown = fma(load<T>(form.gain + k), load<T>(row.unit_c + k), load<T>(form.shift + k));
        const Vec<T> t = tanh<T>(shown);
        const Vec<T> d_o = plus<T>(d_h * t, row.d_gate[3], k);
        const Vec<T> sum_o = plus<T>(d_o * (o * (one - o)), row.d_pre[3], k);
        Vec<T> d = load<T>(row.d_c + k);
        d += form.norm ? load<T>(row.scratch + k) : d_h * o * fma(-t, t, one);
        if (form.peephole) d = fma(load<T>(form.peep + form.peep_o() + k), sum_o, d);
        // A state that is not a number passes its gradient on, as in torch.
        if (form.clip) d = ((raw < splat<T>(-form.bound)) | (raw > splat<T>(form.bound))) ? splat<T>(0) : d;
        const Vec<T> d_f = plus<T>(d * c, row.d_gate[1], k);
        Vec<T> d_i = plus<T>(d * g, row.d_gate[0], k);
        if (form.coupled) d_i -= d_f;
        const Vec<T> sum_i = plus<T>(d_i * (i * (one - i)), row.d_pre[0], k);
        const Vec<T> d_g = plus<T>(d * i, row.d_gate[2], k);
        const Vec<T> sum_g = plus<T>(d_g * fma(-g, g, one), row.d_pre[2], k);
        Vec<T> before = form.forget || form.coupled ? d * f : d;
        if (form.peephole) before = fma(load<T>(form.peep + k), sum_i, before);
        if (form.forget) {
            const Vec<T> sum_f = plus<T>(d_f * (f * (one - f)), row.d_pre[1], k);
            if (form.peephole) before = fma(load<T>(form.peep + form.width + k), sum_f, before);
            store<T>(out + form.f() + k, sum_f);
        }
        store<T>(out + k, sum_i), store<T>(out + form.g() + k, sum_g), store<T>(out + form.o() + k, sum_o);
        store<T>(row.d_c + k, before);
    });
}

}  // namespace longspan::LONGSPAN_ISA
