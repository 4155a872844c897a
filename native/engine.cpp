#include "engine.h"

namespace longspan {

int best_isa() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    return v4 ? 4 : v3 ? 3 : 0;
#else
    return 8;
#endif
}

const Engine* engine_of(int isa) {
    static const int best = best_isa();
    const int chosen = isa == 0 ? best : isa;
#if defined(__x86_64__)
    if (chosen == 3 && best >= 3) return &v3::engine;
    if (chosen == 4 && best >= 4) return &v4::engine;
#else
    if (chosen == 8) return &base::engine;
#endif
    return nullptr;
}

}  // namespace longspan
