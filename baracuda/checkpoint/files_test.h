#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>

#include "testing/files.h"

namespace baracuda::testing {

/// A folder that is removed at the end, with what is written into it.
class TemporaryFolder {
 public:
  TemporaryFolder() : path_(::testing::TempDir() + "baracuda-checkpoint-XXXXXX") {
    if (!mkdtemp(path_.data())) ADD_FAILURE() << path_ << ": errno " << errno;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  /// Its path.
  std::string write(const std::string& name, std::string_view bytes) const {
    const std::string path = path_ + "/" + name;
    const Result<void> written = write_file(path, bytes);
    EXPECT_TRUE(written) << written.error().to_string();
    return path;
  }
  std::string copy(const std::string& name, const std::string& golden) const {
    const Result<std::string> bytes = read_data("w4/" + golden);
    EXPECT_TRUE(bytes) << bytes.error().to_string();
    return write(name, bytes.value_or(std::string()));
  }

 private:
  std::string path_;
};

/// A .safetensors file of any header and data.
inline std::string safetensors(std::string_view header, std::string_view data) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(header.size() >> 8 * i);
  return file.append(header).append(data);
}

}  // namespace baracuda::testing
