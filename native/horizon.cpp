// The C interface of the horizon: checks, and how many threads run a call.
#include <algorithm>

#include "engine.h"

namespace longspan {
namespace {

constexpr Index most_width = (Index{1} << 24) - 1;

bool is_width(Index width) {
    return width >= 1 && width <= most_width;
}

int check(const longspan_horizon& p) {
    if (p.type != LONGSPAN_FLOAT32 && p.type != LONGSPAN_FLOAT64) return LONGSPAN_BAD_OPTION;
    if (p.layers < 1 || p.layers > LONGSPAN_LAYERS) return LONGSPAN_BAD_OPTION;
    if (!is_width(p.batch) || !is_width(p.steps) || !is_width(p.summary_width)) return LONGSPAN_BAD_SHAPE;
    if (!is_width(p.codes) || !is_width(p.codes * p.steps)) return LONGSPAN_BAD_SHAPE;
    if (p.known < 0 || p.known > most_width || !is_width(p.codes + p.known)) return LONGSPAN_BAD_SHAPE;
    Index widest = p.codes + p.known;
    for (int k = 0; k < p.layers; ++k) {
        if (!is_width(p.widths[k])) return LONGSPAN_BAD_SHAPE;
        widest = std::max(widest, p.widths[k]);
    }
    // Elements of a region must be an Index.
    if (static_cast<double>(p.batch * p.steps) * static_cast<double>(widest + 64) > 0x1p56)
        return LONGSPAN_BAD_SHAPE;
    if (p.threads < 1 || p.threads > most_threads) return LONGSPAN_BAD_SHAPE;
    if (engine_of(p.isa) == nullptr)
        return engine_of(0) == nullptr ? LONGSPAN_NO_PROCESSOR : LONGSPAN_BAD_OPTION;
    return LONGSPAN_OK;
}

Index element(const longspan_horizon& p) {
    return p.type == LONGSPAN_FLOAT64 ? 8 : 4;
}

int check_call(const longspan_horizon& p, int call) {
    int64_t tape = 0, work = 0;
    const int status = longspan_horizon_sizes(&p, call, &tape, &work);
    if (status != LONGSPAN_OK) return status;
    for (int k = 0; k < p.layers; ++k)
        if (p.weights[k] == nullptr) return LONGSPAN_BAD_POINTER;
    if (p.summary == nullptr || p.plan == nullptr || p.shared == nullptr || p.work == nullptr)
        return LONGSPAN_BAD_POINTER;
    if ((p.known > 0 && p.future == nullptr) || (tape > 0 && p.tape == nullptr)) return LONGSPAN_BAD_POINTER;
    return p.tape_bytes < tape || p.work_bytes < work ? LONGSPAN_NO_MEMORY : LONGSPAN_OK;
}

bool gradients_fit(const longspan_horizon& p, const longspan_horizon_gradients& g) {
    for (int k = 0; k < p.layers; ++k)
        if (g.weights[k] == nullptr) return false;
    return g.summary != nullptr && g.plan != nullptr && g.shared != nullptr;
}

constexpr double rows_us = 6.0;  // of work that are worth a thread with rows of its own

void run(HorizonCall& call, RunHorizon job) {
    const HorizonLayout& l = call.layout;
    double terms = static_cast<double>(l.plan * l.summary) / static_cast<double>(l.steps);
    for (Index k = 0; k < l.layers; ++k) terms += static_cast<double>(l.wide[k + 1] * l.width[k]);
    const double us = 2.0 * terms * static_cast<double>(l.batch * l.steps) / flops_per_us;
    const Index most = std::min<Index>(call.problem->threads, l.parts);
    const int shares = static_cast<int>(std::clamp(us / rows_us, 1.0, static_cast<double>(most)));
    if (!run_together(call, job, shares)) run_alone(call, job);
}

}  // namespace
}  // namespace longspan

using namespace longspan;

extern "C" {

int32_t longspan_horizon_sizes(const longspan_horizon* problem, int32_t call, int64_t* tape, int64_t* work) {
    if (problem == nullptr || tape == nullptr || work == nullptr) return LONGSPAN_BAD_POINTER;
    if (call < LONGSPAN_HORIZON_FORWARD || call > LONGSPAN_HORIZON_LEARN) return LONGSPAN_BAD_OPTION;
    const int status = check(*problem);
    if (status != LONGSPAN_OK) return status;
    const HorizonLayout layout = horizon_layout(*problem, call);
    *tape = layout.tape * element(*problem), *work = layout.work * element(*problem);
    return LONGSPAN_OK;
}

int32_t longspan_horizon_forward(const longspan_horizon* problem, void* y) {
    if (problem == nullptr || y == nullptr) return LONGSPAN_BAD_POINTER;
    const int status = check_call(*problem, LONGSPAN_HORIZON_FORWARD);
    if (status != LONGSPAN_OK) return status;
    HorizonCall call{
        problem, horizon_layout(*problem, LONGSPAN_HORIZON_FORWARD), y, nullptr, nullptr, nullptr, nullptr};
    run(call, engine_of(problem->isa)->horizon_forward);
    return LONGSPAN_OK;
}

int32_t longspan_horizon_backward(const longspan_horizon* problem,
                                  const longspan_horizon_gradients* gradients) {
    if (problem == nullptr || gradients == nullptr) return LONGSPAN_BAD_POINTER;
    const int status = check_call(*problem, LONGSPAN_HORIZON_BACKWARD);
    if (status != LONGSPAN_OK) return status;
    if (!gradients_fit(*problem, *gradients) || gradients->y == nullptr) return LONGSPAN_BAD_POINTER;
    HorizonCall call{
        problem, horizon_layout(*problem, LONGSPAN_HORIZON_BACKWARD), nullptr, nullptr, gradients, nullptr,
        nullptr};
    run(call, engine_of(problem->isa)->horizon_backward);
    return LONGSPAN_OK;
}

int32_t longspan_horizon_learn(const longspan_horizon* problem, const longspan_pinball* loss,
                               const longspan_horizon_gradients* gradients) {
    if (problem == nullptr || loss == nullptr || gradients == nullptr) return LONGSPAN_BAD_POINTER;
    const int status = check_call(*problem, LONGSPAN_HORIZON_LEARN);
    if (status != LONGSPAN_OK) return status;
    if (!gradients_fit(*problem, *gradients) || loss->target == nullptr || loss->anchor == nullptr ||
        loss->levels == nullptr || loss->loss == nullptr)
        return LONGSPAN_BAD_POINTER;
    HorizonCall call{
        problem, horizon_layout(*problem, LONGSPAN_HORIZON_LEARN), nullptr, loss, gradients, nullptr,
        nullptr};
    run(call, engine_of(problem->isa)->horizon_backward);
    return LONGSPAN_OK;
}

}  // extern "C"
