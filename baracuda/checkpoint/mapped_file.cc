#include "baracuda/checkpoint/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace baracuda {
namespace {

Error io_error(const std::string& path, int number) {
  return Error::io(number, path + ": " + std::generic_category().message(number));
}

/// A file descriptor that is closed at the end; the mapping lives on without it.
struct Descriptor {
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  int fd;
};

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) noexcept try {
  // What reads C strings would open another file than the one that messages name.
  if (path.find('\0') != path.npos) return Error::io(EINVAL, "a path with a zero byte in it");
  // Without O_NONBLOCK a pipe would wait for its writer.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status;
  if (file.fd < 0 || fstat(file.fd, &status) != 0) return io_error(path, errno);
  if (S_ISDIR(status.st_mode)) return io_error(path, EISDIR);
  if (!S_ISREG(status.st_mode)) return Error::io(EINVAL, path + ": no regular file");
  MappedFile mapped;
  mapped.path_ = path;
  if (const auto size = static_cast<std::size_t>(status.st_size); size > 0) {  // mmap refuses a size of 0
    const void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
    if (data == MAP_FAILED) return io_error(path, errno);
    mapped.bytes_ = {static_cast<const std::byte*>(data), size};
  }
  return mapped;
} catch (...) {
  return internal::thrown_error("MappedFile");
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace baracuda
