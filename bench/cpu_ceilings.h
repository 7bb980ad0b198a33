#pragma once

#include <cstdint>

#include "baracuda/core/arch.h"

namespace baracuda::bench {

/// What the 32-bit words add up to, modulo 2^32. `bytes` is a multiple of 256.
std::uint32_t cpu_word_sum(CpuTarget target, const void* data, std::int64_t bytes);

/// x = x · 0.5 + 1 so many times over in independent f32 chains, two operations each; x goes to 2, exactly, within 40
/// iterations. Returns the sum over the chains.
float cpu_multiply_add(CpuTarget target, std::int64_t iterations);
int cpu_multiply_add_chains(CpuTarget target);

}  // namespace baracuda::bench
