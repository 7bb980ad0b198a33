#pragma once

namespace baracuda::ptx {

/// x, but the compiler does not know that it is: what follows from it is computed anew where it is needed, and not kept
/// in registers from an earlier place.
inline int opaque(int x) {
  asm volatile("" : "+r"(x));
  return x;
}

}  // namespace baracuda::ptx
