#include "testing/files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

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

}  // namespace baracuda::testing
