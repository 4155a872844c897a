// An LSTM of one layer with its numbers, and calls of the engine on it in poisoned memory.
#pragma once

#include "check.h"
#include "longspan.h"

struct Numbers {
    std::int64_t T, B, I, H;
    std::vector<float> x, h, c, w_ih, w_hh, b_ih, b_hh;

    Numbers(std::int64_t steps, std::int64_t batch, std::int64_t inputs, std::int64_t hidden, unsigned seed)
        : T(steps), B(batch), I(inputs), H(hidden) {
        const auto draw = [&](std::int64_t count, double scale) {
            return normal<float>(static_cast<std::size_t>(count), ++seed, scale);
        };
        x = draw(T * B * I, 1.0), h = draw(B * H, 1.0), c = draw(B * H, 1.0);
        w_ih = draw(4 * H * I, 0.3), w_hh = draw(4 * H * H, 0.3), b_ih = draw(4 * H, 0.3),
        b_hh = draw(4 * H, 0.3);
    }
};

struct Outcome {
    std::vector<float> y, h, c;
    bool operator==(const Outcome& other) const = default;
};

inline longspan_problem problem_of(const Numbers& n) {
    longspan_problem p{};
    p.cell = LONGSPAN_LSTM, p.type = LONGSPAN_FLOAT32, p.threads = 1;
    p.steps = n.T, p.batch = n.B, p.inputs = n.I, p.hidden = n.H, p.width = n.H;
    p.x = n.x.data(), p.x_time = n.B * n.I, p.x_batch = n.I;
    p.state[0] = n.h.data(), p.state[1] = n.c.data();
    p.weights[LONGSPAN_WEIGHT_IH] = n.w_ih.data(), p.weights[LONGSPAN_WEIGHT_HH] = n.w_hh.data();
    p.weights[LONGSPAN_BIAS_IH] = n.b_ih.data(), p.weights[LONGSPAN_BIAS_HH] = n.b_hh.data();
    return p;
}

// Memory for one call, entered in the problem.
struct Space {
    Space(longspan_problem& p, bool backward)
        : tape(bytes(p, backward).first), work(bytes(p, backward).second) {
        p.tape = tape.get(), p.work = work.get();
        p.tape_bytes = bytes(p, backward).first, p.work_bytes = bytes(p, backward).second;
    }
    static std::pair<std::int64_t, std::int64_t> bytes(const longspan_problem& p, bool backward) {
        std::int64_t tape = 0, work = 0;
        CHECK(longspan_sizes(&p, backward, &tape, &work) == 0, "sizes");
        return {tape, work};
    }
    Poisoned tape, work;
};

// In the memory that the problem has.
inline Outcome forward_in(const longspan_problem& p) {
    const auto size = static_cast<std::size_t>(p.batch * p.width);
    Outcome out{std::vector<float>(size * static_cast<std::size_t>(p.steps)), std::vector<float>(size),
                std::vector<float>(size)};
    longspan_results r{};
    r.y = out.y.data(), r.y_time = p.batch * p.width, r.y_batch = p.width;
    r.state[0] = out.h.data(), r.state[1] = out.c.data();
    const int status = longspan_forward(&p, &r);
    CHECK(status == 0, "status %d", status);
    return out;
}

inline Outcome forward(longspan_problem p) {
    Space space(p, false);
    return forward_in(p);
}
