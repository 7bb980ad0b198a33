#pragma once

#include <string>
#include <string_view>

#include "baracuda/core/result.h"

namespace baracuda::testing {

/// Whether write_file can be tried at the path, before the work whose result it is to hold; touches nothing.
/// Errors: Io (a folder that is absent or may not be written, something there that is no regular file).
Result<void> check_can_write(const std::string& path);

/// At the path there is at any time the old file, the new one, or none, and never a part. Errors: Io.
Result<void> write_file(const std::string& path, std::string_view bytes);

/// The bytes of tests/data/<path> in the repository whose build folder holds the running program. Errors: Io.
Result<std::string> read_data(const std::string& path);

}  // namespace baracuda::testing
