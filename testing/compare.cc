#include "testing/compare.h"

#include <fmt/core.h>

#include <cstring>

namespace baracuda::testing {

Result<void> compare_bytes(std::string_view what, std::span<const std::byte> actual,
                           std::span<const std::byte> expected) {
  if (actual.size() != expected.size())
    return Error::backend(0, fmt::format("{}: {} bytes, expected {}", what, actual.size(), expected.size()));
  // memcmp takes no null pointer, which an empty span may hold.
  if (actual.empty() || std::memcmp(actual.data(), expected.data(), actual.size()) == 0) return {};
  std::size_t first = actual.size(), count = 0;
  for (std::size_t i = actual.size(); i-- > 0;)
    if (actual[i] != expected[i]) first = i, ++count;
  return Error::backend(
      0, fmt::format("{}: byte {} of {} is {:#04x}, expected {:#04x} ({} bytes differ)", what, first, actual.size(),
                     static_cast<unsigned>(actual[first]), static_cast<unsigned>(expected[first]), count));
}

}  // namespace baracuda::testing
