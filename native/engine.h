// The engines of this processor, the arithmetic that they count on, and how fast a thread is.
#pragma once

#include "call.h"
#include "horizon_layout.h"
#include "threads.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace longspan {

// Rounding to nearest, denormals kept, no traps: whatever the caller has set, the results are the same.
class StandardArithmetic {
  public:
#if defined(__x86_64__)
    StandardArithmetic() : saved_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
    ~StandardArithmetic() { _mm_setcsr(saved_); }

  private:
    unsigned saved_;
#else
    StandardArithmetic() {
        asm volatile("mrs %0, fpcr" : "=r"(saved_));
        asm volatile("msr fpcr, %0" ::"r"(std::uint64_t{0}));
    }
    ~StandardArithmetic() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }

  private:
    std::uint64_t saved_;
#endif
  public:
    StandardArithmetic(const StandardArithmetic&) = delete;
    StandardArithmetic& operator=(const StandardArithmetic&) = delete;
};

// The best instruction set of this processor: 4 x86-64-v4, 3 x86-64-v3, 8 aarch64, 0 none that will do.
int best_isa();

// NULL where this processor does not have it.
const Engine* engine_of(int isa);

// Runs a job on so many threads, which may meet; false where they are not to be had, and nothing was run.
template <class C>
bool run_together(C& call, void (*job)(const C&, int, int), int shares) {
    struct Job {
        const C* call;
        void (*run)(const C&, int, int);
    } whole{&call, job};
    if (shares < 2) return false;
    call.barrier = &Pool::global().barrier();
    call.wait = [](void* at, int thread) { static_cast<Barrier*>(at)->meet(thread); };
    const auto share_of_job = [](void* context, int share, int of) {
        const StandardArithmetic standard;
        const Job& mine = *static_cast<const Job*>(context);
        mine.run(*mine.call, share, of);
    };
    if (Pool::global().run_together(shares, share_of_job, &whole)) return true;
    call.wait = nullptr;
    return false;
}

template <class C>
void run_alone(const C& call, void (*job)(const C&, int, int)) {
    const StandardArithmetic standard;
    job(call, 0, 1);
}

inline constexpr double flops_per_us = 2.4e5;  // of one thread

}  // namespace longspan
