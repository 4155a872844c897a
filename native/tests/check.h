// What a native test needs: a check that counts, and NaN-filled memory of the alignment that the engine asks
// for.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>
#include <vector>

inline int failures = 0;

#define CHECK(condition, ...)                                           \
    do {                                                                \
        if (!(condition)) {                                             \
            ++failures;                                                 \
            std::printf("%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            std::printf(__VA_ARGS__);                                   \
            std::printf("\n");                                          \
        }                                                               \
    } while (false)

inline int verdict() {
    std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};

// Bytes that are NaN as floats and as doubles until they are written.
class Poisoned {
  public:
    explicit Poisoned(std::int64_t bytes) {
        const std::size_t size = (static_cast<std::size_t>(bytes) + 63) / 64 * 64 + 64;
        memory_.reset(std::aligned_alloc(64, size));
        for (std::size_t k = 0; k < size; ++k) static_cast<unsigned char*>(memory_.get())[k] = 0xff;
    }
    void* get() const { return memory_.get(); }

  private:
    std::unique_ptr<void, Free> memory_;
};

template <class T>
std::vector<T> normal(std::size_t count, unsigned seed, double scale = 1.0) {
    std::mt19937 generator(seed);
    std::normal_distribution<double> draw(0.0, scale);
    std::vector<T> values(count);
    for (T& value : values) value = static_cast<T>(draw(generator));
    return values;
}
