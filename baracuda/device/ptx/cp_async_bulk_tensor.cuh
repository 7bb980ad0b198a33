#pragma once

#include "baracuda/device/ptx/address.cuh"
#include "baracuda/device/ptx/cp_async_bulk.cuh"
#include "baracuda/device/ptx/mbarrier.cuh"

// Copies of boxes of a matrix that a tensor map describes. PTX ISA 9.0, "Data Movement and Conversion Instructions:
// Tensor copy". From sm_90 on. `map` is a TensorMap in the kernel's `__grid_constant__` parameters; (column, row) is
// the box's first element and may lie outside the matrix; the box in shared memory is at a multiple of 1024. One thread
// calls them.

namespace baracuda::ptx {

/// Brings the map itself close, ahead of the first copy.
inline void prefetch_tensormap(const void* map) { asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory"); }

/// Starts a copy into this block's shared memory; its bytes, those outside the matrix too, complete on `barrier`.
inline void cp_async_bulk_tensor_2d_shared_global(void* shared, const void* map, int column, int row, Mbarrier* barrier,
                                                  CachePolicy policy) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
      "[%0], [%1, {%2, %3}], [%4], %5;" ::"r"(shared_address(shared)),
      "l"(map), "r"(column), "r"(row), "r"(shared_address(barrier)), "l"(policy)
      : "memory");
}

/// The same into every block of the cluster whose bit is set in `blocks`, at the same place in its shared memory, on
/// its barrier at the same place.
inline void cp_async_bulk_tensor_2d_shared_global_multicast(void* shared, const void* map, int column, int row,
                                                            Mbarrier* barrier, unsigned short blocks,
                                                            CachePolicy policy) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster.L2::cache_hint "
      "[%0], [%1, {%2, %3}], [%4], %5, %6;" ::"r"(shared_address(shared)),
      "l"(map), "r"(column), "r"(row), "r"(shared_address(barrier)), "h"(blocks), "l"(policy)
      : "memory");
}

/// Starts a copy from this block's shared memory, as a part of this thread's next group. Others' writes to the box are
/// seen after their fence_proxy_async_shared and a barrier.
inline void cp_async_bulk_tensor_2d_global_shared(const void* map, int column, int row, const void* shared) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(map), "r"(column),
               "r"(row), "r"(shared_address(shared))
               : "memory");
}

/// Makes a group of the copies to global memory that this thread has started since the last one.
inline void cp_async_bulk_commit_group() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }

/// Waits until at most kPending of this thread's latest groups are unfinished.
template <int kPending>
inline void cp_async_bulk_wait_group() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(kPending) : "memory");
}

/// Waits until at most kPending of this thread's latest groups have not yet read their shared memory.
template <int kPending>
inline void cp_async_bulk_wait_group_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(kPending) : "memory");
}

}  // namespace baracuda::ptx
