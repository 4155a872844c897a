// The C interface of the perceptron: checks, and the phases of a call in their order.
#include <algorithm>

#include "engine.h"
#include "threads.h"

namespace longspan {
namespace {

int check(const longspan_perceptron& p) {
    if (p.type != LONGSPAN_FLOAT32 && p.type != LONGSPAN_FLOAT64) return LONGSPAN_BAD_OPTION;
    if (p.layers < 1 || p.layers > LONGSPAN_LAYERS) return LONGSPAN_BAD_OPTION;
    if (p.rows < 0 || p.rows >= Index{1} << 40 || p.group < 1 || p.rows % p.group != 0)
        return LONGSPAN_BAD_SHAPE;
    for (int k = 0; k <= p.layers; ++k)
        if (p.widths[k] < 1 || p.widths[k] >= Index{1} << 20) return LONGSPAN_BAD_SHAPE;
    if (p.threads < 1 || p.threads > most_threads) return LONGSPAN_BAD_SHAPE;
    if (engine_of(p.isa) == nullptr)
        return engine_of(0) == nullptr ? LONGSPAN_NO_PROCESSOR : LONGSPAN_BAD_OPTION;
    return LONGSPAN_OK;
}

Index element(const longspan_perceptron& p) {
    return p.type == LONGSPAN_FLOAT64 ? 8 : 4;
}

int check_call(const longspan_perceptron& p, bool backward) {
    int64_t tape = 0, work = 0;
    const int status = longspan_perceptron_sizes(&p, backward ? 1 : 0, &tape, &work);
    if (status != LONGSPAN_OK) return status;
    for (int k = 0; k < p.layers; ++k)
        if (p.weights[k] == nullptr) return LONGSPAN_BAD_POINTER;
    if (p.work == nullptr || (p.rows > 0 && p.x == nullptr)) return LONGSPAN_BAD_POINTER;
    if (p.rows > 0 && p.tape == nullptr && tape > 0) return LONGSPAN_BAD_POINTER;
    return p.tape_bytes < tape || p.work_bytes < work ? LONGSPAN_NO_MEMORY : LONGSPAN_OK;
}

struct Job {
    const PerceptronCall* call;
    RunPerceptron run;
};

void share_of_job(void* context, int share, int shares) {
    const StandardArithmetic standard;
    const Job& job = *static_cast<const Job*>(context);
    job.run(*job.call, share, shares);
}

constexpr double rows_us = 6.0;  // of work that are worth a thread with rows of its own

void run(PerceptronCall& call, RunPerceptron work) {
    const PerceptronLayout& l = call.layout;
    double terms = 0.0;
    for (Index k = 0; k < l.layers; ++k) terms += static_cast<double>(l.wide[k + 1] * l.width[k]);
    const double us = 2.0 * terms * static_cast<double>(l.rows) / flops_per_us;
    const Index most = std::min<Index>(call.problem->threads, l.parts);
    const int shares = static_cast<int>(std::clamp(us / rows_us, 1.0, static_cast<double>(most)));
    Job job{&call, work};
    if (shares > 1) {
        call.barrier = &Pool::global().barrier();
        call.wait = [](void* at, int thread) { static_cast<Barrier*>(at)->meet(thread); };
        if (Pool::global().run_together(shares, share_of_job, &job)) return;
        call.wait = nullptr;
    }
    share_of_job(&job, 0, 1);
}

}  // namespace
}  // namespace longspan

using namespace longspan;

extern "C" {

int32_t longspan_perceptron_sizes(const longspan_perceptron* problem, int32_t backward, int64_t* tape,
                                  int64_t* work) {
    if (problem == nullptr || tape == nullptr || work == nullptr) return LONGSPAN_BAD_POINTER;
    const int status = check(*problem);
    if (status != LONGSPAN_OK) return status;
    const PerceptronLayout layout = perceptron_layout(*problem, backward != 0);
    *tape = layout.tape * element(*problem), *work = layout.work * element(*problem);
    return LONGSPAN_OK;
}

int32_t longspan_perceptron_forward(const longspan_perceptron* problem, void* y) {
    if (problem == nullptr) return LONGSPAN_BAD_POINTER;
    const int status = check_call(*problem, false);
    if (status != LONGSPAN_OK) return status;
    if (problem->rows == 0) return LONGSPAN_OK;
    if (y == nullptr) return LONGSPAN_BAD_POINTER;
    PerceptronCall call{problem, perceptron_layout(*problem, false), y, nullptr, nullptr, nullptr};
    run(call, engine_of(problem->isa)->perceptron_forward);
    return LONGSPAN_OK;
}

int32_t longspan_perceptron_backward(const longspan_perceptron* problem,
                                     const longspan_perceptron_gradients* gradients) {
    if (problem == nullptr || gradients == nullptr) return LONGSPAN_BAD_POINTER;
    const int status = check_call(*problem, true);
    if (status != LONGSPAN_OK) return status;
    for (int k = 0; k < problem->layers; ++k)
        if (gradients->weights[k] == nullptr) return LONGSPAN_BAD_POINTER;
    const bool adds = problem->added != nullptr && problem->rows > 0;
    if (adds && gradients->added == nullptr) return LONGSPAN_BAD_POINTER;
    if (problem->rows > 0 && gradients->y == nullptr) return LONGSPAN_BAD_POINTER;
    PerceptronCall call{problem, perceptron_layout(*problem, true), nullptr, gradients, nullptr, nullptr};
    run(call, engine_of(problem->isa)->perceptron_backward);
    return LONGSPAN_OK;
}

}  // extern "C"
