#pragma once

#include <cstddef>
#include <memory>

#include "baracuda/core/export.h"
#include "baracuda/core/stream.h"
#include "baracuda/core/view.h"

namespace baracuda {

/// Device memory that frees itself, 256-byte aligned. On CUDA it is allocated and freed in the order of its stream, so
/// freeing never waits; use on another stream needs an event in between. It keeps a copy of its stream, so an adopted
/// one must outlive it, and it must not be freed while that stream is captured. Contents start undefined.
class BARACUDA_API Buffer {
 public:
  Buffer() = default;
  /// Errors: InvalidProblem (negative size), Unsupported (a device without memory pools), Backend (out of memory among
  /// others).
  static Result<Buffer> allocate(const Stream& stream, std::int64_t bytes) noexcept;
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&&) noexcept = default;

  void* data() const;
  std::int64_t bytes() const;
  Device device() const;
  ByteRange range() const { return ByteRange(data(), static_cast<std::size_t>(bytes())); }

  /// Enqueues a copy from or to host memory at byte `offset`; on CUDA `host` must stay valid until the stream has
  /// passed it (pageable memory is staged by the driver). Errors: BufferTooSmall, InvalidProblem, Backend; nothing is
  /// copied.
  Result<void> copy_from_host(const Stream& stream, const void* host, std::int64_t bytes,
                              std::int64_t offset = 0) noexcept;
  Result<void> copy_to_host(const Stream& stream, void* host, std::int64_t bytes,
                            std::int64_t offset = 0) const noexcept;
  /// Enqueues a fill with one byte value.
  Result<void> fill(const Stream& stream, unsigned char value) noexcept;

  /// A row-major tensor that starts `offset_bytes` into the buffer and is bounded by it.
  TensorMut tensor(Element element, Dims shape, std::int64_t offset_bytes = 0) const;
  /// The same with strides, in elements.
  TensorMut tensor(Element element, Dims shape, Dims strides, std::int64_t offset_bytes = 0) const;

 private:
  struct BARACUDA_HIDDEN State;
  explicit Buffer(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

/// Scratch for one run, borrowed from the caller. At least the plan's workspace_size() bytes, aligned to 256.
class Workspace {
 public:
  static Workspace none() { return {}; }
  Workspace(void* data, std::int64_t bytes, Device device) : data_(data), bytes_(bytes), device_(device) {}
  Workspace(const Buffer& buffer) : Workspace(buffer.data(), buffer.bytes(), buffer.device()) {}

  void* data() const { return data_; }
  std::int64_t bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  Workspace() = default;
  void* data_ = nullptr;
  std::int64_t bytes_ = 0;
  Device device_;
};

}  // namespace baracuda
