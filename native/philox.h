// Random masks as functions of their place: Philox4x32-10 (Salmon et al., SC 2011). The layout of key and
// counter is a format, written down in longspan/core/philox.py and held to the bit.
#pragma once

#include <cstdint>

namespace longspan {

struct Draw {
    std::uint64_t seed;
    std::uint32_t purpose, layer, direction;
};

inline constexpr std::uint32_t recurrent_purpose = 1, zoneout_purpose = 2;

struct Words {
    std::uint32_t word[4];
};

static inline Words philox(const Draw& draw, std::uint32_t unit_block, std::uint32_t step,
                           std::uint64_t sample) {
    std::uint32_t c0 = unit_block | draw.layer << 20 | draw.direction << 28 | draw.purpose << 29;
    std::uint32_t c1 = step;
    std::uint32_t c2 = static_cast<std::uint32_t>(sample), c3 = static_cast<std::uint32_t>(sample >> 32);
    std::uint32_t k0 = static_cast<std::uint32_t>(draw.seed),
                  k1 = static_cast<std::uint32_t>(draw.seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t first = std::uint64_t{0xD2511F53} * c0, second = std::uint64_t{0xCD9E8D57} * c2;
        c0 = static_cast<std::uint32_t>(second >> 32) ^ c1 ^ k0;
        c1 = static_cast<std::uint32_t>(second);
        c2 = static_cast<std::uint32_t>(first >> 32) ^ c3 ^ k1;
        c3 = static_cast<std::uint32_t>(first);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
}

// A word below this makes an event of this probability happen: never at 0, always at 1.
static inline std::uint64_t threshold(double probability) {
    return static_cast<std::uint64_t>(probability * 4294967296.0 + 0.5);
}

// out[u] = `hit` where the event happens for unit u, else `miss`.
template <class T>
static inline void mask(const Draw& draw, std::uint32_t step, std::uint64_t sample, double probability,
                        std::int64_t units, T hit, T miss, T* out) {
    const std::uint64_t bound = threshold(probability);
    for (std::int64_t unit = 0; unit < units; unit += 4) {
        const Words words = philox(draw, static_cast<std::uint32_t>(unit / 4), step, sample);
        for (std::int64_t k = 0; k < 4 && unit + k < units; ++k)
            out[unit + k] = words.word[k] < bound ? hit : miss;
    }
}

}  // namespace longspan
