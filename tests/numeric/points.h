#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "testing/random.h"

namespace baracuda::testing {

/// Where elementary functions are tried: one of every 4093 bit patterns for f32, an even spread of them for f64, both
/// with values around 1, multiples of π/2, the ends of the ranges, and what is special. y is for functions of two.
template <class T>
struct NumericPoints {
  std::vector<T> x, y;
};

template <class T>
T from_pattern(std::uint64_t pattern) {
  if constexpr (sizeof(T) == 4) {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(pattern));
  } else {
    return __builtin_bit_cast(double, pattern);
  }
}

template <class T>
std::vector<T> special_values() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> values = {0, Limits::denorm_min(), Limits::min() - Limits::denorm_min(), Limits::min(),
                           Limits::epsilon(), T(0.5), 1 - Limits::epsilon() / 2, 1, 1 + Limits::epsilon(), T(1.5), 2,
                           T(2.5), 3, T(88.5), T(709.5), 1 / Limits::epsilon() - 1, 1 / Limits::epsilon(),
                           2 / Limits::epsilon(),
                           // The numbers of each format that lie nearest, for their size, to a multiple of π/2.
                           static_cast<T>(sizeof(T) == 4 ? 0xf9be45p72 : 0x16ac5b262ca1ffp797), Limits::max(),
                           Limits::infinity(), Limits::quiet_NaN()};
  for (std::size_t i = 0, count = values.size(); i < count; ++i) values.push_back(-values[i]);
  return values;
}

template <class T>
NumericPoints<T> numeric_points(std::uint64_t seed) {
  constexpr int kBits = 8 * sizeof(T);
  Random random(seed);
  NumericPoints<T> points;
  const auto add = [&](T x, T y) {
    points.x.push_back(x);
    points.y.push_back(y);
  };
  for (const T x : special_values<T>())
    for (const T y : special_values<T>()) add(x, y);
  const std::uint64_t stride = kBits == 32 ? 4093 : 0x0000400000100007;
  for (std::uint64_t i = 0; i < (kBits == 32 ? (std::uint64_t{1} << 32) / stride : 200000); ++i)
    add(from_pattern<T>(i * stride), from_pattern<T>(random.next()));
  const double largest_log = std::log(static_cast<double>(std::numeric_limits<T>::max()));
  for (int i = 0; i < 100000; ++i) {
    const double unit = static_cast<double>(random.next() >> 11) * 0x1p-53, sign = random.one_in(2) ? -1 : 1;
    switch (i % 5) {
      case 0: add(T(1 + sign * std::exp2(-50 * unit)), T(random.draw(-40, 40)) / 2); break;
      case 1: add(T(sign * std::exp2(40 * unit - 20)), T(1 + unit)); break;
      case 2: add(T(static_cast<double>(random.draw(-3000, 3000)) * M_PI_2), T(unit)); break;
      case 3: add(T(sign * largest_log * (1 - 0.05 * unit)), T(-4 * unit)); break;
      default: {  // neither overflows nor vanishes under pow
        const T x = T(std::exp2(0.99 * largest_log * (2 * unit - 1)));
        add(x, T(sign * 1.05 * largest_log * std::exp2(-static_cast<double>(random.draw(0, 30)) / 4) / std::log(x)));
      }
    }
  }
  return points;
}

}  // namespace baracuda::testing
