#pragma once

#include <string_view>

namespace baracuda {

/// "0.1.0": major.minor.patch, semantic versioning.
std::string_view version();

}  // namespace baracuda
