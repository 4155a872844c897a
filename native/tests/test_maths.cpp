// Sigmoid and tanh against long double: at most 2.5 units in the last place, the special values exact.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "check.h"
#include "longspan.h"

namespace {

template <class T>
long double exact(int function, T x) {
    const long double wide = static_cast<long double>(x);
    return function == 0 ? 1.0L / (1.0L + std::exp(-wide)) : std::tanh(wide);
}

template <class T>
double units_off(T got, long double want) {
    const T near = static_cast<T>(want);
    const T size = std::abs(near);
    const T unit = std::nextafter(size, std::numeric_limits<T>::infinity()) - size;
    return static_cast<double>(std::abs(static_cast<long double>(got) - want) /
                               static_cast<long double>(unit));
}

template <class T>
void accuracy(int type, int isa) {
    std::vector<T> in;
    for (int k = -120000; k <= 120000; ++k) in.push_back(static_cast<T>(k * 1e-3 + 1e-5));
    for (int k = -300; k < 3; ++k)
        for (const double sign : {1.0, -1.0})
            in.push_back(static_cast<T>(sign * 1.7 * std::pow(10.0, k * 0.125)));
    std::vector<T> out(in.size());
    for (const int function : {0, 1}) {
        CHECK(longspan_activation(function, type, isa, static_cast<std::int64_t>(in.size()), in.data(),
                                  out.data()) == 0,
              "isa %d", isa);
        double worst = 0;
        T where = 0;
        for (std::size_t k = 0; k < in.size(); ++k) {
            const double off = units_off(out[k], exact(function, in[k]));
            if (!(off <= worst)) worst = off, where = in[k];
        }
        CHECK(worst <= 2.5, "function %d, isa %d: %.2f units off at %g", function, isa, worst,
              static_cast<double>(where));
        std::printf("function %d type %d isa %d: %.3f units\n", function, type, isa, worst);
    }
}

template <class T>
void special_values(int type, int isa) {
    const T infinity = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
    const std::vector<T> in = {
        infinity, -infinity, nan, 0, static_cast<T>(-0.0), std::numeric_limits<T>::denorm_min()};
    std::vector<T> out(in.size());
    longspan_activation(0, type, isa, 6, in.data(), out.data());
    CHECK(out[0] == 1 && out[1] == 0 && std::isnan(out[2]) && out[3] == T(0.5), "sigmoid, isa %d", isa);
    longspan_activation(1, type, isa, 6, in.data(), out.data());
    CHECK(out[0] == 1 && out[1] == -1 && std::isnan(out[2]) && out[5] == in[5], "tanh, isa %d", isa);
    CHECK(out[3] == 0 && !std::signbit(out[3]) && out[4] == 0 && std::signbit(out[4]),
          "tanh of zeros, isa %d", isa);
}

template <class T>
void builds_agree(int type) {
    if (longspan_isa() != 4) return;
    const std::vector<T> in = normal<T>(100003, 5, 10.0);
    std::vector<T> third(in.size()), fourth(in.size());
    for (const int function : {0, 1}) {
        const auto count = static_cast<std::int64_t>(in.size());
        longspan_activation(function, type, 3, count, in.data(), third.data());
        longspan_activation(function, type, 4, count, in.data(), fourth.data());
        CHECK(std::memcmp(third.data(), fourth.data(), in.size() * sizeof(T)) == 0, "function %d type %d",
              function, type);
    }
}

}  // namespace

int main() {
    std::vector<int> builds = {longspan_isa()};
    if (longspan_isa() == 4) builds.push_back(3);
    CHECK(longspan_isa() != 0, "this processor cannot run the engine");
    for (const int isa : builds) {
        accuracy<float>(LONGSPAN_FLOAT32, isa);
        accuracy<double>(LONGSPAN_FLOAT64, isa);
        special_values<float>(LONGSPAN_FLOAT32, isa);
        special_values<double>(LONGSPAN_FLOAT64, isa);
    }
    builds_agree<float>(LONGSPAN_FLOAT32);
    builds_agree<double>(LONGSPAN_FLOAT64);
    return verdict();
}
