#pragma once

#include <functional>
#include <utility>

#include "baracuda/core/result.h"
#include "baracuda/core/stream.h"
#include "baracuda/cuda/driver.h"

namespace baracuda::testing {

/// A captured and instantiated CUDA graph.
class CudaGraph {
 public:
  /// What `body` enqueues on `stream`, which it must not wait for. An error of the body ends the capture and is
  /// returned.
  static Result<CudaGraph> capture(const Stream& stream, const std::function<Result<void>()>& body);
  CudaGraph(CudaGraph&& other) noexcept : executable_(std::exchange(other.executable_, nullptr)) {}
  CudaGraph& operator=(CudaGraph&& other) noexcept {
    std::swap(executable_, other.executable_);
    return *this;
  }
  ~CudaGraph();

  /// Enqueues one run.
  Result<void> replay(const Stream& stream) const;

 private:
  explicit CudaGraph(cuda::CUgraphExec executable) : executable_(executable) {}
  cuda::CUgraphExec executable_ = nullptr;
};

}  // namespace baracuda::testing
