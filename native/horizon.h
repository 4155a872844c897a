// All steps of a horizon from one summary of the past, and the derivatives; the loss is in pinball.h.
//
// As everywhere, a sum is one chain: what stands before the terms, then the terms in the order of k; and a
// sum over rows goes part by part and block by block, whoever adds it up.
#pragma once

#include "pinball.h"
#include "sums.h"

namespace longspan::LONGSPAN_ISA {

// Rows of a block, which go together: neighbours, of sequences of one part of the sums.
struct Block {
    Index first, count, part;
};

template <class T>
class Horizon {
  public:
    Horizon(const HorizonCall& call, int thread, int threads)
        : call_(call),
          p_(*call.problem),
          l_(call.layout),
          work_(static_cast<T*>(p_.work)),
          tape_(l_.tape_in_work ? work_ : static_cast<T*>(p_.tape)),
          scratch_(work_ + l_.scratch + thread * l_.scratch_size),
          part_{thread, threads} {}

    void pack_forward() const {
        pack_in(p_.plan, p_.plan_bias, l_.plan, l_.summary, l_.plan_in, l_.plan_bias_in);
        pack_in(p_.shared, p_.shared_bias, l_.width[1], l_.summary, l_.shared_in, l_.shared_bias_in);
        for (Index k = 0; k < l_.layers; ++k)
            pack_in(p_.weights[k], p_.biases[k], l_.width[k + 1], l_.width[k], l_.weights_in[k],
                    l_.biases_in[k]);
    }

    void pack_backward() const {
        pack_out(p_.plan, l_.plan, l_.summary, l_.plan_out);
        pack_out(p_.shared, l_.width[1], l_.summary, l_.shared_out);
        for (Index k = 0; k < l_.layers; ++k)
            pack_out(p_.weights[k], l_.width[k + 1], l_.width[k], l_.weights_out[k]);
        if (call_.loss != nullptr && part_.number == 0) pinball().pack_levels();
        const Share mine = part_.of(l_.parts);
        clear(sums_of(mine.from), (mine.to - mine.from) * l_.sums_size);
    }

    void forward() const {
        each_piece([&](Share sequences, Index part) {
            read(sequences);
            each_block(sequences, part, [&](const Block& rows) {
                advance(rows, sequences.from);
                T* const y = static_cast<T*>(call_.y);
                for (Index r = 0; r < rows.count; ++r)
                    copy_row(result(r), outputs(), y + (rows.first + r) * outputs());
            });
        });
    }

    void backward() const {
        each_piece([&](Share sequences, Index part) {
            each_block(sequences, part, [&](const Block& rows) {
                const T* const d_y = static_cast<const T*>(call_.gradients->y);
                for (Index r = 0; r < rows.count; ++r) {
                    copy_row(d_y + (rows.first + r) * outputs(), outputs(), result(r));
                    clear(result(r) + outputs(), l_.wide[l_.layers] - outputs());
                }
                retreat(rows);
            });
            derive_summaries(sequences);
        });
    }

    void learn() const {
        const PinballRows<T> loss = pinball();
        const T share = loss.share_of_known();
        each_piece([&](Share sequences, Index part) {
            read(sequences);
            each_block(sequences, part, [&](const Block& rows) {
                advance(rows, sequences.from);
                for (Index r = 0; r < rows.count; ++r)
                    loss.lose(rows.first + r, share, result(r), sums_of(part) + l_.sum_loss);
                retreat(rows);
            });
            derive_summaries(sequences);
        });
    }

    // What is left when all threads have their sums and rows of gradients.
    void add_up_own() const {
        add_up<T>(sums_of(0), l_.parts, l_.sums_size, part_.parts, part_.number, {0, 1});
    }
    void add_up_rest() const { add_up<T>(sums_of(0), l_.parts, l_.sums_size, part_.parts, -1, part_); }

    void sum_up_summaries() const {
        const longspan_horizon_gradients& to = *call_.gradients;
        sum_of_sequences(l_.plan, l_.wide_plan, l_.d_plan, l_.plan_sums, to.plan, to.plan_bias);
        sum_of_sequences(l_.width[1], l_.wide[1], l_.d_shared, l_.shared_sums, to.shared, to.shared_bias);
    }

    void write() const {
        const T* const total = sums_of(0);
        for (Index k = 0; k < l_.layers; ++k) {
            const Stack stack = stack_of(l_.width[k + 1]);
            write_panels<T>(stack, part_.of(panels_of(stack.width)), l_.width[k], total + l_.sum_weights[k],
                            static_cast<T*>(call_.gradients->weights[k]));
            if (part_.number == 0 && call_.gradients->biases[k] != nullptr)
                copy(total + l_.sum_biases[k], l_.width[k + 1], static_cast<T*>(call_.gradients->biases[k]));
        }
        if (part_.number != 0 || call_.loss == nullptr) return;
        T sum = T(0);
        for (Index lane = 0; lane < block; ++lane) sum += total[l_.sum_loss + lane];
        *static_cast<T*>(call_.loss->loss) = sum;
    }

  private:
    const HorizonCall& call_;
    const longspan_horizon& p_;
    const HorizonLayout& l_;
    T *work_, *tape_, *scratch_;
    Part part_;

    Index outputs() const { return l_.width[l_.layers]; }
    // Rows of a block, of any layer: results of the last product, and what it read.
    T* near(Index r, Index wide) const { return scratch_ + l_.near + r * wide; }
    T* far(Index r, Index wide) const { return scratch_ + l_.far + r * wide; }
    T* result(Index r) const { return near(r, l_.wide[l_.layers]); }
    // What layer k reads.
    T* input(Index k, Index row) const { return tape_ + l_.rows[k] + row * l_.wide[k]; }
    T* d_plan(Index sequence) const { return work_ + l_.d_plan + sequence * l_.wide_plan; }
    T* d_shared(Index sequence) const { return work_ + l_.d_shared + sequence * l_.wide[1]; }
    Packed<T> packed_at(Index at, Index depth, Index columns) const {
        return {work_ + at, depth, padded(columns) / block};
    }
    T* sums_of(Index part) const { return work_ + l_.sums + part * l_.sums_size; }
    PinballRows<T> pinball() const {
        return {*call_.loss, l_.batch * l_.steps, outputs(), work_ + l_.tilts, work_ + l_.level_weights};
    }
    static Stack stack_of(Index units) { return {1, units, padded(units), {0, 0, 0, 0}}; }

    void pack_in(const void* matrix, const void* bias, Index units, Index depth, Index to,
                 Index bias_to) const {
        pack_rows<T>(static_cast<const T*>(matrix), 1, units, depth, work_ + to,
                     part_.of(padded(units) / block));
        if (part_.number == 0) pad_gates<T>(static_cast<const T*>(bias), 1, units, work_ + bias_to);
    }

    void pack_out(const void* matrix, Index units, Index depth, Index to) const {
        pack_columns<T>(static_cast<const T*>(matrix), units, depth, work_ + to,
                        part_.of(padded(depth) / block));
    }

    // Calls act(sequences, part of the sums) for this thread's pieces.
    template <class Act>
    void each_piece(Act act) const {
        const Share mine = part_.of(l_.parts);
        for (Index part = mine.from; part < mine.to; ++part) {
            const Share pieces = share(l_.pieces, static_cast<int>(part), static_cast<int>(l_.parts));
            for (Index piece = pieces.from; piece < pieces.to; ++piece) {
                const Index end = (piece + 1) * l_.piece;
                act(Share{piece * l_.piece, end < l_.batch ? end : l_.batch}, part);
            }
        }
    }

    template <class Act>
    void each_block(Share sequences, Index part, Act act) const {
        const Index end = sequences.to * l_.steps;
        for (Index first = sequences.from * l_.steps; first < end; first += together_rows)
            act(Block{first, end - first < together_rows ? end - first : together_rows, part});
    }

    // Rows of one product with a matrix that is packed for the way forward.
    void product(const Packed<T>& matrix, Index bias, Begin begin, Index count, const T* const* in,
                 T* const* out) const {
        const Product<T> job{
            {{in, matrix, 0, matrix.depth}, {}}, 1, work_ + bias, begin, End::store, {1, 0, 0}};
        multiply<T>(count, job, 0, (matrix.vectors + 3) / 4, out);
    }

    // Of these sequences what the first layer reads, and what is added to it.
    void read(Share sequences) const {
        const T *in[together_rows], *future = static_cast<const T*>(p_.future);
        T *codes[together_rows], *added[together_rows];
        const Index count = sequences.to - sequences.from;
        for (Index n = 0; n < count; ++n) {
            in[n] = static_cast<const T*>(p_.summary) + (sequences.from + n) * l_.summary;
            codes[n] = scratch_ + l_.plan_rows + n * l_.wide_plan;
            added[n] = scratch_ + l_.shared_rows + n * l_.wide[1];
        }
        product(packed_at(l_.plan_in, l_.summary, l_.plan), l_.plan_bias_in, Begin::bias, count, in, codes);
        product(packed_at(l_.shared_in, l_.summary, l_.width[1]), l_.shared_bias_in, Begin::bias, count, in,
                added);
        for (Index n = 0; n < count; ++n) {
            for (Index step = 0; step < l_.steps; ++step) {
                const Index row = (sequences.from + n) * l_.steps + step;
                copy_row(codes[n] + step * l_.codes, l_.codes, input(0, row));
                copy_row(future + row * p_.known, p_.known, input(0, row) + l_.codes);
            }
        }
    }

    // All layers of a block; `base` is the first sequence of its piece.
    void advance(const Block& rows, Index base) const {
        for (Index k = 0; k < l_.layers; ++k) {
            const bool last = k + 1 == l_.layers;
            const Index wide = l_.wide[k + 1];
            const T* in[together_rows];
            T* out[together_rows];
            for (Index r = 0; r < rows.count; ++r) {
                const Index row = rows.first + r;
                in[r] = input(k, row), out[r] = last ? result(r) : input(k + 1, row);
                if (k > 0) continue;
                const T* const added = scratch_ + l_.shared_rows + (row / l_.steps - base) * wide;
                each_vector<T>(wide, [&](Index u) LONGSPAN_BODY {
                    store<T>(out[r] + u, load<T>(work_ + l_.biases_in[0] + u) + load<T>(added + u));
                });
            }
            product(packed_at(l_.weights_in[k], l_.width[k], l_.width[k + 1]), l_.biases_in[k],
                    k == 0 ? Begin::kept : Begin::bias, rows.count, in, out);
            for (Index r = 0; !last && r < rows.count; ++r)
                each_vector<T>(wide, [&](Index u) LONGSPAN_BODY {
                    store<T>(out[r] + u, at_least(splat<T>(0), load<T>(out[r] + u)));
                });
        }
    }

    // From the gradients of a block's results to those of what its first layer read.
    void retreat(const Block& rows) const {
        for (Index k = l_.layers - 1; k >= 0; --k) {
            const bool even = (l_.layers - 1 - k) % 2 == 0;
            const T* d[together_rows];
            T* before[together_rows];
            for (Index r = 0; r < rows.count; ++r) {
                d[r] = even ? near(r, l_.wide[k + 1]) : far(r, l_.wide[k + 1]);
                before[r] = even ? far(r, l_.wide[k]) : near(r, l_.wide[k]);
            }
            sum_up(k, rows, d);
            if (k == 0) gather_shared(rows, d);
            through(k, rows, d, before);
            if (k == 0) spread(rows, before);
        }
    }

    void sum_up(Index k, const Block& rows, const T* const* d) const {
        const Stack stack = stack_of(l_.width[k + 1]);
        T* const total = sums_of(rows.part);
        const T* in[together_rows];
        for (Index r = 0; r < rows.count; ++r) in[r] = input(k, rows.first + r);
        for (Index panel = 0; panel < panels_of(stack.width); ++panel)
            add_outer<T>(stack, panel, rows.count, d, in, l_.width[k],
                         total + l_.sum_weights[k] + panel * l_.width[k] * 4 * block);
        add_rows(rows.count, d, {0, stack.width}, total + l_.sum_biases[k]);
    }

    static void add_rows(Index count, const T* const* d, Units columns, T* total) {
        each_vector<T>(columns, [&](Index u) LONGSPAN_BODY {
            Vec<T> sum = splat<T>(0);
            for (Index r = 0; r < count; ++r) sum += load<T>(d[r] + u);
            store<T>(total + u, load<T>(total + u) + sum);
        });
    }

    // What is added to all rows of a sequence has the sum of their gradients.
    void gather_shared(const Block& rows, const T* const* d) const {
        for (Index r = 0; r < rows.count; ++r) {
            const Index row = rows.first + r;
            T* const to = d_shared(row / l_.steps);
            if (row % l_.steps == 0) clear(to, l_.wide[1]);
            each_vector<T>(l_.wide[1], [&](Index u) LONGSPAN_BODY {
                store<T>(to + u, load<T>(to + u) + load<T>(d[r] + u));
            });
        }
    }

    // From the gradient of what layer k gives to that of what it reads, through the ReLU before it.
    void through(Index k, const Block& rows, const T* const* d, T* const* before) const {
        product_back(
            {{{d, packed_at(l_.weights_out[k], l_.width[k + 1], l_.width[k]), 0, l_.width[k + 1]}, {}},
             1,
             nullptr,
             Begin::zero,
             End::store,
             {1, 0, 0}},
            rows.count, before);
        for (Index r = 0; k > 0 && r < rows.count; ++r) {
            const T* const shown = input(k, rows.first + r);
            each_vector<T>(l_.wide[k], [&](Index u) LONGSPAN_BODY {
                const Vec<T> none = splat<T>(0), value = load<T>(before[r] + u);
                store<T>(before[r] + u, load<T>(shown + u) <= none ? none : value);
            });
        }
    }

    static void product_back(const Product<T>& job, Index count, T* const* out) {
        multiply<T>(count, job, 0, (job.operands[0].matrix.vectors + 3) / 4, out);
    }

    // The gradient of what the first layer read: of the codes, and of what is known ahead.
    void spread(const Block& rows, T* const* d) const {
        T* const d_future = static_cast<T*>(call_.gradients->future);
        for (Index r = 0; r < rows.count; ++r) {
            const Index row = rows.first + r, step = row % l_.steps;
            T* const to = d_plan(row / l_.steps);
            copy_row(d[r], l_.codes, to + step * l_.codes);
            if (step + 1 == l_.steps) clear(to + l_.plan, l_.wide_plan - l_.plan);
            if (d_future != nullptr) copy_row(d[r] + l_.codes, p_.known, d_future + row * p_.known);
        }
    }

    void derive_summaries(Share sequences) const {
        const T *plan[together_rows], *shared[together_rows];
        T* out[together_rows];
        const Index count = sequences.to - sequences.from;
        for (Index n = 0; n < count; ++n) {
            plan[n] = d_plan(sequences.from + n), shared[n] = d_shared(sequences.from + n);
            out[n] = near(n, l_.wide_summary);
        }
        product_back({{{plan, packed_at(l_.plan_out, l_.plan, l_.summary), 0, l_.plan},
                       {shared, packed_at(l_.shared_out, l_.width[1], l_.summary), 0, l_.width[1]}},
                      2,
                      nullptr,
                      Begin::zero,
                      End::store,
                      {1, 0, 0}},
                     count, out);
        T* const to = static_cast<T*>(call_.gradients->summary);
        for (Index n = 0; n < count; ++n)
            copy_row(out[n], l_.summary, to + (sequences.from + n) * l_.summary);
    }

    // Of a matrix on summaries: the sum over all sequences, panels shared out by threads.
    void sum_of_sequences(Index units, Index wide, Index rows, Index sums, void* weight, void* bias) const {
        const Stack stack = stack_of(units);
        const Share panels = part_.of(panels_of(wide));
        const Units columns{panels.from * 4 * block,
                            panels.to * 4 * block < wide ? panels.to * 4 * block : wide};
        T* const total = work_ + sums;
        clear(total + panels.from * l_.summary * 4 * block,
              (panels.to - panels.from) * l_.summary * 4 * block);
        T* const row_sum = work_ + rows + l_.batch * wide;  // behind the rows
        clear(row_sum + columns.from, columns.to - columns.from);
        for (Index first = 0; first < l_.batch; first += together_rows) {
            const Index left = l_.batch - first, count = left < together_rows ? left : together_rows;
            const T *d[together_rows], *in[together_rows];
            for (Index n = 0; n < count; ++n) {
                d[n] = work_ + rows + (first + n) * wide;
                in[n] = static_cast<const T*>(p_.summary) + (first + n) * l_.summary;
            }
            for (Index panel = panels.from; panel < panels.to; ++panel)
                add_outer<T>(stack, panel, count, d, in, l_.summary, total + panel * l_.summary * 4 * block);
            add_rows(count, d, columns, row_sum);
        }
        write_panels<T>(stack, panels, l_.summary, total, static_cast<T*>(weight));
        const Index end = columns.to < units ? columns.to : units;
        if (bias != nullptr && columns.from < end)
            copy(row_sum + columns.from, end - columns.from, static_cast<T*>(bias) + columns.from);
    }
};

template <class T>
void horizon_forward(const HorizonCall& call, int thread, int threads) {
    const Horizon<T> net(call, thread, threads);
    net.pack_forward();
    call.meet(thread);
    net.forward();
}

template <class T>
void horizon_backward(const HorizonCall& call, int thread, int threads) {
    const Horizon<T> net(call, thread, threads);
    if (call.loss != nullptr) net.pack_forward();
    net.pack_backward();
    call.meet(thread);
    if (call.loss != nullptr)
        net.learn();
    else
        net.backward();
    net.add_up_own();
    call.meet(thread);
    net.sum_up_summaries();
    net.add_up_rest();
    call.meet(thread);
    net.write();
}

}  // namespace longspan::LONGSPAN_ISA
