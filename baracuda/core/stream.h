#pragma once

#include <memory>

#include "baracuda/core/device.h"
#include "baracuda/core/export.h"
#include "baracuda/core/result.h"

namespace baracuda {

/// An order of execution on one device. A CPU stream is synchronous and carries the thread count; a CUDA stream is an
/// own stream or an adopted one. Copies share the same stream; the own CUDA stream goes when the last copy does.
///
/// CUDA streams live in the device's primary context, which PyTorch and the CUDA runtime use too, so pointers and raw
/// stream handles pass freely between them. No call changes the calling thread's current context.
class BARACUDA_API Stream {
 public:
  /// `num_threads` ≤ 0: as many as the machine has.
  static Stream cpu(int num_threads = 0) noexcept;
  /// A new non-blocking stream. Errors: as DeviceInfo::of, and Backend.
  static Result<Stream> cuda(int ordinal = 0) noexcept;
  /// A stream that somebody else owns, as a raw CUstream or cudaStream_t; null is the legacy default stream. It must
  /// outlive every copy of the returned object. Errors: InvalidProblem where the handle belongs to another device.
  static Result<Stream> adopt_cuda(void* handle, int ordinal = 0) noexcept;

  Device device() const;
  /// What `choose` knows of the device. The reference lives as long as the stream.
  const DeviceInfo& device_info() const;
  /// Threads of a CPU stream, 0 for CUDA.
  int num_threads() const { return num_threads_; }
  /// The CUstream, null for the CPU and for the legacy default stream.
  void* cuda_handle() const;

  /// Waits until everything enqueued so far is done. Returns at once on the CPU.
  Result<void> synchronize() const noexcept;
  /// True while the stream records a CUDA graph.
  Result<bool> is_capturing() const noexcept;

 private:
  friend struct StreamAccess;
  struct BARACUDA_HIDDEN State;
  explicit Stream(std::shared_ptr<const State> state, int num_threads = 0)
      : state_(std::move(state)), num_threads_(num_threads) {}
  std::shared_ptr<const State> state_;  // of the CPU's streams one and the same
  int num_threads_ = 0;
};

/// A point in a stream's order. On the CPU every event is complete when `record` returns.
class BARACUDA_API Event {
 public:
  /// An event on the stream's device. `timing`: elapsed_ms may be asked of it.
  static Result<Event> create(const Stream& stream, bool timing = false) noexcept;

  Result<void> record(const Stream& stream) noexcept;
  /// Lets what `stream` is given from now on wait for this event; the host does not wait.
  Result<void> wait_on(const Stream& stream) const noexcept;
  Result<void> synchronize() const noexcept;
  /// True when everything before the event is done.
  Result<bool> is_complete() const noexcept;
  /// Milliseconds from `start` to this event; both with timing, recorded and complete.
  Result<double> elapsed_ms_since(const Event& start) const noexcept;

 private:
  struct BARACUDA_HIDDEN State;
  explicit Event(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace baracuda
