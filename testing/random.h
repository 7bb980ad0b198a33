#pragma once

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <span>

namespace baracuda::testing {

/// Random numbers that are the same on every machine for a seed: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  /// A number in [lo, hi], both included.
  std::int64_t draw(std::int64_t lo, std::int64_t hi) {
    assert(lo <= hi);
    const std::uint64_t width = static_cast<std::uint64_t>(hi) - static_cast<std::uint64_t>(lo) + 1;
    // The remainder favours small numbers by less than width / 2^64; 0 is the whole range.
    const std::uint64_t offset = width == 0 ? next() : next() % width;
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(lo) + offset);
  }
  /// True once in `n` draws.
  bool one_in(std::int64_t n) { return draw(1, n) == 1; }

  template <class Range>
  const auto& pick(const Range& values) {
    assert(std::size(values) > 0);
    return std::data(values)[draw(0, static_cast<std::int64_t>(std::size(values)) - 1)];
  }

  void fill_bytes(std::span<std::byte> bytes) {
    static_assert(std::endian::native == std::endian::little, "else the bytes depend on the machine");
    for (; bytes.size() >= sizeof(std::uint64_t); bytes = bytes.subspan(sizeof(std::uint64_t))) {
      const std::uint64_t word = next();
      std::memcpy(bytes.data(), &word, sizeof(word));
    }
    if (bytes.empty()) return;
    const std::uint64_t word = next();
    std::memcpy(bytes.data(), &word, bytes.size());
  }

 private:
  std::uint64_t state_;
};

/// Contiguous tensors of more elements than this, as bench has them, repeat their first ones: to draw all of them would
/// take longer than to measure on them.
inline constexpr std::int64_t kMaxDrawnElements = std::int64_t{1} << 20;

/// Makes what follows the first `period` bytes, a positive number, repeat them.
inline void repeat_first(std::span<std::byte> bytes, std::size_t period) {
  for (std::size_t at = period; at < bytes.size(); at += period)
    std::memcpy(bytes.data() + at, bytes.data(), std::min(period, bytes.size() - at));
}

}  // namespace baracuda::testing
