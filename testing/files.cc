#include "testing/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>

#include "baracuda/core/propagate.h"
#include "baracuda/jit/files.h"

namespace baracuda::testing {
namespace {

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<void> check_can_write(const std::string& path) {
  // The rename would put the file in the place of a device.
  if (struct stat status; stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    return Error::io(S_ISDIR(status.st_mode) ? EISDIR : EEXIST,
                     path + ": is no regular file, so nothing is written there");
  // By the dot it must be a folder.
  if (access((folder_of(path) + "/.").c_str(), W_OK | X_OK) != 0) return jit::io_error(path);
  return {};
}

Result<void> write_file(const std::string& path, std::string_view bytes) {
  BARACUDA_RETURN_IF_ERROR(check_can_write(path));
  return jit::write_and_rename(folder_of(path), path.substr(path.rfind('/') + 1), bytes);
}

Result<std::string> read_data(const std::string& path) {
  const std::filesystem::path below = std::filesystem::path("tests") / "data" / path;
  std::error_code error;
  std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (; folder.has_relative_path(); folder = folder.parent_path())
    if (const jit::File file((folder / below).string(), O_RDONLY); file.is_open()) {
      if (std::optional<std::string> bytes = jit::read_all(file)) return *std::move(bytes);
      return jit::io_error((folder / below).string());
    }
  errno = ENOENT;
  return jit::io_error(below.string());
}

}  // namespace baracuda::testing
