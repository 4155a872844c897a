// Random masks of many units at once: Philox (philox.h) by vectors, the same words.
#pragma once

#include <utility>

#include "maths.h"
#include "philox.h"

namespace longspan::LONGSPAN_ISA {

typedef std::uint64_t Wide __attribute__((vector_size(vector_bytes)));
typedef std::uint32_t Narrow __attribute__((vector_size(vector_bytes)));
inline constexpr int counters = vector_bytes / 8;  // side by side
inline constexpr int drawn = 4 * counters;         // words of one go

// Products of the lower halves of the lanes.
LONGSPAN_INLINE Wide product(Wide a, Wide b) {
#if defined(__AVX512F__)
    return (Wide)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (Wide)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
    return (Wide)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
#endif
}

template <int... L>
LONGSPAN_INLINE void interleave(Wide a, Wide b, std::uint32_t* out, std::integer_sequence<int, L...>) {
    constexpr int half = counters / 2;
    const Wide first = __builtin_shufflevector(a, b, (L % 2 == 0 ? L / 2 : counters + L / 2)...);
    const Wide second =
        __builtin_shufflevector(a, b, (L % 2 == 0 ? half + L / 2 : counters + half + L / 2)...);
    __builtin_memcpy(out, &first, sizeof first);
    __builtin_memcpy(out + drawn / 2, &second, sizeof second);
}

template <int... L>
LONGSPAN_INLINE Wide lane_numbers(std::integer_sequence<int, L...>) {
    return Wide{L...};
}

// The words of units 4 * unit_block and after; unit_block is a multiple of `counters`.
LONGSPAN_INLINE void draw_words(const Draw& draw, std::uint32_t unit_block, std::uint32_t step,
                                std::uint64_t sample, std::uint32_t* out) {
    const Wide low = Wide{} + 0xffffffffu, m0 = Wide{} + 0xD2511F53u, m1 = Wide{} + 0xCD9E8D57u;
    const std::uint32_t place = draw.layer << 20 | draw.direction << 28 | draw.purpose << 29;
    Wide c0 = lane_numbers(std::make_integer_sequence<int, counters>{}) + (place | unit_block);
    Wide c1 = Wide{} + step, c2 = Wide{} + (sample & 0xffffffffu), c3 = Wide{} + (sample >> 32);
    std::uint32_t k0 = static_cast<std::uint32_t>(draw.seed),
                  k1 = static_cast<std::uint32_t>(draw.seed >> 32);
    // A word is the lower half of a lane: what the upper ones hold is never read.
    LONGSPAN_UNROLL
    for (int round = 0; round < 10; ++round) {
        const Wide first = product(m0, c0), second = product(m1, c2);
        c0 = (second >> 32) ^ c1 ^ k0, c1 = second;
        c2 = (first >> 32) ^ c3 ^ k1, c3 = first;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    interleave((c0 & low) | c1 << 32, (c2 & low) | c3 << 32, out,
               std::make_integer_sequence<int, counters>{});
}

// out[u] = `hit` where the event happens for unit u, else `miss`.
template <class T>
void mask(const Draw& draw, std::uint32_t step, std::uint64_t sample, double probability, Index units, T hit,
          T miss, T* out) {
    const std::uint64_t bound = threshold(probability);
    const std::uint32_t last =
        static_cast<std::uint32_t>(bound - 1);  // the greatest word that makes it happen
    const T chosen_hit = bound == 0 ? miss : hit;
    for (Index unit = 0; unit < units; unit += drawn) {
        std::uint32_t words[drawn];
        draw_words(draw, static_cast<std::uint32_t>(unit / 4), step, sample, words);
        T chosen[drawn];
        for (int k = 0; k < drawn; ++k) chosen[k] = words[k] <= last ? chosen_hit : miss;
        const Index here = units - unit < drawn ? units - unit : drawn;
        __builtin_memcpy(out + unit, chosen, static_cast<std::size_t>(here) * sizeof(T));
    }
}

}  // namespace longspan::LONGSPAN_ISA
