#include "baracuda/core/buffer.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <new>

#include "baracuda/core/propagate.h"
#include "baracuda/cuda/stream_access.h"

namespace baracuda {
namespace {

using cuda::call;
using cuda::DriverApi;

constexpr std::align_val_t kAlignment{256};

}  // namespace

struct Buffer::State {
  Stream stream;  // keeps an own stream alive until the memory is freed on it
  void* data = nullptr;
  std::int64_t bytes = 0;

  explicit State(const Stream& stream) : stream(stream) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (!data) return;
    if (stream.device().is_cpu()) {
      operator delete(data, kAlignment);
      return;
    }
    const cuda::DeviceContext& device = StreamAccess::device(stream);
    const cuda::ContextGuard guard(device);
    if (guard.status() == cuda::CUDA_SUCCESS)
      device.api->cuMemFreeAsync(cuda::as_device_pointer(data), StreamAccess::handle(stream));
  }
};

Result<Buffer> Buffer::allocate(const Stream& stream, std::int64_t bytes) noexcept try {
  if (bytes < 0) return Error::invalid_problem(fmt::format("Buffer::allocate: {} bytes", bytes));
  auto state = std::make_shared<State>(stream);
  state->bytes = bytes;
  if (bytes == 0) return Buffer(std::move(state));

  if (stream.device().is_cpu()) {
    state->data = operator new(static_cast<std::size_t>(bytes), kAlignment, std::nothrow);
    if (!state->data)
      return Error::backend(ENOMEM, fmt::format("Buffer::allocate: {} bytes on cpu: out of memory", bytes));
    return Buffer(std::move(state));
  }

  const cuda::DeviceContext& device = StreamAccess::device(stream);
  if (!device.has_memory_pools) {
    return Error::unsupported(
        fmt::format("Buffer::allocate: {} has no memory pools, which stream-ordered allocation needs; pass memory of "
                    "your own",
                    device.info.device.name()));
  }
  cuda::CUdeviceptr pointer = 0;
  // The message is formatted on every call: an allocation is no hot path.
  BARACUDA_RETURN_IF_ERROR(
      call(device, fmt::format("Buffer::allocate: {} bytes on {}", bytes, device.info.device.name()),
           [&](const DriverApi& api) {
             return api.cuMemAllocAsync(&pointer, static_cast<std::size_t>(bytes), StreamAccess::handle(stream));
           }));
  state->data = cuda::as_pointer(pointer);
  return Buffer(std::move(state));
} catch (...) {
  return internal::thrown_error("Buffer::allocate");
}

void* Buffer::data() const { return state_ ? state_->data : nullptr; }
std::int64_t Buffer::bytes() const { return state_ ? state_->bytes : 0; }
Device Buffer::device() const { return state_ ? state_->stream.device() : Device::cpu(); }

namespace {

/// That `bytes` at `offset` lie inside the buffer and that the other side is there and on the buffer's device.
Result<void> check_copy(const char* name, const Buffer& buffer, const Stream& stream, const void* host,
                        std::int64_t bytes, std::int64_t offset) {
  if (bytes < 0 || offset < 0)
    return Error::invalid_problem(fmt::format("{}: {} bytes at offset {}", name, bytes, offset));
  if (stream.device() != buffer.device()) {
    return Error::invalid_problem(
        fmt::format("{}: the buffer is on {}, the stream on {}", name, buffer.device().name(), stream.device().name()));
  }
  if (offset > buffer.bytes() || bytes > buffer.bytes() - offset) {
    constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
    const std::int64_t needed = offset > kMax - bytes ? kMax : offset + bytes;
    return Error::buffer_too_small(
        fmt::format("{}: {} bytes at offset {} do not fit a buffer of {}", name, bytes, offset, buffer.bytes()), needed,
        buffer.bytes());
  }
  if (!host && bytes > 0) return Error::invalid_problem(fmt::format("{}: host is null", name));
  return {};
}

}  // namespace

Result<void> Buffer::copy_from_host(const Stream& stream, const void* host, std::int64_t bytes,
                                    std::int64_t offset) noexcept try {
  BARACUDA_RETURN_IF_ERROR(check_copy("Buffer::copy_from_host", *this, stream, host, bytes, offset));
  if (bytes == 0) return {};
  char* begin = static_cast<char*>(data()) + offset;
  if (stream.device().is_cpu()) {
    std::memcpy(begin, host, static_cast<std::size_t>(bytes));
    return {};
  }
  return call(StreamAccess::device(stream), "Buffer::copy_from_host", [&](const DriverApi& api) {
    return api.cuMemcpyHtoDAsync_v2(cuda::as_device_pointer(begin), host, static_cast<std::size_t>(bytes),
                                    StreamAccess::handle(stream));
  });
} catch (...) {
  return internal::thrown_error("Buffer::copy_from_host");
}

Result<void> Buffer::copy_to_host(const Stream& stream, void* host, std::int64_t bytes,
                                  std::int64_t offset) const noexcept try {
  BARACUDA_RETURN_IF_ERROR(check_copy("Buffer::copy_to_host", *this, stream, host, bytes, offset));
  if (bytes == 0) return {};
  const char* begin = static_cast<const char*>(data()) + offset;
  if (stream.device().is_cpu()) {
    std::memcpy(host, begin, static_cast<std::size_t>(bytes));
    return {};
  }
  return call(StreamAccess::device(stream), "Buffer::copy_to_host", [&](const DriverApi& api) {
    return api.cuMemcpyDtoHAsync_v2(host, cuda::as_device_pointer(begin), static_cast<std::size_t>(bytes),
                                    StreamAccess::handle(stream));
  });
} catch (...) {
  return internal::thrown_error("Buffer::copy_to_host");
}

Result<void> Buffer::fill(const Stream& stream, unsigned char value) noexcept try {
  BARACUDA_RETURN_IF_ERROR(check_copy("Buffer::fill", *this, stream, this, bytes(), 0));
  if (bytes() == 0) return {};
  if (stream.device().is_cpu()) {
    std::memset(data(), value, static_cast<std::size_t>(bytes()));
    return {};
  }
  return call(StreamAccess::device(stream), "Buffer::fill", [&](const DriverApi& api) {
    return api.cuMemsetD8Async(cuda::as_device_pointer(data()), value, static_cast<std::size_t>(bytes()),
                               StreamAccess::handle(stream));
  });
} catch (...) {
  return internal::thrown_error("Buffer::fill");
}

TensorMut Buffer::tensor(Element element, Dims shape, std::int64_t offset_bytes) const {
  return tensor(element, shape, contiguous_strides(shape), offset_bytes);
}

TensorMut Buffer::tensor(Element element, Dims shape, Dims strides, std::int64_t offset_bytes) const {
  // Through integers: an offset outside the buffer is for the plan's bounds check to find.
  const auto begin = reinterpret_cast<std::uintptr_t>(data()) + static_cast<std::uintptr_t>(offset_bytes);
  return {reinterpret_cast<void*>(begin), element, shape, strides, device(), range()};
}

}  // namespace baracuda
