#pragma once

#include "baracuda/device/ptx/address.cuh"

// ldmatrix: a warp loads 8×8 tiles of 16-bit elements, that is rows of 16 bytes, in the layout of mma's fragments.
// PTX ISA 9.0, "Warp-level matrix load instruction: ldmatrix". From sm_75 on.

namespace baracuda::ptx {

/// Four tiles. Lane l names row l % 8 of tile l / 8, 16 bytes in shared memory at a multiple of 16. Register i of a
/// lane gets bytes 4·(lane % 4) … + 3 of row lane / 4 of tile i. All lanes of the warp call it.
inline void ldmatrix_x4(unsigned (&d)[4], unsigned row_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
               : "r"(row_address)
               : "memory");
}

}  // namespace baracuda::ptx
