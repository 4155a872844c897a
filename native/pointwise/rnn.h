// One step of the plain recurrent network for one sequence and its derivative; longspan/cells/rnn.py.
#pragma once

#include "call.h"
#include "norm.h"

namespace longspan::LONGSPAN_ISA {

// gates: the sum in, the activated gate out; pre: the sum, for record, or NULL.
template <class T>
void rnn_forward(bool relu, Units mine, T* gates, T* new_h, T* pre) {
    each_vector<T>(mine, [&](Index k) LONGSPAN_BODY {
        const Vec<T> sum = load<T>(gates + k);
        const Vec<T> g = relu ? at_least(splat<T>(0), sum) : tanh<T>(sum);
        if (pre != nullptr) store<T>(pre + k, sum);
        store<T>(gates + k, g);
        store<T>(new_h + k, g);
    });
}

// gates: the activated gate; d_sums: the gradient of the sum, out; d_gate and d_pre come from outside, or are
// NULL.
template <class T>
void rnn_backward(bool relu, Units mine, const T* gates, T* d_sums, const T* d_h, const T* d_gate,
                  const T* d_pre) {
    each_vector<T>(mine, [&](Index k) LONGSPAN_BODY {
        const Vec<T> g = load<T>(gates + k);
        Vec<T> d = load<T>(d_h + k);
        if (d_gate != nullptr) d += load<T>(d_gate + k);
        d = relu ? (g <= splat<T>(0) ? splat<T>(0) : d) : d * fma(-g, g, splat<T>(1));
        if (d_pre != nullptr) d += load<T>(d_pre + k);
        store<T>(d_sums + k, d);
    });
}

}  // namespace longspan::LONGSPAN_ISA
