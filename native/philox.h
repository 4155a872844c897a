// Random masks as functions of their place: Philox4x32-10 (Salmon et al., SC 2011). The layout of key and
// counter is a format, written down in longspan/core/philox.py and held to the bit; masks.h draws the words.
#pragma once

#include <cstdint>

namespace longspan {

struct Draw {
    std::uint64_t seed;
    std::uint32_t purpose, layer, direction;
};

inline constexpr std::uint32_t recurrent_purpose = 1, zoneout_purpose = 2;

// A word below this makes an event of this probability happen: never at 0, always at 1.
static inline std::uint64_t threshold(double probability) {
    return static_cast<std::uint64_t>(probability * 4294967296.0 + 0.5);
}

}  // namespace longspan
