#pragma once

#include "baracuda/device/ptx/address.cuh"

// stmatrix: a warp stores 8×8 tiles of 16-bit elements, in the layout of mma's and wgmma's accumulators, as rows of 16
// bytes. PTX ISA 9.0, "Warp-level matrix store instruction: stmatrix". From sm_90 on.

namespace baracuda::ptx {

/// Four tiles. Lane l names row l % 8 of tile l / 8, 16 bytes in shared memory at a multiple of 16. Register i of a
/// lane has bytes 4·(lane % 4) … + 3 of row lane / 4 of tile i. All lanes of the warp call it.
inline void stmatrix_x4(void* row, const unsigned (&d)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared_address(row)), "r"(d[0]),
               "r"(d[1]), "r"(d[2]), "r"(d[3])
               : "memory");
}

}  // namespace baracuda::ptx
