#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "baracuda/core/result.h"

namespace baracuda::testing {

/// Whether two ranges hold the same bytes. The error, Backend with code 0, tells the first byte that differs and how
/// many do: "dest: byte 17 of 4096 is 0x3c, expected 0x11 (5 bytes differ)".
Result<void> compare_bytes(std::string_view what, std::span<const std::byte> actual,
                           std::span<const std::byte> expected);

}  // namespace baracuda::testing
