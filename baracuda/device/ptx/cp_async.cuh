#pragma once

// Copies from global to shared memory that a thread starts and later waits for. PTX ISA 9.0, "Data Movement and
// Conversion Instructions: Non-bulk copy". From sm_80 on.

namespace baracuda::ptx {

/// Starts a copy of 16 bytes, past the L1 cache. Where not `present` nothing is read and zeros are written. Both
/// addresses are multiples of 16; the shared one as address.cuh makes it.
inline void cp_async_16_zfill(unsigned shared_address, const void* global, bool present) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address), "l"(global), "r"(present ? 16 : 0)
               : "memory");
}

/// Makes a group of the copies that this thread has started since the last one.
inline void cp_async_commit_group() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits until at most kPending of this thread's latest groups are unfinished.
template <int kPending>
inline void cp_async_wait_group() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

}  // namespace baracuda::ptx
