#pragma once

#include <cstdint>

namespace baracuda::testing {

template <class T>
using LoopOf = void (*)(const T* x, const T* y, T* out, std::int64_t n);

/// One function over arrays; the name is null behind the last of a table.
struct NumericLoop {
  const char* name = nullptr;
  LoopOf<float> f32 = nullptr;
  LoopOf<double> f64 = nullptr;
};

/// Any NaN is as good as any other.
template <class T>
bool same_bits(T a, T b) {
  return a != a ? b != b : __builtin_memcmp(&a, &b, sizeof(T)) == 0;
}

}  // namespace baracuda::testing
