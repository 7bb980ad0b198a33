#pragma once

namespace baracuda::ptx {

/// Orders this thread's ordinary accesses to shared memory before those that the copy engine and wgmma make after the
/// barrier that follows. PTX ISA 9.0, "membar / fence", .proxy.async. From sm_90 on.
inline void fence_proxy_async_shared() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

}  // namespace baracuda::ptx
