#pragma once

#include "baracuda/device/ptx/address.cuh"
#include "baracuda/device/ptx/mbarrier.cuh"

// Copies by the bulk copy engine. PTX ISA 9.0, "Data Movement and Conversion Instructions: Bulk copy". From sm_90 on.

namespace baracuda::ptx {

/// How long the L2 cache keeps what a copy reads: the values that createpolicy.fractional would make. As constants,
/// because ptxas has been seen to lose the register that createpolicy writes.
enum class CachePolicy : unsigned long long {
  EvictNormal = 0x1000000000000000,
  EvictFirst = 0x12F0000000000000,  ///< what is read once, such as weights
  EvictLast = 0x14F0000000000000,   ///< what other blocks read again
};

/// Starts a copy of `bytes` from global to this block's shared memory; they complete on `barrier`, which must expect
/// them. Addresses and `bytes` are multiples of 16. One thread calls it.
inline void cp_async_bulk_shared_global(void* shared, const void* global, unsigned bytes, Mbarrier* barrier,
                                        CachePolicy policy) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;" ::
          "r"(shared_address(shared)),
      "l"(__cvta_generic_to_global(global)), "r"(bytes), "r"(shared_address(barrier)), "l"(policy)
      : "memory");
}

}  // namespace baracuda::ptx
