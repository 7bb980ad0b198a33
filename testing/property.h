#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace baracuda::testing {

/// Runs `body` on random draws, small ones first, until one fails or enough have passed. A failing one is shrunk, and
/// the test fails once, with the smallest draws that still fail. `body` draws with `draw` and checks with gtest's
/// EXPECT_… and ASSERT_…; drawing is repeatable for options().seed.
///
///   property("unpack inverts pack", [] {
///     const auto length = draw(0, 200, "length");
///     …
///     EXPECT_EQ(unpack(pack(values)), values);
///   });
void property(const std::string& name, const std::function<void()>& body, int num_cases = 100);

/// Inside a property: a number in [lo, hi], both included, hi < 2^63 - 1; shrinks towards lo. `name` is for the
/// message.
std::int64_t draw(std::int64_t lo, std::int64_t hi, const std::string& name = "");

}  // namespace baracuda::testing
