#include "testing/guarded_buffer.h"

#include <fmt/core.h>

#include "baracuda/core/propagate.h"
#include "testing/compare.h"

namespace baracuda::testing {
namespace {

constexpr std::size_t kGuardBytes = 256;

}  // namespace

Result<GuardedBuffer> GuardedBuffer::create(std::string name, const Stream& stream, std::int64_t bytes, Random& random,
                                            int misalignment) {
  if (bytes < 0 || bytes > kMaxBytes)
    return Error::invalid_problem(fmt::format("{} has {} bytes, expected 0 to {}", name, bytes, kMaxBytes));
  if (misalignment < 0 || misalignment > 255)
    return Error::invalid_problem(fmt::format("{}_misalignment is {}, expected 0 to 255 bytes", name, misalignment));
  const std::size_t begin = kGuardBytes + static_cast<std::size_t>(misalignment);
  const std::size_t total = begin + static_cast<std::size_t>(bytes) + kGuardBytes;
  BARACUDA_ASSIGN_OR_RETURN(Buffer buffer, Buffer::allocate(stream, static_cast<std::int64_t>(total)));
  GuardedBuffer guarded(std::move(name), stream, std::move(buffer));
  guarded.begin_ = begin;
  guarded.bytes_ = static_cast<std::size_t>(bytes);
  guarded.image_.resize(total);
  random.fill_bytes(guarded.image_);
  return guarded;
}

Result<void> GuardedBuffer::upload() {
  BARACUDA_RETURN_IF_ERROR(buffer_.copy_from_host(stream_, image_.data(), buffer_.bytes()));
  return stream_.synchronize();
}

Result<void> GuardedBuffer::download() {
  BARACUDA_ASSIGN_OR_RETURN(std::vector<std::byte> actual, read_device());
  BARACUDA_RETURN_IF_ERROR(compare_guards(actual));
  image_ = std::move(actual);
  return {};
}

Result<void> GuardedBuffer::expect_unchanged() const {
  BARACUDA_ASSIGN_OR_RETURN(const std::vector<std::byte> actual, read_device());
  BARACUDA_RETURN_IF_ERROR(compare_guards(actual));
  return compare_bytes(name_ + ", which must stay as it was", std::span(actual).subspan(begin_, bytes_), image());
}

Result<std::vector<std::byte>> GuardedBuffer::read_device() const {
  std::vector<std::byte> bytes(image_.size());
  BARACUDA_RETURN_IF_ERROR(buffer_.copy_to_host(stream_, bytes.data(), buffer_.bytes()));
  BARACUDA_RETURN_IF_ERROR(stream_.synchronize());
  return bytes;
}

Result<void> GuardedBuffer::compare_guards(std::span<const std::byte> actual) const {
  const std::span expected(image_);
  BARACUDA_RETURN_IF_ERROR(compare_bytes(name_ + ", the guard before it, which ends at byte " + std::to_string(begin_),
                                         actual.first(begin_), expected.first(begin_)));
  return compare_bytes(name_ + ", the guard after it", actual.subspan(begin_ + bytes_),
                       expected.subspan(begin_ + bytes_));
}

TensorMut GuardedBuffer::tensor(Element element, Dims shape, Dims strides, std::int64_t offset_bytes) const {
  return TensorMut(static_cast<std::byte*>(data()) + offset_bytes, element, shape, strides, buffer_.device(), range());
}

TensorMut GuardedBuffer::tensor(Element element, Dims shape, std::int64_t offset_bytes) const {
  return tensor(element, shape, contiguous_strides(shape), offset_bytes);
}

VectorMut GuardedBuffer::vector(Element element, std::int64_t length, std::int64_t offset_bytes) const {
  return {{static_cast<std::byte*>(data()) + offset_bytes, element, length, buffer_.device(), range()}};
}

}  // namespace baracuda::testing
