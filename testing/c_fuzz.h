#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace baracuda::testing {

/// Makes one call through the C ABI of what the bytes say: an op, its structs, tensors anywhere. What is bound is run
/// where its tensors lie in memory that is there. Ends the process where a status is none, an error has no text or a
/// handle comes with one; what is read or written elsewhere is a sanitizer's to find. Returns whether the call ran.
bool fuzz_c_call(std::span<const std::uint8_t> bytes);

}  // namespace baracuda::testing
