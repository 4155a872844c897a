// The LSTM against a plain loop of scalar fma, to the bit; the same bits for threads, builds and chunks;
// finite differences for the gradient; refusals.
#include <cmath>
#include <cstring>

#include "lstm_run.h"

namespace {

float activate(int function, float x) {
    float out = 0;
    longspan_activation(function, LONGSPAN_FLOAT32, 0, 1, &x, &out);
    return out;
}

// One chain a sum: bias, input terms, recurrent terms, in the order of k.
Outcome plain_loop(const Numbers& n) {
    const auto at = [](std::int64_t k) { return static_cast<std::size_t>(k); };
    Outcome out{std::vector<float>(at(n.T * n.B * n.H)), n.h, n.c};
    for (std::int64_t t = 0; t < n.T; ++t) {
        const std::vector<float> before = out.h;
        for (std::int64_t b = 0; b < n.B; ++b) {
            for (std::int64_t u = 0; u < n.H; ++u) {
                float sum[4];
                for (std::int64_t g = 0; g < 4; ++g) {
                    const std::int64_t row = g * n.H + u;
                    float chain = n.b_ih[at(row)] + n.b_hh[at(row)];
                    for (std::int64_t k = 0; k < n.I; ++k)
                        chain = std::fma(n.x[at((t * n.B + b) * n.I + k)], n.w_ih[at(row * n.I + k)], chain);
                    for (std::int64_t k = 0; k < n.H; ++k)
                        chain = std::fma(before[at(b * n.H + k)], n.w_hh[at(row * n.H + k)], chain);
                    sum[g] = chain;
                }
                float& c = out.c[at(b * n.H + u)];
                c = std::fma(activate(0, sum[1]), c, activate(0, sum[0]) * activate(1, sum[2]));
                out.h[at(b * n.H + u)] = activate(0, sum[3]) * activate(1, c);
            }
        }
        std::copy(out.h.begin(), out.h.end(), out.y.begin() + t * n.B * n.H);
    }
    return out;
}

void same_bits() {
    const std::int64_t shapes[][4] = {{1, 1, 1, 1},     {3, 1, 5, 16},  {40, 1, 3, 17},  {5, 2, 300, 33},
                                      {4, 7, 1, 70},    {3, 13, 9, 64}, {2, 50, 17, 31}, {7, 3, 280, 260},
                                      {70, 1, 20, 200}, {5, 2, 9, 150}};
    for (const auto& s : shapes) {
        const Numbers n(s[0], s[1], s[2], s[3], 7);
        longspan_problem p = problem_of(n);
        const Outcome want = plain_loop(n);
        CHECK(forward(p) == want, "T %ld B %ld I %ld H %ld", s[0], s[1], s[2], s[3]);
        for (p.threads = 2; p.threads <= 4; ++p.threads) CHECK(forward(p) == want, "%d threads", p.threads);
        for (p.isa = 3; longspan_isa() == 4 && p.isa <= 4; ++p.isa)
            CHECK(forward(p) == want, "isa %d", p.isa);
        p.isa = 0, p.keep = 1;
        CHECK(forward(p) == want, "with a tape");
    }
}

void no_state_is_zeros() {
    Numbers n(3, 4, 5, 20, 9);
    std::fill(n.h.begin(), n.h.end(), 0.0f), std::fill(n.c.begin(), n.c.end(), 0.0f);
    const std::int64_t lengths[] = {2, 0, 3, 1};
    longspan_problem p = problem_of(n);
    for (p.lengths = nullptr;; p.lengths = lengths) {
        p.state[0] = n.h.data(), p.state[1] = n.c.data();
        const Outcome want = forward(p);
        p.state[0] = p.state[1] = nullptr;
        CHECK(forward(p) == want, "without a state, lengths %d", p.lengths != nullptr);
        if (p.lengths != nullptr) return;
    }
}

void chunks_are_the_whole() {
    const Numbers n(37, 3, 6, 20, 3);
    const Outcome want = forward(problem_of(n));
    Outcome last{{}, n.h, n.c};
    std::vector<float> y;
    for (std::int64_t start = 0; start < n.T; start += 5) {
        longspan_problem p = problem_of(n);
        p.steps = std::min<std::int64_t>(5, n.T - start), p.x = n.x.data() + start * n.B * n.I;
        p.state[0] = last.h.data(), p.state[1] = last.c.data();
        last = forward(p);
        y.insert(y.end(), last.y.begin(), last.y.end());
    }
    CHECK(y == want.y && last.h == want.h && last.c == want.c, "chunks of 5");
}

// The nearer of the two neighbours, of two as near the one whose last bit is 0; distances are exact in
// double.
float to_bfloat16(float value) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    const std::uint32_t below = bits & 0xffff0000u, above = below + 0x10000u;
    float down = 0, up = 0;
    std::memcpy(&down, &below, sizeof down), std::memcpy(&up, &above, sizeof up);
    const double to_down = std::abs(static_cast<double>(value) - static_cast<double>(down));
    const double to_up = std::abs(static_cast<double>(up) - static_cast<double>(value));
    if (to_down == to_up) return (below & 0x10000u) == 0 ? down : up;
    return to_down < to_up ? down : up;
}

void half_weights() {
    const int best = longspan_isa();
    const std::int64_t shapes[][4] = {{1, 1, 1, 1},   {3, 1, 5, 16},    {40, 1, 3, 17},   {4, 7, 1, 70},
                                      {3, 13, 9, 80}, {7, 3, 280, 260}, {70, 1, 20, 200}, {2, 50, 17, 48}};
    for (const auto& s : shapes) {
        Numbers n(s[0], s[1], s[2], s[3], 5);
        n.w_hh[0] = 1.0f + 1.0f / 256, n.w_ih[0] = 1.0f + 3.0f / 256;  // half-way, down and up
        Numbers rounded = n;
        for (auto* weights : {&rounded.w_ih, &rounded.w_hh})
            for (float& weight : *weights) weight = to_bfloat16(weight);
        CHECK(rounded.w_hh[0] == 1.0f && rounded.w_ih[0] == 1.0f + 4.0f / 256, "the test rounds to even");
        const Outcome want = plain_loop(rounded);
        longspan_problem p = problem_of(n);
        p.weights_type = LONGSPAN_BFLOAT16;
        for (p.isa = best == 4 ? 3 : best; p.isa <= best; ++p.isa)
            for (p.threads = 1; p.threads <= 4; ++p.threads)
                CHECK(forward(p) == want, "T %ld B %ld I %ld H %ld, %d threads, isa %d", s[0], s[1], s[2],
                      s[3], p.threads, p.isa);
    }
}

struct Gradient {
    std::vector<float> x, h, c, w_ih, w_hh, b_ih, b_hh, gains[3];
    bool operator==(const Gradient& other) const = default;
};

Gradient gradient_of(longspan_problem p, const Numbers& n, const std::vector<float>& d_y) {
    const auto [tape_bytes, forward_bytes] = Space::bytes(p, false);
    const auto backward_bytes = Space::bytes(p, true).second;
    const Poisoned tape(tape_bytes), work(forward_bytes), again(backward_bytes);
    std::vector<float> y(d_y.size()), h(n.h.size()), c(n.c.size());
    longspan_results r{};
    r.y = y.data(), r.y_time = n.B * n.H, r.y_batch = n.H, r.state[0] = h.data(), r.state[1] = c.data();
    p.tape = tape.get(), p.tape_bytes = tape_bytes, p.work = work.get(), p.work_bytes = forward_bytes;
    CHECK(longspan_forward(&p, &r) == 0, "forward");
    const std::vector<float> gain(static_cast<std::size_t>(4 * n.H));
    Gradient out{n.x, n.h, n.c, n.w_ih, n.w_hh, n.b_ih, n.b_hh, {gain, gain, gain}};
    longspan_gradients g{};
    g.y = d_y.data(), g.y_time = r.y_time, g.y_batch = r.y_batch, g.x = out.x.data(), g.x_time = n.B * n.I,
    g.x_batch = n.I;
    g.initial[0] = out.h.data(), g.initial[1] = out.c.data();
    g.weights[0] = out.w_ih.data(), g.weights[1] = out.w_hh.data();
    g.weights[2] = out.b_ih.data(), g.weights[3] = out.b_hh.data();
    for (int k = 0; k < 3; ++k) g.weights[LONGSPAN_GAIN_IH + k] = out.gains[k].data();
    p.work = again.get(), p.work_bytes = backward_bytes;
    CHECK(longspan_backward(&p, &g) == 0, "backward");
    return out;
}

Gradient gradient(const Numbers& n, const std::vector<float>& d_y, int threads, int isa,
                  int keep = LONGSPAN_KEEP_ALL, int reverse = 0) {
    longspan_problem p = problem_of(n);
    p.keep = keep, p.reverse = reverse, p.threads = threads, p.isa = isa;
    return gradient_of(p, n, d_y);
}

double loss(const Numbers& n, const std::vector<float>& d_y) {
    const Outcome out = plain_loop(n);
    double sum = 0;
    for (std::size_t k = 0; k < d_y.size(); ++k)
        sum += static_cast<double>(d_y[k]) * static_cast<double>(out.y[k]);
    return sum;
}

void gradients() {
    Numbers n(5, 9, 4, 18, 11);
    const std::vector<float> d_y = normal<float>(static_cast<std::size_t>(n.T * n.B * n.H), 99);
    const Gradient want = gradient(n, d_y, 1, 0);
    for (const int threads : {2, 3}) CHECK(gradient(n, d_y, threads, 0) == want, "%d threads", threads);
    if (longspan_isa() == 4) CHECK(gradient(n, d_y, 2, 3) == want, "v3");
    const auto check = [&](std::vector<float>& values, const std::vector<float>& found, const char* name) {
        for (std::size_t k = 0; k < values.size(); k += values.size() / 5 + 1) {
            const float kept = values[k], step = 1.0f / 64;
            values[k] = kept + step;
            const double up = loss(n, d_y);
            values[k] = kept - step;
            const double slope = (up - loss(n, d_y)) / (2.0 * static_cast<double>(step));
            values[k] = kept;
            const double got = static_cast<double>(found[k]);
            CHECK(std::abs(got - slope) <= 2e-3 * (1.0 + std::abs(slope)), "%s[%zu]: %g, not %g", name, k,
                  got, slope);
        }
    };
    check(n.x, want.x, "x"), check(n.h, want.h, "h"), check(n.c, want.c, "c");
    check(n.w_ih, want.w_ih, "w_ih"), check(n.w_hh, want.w_hh, "w_hh");
    check(n.b_ih, want.b_ih, "b_ih"), check(n.b_hh, want.b_hh, "b_hh");
}

void recomputing() {
    // Chunks of the backward pass that are cut short at one end or the other; units that threads share.
    const std::int64_t shapes[][4] = {{700, 5, 4, 34}, {3, 2, 4, 20}, {300, 1, 3, 200}};
    for (const auto& s : shapes) {
        const Numbers n(s[0], s[1], s[2], s[3], 17);
        const std::vector<float> d_y = normal<float>(static_cast<std::size_t>(n.T * n.B * n.H), 21);
        for (const int reverse : {0, 1}) {
            const Gradient want = gradient(n, d_y, 1, 0, LONGSPAN_KEEP_ALL, reverse);
            for (const int threads : {1, 2, 3})
                CHECK(gradient(n, d_y, threads, 0, LONGSPAN_KEEP_STATES, reverse) == want,
                      "T %ld, %d threads, reverse %d", s[0], threads, reverse);
        }
    }
}

void layers() {
    // The second reads what the first writes; the third would, but is refused.
    const Numbers n(2, 3, 8, 8, 5);
    const Outcome first = forward(problem_of(n));
    Numbers above = n;
    above.x = first.y;
    const Outcome want = forward(problem_of(above));
    longspan_problem p[] = {problem_of(n), problem_of(n), problem_of(n)};
    const Space a(p[0], false), b(p[1], false), c(p[2], false);
    std::vector<float> y[3], h[3], cell[3];
    longspan_results r[3]{};
    for (int layer = 0; layer < 3; ++layer) {
        y[layer] = n.x, h[layer] = n.h, cell[layer] = n.c;
        if (layer > 0) p[layer].x = y[layer - 1].data();
        r[layer].y = y[layer].data(), r[layer].y_time = p[layer].x_time, r[layer].y_batch = p[layer].x_batch;
        r[layer].state[0] = h[layer].data(), r[layer].state[1] = cell[layer].data();
    }
    CHECK(longspan_forward_layers(p, r, 2) == LONGSPAN_OK, "two layers");
    CHECK((Outcome{y[1], h[1], cell[1]} == want), "the second reads the first");
    p[1].x = nullptr;
    y[0] = n.x;
    CHECK(longspan_forward_layers(p, r, 3) == LONGSPAN_BAD_POINTER, "the second is refused");
    CHECK(y[0] == first.y && y[2] == n.x, "the first ran, and the third did not");
    CHECK(longspan_forward_layers(nullptr, r, 3) == LONGSPAN_BAD_POINTER, "no problems");
}

std::vector<float> recorded_gates(longspan_problem p) {
    Space space(p, false);
    const auto size = static_cast<std::size_t>(p.batch * p.width),
               every = size * static_cast<std::size_t>(p.steps);
    std::vector<float> y(every), h(size), c(size), gates(4 * every);
    longspan_results r{};
    r.y = y.data(), r.y_time = p.batch * p.width, r.y_batch = p.width;
    r.state[0] = h.data(), r.state[1] = c.data();
    for (std::size_t gate = 0; gate < 4; ++gate) r.record[gate] = gates.data() + gate * every;
    CHECK(longspan_forward(&p, &r) == LONGSPAN_OK, "forward");
    return gates;
}

// Threads that share the units of every step, of sequences that end at different ones, over several chunks:
// the thread sanitizer looks at who reads what, and the bits are those of one thread.
void shared_steps() {
    const Numbers n(24, 12, 256, 256, 5);
    const std::vector<float> ones(4 * 256, 1.0f), d_y = normal<float>(n.x.size(), 99);
    std::vector<std::int64_t> lengths;
    std::vector<std::uint8_t> reset;
    for (std::int64_t b = 0; b < n.B; ++b) lengths.push_back(n.T - (b * 9) % n.T);
    for (std::int64_t k = 0; k < n.T * n.B; ++k) reset.push_back(k % 7 == 0);
    longspan_problem p = problem_of(n);
    p.lengths = lengths.data(), p.reset = reset.data(), p.reset_time = n.B, p.reset_batch = 1;
    const std::vector<float> gates = recorded_gates(p);
    for (p.threads = 2; p.threads <= 3; ++p.threads)
        CHECK(recorded_gates(p) == gates, "gates of %d threads", p.threads);
    p.keep = 1;
    for (const int options : {0, static_cast<int>(LONGSPAN_LAYER_NORM)}) {
        p.options = options, p.threads = 1;
        for (const int gain : {LONGSPAN_GAIN_IH, LONGSPAN_GAIN_HH, LONGSPAN_GAIN_C})
            p.weights[gain] = options == 0 ? nullptr : ones.data();
        const Gradient want = gradient_of(p, n, d_y);
        for (p.threads = 2; p.threads <= 3; ++p.threads)
            CHECK(gradient_of(p, n, d_y) == want, "options %d, %d threads", options, p.threads);
    }
}

void empty_batch() {
    const Numbers n(2, 0, 3, 4, 1);
    longspan_problem p = problem_of(n);
    p.keep = 1;
    for (const float each : gradient_of(p, n, {}).w_hh) CHECK(each == 0.0f, "%g", static_cast<double>(each));
    longspan_gradients g{};
    std::vector<float> d(64);
    for (int which = 0; which < 4; ++which) g.weights[which] = d.data();
    p.work_bytes = 1 << 20;
    CHECK(longspan_backward(&p, &g) == LONGSPAN_BAD_POINTER, "no work space");
}

void masks_of_packed_weights() {
    const Numbers n(3, 2, 4, 16, 1);
    longspan_problem p = problem_of(n);
    p.training = 1, p.recurrent_dropout = 0.5, p.seed = 2;
    const Outcome want = forward(p);
    Space space(p, false);
    p.seed = 1;
    const Outcome other = forward_in(p);
    p.packed = LONGSPAN_PACKED, p.seed = 2;
    CHECK(forward_in(p) == want && !(other == want), "masks of the call that packed");
}

void records_that_there_are_not() {
    const Numbers n(2, 2, 3, 4, 1);
    std::vector<float> record(16);
    const auto status = [&](int options, int which) {
        longspan_problem p = problem_of(n);
        p.options = options;
        Space space(p, false);
        std::vector<float> y(16), h(8), c(8);
        longspan_results r{};
        r.y = y.data(), r.y_time = 8, r.y_batch = 4, r.state[0] = h.data(), r.state[1] = c.data();
        r.record[which] = record.data();
        return longspan_forward(&p, &r);
    };
    CHECK(status(0, LONGSPAN_RECORD_PRE + 1) == LONGSPAN_OK, "sums of f");
    CHECK(status(LONGSPAN_COUPLED, LONGSPAN_RECORD_GATE + 1) == LONGSPAN_OK, "f that is coupled");
    CHECK(status(LONGSPAN_COUPLED, LONGSPAN_RECORD_PRE + 1) == LONGSPAN_BAD_OPTION, "its sums");
    CHECK(status(LONGSPAN_NO_FORGET, LONGSPAN_RECORD_GATE + 1) == LONGSPAN_BAD_OPTION, "no f");
    float in = 0, out = 0;
    CHECK(longspan_activation(0, 7, 0, 1, &in, &out) == LONGSPAN_BAD_OPTION, "type");
    CHECK(longspan_activation(0, 0, 0, 1, nullptr, &out) == LONGSPAN_BAD_POINTER, "nothing to read");
}

void sizes_of_a_horizon() {
    longspan_horizon p{};
    p.threads = p.layers = p.batch = p.steps = p.codes = p.summary_width = p.widths[0] = 1;
    std::int64_t tape = 0, work = 0;
    const auto status = [&] { return longspan_horizon_sizes(&p, LONGSPAN_HORIZON_FORWARD, &tape, &work); };
    CHECK(status() == LONGSPAN_OK, "the smallest");
    p.known = std::numeric_limits<std::int64_t>::max();
    CHECK(status() == LONGSPAN_BAD_SHAPE, "more known than can be counted");
    p.known = 1 << 23, p.batch = p.steps = 1 << 23;
    CHECK(status() == LONGSPAN_BAD_SHAPE, "more rows than can be counted");
}

void refusals() {
    const Numbers n(2, 2, 3, 4, 1);
    const auto status = [&](auto change) {
        longspan_problem p = problem_of(n);
        Space space(p, false);
        std::vector<float> y(16), h(8), c(8);
        longspan_results r{};
        r.y = y.data(), r.y_time = 8, r.y_batch = 4, r.state[0] = h.data(), r.state[1] = c.data();
        change(p, r);
        return longspan_forward(&p, &r);
    };
    using P = longspan_problem;
    using R = longspan_results;
    const std::int64_t lengths[] = {1, 3};
    CHECK(status([](P&, R&) {}) == LONGSPAN_OK, "the problem is sound");
    CHECK(status([](P& p, R&) { p.hidden = 0; }) == LONGSPAN_BAD_SHAPE, "no units");
    CHECK(status([](P& p, R&) { p.batch = -1; }) == LONGSPAN_BAD_SHAPE, "negative batch");
    CHECK(status([](P& p, R&) { p.steps = p.batch = 1 << 30; }) == LONGSPAN_BAD_SHAPE, "sizes past counting");
    CHECK(status([](P& p, R&) { p.width = 3; }) == LONGSPAN_BAD_SHAPE, "width without projection");
    CHECK(status([](P& p, R&) { p.keep = 3; }) == LONGSPAN_BAD_OPTION, "keep what");
    CHECK(status([](P& p, R&) { p.threads = 0; }) == LONGSPAN_BAD_SHAPE, "no threads");
    CHECK(status([](P& p, R&) { p.cell = 9; }) == LONGSPAN_BAD_OPTION, "cell");
    CHECK(status([](P& p, R&) { p.options = 6; }) == LONGSPAN_BAD_OPTION, "coupled without forget gate");
    CHECK(status([](P& p, R&) { p.packed = 3; }) == LONGSPAN_BAD_OPTION, "packed in another way");
    CHECK(status([](P& p, R&) { p.packed = LONGSPAN_PACK_CHANGED, p.keep = 1; }) == LONGSPAN_BAD_OPTION,
          "weights kept beside a tape");
    CHECK(status([](P& p, R&) { p.weights_type = 2; }) == LONGSPAN_BAD_OPTION, "type of weights");
    CHECK(status([](P& p, R&) { p.weights_type = p.type = 1; }) == LONGSPAN_BAD_OPTION, "half of a double");
    CHECK(status([](P& p, R&) { p.weights_type = p.keep = 1; }) == LONGSPAN_BAD_OPTION, "half with a tape");
    CHECK(status([](P& p, R&) { p.zoneout[0] = std::nan(""); }) == LONGSPAN_BAD_OPTION, "rate");
    CHECK(status([](P& p, R&) { p.weights[1] = nullptr; }) == LONGSPAN_BAD_POINTER, "weight");
    CHECK(status([](P& p, R&) { p.weights[2] = nullptr; }) == LONGSPAN_BAD_POINTER, "one bias of two");
    CHECK(status([](P&, R& r) { r.y = nullptr; }) == LONGSPAN_BAD_POINTER, "y");
    CHECK(status([](P& p, R&) { p.work_bytes -= 1; }) == LONGSPAN_NO_MEMORY, "work");
    CHECK(status([&](P& p, R&) { p.lengths = lengths; }) == LONGSPAN_BAD_LENGTH, "length 3 of 2 steps");
}

}  // namespace

int main() {
    same_bits();
    no_state_is_zeros();
    chunks_are_the_whole();
    half_weights();
    gradients();
    recomputing();
    layers();
    shared_steps();
    empty_batch();
    masks_of_packed_weights();
    records_that_there_are_not();
    sizes_of_a_horizon();
    refusals();
    return verdict();
}
