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

// The words of N goes, from units 4 * unit_block on; unit_block is a multiple of `counters`. A round waits
// for the one before it, so that two goes side by side take little longer than one.
template <int N>
LONGSPAN_INLINE void draw_words(const Draw& draw, std::uint32_t unit_block, std::uint32_t step,
                                std::uint64_t sample, std::uint32_t* out) {
    const Wide low = Wide{} + 0xffffffffu, m0 = Wide{} + 0xD2511F53u, m1 = Wide{} + 0xCD9E8D57u;
    const std::uint32_t place = draw.layer << 20 | draw.direction << 28 | draw.purpose << 29;
    Wide c0[N], c1[N], c2[N], c3[N];
    LONGSPAN_UNROLL
    for (int go = 0; go < N; ++go) {
        const std::uint32_t first = unit_block + static_cast<std::uint32_t>(go * counters);
        c0[go] = lane_numbers(std::make_integer_sequence<int, counters>{}) + (place | first);
        c1[go] = Wide{} + step, c2[go] = Wide{} + (sample & 0xffffffffu), c3[go] = Wide{} + (sample >> 32);
    }
    std::uint32_t k0 = static_cast<std::uint32_t>(draw.seed),
                  k1 = static_cast<std::uint32_t>(draw.seed >> 32);
    // A word is the lower half of a lane: what the upper ones hold is never read.
    LONGSPAN_UNROLL
    for (int round = 0; round < 10; ++round) {
        LONGSPAN_UNROLL
        for (int go = 0; go < N; ++go) {
            const Wide first = product(m0, c0[go]), second = product(m1, c2[go]);
            c0[go] = (second >> 32) ^ c1[go] ^ k0, c1[go] = second;
            c2[go] = (first >> 32) ^ c3[go] ^ k1, c3[go] = first;
        }
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    LONGSPAN_UNROLL
    for (int go = 0; go < N; ++go)
        interleave((c0[go] & low) | c1[go] << 32, (c2[go] & low) | c3[go] << 32, out + go * drawn,
                   std::make_integer_sequence<int, counters>{});
}

// What an event of this probability happens to: words up to `last`, if any.
struct Event {
    explicit Event(double probability)
        : never(threshold(probability) == 0), last(static_cast<std::uint32_t>(threshold(probability) - 1)) {}
    bool never;
    std::uint32_t last;
};

// All words of `units` units: `use(first unit, words, count)`.
template <class Use>
LONGSPAN_INLINE void each_words(const Draw& draw, std::uint32_t step, std::uint64_t sample, Index units,
                                Use use) {
    std::uint32_t words[2 * drawn];
    for (Index unit = 0; unit < units; unit += 2 * drawn) {
        const Index rest = units - unit;
        if (rest > drawn)
            draw_words<2>(draw, static_cast<std::uint32_t>(unit / 4), step, sample, words);
        else
            draw_words<1>(draw, static_cast<std::uint32_t>(unit / 4), step, sample, words);
        use(unit, words, rest < 2 * drawn ? rest : 2 * drawn);
    }
}

// out[u] = `hit` where the event happens for unit u, else `miss`.
template <class T>
void mask(const Draw& draw, std::uint32_t step, std::uint64_t sample, double probability, Index units, T hit,
          T miss, T* out) {
    const Event event(probability);
    const T chosen = event.never ? miss : hit;
    each_words(draw, step, sample, units, [&](Index unit, const std::uint32_t* words, Index count) {
        for (Index k = 0; k < count; ++k) out[unit + k] = words[k] <= event.last ? chosen : miss;
    });
}

// Which of 16 words are at most `last`, a bit each.
LONGSPAN_INLINE std::uint16_t bits_of(const std::uint32_t* words, std::uint32_t last) {
#if defined(__AVX512F__)
    return _mm512_cmple_epu32_mask(_mm512_loadu_si512(words), _mm512_set1_epi32(static_cast<int>(last)));
#elif defined(__AVX2__)
    const __m256i most = _mm256_set1_epi32(static_cast<int>(last));
    const auto half = [&](const std::uint32_t* from) {
        const __m256i w = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
        return _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_max_epu32(w, most), most)));
    };
    return static_cast<std::uint16_t>(half(words) | half(words + 8) << 8);
#else
    std::uint16_t bits = 0;
    for (int k = 0; k < block; ++k) bits |= static_cast<std::uint16_t>((words[k] <= last) << k);
    return bits;
#endif
}

// A bit for each unit, set where the event happens; `units` is a number of whole blocks.
inline void mask_bits(const Draw& draw, std::uint32_t step, std::uint64_t sample, double probability,
                      Index units, std::uint16_t* out) {
    const Event event(probability);
    each_words(draw, step, sample, units, [&](Index unit, const std::uint32_t* words, Index count) {
        for (Index k = 0; k < count; k += block)
            out[(unit + k) / block] = event.never ? std::uint16_t{0} : bits_of(words + k, event.last);
    });
}

template <class T, int... L>
LONGSPAN_INLINE IntVec<T> lane_bits(std::integer_sequence<int, L...>) {
    return IntVec<T>{(1 << L)...};
}

// The bits of units k and after, as what compares vectors gives.
template <class T>
LONGSPAN_INLINE auto chosen(const std::uint16_t* bits, Index k) {
    const IntVec<T> each = lane_bits<T>(std::make_integer_sequence<int, lanes<T>>{});
    return ((IntVec<T>{} + (bits[k / block] >> k % block)) & each) != 0;
}

}  // namespace longspan::LONGSPAN_ISA
