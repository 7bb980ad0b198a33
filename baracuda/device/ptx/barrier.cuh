#pragma once

namespace baracuda::ptx {

/// kThreads threads of the block, whole warps, meet at barrier kBarrier, 1 … 15; __syncthreads is barrier 0. PTX ISA
/// 9.0, "bar, barrier".
template <int kBarrier, int kThreads>
inline void bar_sync() {
  static_assert(kBarrier >= 1 && kBarrier <= 15 && kThreads % 32 == 0, "15 barriers are left, for whole warps");
  asm volatile("bar.sync %0, %1;" ::"n"(kBarrier), "n"(kThreads) : "memory");
}

}  // namespace baracuda::ptx
