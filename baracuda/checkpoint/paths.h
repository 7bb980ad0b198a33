#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <string>

namespace baracuda {

inline bool is_folder(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

/// That nothing is there. What cannot be looked at, as in a folder without permission, is not absent: opening it says
/// why.
inline bool is_absent(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) != 0 && errno == ENOENT;
}

/// The folder that a file is in, with its '/': "" where the path has none.
inline std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

}  // namespace baracuda
