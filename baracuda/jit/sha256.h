#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "baracuda/core/result.h"

namespace baracuda::jit {

using Sha256 = std::array<std::uint8_t, 32>;

/// Errors: Backend (a libcrypto that computes none).
Result<Sha256> sha256(std::string_view bytes);

/// Two lower-case digits a byte.
std::string hex(std::span<const std::uint8_t> bytes);

}  // namespace baracuda::jit
