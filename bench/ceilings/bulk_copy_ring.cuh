#pragma once

#include "baracuda/device/ptx/cp_async_bulk.cuh"
#include "baracuda/device/ptx/griddepcontrol.cuh"
#include "baracuda/device/ptx/mbarrier.cuh"
#include "bench/ceilings/read.cuh"

// How fast a kernel that streams its weights through shared memory can be at best: the copies of one and no arithmetic.
// Each block has one contiguous piece of the data. Launched so that the next launch fills its ring while this one ends.

namespace baracuda::bench {

/// The stages of one block: chunk i of its piece goes through stage i % stages.
struct RingPiece {
  const char* data;
  long long num_chunks;
};

inline RingPiece ring_piece(const ReadParams& params, int stage_bytes) {
  const long long num_chunks = params.bytes / stage_bytes;
  const long long each = num_chunks / gridDim.x, left_over = num_chunks % gridDim.x, block = blockIdx.x;
  const long long first = block * each + (block < left_over ? block : left_over);
  return {static_cast<const char*>(params.data) + first * stage_bytes, each + (block < left_over ? 1 : 0)};
}

template <RingConfig kConfig>
inline void bulk_copy_ring(const ReadParams& params) {
  extern __shared__ __align__(128) char ring[];
  __shared__ ptx::Mbarrier full[kConfig.stages];   // the stage's bytes are there
  __shared__ ptx::Mbarrier empty[kConfig.stages];  // every consumer warp has read them
  const RingPiece piece = ring_piece(params, kConfig.stage_bytes);

  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kConfig.stages; ++stage) {
      ptx::mbarrier_init(&full[stage], 1);
      ptx::mbarrier_init(&empty[stage], RingConfig::num_consumer_warps());
    }
    ptx::fence_mbarrier_init();
  }
  __syncthreads();

  const int warp_idx = threadIdx.x / 32;
  int stage = 0;
  unsigned parity = 0;  // of the phase that the ring's current round ends
  const auto advance = [&] {
    if (++stage < kConfig.stages) return;
    stage = 0;
    parity ^= 1;
  };
  if (warp_idx == 0) {  // the producer
    if (threadIdx.x != 0) return;
    for (long long chunk = 0; chunk < piece.num_chunks; ++chunk, advance()) {
      // In the first round the stages are free: the phase before a barrier's first counts as ended.
      ptx::mbarrier_wait_parity(&empty[stage], parity ^ 1);
      ptx::mbarrier_arrive_expect_tx(&full[stage], kConfig.stage_bytes);
      ptx::cp_async_bulk_shared_global(ring + stage * kConfig.stage_bytes, piece.data + chunk * kConfig.stage_bytes,
                                       kConfig.stage_bytes, &full[stage], ptx::CachePolicy::EvictFirst);
    }
    ptx::griddepcontrol_launch_dependents();
    return;
  }

  const int consumer = static_cast<int>(threadIdx.x) - 32;
  constexpr int kStep = 32 * RingConfig::num_consumer_warps() * static_cast<int>(sizeof(Vector16));
  unsigned sum = 0;
  for (long long chunk = 0; chunk < piece.num_chunks; ++chunk, advance()) {
    ptx::mbarrier_wait_parity(&full[stage], parity);
    const char* bytes = ring + stage * kConfig.stage_bytes + consumer * static_cast<int>(sizeof(Vector16));
#pragma unroll
    for (int at = 0; at < kConfig.stage_bytes; at += kStep)
      sum += word_sum(*reinterpret_cast<const Vector16*>(bytes + at));
    __syncwarp();  // all lanes have read
    if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive(&empty[stage]);
  }
  ptx::griddepcontrol_wait();
  add_warp_sum(sum, params.sum);
}

}  // namespace baracuda::bench
