#pragma once

#include "baracuda/device/ptx/address.cuh"
#include "baracuda/device/ptx/mbarrier.cuh"

// Clusters: blocks that run at the same time on neighbouring multiprocessors and reach each other's shared memory. PTX
// ISA 9.0, "barrier.cluster", "mapa", "ld". From sm_90 on.

namespace baracuda::ptx {

/// All threads of all blocks of the cluster meet; what each wrote before is visible to all after.
inline void cluster_sync() {
  asm volatile("barrier.cluster.arrive.release;\n\tbarrier.cluster.wait.acquire;" ::: "memory");
}

/// The address, for .shared::cluster operands, at which block `rank` of the cluster has what lies at `shared` here.
inline unsigned mapa_shared_cluster(const void* shared, unsigned rank) {
  unsigned address;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(shared_address(shared)), "r"(rank));
  return address;
}

/// What block `rank` has at this place, of int4 a multiple of 16. It must not end before.
inline int ld_shared_cluster(const int* shared, unsigned rank) {
  int value;
  asm volatile("ld.shared::cluster.s32 %0, [%1];" : "=r"(value) : "r"(mapa_shared_cluster(shared, rank)) : "memory");
  return value;
}
inline int4 ld_shared_cluster(const int4* shared, unsigned rank) {
  int4 value;
  asm volatile("ld.shared::cluster.v4.s32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "r"(mapa_shared_cluster(shared, rank))
               : "memory");
  return value;
}

/// One arrival at block `rank`'s barrier at this place. Without .release.cluster, whose fences made a ring of stages up
/// to twice as slow: it orders nothing but what the arriving thread has read, and nobody reads what that thread wrote.
inline void mbarrier_arrive_cluster(Mbarrier* barrier, unsigned rank) {
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(mapa_shared_cluster(barrier, rank)) : "memory");
}

}  // namespace baracuda::ptx
