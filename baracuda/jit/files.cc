#include "baracuda/jit/files.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <system_error>

#include "baracuda/core/propagate.h"
#include "baracuda/jit/sha256.h"

namespace baracuda::jit {
namespace {

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// On a shared file system process ids are not enough to tell writers apart.
std::string random_name() {
  std::array<std::uint8_t, 8> bytes = {};
  if (getentropy(bytes.data(), bytes.size()) != 0) return std::to_string(getpid());
  return hex(bytes);
}

}  // namespace

File::File(const std::string& path, int flags, mode_t mode) {
  do {
    fd_ = open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd_ < 0 && errno == EINTR);
}

File::~File() {
  if (fd_ >= 0) close(fd_);
}

void say(std::string_view line) noexcept {
  std::fprintf(stderr, "baracuda: %.*s\n", static_cast<int>(line.size()), line.data());
}

Error io_error(std::string_view path) {
  const int number = errno;
  return Error::io(number, std::string(path) + ": " + std::generic_category().message(number));
}

Result<void> make_folders(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    bool made = false;
    for (std::size_t end = 0; end != path.npos;) {
      end = path.find('/', end + 1);
      // Private, as the XDG specification asks.
      made = mkdir(path.substr(0, end).c_str(), 0700) == 0;
    }
    if (!made && errno != EEXIST) return io_error(path);  // another process may have been quicker
    if (stat(path.c_str(), &status) != 0) return io_error(path);
  }
  if (S_ISDIR(status.st_mode)) return {};
  errno = ENOTDIR;
  return io_error(path);
}

std::optional<std::string> read_all(const File& file) {
  struct stat status;
  if (!file.is_open() || fstat(file.fd(), &status) != 0) return std::nullopt;
  if (!S_ISREG(status.st_mode)) {
    errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
    return std::nullopt;
  }
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t got = read(file.fd(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = EIO;  // it has become shorter
    if (got <= 0) return std::nullopt;
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

Result<void> write_and_rename(const std::string& dir, const std::string& name, std::string_view bytes) {
  const std::string temporary = dir + "/" + std::string(kTemporaryPrefix) + random_name();
  const std::string path = dir + "/" + name;
  const auto remove_and_fail = [&]() -> Error {
    const int number = errno;
    unlink(temporary.c_str());
    errno = number;
    return io_error(path);
  };
  const File file(temporary, O_WRONLY | O_CREAT | O_EXCL, 0666);
  if (!file.is_open()) return io_error(path);
  // Without the flush a machine that loses power may keep the name and lose the bytes.
  if (!write_all(file.fd(), bytes) || fsync(file.fd()) != 0) return remove_and_fail();
  if (rename(temporary.c_str(), path.c_str()) != 0) return remove_and_fail();
  return {};
}

}  // namespace baracuda::jit
