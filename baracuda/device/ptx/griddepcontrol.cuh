#pragma once

// Programmatic dependent launch: kernels of a stream that overlap. PTX ISA 9.0, "Parallel Synchronization and
// Communication Instructions: griddepcontrol". From sm_90 on. Both do nothing in a launch without the attribute.

namespace baracuda::ptx {

/// Waits until the kernel ahead in the stream has ended and what it wrote is visible. Every block calls it, one without
/// work too: else a third kernel could overtake the first.
inline void griddepcontrol_wait() { asm volatile("griddepcontrol.wait;" ::: "memory"); }

/// Lets the next kernel start as soon as every block has said so or has ended.
inline void griddepcontrol_launch_dependents() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }

}  // namespace baracuda::ptx
