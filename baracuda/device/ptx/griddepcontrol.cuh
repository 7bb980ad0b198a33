#pragma once

// Programmatic dependent launch: kernels of a stream that overlap. PTX ISA 9.0, "Parallel Synchronization and
// Communication Instructions: griddepcontrol". Both do nothing in a launch without the attribute, and below sm_90.

namespace baracuda::ptx {

/// Waits until the kernel ahead in the stream has ended and what it wrote is visible. Every block calls it, one without
/// work too: else a third kernel could overtake the first.
inline void griddepcontrol_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// Lets the next kernel start as soon as every block has said so or has ended.
inline void griddepcontrol_launch_dependents() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

}  // namespace baracuda::ptx
