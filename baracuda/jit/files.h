#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "baracuda/core/result.h"

namespace baracuda::jit {

/// A file descriptor that is closed at the end, and not handed to programs that are started.
class File {
 public:
  File() = default;
  /// As open(2). `is_open` tells whether it worked, errno why not.
  File(const std::string& path, int flags, mode_t mode = 0);
  ~File();
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

/// "baracuda: <line>" on stderr. Where that cannot be written, as on a full disk, the line is lost and no more.
void say(std::string_view line) noexcept;

/// Io with errno as it stands: "<path>: No space left on device".
Error io_error(std::string_view path);

/// The folder and those above it. Errors: Io.
Result<void> make_folders(const std::string& path);

/// A regular file's bytes. Empty for anything else, and for what cannot be read; errno says why.
std::optional<std::string> read_all(const File& file);

/// How the names of files begin that are being written; one that is old was left by a writer that was killed.
inline constexpr std::string_view kTemporaryPrefix = ".baracuda-tmp-";

/// Writes beside the place under a temporary name, flushes, and renames: at `dir/name` there is at any time the old
/// file, the new one, or none, and never a part. Errors: Io; then nothing of it is left.
Result<void> write_and_rename(const std::string& dir, const std::string& name, std::string_view bytes);

}  // namespace baracuda::jit
