#pragma once

#include "baracuda/device/ptx/address.cuh"

// Barriers in shared memory that count arrivals and, for bulk copies, bytes. PTX ISA 9.0, "Parallel Synchronization and
// Communication Instructions: mbarrier". A phase ends when all arrivals and all expected bytes are in; the phases of a
// barrier have parity 0, 1, 0, … From sm_90 on.

namespace baracuda::ptx {

using Mbarrier = unsigned long long;

/// Each phase of `barrier` waits for `num_arrivals`. One thread calls it, then fence_mbarrier_init, then all threads
/// meet before the first use.
inline void mbarrier_init(Mbarrier* barrier, unsigned num_arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(num_arrivals) : "memory");
}

/// Makes initialised barriers known to the copy engine and to the other blocks of a cluster.
inline void fence_mbarrier_init() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

/// One arrival. What the thread did before is visible to whoever sees the phase end.
inline void mbarrier_arrive(Mbarrier* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

/// One arrival, after which the phase also waits for `bytes` that copies complete.
inline void mbarrier_arrive_expect_tx(Mbarrier* barrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}

/// Whether the phase of this parity has ended; sleeps for a while before it says no.
inline bool mbarrier_try_wait_parity(Mbarrier* barrier, unsigned parity) {
  unsigned ended;
  asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
               : "=r"(ended)
               : "r"(shared_address(barrier)), "r"(parity)
               : "memory");
  return ended != 0;
}

/// Returns when the phase of this parity has ended.
inline void mbarrier_wait_parity(Mbarrier* barrier, unsigned parity) {
  while (!mbarrier_try_wait_parity(barrier, parity)) {
  }
}

}  // namespace baracuda::ptx
