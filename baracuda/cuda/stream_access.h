#pragma once

#include "baracuda/core/stream.h"
#include "baracuda/cuda/context.h"

namespace baracuda {

struct Stream::State {
  const DeviceInfo* info = nullptr;             // lives as long as the process
  const cuda::DeviceContext* device = nullptr;  // CUDA; null on the CPU
  cuda::CUstream handle = nullptr;              // CUDA
  bool owned = false;                           // CUDA: destroyed with this object

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();
};

/// What lies behind a CUDA stream, for this folder and jit/.
struct StreamAccess {
  static const cuda::DeviceContext& device(const Stream& stream) { return *stream.state_->device; }
  static cuda::CUstream handle(const Stream& stream) { return stream.state_->handle; }
};

}  // namespace baracuda
