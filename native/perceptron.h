// A perceptron on every row: y = W_n relu(... relu(W_1 x + b_1 + added) ...) + b_n, and its derivative.
//
// As everywhere, a sum is one chain: what stands before the terms, then the terms in the order of k; and a
// sum over rows goes part by part and block by block, whoever adds it up.
#pragma once

#include "perceptron_layout.h"
#include "sums.h"

namespace longspan::LONGSPAN_ISA {

template <class T>
class Perceptron {
  public:
    Perceptron(const PerceptronCall& call, int thread, int threads)
        : call_(call),
          p_(*call.problem),
          l_(call.layout),
          tape_(static_cast<T*>(p_.tape)),
          work_(static_cast<T*>(p_.work)),
          near_(work_ + l_.scratch + thread * l_.scratch_size),
          far_(near_ + together_rows * l_.widest),
          part_{thread, threads} {}

    void pack_forward() const {
        for (Index k = 0; k < l_.layers; ++k) {
            pack_rows<T>(weight(k), 1, l_.width[k + 1], l_.width[k], work_ + l_.weights[k],
                         part_.of(l_.wide[k + 1] / block));
            if (part_.number == 0) pad_gates<T>(bias(k), 1, l_.width[k + 1], work_ + l_.biases[k]);
        }
    }

    void pack_backward() const {
        for (Index k = 0; k < l_.layers; ++k)
            pack_columns<T>(weight(k), l_.width[k + 1], l_.width[k], work_ + l_.weights[k],
                            part_.of(l_.wide[k] / block));
    }

    void forward() const {
        each_block([&](Index first, Index count, Index) {
            for (Index k = 0; k < l_.layers; ++k) layer(k, first, count);
            T* const y = static_cast<T*>(call_.y);
            for (Index r = 0; r < count; ++r)
                copy_row(near_ + r * l_.wide[l_.layers], l_.width[l_.layers],
                         y + (first + r) * l_.width[l_.layers]);
        });
    }

    void backward() const {
        const Share mine = part_.of(l_.parts);
        clear(work_ + l_.sums + mine.from * l_.sums_size, (mine.to - mine.from) * l_.sums_size);
        each_block([&](Index first, Index count, Index part) { retreat(first, count, part); });
    }

    void add_parts() const { add_up<T>(work_ + l_.sums, l_.parts, l_.sums_size, part_); }

    void write() const {
        const T* const total = work_ + l_.sums;
        for (Index k = 0; k < l_.layers; ++k) {
            const Stack stack = stack_of(k);
            write_panels<T>(stack, part_.of((stack.vectors() + 3) / 4), l_.width[k],
                            total + l_.sum_weights[k], static_cast<T*>(call_.gradients->weights[k]));
            if (part_.number == 0 && call_.gradients->biases[k] != nullptr)
                copy(total + l_.sum_biases[k], l_.width[k + 1], static_cast<T*>(call_.gradients->biases[k]));
        }
    }

  private:
    const PerceptronCall& call_;
    const longspan_perceptron& p_;
    const PerceptronLayout& l_;
    T *tape_, *work_;
    T *near_, *far_;  // rows of a block: results of the last product, and what it read
    Part part_;

    const T* weight(Index k) const { return static_cast<const T*>(p_.weights[k]); }
    const T* bias(Index k) const { return static_cast<const T*>(p_.biases[k]); }
    const T* x(Index row) const { return static_cast<const T*>(p_.x) + row * p_.x_row; }
    T* hidden(Index k, Index row) const { return tape_ + l_.hidden[k] + row * l_.wide[k + 1]; }
    // What layer k reads.
    const T* input(Index k, Index row) const { return k == 0 ? x(row) : hidden(k - 1, row); }
    Stack stack_of(Index k) const { return {1, l_.width[k + 1], l_.wide[k + 1], {0, 0, 0, 0}}; }

    // Calls act(first row, how many, part of the sums) for this thread's rows.
    template <class Act>
    void each_block(Act act) const {
        const Share mine = part_.of(l_.parts);
        for (Index part = mine.from; part < mine.to; ++part) {
            const Share pieces = share(l_.pieces, static_cast<int>(part), static_cast<int>(l_.parts));
            for (Index piece = pieces.from; piece < pieces.to; ++piece) {
                const Index end = (piece + 1) * l_.piece < l_.rows ? (piece + 1) * l_.piece : l_.rows;
                for (Index first = piece * l_.piece; first < end; first += together_rows)
                    act(first, end - first < together_rows ? end - first : together_rows, part);
            }
        }
    }

    void layer(Index k, Index first, Index count) const {
        const bool last = k + 1 == l_.layers, adds = k == 0 && p_.added != nullptr;
        const Packed<T> matrix{work_ + l_.weights[k], l_.width[k], l_.wide[k + 1] / block};
        const T* in[together_rows];
        T* out[together_rows];
        for (Index r = 0; r < count; ++r) {
            in[r] = input(k, first + r);
            out[r] = last ? near_ + r * l_.wide[k + 1] : hidden(k, first + r);
            if (adds) begin_with(first + r, out[r]);
        }
        const Product<T> job{{{in, matrix, 0, l_.width[k]}, {}}, 1,          work_ + l_.biases[k],
                             adds ? Begin::kept : Begin::bias,   End::store, {1, 0, 0}};
        multiply<T>(count, job, 0, (matrix.vectors + 3) / 4, out);
        for (Index r = 0; !last && r < count; ++r)
            each_vector<T>(l_.wide[k + 1], [&](Index u) LONGSPAN_BODY {
                store<T>(out[r] + u, at_least(splat<T>(0), load<T>(out[r] + u)));
            });
    }

    // The first layer's sums begin with the bias and what is added to all rows of a group.
    void begin_with(Index row, T* out) const {
        const T* added = static_cast<const T*>(p_.added) + row / l_.group * l_.width[1];
        copy_row(added, l_.width[1], out);
        clear(out + l_.width[1], l_.wide[1] - l_.width[1]);
        each_vector<T>(l_.wide[1], [&](Index u) LONGSPAN_BODY {
            store<T>(out + u, load<T>(work_ + l_.biases[0] + u) + load<T>(out + u));
        });
    }

    void retreat(Index first, Index count, Index part) const {
        T *d = near_, *before = far_;
        const Index outputs = l_.width[l_.layers], wide = l_.wide[l_.layers];
        const T* const d_y = static_cast<const T*>(call_.gradients->y);
        for (Index r = 0; r < count; ++r) {
            copy_row(d_y + (first + r) * outputs, outputs, d + r * wide);
            clear(d + r * wide + outputs, wide - outputs);
        }
        for (Index k = l_.layers - 1; k >= 0; --k) {
            sum_up(k, first, count, part, d);
            if (k == 0) add_to_groups(first, count, d);
            if (k == 0 && call_.gradients->x == nullptr) return;
            through(k, first, count, d, before);
            T* const other = d;
            d = before, before = other;
        }
        T* const d_x = static_cast<T*>(call_.gradients->x);
        for (Index r = 0; r < count; ++r)
            copy_row(d + r * l_.wide[0], l_.width[0], d_x + (first + r) * l_.width[0]);
    }

    void sum_up(Index k, Index first, Index count, Index part, const T* d) const {
        const Stack stack = stack_of(k);
        T* const total = work_ + l_.sums + part * l_.sums_size;
        const T *d_rows[together_rows], *in[together_rows];
        for (Index r = 0; r < count; ++r) d_rows[r] = d + r * stack.width, in[r] = input(k, first + r);
        for (Index panel = 0; panel < (stack.vectors() + 3) / 4; ++panel)
            add_outer<T>(stack, panel, count, d_rows, in, l_.width[k],
                         total + l_.sum_weights[k] + panel * l_.width[k] * 4 * block);
        each_vector<T>(stack.width, [&](Index u) LONGSPAN_BODY {
            Vec<T> sum = splat<T>(0);
            for (Index r = 0; r < count; ++r) sum += load<T>(d + r * stack.width + u);
            T* const to = total + l_.sum_biases[k] + u;
            store<T>(to, load<T>(to) + sum);
        });
    }

    // A block begins inside of a group only where it goes on with it.
    void add_to_groups(Index first, Index count, const T* d) const {
        T* const to = static_cast<T*>(call_.gradients->added);
        if (to == nullptr) return;
        for (Index r = 0; r < count; ++r) {
            T* const row = to + (first + r) / l_.group * l_.width[1];
            if ((first + r) % l_.group == 0) clear(row, l_.width[1]);
            for (Index u = 0; u < l_.width[1]; ++u) row[u] += d[r * l_.wide[1] + u];
        }
    }

    // From the gradient of what layer k gives to that of what it reads, through the ReLU before it.
    void through(Index k, Index first, Index count, const T* d, T* before) const {
        const Packed<T> matrix{work_ + l_.weights[k], l_.width[k + 1], l_.wide[k] / block};
        const T* in[together_rows];
        T* out[together_rows];
        for (Index r = 0; r < count; ++r) in[r] = d + r * l_.wide[k + 1], out[r] = before + r * l_.wide[k];
        const Product<T> job{
            {{in, matrix, 0, l_.width[k + 1]}, {}}, 1, nullptr, Begin::zero, End::store, {1, 0, 0}};
        multiply<T>(count, job, 0, (matrix.vectors + 3) / 4, out);
        for (Index r = 0; k > 0 && r < count; ++r) {
            const T* const shown = input(k, first + r);
            each_vector<T>(l_.wide[k], [&](Index u) LONGSPAN_BODY {
                const Vec<T> none = splat<T>(0), value = load<T>(out[r] + u);
                store<T>(out[r] + u, load<T>(shown + u) <= none ? none : value);
            });
        }
    }
};

template <class T>
void perceptron_forward(const PerceptronCall& call, int thread, int threads) {
    const Perceptron<T> net(call, thread, threads);
    net.pack_forward();
    call.meet(thread);
    net.forward();
}

template <class T>
void perceptron_backward(const PerceptronCall& call, int thread, int threads) {
    const Perceptron<T> net(call, thread, threads);
    net.pack_backward();
    call.meet(thread);
    net.backward();
    call.meet(thread);
    if (call.layout.parts > 1) {
        net.add_parts();
        call.meet(thread);
    }
    net.write();
}

}  // namespace longspan::LONGSPAN_ISA
