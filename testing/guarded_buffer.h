#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "baracuda/core/buffer.h"
#include "baracuda/core/stream.h"
#include "baracuda/core/view.h"
#include "testing/random.h"

namespace baracuda::testing {

/// Device memory that reports what an op does to it, and its image on the host:
///
///   │ ≥ 256 guard bytes │ misalignment │ data, `bytes` long │ ≥ 256 guard bytes │
///   256-byte aligned                   data()
///
/// Guards are random, and so is the data until the image is written: an output that starts so is poisoned, since no
/// result that an op forgets to write is there by chance. Views are bounded by exactly the data, so the library's
/// checks know nothing of the guards.
class GuardedBuffer {
 public:
  /// The most that one may hold: some copies of it have to fit into the host's memory.
  static constexpr std::int64_t kMaxBytes = std::int64_t{16} << 30;

  /// `misalignment` in bytes, 0 … 255. Both ways of copying use `stream` and wait for it. Errors: InvalidProblem
  /// (sizes), and those of Buffer::allocate.
  static Result<GuardedBuffer> create(std::string name, const Stream& stream, std::int64_t bytes, Random& random,
                                      int misalignment = 0);

  /// What `upload` sends, and what the last `download` brought.
  std::span<std::byte> image() { return std::span(image_).subspan(begin_, bytes_); }
  std::span<const std::byte> image() const { return std::span(image_).subspan(begin_, bytes_); }

  Result<void> upload();
  /// Replaces the image. Errors: Backend, code 0, where a guard byte was changed.
  Result<void> download();
  /// Whether the device still holds the image, guards included: for inputs, and for outputs after an error.
  Result<void> expect_unchanged() const;
  /// Gives the image's memory back, where the data is only run on: nothing above may be called after it.
  void drop_image() { image_ = {}; }

  /// The first byte of the data on the device.
  void* data() const { return static_cast<std::byte*>(buffer_.data()) + begin_; }
  std::int64_t bytes() const { return static_cast<std::int64_t>(bytes_); }
  ByteRange range() const { return ByteRange(data(), bytes_); }

  /// Views that start `offset_bytes` into the data and may touch all of it, and nothing else.
  TensorMut tensor(Element element, Dims shape, Dims strides, std::int64_t offset_bytes = 0) const;
  TensorMut tensor(Element element, Dims shape, std::int64_t offset_bytes = 0) const;
  VectorMut vector(Element element, std::int64_t length, std::int64_t offset_bytes = 0) const;
  Workspace workspace() const { return Workspace(data(), bytes(), buffer_.device()); }

 private:
  GuardedBuffer(std::string name, const Stream& stream, Buffer buffer)
      : name_(std::move(name)), stream_(stream), buffer_(std::move(buffer)) {}
  Result<std::vector<std::byte>> read_device() const;
  Result<void> compare_guards(std::span<const std::byte> actual) const;

  std::string name_;
  Stream stream_;
  Buffer buffer_;
  std::vector<std::byte> image_;  // of the whole buffer
  std::size_t begin_ = 0;         // of the data
  std::size_t bytes_ = 0;
};

}  // namespace baracuda::testing
