#pragma once

#include <span>
#include <string>
#include <string_view>

namespace baracuda {

/// Everything that the environment can change, parsed once and passed in; tests make their own.
struct Environment {
  std::string nvrtc_library;  ///< BARACUDA_NVRTC_LIBRARY
  bool verbose = false;       ///< BARACUDA_VERBOSE

  /// The process's environment, read at the first call.
  static const Environment& process();
};

/// One row of the table of variables, for the tool and the docs.
struct EnvironmentVariable {
  std::string_view name, type, default_value, description;
};
std::span<const EnvironmentVariable> environment_variables();

}  // namespace baracuda
