#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "baracuda/core/result.h"
#include "baracuda/core/stream.h"
#include "baracuda/cuda/context.h"

namespace baracuda::cuda {

/// One kernel, loaded on one device. Its machine code stays loaded as long as the object lives.
class Kernel {
 public:
  /// Loads `name` from a cubin. All that the driver would do at the first launch is done here, so that a launch may be
  /// captured at once, and all the dynamic shared memory that the device has is granted.
  static Result<std::shared_ptr<const Kernel>> load(const Stream& stream, std::span<const std::byte> cubin,
                                                    const std::string& name);
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  ~Kernel();

  const DeviceContext& device() const { return device_; }
  CUfunction function() const { return function_; }
  int registers() const { return registers_; }
  int static_shared_bytes() const { return static_shared_bytes_; }
  int max_dynamic_shared_bytes() const { return max_dynamic_shared_bytes_; }
  /// Bytes of local memory a thread: stack frame and spilled registers.
  int local_bytes() const { return local_bytes_; }

 private:
  explicit Kernel(const DeviceContext& device) : device_(device) {}

  const DeviceContext& device_;
  CUlibrary library_ = nullptr;
  CUfunction function_ = nullptr;
  int registers_ = 0;
  int static_shared_bytes_ = 0;
  int max_dynamic_shared_bytes_ = 0;
  int local_bytes_ = 0;
};

struct Dim3 {
  std::uint32_t x = 1, y = 1, z = 1;
};

struct LaunchShape {
  Dim3 grid;
  Dim3 block;
  std::uint32_t dynamic_shared_bytes = 0;
  /// The kernel may start before the one ahead of it in the stream has ended; it must then wait for it itself
  /// (griddepcontrol.wait) before it touches what that one reads or writes.
  bool programmatic_serialization = false;
  /// Blocks that follow each other along x form clusters of so many, which divides grid.x. From sm_90 on.
  std::uint32_t cluster = 1;
};

/// Enqueues a kernel whose only parameter is one `__grid_constant__` struct, copied from `params` before the return.
/// Errors: InvalidProblem (the stream is of another device than the kernel), Backend.
Result<void> launch(const Kernel& kernel, const Stream& stream, const LaunchShape& shape, const void* params);

/// How many clusters of such a launch the device runs at the same time: fewer than its multiprocessors allow by their
/// number where those of a cluster must be neighbours. Errors: Backend.
Result<int> max_active_clusters(const Kernel& kernel, const LaunchShape& shape);

/// Enqueues a copy within the device of a CUDA stream. The ranges must not overlap.
Result<void> copy_device_to_device(const Stream& stream, void* dst, const void* src, std::size_t bytes);

}  // namespace baracuda::cuda
