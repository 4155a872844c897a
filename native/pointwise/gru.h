// One step of the GRU for one sequence and its derivative, with the reset after the product and below it
// before; longspan/cells/gru.py.
#pragma once

#include "call.h"
#include "norm.h"

namespace longspan::LONGSPAN_ISA {

// gates (4, width): the sums of r and z, W_n x + b and U_n h + b in; r, z, n and U_n h + b out.
template <class T>
void gru_forward(Index width, Units mine, T* gates, const T* h, T* new_h, T* pre) {
    each_vector<T>(mine, [&](Index k) LONGSPAN_BODY {
        const Vec<T> sum_r = load<T>(gates + k), sum_z = load<T>(gates + width + k);
        const Vec<T> r = sigmoid<T>(sum_r), z = sigmoid<T>(sum_z);
        const Vec<T> sum_n = fma(r, load<T>(gates + 3 * width + k), load<T>(gates + 2 * width + k));
        const Vec<T> n = tanh<T>(sum_n);
        if (pre != nullptr) {
            store<T>(pre + k, sum_r), store<T>(pre + width + k, sum_z);
            store<T>(pre + 2 * width + k, sum_n);
        }
        store<T>(gates + k, r), store<T>(gates + width + k, z), store<T>(gates + 2 * width + k, n);
        store<T>(new_h + k, fma(z, load<T>(h + k), (splat<T>(1) - z) * n));
    });
}

// gates: r, z, n and U_n h + b; d_sums: gradients of the sums of r, z, n and of U_n h + b, out. `direct` is
// the gradient of the h before that does not go through a product.
template <class T>
void gru_backward(Index width, Units mine, const T* gates, T* d_sums, const T* h, const T* d_h,
                  const T* const (&d_gate)[4], const T* const (&d_pre)[4], T* direct) {
    const Vec<T> one = splat<T>(1);
    each_vector<T>(mine, [&](Index k) LONGSPAN_BODY {
        const Vec<T> r = load<T>(gates + k), z = load<T>(gates + width + k);
        const Vec<T> n = load<T>(gates + 2 * width + k), product = load<T>(gates + 3 * width + k);
        const Vec<T> d = load<T>(d_h + k);
        const Vec<T> d_z = plus<T>(d * (load<T>(h + k) - n), d_gate[1], k);
        const Vec<T> d_n = plus<T>(d * (one - z), d_gate[2], k);
        const Vec<T> sum_n = plus<T>(d_n * fma(-n, n, one), d_pre[2], k);
        const Vec<T> d_r = plus<T>(sum_n * product, d_gate[0], k);
        store<T>(d_sums + k, plus<T>(d_r * (r * (one - r)), d_pre[0], k));
        store<T>(d_sums + width + k, plus<T>(d_z * (z * (one - z)), d_pre[1], k));
        store<T>(d_sums + 2 * width + k, sum_n);
        store<T>(d_sums + 3 * width + k, sum_n * r);
        store<T>(direct + k, d * z);
    });
}

// The reset before the product. gates (3, width): the sum of r in, r out; reset_h is r times h as the
// products see it.
template <class T>
void gru_reset(Units mine, T* gates, const T* seen, T* reset_h, T* pre) {
    each_vector<T>(mine, [&](Index k) LONGSPAN_BODY {
        const Vec<T> sum = load<T>(gates + k), r = sigmoid<T>(sum);
        if (pre != nullptr) store<T>(pre + k, sum);
        store<T>(gates + k, r);
        store<T>(reset_h + k, r * load<T>(seen + k));
    });
}

// gates (3, width): r and the sums of z and n in; r, z and n out.
template <class T>
void gru_before_forward(Index width, Units mine, T* gates, const T* h, T* new_h, T* pre) {
    each_vector<T>(mine, [&](Index k) LONGSPAN_BODY {
        const Vec<T> sum_z = load<T>(gates + width + k), sum_n = load<T>(gates + 2 * width + k);
        const Vec<T> z = sigmoid<T>(sum_z), n = tanh<T>(sum_n);
        if (pre != nullptr) store<T>(pre + width + k, sum_z), store<T>(pre + 2 * width + k, sum_n);
        store<T>(gates + width + k, z), store<T>(gates + 2 * width + k, n);
        store<T>(new_h + k, fma(z, load<T>(h + k), (splat<T>(1) - z) * n));
    });
}

// Gradients of the sums of z and n, before the product of n is gone through; `direct` as above.
template <class T>
void gru_before_backward(Index width, Units mine, const T* gates, T* d_sums, const T* h, const T* d_h,
                         const T* const (&d_gate)[4], const T* const (&d_pre)[4], T* direct) {
    const Vec<T> one = splat<T>(1);
    each_vector<T>(mine, [&](Index k) LONGSPAN_BODY {
        const Vec<T> z = load<T>(gates + width + k), n = load<T>(gates + 2 * width + k);
        const Vec<T> d = load<T>(d_h + k);
        const Vec<T> d_z = plus<T>(d * (load<T>(h + k) - n), d_gate[1], k);
        const Vec<T> d_n = plus<T>(d * (one - z), d_gate[2], k);
        store<T>(d_sums + width + k, plus<T>(d_z * (z * (one - z)), d_pre[1], k));
        store<T>(d_sums + 2 * width + k, plus<T>(d_n * fma(-n, n, one), d_pre[2], k));
        store<T>(direct + k, d * z);
    });
}

// And after it: the gradient of the sum of r, from that of r h, and r h once more.
template <class T>
void gru_reset_backward(Units mine, const T* gates, T* d_sums, const T* seen, const T* d_reset_h,
                        const T* d_gate, const T* d_pre, T* reset_h) {
    const Vec<T> one = splat<T>(1);
    each_vector<T>(mine, [&](Index k) LONGSPAN_BODY {
        const Vec<T> r = load<T>(gates + k), row = load<T>(seen + k);
        const Vec<T> d_r = plus<T>(load<T>(d_reset_h + k) * row, d_gate, k);
        store<T>(d_sums + k, plus<T>(d_r * (r * (one - r)), d_pre, k));
        store<T>(reset_h + k, r * row);
    });
}

}  // namespace longspan::LONGSPAN_ISA
