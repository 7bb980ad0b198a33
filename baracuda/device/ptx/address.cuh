#pragma once

namespace baracuda::ptx {

/// The 32-bit address of something in this block's shared memory, as instructions with .shared operands take it.
inline unsigned shared_address(const void* pointer) { return static_cast<unsigned>(__cvta_generic_to_shared(pointer)); }

}  // namespace baracuda::ptx
