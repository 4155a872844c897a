// The engines of this processor, the arithmetic that they count on, and how fast a thread is.
#pragma once

#include "call.h"
#include "perceptron_layout.h"

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

inline constexpr double flops_per_us = 2.4e5;  // of one thread

}  // namespace longspan
