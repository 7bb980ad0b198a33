#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "baracuda/core/export.h"
#include "baracuda/core/result.h"

namespace baracuda {

/// A regular file's bytes, mapped read-only: pages are read when they are first touched, and shared with other
/// processes. They stay valid while this object lives, wherever it is moved to.
///
/// The file must not change meanwhile. Bytes that are overwritten in place change in the mapping too, and touching a
/// page that the file has lost, or that cannot be read, ends the process (SIGBUS), as with every mapping. Writers that
/// put a new file in the place of the old one, by rename, do no harm.
class BARACUDA_API MappedFile {
 public:
  MappedFile() = default;
  /// Symbolic links are followed. An empty file has no bytes, and is no error. Errors: Io (absent, unreadable, a
  /// folder, no regular file), Backend (no host memory).
  static Result<MappedFile> open(const std::string& path) noexcept;
  MappedFile(MappedFile&& other) noexcept
      : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, std::span<const std::byte>())) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile();

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::string path_;
  std::span<const std::byte> bytes_;
};

}  // namespace baracuda
